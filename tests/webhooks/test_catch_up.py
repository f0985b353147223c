"""Missed events: the log is read from old to new, and each event is handled once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pinstripe
from pinstripe import ConfigurationError, DeliveryInfo, Hooks, InvalidRequestError, ServerError
from pinstripe.events import (
    Event,
    Events,
    FileCreated,
    ThinEvent,
    VerificationSessionCreated,
    VerificationSessionVerified,
)
from pinstripe.pytest_plugin import SECRET
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import (
    CatchUpReport,
    MemoryStore,
    Router,
    SQLiteStore,
    Webhook,
    delivery_of,
)
from pinstripe.webhooks._event_log import EventLog, Logged
from tests.support.catch_up_worker import fails_first, router_over
from tests.support.cli_process import environment
from tests.support.dated import DatedShelf

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loop_thread_ends")]

ROOT = Path(__file__).parent.parent.parent
NOW = datetime.now(timezone.utc)
SINCE = NOW - timedelta(days=2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "events.db")
    yield store
    store.close()


@pytest.fixture
def router(store: SQLiteStore) -> Router:
    return Router(Webhook(SECRET), store, lease=30.0)


@pytest.fixture
def taken(router: Router) -> list[str]:
    """The events that the router handles, in their order."""
    ids: list[str] = []

    @router.on(Event)
    async def take(event: Event) -> None:
        ids.append(event.id)

    return ids


# --- the order of the log -----------------------------------------------------------------------


class EventShelf(DatedShelf):
    """A log of events; some of them cannot be read."""

    unreadable: frozenset[int] = frozenset()

    def show(self, number: int) -> Any:
        data = {"object": {"id": "thing_1"}}
        type = 5 if number in self.unreadable else "a.b"
        return {**super().show(number), "object": "event", "type": type, "data": data}

    async def send(self, request: Any) -> Any:
        number = request.path.partition("/v1/events/")[2]
        if number:
            body = json.dumps(self.show(int(number[3:]))).encode()
            return pinstripe.Response(status=200, headers={}, body=body)
        return await super().send(request)


def source(shelf: EventShelf) -> Any:
    return SimpleNamespace(events=Events(shelf.send))


async def read(shelf: DatedShelf, since: int, **more: Any) -> list[Logged]:
    part: dict[str, Any] = {"until": None, "after": None, "filters": {}, **more}
    log = EventLog(Events(shelf.send), since, **part)
    return [entry async for entry in log.entries()]


@given(
    seconds=st.lists(st.integers(0, 400), max_size=350),
    since=st.integers(0, 420),
    length=st.none() | st.integers(1, 300),
)
def test_the_log_is_read_from_old_to_new_without_a_gap(
    seconds: list[int], since: int, length: int | None
) -> None:
    shelf = EventShelf(seconds)
    until = None if length is None else since + length
    found = asyncio.run(read(shelf, since, until=until))
    wanted = [
        f"it_{number}"
        for number, second in enumerate(shelf.seconds)
        if second >= since and (until is None or second < until)
    ]
    assert [entry.id for entry in found] == wanted
    # A page for each hundred events, and what finds the oldest one.
    assert len(shelf.asked) <= len(wanted) // 100 + 20


async def test_a_log_of_thirty_days_that_has_nothing_older_costs_few_requests() -> None:
    shelf = EventShelf(range(1_000_000, 1_000_000 + 30 * 86_400, 8_640))
    assert len(await read(shelf, 999_999)) == 300
    assert len(shelf.asked) < 30


async def test_an_event_that_cannot_be_read_has_its_place() -> None:
    shelf = EventShelf(range(10))
    shelf.unreadable = frozenset({4})
    found = await read(shelf, 0, after="it_1")
    assert [entry.id for entry in found] == [f"it_{number}" for number in range(2, 10)]
    (wrong,) = [entry for entry in found if entry.event is None]
    assert (wrong.id, wrong.path) == ("it_4", "$.type")


async def test_what_is_no_event_at_all_has_no_id(router: Router) -> None:
    shelf = EventShelf(range(3))
    plain = shelf.show
    shelf.show = lambda number: {**plain(number), "id": 5} if number == 1 else plain(number)  # type: ignore[method-assign]
    assert [entry.id for entry in await read(shelf, 0, after="it_0")] == [None, "it_2"]


# --- what is handled ----------------------------------------------------------------------------


async def test_what_was_not_handled_is_handled_oldest_first(
    sandbox: Sandbox, router: Router, taken: list[str]
) -> None:
    sandbox.seed("event", 12)
    reports: list[CatchUpReport] = []
    async with sandbox.client() as stripe:
        happened = [event.id async for event in stripe.events.list()][::-1]
        event = await stripe.events.retrieve(happened[3])
        body = json.dumps(pinstripe.to_dict(event)).encode()
        assert (await router.receive(body, router.webhook.sign(body))).ending == "handled"

        report = await router.catch_up(stripe, since=SINCE, on_progress=reports.append)
        assert taken == [happened[3], *happened[:3], *happened[4:]]
        assert (report.handled, report.duplicate, report.total) == (11, 1, 12)
        assert report.is_complete
        assert (report.after, report.left) == (happened[-1], ())
        assert [each.total for each in reports] == list(range(1, 13))
        assert [each.after for each in reports] == happened
        assert reports[-1] == report
        assert report.reached == max(each.reached for each in reports if each.reached)

        again = await router.catch_up(stripe, since=SINCE)
        assert (again.handled, again.duplicate) == (0, 12)
        await stripe.identity.verification_sessions.create(type="document")
        rest = await router.catch_up(stripe, after=report.after)
        assert (rest.handled, rest.total) == (1, 1)


async def test_the_part_of_the_log_that_is_read(
    sandbox: Sandbox, router: Router, taken: list[str]
) -> None:
    sandbox.seed("event", 10, interval=600)
    async with sandbox.client() as stripe:
        happened = [event async for event in stripe.events.list()][::-1]
        bounds = {"since": happened[2].created, "until": happened[5].created}
        report = await router.catch_up(stripe, **bounds)
        assert taken == [event.id for event in happened[2:5]]
        assert report.after == happened[4].id
        nothing = await router.catch_up(stripe, since=NOW + timedelta(days=1))
        assert nothing == CatchUpReport()


async def test_only_types_that_have_a_handler_are_asked_for(
    sandbox: Sandbox, router: Router
) -> None:
    sandbox.seed("identity.verification_session", 3, status="verified", events=True)
    taken: list[Event] = []

    @router.on(VerificationSessionVerified, "climate.order.created")
    async def take(event: Event) -> None:
        taken.append(event)
        # With the fields that are newer than the model, as of a delivery.
        assert json.loads(delivery_of(event).body)["id"] == event.id

    @router.on(ThinEvent, "v1.file.created")
    async def thin(event: ThinEvent) -> None: ...

    async with sandbox.client() as stripe:
        report = await router.catch_up(stripe, since=SINCE)
        assert (report.handled, report.total) == (3, 3)
        assert {type(event) for event in taken} == {VerificationSessionVerified}

        router.on(*(f"some.type{number}" for number in range(20)))(take)  # more than the API takes
        report = await router.catch_up(stripe, since=SINCE)
        assert report.duplicate == 3
        assert report.ignored == report.total - 3 > 0


async def test_an_event_that_fails_does_not_stop_the_others(
    sandbox: Sandbox, router: Router
) -> None:
    sandbox.seed("event", 6)
    failing: list[str] = []

    @router.on(Event)
    async def take(event: Event) -> None:
        if event.id in failing:
            raise ValueError("not now")

    async with sandbox.client() as stripe:
        happened = [event.id async for event in stripe.events.list()][::-1]
        failing += [happened[0], happened[3]]
        report = await router.catch_up(stripe, since=SINCE)
        assert (report.handled, report.failed, report.is_complete) == (4, 2, False)
        assert report.left == tuple(failing)
        assert report.after is None  # the first one failed: begin with `since` again

        del failing[0]
        report = await router.catch_up(stripe, since=SINCE, after=report.after)
        assert (report.handled, report.duplicate, report.failed) == (1, 4, 1)
        assert (report.left, report.after) == ((happened[3],), happened[2])

        failing.clear()
        report = await router.catch_up(stripe, after=report.after)
        assert (report.handled, report.duplicate, report.failed) == (1, 2, 0)
        assert report.after == happened[-1]


async def test_an_event_that_cannot_be_read_has_failed(
    router: Router, taken: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    shelf = EventShelf(range(4))
    shelf.unreadable = frozenset({2})
    plain = shelf.show
    shelf.show = lambda number: {**plain(number), "id": None} if number == 3 else plain(number)  # type: ignore[method-assign]

    report = await router.catch_up(source(shelf), after="it_0")
    assert (report.handled, report.failed, report.left) == (1, 2, ("it_2",))
    assert report.after == "it_1"
    assert "event it_2 of the log cannot be read, at $.type" in caplog.text


async def test_the_ids_that_are_kept_are_bounded(router: Router) -> None:
    shelf = EventShelf(range(1_100))
    shelf.unreadable = frozenset(range(1, 1_100))

    router.on(Event)(lambda _: None)
    report = await router.catch_up(source(shelf), after="it_0", concurrency=8)
    assert report.failed == 1_099
    assert report.left == tuple(f"it_{number}" for number in range(1, 1_001))


async def test_a_newer_event_makes_an_older_one_stale(store: SQLiteStore) -> None:
    router = Router(Webhook(SECRET), store, skip_older=True)
    taken: list[str] = []

    @router.on(Event)
    async def take(event: Event) -> None:
        taken.append(event.id)

    shelf = EventShelf(range(6))
    body = json.dumps(shelf.show(4)).encode()
    assert (await router.receive(body, router.webhook.sign(body))).ending == "handled"
    report = await router.catch_up(source(shelf), after="it_0")
    assert taken == ["it_4", "it_5"]
    assert (report.stale, report.duplicate, report.handled) == (3, 1, 1)
    assert (report.after, report.is_complete) == ("it_5", True)


async def test_the_account_and_the_reports_of_hooks(sandbox: Sandbox, store: SQLiteStore) -> None:
    seen: list[DeliveryInfo] = []
    router = Router(Webhook(SECRET), store, hooks=Hooks(on_delivery=seen.append))
    router.on(VerificationSessionCreated)(lambda _: None)
    sandbox.seed("event", 2, account="acct_1")
    async with sandbox.client() as stripe:
        assert (await router.catch_up(stripe, since=SINCE)).total == 0
        connected = stripe.with_options(account="acct_1")
        assert (await router.catch_up(connected, since=SINCE)).handled == 2
    assert len({info.delivery for info in seen}) == 2


async def test_only_what_was_not_delivered(
    sandbox: Sandbox, router: Router, taken: list[str]
) -> None:
    sandbox.seed("event", 3)  # there was no endpoint then, so nothing is pending
    async with sandbox.client() as stripe:
        await stripe.webhook_endpoints.create(url="http://127.0.0.1:1/", enabled_events=["*"])
        await stripe.identity.verification_sessions.create(type="document")
        report = await router.catch_up(stripe, since=SINCE, undelivered_only=True)
        assert (report.handled, report.total) == (1, 1)
        report = await router.catch_up(stripe, since=SINCE)
        assert (report.handled, report.duplicate) == (3, 1)


# --- other claims -------------------------------------------------------------------------------


async def test_the_claim_of_a_process_that_died_is_waited_for(
    sandbox: Sandbox, router: Router, store: SQLiteStore, taken: list[str]
) -> None:
    sandbox.seed("event", 3)
    async with sandbox.client() as stripe:
        happened = [event.id async for event in stripe.events.list()][::-1]
        assert await store.claim(happened[1], "dead", 0.1) == "claimed"
        report = await router.catch_up(stripe, since=SINCE)
    assert report.handled == 3
    assert taken == happened


async def test_an_event_that_stays_busy_is_left(sandbox: Sandbox, store: SQLiteStore) -> None:
    router = Router(Webhook(SECRET), store, lease=0.1)
    router.on(Event)(lambda _: None)
    sandbox.seed("event", 3)
    async with sandbox.client() as stripe:
        happened = [event.id async for event in stripe.events.list()][::-1]
        assert await store.claim(happened[1], "other", 3600) == "claimed"
        report = await router.catch_up(stripe, since=SINCE)
        assert (report.busy, report.left, report.after) == (1, (happened[1],), happened[0])
        assert report.total == 3
        assert await store.commit(happened[1], "other")
        report = await router.catch_up(stripe, after=report.after)
        assert report.is_complete


async def test_deliveries_while_it_runs(sandbox: Sandbox, router: Router, taken: list[str]) -> None:
    sandbox.seed("event", 30)
    async with sandbox.client() as stripe:
        events = [event async for event in stripe.events.list()]

        async def deliver(event: Event) -> None:
            body = json.dumps(pinstripe.to_dict(event)).encode()
            await router.receive(body, router.webhook.sign(body))

        async with anyio.create_task_group() as tasks:
            for event in events:
                tasks.start_soon(deliver, event)
            runs = [partial(router.catch_up, stripe, since=SINCE, concurrency=n) for n in (1, 5)]
            for run in runs:
                tasks.start_soon(run)
    assert Counter(taken) == dict.fromkeys((event.id for event in events), 1)


# --- the end of a run ---------------------------------------------------------------------------


async def test_a_log_that_cannot_be_read_to_its_end(
    sandbox: Sandbox, router: Router, taken: list[str]
) -> None:
    sandbox.seed("event", 250)
    reports: list[CatchUpReport] = []

    def on_progress(report: CatchUpReport) -> None:
        if not reports:  # while the second page may be on its way, and the third one is not
            sandbox.faults.add(path="/v1/events", status=503)
        reports.append(report)

    async with sandbox.client(retry=pinstripe.RetryPolicy(max_attempts=1)) as stripe:
        oldest = [event.id async for event in stripe.events.list()][-1]
        with pytest.raises(ServerError):
            await router.catch_up(stripe, after=oldest, on_progress=on_progress)
        assert reports[-1].handled == len(taken) >= 100
        sandbox.faults.clear()
        rest = await router.catch_up(stripe, after=reports[-1].after)
        assert (rest.duplicate, rest.handled) == (0, 249 - reports[-1].handled)
    assert len(set(taken)) == len(taken) == 249


async def test_what_progress_raises_ends_the_run(
    sandbox: Sandbox, router: Router, taken: list[str]
) -> None:
    sandbox.seed("event", 5)

    def stop(report: CatchUpReport) -> None:
        if report.total == 2:
            raise KeyError("enough")

    async with sandbox.client() as stripe:
        with pytest.raises(KeyError, match="enough"):
            await router.catch_up(stripe, since=SINCE, on_progress=stop)
        assert len(taken) < 5
        await router.catch_up(stripe, since=SINCE)
    assert len(taken) == len(set(taken)) == 5


async def test_a_run_that_is_cancelled_gives_its_claims_back(
    sandbox: Sandbox, router: Router
) -> None:
    sandbox.seed("event", 3)
    begun = asyncio.Event()
    taken: list[str] = []

    @router.on(Event)
    async def take(event: Event) -> None:
        if not begun.is_set():
            begun.set()
            await anyio.sleep_forever()
        taken.append(event.id)

    async with sandbox.client() as stripe:
        run = asyncio.create_task(router.catch_up(stripe, since=SINCE))
        await begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        report = await router.catch_up(stripe, since=SINCE)
    assert (report.handled, report.busy, len(taken)) == (3, 0, 3)


async def test_an_event_that_is_not_in_the_log(
    sandbox: Sandbox, router: Router, taken: list[str]
) -> None:
    async with sandbox.client() as stripe:
        with pytest.raises(InvalidRequestError, match="evt_unknown"):
            await router.catch_up(stripe, after="evt_unknown")


# --- blocking -----------------------------------------------------------------------------------


def test_a_thread_without_an_event_loop(sandbox: Sandbox, router: Router) -> None:
    sandbox.seed("event", 8)
    taken: list[str] = []
    reports: list[CatchUpReport] = []
    threads: set[threading.Thread] = set()

    @router.on(Event)
    def plain(event: Event) -> None:
        threads.add(threading.current_thread())
        taken.append(event.id)

    @router.on(Event)
    async def coroutine(event: Event) -> None:
        assert threading.current_thread() is not threading.main_thread()

    def on_progress(report: CatchUpReport) -> None:
        threads.add(threading.current_thread())
        reports.append(report)

    with sandbox.sync_client() as stripe:
        report = router.catch_up_blocking(
            stripe, since=SINCE, concurrency=4, on_progress=on_progress
        )
        assert sorted(taken) == sorted(event.id for event in stripe.events.list())
        assert router.catch_up_blocking(stripe, since=SINCE).duplicate == 8
    assert report == reports[-1]
    assert report.handled == len(reports) == 8
    assert threads == {threading.current_thread()}


def test_what_progress_raises_in_a_thread(sandbox: Sandbox, router: Router) -> None:
    sandbox.seed("event", 2)
    router.on(Event)(lambda _: None)

    def stop(_: CatchUpReport) -> None:
        raise KeyError("enough")

    with sandbox.sync_client() as stripe:
        with pytest.raises(KeyError, match="enough"):
            router.catch_up_blocking(stripe, since=SINCE, on_progress=stop)
        assert router.catch_up_blocking(stripe, since=SINCE).is_complete


# --- what is refused ----------------------------------------------------------------------------

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("since", {}),
    ("since", {"since": "2026-01-01"}),
    ("since", {"since": datetime(2026, 1, 1)}),  # noqa: DTZ001 -- naive on purpose
    ("since", {"since": NOW - timedelta(days=30, hours=1)}),
    ("until", {"since": SINCE, "until": SINCE}),
    ("until", {"since": SINCE, "until": 5}),
    ("after", {"after": ""}),
    ("after", {"after": 7}),
    ("undelivered_only", {"since": SINCE, "undelivered_only": 1}),
    ("concurrency", {"since": SINCE, "concurrency": 0}),
    ("on_progress", {"since": SINCE, "on_progress": 5}),
]


@pytest.mark.parametrize(("argument", "given"), WRONG)
async def test_an_argument_that_is_refused(
    router: Router, taken: list[str], argument: str, given: dict[str, Any]
) -> None:
    async with pinstripe.AsyncClient("sk_test_1", base_url="http://127.0.0.1:1") as stripe:
        with pytest.raises(ConfigurationError) as refused:
            await router.catch_up(stripe, **given)
        assert refused.value.argument == argument


@pytest.mark.parametrize(("argument", "given"), WRONG)
def test_an_argument_that_is_refused_in_a_thread(
    router: Router, taken: list[str], argument: str, given: dict[str, Any]
) -> None:
    with pinstripe.Client("sk_test_1", base_url="http://127.0.0.1:1") as stripe:
        with pytest.raises(ConfigurationError) as refused:
            router.catch_up_blocking(stripe, **given)
        assert refused.value.argument == argument


async def async_progress(_: CatchUpReport) -> None: ...


async def test_a_client_a_store_or_a_router_that_is_refused(
    router: Router, taken: list[str]
) -> None:
    def refused_by(call: Callable[[], object]) -> str:
        with pytest.raises(ConfigurationError) as refused:
            call()
        return refused.value.argument

    async def refused_in(router: Router, stripe: Any, **more: Any) -> str:
        with pytest.raises(ConfigurationError) as refused:
            await router.catch_up(stripe, since=SINCE, **more)
        return refused.value.argument

    memory = Router(Webhook(SECRET), MemoryStore())
    memory.on(FileCreated)(lambda _: None)
    thin = Router(Webhook(SECRET), router.store, name="thin")
    thin.on(ThinEvent)(lambda _: None)
    blocking = pinstripe.Client("sk_test_1")
    async with pinstripe.AsyncClient("sk_test_1") as stripe:
        assert await refused_in(router, blocking) == "stripe"
        assert await refused_in(router, None) == "stripe"
        assert await refused_in(memory, stripe) == "store"
        assert await refused_in(thin, stripe) == "router"
        assert await refused_in(router, stripe, on_progress=async_progress) == "on_progress"
        wrong: Any = stripe
        assert refused_by(partial(router.catch_up_blocking, wrong, since=SINCE)) == "stripe"
        in_a_loop = partial(router.catch_up_blocking, blocking, since=SINCE)
        assert refused_by(in_a_loop) == "catch_up_blocking"
    blocking.close()


# --- processes ----------------------------------------------------------------------------------


def start(sandbox: Sandbox, place: Path, log: Path, die_at: int) -> subprocess.Popen[str]:
    words = ["-W", "error", "-m", "tests.support.catch_up_worker", str(place), str(log)]
    return subprocess.Popen(
        [sys.executable, *words, str(die_at)],
        cwd=ROOT,
        env=environment(sandbox),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.uncounted
async def test_two_processes_and_a_kill_handle_each_event_once(
    sandbox: Sandbox, store: SQLiteStore, tmp_path: Path
) -> None:
    log = tmp_path / "effects"
    sandbox.seed("event", 1_000, interval=60)
    async with sandbox.client() as stripe:
        happened = [event async for event in stripe.events.list()][::-1]
        router = router_over(store, log)
        for event in happened[::3]:
            body = json.dumps(pinstripe.to_dict(event)).encode()
            await router.receive(body, router.webhook.sign(body))
        delivered = len(log.read_text().split())

        place = tmp_path / "events.db"
        with start(sandbox, place, log, die_at=100) as dying:
            assert dying.stdout is not None
            assert dying.stdout.readline() == "began\n"
            with start(sandbox, place, log, die_at=0) as living:
                told, _ = living.communicate(timeout=600)
            assert (dying.wait(600), living.returncode) == (-9, 0)
        handled, duplicate, busy, failed = json.loads(told.splitlines()[-1])
        assert (handled + duplicate + failed, busy) == (1_000, 0)
        # Left are those that failed in either process, for the first time.
        missing = {event.id for event in happened} - set(log.read_text().split())
        assert failed <= len(missing)
        assert all(map(fails_first, missing))

        last = await router.catch_up(stripe, since=SINCE)
        assert last.is_complete
        assert last.handled == len(missing)
    assert delivered > 250
    effects = Counter(log.read_text().split())
    assert effects == dict.fromkeys((event.id for event in happened), 1)
