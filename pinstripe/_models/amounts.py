"""The amounts of answers: plain decimal numbers, and nothing else that `Decimal` reads.

`Decimal` also reads `NaN`, `1_000`, digits of other scripts and `1e300000000`, which is a gigabyte
when it is written out. msgspec fills the fields of type Decimal itself, and keeps no text.

So each answer with amounts is looked at twice. First a few scans in C, of the body and of the
amounts, ask whether anything could be wrong with any of them. Nearly always nothing can. Otherwise
the body is read again, as a class that has the amounts alone, as text of a certain form.

In a model of this package, each Decimal is an amount; a class of the caller may hold any Decimal.
An amount is text of ASCII digits, of at most 40 before and 40 after the point, or such a number;
spaces around it are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import (
    Clamped,
    Context,
    Decimal,
    DecimalException,
    Inexact,
    InvalidOperation,
    Overflow,
    Subnormal,
)
from functools import cache
from operator import attrgetter
from types import GenericAlias
from typing import Annotated, Any, Final, TypeAlias, Union

import msgspec
from attrs import frozen
from msgspec import inspect

from pinstripe._core.checks import MAX_DIGITS

_DIGITS: Final = rf"[0-9]{{1,{MAX_DIGITS}}}"
_TEXT: Final = rf"\A *-?(?:{_DIGITS}(?:\.{_DIGITS}|\.)?|\.{_DIGITS})(?:[eE][+-]?[0-3]?[0-9])? *\Z"
_MOST: Final = float(10**MAX_DIGITS)
_NUMBER: Final = Annotated[float, msgspec.Meta(gt=-_MOST, lt=_MOST)]
_AMOUNT: Final = Annotated[str, msgspec.Meta(pattern=_TEXT)] | int | _NUMBER

# What else a union with amounts in it can have.
_OTHERS: Final[dict[type[Any], Any]] = {inspect.NoneType: None, inspect.StrType: str}

# Refuses a Decimal with more digits than an amount can have.
_BOUNDED: Final = Context(
    prec=2 * MAX_DIGITS,
    Emin=-MAX_DIGITS,
    Emax=MAX_DIGITS - 1,
    traps=[Clamped, Inexact, InvalidOperation, Overflow, Subnormal],
)

_Collect: TypeAlias = Callable[[Any, list[Any]], None]


@frozen
class Amounts:
    """The amounts of a model.

    Attributes:
        kind: The type that has them alone, as text.
        collect: Appends them, and None for those that are not there, to a list.
        is_one: Whether it is a single amount, which may be None.
    """

    kind: Any
    collect: _Collect
    is_one: bool = False

    def are_bounded(self, value: Any) -> bool:
        """Return whether all amounts are numbers of a length that an amount can have.

        Args:
            value: The model that has them.
        """
        found: list[Any] = []
        self.collect(value, found)
        amounts = [amount for amount in found if amount is not None]
        try:
            return all(map(Decimal.is_finite, map(_BOUNDED.plus, amounts)))
        except DecimalException:
            return False


def are_plain(body: bytes) -> bool:
    """Return whether all amounts are certainly plain text; False if they must be read as text.

    Args:
        body: The answer.
    """
    # An underscore between digits is what cannot be seen in a Decimal. In names and words of
    # the API a letter follows each; what sorts before the letters makes one suspicious.
    _, *behind_underscores = body.split(b"_")
    if min(behind_underscores, default=b"a") < b"A":
        return False
    # A digit of another script is not ASCII, or escaped.
    return body.isascii() and b"\\" not in body and b"+" not in body


@cache
def amounts_of(model: Any) -> Amounts | None:
    """Return the amounts of a model; None if it has none.

    Args:
        model: A class that msgspec can build.
    """
    return _amounts_in(inspect.type_info(model), ())


def _amounts_in(node: Any, parents: tuple[Any, ...]) -> Amounts | None:
    """Return the amounts in a type; a class inside of itself adds none."""
    found: Amounts | None = None
    match node:
        case inspect.DecimalType() if parents:
            if parents[-1].__module__.partition(".")[0] == "pinstripe":
                found = Amounts(_AMOUNT, lambda value, found: found.append(value), is_one=True)
        case inspect.Metadata(type=inner):
            found = _amounts_in(inner, parents)
        case inspect.StructType() | inspect.DataclassType() if node.cls not in parents:
            inside = (*parents, node.cls)
            found = _of_fields([(field, _amounts_in(field.type, inside)) for field in node.fields])
        case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner):
            items = _amounts_in(inner, parents)
            found = items and Amounts(GenericAlias(list, (items.kind,)), _each(items, iter))
        case inspect.DictType(value_type=inner):
            items = _amounts_in(inner, parents)
            kind = items and GenericAlias(dict, (str, items.kind))
            found = items and Amounts(kind, _each(items, dict.values))
        case inspect.UnionType(types=options):
            found = _of_union([(type(option), _amounts_in(option, parents)) for option in options])
        case _:
            pass
    return found


def _of_fields(parts: list[tuple[Any, Amounts | None]]) -> Amounts | None:
    """Return the amounts of a class from those of its fields."""
    inner = [(field, amounts) for field, amounts in parts if amounts is not None]
    if not inner:
        return None
    fields = [(field.encode_name, amounts.kind, None) for field, amounts in inner]
    # Most fields with amounts are amounts: they are read together, in C.
    names = [field.name for field, amounts in inner if amounts.is_one]
    rest = [(field.name, amounts.collect) for field, amounts in inner if not amounts.is_one]
    read = attrgetter(*names, *names[:1]) if names else None

    def collect(value: Any, found: list[Any]) -> None:
        if read is not None:
            found += read(value)
        for name, collect_from in rest:
            collect_from(getattr(value, name), found)

    return Amounts(msgspec.defstruct("Amounts", fields), collect)


def _each(items: Amounts, items_of: Callable[[Any], Iterable[Any]]) -> _Collect:
    """Return what collects from each item of a container."""

    def collect(value: Any, found: list[Any]) -> None:
        for item in items_of(value):
            items.collect(item, found)

    return collect


def _of_union(parts: list[tuple[type[Any], Amounts | None]]) -> Amounts | None:
    """Return the amounts of a union from those of its options; a union has one class at most."""
    inner = [amounts for _, amounts in parts if amounts is not None]
    if not inner:
        return None
    (option,) = inner
    # The union of types that are known only now.
    kinds = tuple(_OTHERS[kind] if found is None else found.kind for kind, found in parts)
    kind: Any = Union.__getitem__(kinds)
    if option.is_one:
        return Amounts(kind, option.collect, is_one=True)

    def collect(value: Any, found: list[Any]) -> None:
        if value is not None and not isinstance(value, str):
            option.collect(value, found)

    return Amounts(kind, collect)
