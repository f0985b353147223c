"""The methods that attrs values share, so that attrs does not make them for each class.

attrs compiles the methods of a class when the class is made, which takes a millisecond a class, and
a first call waits for twenty classes. A class that is derived from `Value`, and made with
`eq=False` and `repr=False`, uses the methods of `Value` and takes less than half of that time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from attrs import Attribute


class Value:
    """The base of frozen attrs classes that are compared by value.

    Fields with `eq=False` are not compared.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # `typing.get_type_hints` could not evaluate it: no `Attribute[Any]` exists
        __attrs_attrs__: ClassVar[tuple[Attribute[Any], ...]]

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), _values(self)))

    def __repr__(self) -> str:
        shown = (attribute.name for attribute in self.__attrs_attrs__ if attribute.repr)
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({fields})"


def _values(value: Any) -> tuple[Any, ...]:
    return tuple(
        getattr(value, attribute.name) for attribute in value.__attrs_attrs__ if attribute.eq
    )


class Unpicklable:
    """The base of classes that hold the key or the bytes of a call: they refuse to be copied."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise TypeError(f"{kind} is neither pickled nor copied: it can hold secrets")
