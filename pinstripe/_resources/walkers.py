"""Walks under way: a serial one, with one page ahead of its caller, or one with many requests.

`Walk` and `ParallelPlan` decide which request comes next; the walkers of this module await.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from attrs import evolve

from pinstripe._concurrency.loop_local import LoopAffinity, LoopOwned
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._concurrency.tasks import cancel_and_wait, join, start
from pinstripe._core.errors import PaginationError
from pinstripe._core.tracebacks import hide_frames
from pinstripe._http.messages import Sender
from pinstripe._models.record import Identified
from pinstripe._resources.unfit import AnyPage, attach_to_page, parse_page
from pinstripe._resources.walk import Walk, check_page

if TYPE_CHECKING:
    from pinstripe._resources.parallel import PageRequest, ParallelPlan

_L = TypeVar("_L", bound=Identified)


async def fetch_page(send: Sender, walk: Walk[_L]) -> AnyPage[_L]:
    """Ask for the next page of a walk.

    Args:
        send: Sends the request.
        walk: The walk.
    """
    while True:
        response = await send(walk.request)
        page = parse_page(walk.request, response, walk.endpoint.model, walk.cursor_behind)
        kept = response if walk.keeps_bodies else evolve(response, body=b"")
        found = walk.arrive(attach_to_page(page, kept))
        if not isinstance(found, Walk):
            return found
        walk = found


class PageWalker(Protocol[_L]):
    """A walk under way, page by page.

    Attributes:
        last: The id of the last object that was handed out. The code that hands objects out sets
            it, since only that code knows how far it came.
        position: The position of a page that has this object, or of the page before that.
    """

    last: str | None
    position: Walk[_L]

    @property
    def is_fetching(self) -> bool:
        """Whether a page was asked for and not taken yet."""
        ...

    async def next_page(self) -> tuple[AnyPage[_L], Sequence[_L]] | None:
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
        # While a page is handed out, `last` can still be an object of the page before it.
        self.position = self._newest = walk
        self._task: LoopOwned[asyncio.Task[AnyPage[_L]]] = LoopOwned()
        self._seen: set[str] = set()
        self._items_read = 0
        self.last: str | None = None

    @property
    def is_fetching(self) -> bool:
        """See `PageWalker.is_fetching`."""
        return self._task.is_set

    @hide_frames
    async def next_page(self) -> tuple[AnyPage[_L], Sequence[_L]] | None:
        """See `PageWalker.next_page`."""
        if self._walk is None:
            return None
        walk = self._walk
        task = self._task.get()
        page = await (join(task) if task else fetch_page(self._send, walk))
        self._task.clear()
        try:
            check_page(walk, page, self._seen)
        except PaginationError as error:
            error.items_read = self._items_read
            raise
        items = walk.items(page)
        self._items_read += len(items)
        if items:
            self.position, self._newest = self._newest, walk
        self._walk = walk.after(page)
        if (end := walk.end_of(page)) is not None and self._walk is not None:
            self._seen.add(end)
            self._task.set(start(fetch_page, self._send, self._walk))
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
        self.position = plan.walk
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

    @hide_frames
    async def next_page(self) -> tuple[AnyPage[_L], Sequence[_L]] | None:
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
            plan.record_page(wanted, await fetch_page(self._send, wanted.walk))
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
