"""Faults: the guarantees of one client, row by row, with its goal and what was measured.

The official SDK stands beside where the measurement costs little, over its two asynchronous HTTP
libraries; its pauses are switched off as Pinstripe's are.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import time
from collections.abc import Awaitable, Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from anyio.to_thread import run_sync
from attrs import frozen

from benchmarks.support.peers import COMPARED, CONTENDERS, fails
from benchmarks.support.sandbox_process import ledger, running
from pinstripe import (
    AsyncClient,
    Limits,
    PinstripeError,
    RequestOptions,
    RetryPolicy,
    Timeout,
)
from tests.support import faulty
from tests.support.chaos_run import Figures, heartbeat, run
from tests.support.clean import KEY, Open
from tests.support.fault_table import CALLS, ROWS, SIZES, end_of_calls, order, refusal
from tests.support.faulty import Behaviour, Faulty, ok

# --- what is measured of Pinstripe alone --------------------------------------------------------


async def _overshoot() -> str:
    deadline, latest = 0.3, 0.0
    faults = [faulty.hang, faulty.slow_body, faulty.slow_headers, refusal(503, Retry_After="9")]
    async with heartbeat() as gaps:
        for fault in faults:
            async with Faulty(fault) as server:
                for end in await end_of_calls(server.url, *["POST"] * 5, timeout=deadline):
                    latest = max(latest, end.seconds - deadline)
        limits = Limits(max_in_flight=1)
        async with (
            Faulty(faulty.hang) as server,
            AsyncClient(KEY, base_url=server.url, files_url=server.url, limits=limits) as client,
        ):
            holder = asyncio.create_task(CALLS["GET"](client))
            await server.arrived.wait()
            begun = time.monotonic()
            await fails(CALLS["POST"](client.with_options(timeout=deadline)))
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
            refused += await fails(client.climate.orders.retrieve(id))
        for text in texts:
            refused += await fails(_with_key(client, text))
        for key in keys:
            refused += await fails(_client_of(key))
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
            await fails(client.climate.orders.retrieve("climorder_1"))
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
