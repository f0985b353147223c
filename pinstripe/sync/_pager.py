"""Lists of a blocking client."""

from __future__ import annotations

from collections.abc import (
    Generator,
    Sequence,
)
from typing import Generic, TypeVar

from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._core.tracebacks import hide_frames
from pinstripe._models.page import Page
from pinstripe._models.record import Listed
from pinstripe._resources import pager as _pager

_L = TypeVar("_L", bound=Listed)


class Pager(Generic[_L]):
    """A list of the API: iterate it for every object, or take its first page.

        for session in stripe.identity.verification_sessions.list(): ...
        page = stripe.identity.verification_sessions.list(limit=10).first()

    Each iteration is a walk of its own from the same start. The next page is on its way while
    you work on this one; a loop that is left early cancels it.
    """

    __slots__ = ("_crossing", "_twin")

    def __init__(self, twin: _pager.Pager[_L], crossing: LoopBridge) -> None:
        self._twin = twin
        self._crossing = crossing

    @property
    def cursor(self) -> str | None:
        """Where the latest walk stands: after the last object or page that it handed out.

        A short text that `list(..., cursor=...)` goes on from, in another process too; None
        where nothing was handed out and the walk has no start.
        """
        return self._twin.cursor

    def __iter__(self) -> Generator[_L, None, None]:  # noqa: PYI058 -- `close` stops the walk
        """Yield every object: newest first, or, with `ending_before`, oldest first."""
        return self._each(_pager.reader_of(self._twin).begin_walk())

    def parallel(self, windows: int = _pager.WINDOWS) -> Generator[_L, None, None]:
        """Yield every object, newest first, asking for many windows of `created` at once.

        They are the objects of a serial walk in the same order, even if some are made meanwhile.
        `cursor` stands after the last one handed out, and either kind of walk goes on from it.
        Up to `windows` requests ask for what is older than the oldest object and find nothing,
        unless `created` has a lower bound.

        Args:
            windows: How many requests may be under way at once, up to 256; four times as many
                pages are held in memory.

        Raises:
            ConfigurationError: The list has no filter by `created`, or the walk goes backwards; or
                it was begun in another event loop or before a fork, and goes on only there.
            PaginationError: The list cannot end, or its objects do not come newest first.
        """
        return self._each(_pager.reader_of(self._twin).begin_parallel_walk(windows))

    def pages(self) -> Generator[Page[_L], None, None]:
        """Yield page after page, each as the API gave it: newest object first."""
        walker = _pager.reader_of(self._twin).begin_walk()
        for page, items in self._steps(walker):
            walker.last = items[-1].id if items else walker.last
            yield page

    @hide_frames
    def first(self) -> Page[_L]:
        """Return the first page, and ask for no other; `cursor` stands after it."""
        return self._crossing.run(_first, self._twin)

    def _each(self, walker: _pager.PageWalker[_L]) -> Generator[_L, None, None]:
        for _, items in self._steps(walker):
            for item in items:
                walker.last = item.id
                yield item

    def _steps(
        self, walker: _pager.PageWalker[_L]
    ) -> Generator[tuple[Page[_L], Sequence[_L]], None, None]:
        try:
            while (step := self._next_page(walker)) is not None:
                yield step
        finally:
            if walker.is_fetching:
                self._crossing.post(walker.aclose)

    @hide_frames
    def _next_page(self, walker: _pager.PageWalker[_L]) -> tuple[Page[_L], Sequence[_L]] | None:
        return self._crossing.run(walker.next_page)


async def _first(pager: _pager.Pager[_L]) -> Page[_L]:
    return await pager
