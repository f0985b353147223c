"""Lists: from the arguments of a `list` to the requests for its pages. Nothing here awaits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from attrs import evolve, field, frozen

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_id, check_whole_number
from pinstripe._core.errors import ConfigurationError, PaginationError
from pinstripe._core.values import Value
from pinstripe._http.messages import Request
from pinstripe._models.page import Page
from pinstripe._models.record import Listed
from pinstripe._resources.endpoint import Endpoint, error_with_response, response_of

PAGE_SIZE = 100
"""Objects a page: the most that the API gives, so that a walk takes the fewest calls."""

Direction = Literal["starting_after", "ending_before"]
_DIRECTIONS: Mapping[str, Direction] = {
    "starting_after": "starting_after",
    "ending_before": "ending_before",
}

_L = TypeVar("_L", bound=Listed)


@frozen(kw_only=True, eq=False, repr=False)
class Created(Value):
    """A range of times of creation, to filter a list by.

    Attributes:
        gt: Created after this second.
        gte: Created at this second or after it.
        lt: Created before this second.
        lte: Created at this second or before it.
    """

    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None


@frozen(eq=False, repr=False)
class Paging(Value):
    """Which part of a list is asked for; the arguments that every `list` takes."""

    limit: int | None
    max_items: int | None
    starting_after: str | None
    ending_before: str | None
    cursor: str | None

    def start(self) -> tuple[Direction, str | None]:
        """Return the direction of the walk and the id it starts from.

        Raises:
            ConfigurationError: Two starts are given, or one does not have the form of an id.
        """
        names = ("starting_after", "ending_before", "cursor")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigurationError(given[1], f"cannot be used together with {given[0]}")
        if self.cursor is not None:
            return _parse_cursor(self.cursor)
        if self.ending_before is not None:
            return "ending_before", check_id("ending_before", self.ending_before)
        at = self.starting_after
        return "starting_after", None if at is None else check_id("starting_after", at)


def _parse_cursor(cursor: str) -> tuple[Direction, str]:
    text, _, at = cursor.partition(":") if isinstance(cursor, str) else ("", "", "")
    direction = _DIRECTIONS.get(text)
    if direction is not None:
        return direction, check_id("cursor", at)
    raise ConfigurationError("cursor", "must be what Pager.cursor gave")


@frozen(kw_only=True, eq=False, repr=False)
class Walk(Value, Generic[_L]):
    """Where a walk over a list stands, and which request comes next.

    Attributes:
        endpoint: The list.
        params: Its filters.
        options: The options of each call.
        direction: From newer objects to older ones, or back.
        at: The id of the object that it stands behind; None for the start.
        page_size: How many objects are asked for at once.
        remaining: How many objects it still has to give; None for all.
        keeps_bodies: Whether its objects keep the bytes that they were read from, which adds
            half of their own size.
    """

    endpoint: Endpoint[Page[_L]]
    params: Mapping[str, Any] = field(repr=False)
    options: RequestOptions | None
    direction: Direction
    at: str | None
    page_size: int
    remaining: int | None
    keeps_bodies: bool = True

    @property
    def cursor(self) -> str | None:
        """Where it stands, as text that `list(cursor=...)` goes on from."""
        return None if self.at is None else f"{self.direction}:{self.at}"

    def request(self) -> Request:
        """Return the request for the next page."""
        limit = self.page_size if self.remaining is None else min(self.page_size, self.remaining)
        params = {**self.params, "limit": limit, self.direction: self.at}
        return self.endpoint.request(params, {}, self.options)

    def items(self, page: Page[_L]) -> Sequence[_L]:
        """Return the objects of a page in the order of the walk."""
        data = page.data if self.direction == "starting_after" else page.data[::-1]
        return data if self.remaining is None else data[: self.remaining]

    def after(self, page: Page[_L]) -> Walk[_L] | None:
        """Return where the walk stands after a page; None where that was the last."""
        items = self.items(page)
        remaining = None if self.remaining is None else self.remaining - len(items)
        if not page.has_more or remaining == 0:
            return None
        return evolve(self, at=items[-1].id, remaining=remaining)


def start(
    endpoint: Endpoint[Page[_L]],
    params: Mapping[str, Any],
    paging: Paging,
    options: RequestOptions | None,
) -> Walk[_L]:
    """Return the walk that a list's arguments ask for.

    Args:
        endpoint: The list.
        params: Its filters.
        paging: Which part of it.
        options: The options of each call.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    direction, at = paging.start()
    walk = Walk(
        endpoint=endpoint,
        params=params,
        options=options,
        direction=direction,
        at=at,
        page_size=check_whole_number("limit", paging.limit, maximum=PAGE_SIZE) or PAGE_SIZE,
        remaining=check_whole_number("max_items", paging.max_items),
    )
    walk.request()  # what cannot be sent is refused here, not at the first await
    return walk


def check_page(walk: Walk[_L], page: Page[_L], seen: AbstractSet[str]) -> None:
    """Refuse a page after which a walk would never end.

    Args:
        walk: Where the walk stood when it asked for the page.
        page: The answer.
        seen: The ids that earlier pages ended with.

    Raises:
        PaginationError: The page is empty and says that there is more, or ends where an earlier
            one did.
    """
    items = walk.items(page)
    if page.has_more and not items:
        raise unending_list_error(walk, page, "an empty page says that there is more")
    if items and (items[-1].id in seen or items[-1].id == walk.at):
        raise unending_list_error(walk, page, "a page ends where an earlier one did")


def unending_list_error(walk: Walk[_L], page: Page[_L], problem: str) -> PaginationError:
    """Return the error of a list that cannot be walked to its end.

    Args:
        walk: Where the walk stood when it asked for the page.
        page: The answer.
        problem: What is wrong with it.
    """
    error = PaginationError(f"the list {walk.endpoint.template} cannot end: {problem}")
    error.cursor, error.call = walk.cursor, f"GET {walk.endpoint.template}"
    return error_with_response(error, response_of(page))
