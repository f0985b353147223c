"""Objects of the API as plain data: without what is private, in JSON, and as flat fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, Final, cast

from pinstripe._models.record import shown_fields

HIDDEN: Final = object()
"""Stands for a private value."""


def plain(value: Any, *, reveal: bool, mark: bool = False) -> Any:
    """Return a value as plain data: times are texts in UTC, and amounts are texts.

    Args:
        value: A model, or a part of one.
        reveal: Whether private fields are in it.
        mark: Whether `HIDDEN` is in the place of private fields that have a value.
    """
    names: Sequence[str] | None = getattr(value, "__struct_fields__", None)
    if names is not None:
        shown = shown_fields(value.__class__)
        fields = {name: getattr(value, name) for name in names}
        return {
            name: plain(inner, reveal=reveal, mark=mark) if reveal or name in shown else HIDDEN
            for name, inner in fields.items()
            if reveal or name in shown or (mark and inner is not None)
        }
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value)
        return {key: plain(inner, reveal=reveal, mark=mark) for key, inner in entries.items()}
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        return [plain(inner, reveal=reveal, mark=mark) for inner in items]
    if isinstance(value, datetime):
        return f"{value.astimezone(timezone.utc).replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


def field_at(data: Any, name: str) -> Any:
    """Return the field of plain data at a path of names, joined by dots; None if there is none.

    Args:
        data: Plain data.
        name: The path.
    """
    for key in name.split("."):
        if not isinstance(data, dict):
            return None
        data = cast("dict[str, Any]", data).get(key)
    return data


def chosen(data: Any, fields: Sequence[str]) -> Any:
    """Return the fields of plain data that were asked for; all of it if none were.

    Args:
        data: Plain data.
        fields: The paths of the fields.
    """
    return {name: field_at(data, name) for name in fields} if fields else data


def json_line(data: Any) -> str:
    """Return plain data as JSON in one line.

    Args:
        data: Plain data.
    """
    return json.dumps(data, separators=(",", ":")) + "\n"


def flat(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of plain data that have a value, nested ones by the path to them.

    Args:
        data: Plain data.
        path: Where it is.
    """
    if isinstance(data, dict):
        for name, value in cast("dict[str, Any]", data).items():
            yield from flat(value, f"{path}.{name}" if path else name)
    elif data is not None and data != []:
        yield path, data


def cell(value: Any) -> str:
    """Return a field as text in one line, with nothing in it that a terminal would act on.

    Args:
        value: The field.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return json.dumps(value, default=lambda _: "(hidden)")
    if isinstance(value, list):
        items = cast("list[Any]", value)
        nested = any(isinstance(item, (dict, list)) for item in items)
        return (
            json.dumps(items, default=lambda _: "(hidden)")
            if nested
            else ", ".join(map(cell, items))
        )
    text = str(value)
    return text if text.isprintable() else json.dumps(text)[1:-1]
