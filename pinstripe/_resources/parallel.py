"""The plan of a parallel walk: which windows of a list to ask for, and what to hand out next.

A list comes newest first, and its `created` filter cuts it anywhere between two seconds. So the
plan is a row of windows of whole seconds, newest first. Each needs one request: for the newest
objects at or before its upper second. Three rules follow:

- An answer reaches down to its last object. If its window reaches further, the rest becomes a
  window of its own, which begins after that object, as the next page of a serial walk would.
- Before a window is asked for, it is cut to a few pages, by how dense the latest answers show the
  list to be; the rest waits as one window. A request names no lower second, so the oldest second
  of the list need not be known: an answer whose objects are older than its window shows that
  everything between is empty. It also allows a window to be halved while its request is under
  way: towards the end of the walk, when no window waits any more, the widest one is halved.
- Two windows meet between two seconds, or after an object. So no object comes twice and none is
  left out, even if many were created in the same second.

An object created after the first answer is newer than everything in it and is in no window: the
walk does not return it, as a serial walk does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import takewhile
from operator import lt
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from attrs import define, evolve, field, frozen

from pinstripe._core.errors import ConfigurationError, PaginationError, UnfitError
from pinstripe._http.encoding import ROUNDING, timestamp
from pinstripe._models.record import Identified
from pinstripe._resources.unfit import AnyPage, Unfit
from pinstripe._resources.walk import Created, Walk, unending_list_error

PAGES_HELD: Final = 4
"""How many pages are under way or held at most, for each request allowed at once."""

# These are estimates that trade more requests for a shorter walk. The tests count requests and
# rounds of requests over lists of steady density, of busy days and quiet nights, and of bursts.

_PAGES_A_WINDOW = 5
"""How many pages a window is cut to at most."""

_MARGIN = 0.25
"""The share of a page by which windows are cut shorter, so that a few objects more than estimated
do not cost another request."""

_WORTH_A_SPLIT = 2.0
"""How many pages a window under way must have, by estimate, to be halved."""

_SPACINGS_KEPT = 9
"""The spacing of objects is the median over so many answers, which one gap does not move."""

_L = TypeVar("_L", bound=Identified)


class _Dated(Protocol):
    @property
    def created(self) -> datetime: ...


def _created(item: object) -> datetime:
    return cast("_Dated", item).created


def _second(item: object) -> int:
    return int(_created(item).timestamp())


@frozen(eq=False)
class PageRequest(Generic[_L]):
    """One request of a plan.

    Attributes:
        walk: The position whose request is to be sent.
    """

    walk: Walk[_L]


@define(eq=False)
class _Window(Generic[_L]):
    """Some seconds of the list, and what is known of them.

    A window waits (`request` is None), is under way (`page` is None), or is held (both are set)
    until it is the first of the row and its objects are handed out.

    Attributes:
        upper: The newest second; None if that is not known.
        lower: The oldest second; None for everything older.
        after_id: The id of the object it begins after; None if it begins with `upper`.
        request: The request that was sent for it.
        page: The answer.
        items: The objects of the page that are in this window.
        error: What the request raised, or what is wrong with its answer.
    """

    upper: int | None
    lower: int | None
    after_id: str | None
    request: PageRequest[_L] | None = None
    page: AnyPage[_L] | None = None
    items: Sequence[_L] = ()
    error: BaseException | None = None


@define(eq=False)
class ParallelPlan(Generic[_L]):
    """A parallel walk under way, without its requests.

    Args:
        walk: The serial walk whose objects it hands out.
        max_requests: How many requests may be under way at once; four times as many pages are
            held.

    Raises:
        ConfigurationError: The walk cannot be cut into windows.
    """

    walk: Walk[_L]
    max_requests: int
    _windows: list[_Window[_L]] = field(init=False)
    _remaining: int | None = field(init=False)
    _items_read: int = field(default=0, init=False)
    _last: str | None = field(init=False)
    # Objects that a window begins after; if an answer ends with one again, the list is a circle.
    _boundary_ids: set[str | None] = field(init=False)
    _newest: int | None = field(init=False)
    _under_way: int = field(default=0, init=False)
    # Seconds between two objects, by each of the latest answers.
    _spacings: deque[float] = field(factory=lambda: deque[float](maxlen=_SPACINGS_KEPT), init=False)

    def __attrs_post_init__(self) -> None:
        if not self.walk.has_windows:
            problem = "this list has no windows of created, so only a serial walk can be made of it"
            raise ConfigurationError("parallel", problem)
        if not self.walk.is_dated:
            problem = "needs a class with the field `created` of type datetime for the objects"
            raise ConfigurationError("parallel", problem)
        if self.walk.direction == "ending_before":
            raise ConfigurationError("parallel", "walks from the newest object on, not backwards")
        lower, self._newest = bounds_of(self.walk.params["created"])
        # At first the whole list is one window: nothing is known of its density.
        self._windows = [_Window(self._newest, lower, self.walk.after_id)]
        self._remaining = self.walk.remaining
        self._last = self.walk.after_id
        self._boundary_ids = {self.walk.after_id}

    @property
    def is_over(self) -> bool:
        """Whether everything was handed out."""
        return not self._windows or self._remaining == 0

    def next_page(self) -> tuple[AnyPage[_L], Sequence[_L]] | None:
        """Return the next page and its objects to hand out; None if it has not come yet.

        Raises:
            BaseException: What its request raised, or what is wrong with it.
        """
        if self.is_over:
            return None
        first = self._windows[0]
        if first.error is not None:
            if isinstance(first.error, PaginationError):
                first.error.cursor = evolve(self.walk, after_id=self._last).cursor
                first.error.items_read = self._items_read
            raise first.error
        if first.page is None:
            return None
        del self._windows[0]
        items = first.items[: self._remaining]
        self._items_read += len(items)
        if self._remaining is not None:
            self._remaining -= len(items)
        self._last = items[-1].id if items else self._last
        return first.page, items

    def next_request(self) -> PageRequest[_L] | None:
        """Return the next request to send; None if enough is under way or held."""
        waiting = (n for n, window in enumerate(self._windows) if window.request is None)
        place = next(waiting, len(self._windows))
        # The walk ends at the first error, so what comes behind it is not needed.
        if any(window.error is not None for window in self._windows[:place]):
            return None
        if not self._has_room(place):
            return None
        found = place if place < len(self._windows) else self._split()
        if found is None:
            return None
        window = self._cut(found)
        window.request = PageRequest(self._walk_of(window))
        self._under_way += 1
        return window.request

    def record_error(self, request: PageRequest[_L], error: BaseException) -> None:
        """Keep the error of a request until everything before it was handed out.

        Args:
            request: The request.
            error: What it raised.
        """
        self._under_way -= 1
        for window in self._windows:
            if window.request is request:
                window.error = error

    def record_page(self, request: PageRequest[_L], page: AnyPage[_L]) -> None:
        """Keep the answer to a request; if something is wrong with it, `next_page` raises that.

        Args:
            request: The request.
            page: The answer.
        """
        self._under_way -= 1
        place = next((n for n, w in enumerate(self._windows) if w.request is request), None)
        if place is None:  # the answer to another request showed that this window is empty
            return
        window = self._windows[place]
        window.error = self._find_problem(request, window, page)
        if window.error is None:
            window.page = page
            self._move_edge(place, page)
            window.items = _at_or_after(window.lower, page.data)
            self._record_spacing(window, page)

    def _has_room(self, place: int) -> bool:
        # The first window is what the caller waits for, so held pages do not keep it back.
        if place == 0 or self._under_way >= self.max_requests:
            return self._under_way < self.max_requests
        room = self.max_requests * PAGES_HELD
        if self._remaining is not None:
            room = min(room, -(-self._remaining // self.walk.page_size))
        return self._under_way + sum(bool(window.items) for window in self._windows) < room

    def _pages_in(self, seconds: int) -> float:
        """Return how many pages some seconds of the list have; 0 if that is not known yet."""
        spacing = sorted(self._spacings)[len(self._spacings) // 2] if self._spacings else 0.0
        return seconds / spacing / self.walk.page_size if spacing else 0.0

    def _split(self) -> int | None:
        """Halve the widest window under way and return the place of its older half.

        Returns None if no window is wide. The request under way stays right, since it names no
        lower second.
        """
        under_way = (
            (window.upper - window.lower + 1, n, window.lower)
            for n, window in enumerate(self._windows)
            if window.page is None and window.upper is not None and window.lower is not None
        )
        seconds, place, lower = max(under_way, default=(0, 0, 0))
        pages = self._pages_in(seconds)
        if pages < _WORTH_A_SPLIT:
            return None
        # The page under way takes the newest part, so halve what it will leave.
        edge = lower + int((pages - 1) / 2 / pages * seconds)
        if edge == lower:
            return None
        self._windows.insert(place + 1, _Window(edge - 1, lower, None))
        self._windows[place].lower = edge
        return place + 1

    def _cut(self, place: int) -> _Window[_L]:
        """Return the top of a window that waits, and leave the rest of it waiting.

        The nearer its turn is, the smaller it is cut. So windows that were asked for at the same
        time are complete one after the other, and few are held while the first is not.
        """
        window = self._windows[place]
        if window.upper is None:
            return window
        seconds = window.upper - (window.lower or 0) + 1
        pages = self._pages_in(seconds)
        turn = (place + 1) * _PAGES_A_WINDOW // self.max_requests
        most = min(_PAGES_A_WINDOW, max(1, turn)) - _MARGIN
        # A rest of less than half a window is not worth a request of its own.
        if pages <= 1.5 * most:
            return window
        lower = window.upper - max(1, int(most / pages * seconds)) + 1
        top = _Window[_L](window.upper, lower, window.after_id)
        self._windows.insert(place, top)
        window.upper, window.after_id = lower - 1, None
        return top

    def _walk_of(self, window: _Window[_L]) -> Walk[_L]:
        """Return the position from which the objects of a window are asked for."""
        if window.after_id == self.walk.after_id and self._remaining == self.walk.remaining:
            walk = self.walk  # the first request, which is built already
        else:
            walk = evolve(self.walk, after_id=window.after_id, remaining=self._remaining)
        # A cursor is exact within a second, and the filter of the user may have the bound.
        if window.after_id is not None or window.upper is None or window.upper == self._newest:
            return walk
        created = walk.params["created"] or Created()
        upper = datetime.fromtimestamp(window.upper, timezone.utc)
        return evolve(walk, params={**walk.params, "created": evolve(created, lte=upper)})

    def _find_problem(
        self, request: PageRequest[_L], window: _Window[_L], page: AnyPage[_L]
    ) -> PaginationError | UnfitError | None:
        """Return the error of a page that breaks the order of the list, or would never end it."""
        if page.has_more and not page.data:
            problem = "an empty page says that there is more"
            return unending_list_error(request.walk, page, problem)
        first: Any = page.data[0] if page.data else None
        if isinstance(first, Unfit) and first.created is None:
            return first.error  # no object of the page has a time
        times = [_created(item) for item in page.data]
        inside = times and (window.lower is None or _second(page.data[-1]) >= window.lower)
        if inside and window.after_id is not None and page.data[-1].id in self._boundary_ids:
            return unending_list_error(request.walk, page, "a page ends where an earlier one did")
        if times and times[0].tzinfo is None:  # a hook of the user has made it
            problem = "the times of its objects have no time zone"
            return unending_list_error(request.walk, page, problem)
        late = times and window.upper is not None and _second(page.data[0]) > window.upper
        if late or any(map(lt, times, times[1:])):
            return unending_list_error(request.walk, page, "its objects do not come newest first")
        return None

    def _move_edge(self, place: int, page: AnyPage[_L]) -> None:
        """Move the edge between a window that was answered and the next to where the page ends."""
        window, row = self._windows[place], self._windows
        end = _second(page.data[-1]) if page.has_more else None
        # Windows that the page covers as a whole become a part of this one. A request that is
        # under way for one of them gets an answer that nobody needs.
        while len(row) > place + 1 and _is_covered(row[place + 1], end):
            window.lower = row.pop(place + 1).lower
        following = row[place + 1] if len(row) > place + 1 else None
        if end is None:
            return
        if window.lower is None or end >= window.lower:
            # The page ends within the window: the rest becomes a window of its own.
            row.insert(place + 1, self._window_behind(page, end, window.lower))
        elif following is not None and following.request is None:
            # The page ends within the next window, which still waits: it begins later.
            window.lower = end
            row[place + 1] = self._window_behind(page, end, following.lower)

    def _window_behind(self, page: AnyPage[_L], end: int, lower: int | None) -> _Window[_L]:
        self._boundary_ids.add(page.data[-1].id)
        return _Window(end, lower, page.data[-1].id)

    def _record_spacing(self, window: _Window[_L], page: AnyPage[_L]) -> None:
        """Record how dense a window is, unless it has too few objects to say."""
        if len(window.items) <= self.walk.page_size // 4:
            return
        upper = _second(page.data[0]) if window.upper is None else window.upper
        end = _second(page.data[-1])
        seconds = upper - max(end, (window.lower or 0) - 1)
        self._spacings.append(seconds / len(window.items))


def bounds_of(created: Any) -> tuple[int | None, int | None]:
    """Return the oldest and the newest second that a filter lets through.

    Args:
        created: The filter of a walk: a range, one second, or None, which lets all through.
    """
    if not isinstance(created, Created):
        return created, created
    lower = [*_seconds(created, "gte", 0), *_seconds(created, "gt", 1)]
    upper = [*_seconds(created, "lte", 0), *_seconds(created, "lt", -1)]
    return max(lower, default=None), min(upper, default=None)


def _seconds(created: Created, name: str, step: int) -> list[int]:
    bound: datetime | None = getattr(created, name)
    return [] if bound is None else [timestamp("created", bound, ROUNDING[name]) + step]


def _is_covered(window: _Window[_L], end: int | None) -> bool:
    """Return whether a page of newer objects down to `end` (None: all) covers a whole window."""
    below = end is None or (window.lower is not None and window.lower > end)
    return window.page is None and below


def _at_or_after(lower: int | None, items: Sequence[_L]) -> Sequence[_L]:
    if lower is None or (items and _second(items[-1]) >= lower):
        return items
    return tuple(takewhile(lambda item: _second(item) >= lower, items))
