"""Objects as rows: which columns a class has, and how their values are read.

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
from enum import Enum
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
)

from attrs import frozen

from pinstripe._core.errors import ConfigurationError
from pinstripe._models.convert import unstructure
from pinstripe._models.kinds import fields_of, has_field, hints_of, name_of
from pinstripe._models.open_map import OpenMap
from pinstripe._models.record import Listed
from pinstripe._resources.onramp_params import WIRE_KEYS
from pinstripe._resources.pager import ListReader

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


def columns_of(model: Any, *, reveal: bool) -> tuple[Column, ...]:
    """Return the columns of a model, in the order of its fields.

    Args:
        model: The class.
        reveal: Whether private fields are among them.

    Raises:
        ConfigurationError: It is no class with fields.
    """
    if not fields_of(model):
        problem = f"must have objects of one class with fields, and {name_of(model)} is none"
        raise ConfigurationError("pager", problem)
    return tuple(_columns(model, (), (), reveal=reveal))


def columns_of_list(reader: ListReader[Any], *, reveal: bool) -> tuple[Column, ...]:
    """Return the columns of the objects of a list; see `columns_of`.

    Args:
        reader: What reads the list.
        reveal: Whether private fields are among them.

    Raises:
        ConfigurationError: Its objects are of no class with fields.
    """
    return columns_of(get_args(reader.walk.endpoint.model)[0], reveal=reveal)


def _columns(
    model: Any, parents: tuple[str, ...], owners: tuple[Any, ...], *, reveal: bool
) -> Iterator[Column]:
    """Yield the columns of a class that is reached by the fields `parents` of `owners`."""
    hints = hints_of(model)
    owners = (*owners, model)
    for field, is_shown in fields_of(model).items():
        # The fields that a repr leaves out are the private ones.
        if not (is_shown or reveal):
            continue
        path = (*parents, field)
        name = ".".join(path)
        types = tuple(_alternatives(hints[field]))
        kind = _KINDS.get(types[0]) if len(types) == 1 else None
        options: tuple[Any, ...] = types
        inner = [option for option in options if fields_of(option)]
        if kind is not None:
            yield Column(name, kind, _reader(path, None))
        elif inner and _is_expandable(types):
            # The id, or the object if the call asked for it.
            yield Column(name, "text", _reader(path, _id))
        elif len(inner) == 1 and {*types} <= {*inner, str} and inner[0] not in owners:
            # The model makes an object of a text, as `Event` does of an old request.
            yield from _columns(inner[0], path, owners, reveal=reveal)
        elif len(types) == 1 and _has_texts(types[0]):
            yield Column(name, "text", _reader(path, _value))
        else:
            yield Column(name, "json", _reader(path, _revealed_json if reveal else _public_json))


def _is_expandable(types: tuple[type[Any], ...]) -> bool:
    """Return whether the API sends the id of an object, or the object itself."""
    objects = [option for option in types if option is not str]
    # A class of a user can be of an object that is never sent as its id.
    is_known = len(objects) < len(types) or all(issubclass(one, Listed) for one in objects)
    return is_known and all(has_field(one, "id", str) for one in objects)


def _has_texts(kind: type[Any]) -> bool:
    return issubclass(kind, Enum) and all(isinstance(one.value, str) for one in kind)


def _alternatives(hint: Any) -> Iterator[type[Any]]:
    """Yield the classes that a value can have besides None."""
    if get_origin(hint) is Annotated:
        yield from _alternatives(get_args(hint)[0])
    elif get_origin(hint) in (Union, UnionType):
        # A dict keeps the order and drops doubles: `Literal["a"] | str` is text once.
        yield from {kind: None for option in get_args(hint) for kind in _alternatives(option)}
    elif get_origin(hint) is Literal:
        yield from {type(value): None for value in get_args(hint)}
    elif hasattr(hint, "__supertype__"):
        yield from _alternatives(hint.__supertype__)
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


def _value(value: Any) -> str:
    return str(value.value)


_json = json.JSONEncoder(separators=(",", ":"), default=unstructure).encode


def _revealed_json(value: Any) -> str:
    return _json(_named(value))


def _public_json(value: Any) -> str:
    return _json(_public(value))


def _public(value: Any) -> Any:
    """Return a value without the private fields of the objects in it."""
    kind = cast("Any", type(value))
    if fields := fields_of(kind):
        return {name: _public(getattr(value, name)) for name, shown in fields.items() if shown}
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value)
        return {name: _public(item) for name, item in entries.items()}
    if isinstance(value, (tuple, list)):
        return [_public(item) for item in cast("Sequence[Any]", value)]
    return value
