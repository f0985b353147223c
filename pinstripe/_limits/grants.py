"""The slots that one queue holds, in the form of a token bucket. See `shared` for their use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from pinstripe._limits.buckets import AdaptiveLimit, TokenBucket
from pinstripe._limits.shared import BATCH, LATE, Answer, Ask, Standing

_MOST: Final = 500
"""The most slots in one answer: Lua returns no more than some thousand values at once."""


class _Slot:
    """A slot: the time from which it may be used, the time when that ends, and its text."""

    __slots__ = ("at", "text", "until")

    def __init__(self, at: float, until: float, text: str) -> None:
        self.at = at
        self.until = until
        self.text = text


class Grants(TokenBucket):
    """The slots of one queue, as a bucket with a token for each slot that may be used now.

    The limiter subtracts a token for each request, and adds one back if the request was not sent.
    So the change in the number of tokens shows how many slots were used. `_slots` is in order of
    time, and its first `_used` slots are used. A used slot is kept until it is too old, because
    its request may give it back.

    Args:
        queue: The name of the queue within the budget.
        meters: The meters in Redis that count its requests: the name and the rate of each.
        buckets: The local token bucket of each meter, in the same order.
        burst: Seconds; as in `RateLimit`.
        standing: What the process knows of the others.
        when_low: Is called with these grants when few slots are left.

    Attributes:
        queue: As above.
        meters: As above.
        refused_at: For each meter, the time at which a request was sent that was refused; -1 for
            none that Redis does not know of.
        ask_at: The time before which another question is of no use.
    """

    __slots__ = (
        "_batch",
        "_buckets",
        "_earliest",
        "_known",
        "_share_since",
        "_slots",
        "_standing",
        "_used",
        "_when_low",
        "ask_at",
        "meters",
        "queue",
        "refused_at",
    )

    def __init__(
        self,
        queue: str,
        meters: Sequence[tuple[str, float]],
        buckets: Sequence[TokenBucket],
        *,
        burst: float,
        standing: Standing,
        when_low: Callable[[], None],
    ) -> None:
        super().__init__(AdaptiveLimit(inf, 0.0), burst)
        self.queue = queue
        self.meters = tuple(meters)
        self.refused_at = [-1.0] * len(self.meters)
        self.ask_at = -inf
        self.tokens = 0.0
        self._known: float = 0.0
        self._buckets = tuple(buckets)
        self._standing = standing
        self._when_low = when_low
        self._slots: list[_Slot] = []
        self._used = 0
        self._batch = _MOST
        self._earliest = -inf
        self._share_since: float | None = None
        for bucket, (_, rate) in zip(self._buckets, self.meters, strict=True):
            # One less, for the one slot that Redis hands out at the start of a hold.
            bucket.burst = max(0.0, burst - 1.0 / rate)

    def ready_at(self, now: float) -> float:
        """Return when a request may go, as far as slots are known; infinity if there is none."""
        standing = self._standing
        self._drop_old(now)
        sharing = standing.shares(now)
        since = standing.share_from if sharing else None
        if since != self._share_since:
            self._share_since = since
            self._begin_share() if sharing else self._end_share()
        if standing.failing:
            standing.wanted_at = now
        free = self._slots[self._used :]
        if self._is_low(len(free)) or sharing:
            self._when_low()
        if sharing:
            self.tokens = self._known = inf
            return now if self.has_share() else inf
        self.tokens = self._known = float(sum(slot.at <= now for slot in free))
        if self.tokens:
            return now
        soon = [slot.at for slot in free[:1]]
        if standing.failing and standing.share_from > now:
            soon.append(standing.share_from)
        return min(soon, default=inf)

    def earliest(self, now: float) -> float:
        """Return the earliest time at which one more request can go, as far as it is known."""
        return max(now, self._earliest)

    def has_share(self) -> bool:
        """Return whether the share of this process lets any request go."""
        return all(self._share_of(rate) > 0 for _, rate in self.meters)

    def ask(self, now: float, demand: int, within: float) -> Ask | None:
        """Return the question to ask now, or None if there is none.

        Args:
            now: The time.
            demand: How many requests wait and could go at once.
            within: Seconds; later slots are of no use.
        """
        self._drop_old(now)
        held = len(self._slots) - self._used
        wanted = min(demand, self._batch) - held if self._is_low(held) else 0
        refused = any(at >= 0 for at in self.refused_at)
        if (wanted <= 0 or now < self.ask_at) and not refused:
            return None
        return self.question(now, max(0, wanted), within)

    def question(self, now: float, wanted: int = 0, within: float = 0.0) -> Ask:
        """Return a question, which tells Redis of refusals too.

        Args:
            now: The time.
            wanted: How many slots are wanted; none if it only finds out whether Redis is back.
            within: As in `Ask`.
        """
        refused = tuple(now - at if at >= 0 else -1.0 for at in self.refused_at)
        self.refused_at = [-1.0] * len(self.meters)
        return Ask(
            queue=self.queue,
            meters=self.meters,
            refused=refused,
            wanted=wanted,
            within=within,
            ticketed=self._earliest > -inf,
            burst=self.burst,
        )

    def record_answer(self, answer: Answer, sent: float, received: float) -> None:
        """Keep the slots of an answer.

        Args:
            answer: The answer.
            sent: The time at which it was asked for; the script ran after that.
            received: The time at which it came, and before which the script ran.
        """
        # Between the two times, the one that is safe: late for the start, early for the end.
        new = [_Slot(received + at, sent + at + LATE, text) for text, at in answer.slots]
        free = [*self._slots[self._used :], *new]
        self._slots[self._used :] = sorted(free, key=lambda slot: slot.at)
        self._batch = min(answer.batch, _MOST)
        # Twice the batch may wait with a running deadline: others may need less than their share.
        self.rate.ceiling = 2 * answer.batch / BATCH
        self._earliest = self.ask_at = -inf
        if answer.earliest is not None:
            self._earliest, self.ask_at = sent + answer.earliest, received + answer.again

    def times(self) -> list[float]:
        """Return the times from which the slots may be used that are not used yet."""
        return [slot.at for slot in self._slots[self._used :]]

    def take_back(self) -> list[str]:
        """Return the texts of all slots that are not used, and forget them."""
        self._count_used()
        free = [slot.text for slot in self._slots[self._used :]]
        del self._slots[self._used :]
        self.tokens = self._known = 0.0
        return free

    def _is_low(self, held: int) -> bool:
        return held <= self._batch // 4

    def _count_used(self) -> None:
        # Both are infinite while the share takes the place of slots.
        if self.tokens != self._known:
            self._used = max(0, self._used + round(self._known - self.tokens))
            self._known = self.tokens

    def _drop_old(self, now: float) -> None:
        self._count_used()
        used, free = self._slots[: self._used], self._slots[self._used :]
        used = [slot for slot in used if slot.until > now]
        self._slots = used + [slot for slot in free if slot.until > now]
        self._used = len(used)

    def _share_of(self, rate: float) -> float:
        """Return the part of a rate that is left for this process.

        A bucket holds at least one token. If there are many processes, these are more than the
        burst together, so that the rate has to be less than its part.
        """
        burst = max(1.0, rate * self.burst - 1.0)
        sharers = self._standing.sharers
        return min(rate / sharers, (rate + burst) / sharers - 1.0)

    def _begin_share(self) -> None:
        """Turn the buckets of the process into those of its share, empty unless nobody sent."""
        self.take_back()
        for bucket, (_, rate) in zip(self._buckets, self.meters, strict=True):
            bucket.rate.ceiling = max(self._share_of(rate), rate * 1e-6)
            if self._standing.failing:
                bucket.tokens = min(bucket.tokens, 0.0)

    def _end_share(self) -> None:
        self.tokens = self._known = 0.0
        for bucket, (_, rate) in zip(self._buckets, self.meters, strict=True):
            bucket.rate.ceiling = rate
