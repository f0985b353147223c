"""Looks at all amounts of an answer at once: a second look at each is for the answers that fail.

What to collect follows from the type of the answer, and is decided once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, Final, cast, get_args, get_origin

from pinstripe._core.checks import MAX_DIGITS
from pinstripe._models.amounts import NO_AMOUNT, STORED, may_be_amount
from pinstripe._models.kinds import UNIONS, fields_of, hints_of
from pinstripe._models.misfits import MisfitError
from pinstripe._models.record import Record

_WITHOUT: Final = ("pinstripe", "pinstripe.identity", "pinstripe.files", "pinstripe.v2")
"""Modules whose models have no amounts: to look at all of their types would be a fifth of a first
call."""

_ITEMS: Final = {tuple: "", list: "", dict: ".values()"}
"""Types of the last type in their brackets, and how to reach the items."""

_DIGITS: Final = b"0123456789"
_ZEROS: Final = bytes.maketrans(_DIGITS, b"0" * 10)
_TOO_LONG: Final = b"0" * (MAX_DIGITS + 1)


def check_of(kind: Any) -> Callable[[Any], None] | None:
    """Return the function that refuses a value with a wrong amount; None if it can have none.

    Args:
        kind: The type of the value. The function raises `MisfitError`.
    """
    parts = (get_origin(kind) or kind, *get_args(kind))
    ours = [part for part in parts if isinstance(part, type) and issubclass(part, Record)]
    if len(ours) == len(parts) and all(part.__module__ in _WITHOUT for part in ours):
        return None
    collect = _collector(kind)
    if collect is None:
        return None

    def check(value: Any) -> None:
        if not _are_simple(collect(value)):
            _refuse(value, "$")

    return check


def _are_simple(amounts: list[Any]) -> bool:
    """Return whether all amounts are digits, with at most one point that is not the last sign.

    Nearly always they are; others are looked at one by one. A regular expression takes ten times
    as long as these few steps in C, and a step for each amount as long as one for all of them.
    """
    try:
        text = "\n".join(("", *amounts, ""))
    except TypeError:  # a number, or no amount
        return False
    lines = text.encode("ascii", "replace").translate(_ZEROS)
    # What is left of each line is its point.
    points = lines.translate(None, b"0")
    return (
        not points.translate(None, b".\n")
        and b".." not in points
        and points.count(b"\n") == lines.count(b"0\n") + 1 == len(amounts) + 1
        and _TOO_LONG not in lines
    )


def _collector(kind: Any) -> Callable[[Any], list[Any]] | None:
    """Return what collects the stored amounts of a type; None if it has none.

    It is a function of its own for each type, written here as text: one that follows the types
    while it runs takes three times as long.
    """
    lines = _lines(kind, "value", ())
    if not lines:
        return None
    code = ["def collect(value):", "    amounts = []", *_indented(lines), "    return amounts"]
    names: dict[str, Any] = {}
    exec("\n".join(code), names)  # noqa: S102 -- made of names of fields
    return cast("Callable[[Any], list[Any]]", names["collect"])


def _lines(kind: Any, value: str, parents: tuple[Any, ...]) -> list[str]:
    """Return the lines of code that add the stored amounts of a value to `amounts`.

    Args:
        kind: The type of the value.
        value: The expression that reads it.
        parents: The types around it; a class among them adds nothing when it comes again.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _lines(arguments[0], value, parents)
    if origin in UNIONS:
        options = [part for part in arguments if part is not NoneType]
        found = [lines for lines in (_lines(part, value, parents) for part in options) if lines]
        # Beside an object there may be its id.
        is_id = f" and type({value}) is not str" if len(options) > 1 else ""
        return [f"if {value} is not None{is_id}:", *_indented(found[0])] if found else []
    if origin in _ITEMS:
        inner = [part for part in arguments if part is not ...][-1]
        item = f"item{len(parents)}"
        lines = _lines(inner, item, (*parents, kind))
        return [f"for {item} in {value}{_ITEMS[origin]}:", *_indented(lines)] if lines else []
    if kind in parents or not fields_of(kind):
        return []
    lines = list[str]()
    for field, hint in _types_of(kind).items():
        if hasattr(kind, STORED + field):
            lines.append(f"amounts.append({value}.{STORED}{field})")
        else:
            lines += _lines(hint, f"{value}.{field}", (*parents, kind))
    return lines


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _types_of(kind: Any) -> dict[str, Any]:
    """Return the types of the fields of a class; in a generic one, with what it is made for."""
    given = dict(zip(getattr(get_origin(kind), "__parameters__", ()), get_args(kind), strict=False))
    types = hints_of(kind)
    for field, hint in types.items():
        # A type variable itself is replaced already; this one is within the type.
        if given and (variables := getattr(hint, "__parameters__", ())):
            types[field] = hint[tuple(given.get(each, each) for each in variables)]
    return types


def _refuse(value: Any, path: str) -> None:
    """Raise the error of the first wrong amount in a value, if there is one."""
    if isinstance(value, Mapping):
        for item in cast("Mapping[Any, Any]", value).values():
            _refuse(item, f"{path}[...]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(cast("Sequence[Any]", value)):
            _refuse(item, f"{path}[{index}]")
    else:
        for name in fields_of(cast("Any", type(value))):
            stored = getattr(value, STORED + name, None)
            if not may_be_amount(stored):
                raise MisfitError(f"{path}.{name}", NO_AMOUNT)
            if stored is None:
                _refuse(getattr(value, name), f"{path}.{name}")
