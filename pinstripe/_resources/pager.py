"""Walks over lists: one request ahead of the caller, or many windows at once.

`Walk`, a frozen value, and `Plan` decide which request comes next; only the walkers await.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from attrs import evolve

from pinstripe._concurrency.loop_local import LoopAffinity, LoopLocal
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._concurrency.tasks import cancel_and_wait, join, start
from pinstripe._core.checks import check_whole_number
from pinstripe._core.errors import PaginationError
from pinstripe._http.messages import Sender
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, attach_response
from pinstripe._resources.endpoint import parse_response
from pinstripe._resources.walk import Walk, check_page

if TYPE_CHECKING:
    from pinstripe._resources.parallel import PageRequest, ParallelPlan

WINDOWS = 16
"""Requests under way at once in a parallel walk."""

_MAX_WINDOWS = 256

_L = TypeVar("_L", bound=Listed)


async def _fetch(send: Sender, walk: Walk[_L]) -> Page[_L]:
    request = walk.request()
    response = await send(request)
    page = parse_response(request, response, walk.endpoint.model)
    known = response if walk.keeps_bodies else evolve(response, body=b"")
    attach_response(page, known)
    for item in page.data:
        attach_response(item, known)
    return page


class Steps(Protocol[_L]):
    """A walk under way, page by page.

    Attributes:
        last: The id of the object handed out last; whoever hands objects out sets it.
    """

    last: str | None

    @property
    def is_ahead(self) -> bool:
        """Whether a page was asked for and not taken yet."""
        ...

    async def next_page(self) -> tuple[Page[_L], Sequence[_L]] | None:
        """Return the next page and its objects in the order of the walk; None at the end."""
        ...

    async def aclose(self) -> None:
        """Stop asking; nothing is left running."""
        ...


class Walker(Generic[_L]):
    """A serial walk under way; it asks for the next page ahead of time. See `Steps`.

    In another event loop, or after a fork, it goes on from where it stood.
    """

    def __init__(self, send: Sender, walk: Walk[_L]) -> None:
        self._send = send
        self._walk: Walk[_L] | None = walk
        self._ahead: LoopLocal[asyncio.Task[Page[_L]]] = LoopLocal()
        self._seen: set[str] = set()
        self._items_read = 0
        self.last: str | None = None

    @property
    def is_ahead(self) -> bool:
        """See `Steps.is_ahead`."""
        return self._ahead.is_set

    async def next_page(self) -> tuple[Page[_L], Sequence[_L]] | None:
        """See `Steps.next_page`."""
        if self._walk is None:
            return None
        walk = self._walk
        ahead = self._ahead.get()
        page = await (join(ahead) if ahead else _fetch(self._send, walk))
        self._ahead.clear()
        self._check(walk, page)
        items = walk.items(page)
        self._items_read += len(items)
        self._walk = walk.after(page)
        if self._walk is not None:
            self._seen.add(items[-1].id)
            self._ahead.set(start(_fetch, self._send, self._walk))
        return page, items

    def _check(self, walk: Walk[_L], page: Page[_L]) -> None:
        try:
            check_page(walk, page, self._seen)
        except PaginationError as error:
            error.items_read = self._items_read
            raise

    async def aclose(self) -> None:
        """See `Steps.aclose`."""
        ahead, self._walk = self._ahead.get(), None
        self._ahead.clear()
        if ahead is not None:
            await cancel_and_wait([ahead])


class ParallelWalker(Generic[_L]):
    """A parallel walk under way; it keeps as many requests under way as its plan asks for."""

    def __init__(self, send: Sender, plan: ParallelPlan[_L]) -> None:
        self._send = send
        self._plan: ParallelPlan[_L] | None = plan
        self._asked: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._home = LoopAffinity(
            "parallel", "begin a new walk here, which `cursor` lets go on from there"
        )
        self.last: str | None = None

    @property
    def is_ahead(self) -> bool:
        """See `Steps.is_ahead`."""
        return bool(self._asked)

    async def next_page(self) -> tuple[Page[_L], Sequence[_L]] | None:
        """See `Steps.next_page`; of each page, only the objects in its own window are returned."""
        self._home.bind()
        self._ask()
        await asyncio.sleep(0)  # the requests leave, even if page after page is ready
        while self._plan is not None and not self._plan.is_over:
            self._news.clear()
            if (step := self._plan.take()) is not None:
                self._ask()
                return step
            await self._news.wait()
        return None

    def _ask(self) -> None:
        while self._plan is not None and (ask := self._plan.ask()) is not None:
            task = asyncio.create_task(self._answer(self._plan, ask))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)

    async def _answer(self, plan: ParallelPlan[_L], ask: PageRequest[_L]) -> None:
        deadline_starts_at_turn.set(True)
        try:
            plan.answer(ask, await _fetch(self._send, ask.walk))
        except BaseException as error:
            plan.fail(ask, error)
            if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
                raise
        finally:
            self._ask()
            self._news.set()

    async def aclose(self) -> None:
        """See `Steps.aclose`."""
        self._plan = None
        if self._asked and not self._home.is_elsewhere():
            await cancel_and_wait(self._asked)


async def _each(steps: Steps[_L]) -> AsyncGenerator[_L, None]:
    try:
        while (step := await steps.next_page()) is not None:
            for item in step[1]:
                steps.last = item.id
                yield item
    finally:
        await steps.aclose()


class Pager(Generic[_L]):
    """A list of the API: iterate it for every object, or await it for its first page.

        async for session in stripe.identity.verification_sessions.list(): ...
        page = await stripe.identity.verification_sessions.list(limit=10)

    Each iteration is a walk of its own from the same start. A loop that is left early cancels
    the request for the next page; `contextlib.aclosing(pager.pages())` does so at once rather
    than on the event loop's next turns.
    """

    __module__ = "pinstripe"

    def __init__(self, send: Sender, walk: Walk[_L]) -> None:
        self._send = send
        self._walk = walk
        self._latest: Steps[_L] | None = None

    @property
    def cursor(self) -> str | None:
        """Where the latest walk stands: after the last object or page that it handed out.

        A short text that `list(..., cursor=...)` goes on from, in another process too; None
        where nothing was handed out and the walk has no start.
        """
        last = self._latest and self._latest.last
        return evolve(self._walk, at=last).cursor if last else self._walk.cursor

    @property
    def walk(self) -> Walk[_L]:
        """Where each walk of this pager starts, and what it asks for."""
        return self._walk

    def behind(self, id: str, items: int) -> Pager[_L]:
        """Return a pager for what comes behind an object.

        Args:
            id: The object's.
            items: How many objects were handed out up to it; `max_items` is lowered by them.
        """
        left = None if self._walk.remaining is None else self._walk.remaining - items
        return Pager(self._send, evolve(self._walk, at=id, remaining=left))

    def without_bodies(self) -> Pager[_L]:
        """Return a pager like this, whose objects do not keep the bytes they were read from."""
        return Pager(self._send, evolve(self._walk, keeps_bodies=False))

    def walker(self) -> Walker[_L]:
        """Begin a walk from the start, whose pages the caller asks for one by one."""
        self._latest = walker = Walker(self._send, self._walk)
        return walker

    def parallel_walker(self, windows: int) -> ParallelWalker[_L]:
        """Begin a parallel walk from the start, whose pages the caller asks for one by one.

        Args:
            windows: How many requests may be under way at once.

        Raises:
            ConfigurationError: An argument is wrong, or the list cannot be walked so.
        """
        from pinstripe._resources.parallel import ParallelPlan  # noqa: PLC0415 -- few walks need it

        check_whole_number("windows", windows, maximum=_MAX_WINDOWS)
        plan = ParallelPlan(self._walk, windows)
        self._latest = walker = ParallelWalker(self._send, plan)
        return walker

    def __aiter__(self) -> AsyncGenerator[_L, None]:  # noqa: PYI058 -- `aclose` stops the walk
        """Yield every object: newest first, or, with `ending_before`, oldest first."""
        return _each(self.walker())

    def parallel(self, windows: int = WINDOWS) -> AsyncGenerator[_L, None]:
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
        return _each(self.parallel_walker(windows))

    async def pages(self) -> AsyncGenerator[Page[_L], None]:
        """Yield page after page, each as the API gave it: newest object first."""
        walker = self.walker()
        try:
            while (step := await walker.next_page()) is not None:
                page, items = step
                walker.last = items[-1].id if items else walker.last
                yield page
        finally:
            await walker.aclose()

    def __await__(self) -> Generator[Any, None, Page[_L]]:
        """Return the first page, and ask for no other; `cursor` stands after it."""
        return self._first().__await__()

    async def _first(self) -> Page[_L]:
        walker = self.walker()
        page = await _fetch(self._send, self._walk)
        items = self._walk.items(page)
        walker.last = items[-1].id if items else None
        return page
