"""Limits that fall when the server is overloaded and then recover, and what they apply to.

An `AdaptiveLimit` is one such number: a rate of requests, or the number that may be in flight. A
refusal multiplies it by `FALL`. It climbs back along a cubic curve, as in CUBIC (RFC 9438): slowly
at first, since the limit of the server is probably near; then faster and faster, since that limit
has probably been raised. A straight line would be too fast at first or too slow later: a line that
climbs back from a tenth within 30 seconds exceeds a limit that stays low every other second.

A `TokenBucket` applies a rate. A `LatencyTracker` finds out from the latency of an endpoint whether
fewer requests in flight would get faster answers.

The constants without a source are our choice; simulations in the tests hold what they achieve.
"""

from __future__ import annotations

from math import inf
from typing import Literal

RECOVERY = 12.0
"""Seconds in which a limit climbs from zero back to its ceiling."""

FALL = 0.7
"""The share of a limit that is left after a refusal, as in CUBIC (RFC 9438) and the AWS SDKs."""

FLOOR_SHARE = 0.01
"""The share of its ceiling that a rate keeps, however often the server refuses."""

FALL_INTERVAL = 0.25
"""Seconds after a fall in which a limit does not fall again: one overload causes many refusals."""

_SLOW_FACTOR = 2.0
"""Answers are slow if they take more than this many times the baseline, and `_NOISE` more."""

_NOISE = 0.05
"""Seconds by which answers may be late for other reasons, such as a busy event loop."""

_HELPFUL_SHARE = 0.8
"""A cut of the number in flight has helped if answers take less than this share of the time that
they took before it."""

_SAMPLES = 10
"""The number of answers that a mean is taken over."""

_WHOLE_TOKEN = 1.0 - 1e-6
"""One token, less what rounding may cost."""


class AdaptiveLimit:
    """A number that falls when the server refuses, and climbs back to its ceiling.

    Args:
        ceiling: The value at the start, and the highest value.
        floor: The lowest value.

    Attributes:
        ceiling: As above.
        floor: As above.
        lowered_to: The value after the latest fall; infinity if it is back at the ceiling.
        lowered_at: The time of the latest fall.
    """

    __slots__ = ("ceiling", "floor", "lowered_at", "lowered_to")

    def __init__(self, ceiling: float, floor: float) -> None:
        self.ceiling = ceiling
        self.floor = floor
        self.lowered_to = inf
        self.lowered_at = -inf

    def at(self, now: float) -> float:
        """Return the value at the time `now`."""
        value = self.lowered_to
        if value < self.ceiling:
            value += self.ceiling * ((now - self.lowered_at) / RECOVERY) ** 3
        if value >= self.ceiling:
            value, self.lowered_to = self.ceiling, inf
        return value

    def lower(self, now: float, sent: float, to: float) -> bool:
        """Fall because of a request, unless it was sent before the latest fall.

        A request that was sent before it met the old value, so it says nothing about the new one.

        Args:
            now: The time.
            sent: The time at which the request was sent.
            to: The new value; the floor if it is below that.

        Returns:
            Whether it fell.
        """
        if sent < self.lowered_at or now < self.lowered_at + FALL_INTERVAL:
            return False
        self.lowered_to, self.lowered_at = max(self.floor, to), now
        return True

    def restore(self) -> None:
        """Return to the ceiling at once."""
        self.lowered_to = inf


