"""Throughput and cost: calls against one nginx, with 1, 32 and 256 in flight.

The CPU time is that of this process, so the server's is not in it. A number is the median of
rounds in which the contenders take turns; the ratios say how many times as much as Pinstripe.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from itertools import repeat
from typing import Any

import aiohttp
import httpx
import orjson
import requests
import stripe
import uvloop
from attrs import Factory, define, frozen

from benchmarks import payloads
from benchmarks.measure import KEY
from benchmarks.nginx import fixed_answers
from pinstripe import AsyncClient, Client, Pool

IN_FLIGHT = (1, 32, 256)
ROUNDS = 7
ROUND = 0.12
"""Seconds of a round; a contender makes as many calls as fit, but one for each in flight."""
PATIENCE = 2.5
"""Seconds after which a slow contender gets no further round."""

OURS = "pinstripe (typed models)"
BODY = "aiohttp, body only"
JSON = "aiohttp + json.loads"
ORJSON = "aiohttp + orjson"
HTTPX = "httpx + json.loads"
OFFICIAL = "official SDK, its default async client"
OFFICIAL_AIOHTTP = "official SDK, its aiohttp client"
BLOCKING = "pinstripe.Client, blocking"
REQUESTS = "requests + json.loads, blocking"
OFFICIAL_BLOCKING = "official SDK, blocking"

Call = Callable[[], Awaitable[object]]


@frozen
class Question:
    """What is asked for, by each kind of client."""

    name: str
    path: str
    ours: Callable[[Any], Any]


_LIST = "/v1/identity/verification_sessions"
QUOTES = Question(
    "quotes", "/v1/crypto/onramp/quotes", lambda client: client.crypto.onramp_quotes.retrieve()
)
SMALL = Question(
    "one session",
    f"{_LIST}/vs_1",
    lambda client: client.identity.verification_sessions.retrieve("vs_1"),
)
PAGE = Question(
    "a page of 100 sessions", _LIST, lambda client: client.identity.verification_sessions.list()
)
QUESTIONS = (QUOTES, SMALL, PAGE)


def answers() -> dict[str, bytes]:
    """Return the answer to each question."""
    session = payloads.session(1) | {"id": "vs_1"}
    return {
        QUOTES.path: payloads.quotes(),
        SMALL.path: json.dumps(session, indent=2).encode(),
        PAGE.path: payloads.page(),
    }


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


def _blocking(function: Callable[[], object]) -> Call:
    async def call() -> object:
        return function()

    return call


@contextlib.asynccontextmanager
async def _async_contenders(
    url: str, question: Question, most: int
) -> AsyncIterator[dict[str, Call]]:
    """Yield what calls without blocking, by name."""
    sdk_aiohttp, path = stripe.AIOHTTPClient(), question.path
    official = stripe.StripeClient(KEY, base_addresses={"api": url})
    over_aiohttp = stripe.StripeClient(KEY, base_addresses={"api": url}, http_client=sdk_aiohttp)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=most)) as session,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=most), timeout=60) as over_httpx,
        AsyncClient(KEY, base_url=url, pool=Pool(max_in_flight=most)) as client,
    ):
        yield {
            OURS: lambda: question.ours(client),
            BODY: _plain(session, url + path),
            JSON: _plain(session, url + path, json.loads),
            ORJSON: _plain(session, url + path, orjson.loads),
            HTTPX: _httpx(over_httpx, url + path),
            OFFICIAL_AIOHTTP: _official(over_aiohttp, path),
            OFFICIAL: _official(official, path),
        }
    await sdk_aiohttp.close_async()


@contextlib.contextmanager
def _blocking_contenders(url: str, question: Question) -> Iterator[dict[str, Call]]:
    """Yield what blocks until the answer is there, by name."""
    official = stripe.StripeClient(KEY, base_addresses={"api": url})

    def first(client: Client) -> object:
        answer = question.ours(client)
        return answer.first() if question is PAGE else answer

    def ask() -> object:
        return client.deserialize(official.raw_request("get", question.path), api_mode="V1")

    with Client(KEY, base_url=url) as client, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        yield {
            BLOCKING: _blocking(lambda: first(client)),
            REQUESTS: _blocking(lambda: json.loads(session.get(url + question.path).content)),
            OFFICIAL_BLOCKING: _blocking(ask),
        }


# --- measuring ----------------------------------------------------------------------------------


@define
class Measured:
    """What a contender's rounds took, in microseconds a call."""

    cpu: list[float] = Factory(list)
    wall: list[float] = Factory(list)
    latencies: list[float] = Factory(list)
    spent: float = 0.0

    def latency(self, part: float) -> float:
        """Return what this part of the calls was answered within."""
        return sorted(self.latencies)[int(part * len(self.latencies))]


async def _round(call: Call, calls: int, in_flight: int, into: Measured) -> None:
    left = repeat(None, calls)

    async def worker() -> None:
        for _ in left:
            begun = time.perf_counter()
            await call()
            into.latencies.append((time.perf_counter() - begun) * 1e6)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    seconds = time.perf_counter() - wall
    into.cpu.append((time.process_time() - cpu) * 1e6 / calls)
    into.wall.append(seconds * 1e6 / calls)
    into.spent += seconds


async def measure(contenders: Mapping[str, Call], in_flight: int) -> dict[str, Measured]:
    """Return what each contender took, after a round that opens its connections."""
    sizes: dict[str, int] = {}
    for name, call in contenders.items():
        first = Measured()
        for _ in range(2):
            await _round(call, 2 * in_flight, in_flight, first)
        sizes[name] = max(in_flight, int(ROUND * 1e6 / first.wall[-1]))
    results = {name: Measured() for name in contenders}
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            if results[name].spent < PATIENCE:
                await _round(call, sizes[name], in_flight, results[name])
    return results


async def _measure_all(url: str, question: Question) -> dict[int, dict[str, Measured]]:
    results: dict[int, dict[str, Measured]] = {}
    for in_flight in IN_FLIGHT:
        async with _async_contenders(url, question, in_flight) as contenders:
            if in_flight == 1:
                with _blocking_contenders(url, question) as blocking:
                    results[in_flight] = await measure({**contenders, **blocking}, in_flight)
            else:
                results[in_flight] = await measure(contenders, in_flight)
    return results
