"""Where requests wait for their turn, in one event loop; `_limiter` decides whose turn it is."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from pinstripe._errors import DeadlineExceeded, TransportError
from pinstripe._levels import Rates
from pinstripe._limiter import Gate, Lane
from pinstripe._local import Local
from pinstripe._wire import Request, Response

Waiter = asyncio.Future[None]

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


class LoopGate(Gate[Waiter]):
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
        self._without_key: Lane[Waiter] = Lane()
        self._lines: dict[Lane[Waiter], _Line] = {}

    def lane_of(self, request: Request, now: float) -> Lane[Waiter]:
        """Return where a request queues up.

        Args:
            request: What is to be sent.
            now: The time.
        """
        if request.anonymous:
            return self._without_key
        account = request.headers.get("Stripe-Account")
        return self.lane(account, request.method, request.template, now)

    async def approach(self, request: Request) -> None:
        """Wait until the turn of a request is near, however long that takes.

        Only then does its deadline begin: no more requests wait before it than may go in a
        quarter of a second, nor than may be in flight at once.

        Args:
            request: What is to be sent.
        """
        now = self._clock()
        lane = self.lane_of(request, now)
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

    def _has_room(self, lane: Lane[Waiter], coming: int, now: float) -> bool:
        soon = [meter.rate.at(now) * _NEAR for meter in lane.meters]
        return len(lane.waiters) + coming < max(1.0, min([self.most(now), *soon]))

    def _call_up(self, lane: Lane[Waiter]) -> None:
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

    async def wait(self, lane: Lane[Waiter], now: float, deadline: float) -> None:
        """Wait until a request may go; when this returns, and only then, `leave` is to be called.

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
        self.queue(lane, waiter)
        self._admit(now)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self.give_back(lane)
                self._admit(self._clock())
            else:
                self.withdraw(lane, waiter)
                self._call_up(lane)
            raise

    def leave(
        self,
        lane: Lane[Waiter],
        request: Request,
        result: Response | TransportError | None,
        sent: float,
        now: float,
    ) -> None:
        """Note how a request ended that was let through.

        Args:
            lane: Where it queued up.
            request: What was sent.
            result: Its answer or error; None where it was given up.
            sent: When it was let through.
            now: The time.
        """
        if isinstance(result, Response):
            if result.status == 429:
                self._refuse(lane, result, sent, now)
            elif request.upload is None and request.sink is None:  # those take as long as they are
                self.note(lane, now, sent)
        self.release()
        if self.is_waited_at:
            self._admit(now)

    def _refuse(self, lane: Lane[Waiter], answer: Response, sent: float, now: float) -> None:
        reason = answer.headers.get("Stripe-Rate-Limited-Reason")
        if reason is None and b"lock_timeout" in answer.body:
            return  # another request works on the same object
        self.refuse(lane, reason, now, sent)

    def _admit(self, now: float) -> None:
        while admitted := self.admit(now):
            for lane, waiter in admitted:
                if waiter.done():  # cancelled, and its task has not run since
                    self.give_back(lane)
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


class Gates:
    """The gates of a client and its siblings: one for each event loop.

    Args:
        most: How many requests may be in flight at once.
        rates: The limits of requests a second.
    """

    def __init__(self, most: int, rates: Rates) -> None:
        self._most = most
        self._rates = rates
        self._local: Local[LoopGate] = Local()

    def __call__(self) -> LoopGate:
        """Return the gate of this event loop.

        Raises:
            ConfigurationError: No event loop of asyncio is running.
        """
        gate = self._local.get()
        if gate is None:
            gate = LoopGate(self._most, self._rates)
            self._local.put(gate)
        return gate
