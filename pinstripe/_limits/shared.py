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

from math import inf
from typing import Final

from attrs import frozen

from pinstripe._core.values import Value
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
