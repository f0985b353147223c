"""Pagers: lists that are read page by page, with one request ahead or with many at once.

`Walk` and `ParallelPlan` decide which request comes next; only the walkers of this module await.
A serial walk asks for one page ahead of its caller. A parallel walk has many requests under way.
`Pager` is what users see of both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

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

WINDOWS: Final = 16
"""Requests under way at once in a parallel walk, by default."""

_MAX_WINDOWS = 256

_L = TypeVar("_L", bound=Listed)


async def _fetch(send: Sender, walk: Walk[_L]) -> Page[_L]:
    request = walk.request
    response = await send(request)
    page = parse_response(request, response, walk.endpoint.model)
    known = response if walk.keeps_bodies else evolve(response, body=b"")
    attach_response(page, known)
    for item in page.data:
        attach_response(item, known)
    return page


class PageWalker(Protocol[_L]):
    """A walk under way, page by page.

    Attributes:
        last: The id of the last object that was handed out. The code that hands objects out sets
            it, since only that code knows how far it came.
    """

    last: str | None

    @property
    def is_fetching(self) -> bool:
        """Whether a page was asked for and not taken yet."""
        ...

    async def next_page(self) -> tuple[Page[_L], Sequence[_L]] | None:
        """Return the next page and its objects in the order of the walk; None at the end."""
        ...

    async def aclose(self) -> None:
        """Stop asking; nothing keeps running."""
        ...


class Walker(Generic[_L]):
    """A serial walk under way, which asks for the next page ahead of time; see `PageWalker`.

    In another event loop, or after a fork, it resumes from its position.

    Args:
        send: Sends the requests.
        walk: The start.
    """

    # While the caller works on a page, a task fetches the next one. A walk is in one of three
    # states:
    #
    # - new: there is no task; `next_page` itself fetches the first page.
    # - ahead: a task fetches the page at `_walk`. `next_page` waits for it, hands its page out
    #   and starts the task of the page after it. An error of the task is raised when its page is
    #   wanted, so the objects before it are all handed out.
    # - over: `_walk` is None, after the last page or after `aclose`.
    #
    # A task belongs to one event loop of one process. In another one the task is not seen, so
    # `next_page` fetches the page at `_walk` itself, as if the walk were new.

    def __init__(self, send: Sender, walk: Walk[_L]) -> None:
        self._send = send
        self._walk: Walk[_L] | None = walk
        self._task: LoopLocal[asyncio.Task[Page[_L]]] = LoopLocal()
        self._seen: set[str] = set()
        self._items_read = 0
        self.last: str | None = None

    @property
    def is_fetching(self) -> bool:
        """See `PageWalker.is_fetching`."""
        return self._task.is_set

    async def next_page(self) -> tuple[Page[_L], Sequence[_L]] | None:
        """See `PageWalker.next_page`."""
        if self._walk is None:
            return None
        walk = self._walk
        task = self._task.get()
        page = await (join(task) if task else _fetch(self._send, walk))
        self._task.clear()
        try:
            check_page(walk, page, self._seen)
        except PaginationError as error:
            error.items_read = self._items_read
            raise
        items = walk.items(page)
        self._items_read += len(items)
        self._walk = walk.after(page)
        if self._walk is not None:
            self._seen.add(items[-1].id)
            self._task.set(start(_fetch, self._send, self._walk))
        return page, items

    async def aclose(self) -> None:
        """See `PageWalker.aclose`."""
        task, self._walk = self._task.get(), None
        self._task.clear()
        if task is not None:
            await cancel_and_wait([task])


class ParallelWalker(Generic[_L]):
    """A parallel walk under way; its plan decides how many requests are; see `PageWalker`.

    Args:
        send: Sends the requests.
        plan: Decides which request comes next, and in which order pages are handed out.
    """

    # Each request is a task. Whenever one ends, or a page is taken, the plan may allow more
    # requests, so both places ask it. `_changed` wakes the caller who waits for the next page.
    # An error is kept in the plan until everything before it is handed out. After `aclose` there
    # is no plan, so a task that is being cancelled starts no other one.

    def __init__(self, send: Sender, plan: ParallelPlan[_L]) -> None:
        self._send = send
        self._plan: ParallelPlan[_L] | None = plan
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._affinity = LoopAffinity(
            "parallel", "start a new walk here, which resumes from `cursor`"
        )
        self.last: str | None = None

    @property
    def is_fetching(self) -> bool:
        """See `PageWalker.is_fetching`."""
        return bool(self._tasks)

    async def next_page(self) -> tuple[Page[_L], Sequence[_L]] | None:
        """See `PageWalker.next_page`; of each page, only the objects of its own window."""
        self._affinity.bind()
        self._send_requests()
        # One turn of the loop lets the new tasks send, even if page after page is ready.
        await asyncio.sleep(0)
        while self._plan is not None and not self._plan.is_over:
            self._changed.clear()
            if (step := self._plan.next_page()) is not None:
                self._send_requests()
                return step
            await self._changed.wait()
        return None

    def _send_requests(self) -> None:
        """Start a task for each request that the plan allows now."""
        while self._plan is not None and (wanted := self._plan.next_request()) is not None:
            task = asyncio.create_task(self._fetch_for(self._plan, wanted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _fetch_for(self, plan: ParallelPlan[_L], wanted: PageRequest[_L]) -> None:
        deadline_starts_at_turn.set(True)
        try:
            plan.record_page(wanted, await _fetch(self._send, wanted.walk))
        except BaseException as error:
            plan.record_error(wanted, error)
            if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
                raise
        finally:
            self._send_requests()
            self._changed.set()

    async def aclose(self) -> None:
        """See `PageWalker.aclose`."""
        self._plan = None
        if self._tasks and not self._affinity.is_elsewhere():
            await cancel_and_wait(self._tasks)


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
        last = self._latest and self._latest.last
        return evolve(self.walk, after_id=last).cursor if last else self.walk.cursor

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
        from pinstripe._resources.parallel import ParallelPlan  # noqa: PLC0415 -- few walks need it

        check_whole_number("windows", windows, maximum=_MAX_WINDOWS)
        self._latest = walker = ParallelWalker(self._send, ParallelPlan(self.walk, windows))
        return walker

    async def first_page(self) -> Page[_L]:
        """Return the first page, and ask for no other; `cursor` is then after it."""
        walker = self.begin_walk()
        page = await _fetch(self._send, self.walk)
        items = self.walk.items(page)
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

    def without_bodies(self) -> Pager[_L]:
        """Return a pager whose objects do not keep the bytes that they were read from."""
        return Pager(self._send, evolve(self.walk, keeps_bodies=False))


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

    @property
    def cursor(self) -> str | None:
        """The position of the latest walk: after the last object or page that it handed out.

        It is a short text that `list(..., cursor=...)` resumes from, in another process too. It
        is None if nothing was handed out and the walk starts at the start of the list.
        """
        return self._reader.cursor

    def __aiter__(self) -> AsyncGenerator[_L, None]:  # noqa: PYI058 -- `aclose` stops the walk
        """Yield every object: newest first, or, with `ending_before`, oldest first."""
        return _each(self._reader.begin_walk())

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
        return _each(self._reader.begin_parallel_walk(windows))

    async def pages(self) -> AsyncGenerator[Page[_L], None]:
        """Yield page after page, each as the API gave it: newest object first."""
        walker = self._reader.begin_walk()
        try:
            while (step := await walker.next_page()) is not None:
                page, items = step
                walker.last = items[-1].id if items else walker.last
                yield page
        finally:
            await walker.aclose()

    def __await__(self) -> Generator[Any, None, Page[_L]]:
        """Return the first page, and ask for no other; `cursor` is then after it."""
        return self._reader.first_page().__await__()


def reader_of(pager: Pager[_L]) -> ListReader[_L]:
    """Return what is behind a pager, for the wings that need more of it than users do.

    Args:
        pager: The pager.
    """
    return pager._reader  # noqa: SLF001 -- private to users, and the one way in for other wings


async def _each(walker: PageWalker[_L]) -> AsyncGenerator[_L, None]:
    try:
        while (step := await walker.next_page()) is not None:
            for item in step[1]:
                walker.last = item.id
                yield item
    finally:
        await walker.aclose()
