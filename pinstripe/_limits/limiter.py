"""Which requests may go: in the order in which they came, within every limit that counts them.

Nothing here waits, and the time is an argument. A request goes when every meter that counts it
(its account's, its endpoint's, that of files) has a permit, and when fewer are in flight than may
be. One gate decides both. A semaphore behind a rate limiter would let permits pile up between the
two and go all at once; one in front of it would fill with requests that wait for the rate of one
endpoint, and hold up all others.

How many may be in flight follows the latency. The baseline of a lane is the lowest mean time that
its answers took. When they take more than twice that, a queue has formed at the server, and the
number is multiplied by baseline / mean time, which leaves those that did not stand in the queue.
It then climbs back on a cubic curve. If answers are hardly faster after the cut, there was no
queue: the cut is undone, and the present time is the new baseline. The server's refusals cut the
number too, by a fixed factor, where they are for too many at once or no rate is known to cut.

The libraries for this fall short. aiolimiter (1.3) has one fixed rate, lets a whole second's worth
go at once, and lets newcomers overtake. pyrate-limiter (4) has fixed rates, and whoever waits
sleeps and tries again. limits (5) counts, but queues nobody. None has several limits for one
request, rates that change, or permits that are given back.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from math import inf
from typing import Generic, TypeVar

from pinstripe._limits.buckets import FALL, AdaptiveLimit, LatencyTracker, TokenBucket
from pinstripe._limits.rates import Rates

_W = TypeVar("_W")

_DEEPEST = 0.25
"""Slow answers cut the number in flight to no less than this share of it."""

_ACCOUNTS = 1024
"""With so many accounts, those that are idle are forgotten before another one is added."""


class EndpointQueue(Generic[_W]):
    """The requests of an account to one endpoint.

    Attributes:
        shared: The meters of all requests of the account, none where they have no limit.
        own: The meters of this endpoint and of its class.
        waiters: Who waits, in the order in which they came, each with its number.
        pace: How long answers take.
        queued: Whether the gate keeps it in a heap, as it does while somebody waits.
    """

    __slots__ = ("account_buckets", "buckets", "in_heap", "latency", "own_buckets", "waiters")

    def __init__(
        self, shared: tuple[TokenBucket, ...] = (), own: tuple[TokenBucket, ...] = ()
    ) -> None:
        self.account_buckets = shared
        self.own_buckets = own
        self.buckets = shared + own
        self.waiters: OrderedDict[_W, int] = OrderedDict()
        self.latency = LatencyTracker()
        self.in_heap = False


class _Account(Generic[_W]):
    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.lanes: dict[tuple[str, str], EndpointQueue[_W]] = {}
        self._meters: dict[str, TokenBucket] = {}

    def open_lane(self, method: str, path: str) -> EndpointQueue[_W]:
        own = self._metered(f"{method} {path}", self.rates.endpoint)
        if path.startswith("/v1/files"):
            own += self._metered("read" if method == "GET" else "write", self.rates.files)
        lane = EndpointQueue[_W](self._metered("", self.rates.account), own)
        self.lanes[method, path] = lane
        return lane

    def _metered(self, name: str, rate: float) -> tuple[TokenBucket, ...]:
        if rate == inf:
            return ()
        if name not in self._meters:
            self._meters[name] = TokenBucket(AdaptiveLimit(rate, rate / 100), self.rates.burst)
        return (self._meters[name],)

    def is_idle(self, now: float) -> bool:
        waits = any(lane.waiters for lane in self.lanes.values())
        return not waits and all(meter.is_idle(now) for meter in self._meters.values())


class Limiter(Generic[_W]):
    """Decides who may go, in the order in which they came.

    A request never overtakes another to the same endpoint, and one to a different endpoint only
    while the limit of that endpoint holds it back.

    Args:
        most: How many may be in flight at once.
        rates: The limits of requests a second.
    """

    def __init__(self, most: int, rates: Rates) -> None:
        self._most = AdaptiveLimit(most, 1.0)
        self._rates = rates
        self._accounts: dict[str | None, _Account[_W]] = {}
        self._ready: list[tuple[int, EndpointQueue[_W]]] = []
        self._asleep: list[tuple[float, int, EndpointQueue[_W]]] = []
        self._number = 0
        self._waiting = 0
        self._inside = 0
        self._cut_for: EndpointQueue[_W] | None = None

    @property
    def has_waiters(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def most(self, now: float) -> float:
        """Return how many may be in flight at this moment."""
        return self._most.at(now)

    def endpoint_queue(
        self, account: str | None, method: str, path: str, now: float
    ) -> EndpointQueue[_W]:
        """Return where the requests of an account to an endpoint queue up.

        Args:
            account: The id of the account; None for that of the key.
            method: The HTTP method.
            path: The path with placeholders.
            now: The time.
        """
        found = self._accounts.get(account)
        if found is None:
            found = self._open_account(account, now)
        return found.lanes.get((method, path)) or found.open_lane(method, path)

    def _open_account(self, account: str | None, now: float) -> _Account[_W]:
        if len(self._accounts) >= _ACCOUNTS:
            kept = {name: it for name, it in self._accounts.items() if not it.is_idle(now)}
            self._accounts = kept
        opened = self._accounts[account] = _Account[_W](self._rates)
        return opened

    def enter(self, lane: EndpointQueue[_W], now: float) -> bool:
        """Let a request through if nothing holds it up, and return whether that is so."""
        if self._waiting or self._inside >= self._most.at(now):
            return False
        for meter in lane.buckets:
            if meter.ready_at(now) > now:
                return False
        self._take_tokens(lane)
        return True

    def _take_tokens(self, lane: EndpointQueue[_W]) -> None:
        for meter in lane.buckets:
            meter.tokens -= 1.0
        self._inside += 1

    def earliest(self, lane: EndpointQueue[_W], now: float) -> float:
        """Return the time before which the rates let no further request through."""
        return max((meter.earliest(now) for meter in lane.buckets), default=now)

    def enqueue(self, lane: EndpointQueue[_W], waiter: _W) -> None:
        """Have a request wait for its turn, behind all that came before it."""
        self._number += 1
        lane.waiters[waiter] = self._number
        self._count(lane, 1)
        if not lane.in_heap:
            lane.in_heap = True
            heappush(self._ready, (self._number, lane))

    def _count(self, lane: EndpointQueue[_W], change: int) -> None:
        self._waiting += change
        for meter in lane.buckets:
            meter.waiting += change

    def withdraw(self, lane: EndpointQueue[_W], waiter: _W) -> None:
        """Forget a request that waits no longer."""
        if lane.waiters.pop(waiter, None) is not None:
            self._count(lane, -1)

    def admit(self, now: float) -> list[tuple[EndpointQueue[_W], _W]]:
        """Let through all whose turn it is."""
        while self._asleep and self._asleep[0][0] <= now:
            heappush(self._ready, heappop(self._asleep)[1:])
        admitted: list[tuple[EndpointQueue[_W], _W]] = []
        while self._ready and self._inside < self._most.at(now):
            number, lane = heappop(self._ready)
            if lane.waiters and number == self._head(lane):
                ready = max((meter.ready_at(now) for meter in lane.buckets), default=now)
                if ready > now:
                    heappush(self._asleep, (ready, number, lane))
                    continue
                admitted.append((lane, lane.waiters.popitem(last=False)[0]))
                self._count(lane, -1)
                self._take_tokens(lane)
            self._requeue(lane)
        return admitted

    def _head(self, lane: EndpointQueue[_W]) -> int:
        return next(iter(lane.waiters.values()))

    def _requeue(self, lane: EndpointQueue[_W]) -> None:
        lane.in_heap = bool(lane.waiters)
        if lane.in_heap:
            heappush(self._ready, (self._head(lane), lane))

    def wake_at(self, now: float) -> float | None:
        """Return when to call `admit` again; None where that has to follow some `leave`."""
        if not self._asleep or self._inside >= self._most.at(now):
            return None
        return self._asleep[0][0]

    def leave(self) -> None:
        """Note that a request is no longer in flight."""
        self._inside -= 1

    def return_tokens(self, lane: EndpointQueue[_W]) -> None:
        """Note that a request that was let through did not go after all."""
        self._inside -= 1
        for meter in lane.buckets:
            meter.tokens += 1.0

    def record_answer(self, lane: EndpointQueue[_W], now: float, sent: float) -> None:
        """Take note of an answer, while its request still counts as in flight.

        Args:
            lane: The lane of the request.
            now: When it came.
            sent: When the request was sent.
        """
        if sent < self._most.lowered_at:
            lane.latency.record_late(now - sent)
            return
        change = lane.latency.record(now - sent)
        if change == "slower":
            self._cut(lane, now, sent)
        elif change == "no faster" and self._cut_for is lane:
            self._most.restore()

    def _cut(self, lane: EndpointQueue[_W], now: float, sent: float) -> None:
        """Have fewer in flight because answers are slow, unless few are in flight anyway."""
        level = self._most.at(now)
        to = level * max(lane.latency.unqueued_share(), _DEEPEST)
        if 2 * self._inside > level and self._most.lower(now, sent, to):
            lane.latency.restart()
            self._cut_for = lane

    def record_refusal(
        self, lane: EndpointQueue[_W], reason: str | None, now: float, sent: float
    ) -> None:
        """Slow down because the server refused a request, which still counts as in flight.

        https://docs.stripe.com/rate-limits

        Args:
            lane: The lane of the request.
            reason: Which limit it exceeded, in the server's words; None where it says none.
            now: When it was refused.
            sent: When it was sent.
        """
        if reason in ("resource-specific", "lock_timeout"):
            return  # it was for one object, and another object may fare better
        meters = lane.own_buckets if reason == "endpoint-rate" else lane.account_buckets
        if not meters or (reason or "").endswith("-concurrency"):
            most = min(self._most.at(now), self._inside)
            self._most.lower(now, sent, FALL * most)
            self._cut_for = None
            return
        for meter in meters:
            meter.refuse(now, sent)
