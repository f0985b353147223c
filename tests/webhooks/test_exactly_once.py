"""Stores in the app's database: what a handler writes and the event itself are there together."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from sqlalchemy import Connection, Engine, create_engine, create_mock_engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

from pinstripe import ConfigurationError, HandledInfo, HandlerInfo, Hooks
from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET, SignedEvent, StripeEvent
from pinstripe.webhooks import Receipt, Router, SQLAlchemyStore, Webhook, _rows
from tests.support import warm
from tests.support.databases import Database

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loop_thread_ends")]

ROOT = Path(__file__).parents[2]

stripe_event = StripeEvent()


class Base(DeclarativeBase):
    pass


class Effect(Base):
    __tablename__ = "effects"

    event: Mapped[str] = mapped_column(primary_key=True)


class Site:
    """A router over a store in a database, whose handler writes and then does what a test wants."""

    def __init__(self, database: Database, kind: str, engine: Any = None, **options: Any) -> None:
        self.database, self.kind = database, kind
        self.store = database.store(kind) if engine is None else SQLAlchemyStore(engine)
        self.router = Router(Webhook(SECRET), self.store, **options)
        self.then: list[Callable[[], Any]] = []
        self.router.on(Event)(self._handle_async if kind == "async" else self._handle)

    async def _handle_async(self, event: Event) -> None:
        await self.database.write_effect_async(self.store, event.id)
        if self.then:
            result = self.then.pop(0)()
            if asyncio.iscoroutine(result):
                await result

    def _handle(self, event: Event) -> None:
        self.database.write_effect(self.store, event.id)
        if self.then:
            self.then.pop(0)()

    async def deliver(self, event: SignedEvent) -> str:
        return (await self.receive(event)).ending

    async def receive(self, event: SignedEvent) -> Receipt:
        return await self.router.receive(event.body, event.signature)

    def connection(self) -> Any:
        return self.store.connection()


@pytest.fixture(params=["PostgreSQL", "SQLite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    is_file = request.param == "SQLite"
    place = tmp_path / "app.db" if is_file else request.getfixturevalue("postgres")
    with Database.new(place) as database:
        yield database


@pytest.fixture
def server(postgres: Postgres) -> Iterator[Database]:
    with Database.new(postgres) as database:
        yield database


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    with Database.new(tmp_path / "app.db") as database:
        yield database


@pytest.fixture(params=["async", "blocking", "django"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(database: Database, kind: str) -> Site:
    return Site(database, kind)


def fail(error: BaseException) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


# The promise


@pytest.mark.parametrize(
    ("place", "kind", "events", "kills"),
    [
        ("PostgreSQL", "async", 1000, 20),
        ("SQLite", "blocking", 60, 4),
        ("PostgreSQL", "django", 60, 4),
    ],
)
def test_processes_that_are_killed_at_any_moment_leave_each_effect_once(  # noqa: PLR0917
    request: pytest.FixtureRequest,
    tmp_path: Path,
    place: str,
    kind: str,
    events: int,
    kills: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = tmp_path / "app.db" if place == "SQLite" else request.getfixturevalue("postgres")
    with Database.new(where) as database:
        url = database.url.render_as_string(hide_password=False)
        words = ("-W", "error", "-m", "tests.support.database_killer", kind, url)
        numbers = (str(events), str(kills), "7")
        ran = warm.run((*words, json.dumps(database.settings), *numbers), cwd=ROOT, timeout=600)
        assert ran.returncode == 0, ran.stderr
        counts = json.loads(ran.stdout)
        assert counts["killed at a step"] == counts["killed from outside"] == kills // 2
        assert counts["handled"] + counts["duplicate"] == events * 3
        assert database.effects() == sorted(f"evt_{number}" for number in range(events))
    with capsys.disabled():
        sys.stdout.write(f"\n{place}, {kind}: {events} effects of {events} events; {counts} ")


async def test_a_handler_that_fails_leaves_nothing_and_runs_again(site: Site) -> None:
    event = stripe_event("file.created")
    site.then = [fail(ValueError("not today"))]
    assert await site.deliver(event) == "failed"
    assert site.database.effects() == []
    assert [await site.deliver(event) for _ in range(2)] == ["handled", "duplicate"]
    assert site.database.effects() == [event.id]


async def test_a_delivery_that_takes_longer_than_its_lease_is_rolled_back(
    server: Database, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(server, kind)
    event = stripe_event("file.created")
    site.then = [lambda: server.let_pass(61)]
    assert await site.deliver(event) == "failed"
    assert "Give the router a longer lease" in caplog.text
    assert server.effects() == []
    assert await site.deliver(event) == "handled"
    assert server.effects() == [event.id]


async def test_the_claim_of_another_delivery_is_not_touched(server: Database, kind: str) -> None:
    site = Site(server, kind)
    event = stripe_event("file.created")
    taken = "UPDATE pinstripe_events SET token = 'other'"
    site.then = [lambda: server.run(taken)]
    assert await site.deliver(event) == "failed"
    assert await site.deliver(event) == "busy"
    assert server.effects() == []


async def test_a_second_delivery_is_refused_at_once(server: Database) -> None:
    site = Site(server, "async")
    started, go_on = anyio.Event(), anyio.Event()

    async def wait() -> None:
        started.set()
        await go_on.wait()

    event = stripe_event("file.created")
    site.then = [wait]
    first = asyncio.create_task(site.deliver(event))
    await started.wait()
    assert await site.deliver(event) == "busy"
    go_on.set()
    assert await first == "handled"
    assert server.effects() == [event.id]


async def test_a_delivery_that_is_cancelled_is_rolled_back(database: Database) -> None:
    site = Site(database, "async")
    started = anyio.Event()

    async def hang() -> None:
        started.set()
        await anyio.sleep_forever()

    event = stripe_event("file.created")
    site.then = [hang]
    running = asyncio.create_task(site.deliver(event))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await site.deliver(event) == "handled"
    assert database.effects() == [event.id]


def test_without_an_event_loop(database: Database, kind: str) -> None:
    site = Site(database, kind)
    event = stripe_event("file.created")
    site.then = [fail(ValueError())]
    endings = [site.router.receive_blocking(event.body, event.signature).ending for _ in range(3)]
    assert endings == ["failed", "handled", "duplicate"]
    assert database.effects() == [event.id]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", ["blocking", "django"])
def test_an_interrupt_rolls_back_and_frees_the_event(
    file: Database, kind: str, interrupt: type[BaseException]
) -> None:
    site = Site(file, kind)
    event = stripe_event("file.created")
    site.then = [fail(interrupt())]
    with pytest.raises(interrupt):
        site.router.receive_blocking(event.body, event.signature)
    assert file.effects() == []
    assert site.router.receive_blocking(event.body, event.signature).ending == "handled"


async def test_older_events_of_an_object_are_skipped(server: Database, kind: str) -> None:
    site = Site(server, kind, skip_older=True)
    events = [
        stripe_event("file.created", id="file_1", event={"created": created})
        for created in (20, 10, 30)
    ]
    assert [await site.deliver(event) for event in events] == ["handled", "stale", "handled"]
    assert server.effects() == sorted([events[0].id, events[2].id])
    assert await site.deliver(events[1]) == "duplicate"
    assert server.run("SELECT id, newest FROM pinstripe_subjects") == [("file_1", 30.0)]


async def test_dispatch_runs_handlers_in_a_transaction_too(file: Database, kind: str) -> None:
    site = Site(file, kind)
    signed = stripe_event("file.created")
    event = site.router.webhook.parse(signed.body, signed.signature)
    site.then = [fail(ValueError("not today"))]
    with pytest.raises(ValueError, match="not today"):
        await site.router.dispatch(event)
    assert file.effects() == []
    await site.router.dispatch(event)
    assert file.effects() == [signed.id]
    assert file.run("SELECT * FROM pinstripe_events") == []


async def test_hooks_get_the_handlers_of_a_blocking_store(file: Database) -> None:
    notes: list[Any] = []
    hooks = Hooks(on_handler=notes.append, on_handled=notes.append)
    site = Site(file, "blocking", hooks=hooks)
    site.then = [fail(ValueError())]
    await site.deliver(stripe_event("file.created"))
    assert [type(note) for note in notes] == [HandlerInfo, HandledInfo]
    assert notes[1].error == "ValueError"


async def test_no_handler_begins_after_the_lease(file: Database) -> None:
    site = Site(file, "blocking", lease=0.001)
    site.then = [lambda: threading.Event().wait(0.002)]
    site.router.on(Event)(lambda _: pytest.fail("was called"))
    assert await site.deliver(stripe_event("file.created")) == "failed"
    assert file.effects() == []


# What fails in the database


async def test_a_connection_that_is_lost(server: Database, kind: str) -> None:
    site = Site(server, kind)
    event = stripe_event("file.created")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = :state"
    site.then = [lambda: server.run(others, state="idle in transaction")]
    assert await site.deliver(event) == "failed"
    assert server.effects() == []
    assert await site.deliver(event) == "handled"
    assert server.effects() == [event.id]


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_a_commit_whose_answer_is_lost(server: Database, kind: str) -> None:
    engine, blocking = engine_of(server, kind)
    site = Site(server, kind, engine)

    losing: list[bool] = []

    def lose(connection: Connection) -> None:
        if losing:
            losing.pop()
            driver: Any = connection.connection.dbapi_connection
            driver.commit()
            raise ConnectionResetError

    event.listen(blocking, "commit", lose)
    delivered = stripe_event("file.created")
    site.then = [lambda: losing.append(True)]
    assert await site.deliver(delivered) == "failed"
    assert await site.deliver(delivered) == "duplicate"
    assert server.effects() == [delivered.id]


def engine_of(database: Database, kind: str, **options: Any) -> tuple[Any, Engine]:
    """Make an engine, and return it with the blocking one below it."""
    options.setdefault("poolclass", NullPool)
    if kind == "async":
        made = create_async_engine(database.async_url(), **options)
        return made, made.sync_engine
    engine = create_engine(database.url, **options)
    return engine, engine


@pytest.mark.parametrize("kind", ["async", "blocking"])
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_a_serialisation_failure(
    server: Database, kind: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.run("CREATE TABLE stock (left_over INTEGER)")
    server.run("INSERT INTO stock VALUES (10)")
    take = "UPDATE stock SET left_over = left_over - 1"
    engine, _ = engine_of(server, kind, isolation_level=level)
    site = Site(server, kind, engine)

    def take_too() -> Any:
        server.run(take)  # by another transaction, which is committed first
        return site.connection().execute(text(take))

    event = stripe_event("file.created")
    site.then = [take_too, lambda: site.connection().execute(text(take))]
    assert await site.deliver(event) == "failed"
    assert "could not serialize access" in caplog.text
    assert await site.deliver(event) == "handled"
    assert server.effects() == [event.id]
    assert server.run("SELECT left_over FROM stock") == [(8,)]


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_a_full_pool(server: Database, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    options = {"poolclass": None, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}
    engine, blocking = engine_of(server, kind, **options)
    site = Site(server, kind, engine)
    event = stripe_event("file.created")
    if isinstance(engine, AsyncEngine):
        async with engine.connect():
            assert await site.deliver(event) == "failed"
    else:
        with engine.connect():
            assert await site.deliver(event) == "failed"
    assert "QueuePool limit" in caplog.text
    assert await site.deliver(event) == "handled"
    assert server.effects() == [event.id]
    if isinstance(engine, AsyncEngine):
        await engine.dispose()
    blocking.dispose()


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_an_engine_that_commits_each_statement_is_refused(
    database: Database, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine, _ = engine_of(database, kind, isolation_level="AUTOCOMMIT")
    site = Site(database, kind, engine)
    assert await site.deliver(stripe_event("file.created")) == "failed"
    assert "AUTOCOMMIT" in caplog.text
    assert database.effects() == []


# Claims at the same time


@pytest.fixture
def between(server: Database, kind: str) -> Iterator[tuple[Site, Callable[[str, str], None]]]:
    """A site, and a function: run a statement before the first one that starts with some words."""
    from django.db import connections

    engine, blocking = (None, None) if kind == "django" else engine_of(server, kind)
    site = Site(server, kind, engine, skip_older=True)
    plan: list[tuple[str, str]] = []

    def watch(statement: str) -> None:
        if plan and statement.replace('"', "").startswith(plan[0][0]):
            server.run(plan.pop()[1])

    def around(execute: Any, statement: str, *args: Any) -> Any:
        watch(statement)
        return execute(statement, *args)

    if blocking is None:
        # Blocking deliveries run in this thread, and use its connection.
        with connections[server.alias()].execute_wrapper(around):
            yield site, lambda start, statement: plan.append((start, statement))
        return
    event.listen(blocking, "before_cursor_execute", lambda *args: watch(args[2]))
    yield site, lambda start, statement: plan.append((start, statement))


OTHER = "INSERT INTO pinstripe_events VALUES ('{}', 'other', false, {})"
LATER = "extract(epoch from now()) + 60"


def test_another_claim_may_come_first(between: Any) -> None:
    site, meanwhile = between
    event = stripe_event("file.created")
    meanwhile("INSERT INTO pinstripe_events", OTHER.format(event.id, LATER))
    receipt = site.router.receive_blocking(event.body, event.signature)
    assert receipt.ending == "busy"


def test_another_claim_may_take_one_that_has_ended_first(between: Any) -> None:
    site, meanwhile = between
    event = stripe_event("file.created")
    # The first claim prunes.
    site.router.receive_blocking(*signed(stripe_event("file.created", id="file_0")))
    site.database.run(OTHER.format(event.id, 0))
    meanwhile("UPDATE pinstripe_events", f"UPDATE pinstripe_events SET ends = {LATER}")
    assert site.router.receive_blocking(*signed(event)).ending == "busy"


def test_another_event_of_the_object_may_be_recorded_first(between: Any) -> None:
    site, meanwhile = between
    meanwhile(
        "INSERT INTO pinstripe_subjects",
        f"INSERT INTO pinstripe_subjects VALUES ('file_1', 5e9, {LATER})",
    )
    event = stripe_event("file.created", id="file_1")
    assert site.router.receive_blocking(*signed(event)).ending == "handled"
    assert site.database.run("SELECT newest FROM pinstripe_subjects") == [(5e9,)]


def signed(event: SignedEvent) -> tuple[bytes, str]:
    return event.body, event.signature


@pytest.mark.parametrize("at_once", [2, 1000])
async def test_what_has_ended_is_pruned(
    server: Database, kind: str, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    for module in ("_sql", "django._steps"):
        monkeypatch.setattr(f"pinstripe.webhooks.{module}.PRUNED_AT_ONCE", at_once)
    monkeypatch.setattr(_rows, "PRUNED_AT_ONCE", at_once)
    rows = "SELECT 'old' || n, {} FROM generate_series(1, 5) n"
    server.run(f"INSERT INTO pinstripe_events {rows.format('chr(97), true, 5')}")
    server.run(f"INSERT INTO pinstripe_subjects {rows.format('1, 5')}")
    store = server.store(kind)
    left: list[Any] = []
    for number in range(4):
        await store.claim(f"evt_{number}", "a", 60)
        counted = "SELECT (SELECT count(*) FROM pinstripe_events WHERE ends = 5)"
        left += server.run(f"{counted}, (SELECT count(*) FROM pinstripe_subjects)")
    assert left == ([(3, 3), (1, 1), (0, 0), (0, 0)] if at_once == 2 else [(0, 0)] * 4)


# What handlers get from SQLAlchemy


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_a_session_for_all_handlers(database: Database, kind: str) -> None:
    store = database.store(kind)
    router = Router(Webhook(SECRET), store)
    delivered = stripe_event("file.created")

    if kind == "async":

        @router.on(Event)
        async def add(event: Event) -> None:
            store.session().add(Effect(event=event.id))

        @router.on(Event)
        async def go_on(event: Event) -> None:
            session = store.session()
            assert (await session.get(Effect, event.id)).event == event.id
            await session.commit()
            session.add(Effect(event="undone"))
            await session.rollback()
            session.add(Effect(event="flushed at the end"))

    else:

        @router.on(Event)
        def add_blocking(event: Event) -> None:
            store.session().add(Effect(event=event.id))

        @router.on(Event)
        def go_on_blocking(event: Event) -> None:
            with store.session() as session:
                assert session.get(Effect, event.id).event == event.id
                session.commit()
                session.add(Effect(event="undone"))
            store.session().add(Effect(event="flushed at the end"))

    receipt = await router.receive(delivered.body, delivered.signature)
    assert receipt.ending == "handled"
    assert database.effects() == sorted([delivered.id, "flushed at the end"])


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_the_end_of_the_transaction_is_the_stores(
    database: Database, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(database, kind)
    event = stripe_event("file.created")
    site.then = [lambda: site.connection().commit(), lambda: site.connection().rollback()]
    assert [await site.deliver(event) for _ in range(2)] == ["failed", "failed"]
    assert "leave out the commit" in caplog.text
    assert "was rolled back by a handler" in caplog.text
    assert database.effects() == []
    assert await site.deliver(event) == "handled"


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_a_connection_is_there_in_a_handler_only(file: Database, kind: str) -> None:
    site = Site(file, kind)
    for get in (site.store.connection, site.store.session):
        with pytest.raises(ConfigurationError, match="only while a handler runs"):
            get()


async def test_what_outlives_a_handler_has_no_connection(file: Database) -> None:
    site = Site(file, "async")
    go_on, tasks = asyncio.Event(), list[Any]()

    async def outlive() -> None:
        await go_on.wait()
        site.connection()

    site.then = [lambda: tasks.append(asyncio.create_task(outlive()))]
    assert await site.deliver(stripe_event("file.created")) == "handled"
    go_on.set()
    with pytest.raises(ConfigurationError, match="only while a handler runs"):
        await tasks[0]


async def test_a_plain_function_has_no_async_connection(
    file: Database, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(file, "async")
    wanted: list[bool] = [True]

    @site.router.on(Event)
    def plain(event: Event) -> None:
        if wanted:
            wanted.pop()
            site.connection()

    event = stripe_event("file.created")
    assert [await site.deliver(event) for _ in range(2)] == ["failed", "handled"]
    assert "only a coroutine function can use it" in caplog.text


@pytest.mark.parametrize("kind", ["blocking", "django"])
async def test_a_blocking_database_takes_plain_functions_only(
    file: Database, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(file, kind)

    async def handle(event: Event) -> None: ...

    with pytest.raises(ConfigurationError, match="must be a plain function"):
        site.router.on(Event)(handle)
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    # Plain functions both.
    results: list[Any] = [lambda event: handle(event), lambda _: future]  # noqa: PLW0108
    for result in results:
        router = Router(Webhook(SECRET), site.store, name=str(id(result)))
        router.on(Event)(result)
        event = stripe_event("file.created")
        assert (await router.receive(event.body, event.signature)).ending == "failed"
    assert caplog.text.count("has returned an awaitable") == 2


def test_what_is_no_engine_is_refused() -> None:
    other: Any = create_mock_engine("oracle://", lambda *_: None)
    for wrong in ("postgresql://localhost", other, None):
        with pytest.raises(ConfigurationError, match="engine: must be made by create_engine"):
            SQLAlchemyStore(wrong)


def test_an_engine_of_another_database_is_refused(file: Database) -> None:
    engine = create_engine(file.url)
    engine.dialect.name = "duckdb"
    with pytest.raises(ConfigurationError, match="this is of duckdb"):
        SQLAlchemyStore(engine)


def test_a_store_is_its_engine(file: Database) -> None:
    store: Any = file.store("blocking")
    assert store == SQLAlchemyStore(file.engine) != file.store("async")
    assert len({store, SQLAlchemyStore(file.engine)}) == 1
    assert repr(store) == "SQLAlchemyStore('sqlite')"
    kept = Router(Webhook(SECRET), store)
    with pytest.raises(ConfigurationError, match="name of its own"):
        Router(Webhook(SECRET), SQLAlchemyStore(file.engine))
    assert kept.store == store


@pytest.mark.parametrize("package", ["sqlalchemy", "django"])
def test_a_package_that_is_missing_is_named(package: str) -> None:
    script = f"""
import sys
sys.modules[{package!r}] = None
from pinstripe import ConfigurationError
from pinstripe.webhooks import DjangoStore, SQLAlchemyStore

try:
    DjangoStore() if {package!r} == "django" else SQLAlchemyStore(None)
except ConfigurationError as error:
    assert "pinstripe[{package}]" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


# The tables


async def test_the_tables_are_as_migrations_make_them(postgres: Postgres, tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with Database.new(tmp_path / "app.db") as database:
        database.run("DROP TABLE effects")
        store: Any = database.store("async")
        await store.create_tables()  # they are there
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, store.metadata) == []
