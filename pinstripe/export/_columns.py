"""Models as rows: which columns a model has, and how their values are read.

A nested object gives a column for each of its fields, named by the path to it, such as
`options.document.require_matching_selfie`; the network Base is `base`, as in arguments, and not
the API's `base_network`. An object that the API can also send as its id gives the id. What has no
fixed number of values (a list, metadata, the object of an event) is a column of JSON. The columns
follow from the model alone, never from the objects, so every export of a resource has the same
columns. Private fields are columns only if the caller asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from attrs import fields, frozen

from pinstripe._models.convert import unstructure
from pinstripe._models.open_map import OpenMap
from pinstripe._models.record import Listed, Record
from pinstripe._resources.onramp_params import WIRE_KEYS

Kind: TypeAlias = Literal[
    "text", "integer", "number", "boolean", "decimal", "timestamp", "date", "json"
]

_KINDS: Mapping[type[Any], Kind] = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "number",
    Decimal: "decimal",
    datetime: "timestamp",
    date: "date",
}


# A network is called as arguments call it: `base`, where the API has the key `base_network`.
_ARGUMENT_NAMES = {key: name for name, key in WIRE_KEYS.items()}


@frozen
class Column:
    """One column of a table.

    Attributes:
        name: The names of the fields on the path to it, joined by dots.
        kind: The type of its values; each may be None.
        read: Returns its value in an object.
    """

    name: str
    kind: Kind
    read: Callable[[Any], Any]


def columns_of(model: type[Any], *, reveal: bool) -> tuple[Column, ...]:
    """Return the columns of a model, in the order of its fields.

    Args:
        model: The class.
        reveal: Whether private fields are among them.
    """
    return tuple(_columns(model, (), reveal=reveal))


def _columns(model: type[Any], parents: tuple[str, ...], *, reveal: bool) -> Iterator[Column]:
    """Yield the columns of a model that is reached by the fields `parents`."""
    hints = get_type_hints(model, include_extras=True)
    for attribute in fields(model):
        # The fields that a repr leaves out are the private ones.
        if not (attribute.repr or reveal):
            continue
        path = (*parents, attribute.name)
        name = ".".join(path)
        types = tuple(_alternatives(hints[attribute.name]))
        kind = _KINDS.get(types[0]) if len(types) == 1 else None
        inner = [option for option in types if issubclass(option, Record)]
        if kind is not None:
            yield Column(name, kind, _reader(path, None))
        elif inner and all(issubclass(option, Listed) or option is str for option in types):
            # Expandable: the id, or the object if the call asked for it.
            yield Column(name, "text", _reader(path, _id))
        elif len(inner) == 1 and {*types} <= {*inner, str}:
            # The model makes an object of a text, as `Event` does of an old request.
            yield from _columns(inner[0], path, reveal=reveal)
        else:
            yield Column(name, "json", _reader(path, _revealed_json if reveal else _public_json))


def _alternatives(hint: Any) -> Iterator[type[Any]]:
    """Yield the classes that a value can have besides None."""
    if get_origin(hint) is Annotated:
        yield from _alternatives(get_args(hint)[0])
    elif get_origin(hint) in (Union, UnionType):
        # A dict keeps the order and drops doubles: `Literal["a"] | str` is text once.
        yield from {kind: None for option in get_args(hint) for kind in _alternatives(option)}
    elif get_origin(hint) is Literal:
        yield from {type(value): None for value in get_args(hint)}
    elif hint is not NoneType:
        yield hint if isinstance(hint, type) else get_origin(hint) or object


def _reader(path: tuple[str, ...], convert: Callable[[Any], str] | None) -> Callable[[Any], Any]:
    """Return a function that follows a path of fields; None on the way is the value."""
    if len(path) == 1 and convert is None:
        return attrgetter(*path)

    def read(value: Any) -> Any:
        for name in path:
            if value is None:
                return None
            value = getattr(value, name)
        return value if value is None or convert is None else convert(value)

    return read


def _named(value: Any) -> Any:
    """Return a map of networks with the names that arguments have; anything else as it is."""
    if not isinstance(value, OpenMap):
        return value
    entries = value.items()
    return {_ARGUMENT_NAMES.get(name, name): item for name, item in entries}


def _id(value: Any) -> str:
    return value if isinstance(value, str) else str(value.id)


def _unstructured(value: Any) -> Any:
    return unstructure(value)


_json = json.JSONEncoder(separators=(",", ":"), default=_unstructured).encode


def _revealed_json(value: Any) -> str:
    return _json(_named(value))


def _public_json(value: Any) -> str:
    return _json(_public(value))


def _public(value: Any) -> Any:
    """Return a value without the private fields of the objects in it."""
    if isinstance(value, Record):
        shown = (field.name for field in fields(type(value)) if field.repr)
        return {name: _public(getattr(value, name)) for name in shown}
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value)
        return {name: _public(item) for name, item in entries.items()}
    if isinstance(value, (tuple, list)):
        return [_public(item) for item in cast("Sequence[Any]", value)]
    return value
