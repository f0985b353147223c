"""Decides when to ask Redis for slots, which slots may be used, and what happens in an outage.

Nothing here waits, and the time is an argument. `redis_meters` tells what a slot is, and
`shared_gate` asks for them. A queue of a process with a shared budget has one more bucket: its
`Grants`, which has a token for each slot whose time has come. The buckets of the process stay
behind it, with the whole rates, so nothing else in the limiter changes.

*In batches.* A queue asks when it holds few slots, and for as many as it has requests that could go
at once. A batch is the share of the process for `BATCH` seconds, so a process that dies or stops
takes no more than that with it. A slot is not used later than `LATE` after its time.

*In an outage*, a process goes on with its share: every rate divided by the number of members that
Redis last told it of. The shares of all together are never more than the limit, since:

- A process has a share only if it was a member for `MEMORY` seconds at its last answer, and had
  that answer within as many. So all that have a share have been counted by each other.
- It waits until slots that others still hold are no longer valid, and starts with empty buckets.
- Each failed question allows its share for `HOLD` seconds after it was asked. When Redis is back,
  it hands out nothing for so long (see `redis_meters`), and processes that learn that go on with
  their shares until the end of the hold.

One case is beyond that: if Redis is out of reach for some processes only, their shares come on top
of what the others use. `on_outage="refuse"` is for those who would rather have no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from attrs import frozen

from pinstripe._core.values import Value
from pinstripe._limits.buckets import AdaptiveLimit, TokenBucket
from pinstripe._limits.budget import LEAST_SHARED_BURST, OnOutage

TIMEOUT: Final = 0.2
"""Seconds in which Redis has to answer."""

LEAD: Final = 0.5
"""Seconds by which a slot may be ahead of the time at which it is handed out."""

LATE: Final = LEAST_SHARED_BURST / 2
"""Seconds after its time in which a slot may be used."""

HOLD: Final = LEAD + LATE
"""Seconds after which no slot is left that was handed out before."""

MEMORY: Final = 30.0
"""Seconds after its last question in which a process is a member."""

BATCH: Final = 0.3
"""Seconds for which a batch lasts, at the rate that is left for each process."""

_PROBE: Final = 0.25
"""Seconds between two questions in an outage."""

_PATIENCE: Final = 5.0
"""Seconds after the latest request in which a process still asks in an outage."""

_MOST: Final = 500
"""The most slots in one answer: Lua returns no more than some thousand values at once."""


@frozen(kw_only=True, eq=False, repr=False)
class Ask(Value):
    """A question for slots.

    Attributes:
        queue: What identifies the queue within the budget.
        meters: The meters that count its requests, each with the rate that it has at most.
        refused: For each meter, how many seconds ago a request was sent that the server refused as
            one too many; -1 for none.
        wanted: How many slots are wanted.
        within: Seconds; later slots are of no use.
        ticketed: Whether the time has come at which an earlier answer asked to come again.
        burst: Seconds; after a pause, the requests of so many seconds may be sent at once.
    """

    queue: str
    meters: tuple[tuple[str, float], ...]
    refused: tuple[float, ...]
    wanted: int
    within: float
    ticketed: bool
    burst: float


@frozen(kw_only=True, eq=False, repr=False)
class Answer(Value):
    """The answer of Redis; all times are seconds from the moment in which the script ran.

    Attributes:
        is_new: Whether Redis did not know the process.
        members: How many processes share, this one included.
        batch: The most slots that this queue of this process gets.
        slots: Those that it got: the text that gives one back, and the time.
        earliest: If there were fewer than wanted, the earliest time of the next one, or None.
        again: When to ask again in this case.
        hold: How long nothing is handed out, as told above; 0 for no hold.
        calm: Whether no slot can be left that was handed out before this hold.
    """

    is_new: bool
    members: int
    batch: int
    slots: tuple[tuple[str, float], ...]
    earliest: float | None
    again: float
    hold: float
    calm: bool


class Standing:
    """What a process knows of the others that share, and whether it has to do without Redis.

    Args:
        on_outage: As in `SharedBudget`.

    Attributes:
        failing: Whether the latest question failed.
        has_share: Whether the process has a share while that is so.
        ask_at: The time before which Redis is not asked.
        wanted_at: The time of the latest request.
        share_from: The time from which the share may be used.
        sharers: How many processes have one.
    """

    def __init__(self, on_outage: OnOutage) -> None:
        self.failing = self.has_share = False
        self.ask_at = self.wanted_at = self.share_from = -inf
        self.sharers = 0
        self._on_outage = on_outage
        self._members = 0
        self._member_since = inf
        self._answered_at = self._share_until = -inf

    def shares(self, now: float) -> bool:
        """Return whether the share takes the place of slots."""
        return self.share_from <= now < self._share_until

    def probes(self, now: float) -> bool:
        """Return whether to find out if Redis is back, even if nobody waits."""
        return self.failing and now < self.wanted_at + _PATIENCE

    def record_answer(self, answer: Answer, sent: float, received: float) -> None:
        """Record an answer, and whether its hold allows a share.

        Args:
            answer: The answer.
            sent: The time at which it was asked for; the script ran after that.
            received: The time at which it came.
        """
        may_begin = answer.calm and not answer.is_new and self._is_old_member()
        if not answer.hold:
            self._share_until = -inf
        elif self.shares(received):
            self._share_until = sent + answer.hold
        elif may_begin and self._on_outage == "share":
            self.sharers = answer.members
            self.share_from, self._share_until = received, sent + answer.hold
        if answer.is_new:
            self._member_since = received
        self._members, self._answered_at = answer.members, sent
        self.failing, self.ask_at = False, -inf

    def record_failure(self, sent: float, now: float) -> None:
        """Record that a question failed.

        Args:
            sent: The time of the question.
            now: The time at which it failed.
        """
        if not self.failing:
            recent = now - self._answered_at <= MEMORY
            self.has_share = self._on_outage == "share" and recent and self._is_old_member()
            self.sharers = self._members
        # Others may hold slots, unless every question since the first failure has failed.
        if not self.failing or now >= self._share_until:
            self.share_from = now + HOLD
        self._share_until = sent + HOLD if self.has_share else -inf
        self.failing, self.ask_at = True, sent + _PROBE

    def _is_old_member(self) -> bool:
        return self._answered_at - self._member_since >= MEMORY


class _Slot:
    """A slot: the time from which it may be used, the time when that ends, and its text."""

    __slots__ = ("at", "text", "until")

    def __init__(self, at: float, until: float, text: str) -> None:
        self.at = at
        self.until = until
        self.text = text


class Grants(TokenBucket):
    """The slots of one queue, as a bucket with a token for each slot that may be used now.

    The limiter takes tokens by subtraction, and adds one for a request that did not go after all.
    So the number of tokens tells how many slots were used, each time it is looked at: of `_slots`,
    in order of time, the first `_used` ones are used. They stay until they are too old, since they
    may come back.

    Args:
        queue: What identifies the queue within the budget.
        meters: The meters that count its requests, each with its rate.
        buckets: The buckets that stand for these meters in the process.
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
        "_ticketed",
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
        self.tokens = self._known = 0.0
        self._buckets = tuple(buckets)
        self._standing = standing
        self._when_low = when_low
        self._slots: list[_Slot] = []
        self._used = 0
        self._batch = _MOST
        self._earliest = -inf
        self._ticketed = False
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
            ticketed=self._ticketed,
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
        self._ticketed = answer.earliest is not None
        self._earliest = -inf if answer.earliest is None else sent + answer.earliest
        self.ask_at = received + answer.again if self._ticketed else -inf

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
