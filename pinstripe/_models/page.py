"""One page of a list."""

# Annotations are not strings here: msgspec would look their names up in `pinstripe`, the module of
# the class.

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from pinstripe._models.record import Model, model

_T = TypeVar("_T")

if TYPE_CHECKING:
    _Flag: TypeAlias = bool
else:
    # The lax mode of msgspec would read "false" and 0 as False, which ends a walk.
    _Flag = Any


@model
class Page(Model, Generic[_T]):
    """One page of a list.

    Attributes:
        data: The objects, newest first.
        has_more: Whether there are more objects in the direction of the list.
        url: The path of the list.
    """

    __module__ = "pinstripe"
    object: Literal["list"] = "list"
    data: tuple[_T, ...]
    has_more: _Flag
    url: str | None = None

    def __post_init__(self) -> None:
        if self.has_more is not True and self.has_more is not False:
            raise TypeError("Expected `bool` - at `$.has_more`")

    def __repr__(self) -> str:
        return f"Page(<{len(self.data)} objects>, has_more={self.has_more})"

    def _repr_html_(self) -> str:
        from pinstripe._models.notebook import page_html  # noqa: PLC0415 -- few need it

        return page_html(self.data, has_more=self.has_more)

    def __iter__(self) -> Iterator[_T]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


@model
class LinkedPage(Page[_T], Generic[_T]):
    """One page of a list of `/v2`, whose answers link to the pages beside them.

    Attributes:
        next_page_url: The path and the query of the next page; None if this is the last one.
        previous_page_url: Those of the page before it; None if this is the first one.
    """

    has_more: _Flag = False
    next_page_url: str | None = None
    previous_page_url: str | None = None

    def __post_init__(self) -> None:
        page: Any = self
        msgspec.structs.force_setattr(page, "has_more", self.next_page_url is not None)
