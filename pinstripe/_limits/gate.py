"""Where requests wait for their turn, in one event loop; `_limiter` decides whose turn it is."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, TypeAlias

from pinstripe._concurrency.loop_local import LoopLocal
from pinstripe._core.errors import DeadlineExceeded
from pinstripe._limits.limiter import EndpointQueue, Limiter
from pinstripe._limits.rates import Rates

Waiter: TypeAlias = "asyncio.Future[None]"
QueueKey: TypeAlias = "tuple[str | None, str, str]"
"""What requests of one queue share: the account, the method and the path template."""

_NEAR = 0.25
"""Seconds within which the turn of a request is near."""


class _Line:
    """Patient requests, which wait in front of a lane until it has room for them.

    Invariant: while `turns` is not empty, some request waits in the lane or has been called up;
    when it moves on, it calls `_call_up`.

    Attributes:
        turns: A future for each request, done when it is called up, in the order of arrival.
        coming: How many were called up and have not resumed yet.
    """

    __slots__ = ("coming", "turns")

    def __init__(self) -> None:
        self.turns: OrderedDict[Waiter, None] = OrderedDict()
        self.coming = 0


class AsyncLimiter(Limiter[Waiter]):
    """A gate at which tasks of one event loop wait.

    Args:
        most: How many requests may be in flight at once.
        rates: The limits of requests a second.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(
        self, most: int, rates: Rates, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(most, rates)
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = 0.0
        self._without_key: EndpointQueue[Waiter] = EndpointQueue()
        self._lines: dict[EndpointQueue[Waiter], _Line] = {}

    def queue_of(self, key: QueueKey | None, now: float) -> EndpointQueue[Waiter]:
        """Return the queue of requests with the same key.

        Args:
            key: The account, the method and the path template of a request; None if it carries
                no API key, so that no limit counts it.
            now: The time.
        """
        return self._without_key if key is None else self.endpoint_queue(*key, now)

    async def wait_until_near(self, key: QueueKey | None) -> None:
        """Wait until the turn of a request is near, however long that takes.

        Only then does its deadline start: no more requests wait before it than may go in a
        quarter of a second, nor than may be in flight at once.

        Args:
            key: As for `queue_of`.
        """
        now = self._clock()
        lane = self.queue_of(key, now)
        line = self._lines.get(lane)
        if line is None:
            if self._has_room(lane, 0, now):
                return
            line = self._lines[lane] = _Line()
        turn = asyncio.get_running_loop().create_future()
        line.turns[turn] = None
        try:
            await turn
        finally:
            if turn.done() and not turn.cancelled():
                line.coming -= 1
            else:
                line.turns.pop(turn, None)
            self._call_up(lane)

    def _has_room(self, lane: EndpointQueue[Waiter], coming: int, now: float) -> bool:
        soon = [meter.rate.at(now) * _NEAR for meter in lane.buckets]
        return len(lane.waiters) + coming < max(1.0, min([self.most(now), *soon]))

    def _call_up(self, lane: EndpointQueue[Waiter]) -> None:
        """Let as many patient requests join a lane as it has room for."""
        line = self._lines.get(lane)
        if line is None:
            return
        while line.turns and self._has_room(lane, line.coming, self._clock()):
            turn = line.turns.popitem(last=False)[0]
            if not turn.done():  # cancelled, and its task has not run since
                turn.set_result(None)
                line.coming += 1
        if not line.turns and not line.coming:
            del self._lines[lane]

    async def wait(self, lane: EndpointQueue[Waiter], now: float, deadline: float) -> None:
        """Wait until a request may go; when this returns, and only then, `release` is to be called.

        Args:
            lane: Where it queues up.
            now: The time.
            deadline: When it is too late.

        Raises:
            DeadlineExceeded: Its turn cannot come before that.
        """
        if self.earliest(lane, now) >= deadline:
            late = DeadlineExceeded("the rate limit does not let it through before its deadline")
            late.outcome = "not_sent"
            raise late
        waiter = asyncio.get_running_loop().create_future()
        self.enqueue(lane, waiter)
        self._admit(now)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self.return_tokens(lane)
                self._admit(self._clock())
            else:
                self.withdraw(lane, waiter)
                self._call_up(lane)
            raise

    def release(
        self,
        lane: EndpointQueue[Waiter],
        end: Literal["answered", "refused"] | None,
        reason: str | None,
        sent: float,
        now: float,
    ) -> None:
        """Record how a request ended that was let through, and let the next ones through.

        Args:
            lane: Where it queued up.
            end: `"answered"`, so that its time tells how busy the server is; `"refused"` as one
                too many; None if neither is known.
            reason: Which limit a refused request exceeded, in the server's words; None if the
                server names none.
            sent: When it was let through.
            now: The time.
        """
        if end == "refused":
            self.record_refusal(lane, reason, now, sent)
        elif end == "answered":
            self.record_answer(lane, now, sent)
        self.leave()
        if self.has_waiters:
            self._admit(now)

    def _admit(self, now: float) -> None:
        while admitted := self.admit(now):
            for lane, waiter in admitted:
                if waiter.done():  # cancelled, and its task has not run since
                    self.return_tokens(lane)
                else:
                    waiter.set_result(None)
                self._call_up(lane)
        self._set_timer(now)

    def _set_timer(self, now: float) -> None:
        wakes = self.wake_at(now)
        if self._timer is not None:
            if wakes == self._wakes:
                return
            self._timer.cancel()
            self._timer = None
        if wakes is not None:
            loop, self._wakes = asyncio.get_running_loop(), wakes
            self._timer = loop.call_later(wakes - now, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._admit(self._clock())


class LoopLimiters:
    """The gates of a client and its siblings: one for each event loop.

    Args:
        most: How many requests may be in flight at once.
        rates: The limits of requests a second.
    """

    def __init__(self, most: int, rates: Rates) -> None:
        self._most = most
        self._rates = rates
        self._local: LoopLocal[AsyncLimiter] = LoopLocal()

    def __call__(self) -> AsyncLimiter:
        """Return the gate of this event loop.

        Raises:
            ConfigurationError: No event loop of asyncio is running.
        """
        gate = self._local.get()
        if gate is None:
            gate = AsyncLimiter(self._most, self._rates)
            self._local.set(gate)
        return gate
