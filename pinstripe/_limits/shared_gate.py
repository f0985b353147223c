"""Lets the tasks of one event loop wait for slots of a budget that several processes share.

`SharedLimiter` is the limiter of an event loop in which each queue has `Grants` in front of its
buckets. `shared` decides when to ask for slots, and `redis_meters` tells what they are. One task at
a time asks, for all queues that need slots, so that no request waits for more than that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from math import inf
from typing import Protocol, TypeAlias

from pinstripe._core.errors import BudgetUnavailable, TransportError
from pinstripe._limits.budget import SharedBudget
from pinstripe._limits.gate import AsyncLimiter, Waiter, too_late_error
from pinstripe._limits.grants import Grants
from pinstripe._limits.limiter import EndpointQueue, meters_of
from pinstripe._limits.rates import Rates
from pinstripe._limits.shared import TIMEOUT, Answer, Ask, Standing

_Questions: TypeAlias = "list[tuple[EndpointQueue[Waiter], Ask]]"
_Unused: TypeAlias = "list[tuple[str, list[str]]]"

_QUEUES = 100
"""The most queues in one round trip: others wait meanwhile at Redis."""


class Meters(Protocol):
    """Where slots come from."""

    async def prepare(self) -> None:
        """Do once what takes long; see `RedisMeters`."""
        ...

    async def ask(self, asks: Sequence[Ask]) -> list[Answer]:
        """Reserve slots; see `RedisMeters`."""
        ...

    async def give_back(self, returned: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Give back slots that were not used; see `RedisMeters`."""
        ...

    async def leave(self) -> None:
        """Leave the others, and disconnect; see `RedisMeters`."""
        ...


