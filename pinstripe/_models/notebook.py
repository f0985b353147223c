"""What a notebook shows of a model or a page: tables in HTML.

Private fields are left out, as in a repr; a line names them. All values are escaped. There is no
color of text or background, so that the theme of the notebook, light or dark, decides on both:
lines and muted text are the theme's own color, thinned. There is no script and no style sheet,
which some viewers remove: the styles are those of the elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from html import escape
from typing import Any, Final, TypeAlias, cast

import msgspec
from attrs import fields

from pinstripe._core.checks import MAX_DIGITS

Record: TypeAlias = Any
"""A model, which is a Struct at run time; its module imports this one, when it is first shown."""

_MAX_ROWS: Final = 20
_MAX_PARTS: Final = 5
_MAX_TEXT: Final = 120
_MAX_DEPTH: Final = 3

_LINE = "border:0;border-bottom:1px solid rgba(128,128,128,.35)"
_CELL = "padding:.25em .8em .25em 0;text-align:left;vertical-align:top;background:none"
_NUMBER = f"{_CELL.replace('left', 'right')};font-variant-numeric:tabular-nums"


def table(
    rows: Iterable[Sequence[str]],
    heads: Sequence[str] = (),
    *,
    caption: str = "",
    notes: Iterable[str] = (),
) -> str:
    """Return a table.

    Args:
        rows: Its rows, each of cells from `cell`.
        heads: The first row, of the names of the columns, likewise.
        caption: Its title, as text; without one, it is a table in a cell, and has no lines.
        notes: Sentences below it, as text.
    """
    line = f' style="background:none;{_LINE if caption else "border:0"}"'
    body = "".join(f"<tr{line}>{''.join(row)}</tr>" for row in rows)
    title = "caption-side:top;text-align:left;padding:.3em 0;color:inherit;font-weight:600"
    below = "opacity:.65;font-size:.9em;padding:.3em 0"
    head = "".join(heads)
    made = (
        '<table style="border-collapse:collapse;border:0;margin:0;color:inherit">'
        + (caption and f'<caption style="{title}">{text(caption)}</caption>')
        + (head and f'<thead style="border:0"><tr{line}>{head}</tr></thead>')
        + f"<tbody>{body}</tbody></table>"
        + "".join(f'<div style="{below}">{text(note)}</div>' for note in notes)
    )
    return f'<div style="overflow-x:auto">{made}</div>' if caption else made


def cell(content: str, *, is_number: bool = False) -> str:
    """Return a cell of a row.

    Args:
        content: What is in it, as HTML.
        is_number: Whether it is aligned as a number.
    """
    return f'<td style="{_NUMBER if is_number else _CELL}">{content}</td>'


def row_head(name: str) -> str:
    """Return the first cell of a row.

    Args:
        name: The name of the row, as text.
    """
    return f'<th scope="row" style="{_CELL};font-weight:500">{text(name)}</th>'


def column_head(name: str, *, is_number: bool = False) -> str:
    """Return the first cell of a column.

    Args:
        name: The name of the column, as text.
        is_number: Whether its cells are aligned as numbers.
    """
    style = f"{_NUMBER if is_number else _CELL};font-weight:500;opacity:.65"
    return f'<th scope="col" style="{style}">{text(name)}</th>'


def text(value: str) -> str:
    """Return a text as HTML.

    Args:
        value: The text; a lone surrogate in it, which no message to a browser can hold, becomes its
            escape sequence.
    """
    return escape(value.encode(errors="backslashreplace").decode())


def decimal_text(value: Decimal, form: str = "f") -> str:
    """Return a Decimal in all its digits, unless these are more than any amount of the API has.

    Args:
        value: The number.
        form: How it is written out, as `format` takes it.
    """
    return f"{value:{form}}" if abs(value.adjusted()) <= MAX_DIGITS else str(value)


def record_html(record: Record) -> str:
    """Return the public fields of a model that have a value, as HTML.

    Args:
        record: The model.
    """
    notes = _names("Private, not shown", _private(record))
    return table(_rows(_values(record), 1), caption=type(record).__name__, notes=notes)


def page_html(data: Sequence[Record], *, has_more: bool) -> str:
    """Return the first objects of a page as HTML: a row for each, with its plain values.

    Args:
        data: The objects of the page.
        has_more: Whether there are more in the list.
    """
    objects = data[:_MAX_ROWS]
    more = "there are more" if has_more else "there are no more"
    caption = f"Page of {len(data)} objects; {more}"
    # The classes of events have the same fields, so a name stands for one column.
    names = _columns(objects)
    columns = {name: [_in_line(getattr(item, name, None)) for item in objects] for name in names}
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    inner = [n for n in names if n not in shown and any(getattr(o, n, None) for o in objects)]
    left = len(data) - len(objects)
    return table(
        ([cell(content) for content in row] for row in zip(*shown.values(), strict=True)),
        list(map(column_head, shown)),
        caption=caption,
        notes=[
            *([f"{left} of the objects are not shown."] if left else []),
            *_names("Nested, not shown here", inner),
            *_names("Private, not shown", dict.fromkeys(n for o in objects for n in _private(o))),
        ],
    )


def _rows(values: Mapping[str, Any], depth: int) -> Iterator[list[str]]:
    for name, value in values.items():
        content = _value(value, depth)
        if content:
            yield [row_head(name), cell(content)]


def _value(value: Any, depth: int) -> str:
    """Return a value as HTML: what holds others is a table in its cell, in few levels."""
    plain = _plain(value)
    if plain or value is None or depth == _MAX_DEPTH:
        return plain or ("" if value is None else text(_shortened(repr(value))))
    if isinstance(value, msgspec.Struct):
        return table(_rows(_values(value), depth + 1))
    entries = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None
    parts = [*cast("Sequence[Any]", value)] if entries is None else [*entries.values()]
    if parts and all(isinstance(part, msgspec.Struct) for part in parts):
        return _grid(parts, [] if entries is None else list(entries), depth)
    if entries is not None:
        return table(_rows(entries, depth + 1))
    inner = [f"<div>{_value(part, depth + 1)}</div>" for part in parts[:_MAX_PARTS]]
    return "".join(inner) + _more(len(parts) - _MAX_PARTS)


def _grid(records: Sequence[Record], names: Sequence[str], depth: int) -> str:
    """Return objects as the rows of one table, with their names in front if they have some."""
    left = 0 if names else len(records) - _MAX_PARTS
    records = records if names else records[:_MAX_PARTS]
    columns = {
        name: [_value(getattr(record, name, None), depth + 1) for record in records]
        for name in _columns(records)
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    rows = ([cell(content) for content in row] for row in zip(*shown.values(), strict=True))
    if not names:
        return table(rows, list(map(column_head, shown))) + _more(left)
    named = ([row_head(name), *row] for name, row in zip(names, rows, strict=True))
    return table(named, list(map(column_head, ("", *shown))))


def _plain(value: Any) -> str:
    """Return a value that fits on a line as HTML; nothing if it is an object or a list of some."""
    if value is None or isinstance(value, (msgspec.Struct, Mapping)):
        return ""
    if isinstance(value, (tuple, list)):
        items = [_plain(item) for item in cast("Sequence[Any]", value)]
        return ", ".join(items[:_MAX_PARTS]) + _more(len(items) - _MAX_PARTS) if all(items) else ""
    if isinstance(value, datetime):
        value = f"{value.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    elif isinstance(value, Decimal):
        value = decimal_text(value)
    return text(_shortened(str(value)))


def _in_line(value: Any) -> str:
    """Return a value in the row of a page as HTML: of an expanded object, the id."""
    return _plain(getattr(value, "id", None) if isinstance(value, msgspec.Struct) else value)


def _shortened(value: str) -> str:
    return value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}…"


def _more(left: int) -> str:
    return f" and {left} more" if left > 0 else ""


def _columns(records: Iterable[Record]) -> list[str]:
    """Return the names of the public fields of some objects, without that of their kind."""
    names = dict.fromkeys(name for record in records for name in _public(record))
    return [name for name in names if name != "object"]


def _values(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _public(record)}


def _public(record: Record) -> list[str]:
    # The fields that a repr leaves out are the private ones.
    return [field.name for field in fields(record.__class__) if field.repr]


def _private(record: Record) -> list[str]:
    return [field.name for field in fields(record.__class__) if not field.repr]


def _names(what: str, names: Iterable[str]) -> list[str]:
    listed = ", ".join(names)
    return [f"{what}: {listed}."] if listed else []
