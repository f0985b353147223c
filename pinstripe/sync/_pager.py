"""Lists of a blocking client.

An asynchronous pager does the requests; its walks run on the event loop. The thread that iterates
goes to the loop once a page, and hands out the objects of that page from memory. When it comes for
the next page, that one was requested already: each page starts the request for the next. The id of
the object handed out last is noted here, object by object, because `cursor` must be right between
two pages too.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    Generator,
    Sequence,
)
from typing import Generic, TypeVar

from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._core.errors import UnfitError
from pinstripe._core.tracebacks import hide_frames
from pinstripe._models.page import Page
from pinstripe._models.record import Identified
from pinstripe._resources.pager import WINDOWS, reader_of
from pinstripe._resources.pager import Pager as AsyncPager
from pinstripe._resources.unfit import AnyPage, take_items, take_pages
from pinstripe._resources.walkers import PageWalker

_L = TypeVar("_L", bound=Identified)


class Pager(Generic[_L]):
    """A list of the API: iterate it for every object, or take its first page.

        for session in stripe.identity.verification_sessions.list(): ...
        page = stripe.identity.verification_sessions.list(limit=10).first()

    Each iteration is a new walk from the same start. The next page is requested while you work on
    this one; if a loop is left early, that request is cancelled.

    Args:
        asynchronous: The pager that does the requests.
        bridge: Runs coroutine functions on the event loop.
    """

    __slots__ = ("_async", "_bridge")

    def __init__(self, asynchronous: AsyncPager[_L], bridge: LoopBridge) -> None:
        self._async = asynchronous
        self._bridge = bridge

    def __repr__(self) -> str:
        return repr(self._async)

    @property
    def cursor(self) -> str | None:
        """The place of the latest walk: after the last object or page that it handed out.

        A short text: `list(..., cursor=...)` continues from it, in another process too. None if
        nothing was handed out and the walk has no start.
        """
        return self._async.cursor

    def skip_unfit(self, report: Callable[[UnfitError], object]) -> Pager[_L]:
        """Return a pager of the same list that goes on where an object does not fit its class.

            left_out = []
            for session in sessions.list().skip_unfit(left_out.append): ...

        Without it, a walk hands out the objects before such an object and raises an `UnfitError`,
        whose `cursor` continues behind it. An export of the returned pager goes on too.

        Args:
            report: Called in this thread with the error of each object that is left out, before an
                object behind it is handed out.

        Raises:
            ConfigurationError: `report` is no function.
        """
        return Pager(self._async.skip_unfit(report), self._bridge)

    def __iter__(self) -> Generator[_L, None, None]:  # noqa: PYI058 -- `close` stops the walk
        """Yield every object: newest first, or, with `ending_before`, oldest first."""
        return self._objects(reader_of(self._async).begin_walk())

    def parallel(self, windows: int = WINDOWS) -> Generator[_L, None, None]:
        """Yield every object, newest first, with requests for many windows of `created` at once.

        The objects and their order are those of a serial walk, even if some are created meanwhile.
        `cursor` is after the last one handed out, and either kind of walk continues from it.
        Unless `created` has a lower bound, up to `windows` requests ask for what is older than the
        oldest object and find nothing.

        Args:
            windows: How many requests may be under way at once, up to 256; four times as many
                pages are held in memory.

        Raises:
            ConfigurationError: The list has no filter by `created`, or the walk goes backwards; or
                it was begun before a fork, and this is the other process.
            PaginationError: The list cannot end, or its objects do not come newest first.
        """
        return self._objects(reader_of(self._async).begin_parallel_walk(windows))

    def pages(self) -> Generator[Page[_L], None, None]:
        """Yield page after page, each as the API gave it: newest object first.

        If an object of a page does not fit, that page has only the objects before it.
        """
        walker = reader_of(self._async).begin_walk()
        for step in self._steps(walker):
            yield from take_pages(walker, step, reader_of(self._async).walk.on_unfit)

    @hide_frames
    def first(self) -> Page[_L]:
        """Return the first page, without a request for another; `cursor` is then after it."""
        reader = reader_of(self._async)
        return reader.take_first(*self._bridge.run(reader.fetch_first))

    def _objects(self, walker: PageWalker[_L]) -> Generator[_L, None, None]:
        for step in self._steps(walker):
            for item in take_items(walker, step, reader_of(self._async).walk.on_unfit):
                walker.last = item.id
                yield item

    def _steps(
        self, walker: PageWalker[_L]
    ) -> Generator[tuple[AnyPage[_L], Sequence[_L]], None, None]:
        try:
            while (step := self._next_page(walker)) is not None:
                yield step
        finally:
            # If the loop was left early. A finalizer may run this too, in any thread: `post` does
            # not wait.
            if walker.is_fetching:
                self._bridge.post(walker.aclose)

    @hide_frames
    def _next_page(self, walker: PageWalker[_L]) -> tuple[AnyPage[_L], Sequence[_L]] | None:
        return self._bridge.run(walker.next_page)
