"""What types are made of: the fields of classes, and the types within a type."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from typing_extensions import is_typeddict

from pinstripe._models.amounts import meant_by
from pinstripe._models.record import is_private

UNIONS: Final = (Union, UnionType)
"""What the two ways to write a union have as their origin."""


@cache
def fields_of(kind: Any) -> Mapping[str, bool]:
    """Return the names of the fields of a class, and whether its repr shows each.

    A repr leaves private fields out: those of type `Private[...]`, and in an attrs class or a
    dataclass those with `field(repr=False)`.

    Args:
        kind: A class; one that is no attrs class, dataclass or Struct has no fields.
    """
    origin = get_origin(kind) or kind
    if attrs.has(origin):
        return {field.name: bool(field.repr) for field in attrs.fields(origin)}
    if dataclasses.is_dataclass(origin):
        return {field.name: field.repr for field in dataclasses.fields(origin)}
    names = getattr(origin, "__struct_fields__", ())
    return {name: not is_private(hints_of(origin)[name]) for name in names}


def hints_of(kind: Any) -> dict[str, Any]:
    """Return the types of the fields of a class; empty if it has none.

    Args:
        kind: An attrs class, a dataclass, a TypedDict or a model; also a generic one.

    Raises:
        NameError: An annotation names what is not there.
    """
    origin = get_origin(kind) or kind
    has_fields = attrs.has(origin) or dataclasses.is_dataclass(origin) or is_typeddict(origin)
    if not has_fields and not hasattr(origin, "__struct_fields__"):
        return {}
    found = get_type_hints(origin, include_extras=True)
    hints = {name: meant_by(hint) for name, hint in found.items()}
    given = dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=False))
    return {name: given.get(hint, hint) if given else hint for name, hint in hints.items()}


def has_field(kind: Any, name: str, wanted: type[Any]) -> bool:
    """Return whether the objects of a type have an attribute of another type.

    Args:
        kind: A class; or a union, each of whose classes must have it.
        name: The name of the attribute.
        wanted: Its type; None is not among its values.
    """
    if get_origin(kind) in UNIONS:
        return all(has_field(part, name, wanted) for part in get_args(kind))
    origin = get_origin(kind) or kind
    # The keys of a dict are no attributes.
    if not isinstance(origin, type) or is_typeddict(origin):
        return False
    hint = {**get_type_hints(origin), **hints_of(kind)}.get(name)
    if hint is None:
        return hasattr(origin, name)  # such as a property
    while get_origin(hint) is Annotated or hasattr(hint, "__supertype__"):
        hint = parts_of(hint)[0]
    return isinstance(hint, type) and issubclass(hint, wanted)


def name_of(kind: Any) -> str:
    """Return the name of a type, as an error says it.

    Args:
        kind: The type.
    """
    if get_origin(kind) in UNIONS:
        return " | ".join("None" if part is NoneType else name_of(part) for part in get_args(kind))
    return str(getattr(kind, "__name__", kind))


def types_in(kind: Any) -> Iterator[Any]:
    """Yield a type, and every type in it and in the fields of its classes.

    Args:
        kind: The type.
    """
    seen: list[Any] = []
    waiting = [kind]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.append(one)
            yield one
            waiting += parts_of(one)


def parts_of(kind: Any) -> list[Any]:
    """Return the types that a type is directly made of.

    Args:
        kind: The type.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return []
    if origin is Annotated:
        return [arguments[0]]
    base = getattr(kind, "__supertype__", None) or getattr(kind, "__value__", None)
    inner = [argument for argument in arguments if argument is not ...]
    return [*([] if base is None else [base]), *inner, *hints_of(kind).values()]
