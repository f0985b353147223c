"""The stores: one contract for all of them, over threads, processes and their sudden end."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import subprocess
import sys
import time
import tracemalloc
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
import redis.asyncio
import redis.exceptions
from anyio.lowlevel import checkpoint

from pinstripe import ConfigurationError
from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.webhooks import (
    REMEMBER_SECONDS,
    MemoryStore,
    RedisStore,
    Router,
    SQLiteStore,
    Store,
    Webhook,
)
from pinstripe.webhooks._transactions import BlockingTransactions, transactions_of
from tests.support import virtual, warm
from tests.support.databases import Database
from tests.support.webhook_worker import LEASE, deliver, router_over, store_at

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loop_thread_ends")]

ROOT = Path(__file__).parents[2]


class Shop:
    """A kind of store, and how time passes in it."""

    def __init__(self, kind: str, place: str) -> None:
        self.kind, self.place = kind, place
        self.ahead = 0.0
        self._opened: list[SQLiteStore] = []

    def clock(self) -> float:
        return time.time() + self.ahead

    def lease_clock(self) -> float:
        return time.monotonic() + self.ahead

    def open(self) -> Store:
        if self.kind == "memory":
            return MemoryStore(clock=self.clock)
        if self.kind == "redis":
            return RedisStore(self.place, prefix=f"{uuid.uuid4()}:")
        store = SQLiteStore(self.place, clock=self.clock)
        store._lease_clock = self.lease_clock
        self._opened.append(store)
        return store

    async def let_pass(self, store: Store, seconds: float) -> None:
        """Let time pass: Redis has a clock of its own, so that its keys are brought nearer."""
        self.ahead += seconds
        if isinstance(store, RedisStore):
            async with redis.asyncio.Redis.from_url(self.place) as client:
                async for key in client.scan_iter(f"{store._prefix}*"):
                    left = await client.pttl(key)
                    await client.pexpire(key, max(0, left - int(seconds * 1000)))

    def close(self) -> None:
        for store in self._opened:
            store.close()


class DatabaseShop(Shop):
    """A kind of store in a database."""

    def __init__(self, kind: str, database: Database) -> None:
        super().__init__(kind, "")
        self.database = database

    def open(self) -> Store:
        return self.database.store(self.kind)

    async def let_pass(self, store: Store, seconds: float) -> None:
        """Let time pass: the database has a clock of its own, so that ends are brought nearer."""
        self.database.let_pass(seconds)

    def close(self) -> None:
        pass


DATABASES = {
    "async PostgreSQL": "async",
    "blocking SQLite": "blocking",
    "Django PostgreSQL": "django",
}


@pytest.fixture(params=["memory", "sqlite", "redis", *DATABASES])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    kind: str = request.param
    if kind in DATABASES:
        server = request.getfixturevalue("postgres") if "Postgre" in kind else None
        with Database.new(server or tmp_path / "app.db") as database:
            yield DatabaseShop(DATABASES[kind], database)
        return
    place = request.getfixturevalue("redis_url") if kind == "redis" else str(tmp_path / "once.db")
    shop = Shop(kind, place)
    yield shop
    shop.close()


@pytest.fixture
async def store(shop: Shop) -> AsyncIterator[Store]:
    store = shop.open()
    yield store
    await store.close_for_loop()


# The contract


async def test_an_event_that_was_handled_is_done(store: Store) -> None:
    assert await store.claim("evt_1", "a", 60) == "claimed"
    assert await store.claim("evt_1", "b", 60) == "busy"
    assert await store.claim("evt_2", "c", 60) == "claimed"
    assert await store.commit("evt_1", "a")
    assert await store.claim("evt_1", "d", 60) == "done"
    await store.release("evt_1", "a")
    assert await store.claim("evt_1", "e", 60) == "done"


async def test_an_event_that_was_not_handled_may_be_claimed_again(store: Store) -> None:
    assert await store.claim("evt_1", "a", 60) == "claimed"
    await store.release("evt_1", "a")
    assert await store.claim("evt_1", "b", 60) == "claimed"
    assert await store.commit("evt_1", "b")


async def test_a_claim_ends_with_its_lease(shop: Shop, store: Store) -> None:
    assert await store.claim("evt_1", "a", 60) == "claimed"
    await shop.let_pass(store, 50)
    assert await store.claim("evt_1", "b", 60) == "busy"
    await shop.let_pass(store, 11)
    assert await store.claim("evt_1", "b", 60) == "claimed"


async def test_what_comes_after_the_lease_changes_nothing(shop: Shop, store: Store) -> None:
    for id in ("evt_1", "evt_2"):
        assert await store.claim(id, "a", 60) == "claimed"
    await shop.let_pass(store, 61)
    assert not await store.commit("evt_1", "a")
    assert await store.claim("evt_1", "b", 60) == "claimed"
    await store.release("evt_1", "a")
    assert not await store.commit("evt_1", "a")
    assert await store.claim("evt_1", "c", 60) == "busy"
    assert await store.commit("evt_1", "b")
    await store.release("evt_2", "a")
    assert await store.claim("evt_2", "b", 60) == "claimed"


async def test_what_nobody_claimed_cannot_be_committed(store: Store) -> None:
    assert not await store.commit("evt_1", "a")
    await store.release("evt_1", "a")
    assert await store.claim("evt_1", "a", 60) == "claimed"


async def test_an_event_is_remembered_for_longer_than_stripe_tries(
    shop: Shop, store: Store
) -> None:
    assert await store.claim("evt_1", "a", 60) == "claimed"
    assert await store.commit("evt_1", "a")
    await shop.let_pass(store, 3 * 86_400 + 3600)
    assert await store.claim("evt_1", "b", 60) == "done"
    await shop.let_pass(store, REMEMBER_SECONDS)
    assert await store.claim("evt_2", "a", 60) == "claimed"
    assert await store.commit("evt_2", "a")
    assert await store.claim("evt_1", "b", 60) == "claimed"


async def test_the_newest_event_of_an_object(shop: Shop, store: Store) -> None:
    assert await store.last_handled("vs_1") is None
    for at in (20.25, 10, 1790510400.5, 30):
        await store.record_handled("vs_1", at)
    assert await store.last_handled("vs_1") == 1790510400.5
    assert await store.last_handled("vs_2") is None
    await shop.let_pass(store, REMEMBER_SECONDS + 1)
    await store.record_handled("vs_2", 1)
    assert await store.last_handled("vs_1") is None


async def test_one_of_many_claims_wins(store: Store) -> None:
    async def claim(token: int) -> str:
        return await store.claim("evt_1", str(token), 60)

    claimed = await asyncio.gather(*[claim(token) for token in range(50)])
    assert Counter(claimed) == {"claimed": 1, "busy": 49}


@pytest.mark.parametrize("odd", ["", "é" * 300, "a b\n*'\";--"])
async def test_any_text_may_be_an_id(store: Store, odd: str) -> None:
    assert await store.claim(odd, "a", 60) == "claimed"
    assert await store.claim(odd, "b", 60) == "busy"
    assert await store.commit(odd, "a")
    await store.record_handled(odd, 1)
    assert await store.last_handled(odd) == 1


def in_threads(number: int, work: Callable[[int], Coroutine[Any, Any, object]]) -> list[Any]:
    """Run a coroutine function in threads, each with an event loop of its own."""
    results: list[Any] = []
    threads = [
        Thread(target=lambda index=index: results.append(asyncio.run(work(index))))
        for index in range(number)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.uncounted
def test_one_store_over_many_threads_and_loops(shop: Shop) -> None:
    shared = shop.open()

    async def work(index: int) -> Counter[str]:
        # An async engine belongs to one event loop.
        store = shop.open() if shop.kind == "async" else shared
        tokens = [f"{index}:{number}" for number in range(20)]
        claims = [
            await store.claim(f"evt_{token.partition(':')[2]}", token, 60) for token in tokens
        ]
        await store.close_for_loop()
        return Counter(claims)

    assert sum(in_threads(4, work), Counter()) == {"claimed": 20, "busy": 60}


def test_blocking_deliveries_over_every_store(shop: Shop) -> None:
    router = Router(Webhook(SECRET), shop.open())
    runs: list[str] = []
    router.on(Event)(lambda event: runs.append(event.id))
    event = StripeEvent()("file.created")
    endings = [router.receive_blocking(event.body, event.signature).ending for _ in range(2)]
    assert endings == ["handled", "duplicate"]
    assert runs == [event.id]


@pytest.mark.uncounted
async def test_each_event_is_handled_once_over_every_store(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    draw, handled = random.Random(7), Counter[str]()
    router = Router(Webhook(SECRET), store)
    caplog.set_level(logging.CRITICAL, "pinstripe.webhooks")

    @router.on(Event)
    def handle(event: Event) -> None:
        if draw.random() < 0.1:
            raise RuntimeError
        handled[event.id] += 1

    waiting = [f"evt_{number}" for number in range(60)] * 5
    draw.shuffle(waiting)
    statuses = Counter[int]()

    async def work() -> None:
        while waiting:
            id = waiting.pop()
            status = await deliver(router, id)
            statuses[status] += 1
            if status != 200:
                waiting.insert(0, id)
                await checkpoint()

    async with anyio.create_task_group() as group:
        for _ in range(16):
            group.start_soon(work)
    assert handled == {f"evt_{number}": 1 for number in range(60)}
    assert statuses[200] == 300
    assert statuses[500] > 3


def router_of(store: Store) -> Router:
    router = Router(Webhook(SECRET), store)
    router.on(Event)(lambda _: None)
    return router


@pytest.mark.uncounted
@pytest.mark.parametrize("turns", range(0, 30, 2))
async def test_a_delivery_cancelled_at_any_time_leaves_no_claim(store: Store, turns: int) -> None:
    router = router_of(store)
    running = asyncio.create_task(deliver(router, "evt_1"))
    for _ in range(turns):
        await checkpoint()
    running.cancel()
    await asyncio.wait([running])
    status = await deliver(router, "evt_1")
    # A thread cannot be stopped: that of a blocking database goes on, and has the event meanwhile.
    while isinstance(transactions_of(store), BlockingTransactions) and status == 409:
        status = await deliver(router, "evt_1")
    assert status == 200


def watched(path: Path) -> tuple[SQLiteStore, asyncio.Event]:
    """A store, and an event that is set whenever it has tried a step."""
    tried, loop = asyncio.Event(), asyncio.get_running_loop()

    class Watched(SQLiteStore):
        def _transact(self, step: Callable[[sqlite3.Connection], Any]) -> Any:
            try:
                return super()._transact(step)
            finally:
                loop.call_soon_threadsafe(tried.set)

    return Watched(path), tried


@pytest.mark.parametrize("cancels", [1, 2])
async def test_a_claim_that_waits_for_the_file_ends_with_its_delivery(
    tmp_path: Path, cancels: int
) -> None:
    path = tmp_path / "once.db"
    store, begun = watched(path)
    assert await store.claim("evt_0", "a", 60) == "claimed"
    await begun.wait()
    begun.clear()
    router = router_of(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        running = asyncio.create_task(deliver(router, "evt_1"))
        await begun.wait()
        for _ in range(cancels):
            running.cancel()
            await checkpoint()
        other.execute("ROLLBACK")
    await asyncio.wait([running])
    assert running.cancelled()
    assert await deliver(router, "evt_1") == 200
    store.close()


# A file that another process has locked


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """The path of a store, which another connection keeps locked."""
    path = tmp_path / "once.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield path
        other.execute("ROLLBACK")


def test_a_locked_file_costs_each_delivery_the_promised_time(
    locked: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time is virtual: a look at the file takes none, only the wait until the next one does."""

    async def in_thread(function: Callable[..., Any], *args: Any, limiter: object) -> Any:
        assert isinstance(limiter, anyio.CapacityLimiter)  # not that of everybody's threads
        return function(*args)

    monkeypatch.setattr("anyio.to_thread.run_sync", in_thread)
    store = SQLiteStore(locked)
    router = router_of(store)

    async def refused(id: str) -> float:
        assert await deliver(router, id) == 500
        assert not store._lock.locked()
        return virtual.now()

    async def main() -> list[float]:
        return await asyncio.gather(*[refused(f"evt_{number}") for number in range(6)])

    ends = virtual.run(main())
    assert max(ends) < 5
    assert caplog.text.count("database is locked") >= 6


