"""Calls through chaos, and what came of them: claims compared with the ledger of a sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, TypeAlias

from anyio.to_thread import run_sync
from attrs import field, frozen

from pinstripe import AsyncClient, Client, Limits, PinstripeError, RequestOptions, RetryPolicy
from pinstripe._limits.gate import AsyncLimiter
from pinstripe.climate import Order, Product
from tests.support import faulty
from tests.support.chaos_server import Chaos
from tests.support.clean import KEY, Open
from tests.support.faulty import Faulty

AnyClient: TypeAlias = AsyncClient | Client

ORDERED = "climsku_mixed_portfolio"
PRODUCTS = (
    ORDERED,
    "climsku_enhanced_weathering_skerrystone_2028",
    "climsku_biochar_emberloam_2024",
    "climsku_direct_air_capture_highvane_2031",
)
LIMITS = Limits(max_in_flight=16, max_response_bytes=2**20)
SETTINGS: dict[str, Any] = {
    "retry": RetryPolicy(base=0.02, cap=0.1),
    "limits": LIMITS,
    "timeout": 1.0,
}


@frozen
class Record:
    """How one call ended.

    Attributes:
        number: Which of the calls: even ones order, odd ones look a product up.
        seconds: What it took.
        id: The id of the object it returned.
        error: The name of the class of its error.
        ours: Whether that is one of Pinstripe's.
        outcome: What the error said.
        key: The idempotency key that it carried.
        mine: Whether the object was the one that was asked for.
    """

    number: int
    seconds: float
    id: str | None = None
    error: str | None = None
    ours: bool = True
    outcome: str | None = None
    key: str | None = None
    mine: bool = True

    @property
    def orders(self) -> bool:
        return self.number % 2 == 0


async def _call(client: AnyClient, number: int, key: str | None = None) -> Record:
    begun = time.monotonic()
    try:
        value = await _ask(client, number, key)
    except PinstripeError as error:
        name, seconds = type(error).__name__, time.monotonic() - begun
        return Record(number, seconds, error=name, outcome=error.outcome, key=error.idempotency_key)
    except Exception as error:  # noqa: BLE001 -- that one came is a result
        return Record(number, time.monotonic() - begun, error=repr(error), ours=False)
    mine = value.id == PRODUCTS[number % len(PRODUCTS)]
    if isinstance(value, Order):
        mine = value.metadata == {"call": str(number)}
    return Record(number, time.monotonic() - begun, id=value.id, mine=mine)


async def _ask(client: AnyClient, number: int, key: str | None) -> Order | Product:
    if number % 2:
        retrieve = awaited(client.climate.products.retrieve)
        return await retrieve(PRODUCTS[number % len(PRODUCTS)])
    return await awaited(client.climate.orders.create)(
        product=ORDERED,
        metric_tons="0.001",
        metadata={"call": str(number)},
        request_options=RequestOptions(idempotency_key=key) if key else None,
    )


def awaited(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a method as it is, or, if it blocks, what runs it in a worker thread."""
    if iscoroutinefunction(method):
        return method
    return lambda *args, **kwargs: run_sync(partial(method, *args, **kwargs))


@contextlib.asynccontextmanager
async def opened(kind: Callable[..., AnyClient], url: str, settings: Any) -> AsyncIterator[Any]:
    """Open a client of either kind."""
    client = kind(KEY, base_url=url, files_url=url, **settings)
    try:
        await awaited(client.warm_up)()
        yield client
    finally:
        await awaited(client.close if isinstance(client, Client) else client.aclose)()


async def _all(
    calls: Iterable[Awaitable[Record]], at_once: int, progress: Callable[[int], None]
) -> list[Record]:
    """Await calls, so many at once."""
    waiting, records = iter(calls), list[Record]()

    async def work() -> None:
        for call in waiting:
            records.append(await call)
            progress(len(records))

    await asyncio.gather(*(work() for _ in range(at_once)))
    return records


# --- the judgement ------------------------------------------------------------------------------


@frozen
class Figures:
    """What a run showed; but for the counts of what was done, everything has to be 0.

    Attributes:
        calls: Calls made.
        requests: Requests they took.
        harmed: Requests that were harmed.
        succeeded: Calls that returned what was asked for.
        errors: How many calls failed with which error.
        effects: Orders that were really made.
        untyped: Calls that raised something that is not Pinstripe's.
        wrong: Calls that returned the answer of another call.
        late: The longest time that a call took beyond its deadline, in seconds.
        stalled: The longest time that the event loop did not turn, in seconds; on a busy machine
            that is the time given to other processes, and no call can end within it.
        keyless: Orders that failed without telling their key.
        doubled: Effects beyond the first of a call.
        missing: Orders that were reported and not made.
        denied: Orders that were made though the error said that the server has not acted.
        unfinished: Orders that failed and could not be finished with the key of their error.
        doubled_in_the_end: As `doubled`, after failed orders were finished.
        tasks: Tasks left.
        sockets: Sockets left.
        slots: Slots of the pool that are still taken.
        memory: Resident memory after each quarter of the calls, in bytes.
    """

    calls: int
    requests: int
    harmed: int
    succeeded: int
    errors: Counter[str]
    effects: int
    untyped: int
    wrong: int
    late: float
    stalled: float
    keyless: int
    doubled: int
    missing: int
    denied: int
    unfinished: int
    doubled_in_the_end: int
    tasks: int
    sockets: int
    slots: int
    memory: Sequence[int] = field(factory=tuple)


