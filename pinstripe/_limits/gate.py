"""Lets the tasks of one event loop wait until the limiter lets them go.

`Limiter` decides whose turn it is; `AsyncLimiter` waits, with a future for each request and one
timer for all. There are two waits, one behind the other:

- A call whose deadline starts when its turn is near (one of a fan-out, say) first waits in the
  waiting list of its queue, for as long as it takes.
- Every request then waits in its `EndpointQueue`, where its deadline counts.

A waiting list is only as long as the rates require: its next call moves on as soon as the queue
holds fewer requests than can go soon.

The limiter also knows the calls in progress, so that they end when the client is closed.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, TypeAlias

from pinstripe._concurrency.deadlines import Deadline, end_now
from pinstripe._core.errors import ConnectionLost, DeadlineExceeded
from pinstripe._limits.limiter import EndpointQueue, Limiter
from pinstripe._limits.rates import Rates

Waiter: TypeAlias = "asyncio.Future[None]"
QueueKey: TypeAlias = "tuple[str | None, str, str]"
"""What the requests of one queue share: the account, the method and the path template."""

_NEAR = 0.25
"""The turn of a request is near if it comes within this many seconds, at the present rates."""

_GRACE = 0.5
"""Seconds in which the calls in progress have to end when the client is closed."""


def client_closed_error() -> ConnectionLost:
    """Return the error of a call during which the client was closed, and that sent nothing more."""
    error = ConnectionLost("the client was closed during the call")
    error.outcome, error.permanent = "not_sent", True
    return error


def too_late_error() -> DeadlineExceeded:
    """Return the error of a call whose turn does not come before its deadline."""
    problem = "the rate limit does not let the request go before its deadline"
    error = DeadlineExceeded(f"{problem}; make fewer calls at once, or raise the timeout")
    error.outcome = "not_sent"
    return error


class _WaitingList:
    """Calls that wait, without a deadline, until their queue has room for them.

    Each waiter is in one of three states: waiting (in `waiters`); called (its future is done, and
    its task has not run yet; counted in `called`); or gone (it is in the queue, or was cancelled).

    Invariant: while `waiters` is not empty, some request waits in the queue or has been called.
    When that one moves on, it calls `_call_waiters`, so nobody is forgotten.

    Attributes:
        waiters: A future for each call that waits, in order of arrival.
        called: How many were called and have not run yet.
    """

    __slots__ = ("called", "waiters")

    def __init__(self) -> None:
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()
        self.called = 0


class AsyncLimiter(Limiter[Waiter]):
    """A limiter for the tasks of one event loop.

    Args:
        max_in_flight: The most requests in flight at once.
        rates: The limits of requests a second.
        monotonic: Returns the seconds of a clock that never goes back.

    Attributes:
        calls: The deadlines of the calls in progress.
        closed: Whether the client was closed.
    """

    def __init__(
        self, max_in_flight: int, rates: Rates, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(max_in_flight, rates)
        self.calls: set[Deadline] = set()
        self.closed = False
        self._monotonic = monotonic
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._keyless_queue: EndpointQueue[Waiter] = EndpointQueue()
        self._waiting_lists: dict[EndpointQueue[Waiter], _WaitingList] = {}

    def end_calls(self) -> None:
        """End the calls in progress, wherever they are, and refuse later ones."""
        self.closed = True
        for call in self.calls:
            end_now(call)

    async def close(self) -> None:
        """End the calls in progress, and wait until they have ended."""
        self.end_calls()
        until = self._monotonic() + _GRACE
        # An event in place of this look would be a step more in every call.
        while self.calls and self._monotonic() < until:  # noqa: ASYNC110 -- see above
            await asyncio.sleep(0.001)

    def queue_of(self, key: QueueKey | None, now: float) -> EndpointQueue[Waiter]:
        """Return the queue of requests with the same key.

        Args:
            key: The account, the method and the path template of a request; None if it carries
                no API key, so that no rate counts it.
            now: The time.
        """
        return self._keyless_queue if key is None else self.endpoint_queue(*key, now)

    async def wait_until_near(self, key: QueueKey | None) -> bool:
        """Wait until the turn of a call is near, however long that takes; return whether it waited.

        Its deadline starts only then. The turn is near if fewer requests wait before it than can
        go in a quarter of a second, and fewer than may be in flight at once.

        Args:
            key: As for `queue_of`.
        """
        now = self._monotonic()
        queue = self.queue_of(key, now)
        waiting_list = self._waiting_lists.get(queue)
        if waiting_list is None:
            if self._has_room(queue, 0, now):
                return False
            waiting_list = self._waiting_lists[queue] = _WaitingList()
        waiter = asyncio.get_running_loop().create_future()
        waiting_list.waiters[waiter] = None
        try:
            await waiter
        finally:
            # Called, and perhaps cancelled since; or cancelled while it still waited.
            if waiter.done() and not waiter.cancelled():
                waiting_list.called -= 1
            else:
                waiting_list.waiters.pop(waiter, None)
            # Whether it moves on or was cancelled, there may be room for the next ones now.
            self._call_waiters(queue)
        return True

    def _has_room(self, queue: EndpointQueue[Waiter], called: int, now: float) -> bool:
        soon = [bucket.rate.at(now) * _NEAR for bucket in queue.buckets]
        return len(queue.waiters) + called < max(1.0, min([self.max_in_flight(now), *soon]))

    def _call_waiters(self, queue: EndpointQueue[Waiter]) -> None:
        """Call as many waiters of a waiting list as its queue has room for."""
        waiting_list = self._waiting_lists.get(queue)
        if waiting_list is None:
            return
        waiters = waiting_list.waiters
        while waiters and self._has_room(queue, waiting_list.called, self._monotonic()):
            waiter = waiters.popitem(last=False)[0]
            if not waiter.done():  # it is if it was cancelled, and its task has not run since
                waiter.set_result(None)
                waiting_list.called += 1
        if not waiters and not waiting_list.called:
            del self._waiting_lists[queue]

    async def wait(self, queue: EndpointQueue[Waiter], now: float, deadline: float) -> None:
        """Wait until a request may go; call `release` if this returns, and only then.

        Args:
            queue: The queue of the request.
            now: The time.
            deadline: The time at which it is too late.

        Raises:
            DeadlineExceeded: The rates cannot let it go before the deadline.
        """
        if self.earliest(queue, now) >= deadline:
            raise too_late_error()
        waiter = asyncio.get_running_loop().create_future()
        self.enqueue(queue, waiter)
        self._admit_waiters(now)
        try:
            await waiter
        except BaseException:
            # Its turn had come, and it was cancelled before it ran: the turn goes to the next one.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.return_tokens(queue)
                self._admit_waiters(self._monotonic())
            # It was cancelled while it waited, or refused.
            else:
                self.withdraw(queue, waiter)
                self._call_waiters(queue)
            raise

    def release(
        self,
        queue: EndpointQueue[Waiter],
        end: Literal["answered", "refused"] | None,
        reason: str | None,
        sent: float,
        now: float,
    ) -> None:
        """Record how a request ended that was let go, and let the next ones go.

        Args:
            queue: The queue of the request.
            end: `"answered"` if its latency says how busy the server is; `"refused"` if it was
                one too many; None if it says neither.
            reason: The limit that a refused request exceeded, as the server names it; None if
                it names none.
            sent: The time at which it was let go.
            now: The time.
        """
        if end == "refused":
            self.record_refusal(queue, reason, now, sent)
        elif end == "answered":
            self.record_answer(queue, now, sent)
        self._in_flight -= 1
        if self._waiting:
            self._admit_waiters(now)

    def _admit_waiters(self, now: float) -> None:
        while admitted := self.admit(now):
            for queue, waiter in admitted:
                if waiter.done():  # cancelled, and its task has not run since
                    self.return_tokens(queue)
                else:
                    waiter.set_result(None)
                self._call_waiters(queue)
        # One timer for all, set to the time at which the next request may go, if that is known.
        wake_at = self.wake_at(now)
        if self._timer is not None:
            if wake_at == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if wake_at is not None:
            loop, self._timer_at = asyncio.get_running_loop(), wake_at
            self._timer = loop.call_later(wake_at - now, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._admit_waiters(self._monotonic())
