"""Waits until an object of the API has a status: tables of statuses, and the polls between them.

A wait retrieves the object again and again, and ends in one of three ways: the object has one of
the statuses of the goal; it has one from which no goal can be reached, by the tables below; or the
time is over.

Choices, and their reasons:

- The pause between two polls begins at a second and grows by a third each time, up to a minute: a
  status that comes within a minute is seen within seconds, and one that comes after four days costs
  a request a minute. Each pause is a random part longer or shorter, so that many waits which began
  together do not poll together. The polls go through the rate limit of the client as every call
  does, and their deadline starts at their turn, so that waits which queue do not fail.
- An event about the object, which a `Router` of this process has received, ends the pause, and the
  next one is a second again: changes often come one after the other. The event itself is not
  believed to hold the newest status, since deliveries can come late and out of order.
- Once a poll has worked, an outage ends no wait: after a poll that failed, although it was retried
  as every call is, the next one comes after the pause. If the first poll fails, so does the wait,
  since an address or a key may be wrong.
- A status that is in no table is newer than this version, so that anything may come after it.
- A status that an object only begins with is no goal. Either the object has it already, or it
  never will.
- There is no timeout by default, since none fits: a check takes a minute, a person a day, a
  redaction up to four days, and a delivery years.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from attrs import define, field, frozen

from pinstripe._concurrency.deadlines import Deadline, deadline_in, has_passed
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._concurrency.tasks import join, start
from pinstripe._concurrency.wakers import interest_in
from pinstripe._core.checks import is_number, plain_text
from pinstripe._core.errors import (
    ConfigurationError,
    GoalUnreachable,
    RateLimitError,
    ServerError,
    TransportError,
    WaitTimedOut,
)
from pinstripe._core.tracebacks import without_frames
from pinstripe._models.record import Model
from pinstripe._resources.endpoint import response_of

_M = TypeVar("_M", bound=Model)

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_GROWTH: Final = 4 / 3


@frozen
class Lifecycle:
    """The statuses of one kind of objects.

    Attributes:
        name: What the objects are called.
        status: Returns the status of an object; None before it has one.
        moves: The statuses that can follow each status.
    """

    name: str
    status: Callable[[Any], str | None]
    moves: Mapping[str | None, tuple[str, ...]]

    @property
    def goals(self) -> tuple[str, ...]:
        """The statuses that an object can come to, in alphabetical order."""
        return tuple(sorted({status for following in self.moves.values() for status in following}))

    def can_reach(self, status: str | None, goals: Collection[str]) -> bool:
        """Return whether an object with a status can still come to one of the goals.

        Args:
            status: The status; one that is not in the table can be followed by any.
            goals: The goals.
        """
        reached, found = {status}, [status]
        while found:
            following = self.moves.get(found.pop())
            if following is None:
                return True
            found += {*following} - reached
            reached |= {*following}
        return not reached.isdisjoint(goals)

    def check_goals(self, until: Any) -> frozenset[str]:
        """Return the goals that a caller gave: one, or several in a collection.

        Args:
            until: What the caller passed.

        Raises:
            ConfigurationError: It is something else, or a status that no object can come to.
        """
        several = isinstance(until, (list, tuple, set, frozenset))
        given: list[Any] = [*until] if several else [until]
        for goal in given:
            if not isinstance(goal, str) or plain_text(goal) not in self.goals:
                break
        else:
            if given:
                return frozenset(map(plain_text, given))
        known = ", ".join(self.goals)
        problem = f"must be what {self.name} can come to, or several of these in a list: {known}"
        raise ConfigurationError("until", problem)


# The tables. `tests/resources/test_lifecycle_facts.py` holds them beside the facts of the API.

SESSION: Final = Lifecycle(
    "a verification session",
    lambda session: session.status,
    {
        "requires_input": ("processing", "canceled"),
        "processing": ("verified", "requires_input"),
        "verified": (),
        "canceled": (),
    },
)

REDACTION: Final = Lifecycle(
    "the redaction of a verification session",
    lambda session: session.redaction and session.redaction.status,
    # Nothing says when "validated" comes, or what comes after it, so it excludes nothing.
    {
        None: ("processing", "validated"),
        "processing": ("redacted", "validated"),
        "validated": ("processing", "redacted"),
        "redacted": (),
    },
)

ONRAMP_SESSION: Final = Lifecycle(
    "an onramp session",
    lambda session: session.status,
    {
        "initialized": ("requires_payment", "quote_ready", "rejected"),
        "requires_payment": ("fulfillment_processing", "rejected"),
        "quote_ready": ("fulfillment_processing",),
        "fulfillment_processing": ("fulfillment_complete",),
        "fulfillment_complete": (),
        "rejected": (),
    },
)

ORDER: Final = Lifecycle(
    "an order",
    lambda order: order.status,
    {
        "open": ("confirmed", "canceled"),
        "awaiting_funds": ("confirmed", "canceled"),
        "confirmed": ("delivered", "canceled"),
        "delivered": (),
        "canceled": (),
    },
)


async def wait_until(
    lifecycle: Lifecycle,
    id: str,
    retrieve: Callable[[], Awaitable[_M]],
    until: str | Collection[str],
    timeout: float,
) -> _M:
    """Poll an object until it has one of some statuses, and return it.

    Args:
        lifecycle: The statuses of such objects.
        id: The id of the object.
        retrieve: Returns the object as it is now.
        until: The status to wait for, or several.
        timeout: Seconds.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        GoalUnreachable: The object has a status from which it cannot come to any of these.
        WaitTimedOut: The time is over.
    """
    goals = lifecycle.check_goals(until)
    if not is_number(timeout) or not timeout > 0:
        raise ConfigurationError("timeout", f"must be seconds above 0, not {timeout!r}")
    with interest_in(id) as news:
        wait = _Wait(lifecycle, goals, retrieve, news)
        # In a task of its own, since the other calls of the caller keep their deadlines.
        return await join(start(wait.result, float(timeout)))


@define(eq=False)
class _Wait(Generic[_M]):
    """A wait under way.

    Attributes:
        lifecycle: The statuses of such objects.
        goals: Those that are waited for.
        retrieve: Returns the object as it is now.
        news: Set if there may be a change.
        last: The object as the last poll that worked has seen it.
        failure: The error of the last poll, if it failed.
    """

    lifecycle: Lifecycle
    goals: frozenset[str]
    retrieve: Callable[[], Awaitable[_M]]
    news: asyncio.Event
    last: _M | None = field(default=None, init=False)
    failure: Exception | None = field(default=None, init=False)

    async def result(self, seconds: float) -> _M:
        """Return the object when it has one of the goals; see `wait_until`."""
        deadline_starts_at_turn.set(True)
        deadline = deadline_in(seconds)
        try:
            async with deadline:
                found = await self._poll(deadline)
            if found is not None:
                return found
        except asyncio.TimeoutError:
            # That of a call is one too: a wait whose first poll runs out of time.
            if not has_passed(deadline):
                raise
        cause = self.failure and without_frames(self.failure)
        raise self._timed_out(seconds) from cause

    async def _poll(self, deadline: Deadline) -> _M | None:
        """Return the object when it has one of the goals, or None if the time is over."""
        pauses = _pauses()
        # On Python 3.10 a pause, or a call, that ends in the same moment hides the interruption.
        while not has_passed(deadline):
            self.news.clear()
            found = await self._look()
            if found is not None:
                return found
            with suppress(asyncio.TimeoutError):
                async with deadline_in(next(pauses)):
                    await self.news.wait()
                pauses = _pauses()
        return None

    async def _look(self) -> _M | None:
        """Retrieve the object; return it if it has one of the goals."""
        try:
            self.last = found = await self.retrieve()
        except (TransportError, RateLimitError, ServerError) as error:
            if self.last is None or getattr(error, "permanent", False):
                raise
            self.failure = error
            return None
        self.failure = None
        status = self.lifecycle.status(found)
        if status in self.goals:
            return found
        if not self.lifecycle.can_reach(status, self.goals):
            raise self._unreachable(found, status)
        return None

    def _unreachable(self, found: _M, status: str | None) -> GoalUnreachable:
        problem = f"is {status} and can no longer become {self._goals}"
        error = GoalUnreachable(f"{self.lifecycle.name} {problem}")
        error.last, error.request_id = found, response_of(found).request_id
        return error

    def _timed_out(self, seconds: float) -> WaitTimedOut:
        name, last = self.lifecycle.name, self.last
        problem = f"did not become {self._goals} within {seconds:g} s"
        if last is None:
            return WaitTimedOut(f"{name} {problem}: the first answer did not come")
        status = self.lifecycle.status(last) or "not begun"
        error = WaitTimedOut(f"{name} {problem}, and was last seen as {status}")
        error.last, error.request_id = last, response_of(last).request_id
        return error

    @property
    def _goals(self) -> str:
        return " or ".join(sorted(self.goals))


def _pauses() -> Iterator[float]:
    """Yield the seconds of one pause after the other, without end."""
    pause = _FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.75, 1.25)  # noqa: S311 -- no secret
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)
