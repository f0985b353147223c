"""Which windows of a list a parallel walk asks for next, and in which order it hands them out.

A list comes newest first, and its `created` filter cuts it anywhere between two seconds. So a
walk is a row of windows of whole seconds, newest first. Each is asked for with one request: for
the newest objects at or before its upper second. Three rules follow:

- An answer reaches down to its last object. What is left of its window becomes a window of its
  own, which begins behind that object, as the next page of a serial walk would.
- Before it is asked for, a window is cut to a few pages, by how dense the latest answers show the
  list to be; the rest waits as one window. A request names no lower second, so the oldest second
  of the list need not be known: an answer whose objects are older than its window shows that
  everything between is empty. It also lets a window under way be halved, which is done with the
  widest one when none waits any more, towards the end of the walk.
- Two windows meet between two seconds, or behind an object. So no object comes twice and none is
  left out, even of those made in the same second.

An object made after the first answer is newer than everything in it and is in no window: it does
not show, as it does not in a serial walk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import takewhile
from operator import lt
from typing import Any, Generic, Protocol, TypeVar, cast

from attrs import define, evolve, field, frozen

from pinstripe._core.errors import ConfigurationError, PaginationError
from pinstripe._http.encoding import timestamp
from pinstripe._models.page import Page
from pinstripe._models.record import Listed
from pinstripe._resources.walk import Created, Walk, unending_list_error

PAGES_A_WINDOW = 5
"""How many pages a window is cut to at most; its last page runs over into the next window."""

PAGES_HELD = 4
"""How many pages are under way or held at most, for each request allowed at once."""

_MARGIN = 0.25
"""The share of a page by which windows are cut shorter, lest a few objects cost one more page."""

_WORTH_A_SPLIT = 2.0
"""How many pages a window under way must have, by estimate, to be halved."""

MEMORY = 9
"""The density of the list is a median over so many answers, which a gap does not move."""

_L = TypeVar("_L", bound=Listed)


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
        walk: The walk whose next request it is.
    """

    walk: Walk[_L]


@define(eq=False)
class _Window(Generic[_L]):
    """Some seconds of the list, and what is known of them.

    Attributes:
        upper: The newest second; None where that is not known.
        lower: The oldest second; None for all that is older.
        after: The id of the object it begins behind; None where it begins with `upper`.
        ask: The request that was sent for it.
        page: The answer.
        items: The objects of the page that are in this window.
        error: What the request raised, or what is wrong with its answer.
    """

    upper: int | None
    lower: int | None
    after: str | None
    ask: PageRequest[_L] | None = None
    page: Page[_L] | None = None
    items: Sequence[_L] = ()
    error: BaseException | None = None


