"""Looks at all amounts of an answer at once: a second look at each is for the answers that fail.

What to collect follows from the type of the answer, and is decided once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import NoneType
from typing import Annotated, Any, Final, cast, get_args, get_origin

from pinstripe._core.checks import MAX_DIGITS
from pinstripe._models.amounts import NO_AMOUNT, STORED, may_be_amount
from pinstripe._models.kinds import UNIONS, fields_of, hints_of
from pinstripe._models.misfits import MisfitError
from pinstripe._models.record import Record

_Collect = Callable[[Any, list[Any]], object]
"""Adds the stored amounts of a value to a list."""

_WITHOUT: Final = ("pinstripe", "pinstripe.identity", "pinstripe.files", "pinstripe.v2")
"""Modules whose models have no amounts: to look at all of their types would be a fifth of a first
call."""

_ITEMS: Final[Mapping[Any, Callable[[Any], Any]]] = {  # of the last type in the brackets
    tuple: iter,
    list: iter,
    dict: lambda value: value.values(),
}

_NO_DIGITS: Final = dict.fromkeys(map(ord, "0123456789"))
_ZEROS: Final = dict.fromkeys(map(ord, "0123456789"), "0")
_TOO_LONG: Final = "0" * (MAX_DIGITS + 1)


def check_of(kind: Any) -> Callable[[Any], None] | None:
    """Return the function that refuses a value with a wrong amount; None if it can have none.

    Args:
        kind: The type of the value. The function raises `MisfitError`.
    """
    parts = (get_origin(kind) or kind, *get_args(kind))
    ours = [part for part in parts if isinstance(part, type) and issubclass(part, Record)]
    if len(ours) == len(parts) and all(part.__module__ in _WITHOUT for part in ours):
        return None
    collect = _collector(kind, ())
    if collect is None:
        return None

    def check(value: Any) -> None:
        amounts: list[Any] = []
        collect(value, amounts)
        if not _are_simple(amounts):
            _refuse(value, "$")

    return check


def _are_simple(amounts: list[Any]) -> bool:
    """Return whether all amounts are text of digits with at most one point; nearly always they are.

    A regular expression takes ten times as long as these few steps in C.
    """
    try:
        lines = "\n".join(("", *amounts, ""))
    except TypeError:  # a number, or no amount
        return False
    # What is left of each line is its point.
    points = lines.translate(_NO_DIGITS)
    return (
        not points.strip(".\n")
        and ".." not in points
        and points.count("\n") == len(amounts) + 1
        and "\n\n" not in lines
        and "\n.\n" not in lines
        and _TOO_LONG not in lines.translate(_ZEROS)
    )


def _collector(kind: Any, parents: tuple[Any, ...]) -> _Collect | None:
    """Return what collects the amounts of a type; None if it has none.

    Args:
        kind: The type.
        parents: The classes around it, which add nothing when they come again.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _collector(arguments[0], parents)
    if origin in UNIONS:
        options = [part for part in arguments if part is not NoneType]
        found = [each for each in (_collector(part, parents) for part in options) if each]
        return _if_there(found[0], options) if found else None
    if origin in _ITEMS:
        inner = [part for part in arguments if part is not ...][-1]
        return _of_items(_collector(inner, parents), _ITEMS[origin])
    names, nested = _reach(kind, parents, "")
    # Of one name alone, `attrgetter` returns no tuple.
    get_all = attrgetter(*(names if len(names) > 1 else names * 2)) if names else None
    if get_all is None and not nested:
        return None

    def collect_of_class(value: Any, amounts: list[Any]) -> None:
        if get_all is not None:
            amounts += get_all(value)
        for get, collect in nested:
            collect(get(value), amounts)

    return collect_of_class


def _reach(
    kind: Any, parents: tuple[Any, ...], prefix: str
) -> tuple[list[str], list[tuple[Callable[[Any], Any], _Collect]]]:
    """Return how to reach the amounts in an object of a class.

    Args:
        kind: The class.
        parents: As of `_collector`.
        prefix: The path to the object from the one that is collected from.

    Returns:
        The paths of the amounts that are always there; and what collects the others, by what reads
        the value that they are in.
    """
    names, nested = list[str](), list[tuple[Callable[[Any], Any], _Collect]]()
    if kind in parents or not fields_of(kind):
        return names, nested
    parents = (*parents, kind)
    for field, hint in _types_of(kind).items():
        if hasattr(kind, STORED + field):
            names.append(f"{prefix}{STORED}{field}")
        elif isinstance(hint, type) and get_origin(hint) is None:
            inner_names, inner_nested = _reach(hint, parents, f"{prefix}{field}.")
            names += inner_names
            nested += inner_nested
        elif (collect := _collector(hint, parents)) is not None:
            nested.append((attrgetter(f"{prefix}{field}"), collect))
    return names, nested


def _types_of(kind: Any) -> dict[str, Any]:
    """Return the types of the fields of a class; in a generic one, with what it is made for."""
    given = dict(zip(getattr(get_origin(kind), "__parameters__", ()), get_args(kind), strict=False))
    types = hints_of(kind)
    for field, hint in types.items():
        # A type variable itself is replaced already; this one is within the type.
        if given and (variables := getattr(hint, "__parameters__", ())):
            types[field] = hint[tuple(given.get(each, each) for each in variables)]
    return types


def _of_items(inner: _Collect | None, items: Callable[[Any], Any]) -> _Collect | None:
    if inner is None:
        return None

    def collect(value: Any, amounts: list[Any]) -> None:
        for item in items(value):
            inner(item, amounts)

    return collect


def _if_there(inner: _Collect, options: list[Any]) -> _Collect:
    """Return what collects the amounts of an object that may also be None, or its id."""
    is_object = len(options) == 1

    def collect(value: Any, amounts: list[Any]) -> None:
        if value is not None and (is_object or not isinstance(value, str)):
            inner(value, amounts)

    return collect


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
