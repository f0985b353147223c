"""Walks over lists: from the arguments of a `list` call to the requests for its pages.

A walk reads a list page by page. `Walk` is its position, a frozen value: it says which request
comes next, and which position follows after the answer. Nothing here awaits.

https://docs.stripe.com/api/pagination
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_id, check_whole_number, kind_of
from pinstripe._core.errors import ConfigurationError, PaginationError
from pinstripe._core.values import Value
from pinstripe._http.encoding import timestamp
from pinstripe._http.messages import Request
from pinstripe._models.page import Page
from pinstripe._models.record import Identified
from pinstripe._resources.endpoint import Endpoint, error_with_response, response_of
from pinstripe._resources.params import check_params
from pinstripe._resources.unfit import AnyPage, MixedPage, OnUnfit

PAGE_SIZE: Final = 100
"""Objects in a page: the most that the API gives, so that a walk takes the fewest requests."""

Direction: TypeAlias = Literal["starting_after", "ending_before"]
_DIRECTIONS: Final[Mapping[str, Direction]] = {
    "starting_after": "starting_after",
    "ending_before": "ending_before",
}

_L = TypeVar("_L", bound=Identified)


@frozen(kw_only=True, eq=False, repr=False)
class Created(Value):
    """A range of times of creation, to filter a list by.

    Objects have whole seconds, so a time between two of them is rounded to the one that gives the
    same objects: `gte` and `lt` up, `gt` and `lte` down. Lists of `/v2` get the exact time.

    Attributes:
        gt: Only objects created after this second.
        gte: Only objects created in this second or after it.
        lt: Only objects created before this second.
        lte: Only objects created in this second or before it.
    """

    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None


# The module that users import it from; see the end of `_config.options`.
Created.__module__ = "pinstripe"


def _exact_created(value: Any) -> Any:
    """Return a filter by time as it is sent: a range, a single second, or None."""
    if isinstance(value, datetime):
        return timestamp("created", value, "down")  # a single time means its whole second
    return check_range(value, "a Created or a datetime")


def check_range(value: Any, wanted: str) -> Any:
    """Return a filter by time if it is a range, or None.

    Args:
        value: The filter.
        wanted: What it may be, as the error says it.

    Raises:
        ConfigurationError: It is something else, or has a bound that is no datetime.
    """
    if value is not None and not isinstance(value, Created):
        raise ConfigurationError("created", f"must be {wanted}, not {kind_of(value)}")
    for name in ("gt", "gte", "lt", "lte"):
        bound = getattr(value, name, None)
        if bound is not None and not isinstance(bound, datetime):
            problem = f"must be a datetime, not {kind_of(bound)}"
            raise ConfigurationError(f"created[{name}]", problem)
    return value


@frozen(eq=False, repr=False)
class Paging(Value):
    """The arguments that every `list` call takes: which part of the list to read.

    Attributes:
        limit: Objects in a page.
        max_items: Objects in the whole walk, at most.
        starting_after: The id after which the walk starts.
        ending_before: The id before which it starts, to go to newer objects.
        cursor: Where an earlier walk stopped, in place of an id.
    """

    limit: int | None
    max_items: int | None
    starting_after: str | None
    ending_before: str | None
    cursor: str | None

    def sizes(self) -> tuple[int, int | None]:
        """Return how many objects to ask for at once, and how many to hand out; None for all.

        Raises:
            ConfigurationError: A number is none, or out of its range.
        """
        limit, most = PAGE_SIZE, None
        if self.limit is not None:
            limit = check_whole_number("limit", self.limit, maximum=PAGE_SIZE)
        if self.max_items is not None:
            most = check_whole_number("max_items", self.max_items)
        return limit, most

    def start_position(self) -> tuple[Direction, str | None]:
        """Return the direction of the walk and the id it starts from.

        Raises:
            ConfigurationError: Two starts are given, or one is neither an id nor a cursor.
        """
        names = ("starting_after", "ending_before", "cursor")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigurationError(given[1], f"cannot be used together with {given[0]}")
        if self.cursor is not None:
            return _parse_cursor(self.cursor)
        if self.ending_before is not None:
            return "ending_before", check_id("ending_before", self.ending_before)
        id = self.starting_after
        return "starting_after", None if id is None else check_id("starting_after", id)


def _parse_cursor(cursor: str) -> tuple[Direction, str]:
    name, _, id = cursor.partition(":") if isinstance(cursor, str) else ("", "", "")
    direction = _DIRECTIONS.get(name)
    if direction is not None:
        return direction, check_id("cursor", id)
    raise ConfigurationError("cursor", "must be a value of Pager.cursor")


@frozen(kw_only=True, eq=False, repr=False)
class Walk(Value, Generic[_L]):
    """The position of a walk over a list, from which the next page is asked for.

    Attributes:
        endpoint: The list.
        params: Its filters.
        options: The options of each call.
        direction: From newer objects to older ones, or the reverse.
        after_id: The id of the object that the next page comes after, in the direction of the
            walk; None for the start of the list.
        page_size: How many objects to ask for at once.
        remaining: How many objects are still to be handed out; None for all.
        keeps_bodies: Whether its objects keep the bytes that they were read from, which takes
            half of their own size in addition.
        on_unfit: Is called for each object that does not fit its class, and is left out; None if
            its error is raised.
        is_dated: Whether its objects have the time `created`, which a parallel walk needs.
    """

    endpoint: Endpoint[Page[_L]]
    params: Mapping[str, Any] = field(repr=False)
    options: RequestOptions | None
    direction: Direction
    after_id: str | None
    page_size: int
    remaining: int | None
    keeps_bodies: bool = True
    on_unfit: OnUnfit | None = field(default=None, repr=False)
    is_dated: bool = True

    @property
    def cursor(self) -> str | None:
        """The position as text, which `list(cursor=...)` resumes from."""
        return None if self.after_id is None else self.cursor_behind(self.after_id)

    def cursor_behind(self, id: str) -> str:
        """Return the cursor that resumes behind an object.

        Args:
            id: Its id.
        """
        return f"{self.direction}:{id}"

    @property
    def has_windows(self) -> bool:
        """Whether it can be asked for in windows of `created`, many at once."""
        return "created" in self.params

    @property
    def can_be_parallel(self) -> bool:
        """Whether a parallel walk can be made of it."""
        return self.has_windows and self.is_dated and self.direction != "ending_before"

    @property
    def origin(self) -> str | None:
        """Where the page begins, in the words of `end_of`; None for the start of the list."""
        return self.after_id

    @cached_property
    def request(self) -> Request:
        """The request for the next page; kept, since the checks of `start_walk` need it too."""
        limit = self.page_size if self.remaining is None else min(self.page_size, self.remaining)
        return self._request(limit)

    def _request(self, limit: int) -> Request:
        params = {**self.params, "limit": limit, self.direction: self.after_id}
        return self.endpoint.request(params, {}, self.options)

    def arrive(self, page: AnyPage[_L]) -> "AnyPage[_L] | Walk[_L]":
        """Return what a page has of the walk; or the position after it, if it has nothing.

        Args:
            page: The answer to the request of this position.
        """
        return page

    def end_of(self, page: AnyPage[_L]) -> str | None:
        """Return what no other page may end with, or the walk would never end.

        Args:
            page: The answer to the request of this position.

        Returns:
            The id of the last object; None if there is none.
        """
        items = self.items(page)
        return items[-1].id if items else None

    def items(self, page: AnyPage[_L]) -> Sequence[_L]:
        """Return the objects of a page in the order of the walk.

        Args:
            page: The page; the API gives it newest first, in both directions.
        """
        data = page.data if self.direction == "starting_after" else page.data[::-1]
        return data if self.remaining is None else data[: self.remaining]

    def after(self, page: AnyPage[_L]) -> "Walk[_L] | None":
        """Return the position after a page; None if that page was the last one.

        Args:
            page: The answer to the request of this position.
        """
        items = self.items(page)
        remaining = None if self.remaining is None else self.remaining - len(items)
        if not page.has_more or remaining == 0:
            return None
        return evolve(self, after_id=items[-1].id, remaining=remaining)


def start_walk(
    endpoint: Endpoint[Page[_L]],
    params: Mapping[str, Any],
    paging: Paging,
    options: RequestOptions | None,
    check: Callable[[Mapping[str, Any]], Mapping[str, Any]] = check_params,
) -> Walk[_L]:
    """Return the start of the walk that the arguments of a `list` call ask for.

    Args:
        endpoint: The list.
        params: Its filters.
        paging: Which part of the list to read.
        options: The options of each call.
        check: Returns the filters as they are sent, or refuses them.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    direction, after_id = paging.start_position()
    page_size, max_items = paging.sizes()
    filters = dict(params)
    # A list that has no such filter cannot be walked in parallel, and is known by that.
    created = {"created": _exact_created(filters.pop("created"))} if "created" in params else {}
    params = {**check(filters), **created}
    walk = Walk(
        endpoint=endpoint,
        params=params,
        options=options,
        direction=direction,
        after_id=after_id,
        page_size=page_size,
        remaining=max_items,
    )
    # Building the request refuses what cannot be sent: here, and not at the first await.
    _ = walk.request
    return walk


def check_page(walk: Walk[_L], page: AnyPage[_L], seen: AbstractSet[str]) -> None:
    """Refuse a page after which a walk would never end.

    Args:
        walk: The position whose request the page answers.
        page: The answer.
        seen: What earlier pages ended with.

    Raises:
        PaginationError: The page is empty and says that there is more, or it ends with the same
            object as an earlier page.
    """
    end = walk.end_of(page)
    if page.has_more and end is None:
        raise unending_list_error(walk, page, "an empty page says that there is more")
    if end is not None and (end in seen or end == walk.origin):
        raise unending_list_error(walk, page, "a page ends where an earlier one did")


def unending_list_error(walk: Walk[_L], page: AnyPage[_L], problem: str) -> PaginationError:
    """Return the error of a list that cannot be read to its end.

    Args:
        walk: The position whose request the page answers.
        page: The answer.
        problem: What is wrong with it.
    """
    template = walk.endpoint.template
    error = PaginationError(f"the list {template} cannot be read to its end: {problem}")
    error.cursor, error.call = walk.cursor, f"GET {template}"
    response = page.response if isinstance(page, MixedPage) else response_of(page)
    return error_with_response(error, response)
