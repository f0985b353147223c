"""Processes that share a budget, in virtual time: the real script, in a real Redis."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence

import redis

from pinstripe import BudgetUnavailable, Request, Response, SharedBudget
from pinstripe._http.pipeline import Pipeline
from pinstripe._limits.rates import Rates
from pinstripe._limits.redis_meters import SCRIPT, arguments, parse_answer
from pinstripe._limits.shared import TIMEOUT, Answer, Ask
from pinstripe._limits.shared_gate import SharedLimiter
from pinstripe.sandbox._traffic.rate_limits import RateLimits
from tests.support.virtual import Server, now, pipeline

EPOCH = 1_790_000_000.0
_VIRTUAL = SCRIPT.replace("redis.call('TIME')", "{ARGV[#ARGV], 0}")
assert _VIRTUAL != SCRIPT


class VirtualRedis:
    """Redis as its processes see it; its clock is that of the event loop."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)
        self.run = "first"
        self.down = self.silent = self.slow = False
        self.scripts = 0
        self.granted = 0
        self.processes = 0
        self._new_keys()

    def _new_keys(self) -> None:
        self.prefix = f"pinstripe:{{{uuid.uuid4()}}}:"

    def lose_keys(self) -> None:
        self._new_keys()

    def fail_over(self) -> None:
        """Another server takes over, which knows what this one knew."""
        self.run += "'"

    def eval(self, ask: Ask, member: str) -> Answer:
        keys, values = arguments(ask, self.prefix, member, self.run)
        self.scripts += 1
        found = self.client.eval(_VIRTUAL, len(keys), *keys, *values, repr(EPOCH + now()))
        answer = parse_answer(found)
        self.granted += len(answer.slots)
        return answer

    def give_back(self, returned: Sequence[tuple[str, Sequence[str]]]) -> None:
        for queue, slots in returned:
            self.client.rpush(f"{self.prefix}returned:{queue}", *slots)
            self.granted -= len(slots)

    def close(self) -> None:
        self.client.close()


class VirtualMeters:
    """The way of one process to it, which takes a while."""

    def __init__(self, server: VirtualRedis, delay: float = 0.001) -> None:
        self.server = server
        self.delay = delay
        self.stall = 0.0
        self._knows_server = False
        server.processes += 1
        self.member = str(server.processes)
        self._chance = random.Random(server.processes)

    async def prepare(self) -> None:
        pass

    async def ask(self, asks: Sequence[Ask]) -> list[Answer]:
        if self.server.down:
            raise BudgetUnavailable("down")
        if self.stall:  # it is this process that stops
            stall, self.stall = self.stall, self.stall if self.stall > 10 else 0.0
            await asyncio.sleep(stall)
            raise BudgetUnavailable("late")
        # As `RedisMeters`, it reserves nothing before it has heard of the server after a failure.
        if self.server.silent or (self.server.slow and not self._knows_server):
            await asyncio.sleep(TIMEOUT)
            raise BudgetUnavailable("silent")
        self._knows_server = not self.server.slow
        await asyncio.sleep(self.delay * self._chance.uniform(0.5, 1.5))
        answers = [self.server.eval(ask, self.member) for ask in asks]
        await asyncio.sleep(self.delay * self._chance.uniform(0.5, 1.5))
        if self.server.slow:
            await asyncio.sleep(TIMEOUT)
            raise BudgetUnavailable("slow")
        return answers

    async def give_back(self, returned: Sequence[tuple[str, Sequence[str]]]) -> None:
        self.server.give_back(returned)

    async def leave(self) -> None:
        self.server.client.zrem(f"{self.server.prefix}members", self.member)


class Process:
    """A process with a shared budget, which can be frozen or killed."""

    def __init__(self, redis: VirtualRedis, server: Server, **options: float | str) -> None:
        outage = options.pop("on_outage", "share")
        budget = SharedBudget("redis://x", name="x", on_outage=outage)
        rates = Rates(shared=budget, **options)
        self.meters = VirtualMeters(redis)
        self.limiter = SharedLimiter(100, rates, budget, self.meters, now)
        self.waits: list[tuple[float, float]] = []
        self.errors: list[tuple[float, Exception]] = []
        self._server = server
        self.pipe: Pipeline = pipeline(self._send, self.limiter)
        self.tasks: list[asyncio.Task[None]] = []

    async def _send(self, request: Request) -> Response:
        return await self._server.send(request)

    def start(self, tasks: int, request: Request) -> None:
        self.tasks += [asyncio.create_task(self._work(request)) for _ in range(tasks)]

    async def _work(self, request: Request) -> None:
        while True:
            came = now()
            try:
                await self.pipe.send(request)
            except BudgetUnavailable as error:
                self.errors.append((now(), error))
                await asyncio.sleep(0.05)
            self.waits.append((now(), now() - came))

    async def close(self) -> None:
        """Close the client, in the middle of its calls."""
        await self.limiter.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def kill_tasks(self) -> None:
        """End the calls of its own accord."""
        for task in self.tasks:
            task.cancel()
        self.tasks = []

    def kill(self) -> None:
        """End it at once: what it holds is lost."""
        self.kill_tasks()
        self.limiter.closed = True


def most_in_a_second(server: Server) -> int:
    """Return the most requests that came in any second."""
    times = sorted(at for at, _ in server.log)
    most = first = 0
    for last, at in enumerate(times):
        while times[first] < at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def open_server(fastest: float = 0.01, slowest: float = 0.03) -> Server:
    """Return a server that enforces 100 a second, with a burst of as many."""
    return Server(RateLimits(100, endpoint=1e9), fastest, slowest)
