"""An event loop in which waiting takes no time, and simulated servers to talk to in it."""

from __future__ import annotations

import asyncio
import random
import selectors
import statistics
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import attrs

from pinstripe import Request, Response, RetryPolicy, Timeout
from pinstripe._config.hooks import Hooks
from pinstripe._http.pipeline import Clock, Pipeline
from pinstripe._http.retry import Budget
from pinstripe._limits.gate import AsyncLimiter
from pinstripe._limits.rates import Rates
from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._traffic.rate_limits import RateLimiter, RateLimits

T = TypeVar("T")


class _Jump(selectors.DefaultSelector):
    """Moves the time to where the event loop wants to sleep to."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "every task waits for another one"
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run(main: Coroutine[Any, Any, T]) -> T:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


def now() -> float:
    return asyncio.get_running_loop().time()


def answer(status: int, reason: str | None = None) -> Response:
    headers = {} if reason is None else {"Stripe-Rate-Limited-Reason": reason}
    return Response(status=status, headers=headers, body=b"")


@attrs.define(slots=False)
class Server:
    """Answers as the sandbox's limiter says, after a while, and remembers when it said what."""

    limits: RateLimits | None
    fastest: float = 0.01
    slowest: float = 0.03
    log: list[tuple[float, int]] = attrs.field(factory=list)
    chance: random.Random = attrs.field(factory=lambda: random.Random(7))

    def __attrs_post_init__(self) -> None:
        self.limiter = RateLimiter(self.limits)

    async def send(self, request: Request) -> Response:
        await self._travel()
        said = self._judge(request)
        self.log.append((now(), said.status))
        await self._travel()
        return said

    async def _travel(self) -> None:
        await asyncio.sleep(self.chance.uniform(self.fastest, self.slowest) / 2)

    def _judge(self, request: Request) -> Response:
        account = request.headers.get("Stripe-Account")
        try:
            self.limiter.check(account, request.method, request.template, now())
        except Refusal as refusal:
            return answer(429, refusal.headers["Stripe-Rate-Limited-Reason"])
        return answer(200)

    def share_refused(self, start: float, end: float) -> float:
        said = [status for at, status in self.log if start <= at < end]
        return said.count(429) / len(said)

    def rate(self, start: float, end: float) -> float:
        """Requests a second that were let through."""
        return sum(start <= at < end and status == 200 for at, status in self.log) / (end - start)


@attrs.define
class Crowd:
    """Answers a few at a time: others wait, or are refused."""

    places: int
    service: float = 0.05
    refuses: bool = False
    log: list[tuple[float, int, float]] = attrs.field(factory=list)
    _there: int = 0
    _work: asyncio.Semaphore = attrs.field(init=False)
    _chance: random.Random = attrs.field(factory=lambda: random.Random(7))

    async def send(self, request: Request) -> Response:
        came = now()
        self._there += 1
        said = await self._serve() if self._there <= self.places or not self.refuses else 429
        self._there -= 1
        self.log.append((now(), said, now() - came))
        return answer(said, "global-concurrency" if said == 429 else None)

    async def _serve(self) -> int:
        async with self._work:
            await asyncio.sleep(self.service * self._chance.uniform(0.8, 1.2))
        return 200

    @_work.default
    def _make_work(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.places)

    def between(self, start: float, end: float) -> list[tuple[float, int, float]]:
        return [entry for entry in self.log if start <= entry[0] < end]

    def rate(self, start: float, end: float) -> float:
        """Requests a second that were let through."""
        return sum(said == 200 for _, said, _ in self.between(start, end)) / (end - start)

    def latency(self, start: float, end: float) -> float:
        return statistics.median(taken for *_, taken in self.between(start, end))


def pipeline(
    send: Callable[[Request], Awaitable[Response]], gate: AsyncLimiter, hooks: Hooks | None = None
) -> Pipeline:
    """A pipeline in virtual time whose calls have all the time they need."""
    clock = Clock(monotonic=now, wall=now, random=random.Random(3).random)
    return Pipeline(
        send,
        lambda: gate,
        Budget(),
        headers={},
        timeout=Timeout(1e6),
        retry=RetryPolicy(max_attempts=100, budget=float("inf")),
        hooks=hooks or Hooks(),
        clock=clock,
    )


def gate(most: int = 100, **rates: float) -> AsyncLimiter:
    return AsyncLimiter(most, Rates(**rates), now)


def get(path: str = "/v1/x", **settings: Any) -> Request:
    return Request(method="GET", path=path, template=path, **settings)


async def keep_busy(
    pipe: Pipeline, tasks: int, until: float, *, requests: tuple[Request, ...] = (get(),)
) -> None:
    """Have tasks send request after request."""

    async def work(number: int) -> None:
        while now() < until:
            await pipe.send(requests[number % len(requests)])

    await asyncio.gather(*(work(number) for number in range(tasks)))
