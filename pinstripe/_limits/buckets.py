"""Numbers that a server can bring down, and that recover: rates, and how many may be in flight.

A refusal multiplies such a number by `FALL`. It climbs back along a cubic curve: slowly at first,
as the limit of the server is probably near, then faster and faster, as the limit has probably
been raised. A straight line is too fast at first or too slow later: one that climbs back from a
tenth within 30 seconds exceeds a limit that stays low every other second.
"""

from __future__ import annotations

from math import inf
from typing import Literal

RECOVERY = 12.0
"""Seconds in which a level climbs from zero back to its ceiling."""

FALL = 0.7
"""The share of a level that is left after a refusal, as in CUBIC and the AWS SDKs."""

_BLINK = 0.25
"""Seconds after a fall in which a level does not fall again, however many refusals come."""

_SLOWER = 2.0
"""Answers are slow when they take more than so many times the baseline, and `_NOISE` more."""

_NOISE = 0.05
"""Seconds by which answers may be late for other reasons, such as a busy event loop."""

_FASTER = 0.8
"""After the number in flight was cut, answers must take less than this share of their former time;
otherwise the cut did not help and is undone."""

_SAMPLES = 10
"""How many answers a mean is taken over."""

_ENOUGH = 1.0 - 1e-6
"""A whole permit, but for rounding."""


class AdaptiveLimit:
    """A number that falls when a server refuses, and climbs back to its ceiling.

    Attributes:
        ceiling: Where it starts, and its highest value.
        floor: Its lowest value.
        low: What it last fell to; infinity once it is back at the ceiling.
        since: When it last fell.
    """

    __slots__ = ("ceiling", "floor", "lowered_at", "lowered_to")

    def __init__(self, ceiling: float, floor: float) -> None:
        self.ceiling = ceiling
        self.floor = floor
        self.lowered_to = inf
        self.lowered_at = -inf

    def at(self, now: float) -> float:
        """Return the number of this moment."""
        level = self.lowered_to
        if level < self.ceiling:
            level += self.ceiling * ((now - self.lowered_at) / RECOVERY) ** 3
        if level >= self.ceiling:
            level, self.lowered_to = self.ceiling, inf
        return level

    def lower(self, now: float, sent: float, to: float) -> bool:
        """Fall because of a request, unless it was sent before the latest fall.

        Args:
            now: The time.
            sent: When the request was sent.
            to: The new number, if it is above the floor.

        Returns:
            Whether it fell.
        """
        if sent < self.lowered_at or now < self.lowered_at + _BLINK:
            return False
        self.lowered_to, self.lowered_at = max(self.floor, to), now
        return True

    def restore(self) -> None:
        """Go back to the ceiling at once."""
        self.lowered_to = inf


class TokenBucket:
    """A bucket of permits: it fills at a rate, and holds some seconds' worth, but at least one.

    Attributes:
        rate: Permits a second.
        burst: How many seconds' worth it holds.
        permits: How many were in it at the time `filled`.
        filled: When it was last filled up.
        waiting: How many requests wait that will take a permit.
    """

    __slots__ = ("burst", "filled_at", "rate", "tokens", "waiting")

    def __init__(self, rate: AdaptiveLimit, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = inf
        self.filled_at = 0.0
        self.waiting = 0

    def ready_at(self, now: float) -> float:
        """Return when it has a permit: now, or a later time."""
        rate = self.rate.at(now)
        permits = self.tokens + (now - self.filled_at) * rate
        most = rate * self.burst
        if permits > most:
            permits = most if most > 1.0 else min(permits, 1.0)
        self.tokens, self.filled_at = permits, now
        return now if permits >= _ENOUGH else now + (1.0 - permits) / rate

    def earliest(self, now: float) -> float:
        """Return the time before which one more request, behind all that wait, cannot go."""
        self.ready_at(now)
        return now + max(0.0, self.waiting + 1.0 - self.tokens) / self.rate.ceiling

    def is_idle(self, now: float) -> bool:
        """Return whether it is full and nobody waits, so that a new one could take its place."""
        self.ready_at(now)
        full = self.tokens >= max(1.0, self.rate.ceiling * self.burst)
        return full and not self.waiting

    def refuse(self, now: float, sent: float) -> None:
        """Lower the rate, and drop the permits saved up, because the server refused a request."""
        if self.rate.lower(now, sent, FALL * self.rate.at(now)):
            self.ready_at(now)
            self.tokens = min(self.tokens, 0.0)


class LatencyTracker:
    """How long the answers of an endpoint take, beside how long they took at best.

    A time is the mean of the latest answers. The baseline is the lowest one so far, until a cut
    that is no help shows that it no longer holds.
    """

    __slots__ = ("_baseline", "_count", "_earlier_baseline", "_mean", "_mean_before_cut")

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._baseline = self._earlier_baseline = self._mean_before_cut = inf

    def record(self, latency: float) -> Literal["slower", "no faster"] | None:
        """Take note of an answer, and return what has changed for the number in flight.

        Args:
            latency: Seconds.

        Returns:
            None at most times; "slower" while answers take far longer than the baseline, so
            that a cut may help; "no faster" once, if they take as long as before the cut.
        """
        self._count += 1
        self._mean += (latency - self._mean) / min(self._count, _SAMPLES)
        if self._count < _SAMPLES:
            return None
        if self._count == _SAMPLES and self._mean > _FASTER * self._mean_before_cut:
            self._earlier_baseline = self._mean_before_cut = inf
            self._baseline = self._mean
            return "no faster"
        self._baseline = min(self._baseline, self._mean)
        slow = _SLOWER * min(self._baseline, self._earlier_baseline) + _NOISE
        return "slower" if latency > slow and self._mean > slow else None

    def unqueued_share(self) -> float:
        """Return the share of the time of answers that they would take without a queue."""
        return min(self._baseline, self._earlier_baseline) / self._mean

    def record_late(self, latency: float) -> None:
        """Take note of an answer to a request that was sent before the latest cut.

        Args:
            latency: Seconds.
        """
        if self._mean_before_cut < inf:
            self._mean_before_cut += (latency - self._mean_before_cut) / _SAMPLES

    def restart(self) -> None:
        """Measure anew, because the number in flight was cut."""
        self._mean_before_cut = self._mean
        self._earlier_baseline = min(self._baseline, self._earlier_baseline)
        self._baseline = inf
        self._count, self._mean = 0, 0.0