@define(eq=False)
class ParallelPlan(Generic[_L]):
    """A parallel walk under way, without its requests.

    Args:
        walk: The serial walk whose objects it hands out.
        windows: How many requests may be under way at once; four times as many pages are held.

    Raises:
        ConfigurationError: The walk cannot be cut into windows.
    """

    walk: Walk[_L]
    windows: int
    _row: list[_Window[_L]] = field(init=False)
    _remaining: int | None = field(init=False)
    _items_read: int = field(default=0, init=False)
    _last: str | None = field(init=False)
    _passed: set[str | None] = field(init=False)
    _upper: int | None = field(init=False)
    _under_way: int = field(default=0, init=False)
    _paces: deque[float] = field(factory=lambda: deque[float](maxlen=MEMORY), init=False)

    def __attrs_post_init__(self) -> None:
        if "created" not in self.walk.params:
            problem = "this list has no filter by created, so only a serial walk can be made of it"
            raise ConfigurationError("parallel", problem)
        if self.walk.direction == "ending_before":
            raise ConfigurationError("parallel", "walks from the newest object on, not backwards")
        lower, upper = bounds_of(self.walk.params["created"])
        self._upper = upper
        self._row = [_Window(upper, lower, self.walk.at)]
        self._remaining = self.walk.remaining
        self._last = self.walk.at
        self._passed = {self.walk.at}

    @property
    def is_over(self) -> bool:
        """Whether everything was handed out."""
        return not self._row or self._remaining == 0

    def take(self) -> tuple[Page[_L], Sequence[_L]] | None:
        """Return the next page and its objects to hand out; None where it has not come yet.

        Raises:
            BaseException: What its request raised, or what is wrong with it.
        """
        if self.is_over:
            return None
        head = self._row[0]
        if head.error is not None:
            raise self._placed(head.error)
        if head.page is None:
            return None
        del self._row[0]
        items = head.items[: self._remaining]
        self._items_read += len(items)
        if self._remaining is not None:
            self._remaining -= len(items)
        self._last = items[-1].id if items else self._last
        return head.page, items

    def ask(self) -> PageRequest[_L] | None:
        """Return the next request to send; None where enough is under way or held."""
        waiting = (n for n, window in enumerate(self._row) if window.ask is None)
        place = next(waiting, len(self._row))
        if any(window.error is not None for window in self._row[:place]):
            return None
        if not self._has_room(place):
            return None
        found = place if place < len(self._row) else self._split()
        if found is None:
            return None
        window = self._cut(found)
        window.ask = PageRequest(self._walk_of(window))
        self._under_way += 1
        return window.ask

    def fail(self, ask: PageRequest[_L], error: BaseException) -> None:
        """Keep what a request raised, for when everything before it was handed out.

        Args:
            ask: The request.
            error: What it raised.
        """
        self._under_way -= 1
        for window in self._row:
            if window.ask is ask:
                window.error = error

    def answer(self, ask: PageRequest[_L], page: Page[_L]) -> None:
        """Take the answer to a request; if something is wrong with it, `take` raises that later.

        Args:
            ask: The request.
            page: The answer.
        """
        self._under_way -= 1
        place = next((n for n, window in enumerate(self._row) if window.ask is ask), None)
        if place is None:  # the answer to another request told that this window is empty
            return
        window = self._row[place]
        window.error = self._problem(ask, window, page)
        if window.error is None:
            window.page = page
            self._merge(place, page)
            window.items = _at_or_after(window.lower, page.data)
            self._measure(window, page)

    def _has_room(self, place: int) -> bool:
        if place == 0 or self._under_way >= self.windows:
            return self._under_way < self.windows
        room = self.windows * PAGES_HELD
        if self._remaining is not None:
            room = min(room, -(-self._remaining // self.walk.page_size))
        return self._under_way + sum(bool(window.items) for window in self._row) < room

    def _pages_in(self, seconds: int) -> float:
        """Return how many pages are in some seconds of the list; 0 where that is not known yet."""
        pace = sorted(self._paces)[len(self._paces) // 2] if self._paces else 0.0
        return seconds / pace / self.walk.page_size if pace else 0.0

    def _split(self) -> int | None:
        """Halve the widest window under way and return the place of its older half.

        None where no window is wide. Its request stays right, as it names no lower second.
        """
        under_way = (
            (window.upper - window.lower + 1, n, window.lower)
            for n, window in enumerate(self._row)
            if window.page is None and window.upper is not None and window.lower is not None
        )
        seconds, place, lower = max(under_way, default=(0, 0, 0))
        pages = self._pages_in(seconds)
        if pages < _WORTH_A_SPLIT:
            return None
        edge = lower + int((pages - 1) / 2 / pages * seconds)  # half of what its page will leave
        if edge == lower:
            return None
        self._row.insert(place + 1, _Window(edge - 1, lower, None))
        self._row[place].lower = edge
        return place + 1

    def _cut(self, place: int) -> _Window[_L]:
        """Return the top of a window that waits, and leave the rest of it waiting.

        The nearer its turn is, the smaller it is cut. So windows that were asked for at the same
        time are complete one after the other, and few are held while the first is not.
        """
        window = self._row[place]
        if window.upper is None:
            return window
        seconds = window.upper - (window.lower or 0) + 1
        pages = self._pages_in(seconds)
        turn = (place + 1) * PAGES_A_WINDOW // self.windows
        most = min(PAGES_A_WINDOW, max(1, turn)) - _MARGIN
        if pages <= 1.5 * most:
            return window
        lower = window.upper - max(1, int(most / pages * seconds)) + 1
        top = _Window[_L](window.upper, lower, window.after)
        self._row.insert(place, top)
        window.upper, window.after = lower - 1, None
        return top

    def _walk_of(self, window: _Window[_L]) -> Walk[_L]:
        walk = evolve(self.walk, at=window.after, remaining=self._remaining)
        if window.after is not None or window.upper is None or window.upper == self._upper:
            return walk
        created = walk.params["created"] or Created()
        upper = datetime.fromtimestamp(window.upper, timezone.utc)
        return evolve(walk, params={**walk.params, "created": evolve(created, lte=upper)})

    def _problem(
        self, ask: PageRequest[_L], window: _Window[_L], page: Page[_L]
    ) -> PaginationError | None:
        if page.has_more and not page.data:
            return unending_list_error(ask.walk, page, "an empty page says that there is more")
        times = [_created(item) for item in page.data]
        inside = times and (window.lower is None or _second(page.data[-1]) >= window.lower)
        if inside and window.after is not None and page.data[-1].id in self._passed:
            return unending_list_error(ask.walk, page, "a page ends where an earlier one did")
        late = times and window.upper is not None and _second(page.data[0]) > window.upper
        if late or any(map(lt, times, times[1:])):
            return unending_list_error(ask.walk, page, "its objects do not come newest first")
        return None

    def _merge(self, place: int, page: Page[_L]) -> None:
        """Move the edge between a window that was answered and the next to where the page ends."""
        window, row = self._row[place], self._row
        end = _second(page.data[-1]) if page.has_more else None
        while len(row) > place + 1 and _is_held(row[place + 1], end):
            window.lower = row.pop(place + 1).lower
        following = row[place + 1] if len(row) > place + 1 else None
        if end is None:
            return
        if window.lower is None or end >= window.lower:
            row.insert(place + 1, self._behind(page, end, window.lower))
        elif following is not None and following.ask is None:
            window.lower = end
            row[place + 1] = self._behind(page, end, following.lower)

    def _behind(self, page: Page[_L], end: int, lower: int | None) -> _Window[_L]:
        self._passed.add(page.data[-1].id)
        return _Window(end, lower, page.data[-1].id)

    def _measure(self, window: _Window[_L], page: Page[_L]) -> None:
        """Note how dense a window is, unless it holds too little to tell."""
        if len(window.items) <= self.walk.page_size // 4:
            return
        upper = _second(page.data[0]) if window.upper is None else window.upper
        end = _second(page.data[-1])
        seconds = upper - max(end, (window.lower or 0) - 1)
        self._paces.append(seconds / len(window.items))

    def _placed(self, error: BaseException) -> BaseException:
        if isinstance(error, PaginationError):
            error.cursor = evolve(self.walk, at=self._last).cursor
            error.items_read = self._items_read
        return error


def bounds_of(created: Any) -> tuple[int | None, int | None]:
    """Return the oldest and the newest second that a filter lets through.

    Args:
        created: The filter; None lets all through.
    """
    if not isinstance(created, Created):
        second = None if created is None else timestamp("created", created)
        return second, second
    lower = [*_seconds(created.gte, 0), *_seconds(created.gt, 1)]
    upper = [*_seconds(created.lte, 0), *_seconds(created.lt, -1)]
    return max(lower, default=None), min(upper, default=None)


def _seconds(bound: datetime | None, step: int) -> list[int]:
    return [] if bound is None else [timestamp("created", bound) + step]


def _is_held(window: _Window[_L], end: int | None) -> bool:
    """Whether a page of newer windows, down to second `end` (None: all), covers a whole window."""
    below = end is None or (window.lower is not None and window.lower > end)
    return window.page is None and below


def _at_or_after(lower: int | None, items: Sequence[_L]) -> Sequence[_L]:
    if lower is None or (items and _second(items[-1]) >= lower):
        return items
    return tuple(takewhile(lambda item: _second(item) >= lower, items))
