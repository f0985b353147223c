"""Faults: the guarantees of one client, row by row, with its goal and what was measured.

The official SDK stands beside where the measurement costs little, over its two asynchronous HTTP
libraries; its pauses are switched off as Pinstripe's are.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import faulty
import stripe
from anyio.to_thread import run_sync
from attrs import frozen
from chaos_run import Figures, heartbeat, run
from clean import KEY, Open
from fault_table import CALLS, ROWS, SHAPES, SIZES, end_of_calls, order, refusal
from faulty import Behaviour, Faulty, ok

from benchmarks.chaos import ledger
from benchmarks.sandbox import running
from pinstripe import (
    AsyncClient,
    PinstripeError,
    Pool,
    RequestOptions,
    RetryPolicy,
    Timeout,
)

Call = Callable[[str], Awaitable[Any]]
Contender = Callable[[str, int], AbstractAsyncContextManager[Call]]

# --- the contenders -----------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def pinstripe_client(url: str, attempts: int) -> AsyncIterator[Call]:
    """Yield what calls with Pinstripe, by method."""
    retry = RetryPolicy(max_attempts=attempts, base=0)
    async with AsyncClient(KEY, base_url=url, files_url=url, retry=retry) as client:
        await client.warm_up()
        yield lambda method: CALLS[method](client)


def official_client(kind: Callable[[], Any]) -> Contender:
    """Return the same for the official SDK over one of its HTTP libraries."""

    @contextlib.asynccontextmanager
    async def client(url: str, attempts: int) -> AsyncIterator[Call]:
        http = kind()
        http.INITIAL_DELAY = http.MAX_DELAY = 0
        sdk = stripe.StripeClient(
            KEY, base_addresses={"api": url}, http_client=http, max_network_retries=attempts - 1
        )
        orders = sdk.v1.climate.orders
        params: Any = {"product": "climsku_1", "metric_tons": "12.5"}

        async def call(method: str) -> Any:
            if method == "GET":
                return await orders.retrieve_async("climorder_1")
            return await orders.create_async(params=params)

        yield call
        await http.close_async()

    return client


CONTENDERS: dict[str, Contender] = {
    "pinstripe": pinstripe_client,
    "official, httpx": official_client(stripe.HTTPXClient),
    "official, aiohttp": official_client(stripe.AIOHTTPClient),
}

# --- what is measured of each -------------------------------------------------------------------


async def _fails(call: Awaitable[Any]) -> bool:
    try:
        await call
    except Exception:  # noqa: BLE001 -- the official SDK lets those of its libraries through
        return True
    return False


async def _requests_when_all_is_503(contender: Contender) -> str:
    calls = 1000
    async with Faulty(refusal(503)) as server, contender(server.url, 3) as call:
        for _ in range(calls // 20):
            await asyncio.gather(*(_fails(call("POST")) for _ in range(20)))
        return f"{len(server.requests) / calls:.2f}"


async def _requests_of_one_attempt(contender: Contender) -> str:
    async with Faulty(faulty.reset_before) as server, contender(server.url, 1) as call:
        for _ in range(20):
            await _fails(call("GET"))
        return f"{len(server.requests) / 20:g}"


async def _retry_after(contender: Contender) -> str:
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=3), usegmt=True)
    results = []
    for header in ("1", date, "100000", "soon"):
        async with (
            Faulty(refusal(429, Retry_After=header), ok(order())) as server,
            contender(server.url, 3) as call,
        ):
            begun = time.monotonic()
            failed = await _fails(call("POST"))
            results.append(f"{'!' if failed else ''}{time.monotonic() - begun:.1f}")
    return " / ".join(results)


async def _should_retry(contender: Contender) -> str:
    counts = []
    for said, status in (("true", 400), ("false", 500)):
        answer = refusal(status, Stripe_Should_Retry=said)
        async with Faulty(answer) as server, contender(server.url, 3) as call:
            await _fails(call("POST"))
            counts.append(str(len(server.requests)))
    return " / ".join(counts)


async def _recovered(contender: Contender) -> str:
    faults = [faulty.truncated, faulty.truncated_chunked, faulty.reset_in_body, faulty.damaged_gzip]
    recovered = 0
    for fault in faults:
        async with Faulty(fault, ok(order())) as server, contender(server.url, 3) as call:
            server.release.set()
            failed = await _fails(call("POST"))
            keys = {request.headers["idempotency-key"] for request in server.requests}
            recovered += not failed and len(server.requests) == 2 and len(keys) == 1
    return f"{recovered} of {len(faults)}"


async def _shapes_refused(contender: Contender) -> str:
    wrong = [row.fault for row in SHAPES if row.error is not None]
    refused = 0
    for fault in wrong:
        async with Faulty(fault) as server, contender(server.url, 1) as call:
            refused += await _fails(call("GET"))
    return f"{refused} of {len(wrong)}"


async def _wrong_answers(contender: Contender) -> str:
    poison, wrong = order(id="climorder_1", currency="poison"), 0
    pairs = 250
    async with Faulty(ok(order())) as server, contender(server.url, 1) as call:
        for method in ("GET", "POST"):
            for _ in range(pairs):
                await call(method)
                server.say(faulty.raw_answer(poison))
                wrong += await _is_poison(call(method))
    async with (
        Faulty(faulty.two_answers(order(), faulty.raw_answer(poison))) as server,
        contender(server.url, 1) as call,
    ):
        for method in ("GET", "POST"):
            for _ in range(pairs):
                wrong += await _is_poison(call(method))
    return f"{wrong} of {4 * pairs}"


async def _is_poison(call: Awaitable[Any]) -> bool:
    try:
        return bool((await call).currency == "poison")
    except Exception:  # noqa: BLE001 -- an error is no wrong answer
        return False


async def _followed(contender: Contender) -> str:
    statuses = (301, 302, 303, 307, 308)
    async with Faulty(ok(order())) as trap:
        for status in statuses:
            answer = faulty.redirect(f"{trap.url}/v1/climate/orders", status)
            async with Faulty(answer) as server, contender(server.url, 1) as call:
                for method in ("GET", "POST"):
                    await _fails(call(method))
        return f"{len(trap.requests)} of {2 * len(statuses)}"


# --- what is measured of Pinstripe alone --------------------------------------------------------


async def _overshoot() -> str:
    deadline, latest = 0.3, 0.0
    faults = [faulty.hang, faulty.slow_body, faulty.slow_headers, refusal(503, Retry_After="9")]
    async with heartbeat() as gaps:
        for fault in faults:
            async with Faulty(fault) as server:
                for end in await end_of_calls(server.url, *["POST"] * 5, timeout=deadline):
                    latest = max(latest, end.seconds - deadline)
        pool = Pool(max_in_flight=1)
        async with (
            Faulty(faulty.hang) as server,
            AsyncClient(KEY, base_url=server.url, files_url=server.url, pool=pool) as client,
        ):
            holder = asyncio.create_task(CALLS["GET"](client))
            await server.arrived.wait()
            begun = time.monotonic()
            await _fails(CALLS["POST"](client.with_options(timeout=deadline)))
            latest = max(latest, time.monotonic() - begun - deadline)
            holder.cancel()
            await asyncio.wait([holder])
    return f"{latest * 1000:.0f} ms (loop stalled {max(gaps) * 1000:.0f} ms)"


async def _untyped() -> str:
    untyped = miscounted = 0
    pairs = [(row, method) for row in ROWS for method in row.methods]
    for row, method in pairs:
        async with Faulty(row.fault) as server:
            if not row.held:
                server.release.set()
            (end,) = await end_of_calls(server.url, method, **row.settings)
        if isinstance(end.error, PinstripeError):
            pickle.loads(pickle.dumps(end.error))
            miscounted += end.error.attempts != len(server.requests)
        else:
            untyped += end.error is not None
    return f"{untyped} untyped, {miscounted} miscounted of {len(pairs)}"


async def _endless_lists() -> str:
    def page(*ids: str) -> Behaviour:
        items = b", ".join(order(id=id) for id in ids)
        return ok(b'{"object": "list", "data": [%b], "has_more": true}' % items)

    lists = {
        "same": [page("a", "b")],
        "cycle": [page("a", "b"), page("c", "d"), page("a", "b")],
        "empty with more": [page("a", "b"), page()],
        "null": [ok(b'{"object": "list", "data": null, "has_more": true}')],
    }
    counts = []
    for script in lists.values():
        async with (
            Faulty(*script) as server,
            AsyncClient(KEY, base_url=server.url, files_url=server.url) as client,
        ):
            with contextlib.suppress(PinstripeError):
                async for _ in client.climate.orders.list():
                    pass
            counts.append(len(server.requests))
    return " / ".join(map(str, counts))


async def _hostile() -> str:
    ids = [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a?b",
        "a#b",
        "a\r\nX: y",
        "%2e%2e",
        "a b",
        "é",
        "a" * 10**5,
    ]
    texts = ["a\r\nX: y", "a\nb", "a\x00b", "é", "", " "]
    keys = ["sk_test_1\n", "", "sk_test_é", "pk_test_1", "Bearer sk_test_1", "sk_test_1 "]
    refused = 0
    async with (
        Faulty(ok(order())) as server,
        AsyncClient(KEY, base_url=server.url, files_url=server.url) as client,
    ):
        for id in ids:
            refused += await _fails(client.climate.orders.retrieve(id))
        for text in texts:
            refused += await _fails(_with_key(client, text))
        for key in keys:
            refused += await _fails(_client_of(key))
        return f"{refused} of {len(ids + texts + keys)} refused, {len(server.requests)} requests"


async def _client_of(key: str) -> AsyncClient:
    return AsyncClient(key)


async def _with_key(client: AsyncClient, text: str) -> object:
    options = RequestOptions(idempotency_key=text)
    return await client.climate.orders.create(
        product="climsku_1", amount=1, request_options=options
    )


async def _cancelled() -> str:
    before = Open.now()
    async with (
        Faulty(faulty.hang) as server,
        AsyncClient(KEY, base_url=server.url, files_url=server.url) as client,
    ):
        calls = [asyncio.create_task(CALLS["POST"](client)) for _ in range(100)]
        while len(server.requests) < len(calls):  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.001)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
    tasks, sockets = await before.left()
    return f"{tasks} tasks, {sockets} sockets"


# --- memory: in a process of its own ------------------------------------------------------------


@frozen
class _Cost:
    memory: float
    seconds: float
    stalled: float


async def _cost(url: str) -> _Cost:
    async with AsyncClient(KEY, base_url=url, files_url=url, timeout=Timeout(60)) as client:
        await client.warm_up()
        before = _peak_memory()
        async with heartbeat() as gaps:
            begun = time.process_time()
            await _fails(client.climate.orders.retrieve("climorder_1"))
            seconds = time.process_time() - begun
        return _Cost(_peak_memory() - before, seconds, max(gaps))


def _peak_memory() -> float:
    """Return the most memory that this process ever had, in MiB."""
    # Not from `resource`: there a child begins with the peak of its parent.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _child(url: str, port: Connection) -> None:
    port.send(asyncio.run(_cost(url)))


async def _memory() -> str:
    worst = []
    for row in SIZES:
        ours, theirs = get_context("spawn").Pipe()
        async with Faulty(row.fault) as server:
            child = get_context("spawn").Process(target=_child, args=(server.url, theirs))
            child.start()
            worst.append(await run_sync(ours.recv))
            await run_sync(child.join)
    memory, seconds, stalled = (
        max(getattr(cost, name) for cost in worst) for name in ("memory", "seconds", "stalled")
    )
    return f"+{memory:.0f} MiB, CPU {seconds:.2f} s, loop stalled {stalled:.2f} s"


# --- many calls ---------------------------------------------------------------------------------


def _chaos(attempts: int, *, final: bool = False) -> Figures:
    retry = RetryPolicy(max_attempts=attempts, base=0.02, cap=0.1)
    with running() as server:
        run_ = run(
            server.port,
            ledger(server),
            calls=2000,
            seed=1,
            share=0.3,
            final=final,
            retry=retry,
            timeout=5.0 - 4.0 * final,
        )
        return asyncio.run(run_)


def _many_calls() -> list[tuple[str, str, str, str]]:
    usual, patient, hard = _chaos(3), _chaos(6), _chaos(3, final=True)
    success = [100 * figures.succeeded / figures.calls for figures in (usual, patient)]
    doubled = f"{hard.doubled_in_the_end} doubled, {hard.keyless} without key"
    return [
        ("1", "1,000 orders in chaos, repeated with the error's key", "0", doubled),
        ("2", "claims of failed orders that the ledger denies", "0", str(hard.denied)),
        ("3", "success in chaos at 2 / 5 retries", ">= 96.5 / 99.5 %",
         " / ".join(f"{share:.1f}" for share in success)),
    ]  # fmt: skip


COMPARED: list[tuple[str, str, str, Callable[[Contender], Awaitable[str]]]] = [
    ("4", "requests a call when all is 503, 1,000 calls", "<= 1.10", _requests_when_all_is_503),
    ("5", "requests of a GET that is reset, no retries", "1", _requests_of_one_attempt),
    ("6", "seconds at Retry-After 1 / date + 3 / 100000 / soon",
     "1-1.5 / 2-3.5 / !0.0 / 0.0", _retry_after),
    ("7", "requests at should-retry true / false", "3 / 1", _should_retry),
    ("8", "cut answers of a POST mended with its key", "all", _recovered),
    ("12", "wrong shapes refused", "all", _shapes_refused),
    ("14", "answers of another call taken for one's own", "0", _wrong_answers),
    ("15", "redirects followed", "0", _followed),
]  # fmt: skip
ALONE: list[tuple[str, str, str, Callable[[], Awaitable[str]]]] = [
    ("9", "beyond the deadline, at any stage", "<= 100 ms", _overshoot),
    ("10", "errors over all faults", "0", _untyped),
    ("11", "memory, time, loop of the largest bodies", "<= 32, 0.25, 0.1", _memory),
    ("13", "requests of lists: same / cycle / empty / null", "<= 2 too many", _endless_lists),
    ("17", "hostile ids, headers, keys", "all, 0", _hostile),
    ("22", "left of 100 POSTs cancelled", "0", _cancelled),
]


def report() -> str:
    """Return the table."""
    rows = [(*row, "", "") for row in _many_calls()]
    for number, name, goal, compare in COMPARED:
        measured = [asyncio.run(compare(contender)) for contender in CONTENDERS.values()]
        rows.append((number, name, goal, *measured))
    for number, name, goal, measure in ALONE:
        rows.append((number, name, goal, asyncio.run(measure()), "", ""))
    rows.sort(key=lambda row: int(row[0]))
    heads = ("", "fault or guarantee", "goal", *CONTENDERS)
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *rows]
    ]
    return "\n".join(["\nFaults, by the rows of the table of goals", *lines])
