"""Decides which requests may go: in order of arrival, within every limit that counts them.

Nothing here waits, and the time is an argument. A request may go if every bucket that counts it
has a token (that of its account, that of its endpoint, and for files one more) and if fewer are in
flight than the limit allows. One limiter decides both. A semaphore behind a rate limiter would let
tokens collect between the two and go all at once; a semaphore in front of it would fill with
requests that wait for the rate of one endpoint, and hold up all others.

The limit of requests in flight follows the latency (see `LatencyTracker`). If answers take far
longer than the baseline, a queue has formed at the server, and the limit is multiplied by
baseline / mean, which is the share that was not in the queue. It then climbs back along a cubic
curve. If answers are hardly faster after such a cut, there was no queue, and the cut is undone.
Refusals of the server cut this limit too, by a fixed factor, if they are for too many requests at
once or if no rate is known that could be cut instead.

Why no library: aiolimiter (1.3) has one fixed rate, lets the requests of a whole second go at once,
and lets newcomers overtake. pyrate-limiter (4) has fixed rates, and a task that waits sleeps and
tries again. limits (5) counts but has no queue. None of them has several limits for one request,
rates that change, or tokens that can be returned.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from itertools import chain
from math import inf
from typing import Generic, TypeVar

from pinstripe._limits.buckets import (
    FALL,
    FLOOR_SHARE,
    AdaptiveLimit,
    LatencyTracker,
    TokenBucket,
)
from pinstripe._limits.rates import Rates

_W = TypeVar("_W")
"""What identifies a waiting request; the asynchronous limiter uses a future."""

_DEEPEST_CUT = 0.25
"""Slow answers cut the limit of requests in flight to no less than this share of it."""

_MAX_ACCOUNTS = 1024
"""From this number on, idle accounts are forgotten when another one is added."""

_LOOKED_AT = 2
"""How many accounts are looked at then. With two for each new one, the number falls again as soon
as accounts become idle, and a new account costs the same however many there are."""


class EndpointQueue(Generic[_W]):
    """The requests of one account to one endpoint.

    Args:
        account_buckets: The buckets of all requests of the account; none if it has no limit.
        own_buckets: The buckets of this endpoint, and of its class if that has a limit.

    Attributes:
        account_buckets: As above.
        own_buckets: As above.
        buckets: Both together.
        waiters: The requests that wait, in order of arrival, each with its number.
        latency: The latency of the endpoint.
        in_heap: Whether the limiter has it in one of its heaps, as it has while somebody waits.
    """

    __slots__ = ("account_buckets", "buckets", "in_heap", "latency", "own_buckets", "waiters")

    def __init__(
        self,
        account_buckets: tuple[TokenBucket, ...] = (),
        own_buckets: tuple[TokenBucket, ...] = (),
    ) -> None:
        self.account_buckets = account_buckets
        self.own_buckets = own_buckets
        self.buckets = account_buckets + own_buckets
        self.waiters: OrderedDict[_W, int] = OrderedDict()
        self.latency = LatencyTracker()
        self.in_heap = False


def meters_of(method: str, path: str, rates: Rates) -> list[tuple[str, float]]:
    """Return what counts the requests to an endpoint: names within the account, with their rates.

    The first is that of the account itself.

    Args:
        method: The HTTP method.
        path: The path with placeholders.
        rates: The limits of requests a second.
    """
    meters = [("", rates.account), (f"{method} {path}", rates.endpoint)]
    # Stripe counts reads and writes of files apart: https://docs.stripe.com/rate-limits
    if path.startswith("/v1/files"):
        meters.append(("read" if method == "GET" else "write", rates.files))
    return meters


class _Account(Generic[_W]):
    """The queues of one account, and the buckets that they share."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.queues: dict[tuple[str, str], EndpointQueue[_W]] = {}
        self._buckets: dict[str, TokenBucket] = {}

    def add_queue(self, method: str, path: str) -> EndpointQueue[_W]:
        account, *own = [self._bucket(*meter) for meter in meters_of(method, path, self.rates)]
        queue = EndpointQueue[_W](account, tuple(chain.from_iterable(own)))
        self.queues[method, path] = queue
        return queue

    def _bucket(self, name: str, rate: float) -> tuple[TokenBucket, ...]:
        """Return the bucket with a name in a tuple, which is empty if there is no limit."""
        if rate == inf:
            return ()
        if name not in self._buckets:
            self._buckets[name] = TokenBucket(
                AdaptiveLimit(rate, rate * FLOOR_SHARE), self.rates.burst
            )
        return (self._buckets[name],)

    def is_idle(self, now: float) -> bool:
        waits = any(queue.waiters for queue in self.queues.values())
        return not waits and all(bucket.is_idle(now) for bucket in self._buckets.values())


