"""Identical GETs at the same time: one request, whose answer goes to all callers.

It stands between the resources and the pipeline, so that what is shared is the call with all of
its attempts. The request runs in the context of the first caller, but in a task that no caller
owns: each may be cancelled or run out of time alone, and the last one to leave ends the request.
It has the timeout of the first caller; where that runs out, those with time left ask again. Who
asks after a write of the same client has ended shares nothing that was sent before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from attrs import define

from pinstripe._concurrency.loop_local import LoopLocal
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._concurrency.tasks import cancel_and_wait, join, start
from pinstripe._core.errors import DeadlineExceeded
from pinstripe._http.messages import Request, Response, Sender


@define(eq=False)
class _Shared:
    """A request under way.

    Attributes:
        task: The task that sends it.
        waiting: How many callers wait for it.
    """

    task: asyncio.Task[Response]
    waiting: int = 0


class Coalescer:
    """Sends identical GETs that meet once.

    Args:
        send: Sends one call.
        total: Seconds that a call without timeouts of its own may take.
    """

    def __init__(self, send: Sender, total: float) -> None:
        self._send = send
        self._total = total
        self._under_way: LoopLocal[dict[Hashable, _Shared]] = LoopLocal()

    async def send(self, request: Request) -> Response:
        """Send a request, or wait for the answer to one like it that is under way.

        Args:
            request: What to send; only a GET whose answer is read into memory is shared.

        Raises:
            PinstripeError: As of the call; all who wait get the same.
        """
        if request.method != "GET":
            return await self._write(request)
        if request.sink is not None:
            return await self._send(request)
        shared, is_mine = self._join(request)
        if not is_mine:
            return await self._follow(shared, request)
        await _answered(shared)  # in time or not, as the call itself decides
        return await join(shared.task)

    async def _write(self, request: Request) -> Response:
        try:
            return await self._send(request)
        finally:
            # Who asks from now on must see what it did, which earlier GETs may not have seen.
            if (under_way := self._under_way.get()) is not None:
                under_way.clear()

    async def _follow(self, shared: _Shared, request: Request) -> Response:
        """Wait for what another has begun, as long as one's own time allows for."""
        total = request.timeout.total if request.timeout else self._total
        now = asyncio.get_running_loop().time
        deadline = None if deadline_starts_at_turn.get() else now() + total
        is_mine = False
        while True:
            if not await _answered(shared, None if deadline is None else deadline - now()):
                raise _late(total)
            error = None if shared.task.cancelled() else shared.task.exception()
            if is_mine or not isinstance(error, DeadlineExceeded):
                return await join(shared.task)
            shared, is_mine = self._join(request)

    def _join(self, request: Request) -> tuple[_Shared, bool]:
        """Return what is under way for a request, and whether this began it."""
        under_way = self._under_way.get()
        if under_way is None:
            self._under_way.set(under_way := {})
        headers = frozenset(request.headers.items())
        key = (request.host, request.path, request.query, request.anonymous, headers)
        shared = under_way.get(key)
        is_mine = shared is None or shared.waiting == 0 or shared.task.done()
        if shared is None or is_mine:
            shared = under_way[key] = _Shared(start(self._send, request))
            shared.task.add_done_callback(lambda task: _forget(under_way, key, task))
        return shared, is_mine


async def _answered(shared: _Shared, seconds: float | None = None) -> bool:
    """Wait for an answer, and return whether it came in time; the last to leave ends it."""
    shared.waiting += 1
    try:
        timeout = None if seconds is None else max(0.0, seconds)
        done, _ = await asyncio.wait([shared.task], timeout=timeout)
        return bool(done)
    finally:
        shared.waiting -= 1
        if not shared.waiting and not shared.task.done():
            await cancel_and_wait([shared.task])


def _forget(
    under_way: dict[Hashable, _Shared], key: Hashable, task: asyncio.Task[Response]
) -> None:
    if (shared := under_way.get(key)) is not None and shared.task is task:
        del under_way[key]
    _ = task.cancelled() or task.exception()  # retrieved, as nobody may wait for it


def _late(total: float) -> DeadlineExceeded:
    late = DeadlineExceeded(f"no answer within {total:g} s")
    late.outcome = "unknown"
    return late