class TokenBucket:
    """A bucket of tokens that fills at a rate; each request takes one token.

    It holds what the rate gives in `burst` seconds, and at least one token. It is filled up when
    it is asked, not by a timer.

    Args:
        rate: Tokens a second.
        burst: Seconds.

    Attributes:
        rate: As above.
        burst: As above.
        tokens: The number of tokens at the time `filled_at`.
        filled_at: The time at which it was last filled up.
        waiting: The number of waiting requests that will take a token.
    """

    __slots__ = ("burst", "filled_at", "rate", "tokens", "waiting")

    def __init__(self, rate: AdaptiveLimit, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = inf
        self.filled_at = 0.0
        self.waiting = 0

    def ready_at(self, now: float) -> float:
        """Fill it up, and return the time at which it has a token: `now`, or a later time."""
        rate = self.rate.at(now)
        tokens = self.tokens + (now - self.filled_at) * rate
        capacity = rate * self.burst
        if tokens > capacity:
            # A capacity below one token still lets one token collect.
            tokens = capacity if capacity > 1.0 else min(tokens, 1.0)
        self.tokens, self.filled_at = tokens, now
        return now if tokens >= _WHOLE_TOKEN else now + (1.0 - tokens) / rate

    def earliest(self, now: float) -> float:
        """Return the earliest time at which one more request, behind all that wait, can go."""
        self.ready_at(now)
        # The ceiling, since the rate may recover meanwhile: the time is a lower bound.
        return now + max(0.0, self.waiting + 1.0 - self.tokens) / self.rate.ceiling

    def is_idle(self, now: float) -> bool:
        """Return whether it is full and nobody waits, so that a new bucket could replace it."""
        self.ready_at(now)
        full = self.tokens >= max(1.0, self.rate.ceiling * self.burst)
        return full and not self.waiting

    def refuse(self, now: float, sent: float) -> None:
        """Lower the rate and drop the saved tokens, because the server refused a request.

        Args:
            now: The time.
            sent: The time at which the request was sent.
        """
        if self.rate.lower(now, sent, FALL * self.rate.at(now)):
            self.ready_at(now)
            self.tokens = min(self.tokens, 0.0)


class LatencyTracker:
    """The latency of one endpoint: its mean now, and its lowest mean, the baseline.

    While the server works on all requests at once, the latency does not depend on how many are in
    flight. Beyond that they queue at the server, and the latency grows with their number. A mean
    far above the baseline therefore suggests a queue, and `record` returns "slower". The limiter
    then cuts the number in flight and calls `restart`, so that the next answers show whether there
    was a queue:

    - measuring: fewer than `_SAMPLES` answers since the start or the cut; nothing is reported;
    - judging: the `_SAMPLES`th answer after a cut. If the mean fell to less than `_HELPFUL_SHARE`
      of what it was, the queue was real, and the baseline from before the cut still holds. If not,
      the server itself became slower: the present mean is the new baseline, and `record` returns
      "no faster", so that the cut is undone;
    - watching: every later answer; the baseline follows the lowest mean.
    """

    __slots__ = ("_baseline", "_count", "_earlier_baseline", "_mean", "_mean_before_cut")

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        # Infinity: there is no baseline yet, and no cut to judge.
        self._baseline = self._earlier_baseline = self._mean_before_cut = inf

    def record(self, latency: float) -> Literal["slower", "no faster"] | None:
        """Record an answer, and return what follows for the number in flight.

        Args:
            latency: Seconds.

        Returns:
            None in most cases; "slower" while answers take far longer than the baseline, so
            that a cut may help; "no faster" once, if a cut did not help.
        """
        self._count += 1
        # The plain mean of the first samples, and from then on a moving one.
        self._mean += (latency - self._mean) / min(self._count, _SAMPLES)
        # Measuring.
        if self._count < _SAMPLES:
            return None
        # Judging; without a cut, the mean before it is infinite, and this is never true.
        if self._count == _SAMPLES and self._mean > _HELPFUL_SHARE * self._mean_before_cut:
            self._earlier_baseline = self._mean_before_cut = inf
            self._baseline = self._mean
            return "no faster"
        # Watching. This answer has to be slow too: the mean alone lags behind.
        self._baseline = min(self._baseline, self._mean)
        slow = _SLOW_FACTOR * min(self._baseline, self._earlier_baseline) + _NOISE
        return "slower" if latency > slow and self._mean > slow else None

    def unqueued_share(self) -> float:
        """Return the share of the latency that is not spent in a queue: baseline / mean."""
        return min(self._baseline, self._earlier_baseline) / self._mean

    def record_late(self, latency: float) -> None:
        """Record an answer to a request that was sent before the latest cut.

        It belongs to the mean before the cut, since the queue was still growing at that time.

        Args:
            latency: Seconds.
        """
        if self._mean_before_cut < inf:
            self._mean_before_cut += (latency - self._mean_before_cut) / _SAMPLES

    def restart(self) -> None:
        """Measure from the start, because the number in flight was cut."""
        self._mean_before_cut = self._mean
        self._earlier_baseline = min(self._baseline, self._earlier_baseline)
        self._baseline = inf
        self._count, self._mean = 0, 0.0
