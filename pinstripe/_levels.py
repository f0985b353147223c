"""Numbers that give way to a server and come back: rates, and how many may be on their way.

Both fall by a factor when the server refuses, and climb back alike: slowly at first, since the
limit is near, then faster and faster, since it was raised. A straight line does one of the two
badly: one that is back from a tenth within 30 seconds runs into the lower limit every other
second.
"""

from __future__ import annotations

from math import inf

from attrs import frozen

from pinstripe._value import Value

RECOVERY = 12.0
"""Seconds in which a level that fell to nothing is back at its ceiling."""

FALL = 0.7
"""What a refusal leaves of a level, as in CUBIC and the AWS SDKs."""

_BLINK = 0.25
"""Seconds in which many refusals count as one, whatever the round trip."""

_SLOWER = 2.0
_NOISE = 0.05
"""Seconds more than usual that are not worth a slower pace, such as those of a busy event loop."""

_FASTER = 0.8
"""What is left of the time that answers take at most, if there was a crowd and it is smaller."""

_SAMPLES = 10
_ENOUGH = 1.0 - 1e-6


@frozen(kw_only=True, eq=False, repr=False)
class Rates(Value):
    """Requests a second at most; infinity where there is no limit.

    Attributes:
        account: All requests for an account.
        endpoint: Those to one endpoint.
        files: Reads of files, and writes.
        burst: Seconds; so many seconds' worth may go at once.
    """

    account: float = inf
    endpoint: float = inf
    files: float = inf
    burst: float = 0.5


class Level:
    """A number that falls when a server refuses, and climbs back to its ceiling.

    Attributes:
        ceiling: Where it starts.
        floor: Where it falls to at most.
        low: Where it fell to.
        since: When it fell.
    """

    __slots__ = ("ceiling", "floor", "low", "since")

    def __init__(self, ceiling: float, floor: float) -> None:
        self.ceiling = ceiling
        self.floor = floor
        self.low = inf
        self.since = -inf

    def at(self, now: float) -> float:
        """Return the number of this moment."""
        level = self.low
        if level < self.ceiling:
            level += self.ceiling * ((now - self.since) / RECOVERY) ** 3
        if level >= self.ceiling:
            level, self.low = self.ceiling, inf
        return level

    def fall(self, now: float, sent: float, to: float) -> bool:
        """Fall because of a request, unless it was sent before the latest fall.

        Args:
            now: The time.
            sent: When the request was sent.
            to: Where to.

        Returns:
            Whether it fell.
        """
        if sent < self.since or now < self.since + _BLINK:
            return False
        self.low, self.since = max(self.floor, to), now
        return True

    def restore(self) -> None:
        """Be back at the ceiling."""
        self.low = inf


class Meter:
    """A bucket of permits: it fills at a rate, and holds some seconds' worth, but at least one.

    Attributes:
        rate: Permits a second.
        burst: Seconds.
        permits: What was in it when it was last looked at.
        filled: When that was.
        waiting: How many requests wait that will take a permit.
    """

    __slots__ = ("burst", "filled", "permits", "rate", "waiting")

    def __init__(self, rate: Level, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self.permits = inf
        self.filled = 0.0
        self.waiting = 0

    def ready_at(self, now: float) -> float:
        """Return when it has a permit: now, or a later time."""
        rate = self.rate.at(now)
        permits = self.permits + (now - self.filled) * rate
        most = rate * self.burst
        if permits > most:
            permits = most if most > 1.0 else min(permits, 1.0)
        self.permits, self.filled = permits, now
        return now if permits >= _ENOUGH else now + (1.0 - permits) / rate

    def earliest(self, now: float) -> float:
        """Return the time before which one more request has no chance: others come first."""
        self.ready_at(now)
        return now + max(0.0, self.waiting + 1.0 - self.permits) / self.rate.ceiling

    def is_rested(self, now: float) -> bool:
        """Return whether it is as good as a new one."""
        self.ready_at(now)
        full = self.permits >= max(1.0, self.rate.ceiling * self.burst)
        return full and not self.waiting

    def refuse(self, now: float, sent: float) -> None:
        """Slow down, and forget what was saved up, since the server found a request too many."""
        if self.rate.fall(now, sent, FALL * self.rate.at(now)):
            self.ready_at(now)
            self.permits = min(self.permits, 0.0)


class Pace:
    """How long the answers of an endpoint take, now and at the best of times."""

    __slots__ = ("_before", "_count", "_crowded", "_lowest", "_mean")

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._lowest = self._before = self._crowded = inf

    def note(self, latency: float) -> float:
        """Take note of an answer, and return the part of its time that is not due to a crowd.

        Args:
            latency: Seconds.

        Returns:
            1 at most times, less where answers are slow; and infinity where they are as slow
            as they were in the crowd, though there are fewer: it was none.
        """
        self._count += 1
        self._mean += (latency - self._mean) / min(self._count, _SAMPLES)
        if self._count < _SAMPLES:
            return 1.0
        if self._count == _SAMPLES and self._mean > _FASTER * self._crowded:
            self._before = self._crowded = inf
            self._lowest = self._mean
            return inf
        self._lowest = min(self._lowest, self._mean)
        usual = min(self._lowest, self._before)
        much = _SLOWER * usual + _NOISE
        return usual / self._mean if latency > much and self._mean > much else 1.0

    def note_late(self, latency: float) -> None:
        """Take note of an answer to what was sent in the crowd that has been seen to.

        Args:
            latency: Seconds.
        """
        if self._crowded < inf:
            self._crowded += (latency - self._crowded) / _SAMPLES

    def begin_anew(self) -> None:
        """Look again how long answers take, now that there are to be fewer on their way."""
        self._crowded = self._mean
        self._before, self._lowest = min(self._lowest, self._before), inf
        self._count, self._mean = 0, 0.0
