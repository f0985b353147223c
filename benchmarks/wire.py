"""Throughput and cost: calls against one nginx, with 1, 32 and 256 in flight.

The CPU time is that of this process, so the server's is not in it. A number is the median of
rounds in which the contenders take turns; a ratio is the median of those of neighbours. No rate
limit counts here: the server is on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import repeat
from statistics import median
from unittest.mock import patch

import aiohttp
import httpx
import orjson
import stripe
import uvloop
from attrs import Factory, define

from benchmarks.support.measure import KEY
from benchmarks.support.nginx import fixed_answers
from benchmarks.support.questions import PAGE, QUESTIONS, QUOTES, Question, answers
from pinstripe import AsyncClient, Limits
from pinstripe._http import compatibility
from pinstripe._http.session import SessionConnector

IN_FLIGHT = {1: 0.04, 32: 0.06, 256: 0.25}
"""How many calls are in flight, and the seconds of a round of so many."""
MOST = max(IN_FLIGHT)
ROUNDS = 13
PATIENCE = 1.5
"""Seconds after which a slow contender gets no further round."""

OURS = "pinstripe (typed models)"
SESSION = "pinstripe over aiohttp's session"
BODY = "aiohttp, body only"
JSON = "aiohttp + json.loads"
ORJSON = "aiohttp + orjson"
HTTPX = "httpx + json.loads"
OFFICIAL = "official SDK, its default async client"
OFFICIAL_AIOHTTP = "official SDK, its aiohttp client"

Call = Callable[[], Awaitable[object]]


# --- the contenders -----------------------------------------------------------------------------


def _plain(
    session: aiohttp.ClientSession, url: str, loads: Callable[[bytes], object] = bytes
) -> Call:
    headers = {"Authorization": f"Bearer {KEY}"}

    async def call() -> object:
        async with session.get(url, headers=headers) as answer:
            return loads(await answer.read())

    return call


def _httpx(client: httpx.AsyncClient, url: str) -> Call:
    headers = {"Authorization": f"Bearer {KEY}"}

    async def call() -> object:
        return json.loads((await client.get(url, headers=headers)).content)

    return call


def _official(client: stripe.StripeClient, path: str) -> Call:
    async def call() -> object:
        answer = await client.raw_request_async("get", path)
        return client.deserialize(answer, api_mode="V1")

    return call


@contextlib.asynccontextmanager
async def contenders(url: str, question: Question, most: int) -> AsyncIterator[dict[str, Call]]:
    """Yield what calls, by name."""
    sdk_aiohttp, path = stripe.AIOHTTPClient(), question.path
    official = stripe.StripeClient(KEY, base_addresses={"api": url})
    over_aiohttp = stripe.StripeClient(KEY, base_addresses={"api": url}, http_client=sdk_aiohttp)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=most)) as session,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=most), timeout=60) as over_httpx,
        AsyncClient(KEY, base_url=url, limits=Limits(max_in_flight=most)) as client,
        AsyncClient(KEY, base_url=url, limits=Limits(max_in_flight=most)) as second,
    ):
        await client.warm_up()
        with patch.object(compatibility, "_chosen", [SessionConnector]):
            await second.warm_up()
        yield {
            OURS: lambda: question.ours(client),
            SESSION: lambda: question.ours(second),
            BODY: _plain(session, url + path),
            JSON: _plain(session, url + path, json.loads),
            ORJSON: _plain(session, url + path, orjson.loads),
            HTTPX: _httpx(over_httpx, url + path),
            OFFICIAL_AIOHTTP: _official(over_aiohttp, path),
            OFFICIAL: _official(official, path),
        }
    await sdk_aiohttp.close_async()


# --- measuring ----------------------------------------------------------------------------------


@define
class Measured:
    """What each round of a contender took: microseconds a call, and those of single calls."""

    cpu: list[float] = Factory(list)
    wall: list[float] = Factory(list)
    latencies: list[list[float]] = Factory(list)
    spent: float = 0.0

    def latency(self, part: float) -> float:
        """Return what this part of the calls was answered within, in the median round."""
        return median(one[int(part * len(one))] for one in self.latencies)

    def tail(self) -> float:
        """Return how many times the median the latency of one call in a hundred is."""
        return median(one[int(0.99 * len(one))] / median(one) for one in self.latencies)


Results = dict[int, dict[str, Measured]]
"""By the number in flight, and by name."""


def ratio(some: list[float], others: list[float]) -> float:
    """Return the median of the ratios of rounds that were next to each other."""
    return median(one / other for one, other in zip(some, others, strict=False))


async def run_round(call: Call, calls: int, in_flight: int, into: Measured) -> None:
    """Make so many calls, so many of them at once, and note what they took."""
    left, latencies = repeat(None, calls), list[float]()

    async def worker() -> None:
        for _ in left:
            begun = time.perf_counter()
            await call()
            latencies.append((time.perf_counter() - begun) * 1e6)

    gc.collect()  # so that nobody clears up after another
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    seconds = time.perf_counter() - wall
    into.cpu.append((time.process_time() - cpu) * 1e6 / calls)
    into.wall.append(seconds * 1e6 / calls)
    into.latencies.append(sorted(latencies))
    into.spent += seconds


async def measure(contenders: Mapping[str, Call], in_flight: int) -> dict[str, Measured]:
    """Return what each contender took, after rounds that open its connections.

    A contender so slow that it used up its time with those has no others.
    """
    sizes: dict[str, int] = {}
    results: dict[str, Measured] = {}
    for name, call in contenders.items():
        first = Measured()
        await run_round(call, in_flight, in_flight, first)
        results[name] = first if first.spent > PATIENCE else Measured()
        if first.spent < PATIENCE:
            await run_round(call, 2 * in_flight, in_flight, first)
        sizes[name] = max(in_flight, int(IN_FLIGHT[in_flight] * 1e6 / first.wall[-1]))
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            if results[name].spent < PATIENCE:
                await run_round(call, sizes[name], in_flight, results[name])
    return results


async def _measure_all(url: str, question: Question) -> Results:
    results: Results = {}
    for in_flight in IN_FLIGHT:
        async with contenders(url, question, in_flight) as calls:
            results[in_flight] = await measure(calls, in_flight)
    return results


# --- the tables -------------------------------------------------------------------------------

TARGETS = (
    (QUOTES, ORJSON, 1.25),
    (QUOTES, JSON, 1.0),
    (PAGE, JSON, 0.8),
    (QUOTES, OFFICIAL, 1 / 12),
    (QUOTES, OFFICIAL_AIOHTTP, 1 / 4),
    (PAGE, OFFICIAL, 1 / 30),
    (PAGE, OFFICIAL_AIOHTTP, 1 / 30),
)
"""The CPU time of Pinstripe as a part of another's at most, with 32 in flight."""