def doubled(records: Sequence[Record], effects: Sequence[Any]) -> int:
    """Count effects beyond the first of a call, and those of no call."""
    claimed = {record.id for record in records if record.id is not None}
    failed = {record.key for record in records if record.key is not None}
    by_key = Counter(effect["idempotency_key"] for effect in effects)
    orphans = [e for e in effects if e["id"] not in claimed and e["idempotency_key"] not in failed]
    return sum(count - 1 for count in by_key.values()) + len(orphans)


def denied(records: Sequence[Record], effects: Sequence[Any]) -> int:
    """Count orders that were made though their error said that the server has not acted."""
    made = {effect["idempotency_key"] for effect in effects}
    return sum(
        record.outcome in ("not_sent", "rejected") for record in records if record.key in made
    )


async def run(
    port: int,
    effects: Callable[[], Sequence[Any]],
    *,
    calls: int,
    seed: int,
    at_once: int = 32,
    rounds: int = 20,
    share: float = 1 / 3,
    final: bool = True,
    client: Callable[..., AnyClient] = AsyncClient,
    **settings: Any,
) -> Figures:
    """Make calls through chaos, then finish the orders that failed, and judge.

    Args:
        port: Where the sandbox listens.
        effects: Reads its ledger.
        calls: How many; every other one orders.
        seed: Source of all chance.
        at_once: Calls at once.
        rounds: How often an order that failed is repeated, at most.
        share: The part of the requests that is harmed.
        final: Whether harms are among it that no other attempt can mend.
        client: `AsyncClient`, or `Client`, whose calls come from as many threads.
        settings: Settings of the client, in place of `SETTINGS`.
    """
    settings = {**SETTINGS, **settings}
    chaos, memory = Chaos(port, seed=seed, share=share, final=final), list[int]()

    def progress(done: int) -> None:
        if done % (calls // 4) == 0:
            memory.append(resident())

    before = Open.now()
    async with (
        heartbeat() as gaps,
        Faulty(chaos) as server,
        opened(client, server.url, settings) as stripe,
    ):
        records = await _all((_call(stripe, n) for n in range(calls)), at_once, progress)
        await chaos.settle()
        requests, harmed = chaos.requests, chaos.requests - chaos.harmed["none"]
        first = await run_sync(effects)
        unfinished = await _finish(stripe, records, at_once, rounds)
        await chaos.settle()
        last = await run_sync(effects)
        slots = await _taken_slots(stripe, server)
    tasks, sockets = await before.left()
    orders = [record for record in records if record.orders]
    made = {effect["id"] for effect in first}
    return Figures(
        calls=calls,
        requests=requests,
        harmed=harmed,
        succeeded=sum(record.id is not None and record.mine for record in records),
        errors=Counter(record.error for record in records if record.error is not None),
        effects=len(first),
        untyped=sum(not record.ours for record in records),
        wrong=sum(not record.mine for record in records),
        late=max(0.0, max(record.seconds for record in records) - settings["timeout"]),
        stalled=max(gaps),
        keyless=sum(record.error is not None and record.key is None for record in orders),
        doubled=doubled(orders, first),
        missing=sum(record.id is not None and record.id not in made for record in orders),
        denied=denied(orders, first),
        unfinished=unfinished,
        doubled_in_the_end=doubled(orders, last),
        tasks=tasks,
        sockets=sockets,
        slots=slots,
        memory=memory,
    )


async def _finish(client: AnyClient, records: Sequence[Record], at_once: int, rounds: int) -> int:
    """Repeat orders that failed with the key of their error; return how many stay undone."""
    open_ = [record for record in records if record.orders and record.id is None]
    for _ in range(rounds):
        again = (_call(client, record.number, record.key) for record in open_)
        open_ = [r for r in await _all(again, at_once, lambda _: None) if r.id is None]
    return len(open_)


async def _taken_slots(client: AnyClient, server: Faulty) -> int:
    """Return how many of the requests that a pool has room for do not get out at once.

    Slow answers and refusals have made the room smaller than the pool; it grows again meanwhile.
    """
    gate = await _gate_of(client)
    left, room = gate._inside, min(LIMITS.max_in_flight, int(gate.most(time.monotonic())))
    server.script[:] = [faulty.hang]
    server.requests.clear()
    calls = [_call(client, 1) for _ in range(LIMITS.max_in_flight)]
    await asyncio.gather(*calls)
    return left + max(0, room - len(server.requests))


async def _gate_of(client: AnyClient) -> AsyncLimiter:
    async def find(twin: AsyncClient) -> AsyncLimiter:
        return twin._shared.gates()

    if isinstance(client, AsyncClient):
        return await find(client)
    return await run_sync(client._bridge.run, find, client._twin)


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncIterator[list[float]]:
    """Watch the event loop, and give the times between its turns that were the longest yet."""
    gaps = [0.0]

    async def beat() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            if now - last > gaps[-1]:
                gaps.append(now - last)
            last = now

    task = asyncio.create_task(beat())
    try:
        yield gaps
    finally:
        task.cancel()
        await asyncio.wait([task])


def resident() -> int:
    """Return the memory of this process, in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 if status.exists() else 0
