"""What attrs values have in common, so that attrs need not make it for each class.

attrs compiles the methods of a class when it makes it, which takes a millisecond a class; a first
call waits for twenty of them. A class that is derived from `Value`, and made with `eq=False` and
`repr=False`, has those of `Value`, and takes less than half of that.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from attrs import Attribute


class Value:
    """The base of frozen attrs classes that are compared by value.

    Fields with `eq=False` are not compared.
    """

    __slots__ = ()
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
    """The base of what holds the key, or all that went over the wire: no copy leaves with it."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise TypeError(f"a {kind} is neither pickled nor copied: it can hold secrets")
