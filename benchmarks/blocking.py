"""Blocking calls: one after the other, a page, from 16 threads, and many at once.

The peers are the official SDK's blocking client and plain requests, on the same server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import requests
import stripe

from benchmarks.support.measure import KEY, ROUNDS, Cost, compare, median, table
from benchmarks.support.nginx import fixed_answers
from benchmarks.support.questions import PAGE, QUOTES, Question, answers
from pinstripe import AsyncClient, Client

THREADS = 16
CALLS = 100
BULK = 1_000
IN_FLIGHT = 32

OFFICIAL = "official SDK"
REQUESTS = "requests + json.loads"
OURS = "pinstripe.Client"

_Call = Callable[[], object]


def _official(client: stripe.StripeClient, path: str) -> _Call:
    def call() -> object:
        answer = client.raw_request("get", path)
        return client.deserialize(answer, api_mode="V1")

    return call


def _requests(session: requests.Session, url: str) -> _Call:
    headers = {"Authorization": f"Bearer {KEY}"}
    return lambda: json.loads(session.get(url, headers=headers).content)


def _in_threads(pool: ThreadPoolExecutor, call: _Call) -> _Call:
    def work(_: int) -> None:
        for _ in range(CALLS // THREADS):
            call()

    return lambda: list(pool.map(work, range(THREADS)))


def _threads(contenders: Mapping[str, _Call]) -> str:
    """Return how much of the throughput of one thread 16 of them reach together."""
    lines = [f"\nGET quotes from {THREADS} threads on one client, calls a second"]
    lines.append(f"{'':44}{'1 thread':>10}{f'{THREADS} threads':>12}{'ratio':>8}")
    with ThreadPoolExecutor(THREADS) as pool:
        calls = CALLS // THREADS * THREADS
        alone = compare(contenders, calls)
        rounds = {name: _in_threads(pool, call) for name, call in contenders.items()}
        together = compare(rounds, 1)
    for name in contenders:
        one, many = 1e6 / alone[name].wall, calls * 1e6 / together[name].wall
        lines.append(f"{name:44}{one:10.0f}{many:12.0f}{many / one:8.2f}")
    return "\n".join(lines)


async def _async_bulk(client: AsyncClient) -> None:
    queries = ({"source_amount": n} for n in range(1, BULK + 1))
    outcomes = client.crypto.onramp_quotes.retrieve_many(queries, concurrency=IN_FLIGHT)
    async for outcome in outcomes:
        outcome.unwrap()


def _blocking_bulk(client: Client) -> None:
    queries = ({"source_amount": n} for n in range(1, BULK + 1))
    for outcome in client.crypto.onramp_quotes.retrieve_many(queries, concurrency=IN_FLIGHT):
        outcome.unwrap()


def _bulk(url: str, client: Client) -> str:
    """Compare `retrieve_many` of both clients, each in rounds that take turns."""
    names = ("AsyncClient", OURS)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    loop = asyncio.new_event_loop()
    with closing(loop):
        asynchronous = AsyncClient(KEY, base_url=url)
        for number in range(4 * ROUNDS + 1):
            for name in names:
                wall, cpu = time.perf_counter(), time.process_time()
                if name == OURS:
                    _blocking_bulk(client)
                else:
                    loop.run_until_complete(_async_bulk(asynchronous))
                spent = time.perf_counter() - wall, time.process_time() - cpu
                if number:
                    times[name].append(spent)
        loop.run_until_complete(asynchronous.aclose())
    costs = {name: median(rounds, BULK) for name, rounds in times.items()}
    return table(f"retrieve_many, {IN_FLIGHT} in flight, a quote", "AsyncClient", costs)


def _one_by_one(title: str, contenders: Mapping[str, _Call], repeat: int) -> str:
    costs: dict[str, Cost] = compare(contenders, repeat)
    return table(f"{title}, one after the other, a call", OFFICIAL, costs)


def contenders(
    question: Question,
    url: str,
    session: requests.Session,
    official: stripe.StripeClient,
    ours: _Call,
) -> dict[str, _Call]:
    """Return what calls, by name."""
    return {
        OFFICIAL: _official(official, question.path),
        REQUESTS: _requests(session, url + question.path),
        OURS: ours,
    }


def report() -> str:
    """Return the tables."""
    with (
        fixed_answers(answers()) as url,
        requests.Session() as session,
        Client(KEY, base_url=url) as client,
    ):
        official = stripe.StripeClient(KEY, base_addresses={"api": url})
        sides = partial(contenders, url=url, session=session, official=official)
        quotes = sides(QUOTES, ours=client.crypto.onramp_quotes.retrieve)
        page = sides(PAGE, ours=lambda: client.identity.verification_sessions.list().first())
        return "\n".join(
            (
                _one_by_one("GET quotes", quotes, CALLS),
                _one_by_one("GET a page of 100 sessions", page, CALLS // 5),
                _threads(quotes),
                _bulk(url, client),
            )
        )