TAIL = 2.5
"""How many times the median the latency of one call in a hundred may be, at 256 in flight."""


def _table(loop: str, question: Question, size: int, results: Results) -> str:
    heads = "".join(f"{f'{n} in flight':^24}" for n in results)
    lines = [
        f"\nGET {question.name} ({size} bytes), {loop}, a call; ratios to Pinstripe",
        f"{'':40}{heads}{f'latency at {MOST}':^24}",
        f"{'':40}"
        + f"{'CPU µs':>8}{'CPU':>8}{'wall':>8}" * len(results)
        + f"{'p50 ms':>12}{'p99 ms':>12}",
    ]
    for name, last in results[MOST].items():
        cells = ""
        for measured in results.values():
            ours, its = measured[OURS], measured[name]
            cpu, wall = ratio(its.cpu, ours.cpu), ratio(its.wall, ours.wall)
            cells += f"{median(its.cpu):8.0f}{cpu:8.2f}{wall:8.2f}"
        cells += f"{last.latency(0.5) / 1e3:12.2f}{last.latency(0.99) / 1e3:12.2f}"
        lines.append(f"{name:40}{cells}")
    return "\n".join(lines)


def _targets(loop: str, all_results: Mapping[str, Results]) -> str:
    lines = [f"\nTargets, {loop}: Pinstripe's CPU time as a part of another's"]
    for question, other, most in TARGETS:
        measured = all_results[question.name][32]
        part = ratio(measured[OURS].cpu, measured[other].cpu)
        lines.append(_verdict(f"{question.name}, 32 in flight, {other}", part, most))
    for name, results in all_results.items():
        tail = results[MOST][OURS].tail()
        lines.append(_verdict(f"{name}, {MOST} in flight, p99 to p50", tail, TAIL))
    return "\n".join(lines)


def _verdict(name: str, measured: float, most: float) -> str:
    return f"{name:76}{measured:8.3f}{most:8.3f}  {'met' if measured <= most else 'MISSED'}"


def _report(loop: asyncio.AbstractEventLoop, url: str, bodies: Mapping[str, bytes]) -> str:
    name = type(loop).__module__.partition(".")[0]
    all_results, tables = {}, []
    with contextlib.closing(loop):
        for question in QUESTIONS:
            results = loop.run_until_complete(_measure_all(url, question))
            all_results[question.name] = results
            tables.append(_table(name, question, len(bodies[question.path]), results))
    return "\n".join((*tables, _targets(name, all_results)))


def report() -> str:
    """Return the tables."""
    bodies = answers()
    gc.freeze()  # what is imported is not looked through in every round
    with fixed_answers(bodies) as url:
        loops = (asyncio.new_event_loop, uvloop.new_event_loop)
        return "\n".join(_report(new(), url, bodies) for new in loops)
