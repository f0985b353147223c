"""Sends identical GETs of the same time as one request, whose answer goes to all callers.

This is between the resources and the pipeline, so what is shared is the call with all of its
attempts. A shared call goes through these states:

- in progress: it runs in a task that no caller owns, in the context of the first caller. Each
  caller that waits for it can be cancelled, or run out of time, alone.
- abandoned: its last caller left before the answer came. The task is cancelled, and a new caller
  starts a new call.
- closed for newcomers: a write of the same client has ended since. Those who wait still get its
  answer, but a new caller starts a new call, which sees what the write did.
- done: the answer or the error goes to all who wait.

The call has the timeout of its first caller. If it fails because that timeout ran out, callers with
time left share a new call.
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
class _SharedCall:
    """A call in progress.

    Attributes:
        task: The task that sends it.
        waiting: How many callers wait for it.
    """

    task: asyncio.Task[Response]
    waiting: int = 0


class Coalescer:
    """Sends identical GETs that are asked for at the same time once.

    Args:
        send: Sends one call.
        total: Seconds that a call without a timeout of its own may take.
    """

    def __init__(self, send: Sender, total: float) -> None:
        self._send = send
        self._total = total
        self._in_progress: LoopLocal[dict[Hashable, _SharedCall]] = LoopLocal()

    async def send(self, request: Request) -> Response:
        """Send a request, or wait for the answer to an identical one in progress.

        Args:
            request: What to send; only a GET whose answer is read into memory is shared.

        Raises:
            PinstripeError: The call failed; all who wait for it get the same error.
        """
        if request.method != "GET":
            try:
                return await self._send(request)
            finally:
                # GETs that were sent before may not have seen this write, so they are closed, also
                # those of other event loops.
                for _, in_progress in self._in_progress.by_loop():
                    in_progress.clear()
        if request.sink is not None:
            return await self._send(request)
        shared, is_first = self._find_or_start(request)
        if not is_first:
            return await self._follow(shared, request)
        await _wait_for(shared)  # without a timeout here: the call has the one of this caller
        return await join(shared.task)

    async def _follow(self, shared: _SharedCall, request: Request) -> Response:
        """Wait for a call that another caller started, within the timeout of this request."""
        total = request.timeout.total if request.timeout else self._total
        now = asyncio.get_running_loop().time
        deadline = None if deadline_starts_at_turn.get() else now() + total
        is_first = False
        while True:
            if not await _wait_for(shared, None if deadline is None else deadline - now()):
                problem = "the identical call that this one shares had still not ended"
                late = DeadlineExceeded(f"no answer within {total:g} s: {problem}")
                late.call = request.call
                raise late
            error = None if shared.task.cancelled() else shared.task.exception()
            if is_first or not isinstance(error, DeadlineExceeded):
                return await join(shared.task)
            # The time of the first caller ran out, not that of this one.
            shared, is_first = self._find_or_start(request)

    def _find_or_start(self, request: Request) -> tuple[_SharedCall, bool]:
        """Return the call in progress for a request, and whether this started it."""
        in_progress = self._in_progress.get()
        if in_progress is None:
            self._in_progress.set(in_progress := {})
        headers = frozenset(request.headers.items())
        key = (request.host, request.path, request.query, request.anonymous, headers)
        shared = in_progress.get(key)
        # A call for which nobody waits is abandoned.
        is_first = shared is None or shared.waiting == 0 or shared.task.done()
        if shared is None or is_first:
            shared = in_progress[key] = _SharedCall(start(self._send, request))
            shared.task.add_done_callback(lambda task: _forget(in_progress, key, task))
        return shared, is_first


async def _wait_for(shared: _SharedCall, seconds: float | None = None) -> bool:
    """Wait for the end of a call, and return whether it came in time.

    The last caller that leaves before the end cancels the call.
    """
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
    in_progress: dict[Hashable, _SharedCall], key: Hashable, task: asyncio.Task[Response]
) -> None:
    # Another call may have taken the place of one that was abandoned.
    if (shared := in_progress.get(key)) is not None and shared.task is task:
        del in_progress[key]
    _ = task.cancelled() or task.exception()  # or asyncio reports it if nobody waits any more
