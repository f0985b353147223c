"""Pagers: lists that are read page by page, with one request ahead or with many at once.

A walker does a walk page by page. `Pager` is what users see of it, and `ListReader` what the other
wings see.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final, Generic, TypeVar

from attrs import evolve

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_whole_number
from pinstripe._core.errors import ConfigurationError, UnfitError
from pinstripe._core.forks import no_fork
from pinstripe._core.tracebacks import hide_frames
from pinstripe._http.messages import Sender
from pinstripe._models.page import Page
from pinstripe._models.record import Identified
from pinstripe._resources.unfit import (
    AnyPage,
    MixedPage,
    OnUnfit,
    take_items,
    take_pages,
)
from pinstripe._resources.walk import Created, Walk
from pinstripe._resources.walkers import PageWalker, ParallelWalker, Walker, fetch_page

WINDOWS: Final = 16
"""Requests under way at once in a parallel walk, by default."""

_MAX_WINDOWS = 256

_L = TypeVar("_L", bound=Identified)


class ListReader(Generic[_L]):
    """What a pager does for the other wings: the blocking pager and the exports use it.

    Args:
        send: Sends the requests.
        walk: The start of each walk.

    Attributes:
        walk: The start of each walk.
    """

    def __init__(self, send: Sender, walk: Walk[_L]) -> None:
        self.walk = walk
        self._send = send
        self._latest: PageWalker[_L] | None = None

    @property
    def cursor(self) -> str | None:
        """See `Pager.cursor`."""
        latest = self._latest
        if latest is None or latest.last is None:
            return self.walk.cursor
        return latest.position.cursor_behind(latest.last)

    def begin_walk(self) -> Walker[_L]:
        """Begin a serial walk from the start, whose pages the caller asks for one by one."""
        self._latest = walker = Walker(self._send, self.walk)
        return walker

    def begin_parallel_walk(self, windows: int) -> ParallelWalker[_L]:
        """Begin a parallel walk from the start, whose pages the caller asks for one by one.

        Args:
            windows: How many requests may be under way at once.

        Raises:
            ConfigurationError: An argument is wrong, or this list allows no parallel walk.
        """
        with no_fork():
            from pinstripe._resources.parallel import ParallelPlan  # noqa: PLC0415 -- few need it

        windows = check_whole_number("windows", windows, maximum=_MAX_WINDOWS)
        self._latest = walker = ParallelWalker(self._send, ParallelPlan(self.walk, windows))
        return walker

    @hide_frames
    async def fetch_first(self) -> tuple[Walker[_L], AnyPage[_L]]:
        """Return the first page, and a walk that `take_first` moves behind it."""
        return self.begin_walk(), await fetch_page(self._send, self.walk)

    def take_first(self, walker: Walker[_L], page: AnyPage[_L]) -> Page[_L]:
        """Return the page of `fetch_first` to hand out; `cursor` is then after it.

        Args:
            walker: The walk of `fetch_first`.
            page: The page.
        """
        items = self.walk.items(page)
        if isinstance(page, MixedPage):
            fitting = take_items(walker, (page, items), self.walk.on_unfit)
            page = page.page_of({item.id for item in fitting})
        walker.last = items[-1].id if items else None
        return page

    def resume_after(self, id: str, items: int) -> Pager[_L]:
        """Return a pager for the objects after another one.

        Args:
            id: The id of that object.
            items: How many objects were handed out up to it; `max_items` is lowered by them.
        """
        left = None if self.walk.remaining is None else self.walk.remaining - items
        return Pager(self._send, evolve(self.walk, after_id=id, remaining=left))

    def within(self, created: Created, account: str | None) -> Pager[_L]:
        """Return a pager for the objects of a range of time, of one account.

        Args:
            created: The range, in place of that of this list.
            account: The connected account; None for that of this list.
        """
        options = self.walk.options if account is None else RequestOptions(account=account)
        params = {**self.walk.params, "created": created}
        return Pager(self._send, evolve(self.walk, params=params, options=options))

    def without_bodies(self) -> Pager[_L]:
        """Return a pager whose objects do not keep the bytes that they were read from."""
        return Pager(self._send, evolve(self.walk, keeps_bodies=False))

    def skip_unfit(self, report: OnUnfit) -> Pager[_L]:
        """See `Pager.skip_unfit`."""
        if not callable(report):
            raise ConfigurationError("report", "must be a function")
        return Pager(self._send, evolve(self.walk, on_unfit=report))


class Pager(Generic[_L]):
    """A list of the API: iterate it for every object, or await it for its first page.

        async for session in stripe.identity.verification_sessions.list(): ...
        page = await stripe.identity.verification_sessions.list(limit=10)

    Each iteration is a walk of its own from the same start. If you leave a loop early, the
    request for the next page is cancelled on the next turns of the event loop;
    `contextlib.aclosing(pager.pages())` cancels it at once.
    """

    __module__ = "pinstripe"

    def __init__(self, send: Sender, walk: Walk[_L]) -> None:
        self._reader = ListReader(send, walk)

    def __repr__(self) -> str:
        # Filters can be private, such as the reference of a customer.
        return f"{type(self).__name__}({self._reader.walk.endpoint.template!r})"

    @property
    def cursor(self) -> str | None:
        """The position of the latest walk: after the last object or page that it handed out.

        It is a short text that `list(..., cursor=...)` resumes from, in another process too. It
        is None if nothing was handed out and the walk starts at the start of the list.
        """
        return self._reader.cursor

    def skip_unfit(self, report: Callable[[UnfitError], object]) -> Pager[_L]:
        """Return a pager of the same list that goes on where an object does not fit its class.

            left_out = []
            async for session in sessions.list().skip_unfit(left_out.append): ...

        Without it, a walk hands out the objects before such an object and raises an `UnfitError`,
        whose `cursor` resumes behind it. An export of the returned pager goes on too.

        Args:
            report: A plain function, called with the error of each object that is left out.

        Raises:
            ConfigurationError: `report` is no function.
        """
        return self._reader.skip_unfit(report)

    def __aiter__(self) -> AsyncGenerator[_L, None]:  # noqa: PYI058 -- `aclose` stops the walk
        """Yield every object: newest first, or, with `ending_before`, oldest first."""
        return _each(self._reader.begin_walk(), self._reader.walk.on_unfit)

    def parallel(self, windows: int = WINDOWS) -> AsyncGenerator[_L, None]:
        """Yield every object, newest first, asking for many windows of `created` at once.

        You get the objects of a serial walk in the same order, even if new ones are created
        meanwhile. `cursor` is after the last object handed out, and both kinds of walk resume
        from it. Up to `windows` requests ask for objects older than the oldest one and find
        nothing, unless `created` has a lower bound.

        Args:
            windows: How many requests may be under way at once, up to 256; four times as many
                pages are held in memory.

        Raises:
            ConfigurationError: The list has no filter by `created`, or the walk goes backwards; or
                it was started in another event loop or before a fork, and can continue only
                there.
            PaginationError: The list cannot end, or its objects do not come newest first.
        """
        return _each(self._reader.begin_parallel_walk(windows), self._reader.walk.on_unfit)

    async def pages(self) -> AsyncGenerator[Page[_L], None]:
        """Yield page after page, each as the API gave it: newest object first.

        If an object of a page does not fit, that page has only the objects before it.
        """
        walker = self._reader.begin_walk()
        try:
            while (step := await walker.next_page()) is not None:
                for page in take_pages(walker, step, self._reader.walk.on_unfit):
                    yield page
        finally:
            await walker.aclose()

    def __await__(self) -> Generator[Any, None, Page[_L]]:
        """Return the first page, and ask for no other; `cursor` is then after it."""
        return self._first_page().__await__()

    async def _first_page(self) -> Page[_L]:
        return self._reader.take_first(*await self._reader.fetch_first())


def reader_of(pager: Pager[_L]) -> ListReader[_L]:
    """Return what is behind a pager, for the wings that need more of it than users do.

    Args:
        pager: The pager.
    """
    return pager._reader  # noqa: SLF001 -- private to users, and the one way in for other wings


async def _each(walker: PageWalker[_L], on_unfit: OnUnfit | None) -> AsyncGenerator[_L, None]:
    try:
        while (step := await walker.next_page()) is not None:
            for item in take_items(walker, step, on_unfit):
                walker.last = item.id
                yield item
    finally:
        await walker.aclose()
