"""Maps with open keys: objects of the API whose fields are networks, and so can be new.

A model has a fixed set of fields, and drops what is newer. A map keeps every key of the answer, and
names those that are known, so that a type checker and an editor know them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar, overload

from typing_extensions import Self

from pinstripe._models.record import hashable

_T = TypeVar("_T")


class OpenMap(dict[str, Any]):
    """The base of such a map: a dict whose values, which are private, show in no repr."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride] -- as every model
        return hash(hashable(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<{len(self)} keys>)"

    def __rich_repr__(self) -> Iterator[str]:
        # rich would show every entry of a dict.
        yield f"<{len(self)} keys>"


class Entry(Generic[_T]):
    """A known key of a map as an attribute, which is None if the map does not have it.

    Args:
        key: The key; by default the name of the attribute.
    """

    def __init__(self, key: str | None = None) -> None:
        self._key = key

    def __set_name__(self, owner: type[OpenMap], name: str) -> None:
        self._key = self._key or name

    @overload
    def __get__(self, instance: None, owner: type[OpenMap]) -> Self: ...

    @overload
    def __get__(self, instance: OpenMap, owner: type[OpenMap]) -> _T | None: ...

    def __get__(self, instance: OpenMap | None, owner: type[OpenMap]) -> Any:
        if instance is None:
            return self
        assert self._key is not None
        return instance.get(self._key)