class SharedLimiter(AsyncLimiter):
    """A limiter for the tasks of one event loop, whose limits count in other processes too.

    Args:
        max_in_flight: The most requests in flight at once, in this event loop.
        rates: The limits of requests a second, and the budget.
        budget: The budget.
        meters: Where slots come from.
        monotonic: Returns the seconds of a clock that never goes back.
    """

    def __init__(
        self,
        max_in_flight: int,
        rates: Rates,
        budget: SharedBudget,
        meters: Meters,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(max_in_flight, rates, monotonic)
        self._standing = Standing(budget.on_outage)
        self._meters = meters
        self._deadline = inf
        self._deadlines: dict[Waiter, float] = {}
        # Queues that may need slots, in the order in which they ran low.
        self._low: dict[EndpointQueue[Waiter], None] = {}
        self._asked: EndpointQueue[Waiter] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._ask_timer: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._was_late = False

    # --- what the limiter does besides, when a request comes, waits, goes or is refused ---------

    def endpoint_queue(
        self, account: str | None, method: str, path: str, now: float
    ) -> EndpointQueue[Waiter]:
        """Return the queue for the requests of an account to an endpoint; see `Limiter`."""
        queue = super().endpoint_queue(account, method, path, now)
        if queue.buckets and not isinstance(queue.buckets[0], Grants):
            limits = [
                (f"{account or ''} {name}", rate)
                for name, rate in meters_of(method, path, self._rates)
                if rate < inf
            ]
            grants = Grants(
                f"{account or ''} {method} {path}",
                limits,
                queue.buckets,
                burst=self._rates.burst,
                standing=self._standing,
                when_low=partial(self._low.setdefault, queue),
            )
            queue.buckets = (grants, *queue.buckets)
        return queue

    async def wait(self, queue: EndpointQueue[Waiter], now: float, deadline: float) -> None:
        """Wait until a request may go; see `AsyncLimiter`.

        Raises:
            BudgetUnavailable: Redis is out of reach, and the process has no share without it.
        """
        # `enqueue` takes it from here, before anything else runs.
        self._deadline = deadline
        await super().wait(queue, now, deadline)

    def enqueue(self, queue: EndpointQueue[Waiter], waiter: Waiter) -> None:
        """Let a request wait for its turn; see `Limiter`."""
        super().enqueue(queue, waiter)
        self._deadlines[waiter] = self._deadline

    def withdraw(self, queue: EndpointQueue[Waiter], waiter: Waiter) -> None:
        """Remove a request that no longer waits; see `Limiter`."""
        super().withdraw(queue, waiter)
        self._deadlines.pop(waiter, None)
        self._low.setdefault(queue)
        self._ask_if_low(self._monotonic())

    def admit(self, now: float) -> list[tuple[EndpointQueue[Waiter], Waiter]]:
        """Let all waiting requests go that may go now; see `Limiter`."""
        admitted = super().admit(now)
        for _, waiter in admitted:
            self._deadlines.pop(waiter, None)
        return admitted

    def wake_at(self, now: float) -> float | None:
        """Return when to call `admit` again, if that is known; see `Limiter`."""
        at = super().wake_at(now)
        return None if at == inf else at

    def record_refusal(
        self, queue: EndpointQueue[Waiter], reason: str | None, now: float, sent: float
    ) -> None:
        """Slow down because the server refused a request, here and everywhere; see `Limiter`."""
        super().record_refusal(queue, reason, now, sent)
        for number, bucket in enumerate(queue.buckets[1:]):
            if bucket.rate.lowered_at == now:
                _grants_of(queue).refused_at[number] = sent
                self._low.setdefault(queue)
        self._ask_if_low(now)

    def _admit_waiters(self, now: float) -> None:
        super()._admit_waiters(now)
        self._ask_if_low(now)

    # --- asking for slots -----------------------------------------------------------------------

    def _ask_if_low(self, now: float) -> None:
        """Ask for slots if any queue needs some, or set a timer for when it may ask."""
        if self._asking is not None or self.closed:
            return
        if self._ask_timer is not None:
            self._ask_timer.cancel()
            self._ask_timer = None
        again, standing = self._standing.ask_at, self._standing
        if again <= now:
            questions, unused, again = self._look_for_questions(now)
            if not questions and self._asked is not None and standing.probes(now):
                questions = [(self._asked, _grants_of(self._asked).question(now))]
            if questions or unused:
                # Its own context: it belongs to no call.
                asking = self._ask(questions, unused)
                self._asking = Context().run(asyncio.get_running_loop().create_task, asking)
                return
        elif not self._low and not standing.probes(now):
            return
        if again < inf:
            loop = asyncio.get_running_loop()
            self._ask_timer = loop.call_later(again - now, self._on_ask_timer)

    def _on_ask_timer(self) -> None:
        self._ask_timer = None
        self._ask_if_low(self._monotonic())

    def _look_for_questions(self, now: float) -> tuple[_Questions, _Unused, float]:
        """Return what to ask, what to give back, and when another queue wants to ask."""
        questions: _Questions = []
        unused: _Unused = []
        again = inf
        free = int(self.max_in_flight(now)) - self.in_flight
        for queue in [*self._low]:
            if len(questions) == _QUEUES:
                break
            grants, waiting = _grants_of(queue), queue.waiters
            latest = max((self._deadlines[waiter] for waiter in waiting), default=now)
            question = grants.ask(now, min(len(waiting), free), latest - now)
            if question is not None:
                questions.append((queue, question))
            elif not waiting and (slots := grants.take_back()):
                unused.append((grants.queue, slots))
            elif waiting and grants.ask_at > now:
                again = min(again, grants.ask_at)
                continue
            del self._low[queue]
        return questions, unused, again

    async def _ask(self, questions: _Questions, unused: _Unused) -> None:
        await self._meters.prepare()
        sent = self._monotonic()
        try:
            if unused:
                await self._meters.give_back(unused)
            if questions:
                answers = await self._meters.ask([question for _, question in questions])
                self._record_answers(questions, answers, sent)
        except BudgetUnavailable as error:
            self._record_failure(questions, error, sent)
        finally:
            self._asking = None
        self.reconsider()
        self._admit_waiters(self._monotonic())

    def _record_answers(
        self, questions: _Questions, answers: Sequence[Answer], sent: float
    ) -> None:
        received = self._monotonic()
        self._was_late = False
        for (queue, _), answer in zip(questions, answers, strict=True):
            self._standing.record_answer(answer, sent, received)
            grants = self._asked_grants(queue)
            grants.record_answer(answer, sent, received)
            self._refuse_late(queue, grants)

    def _asked_grants(self, queue: EndpointQueue[Waiter]) -> Grants:
        # It may need more than it got.
        self._low.setdefault(queue)
        self._asked = queue
        return _grants_of(queue)

    def _record_failure(self, questions: _Questions, error: BudgetUnavailable, sent: float) -> None:
        now = self._monotonic()
        for queue, _ in questions:
            self._asked_grants(queue)
        # So long after the timeout, it was this process that stopped. That counts once in a row.
        if now - sent > 2 * TIMEOUT and not self._was_late:
            self._was_late = True
            return
        is_first = not self._standing.failing
        self._standing.record_failure(sent, now)
        # One failure can be that of a connection, or of a busy machine: calls wait for the next.
        if is_first:
            return
        for queue in [*self._low]:
            grants = _grants_of(queue)
            if not self._standing.has_share or not grants.has_share():
                for waiter in [*queue.waiters][len(grants.times()) :]:
                    self._refuse(queue, waiter, BudgetUnavailable(error.message))

    def _refuse_late(self, queue: EndpointQueue[Waiter], grants: Grants) -> None:
        """Refuse the requests whose turn, as far as it is known, is behind their deadline."""
        times, rest = grants.times(), grants.earliest(-inf)
        for number, waiter in enumerate([*queue.waiters]):
            at = times[number] if number < len(times) else rest
            if at >= self._deadlines[waiter]:
                self._refuse(queue, waiter, too_late_error())

    def _refuse(self, queue: EndpointQueue[Waiter], waiter: Waiter, error: TransportError) -> None:
        self.withdraw(queue, waiter)
        if not waiter.done():
            waiter.set_exception(error)

    # --- the end --------------------------------------------------------------------------------

    def end_calls(self) -> None:
        """End the calls in progress and refuse later ones, give back slots, and disconnect."""
        was_closed = self.closed
        super().end_calls()
        if not was_closed:
            self._leaving = asyncio.get_running_loop().create_task(self._leave())

    async def close(self) -> None:
        """End the calls in progress, and wait until they have ended."""
        await super().close()
        if self._leaving is not None:
            await self._leaving

    async def _leave(self) -> None:
        if self._ask_timer is not None:
            self._ask_timer.cancel()
        if self._asking is not None:
            await asyncio.wait([self._asking])
        queues = [queue for account in self._accounts.values() for queue in account.queues.values()]
        grants = [_grants_of(queue) for queue in queues if queue.buckets]
        unused = [(one.queue, slots) for one in grants if (slots := one.take_back())]
        with suppress(BudgetUnavailable):
            await self._meters.give_back(unused)
        await self._meters.leave()


def _grants_of(queue: EndpointQueue[Waiter]) -> Grants:
    grants = queue.buckets[0]
    assert isinstance(grants, Grants)
    return grants
