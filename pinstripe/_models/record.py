"""How models are made: attrs classes whose instances msgspec lays out and fills in C.

msgspec builds a plain attrs class attribute by attribute: a page of 100 sessions takes longer than
`json.loads` of the same bytes. It writes the fields of its own `Struct` straight into place, in
less than half of that time and in less memory. So a model is both: its layout is that of a frozen
`Struct`, and attrs knows its fields, so `attrs.fields`, `evolve` and `asdict` work.

attrs compiles methods for each class that it makes. For models that would be most of the time that
the import of a product takes (14 of 16 ms for `identity`), for methods that are hardly ever called.
So models share the methods of `Record`, and attrs makes the fields of a class when it is first
asked for them.

The garbage collector does not visit models, since data that was read from JSON holds no cycles. A
program with many models pays nothing for them, and each one is 16 bytes smaller.

Private fields show in no repr. A pickle or a copy holds them, since a cache or another process
needs the whole object; it never holds the answer that the model came from. `to_dict` gives
everything of a model as plain data, which `from_dict` reads back; `msgspec.json.encode` gives the
same fields as JSON, with times as text.

Models that are equal have the same hash, which covers every field, metadata too: a model is a value
that nobody changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from inspect import get_annotations
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, TypeVar, cast, get_origin

import attrs
import msgspec
from typing_extensions import dataclass_transform

from pinstripe._models.amounts import meant_by, read_amounts_as_decimals, store_amounts_as_text

_T = TypeVar("_T")

Private = Annotated[_T, "private"]
"""The type of a field that is left out of every repr: a secret, or data about a person."""

# How such a type begins in an annotation that was not evaluated.
_PRIVATE_PREFIX = "Private["

# Type checkers see plain classes, since `model` describes what they become. At run time the classes
# are Structs of msgspec.
if TYPE_CHECKING:

    class Record:
        """The base of every structured object."""

        __attrs_attrs__: ClassVar[tuple[attrs.Attribute[Any], ...]]

    class Model(Record):
        """The base of the objects that the API answers with: it holds the answer it came from."""

        _response: object

    class Listed(Model):
        """The base of the models that lists hold: the id of the last one is the cursor."""

        id: str

else:

    class _Layout(type(msgspec.Struct)):
        def __new__(
            cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
        ) -> type:
            amounts = store_amounts_as_text(namespace)
            # A frozen object that was built from JSON is in no cycle, so the collector skips it.
            options.update(frozen=True, kw_only=True, gc=False)
            made = super().__new__(cls, name, bases, namespace, **options)
            read_amounts_as_decimals(made, amounts)
            return made

    class Record(msgspec.Struct, metaclass=_Layout):
        """The base of every structured object."""

        def __eq__(self, other: object) -> Any:
            return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

        def __hash__(self) -> int:
            return hash((type(self), hashable(_values(self))))

        def __repr__(self) -> str:
            shown = shown_fields(type(self))
            fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
            return f"{type(self).__name__}({fields})"

        def __reduce__(self) -> tuple[Any, ...]:
            return _rebuild, (
                type(self),
                dict(zip(self.__struct_fields__, _values(self), strict=True)),
            )

        def _repr_html_(self) -> str:
            # The name that notebooks look for.
            from pinstripe._models.notebook import record_html  # noqa: PLC0415 -- few need it

            return record_html(self)

        def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
            # Replaces the method of msgspec, which shows every field.
            return ((name, getattr(self, name)) for name in shown_fields(type(self)))

    class _Answered:
        # A plain slot and no field: msgspec neither fills it from an answer nor encodes it.
        __slots__ = ("_response",)

    class Model(_Answered, Record):
        """The base of the objects that the API answers with: it holds the answer it came from."""

    class Listed(Model):
        """The base of the models that lists hold: the id of the last one is the cursor."""


class Identified(Protocol):
    """What lists hold: models, and objects of the classes of users."""

    @property
    def id(self) -> str:
        """The id; that of the last object of a page is the cursor."""
        ...


def _rebuild(model: type[_T], fields: dict[str, Any]) -> _T:
    return model(**fields)


def hashable(value: Any) -> Any:
    """Return something to hash in place of a value; the same for values that are equal.

    Args:
        value: A value of a model: metadata and other plain data are not hashable themselves.
    """
    if isinstance(value, dict):
        entries = cast("dict[Any, Any]", value)
        return frozenset((key, hashable(inner)) for key, inner in entries.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(hashable, cast("Sequence[Any]", value)))
    return value


@cache
def shown_fields(cls: Any) -> tuple[str, ...]:
    """Return the names of the fields that a model shows of itself: those that are not private.

    Args:
        cls: The class.
    """
    types = _types(cls)
    return tuple(name for name in cls.__struct_fields__ if not is_private(types[name]))


def _types(cls: type[Any]) -> dict[str, Any]:
    types: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        types |= {name: meant_by(hint) for name, hint in get_annotations(base).items()}
    return types


def _values(record: object) -> tuple[Any, ...]:
    struct: Any = record
    return tuple(getattr(record, name) for name in struct.__struct_fields__)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def model(cls: type[_T]) -> type[_T]:
    """Make a class derived from `Record` an attrs class: frozen, keyword-only, compared by value.

    Args:
        cls: The class, with annotated fields; fields of type `Private[...]` stay out of its repr.
    """
    struct: Any = cls
    struct.__attrs_attrs__ = _Fields()
    return cls


class _Fields:
    """Makes the fields of a class when attrs first asks for them, and is then replaced by them."""

    def __get__(self, _: object, owner: Any) -> tuple[attrs.Attribute[Any], ...]:
        owner.__attrs_attrs__ = fields = _attributes(owner)
        return fields


def _attributes(cls: type[Any]) -> tuple[attrs.Attribute[Any], ...]:
    """Return the fields of a class as attrs makes them from their names, types and defaults."""
    struct: Any = cls
    # msgspec keeps the defaults of the last fields only; the fields before them have none.
    names, defaults = struct.__struct_fields__, struct.__struct_defaults__
    padded = (msgspec.NODEFAULT,) * (len(names) - len(defaults)) + defaults
    given = dict(zip(names, padded, strict=True))
    types, shown = _types(cls), shown_fields(struct)
    these = {name: attrs.field(default=_default(given[name]), repr=name in shown) for name in names}
    # A throwaway class of attrs; its fields are the only part of it that is used.
    twin = type(cls.__name__, (), {"__annotations__": types})
    made: Any = attrs.frozen(twin, these=these, kw_only=True, repr=False, eq=False)
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(made)
    return fields


def _default(value: Any) -> Any:
    if value is msgspec.NODEFAULT:
        return attrs.NOTHING
    factory = getattr(value, "factory", None)
    return value if factory is None else attrs.Factory(factory)


def is_private(annotation: Any) -> bool:
    """Return whether a type is `Private[...]`.

    Args:
        annotation: The type of a field or of a parameter, evaluated or as text.
    """
    if isinstance(annotation, str):
        return annotation.startswith(_PRIVATE_PREFIX)
    return get_origin(annotation) is Annotated and "private" in annotation.__metadata__


def attach_response(response: object, *values: Any) -> None:
    """Store in models the answer that they came from.

    Args:
        response: The answer.
        values: Models that nothing but the decoder has seen: they are frozen for everybody else.
            An object of another class has no place for the answer, and stays as it is.
    """
    for value in values:
        try:
            msgspec.structs.force_setattr(value, "_response", response)
        except (TypeError, AttributeError):  # noqa: PERF203 -- costs nothing where nothing is raised
            continue
