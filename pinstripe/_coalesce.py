"""Identical GETs at the same time: one request, whose answer goes to all who asked.

It stands between the resources and the pipeline, so that what is shared is the call with all of
its attempts. The request runs in the context of the first who asked, and belongs to no one: each
who waits may be cancelled or run out of time alone, and the last to leave ends the request. Where
it ran out of the time of the first, those who have some left ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from attrs import define

from pinstripe._apart import begin, outcome
from pinstripe._errors import DeadlineExceeded
from pinstripe._local import Local
from pinstripe._shielded import stop
from pinstripe._wire import Request, Response, Sender


@define(eq=False)
class _Shared:
    """A request that somebody waits for.

    Attributes:
        task: Sends it.
        waiting: How many wait for it.
    """

    task: asyncio.Task[Response]
    waiting: int = 0


class Coalescer:
    """Sends identical GETs that meet once.

    Args:
        send: Sends one call.
        total: Seconds that a call may take which has no timeouts of its own.
    """

    def __init__(self, send: Sender, total: float) -> None:
        self._send = send
        self._total = total
        self._under_way: Local[dict[Hashable, _Shared]] = Local()

    async def send(self, request: Request) -> Response:
        """Send a request, or wait for the answer to one like it that is under way.

        Args:
            request: What to send; only a GET whose answer is read into memory is shared.

        Raises:
            PinstripeError: As of the call; all who wait get the same.
        """
        if request.method != "GET" or request.sink is not None:
            return await self._send(request)
        loop = asyncio.get_running_loop()
        total = request.timeout.total if request.timeout else self._total
        deadline = loop.time() + total
        while True:
            shared, is_mine = self._join(request)
            if not await _answered(shared, deadline - loop.time()):
                raise _late(total)
            error = None if shared.task.cancelled() else shared.task.exception()
            if is_mine or not isinstance(error, DeadlineExceeded):
                return await outcome(shared.task)

    def _join(self, request: Request) -> tuple[_Shared, bool]:
        """Return what is under way for a request, and whether it was begun for it."""
        under_way = self._under_way.get()
        if under_way is None:
            self._under_way.put(under_way := {})
        headers = frozenset(request.headers.items())
        key = (request.host, request.path, request.query, request.anonymous, headers)
        shared = under_way.get(key)
        is_mine = shared is None or shared.waiting == 0 or shared.task.done()
        if shared is None or is_mine:
            shared = under_way[key] = _Shared(begin(self._send, request))
            shared.task.add_done_callback(lambda task: _forget(under_way, key, task))
        return shared, is_mine


async def _answered(shared: _Shared, seconds: float) -> bool:
    """Wait for an answer, and return whether it came in time; the last to leave ends it."""
    shared.waiting += 1
    try:
        done, _ = await asyncio.wait([shared.task], timeout=max(0.0, seconds))
        return bool(done)
    finally:
        shared.waiting -= 1
        if not shared.waiting and not shared.task.done():
            await stop([shared.task])


def _forget(
    under_way: dict[Hashable, _Shared], key: Hashable, task: asyncio.Task[Response]
) -> None:
    if (shared := under_way.get(key)) is not None and shared.task is task:
        del under_way[key]
    _ = task.cancelled() or task.exception()  # which nobody may be left to be told


def _late(total: float) -> DeadlineExceeded:
    late = DeadlineExceeded(f"no answer within {total:g} s")
    late.outcome = "unknown"
    return late
