"""From what was typed to the arguments of a call.

Parameters come from three places, and a later one wins: `--body`, the options, and `--set`. The
options are read by click. The others can name anything at any depth, so what they say is read here,
by the same rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, TypeAlias, cast

import click

from pinstripe.cli._calls.calls import BOUNDS, Call, Param
from pinstripe.cli._times import EXAMPLES, read_time

Params: TypeAlias = dict[str, Any]

_SET = re.compile(r"(\w+)((?:\[\w*\])*)=(.*)", re.DOTALL)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_WORDS: Final = {"true": True, "false": False}


def read_body(file: str) -> Params:
    """Return the parameters that a file of JSON holds.

    Args:
        file: Its path; - for standard input.

    Raises:
        UsageError: It cannot be read, or does not hold an object.
    """
    try:
        with click.open_file(file, encoding="utf-8") as opened:
            value = json.load(opened, parse_float=Decimal)
    except OSError as error:
        raise click.UsageError(f"--body: {file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise click.UsageError(f"--body: {file} is not JSON") from None
    if not isinstance(value, dict):
        raise click.UsageError(f"--body: {file} must hold a JSON object of parameters")
    return cast("Params", value)


def set_values(params: Params, texts: Sequence[str], option: str = "--set") -> None:
    """Set the parameters that texts such as `options[document][allowed_types][]=passport` name.

    Args:
        params: The parameters, which are changed; mappings in them are changed too.
        texts: The texts.
        option: The option that they come from.

    Raises:
        UsageError: A text has another form, or a path leads through a value that has no parts.
    """
    for text in texts:
        found = _SET.fullmatch(text)
        if found is None:
            name = text.partition("=")[0]
            problem = f"{option} takes NAME=VALUE, NAME[KEY]=VALUE or NAME[]=VALUE, not {name!r}"
            raise click.UsageError(problem)
        first, rest, value = found.groups()
        _put(params, [first, *re.findall(r"\[(\w*)\]", rest)], value, f"{option} {first}{rest}")


def _put(params: Params, path: Sequence[str], value: str, shown: str) -> None:
    """Put a value at the end of a path; an empty key adds to the end of a list."""
    place: Any = params
    for key, following in zip(path, [*path[1:], None], strict=True):
        empty: Any = [] if following == "" else {}
        if isinstance(place, list) and key == "":
            items = cast("list[Any]", place)
            items.append(value if following is None else empty)
            place = items[-1]
        elif isinstance(place, dict) and key:
            mapping = cast("Params", place)
            if following is None:
                mapping[key] = value
            place = mapping.setdefault(key, empty)
        else:
            raise click.UsageError(f"{shown}: {key or '[]'!r} leads into a value without parts")


def merge(params: Params, more: Mapping[str, Any]) -> None:
    """Put parameters over others, key by key.

    Args:
        params: The parameters, which are changed.
        more: Those that win.
    """
    for name, value in more.items():
        below = params.get(name)
        if isinstance(below, dict) and isinstance(value, Mapping):
            merge(cast("Params", below), cast("Mapping[str, Any]", value))
        else:
            params[name] = value


def convert(call: Call, params: Params) -> None:
    """Make values that came as text or JSON what the call takes, in place.

    Args:
        call: The call.
        params: Its parameters.

    Raises:
        UsageError: The call has no such parameter, or not of this kind.
    """
    roots = {param.path.partition(".")[0] for param in call.params if not param.has_position}
    for name in params:
        if name not in roots:
            known = ", ".join(sorted(roots)) or "none"
            raise click.UsageError(f"{name!r} is no parameter of this call; it has: {known}")
    for param in call.params:
        *parents, last = param.path.split(".")
        place: Any = params
        for key in parents:
            place = cast("Params", place).get(key) if isinstance(place, dict) else None
        if not isinstance(place, dict) or param.kind not in _READERS:
            continue
        mapping = cast("Params", place)
        if mapping.get(last) is not None:
            try:
                mapping[last] = _READERS[param.kind](param, mapping[last])
            except (ValueError, OverflowError, TypeError):
                raise click.UsageError(f"{param.shown}: {_WANTED[param.kind]}") from None


def _flag(_: Param, value: Any) -> Any:
    if isinstance(value, str) and value not in _WORDS:
        raise ValueError(value)
    return _WORDS[value] if isinstance(value, str) else value


def _integer(_: Param, value: Any) -> Any:
    return int(value) if isinstance(value, str) else value


def _number(_: Param, value: Any) -> Any:
    return value if isinstance(value, bool) else float(value)


def _time(param: Param, value: Any) -> Any:
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return _EPOCH + timedelta(seconds=float(value))
    if isinstance(value, str) and value not in ("", *param.words):
        return read_time(value)
    return value


def _range(param: Param, value: Any) -> Any:
    from pinstripe import Created  # noqa: PLC0415 -- slow, so only when a list has a filter

    if not isinstance(value, dict):
        return _time(param, value)
    bounds = cast("Params", value)
    if not bounds.keys() <= {*BOUNDS}:
        raise ValueError(bounds)
    return Created(**{name: _time(param, bound) for name, bound in bounds.items()})


_READERS: Final[Mapping[str, Callable[[Param, Any], Any]]] = {
    "flag": _flag,
    "integer": _integer,
    "number": _number,
    "time": _time,
    "range": _range,
}
_WANTED: Final = {
    "flag": "must be true or false",
    "integer": "must be a whole number",
    "number": "must be a number",
    "time": f"must be a date or a time, such as {EXAMPLES}",
    "range": f"must be a time, or bounds named {', '.join(BOUNDS)}, each such as {EXAMPLES}",
}