async def test_a_locked_file_holds_no_thread_that_others_need(
    locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, tried = watched(locked)
    running = [asyncio.create_task(store.claim(f"evt_{id}", "a", 60)) for id in range(6)]
    everybody = anyio.to_thread.current_default_thread_limiter()
    monkeypatch.setattr(everybody, "total_tokens", 1)
    for _ in range(12):
        await tried.wait()
        tried.clear()
        assert await anyio.to_thread.run_sync(lambda: "free") == "free"
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    store.close()


async def test_a_claim_gets_a_file_that_is_unlocked_in_time(tmp_path: Path) -> None:
    store, tried = watched(tmp_path / "once.db")
    with closing(sqlite3.connect(tmp_path / "once.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        running = asyncio.create_task(store.claim("evt_1", "a", 60))
        await tried.wait()
        other.execute("ROLLBACK")
        assert await running == "claimed"
    store.close()


# Clocks


@pytest.mark.parametrize("step", [3600.0, -3600.0])
async def test_a_step_of_the_clock_neither_ends_a_lease_nor_prolongs_it(
    tmp_path: Path, step: float
) -> None:
    ahead, later = 0.0, 0.0
    stores = [SQLiteStore(tmp_path / "once.db", clock=lambda: time.time() + ahead) for _ in "ab"]
    for store in stores:
        store._lease_clock = lambda: time.monotonic() + later
    first, second = stores
    assert await first.claim("evt_1", "a", 60) == "claimed"
    ahead = step
    assert await second.claim("evt_1", "b", 60) == "busy"
    assert await first.commit("evt_1", "a")
    assert await second.claim("evt_1", "b", 60) == "done"
    assert await first.claim("evt_2", "a", 60) == "claimed"
    later = 61.0
    assert await second.claim("evt_2", "b", 60) == "claimed"
    assert not await first.commit("evt_2", "a")
    for store in stores:
        store.close()


async def test_a_claim_from_before_a_restart_of_the_machine_is_over(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "once.db")
    assert await store.claim("evt_1", "a", 60) == "claimed"
    store._lease_clock = lambda: 5.0  # it counts from the start of the machine
    assert await store.claim("evt_1", "b", 60) == "claimed"
    store.close()


async def test_a_claim_that_waited_for_the_file_has_its_whole_lease(tmp_path: Path) -> None:
    store, tried = watched(tmp_path / "once.db")
    now = 100.0
    store._lease_clock = lambda: now
    with closing(sqlite3.connect(tmp_path / "once.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        running = asyncio.create_task(store.claim("evt_1", "a", 5))
        await tried.wait()
        now = 106.0  # as if it had waited for longer than the lease
        other.execute("ROLLBACK")
        assert await running == "claimed"
    assert await store.claim("evt_1", "b", 5) == "busy"
    assert await store.commit("evt_1", "a")
    store.close()


@pytest.mark.parametrize("lease", [0.0001, 0.0015])
async def test_a_claim_in_redis_is_never_shorter_than_its_lease(
    redis_url: str, lease: float
) -> None:
    sent: list[Any] = []

    class Noting(RedisStore):
        async def _run(self, script: str, key: str, *arguments: str | int) -> int:
            sent.extend(arguments)
            return await super()._run(script, key, *arguments)

    store = Noting(redis_url, prefix=f"{uuid.uuid4()}:")
    assert await store.claim("evt_1", "a", lease) == "claimed"
    assert sent[1] >= lease * 1000
    await store.close_for_loop()


async def test_redis_that_does_not_answer_is_asked_once(redis_url: str) -> None:
    store = RedisStore(redis_url, prefix=f"{uuid.uuid4()}:")
    store._client().connection_pool.connection_kwargs["socket_timeout"] = 0.05
    assert await store.claim("evt_1", "a", 60) == "claimed"
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        before = (await client.info("stats"))["total_connections_received"]
        await client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        try:
            with pytest.raises(redis.exceptions.TimeoutError):
                await store.claim("evt_2", "a", 60)
        finally:
            await client.execute_command("CLIENT", "UNPAUSE")
        # To ask again it would have to connect again.
        assert (await client.info("stats"))["total_connections_received"] == before
    await store.close_for_loop()


async def test_redis_that_has_closed_an_idle_connection_is_asked_again(redis_url: str) -> None:
    store = RedisStore(redis_url, prefix=f"{uuid.uuid4()}:")
    assert await store.claim("evt_1", "a", 60) == "claimed"
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.client_kill_filter(_type="normal", skipme=True)
    assert await store.commit("evt_1", "a")
    await store.close_for_loop()


# Processes, and their sudden end


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("redis_url"))
    return str(tmp_path / "once.db")


def start(place: str, log: Path, ids: list[str]) -> warm.Child:
    words = ("-W", "error", "-m", "tests.support.webhook_worker", place, log, *ids)
    return warm.start(words, cwd=ROOT)


def test_two_processes_handle_each_event_once(shared: str, tmp_path: Path) -> None:
    run, log = uuid.uuid4(), tmp_path / "log"
    ids = [f"evt_{run}_{number}" for number in range(60)]
    workers = [start(shared, log, order) for order in (ids, ids[20:] + ids[:20])]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert Counter(log.read_text().split()) == dict.fromkeys(ids, 1)


async def end_leases(store: Store) -> None:
    """Let the leases of all claims end."""
    if isinstance(store, SQLiteStore):
        store._lease_clock = lambda: time.monotonic() + LEASE + 1
        return
    assert isinstance(store, RedisStore)
    async with redis.asyncio.Redis.from_url(store._url) as client:
        async for key in client.scan_iter("pinstripe:event:die_*"):
            if not (await client.get(key)).startswith(b"done:"):
                await client.pexpire(key, 0)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_is_killed_in_the_middle(
    shared: str, tmp_path: Path, when: str
) -> None:
    run, log = uuid.uuid4(), tmp_path / "log"
    ids = [f"evt_{run}_{number}" for number in range(10)]
    deadly = f"die_{when}_{run}"
    ids.insert(6, deadly)
    assert start(shared, log, ids).wait(60) == -9
    effects = Counter(log.read_text().split())
    assert effects == dict.fromkeys(ids[:6] + [deadly] * (when == "after"), 1)

    store = store_at(shared)
    router = router_over(store, log, deadly=False)
    statuses = {id: await deliver(router, id) for id in ids}
    assert [id for id, status in statuses.items() if status != 200] == [deadly]
    assert statuses[deadly] == 409  # the process may still be handling it
    await end_leases(store)
    assert [await deliver(router, id) for id in ids * 2] == [200] * 22
    await store.close_for_loop()
    if isinstance(store, SQLiteStore):
        store.close()
    # What had its effect and could not say so has it again; nothing else has it twice.
    effects = Counter(log.read_text().split())
    assert effects == {**dict.fromkeys(ids, 1), deadly: 2 if when == "after" else 1}


# What is particular to each


async def test_memory_is_bounded() -> None:
    now = 0.0
    store = MemoryStore(max_ids=1000, clock=lambda: now)

    async def handle(numbers: range) -> None:
        for number in numbers:
            assert await store.claim(f"evt_{number:024}", "token", 60) == "claimed"
            assert await store.commit(f"evt_{number:024}", "token")
            await store.record_handled(f"vs_{number:024}", number)

    tracemalloc.start()
    try:
        await handle(range(1000))
        await handle(range(1000, 11_000))
        assert len(store) == 1000
        # Two tables of a thousand entries, each less than 300 bytes.
        assert tracemalloc.get_traced_memory()[0] < 600 * 1000
    finally:
        tracemalloc.stop()
    assert await store.claim(f"evt_{0:024}", "token", 60) == "claimed"
    assert await store.claim(f"evt_{10_999:024}", "token", 60) == "done"
    assert len(store._newest) == 1000
    now = REMEMBER_SECONDS + 1
    assert await store.commit("evt_none", "token") is False
    await handle(range(11_000, 11_001))
    assert len(store) == 1
    assert len(store._running) == 1


def test_reprs_show_no_password() -> None:
    assert repr(MemoryStore(5)) == "MemoryStore(5)"
    assert repr(SQLiteStore("once.db")) == "SQLiteStore('once.db')"
    assert repr(RedisStore("redis://:hunter2@localhost")) == "RedisStore(prefix='pinstripe:')"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: MemoryStore(0), "max_ids"),
        (lambda: MemoryStore(True), "max_ids"),
        (lambda: SQLiteStore(""), "path"),
        (lambda: SQLiteStore(None), "path"),  # type: ignore[arg-type]
        (lambda: RedisStore("localhost"), "url"),
        (lambda: RedisStore(None), "url"),  # type: ignore[arg-type]
        (lambda: RedisStore("redis://localhost", prefix=1), "prefix"),  # type: ignore[arg-type]
    ],
)
def test_arguments_that_are_wrong(make: Callable[[], Store], name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.argument == name


async def test_a_file_that_cannot_be_used_refuses_the_delivery(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = tmp_path / "text"
    wrong.write_text("no database " * 100)
    for path in (wrong, tmp_path / "missing" / "once.db"):
        router = router_over(SQLiteStore(path), tmp_path / "log", deadly=False)
        assert await deliver(router, "evt_1") == 500
    assert "not a database" in caplog.text
    assert not (tmp_path / "log").exists()


async def test_a_redis_that_is_not_there_refuses_the_delivery(tmp_path: Path) -> None:
    store = RedisStore(f"unix://{tmp_path}/none")
    router = router_over(store, tmp_path / "log", deadly=False)
    assert await deliver(router, "evt_1") == 500
    await store.close_for_loop()


async def test_a_claim_whose_answer_was_lost_is_still_that_claim(redis_url: str) -> None:
    store = RedisStore(redis_url, prefix=f"{uuid.uuid4()}:")
    for _ in range(2):
        assert await store.claim("evt_1", "a", 60) == "claimed"
    for _ in range(2):
        assert await store.commit("evt_1", "a")
    assert not await store.commit("evt_1", "b")
    await store.close_for_loop()
    await store.close_for_loop()


async def test_an_older_note_changes_nothing_but_its_end(redis_url: str) -> None:
    store = RedisStore(redis_url, prefix=f"{uuid.uuid4()}:")
    await store.record_handled("vs_1", 5)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.pexpire(f"{store._prefix}newest:vs_1", 60_000)
        await store.record_handled("vs_1", 4)
        assert await client.pttl(f"{store._prefix}newest:vs_1") > 3 * 86_400_000
    assert await store.last_handled("vs_1") == 5
    await store.close_for_loop()


def test_redis_without_its_package_is_refused() -> None:
    script = """
import sys
sys.modules["redis"] = None
from pinstripe import ConfigurationError
from pinstripe.webhooks import RedisStore

try:
    RedisStore("redis://localhost")
except ConfigurationError as error:
    assert "pinstripe[redis]" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


async def test_a_closed_file_is_opened_again(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "once.db")
    store.close()
    assert await store.claim("evt_1", "a", 60) == "claimed"
    store.close()
    assert await store.claim("evt_1", "b", 60) == "busy"
    store.close()


def test_a_forked_child_opens_the_file_for_itself(tmp_path: Path) -> None:
    script = """
import asyncio, os, sys
from pinstripe.webhooks import SQLiteStore

store = SQLiteStore(sys.argv[1])
assert asyncio.run(store.claim("evt_1", "a", 60)) == "claimed"
store._lock.acquire()  # as another thread may have, at the moment of the fork
child = os.fork()
if child == 0:
    answers = [asyncio.run(store.claim(id, "b", 60)) for id in ("evt_1", "evt_2")]
    store.close()
    os._exit(0 if answers == ["busy", "claimed"] else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
store._lock.release()
assert asyncio.run(store.commit("evt_1", "a"))
assert asyncio.run(store.claim("evt_2", "c", 60)) == "busy"
store.close()
"""
    quiet = ("-W", "error", "-W", "ignore::DeprecationWarning")
    command = [sys.executable, *quiet, "-c", script, tmp_path / "once.db"]
    subprocess.run(command, check=True, timeout=60)


def test_importing_it_imports_no_store_that_is_not_used() -> None:
    script = """
import sys, pinstripe.webhooks
unused = {"redis", "sqlalchemy", "django", "asgiref", "aiohttp", "pytest"}
assert not unused & {name.partition(".")[0] for name in sys.modules}
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)
