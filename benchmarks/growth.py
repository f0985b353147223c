"""Growth: what a larger number of each costs, as pictures and a page of the guides.

It measures for three minutes and writes `.docs/guides/growth.md` and its pictures, so it runs only
if it is named: `python -m benchmarks growth`. It needs nginx, as `wire` does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
import stripe
from requests.adapters import HTTPAdapter

from benchmarks import blocking, decode, exports, wire
from benchmarks.support import payloads
from benchmarks.support.charts import Chart, Panel, Series
from benchmarks.support.growth_page import Growth, shown, table, write
from benchmarks.support.lists import long_list
from benchmarks.support.measure import KEY
from benchmarks.support.nginx import fixed_answers
from benchmarks.support.questions import QUOTES, answers
from pinstripe import AsyncClient, Client, Limits, Page, RateLimit, Request, Response, Timeout
from pinstripe._models.convert import decode as typed
from pinstripe.identity import VerificationSession

ITEMS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
IN_FLIGHT = (1, 4, 16, 64, 256)
TASKS = (1, 10, 100, 1_000, 10_000)
THREADS = (1, 2, 4, 8, 16, 32)
OBJECTS = (1, 3, 10, 30, 100)
ROUNDS = 5

OURS, JSON, OFFICIAL = "Pinstripe", "json.loads", "official SDK"
PLAIN = "aiohttp + json.loads"

Values = dict[str, dict[int, list[float]]]
"""What was measured, by the name of the series and the number on the axis."""


def _nothing(names: Sequence[str], numbers: Sequence[int]) -> Values:
    return {name: {number: [] for number in numbers} for name in names}


def _series(values: Values) -> list[Series]:
    return [Series(name, found) for name, found in values.items()]


def _times(values: Mapping[int, Sequence[float]]) -> float:
    """Return how many times the first median the last one is."""
    medians = list(Series("", values).medians().values())
    return medians[-1] / medians[0]


# --- what is measured -------------------------------------------------------------------------


def export() -> Growth:
    """Measure exports of lists of more and more sessions, each in a fresh process."""
    formats = {"jsonl": "JSON lines", "parquet": "Parquet"}
    seconds, memory = (_nothing([*formats.values()], ITEMS) for _ in range(2))
    for items in ITEMS:
        with long_list(items) as url:
            for _ in range(3 if items < 100_000 else 1):
                for format, name in formats.items():
                    done = exports.export(KEY, url, format)
                    seconds[name][items].append(done.seconds)
                    memory[name][items].append(done.megabytes)
    text = f"{ITEMS[-1] // ITEMS[0]} times as many sessions take " + " and ".join(
        f"{_times(seconds[name]):.0f} times the seconds and {_times(memory[name]):.2f} times the"
        f" memory as {name}"
        for name in formats.values()
    )
    panels = [
        Panel("seconds", _series(seconds)),
        Panel("MB of memory at most", _series(memory), logarithmic=False),
    ]
    title = "Time and memory of an export by the number of sessions"
    chart = Chart(title, f"{text}.", "sessions in the list; k is a thousand", panels)
    return Growth("export", "Sessions in an export", f"{text}.", chart)


async def _latencies(url: str) -> Values:
    names = [f"{name}, {part}" for name in (OURS, PLAIN) for part in ("p50", "p99")]
    values = _nothing(names, IN_FLIGHT)
    contenders = {OURS: wire.OURS, PLAIN: wire.JSON}
    for number in IN_FLIGHT:
        async with wire.contenders(url, QUOTES, number) as calls:
            for round_number in range(ROUNDS + 1):
                for name, contender in contenders.items():
                    taken = wire.Measured()
                    await wire.run_round(calls[contender], 500 + 5 * number, number, taken)
                    if round_number:  # the first round opens the connections
                        for part, label in ((0.5, "p50"), (0.99, "p99")):
                            milliseconds = taken.latency(part) / 1e3
                            values[f"{name}, {label}"][number].append(milliseconds)
    return values


def in_flight() -> Growth:
    """Measure how long calls take with more and more of them in flight."""
    with fixed_answers(answers()) as url:
        values = asyncio.run(_latencies(url))
    one, most = IN_FLIGHT[0], IN_FLIGHT[-1]
    half, nearly_all = (Series("", values[f"{OURS}, {part}"]).medians() for part in ("p50", "p99"))
    text = (
        f"Half of the calls are answered within {shown(half[one])} ms with one in flight, and"
        f" within {shown(half[most])} ms with {most}, where 99 of 100 are within"
        f" {nearly_all[most] / half[most]:.1f} times of that"
    )
    title = "Latency of a call by the number of calls in flight"
    panel = Panel("milliseconds a call", _series(values))
    chart = Chart(title, f"{text}.", "calls in flight", [panel])
    return Growth("in-flight", "Calls in flight", f"{text}.", chart)


class _Answering:
    """A transport without a network: each request waits for one turn of the event loop."""

    async def send(self, request: Request) -> Response:
        await asyncio.sleep(0)
        return Response(status=200, headers={"Request-Id": "req_1"}, body=b"{}")

    async def aclose(self) -> None: ...


async def _waiting(tasks: int, rate: RateLimit | None) -> float:
    """Return the microseconds of CPU time of a call while so many tasks call at once."""
    calls = max(1, 5_000 // tasks)
    client = AsyncClient(
        KEY,
        transport=_Answering(),
        limits=Limits(max_in_flight=32),
        rate_limit=rate,
        timeout=Timeout(total=600),
    )

    async def work() -> None:
        for _ in range(calls):
            await client.request("GET", "/v1/balance")

    async with client:
        gc.collect()
        begun = time.process_time()
        await asyncio.gather(*(work() for _ in range(tasks)))
        return (time.process_time() - begun) * 1e6 / (calls * tasks)


def waiting() -> Growth:
    """Measure what a call costs while more and more tasks wait for the limiter."""
    rates = {"slots alone": None, "slots and a rate": RateLimit(account=1e6, endpoint=1e6)}
    values = _nothing([*rates], TASKS)
    for _ in range(ROUNDS):
        for tasks in TASKS:
            for name, rate in rates.items():
                values[name][tasks].append(asyncio.run(_waiting(tasks, rate)))
    text = (
        f"A call of {TASKS[-1]:,} tasks, of which 32 are in flight and all others wait, costs "
        f"{_times(values['slots and a rate']):.1f} times the CPU time of a call of one task"
    )
    title = "CPU time of a call by the number of tasks that call at once"
    panel = Panel("microseconds of CPU time a call", _series(values), logarithmic=False)
    chart = Chart(title, f"{text}.", "tasks; k is a thousand", [panel])
    return Growth("waiting", "Tasks that wait for the limiter", f"{text}.", chart)


def _rate_of(pool: ThreadPoolExecutor, threads: int, call: Callable[[], object]) -> float:
    """Return how many calls a second threads make together."""
    calls = 192 // threads

    def work(_: int) -> None:
        for _ in range(calls):
            call()

    begun = time.perf_counter()
    list(pool.map(work, range(threads)))
    return calls * threads / (time.perf_counter() - begun)


def _session() -> requests.Session:
    """Return a session that keeps a connection for each thread."""
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=THREADS[-1]))
    return session


def threads() -> Growth:
    """Measure how many calls more and more threads make on one blocking client."""
    names = {blocking.OURS: OURS, blocking.REQUESTS: "requests", blocking.OFFICIAL: OFFICIAL}
    values = _nothing([*names.values()], THREADS)
    with (
        fixed_answers(answers()) as url,
        _session() as session,
        Client(KEY, base_url=url) as client,
        ThreadPoolExecutor(THREADS[-1]) as pool,
    ):
        sdk = stripe.StripeClient(KEY, base_addresses={"api": url})
        quotes = client.crypto.onramp_quotes.retrieve
        calls = blocking.contenders(QUOTES, url, session, sdk, quotes)
        for number in range(ROUNDS):
            for count in THREADS:
                for contender, name in names.items():
                    rate = _rate_of(pool, count, calls[contender])
                    if number:  # the first round opens the connections
                        values[name][count].append(rate)
    most = THREADS[-1]
    ours, plain = (Series("", values[name]).medians()[most] for name in (OURS, "requests"))
    text = (
        f"{most} threads on one client make {_times(values[OURS]):.1f} times the calls of one"
        f" thread, and {ours / plain:.1f} times those of {most} threads with requests"
    )
    title = "Calls a second by the number of threads on one blocking client"
    chart = Chart(title, f"{text}.", "threads", [Panel("calls a second", _series(values))])
    return Growth("threads", "Threads on a blocking client", f"{text}.", chart)


def page_size() -> Growth:
    """Measure how long pages of more and more objects take to decode."""
    values = _nothing([OURS, JSON, OFFICIAL], OBJECTS)
    for objects in OBJECTS:
        body = json.dumps(
            {
                "object": "list",
                "has_more": True,
                "url": "/v1/identity/verification_sessions",
                "data": [payloads.session(number) for number in range(objects)],
            },
            indent=2,
        ).encode()
        ways: dict[str, Callable[[], object]] = {
            OURS: lambda body=body: typed(body, Page[VerificationSession]),
            JSON: lambda body=body: json.loads(body),
            OFFICIAL: decode.official(body),
        }
        repeat = 1 + 200 // objects
        for _ in range(ROUNDS):
            for name, way in ways.items():
                begun = time.process_time()
                for _ in range(repeat):
                    way()
                spent = (time.process_time() - begun) * 1e3
                values[name][objects].append(spent / repeat)
    ours, plain = (Series("", values[name]).medians()[OBJECTS[-1]] for name in (OURS, JSON))
    text = (
        f"A page of {OBJECTS[-1]} sessions takes {_times(values[OURS]):.0f} times as long as a"
        f" page of one, and {ours / plain:.2f} of the time of `json.loads`"
    )
    title = "Time to decode a page by the number of objects in it"
    panel = Panel("milliseconds a page", _series(values))
    chart = Chart(title, f"{text}.".replace("`", ""), "sessions in the page", [panel])
    return Growth("page-size", "Objects in a page", f"{text}.", chart)


def report() -> str:
    """Measure, write the page, and return its tables."""
    growths = [export(), in_flight(), waiting(), threads(), page_size()]
    write(growths)
    return "\n".join(f"\n{growth.heading}\n{growth.text}\n{table(growth)}" for growth in growths)