class Limiter(Generic[_W]):
    """Decides which request may go, in order of arrival.

    A request never overtakes another one to the same endpoint. It overtakes a request to a
    different endpoint only while the limit of that endpoint holds that request back.

    A queue in which somebody waits is in one of two heaps: in `_ready`, ordered by the number of
    its first waiter; or in `_delayed`, ordered by the time at which its buckets will have a token.
    A number that its queue no longer begins with is stale: that waiter was withdrawn.

    Args:
        max_in_flight: The most requests in flight at once.
        rates: The limits of requests a second.
    """

    def __init__(self, max_in_flight: int, rates: Rates) -> None:
        self._max_in_flight = AdaptiveLimit(max_in_flight, 1.0)
        self._rates = rates
        # Those that were looked at longest ago come first.
        self._accounts: OrderedDict[str | None, _Account[_W]] = OrderedDict()
        self._ready: list[tuple[int, EndpointQueue[_W]]] = []
        self._delayed: list[tuple[float, int, EndpointQueue[_W]]] = []
        self._last_number = 0
        self._waiting = 0
        self._in_flight = 0
        # The queue whose slow answers caused the latest cut, and which judges it.
        self._cut_for: EndpointQueue[_W] | None = None

    @property
    def has_waiters(self) -> bool:
        """Whether any request waits."""
        return bool(self._waiting)

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._in_flight

    def max_in_flight(self, now: float) -> float:
        """Return how many requests may be in flight at the time `now`."""
        return self._max_in_flight.at(now)

    def endpoint_queue(
        self, account: str | None, method: str, path: str, now: float
    ) -> EndpointQueue[_W]:
        """Return the queue for the requests of an account to an endpoint.

        Args:
            account: The id of the account; None for the account of the API key.
            method: The HTTP method.
            path: The path with placeholders.
            now: The time.
        """
        found = self._accounts.get(account)
        if found is None:
            if len(self._accounts) >= _MAX_ACCOUNTS:
                self._forget_idle_accounts(now)
            found = self._accounts[account] = _Account[_W](self._rates)
        return found.queues.get((method, path)) or found.add_queue(method, path)

    def _forget_idle_accounts(self, now: float) -> None:
        for _ in range(_LOOKED_AT):
            name, account = self._accounts.popitem(last=False)
            if not account.is_idle(now):
                self._accounts[name] = account

    def try_acquire(self, queue: EndpointQueue[_W], now: float) -> bool:
        """Let a request go if nothing holds it back, and return whether it may go."""
        # While any request waits, this one goes through its queue too, which keeps the order.
        if self._waiting or self._in_flight >= self._max_in_flight.at(now):
            return False
        buckets = queue.buckets
        for bucket in buckets:
            if bucket.ready_at(now) > now:
                return False
        for bucket in buckets:
            bucket.tokens -= 1.0
        self._in_flight += 1
        return True

    def earliest(self, queue: EndpointQueue[_W], now: float) -> float:
        """Return the earliest time at which the rates may let one more request go."""
        return max((bucket.earliest(now) for bucket in queue.buckets), default=now)

    def enqueue(self, queue: EndpointQueue[_W], waiter: _W) -> None:
        """Let a request wait for its turn, behind all that arrived before it."""
        self._last_number += 1
        queue.waiters[waiter] = self._last_number
        self._count_waiters(queue, 1)
        if not queue.in_heap:
            queue.in_heap = True
            heappush(self._ready, (self._last_number, queue))

    def _count_waiters(self, queue: EndpointQueue[_W], change: int) -> None:
        self._waiting += change
        for bucket in queue.buckets:
            bucket.waiting += change

    def withdraw(self, queue: EndpointQueue[_W], waiter: _W) -> None:
        """Remove a request that no longer waits; its queue stays in its heap until `admit`."""
        if queue.waiters.pop(waiter, None) is not None:
            self._count_waiters(queue, -1)

    def admit(self, now: float) -> list[tuple[EndpointQueue[_W], _W]]:
        """Let all waiting requests go that may go now, and return them in order of arrival."""
        # Queues whose delay is over compete again by their number.
        while self._delayed and self._delayed[0][0] <= now:
            heappush(self._ready, heappop(self._delayed)[1:])
        admitted: list[tuple[EndpointQueue[_W], _W]] = []
        while self._ready and self._in_flight < self._max_in_flight.at(now):
            number, queue = heappop(self._ready)
            waiters = queue.waiters
            # Unless the number is stale, the first waiter goes, or delays its whole queue.
            if waiters and number == next(iter(waiters.values())):
                ready = max((bucket.ready_at(now) for bucket in queue.buckets), default=now)
                if ready > now:
                    heappush(self._delayed, (ready, number, queue))
                    continue
                admitted.append((queue, waiters.popitem(last=False)[0]))
                self._count_waiters(queue, -1)
                for bucket in queue.buckets:
                    bucket.tokens -= 1.0
                self._in_flight += 1
            # Its next waiter competes with the first ones of the other queues.
            queue.in_heap = bool(waiters)
            if waiters:
                heappush(self._ready, (next(iter(waiters.values())), queue))
        return admitted

    def reconsider(self) -> None:
        """Let the queues that are delayed compete again, since they may be ready earlier now."""
        while self._delayed:
            heappush(self._ready, self._delayed.pop()[1:])

    def wake_at(self, now: float) -> float | None:
        """Return when to call `admit` again; None if nothing changes before a request ends."""
        if not self._delayed or self._in_flight >= self._max_in_flight.at(now):
            return None
        return self._delayed[0][0]

    def release_slot(self) -> None:
        """Note that a request is no longer in flight."""
        self._in_flight -= 1

    def return_tokens(self, queue: EndpointQueue[_W]) -> None:
        """Note that a request that was let go was not sent after all."""
        self._in_flight -= 1
        for bucket in queue.buckets:
            bucket.tokens += 1.0

    def record_answer(self, queue: EndpointQueue[_W], now: float, sent: float) -> None:
        """Record the latency of a request, which still counts as in flight.

        Args:
            queue: The queue of the request.
            now: The time of the answer.
            sent: The time at which the request was sent.
        """
        if sent < self._max_in_flight.lowered_at:
            queue.latency.record_late(now - sent)
            return
        change = queue.latency.record(now - sent)
        if change == "slower":
            # If few are in flight, they are not what makes the server slow.
            limit = self._max_in_flight.at(now)
            if 2 * self._in_flight > limit:
                to = limit * max(queue.latency.unqueued_share(), _DEEPEST_CUT)
                if self._max_in_flight.lower(now, sent, to):
                    queue.latency.restart()
                    self._cut_for = queue
        elif change == "no faster" and self._cut_for is queue:
            self._max_in_flight.restore()

    def record_refusal(
        self, queue: EndpointQueue[_W], reason: str | None, now: float, sent: float
    ) -> None:
        """Slow down because the server refused a request, which still counts as in flight.

        https://docs.stripe.com/rate-limits

        Args:
            queue: The queue of the request.
            reason: The limit that it exceeded, as the server names it; None if it names none.
            now: The time of the refusal.
            sent: The time at which the request was sent.
        """
        if reason in ("resource-specific", "lock_timeout"):
            return  # the refusal was about one object; requests for other objects may succeed
        buckets = queue.own_buckets if reason == "endpoint-rate" else queue.account_buckets
        if buckets and not (reason or "").endswith("-concurrency"):
            for bucket in buckets:
                bucket.refuse(now, sent)
            return
        # Too many at once, or no rate to cut: the limit of requests in flight falls instead, from
        # the number that was really in flight. No latency judges this cut.
        in_flight = min(self._max_in_flight.at(now), self._in_flight)
        self._max_in_flight.lower(now, sent, FALL * in_flight)
        self._cut_for = None
