"""The router: who is called, how a delivery is answered, and that each event is handled once."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from pinstripe import (
    ConfigurationError,
    DecodeError,
    DeliveryInfo,
    HandledInfo,
    HandlerInfo,
    Hooks,
    ReceiptInfo,
    SignatureError,
)
from pinstripe.events import (
    Event,
    FileCreated,
    OrderCanceled,
    OrderCreated,
    ThinEvent,
    VerificationSessionVerified,
)
from pinstripe.pytest_plugin import SECRET, SignedEvent, StripeEvent
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import (
    MemoryStore,
    Receipt,
    RedisStore,
    Router,
    SQLiteStore,
    Store,
    Webhook,
)
from pinstripe.webhooks._router import _run_at_once
from tests.support import virtual

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loop_thread_ends")]

CANARY = "canary-51c0"
VERIFIED = "identity.verification_session.verified"

stripe_event = StripeEvent()


class Time:
    """A clock that moves only when a test sets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def router(time: Time) -> Router:
    return Router(Webhook(SECRET), MemoryStore(clock=time), lease=30.0)


async def deliver(router: Router, event: SignedEvent) -> Receipt:
    return await router.receive(event.body, event.signature)


def endings(receipts: list[Receipt]) -> list[str]:
    return [receipt.ending for receipt in receipts]


# Who is called


async def test_handlers_get_the_events_of_their_classes(router: Router) -> None:
    called: list[tuple[str, str]] = []

    @router.on(VerificationSessionVerified)
    async def verified(event: VerificationSessionVerified) -> None:
        called.append(("verified", event.data.object.id))

    @router.on(OrderCreated, OrderCanceled)
    def order(event: OrderCreated | OrderCanceled) -> None:
        called.append(("order", event.data.object.id))

    @router.on(Event)
    async def every(event: Event) -> None:
        called.append(("every", event.type))

    @router.on(ThinEvent)
    async def thin(event: ThinEvent) -> None:
        called.append(("thin", event.type))

    for type in (VERIFIED, "climate.order.canceled", "charge.succeeded"):
        plain = {"id": "x_1", "object": "charge"} if type.startswith("charge") else None
        event = stripe_event(type, object=plain, id="x_1")
        receipt = await deliver(router, event)
        assert (receipt.ending, receipt.status, receipt.text) == ("handled", 200, "handled")
        assert receipt.event is not None
        assert receipt.event.id == event.id
    body = (
        b'{"id": "evt_t", "object": "v2.core.event", "type": "v1.file.created",'
        b' "created": "2026-09-27T12:08:01.250Z", "livemode": false}'
    )
    assert (await router.receive(body, router.webhook.sign(body))).ending == "handled"
    assert called == [
        ("verified", "x_1"),
        ("every", VERIFIED),
        ("order", "x_1"),
        ("every", "climate.order.canceled"),
        ("every", "charge.succeeded"),
        ("thin", "v1.file.created"),
    ]


async def test_plain_functions_run_in_a_thread_and_coroutine_functions_in_the_loop(
    router: Router,
) -> None:
    threads: dict[str, int] = {}

    def note(name: str, event: Event) -> None:
        threads[name] = threading.get_ident()

    async def note_async(name: str, event: Event) -> None:
        note(name, event)

    class Callable:
        async def __call__(self, event: Event) -> None:
            note("object", event)

    @wraps(note_async)
    def returns_awaitable(event: Event) -> Any:
        note("called", event)
        return note_async("awaited", event)

    router.on(Event)(partial(note, "plain"))
    router.on(Event)(partial(note_async, "async"))
    router.on(Event)(Callable())
    router.on(Event)(returns_awaitable)
    assert (await deliver(router, stripe_event(VERIFIED))).ending == "handled"
    here = threading.get_ident()
    assert {name for name, thread in threads.items() if thread == here} == {
        *("async", "object", "awaited")
    }
    assert {*threads} == {"plain", "async", "object", "called", "awaited"}


async def test_what_no_handler_wants_is_taken_and_not_remembered(router: Router) -> None:
    event = stripe_event(VERIFIED)
    receipt = await deliver(router, event)
    assert (receipt.ending, receipt.status) == ("ignored", 200)
    router.on(Event)(lambda _: None)
    assert (await deliver(router, event)).ending == "handled"


async def test_dispatch_runs_the_handlers_and_raises_what_they_raise(router: Router) -> None:
    called: list[str] = []

    @router.on(Event)
    async def first(event: Event) -> None:
        called.append("first")
        raise ValueError(event.id)

    @router.on(Event)
    async def second(event: Event) -> None:
        called.append("second")

    delivered = stripe_event(VERIFIED)
    event = router.webhook.parse(delivered.body, delivered.signature)
    for _ in range(2):
        with pytest.raises(ValueError, match=event.id):
            await router.dispatch(event)
    assert called == ["first", "first"]


async def test_a_handler_may_be_for_any_type_by_its_name(router: Router) -> None:
    called: list[tuple[str, str]] = []

    @router.on("payment_intent.succeeded", VERIFIED)
    async def by_name(event: Event) -> None:
        called.append(("name", event.type))

    @router.on("v1.file.created")
    def thin(event: ThinEvent) -> None:
        called.append(("thin", event.type))

    intent = {"id": "pi_1", "object": "payment_intent"}
    for type, object in (
        ("payment_intent.succeeded", intent),
        (VERIFIED, None),
        ("payment_intent.created", intent),
    ):
        await deliver(router, stripe_event(type, object=object))
    body = json.dumps(THIN).encode()
    await router.receive(body, router.webhook.sign(body))
    assert called == [
        ("name", "payment_intent.succeeded"),
        ("name", VERIFIED),
        ("thin", "v1.file.created"),
    ]


THIN: dict[str, Any] = {
    "id": "evt_t",
    "object": "v2.core.event",
    "type": "v1.file.created",
    "created": "2026-09-27T12:08:01.250Z",
}


# Events whose object does not fit


def misfits() -> list[tuple[SignedEvent, str]]:
    """Deliveries of verified sessions that fit no session, and where they do not."""
    session = stripe_event(VERIFIED, metadata={"user": CANARY}).data["object"]
    without = {name: value for name, value in session.items() if name != "livemode"}
    unnamed = {name: value for name, value in session.items() if name != "object"}
    order = stripe_event("climate.order.created").data["object"]
    return [
        (stripe_event(VERIFIED, object=session, metadata=None), "$.data.object.metadata"),
        (stripe_event(VERIFIED, object=without), "$.data.object"),
        (stripe_event(VERIFIED, object=unnamed), "$.data.object.object"),
        (stripe_event(VERIFIED, object=order), "$.data.object.object"),
    ]


@pytest.mark.parametrize("kind", [VerificationSessionVerified, VERIFIED])
@pytest.mark.parametrize("number", range(4))
async def test_an_event_that_does_not_fit_its_handler_is_refused(
    router: Router, caplog: pytest.LogCaptureFixture, kind: Any, number: int
) -> None:
    event, path = misfits()[number]
    router.on(Event)(lambda _: pytest.fail("was called"))
    router.on(kind)(lambda _: pytest.fail("was called"))
    for _ in range(2):
        receipt = await deliver(router, event)
        assert (receipt.ending, receipt.status) == ("failed", 500)
        assert isinstance(receipt.error, DecodeError)
        assert receipt.error.path.startswith(path)
        assert receipt.text == receipt.error.message
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert f"{event.id} ({VERIFIED})" in record.message
        assert record.message.endswith(path)
        assert CANARY not in caplog.text + receipt.text
        caplog.clear()
    assert receipt.event is not None
    with pytest.raises(DecodeError) as caught:
        await router.dispatch(receipt.event)
    assert caught.value.path.startswith(path)


@pytest.mark.parametrize("number", range(4))
async def test_an_event_that_does_not_fit_is_handed_over_plain_where_asked_for(number: int) -> None:
    event, path = misfits()[number]
    router = Router(Webhook(SECRET), allow_plain=True)
    called: list[Any] = []

    @router.on(VerificationSessionVerified)
    def verified(event: Event) -> None:
        called.append(event)

    @router.on(OrderCreated)
    def order(event: Event) -> None:
        pytest.fail(path)

    @router.on(Event)
    async def every(event: Event) -> None:
        called.append(event)

    assert (await deliver(router, event)).ending == "handled"
    assert [type(event) for event in called] == [Event, Event]


async def test_handlers_of_every_event_get_one_that_does_not_fit(router: Router) -> None:
    called: list[str] = []
    router.on(OrderCreated)(lambda _: None)
    router.on(Event)(lambda event: called.append(event.id))
    for event, _ in misfits():
        assert (await deliver(router, event)).ending == "handled"
        assert called.pop() == event.id


# Routers that share a store


async def test_each_router_of_a_store_handles_an_event_under_its_name() -> None:
    store, runs = MemoryStore(), Counter[str]()
    secrets = {"": SECRET, "b": "whsec_b", "a:b": "whsec_ab"}
    routers = [Router(Webhook(key), store, name=name) for name, key in secrets.items()]
    for router in routers:
        router.on(Event)(lambda _, router=router: runs.update([router.name]))
    event = stripe_event("file.created")
    for ending in ("handled", "duplicate"):
        for router in routers:
            signed = router.webhook.sign(event.body)
            assert (await router.receive(event.body, signed)).ending == ending
    assert runs == dict.fromkeys(secrets, 1)


async def test_the_newest_event_of_an_object_is_of_one_name() -> None:
    store = MemoryStore()
    routers = [Router(Webhook(SECRET), store, name=name, skip_older=True) for name in ("a", "b")]
    events = [
        stripe_event("file.created", id="file_1", event={"created": 100 - age}) for age in range(2)
    ]
    for router in routers:
        router.on(Event)(lambda _: None)
        assert endings([await deliver(router, event) for event in events]) == ["handled", "stale"]


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
@pytest.mark.parametrize("name", ["", "orders"])
def test_two_routers_with_one_store_and_name_are_refused(
    kind: str, name: str, tmp_path: Path
) -> None:
    def open() -> Store:
        if kind == "redis":
            return RedisStore(f"unix://{tmp_path}/none")
        return memory if kind == "memory" else SQLiteStore(tmp_path / "x" / ".." / "once.db")

    memory = MemoryStore()
    first: Any = Router(Webhook(SECRET), open(), name=name)
    first.on(Event)(first.dispatch)  # a circle, as handlers often make
    with pytest.raises(ConfigurationError, match="name of its own") as caught:
        Router(Webhook("whsec_other"), open(), name=name)
    assert caught.value.argument == "name"
    second = Router(Webhook("whsec_other"), open(), name="other")
    assert len({first.store, second.store}) == 1
    assert Router(Webhook(SECRET), MemoryStore(), name=name).store != first.store
    del first, caught
    Router(Webhook(SECRET), open(), name=name)


@pytest.mark.parametrize(
    "kinds",
    [(), (int,), (Event, 5), (Event | ThinEvent,), ("file.*",), ("",), ("file created",)],
)
def test_kinds_that_are_no_classes_of_events(router: Router, kinds: Any) -> None:
    with pytest.raises(ConfigurationError, match="kinds"):
        router.on(*kinds)


def test_arguments_that_are_wrong(router: Router) -> None:
    with pytest.raises(ConfigurationError, match="handler"):
        router.on(Event)(None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="webhook"):
        Router(SECRET)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="store"):
        Router(Webhook(SECRET), "events.db")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="name"):
        Router(Webhook(SECRET), name=5)  # type: ignore[arg-type]
    for lease in (0, -1, True, "5", float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match="lease"):
            Router(Webhook(SECRET), lease=lease)  # type: ignore[arg-type]


# How a delivery is answered


async def test_what_is_refused(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    router.on(Event)(lambda _: pytest.fail("was called"))
    event = stripe_event(VERIFIED, metadata={"user": CANARY})
    large = b" " * (router.webhook.max_bytes + 1)
    cases = [
        (event.body, None, 400),
        (event.body, "nonsense", 400),
        (event.body + b" ", event.signature, 400),
        (b"[]", router.webhook.sign(b"[]"), 400),
        (large, event.signature, 413),
    ]
    for body, signature, status in cases:
        receipt = await router.receive(body, signature)
        assert (receipt.status, receipt.event) == (status, None)
        assert receipt.ending == ("too_large" if status == 413 else "invalid")
        assert receipt.error is not None
        assert receipt.text == receipt.error.message
        assert receipt.error.__traceback__ is None
        assert CANARY not in f"{receipt} {receipt.text}"
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("pinstripe.webhooks", logging.WARNING)
        assert receipt.text in record.message
        assert CANARY not in caplog.text
        caplog.clear()
    assert isinstance((await router.receive(event.body, "")).error, SignatureError)
    with pytest.raises(ConfigurationError, match="raw bytes"):
        await router.receive(event.body.decode(), event.signature)  # type: ignore[arg-type]


@pytest.mark.parametrize("plain", [True, False])
async def test_a_handler_that_fails_is_reported_and_run_again(
    router: Router, plain: bool, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[str] = []

    def fail_once(event: VerificationSessionVerified) -> None:
        runs.append(event.data.object.metadata["user"])
        if len(runs) == 1:
            raise ZeroDivisionError

    async def fail_once_async(event: VerificationSessionVerified) -> None:
        fail_once(event)

    router.on(VerificationSessionVerified)(fail_once if plain else fail_once_async)
    event = stripe_event(VERIFIED, metadata={"user": CANARY})
    receipt = await deliver(router, event)
    assert (receipt.ending, receipt.status, receipt.text) == ("failed", 500, "failed")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("pinstripe.webhooks", logging.ERROR)
    assert event.id in record.message
    assert "ZeroDivisionError" in caplog.text
    assert "fail_once" in caplog.text
    assert CANARY not in caplog.text + str(receipt)
    again = [await deliver(router, event) for _ in range(2)]
    assert endings(again) == ["handled", "duplicate"]
    assert len(runs) == 2


async def test_the_handlers_of_an_event_are_one_unit(router: Router) -> None:
    runs: Counter[str] = Counter()

    @router.on(Event)
    async def first(event: Event) -> None:
        runs["first"] += 1

    @router.on(Event)
    async def second(event: Event) -> None:
        runs["second"] += 1
        assert runs["second"] > 1

    @router.on(Event)
    async def third(event: Event) -> None:
        runs["third"] += 1

    event = stripe_event(VERIFIED)
    receipts = [await deliver(router, event) for _ in range(3)]
    assert endings(receipts) == ["failed", "handled", "duplicate"]
    assert runs == {"first": 2, "second": 2, "third": 1}


# Once


async def test_a_delivery_is_not_kept_waiting_for_another_one(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    started, finish = anyio.Event(), anyio.Event()

    @router.on(Event)
    async def wait(event: Event) -> None:
        started.set()
        await finish.wait()

    event = stripe_event(VERIFIED)
    running = asyncio.create_task(deliver(router, event))
    await started.wait()
    receipt = await deliver(router, event)
    assert (receipt.ending, receipt.status) == ("busy", 409)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert event.id in record.message
    finish.set()
    assert (await running).ending == "handled"
    assert (await deliver(router, event)).ending == "duplicate"


async def test_a_delivery_that_is_cancelled_may_be_made_again_at_once(router: Router) -> None:
    started = anyio.Event()
    runs: list[str] = []

    @router.on(Event)
    async def hang(event: Event) -> None:
        runs.append(event.id)
        started.set()
        if len(runs) == 1:
            await anyio.sleep_forever()

    event = stripe_event(VERIFIED)
    running = asyncio.create_task(deliver(router, event))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await deliver(router, event)).ending == "handled"
    assert runs == [event.id] * 2


class Slow(MemoryStore):
    """A store that does one of its steps at once, and answers when a test lets it."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step
        self.done, self.answer = anyio.Event(), anyio.Event()

    async def _pause(self, step: str, *, before: bool) -> None:
        # A commit waits before it is done, as if it were still on its way.
        if step == self._step and before == (step == "commit"):
            self.done.set()
            await self.answer.wait()

    async def claim(self, id: str, token: str, lease: float) -> Any:
        claimed = await super().claim(id, token, lease)
        await self._pause("claim", before=False)
        return claimed

    async def commit(self, id: str, token: str) -> bool:
        await self._pause("commit", before=True)
        return await super().commit(id, token)


@pytest.mark.parametrize(("step", "later"), [("claim", "handled"), ("commit", "duplicate")])
@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_delivery_that_is_cancelled_loses_no_step_of_the_store(
    step: str, later: str, cancels: int
) -> None:
    store = Slow(step)
    router = Router(Webhook(SECRET), store)
    router.on(Event)(lambda _: None)
    event = stripe_event(VERIFIED)
    running = asyncio.create_task(deliver(router, event))
    await store.done.wait()
    for _ in range(cancels):
        running.cancel()
        await asyncio.sleep(0)
    store.answer.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await deliver(router, event)).ending == later


class Deaf(MemoryStore):
    """A store whose answer to the first claim is lost on the way."""

    lost = False

    async def claim(self, id: str, token: str, lease: float) -> Any:
        claimed = await super().claim(id, token, lease)
        if not self.lost:
            self.lost = True
            raise ConnectionResetError
        return claimed


async def test_a_claim_whose_answer_was_lost_is_given_back() -> None:
    router = Router(Webhook(SECRET), Deaf())
    router.on(Event)(lambda _: None)
    event = stripe_event(VERIFIED)
    assert endings([await deliver(router, event) for _ in range(2)]) == ["failed", "handled"]


async def test_a_coroutine_function_ends_with_its_lease(caplog: pytest.LogCaptureFixture) -> None:
    router = Router(Webhook(SECRET), lease=0.01)

    @router.on(Event)
    async def hang(event: Event) -> None:
        await anyio.sleep_forever()

    assert (await deliver(router, stripe_event(VERIFIED))).ending == "failed"
    assert "TimeoutError" in caplog.text


async def test_what_a_plain_function_returns_ends_with_the_lease_too() -> None:
    router = Router(Webhook(SECRET), lease=0.01)
    router.on(Event)(lambda _: anyio.sleep_forever())
    assert (await deliver(router, stripe_event("file.created"))).ending == "failed"


async def test_a_lease_that_ended_is_logged(
    router: Router, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    @router.on(Event)
    async def slow(event: Event) -> None:
        time.now += 31

    event = stripe_event(VERIFIED)
    receipts = [await deliver(router, event) for _ in range(2)]
    assert endings(receipts) == ["handled", "handled"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert event.id in caplog.text


class Broken(MemoryStore):
    """A store of which one method fails."""

    def __init__(self, method: str) -> None:
        super().__init__()
        setattr(self, method, self._fail)

    async def _fail(self, *arguments: Any) -> Any:
        raise OSError(28, "no space left")


@pytest.mark.parametrize(
    ("method", "fails", "ending", "later"),
    [
        ("claim", False, "failed", "failed"),
        ("commit", False, "handled", "busy"),
        ("release", True, "failed", "busy"),
        ("last_handled", False, "failed", "failed"),
        ("record_handled", False, "handled", "busy"),
    ],
)
async def test_a_store_that_fails(
    caplog: pytest.LogCaptureFixture, method: str, fails: bool, ending: str, later: str
) -> None:
    router = Router(Webhook(SECRET), Broken(method), skip_older=True)
    runs: list[str] = []

    @router.on(Event)
    async def handle(event: Event) -> None:
        runs.append(event.id)
        assert not fails

    event = stripe_event(VERIFIED)
    receipts = [await deliver(router, event) for _ in range(2)]
    assert endings(receipts) == [ending, later]
    assert "no space left" in caplog.text
    assert len(runs) == (0 if method in ("claim", "last_handled") else 1)


# The lease


class Late(MemoryStore):
    """A store that makes a claim at once, and answers late."""

    def __init__(self, seconds: float) -> None:
        super().__init__(clock=virtual.now)
        self._seconds = seconds

    async def claim(self, id: str, token: str, lease: float) -> Any:
        claimed = await super().claim(id, token, lease)
        await anyio.sleep(self._seconds)
        return claimed


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (0, ["start 0", "end 4", "handled", "duplicate"]),
        (2, ["start 2", "cancelled 5", "failed", "start 8", "cancelled 11", "failed"]),
        (6, ["failed", "failed"]),
    ],
)
def test_the_lease_counts_from_before_the_claim(late: float, expected: list[str]) -> None:
    # Else the handlers of the first delivery would run until second six or later, while the claim
    # ends at second five, and those of the second delivery begin.
    log: list[str] = []

    async def main() -> None:
        router = Router(Webhook(SECRET), Late(late), lease=5)

        @router.on(Event)
        async def handle(event: Event) -> None:
            log.append(f"start {virtual.now():g}")
            try:
                await anyio.sleep(4)
                log.append(f"end {virtual.now():g}")
            except asyncio.CancelledError:
                log.append(f"cancelled {virtual.now():g}")
                raise

        async def deliver_at(second: float) -> None:
            await anyio.sleep(second)
            log.append((await deliver(router, event)).ending)

        event = stripe_event(VERIFIED)
        await asyncio.gather(deliver_at(0), deliver_at(6))

    virtual.run(main())
    assert log == expected


class Sleeper:
    """A handler that sleeps, and notes when it was cancelled."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = seconds
        self.notes: list[str] = []

    async def __call__(self, event: Event) -> None:
        for seconds in self._seconds:
            try:
                await anyio.sleep(seconds)
            except asyncio.CancelledError:  # noqa: PERF203 -- it goes on
                self.notes.append(f"cancelled {virtual.now():g}")
        self.notes.append(f"end {virtual.now():g}")


def test_a_handler_that_goes_on_is_cancelled_again_each_second() -> None:
    stubborn, tidy = Sleeper(100, 0.5, 100, 100), Sleeper(100, 0.5)

    async def main() -> list[str]:
        receipts = []
        for sleeper in (stubborn, tidy):
            router = Router(Webhook(SECRET), MemoryStore(clock=virtual.now), lease=5)
            router.on(Event)(sleeper)
            receipts.append(await deliver(router, stripe_event(VERIFIED)))
        return endings(receipts)

    # They were called until their end, however late: the effects are there.
    assert virtual.run(main()) == ["handled", "handled"]
    assert stubborn.notes == ["cancelled 5", "cancelled 6", "cancelled 7", "end 7"]
    assert tidy.notes == ["cancelled 12", "end 12.5"]


def test_each_lease_of_a_loop_ends_in_its_own_time() -> None:
    sleepers = {lease: Sleeper(100) for lease in (50, 5, 20)}
    short = Sleeper(1)

    async def main() -> None:
        routers = {lease: Router(Webhook(SECRET), lease=lease) for lease in sleepers}
        for lease, router in routers.items():
            router.on(Event)(sleepers[lease])
        other = Router(Webhook(SECRET), lease=5)
        other.on(Event)(short)
        all_routers = (*routers.values(), other)
        await asyncio.gather(*(deliver(one, stripe_event(VERIFIED)) for one in all_routers))

    virtual.run(main())
    assert [sleeper.notes[0] for sleeper in sleepers.values()] == [
        "cancelled 50",
        "cancelled 5",
        "cancelled 20",
    ]
    assert short.notes == ["end 1"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a task does not count cancellations")
async def test_a_cancellation_goes_on_that_comes_with_the_end_of_the_lease() -> None:
    router = Router(Webhook(SECRET), lease=0.01)
    cancelled = 0

    @router.on(Event)
    async def handle(event: Event) -> None:
        nonlocal cancelled
        try:
            await anyio.sleep_forever()
        finally:
            cancelled = running.cancelling()
            running.cancel()
            await anyio.sleep_forever()

    running = asyncio.create_task(deliver(router, stripe_event(VERIFIED)))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (cancelled, running.cancelling()) == (1, 1)


# The order of events


async def test_an_older_event_of_an_object_is_skipped_where_asked_for() -> None:
    router = Router(Webhook(SECRET), skip_older=True)
    seen: list[str] = []

    @router.on(Event)
    async def handle(event: Event) -> None:
        seen.append(event.id)

    def event_of(object: Any, created: int) -> SignedEvent:
        fields = {"id": f"evt_{object}_{created}", "created": created}
        return stripe_event("climate.order.created", id=object, event=fields)

    events = [
        event_of("climorder_1", 20),
        event_of("climorder_1", 10),
        event_of("climorder_2", 10),
        event_of("climorder_1", 20),
        event_of("climorder_1", 30),
        event_of(None, 5),
        event_of(None, 4),
    ]
    receipts = [await deliver(router, event) for event in events]
    assert endings(receipts) == ["handled", "stale", "handled", "duplicate"] + ["handled"] * 3
    assert receipts[1].status == 200
    assert seen == [
        *("evt_climorder_1_20", "evt_climorder_2_10", "evt_climorder_1_30"),
        *("evt_None_5", "evt_None_4"),
    ]
    assert (await deliver(router, events[1])).ending == "duplicate"


async def test_the_order_of_thin_events() -> None:
    router = Router(Webhook(SECRET), skip_older=True)
    router.on(ThinEvent)(lambda _: None)

    async def deliver_thin(id: str, second: int, related: Any) -> str:
        event = {
            "id": id,
            "object": "v2.core.event",
            "type": "v1.file.created",
            "created": f"2026-09-27T12:08:0{second}.250Z",
            "livemode": False,
            "related_object": related,
        }
        body = json.dumps(event).encode()
        return (await router.receive(body, router.webhook.sign(body))).ending

    file = {"id": "file_1", "type": "file", "url": "/v1/files/file_1"}
    assert await deliver_thin("evt_1", 2, file) == "handled"
    assert await deliver_thin("evt_2", 1, file) == "stale"
    assert await deliver_thin("evt_3", 1, None) == "handled"


# Where no event loop runs


def test_a_blocking_delivery_runs_plain_functions_in_its_thread(router: Router) -> None:
    threads: list[int] = []

    @router.on(FileCreated)
    def plain(event: FileCreated) -> None:
        threads.append(threading.get_ident())

    @router.on(Event)
    async def other(event: Event) -> None:
        await checkpoint()
        threads.append(threading.get_ident())

    @router.on(Event)
    def last(event: Event) -> None:
        threads.append(threading.get_ident())

    event = stripe_event("file.created")
    receipts = [router.receive_blocking(event.body, event.signature) for _ in range(2)]
    assert endings(receipts) == ["handled", "duplicate"]
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [True, False, True]


def test_plain_functions_alone_need_no_other_thread(router: Router) -> None:
    threads: list[int] = []

    @router.on(Event)
    def plain(event: Event) -> None:
        threads.append(threading.get_ident())

    event = stripe_event("file.created")
    receipts = [router.receive_blocking(event.body, event.signature) for _ in range(2)]
    receipts.append(router.receive_blocking(b"{}", event.signature))
    assert endings(receipts) == ["handled", "duplicate", "invalid"]
    assert threads == [threading.get_ident()]
    assert router._thread is None


def test_what_waits_does_not_end_at_once() -> None:
    with pytest.raises(RuntimeError, match="a step waited"):
        _run_at_once(asyncio.sleep(0))


def test_what_a_plain_function_returns_is_awaited_on_the_loop_thread() -> None:
    router = Router(Webhook(SECRET), lease=0.05)
    waits: list[Callable[[], Any]] = [checkpoint, anyio.sleep_forever]
    threads: list[int] = []

    async def work() -> None:
        threads.append(threading.get_ident())
        await waits.pop(0)()

    @router.on(Event)
    def plain(event: Event) -> object:
        return work()

    for ending in ("handled", "failed"):
        event = stripe_event("file.created")
        assert router.receive_blocking(event.body, event.signature).ending == ending
    assert threading.get_ident() not in threads
    assert len(threads) == 2


@pytest.mark.parametrize("in_loop", [False, True])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_no_frame_of_an_interrupted_delivery_shows_its_body(
    router: Router, kind: type[BaseException], in_loop: bool
) -> None:
    def interrupt() -> None:
        raise kind("why")

    async def interrupt_later() -> None:
        interrupt()

    @router.on(Event)
    def handle(event: Event) -> object:
        return interrupt_later() if in_loop else interrupt()

    event = stripe_event("file.created", event={"account": CANARY})
    with pytest.raises(kind, match="why") as caught:
        router.receive_blocking(event.body, event.signature)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename != __file__]
    assert CANARY not in str([(frame.line, frame.locals) for frame in frames])
    assert SECRET not in str([frame.locals for frame in frames])


def test_blocking_deliveries_share_the_loop_of_the_blocking_clients(router: Router) -> None:
    loops: list[object] = []

    @router.on(Event)
    async def handle(event: Event) -> None:
        loops.append(asyncio.get_running_loop())

    with Sandbox() as sandbox, sandbox.sync_client() as stripe:
        stripe.request("GET", "/v1/events")
        for _ in range(2):
            event = stripe_event("file.created")
            assert router.receive_blocking(event.body, event.signature).ending == "handled"
        assert stripe._bridge._thread is not None
        assert all(stripe._bridge._thread.owns(loop) for loop in loops)
    assert len(loops) == 2


class LeavingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.left = 0

    async def close_for_loop(self) -> None:
        self.left += 1


def test_the_store_leaves_the_loop_thread_when_that_ends() -> None:
    store = LeavingStore()
    router = Router(Webhook(SECRET), store)
    router.on(Event)(lambda _: None)
    for _ in range(2):
        for _ in range(2):
            event = stripe_event("file.created")
            assert router.receive_blocking(event.body, event.signature).ending == "handled"
        thread = router._thread
        assert thread is not None
        thread.stop()
    assert store.left == 2


# A delivery to the first needs no event loop, and one to the other may.
STORES = pytest.mark.parametrize("store", [MemoryStore, LeavingStore])


@STORES
@pytest.mark.parametrize("error", [ValueError(CANARY), StopIteration(), TimeoutError()])
def test_a_plain_function_that_fails_refuses_a_blocking_delivery(
    store: Callable[[], Store], error: Exception
) -> None:
    router = Router(Webhook(SECRET), store())
    failures = [error]

    @router.on(Event)
    def handle(event: Event) -> None:
        if failures:
            raise failures.pop()

    event = stripe_event("file.created")
    receipts = [router.receive_blocking(event.body, event.signature) for _ in range(3)]
    assert endings(receipts) == ["failed", "handled", "duplicate"]


@STORES
def test_what_interrupts_a_blocking_delivery_gives_its_claim_back(
    store: Callable[[], Store],
) -> None:
    router = Router(Webhook(SECRET), store())
    interrupts: list[BaseException] = [KeyboardInterrupt(), SystemExit(3)]

    @router.on(Event)
    def handle(event: Event) -> None:
        if interrupts:
            raise interrupts.pop()

    event = stripe_event("file.created")
    for kind in (SystemExit, KeyboardInterrupt):
        with pytest.raises(kind):
            router.receive_blocking(event.body, event.signature)
    assert router.receive_blocking(event.body, event.signature).ending == "handled"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_of_a_coroutine_function_goes_to_who_waits(
    router: Router, kind: type[BaseException]
) -> None:
    loops: list[object] = []

    @router.on(Event)
    async def handle(event: Event) -> None:
        loops.append(asyncio.get_running_loop())
        if len(loops) == 1:
            raise kind("why")

    event = stripe_event("file.created")
    with pytest.raises(kind, match="why"):
        router.receive_blocking(event.body, event.signature)
    assert router.receive_blocking(event.body, event.signature).ending == "handled"
    assert loops[0] is loops[1]


@pytest.mark.usefixtures("sigint_reaches_us")
@pytest.mark.parametrize("wrapped", [False, True])
def test_ctrl_c_while_a_coroutine_function_runs_gives_the_claim_back(
    router: Router, wrapped: bool
) -> None:
    calls: list[str] = []

    async def handle(event: Event) -> None:
        calls.append(event.id)
        if len(calls) == 1:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await anyio.sleep_forever()

    def plain(event: Event) -> object:
        return handle(event)

    router.on(Event)(plain if wrapped else handle)
    event = stripe_event("file.created")
    with pytest.raises(KeyboardInterrupt):
        router.receive_blocking(event.body, event.signature)
    assert router.receive_blocking(event.body, event.signature).ending == "handled"


def test_a_plain_function_that_outlasts_its_lease_is_ended_first(time: Time) -> None:
    router = Router(Webhook(SECRET), MemoryStore(clock=time), lease=0.01)
    ended: list[bool] = []

    @router.on(Event)
    def handle(event: Event) -> None:
        assert not threading.Event().wait(0.1)
        ended.append(True)

    @router.on(Event)
    async def after(event: Event) -> None:
        ended.append(False)

    event = stripe_event("file.created")
    assert router.receive_blocking(event.body, event.signature).ending == "failed"
    assert ended == [True]


def test_blocking_deliveries_from_many_threads(router: Router) -> None:
    inside, go_on = threading.Event(), threading.Event()
    runs: list[str] = []

    @router.on(Event)
    def handle(event: Event) -> None:
        runs.append(event.id)
        inside.set()
        assert go_on.wait(30)

    event = stripe_event("file.created")
    receipts: list[Receipt] = []

    def deliver_blocking() -> None:
        receipts.append(router.receive_blocking(event.body, event.signature))

    first = threading.Thread(target=deliver_blocking)
    first.start()
    assert inside.wait(30)
    others = [threading.Thread(target=deliver_blocking) for _ in range(4)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    go_on.set()
    first.join()
    assert sorted(endings(receipts)) == ["busy"] * 4 + ["handled"]
    assert runs == [event.id]


async def test_a_blocking_delivery_is_refused_where_a_loop_runs(router: Router) -> None:
    with pytest.raises(ConfigurationError, match="await Router"):
        router.receive_blocking(b"", "")


# Everything together


async def settle(
    deliver_one: Callable[[SignedEvent], Any], deliveries: list[SignedEvent], tasks: int
) -> Counter[int]:
    """Deliver as Stripe does, again until there is a success; return how often each status came."""
    statuses: Counter[int] = Counter()
    waiting = list(deliveries)

    async def work() -> None:
        while waiting:
            event = waiting.pop()
            receipt = await deliver_one(event)
            statuses[receipt.status] += 1
            if receipt.status != 200:
                waiting.insert(0, event)
                await checkpoint()  # nothing else lets the other tasks go on

    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(work)
    return statuses


@pytest.mark.uncounted
async def test_a_thousand_events_delivered_five_times_in_disorder(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    draw = random.Random(7)
    handled: Counter[str] = Counter()
    crashes = 0

    @router.on(Event)
    async def handle(event: Event) -> None:
        nonlocal crashes
        await checkpoint()
        if draw.random() < 0.1:
            crashes += 1
            raise RuntimeError
        await checkpoint()
        handled[event.id] += 1

    events = [stripe_event("file.created") for _ in range(1000)]
    deliveries = events * 5
    draw.shuffle(deliveries)
    caplog.set_level(logging.CRITICAL, "pinstripe.webhooks")
    statuses = await settle(partial(deliver, router), deliveries, 16)
    assert handled == {event.id: 1 for event in events}
    assert statuses[200] == 5000
    assert statuses[500] == crashes > 50
    assert isinstance(router.store, MemoryStore)
    assert len(router.store) == 1000


# What hooks get


async def test_hooks_get_every_step_of_a_delivery() -> None:
    notes: list[Any] = []
    names = ("on_delivery", "on_receipt", "on_handler", "on_handled")
    router = Router(Webhook(SECRET), hooks=Hooks(**dict.fromkeys(names, notes.append)))
    event = stripe_event(VERIFIED)

    @router.on(VERIFIED)
    async def first(event: Event) -> None:
        """The first one."""

    async def second(number: int, event: Event) -> None:
        raise ValueError(CANARY)

    router.on(VERIFIED)(partial(second, 5))
    await deliver(router, event)
    await router.receive(event.body, None)
    number = notes[0].delivery
    id = json.loads(event.body)["id"]
    facts: dict[str, Any] = {"delivery": number, "event_id": id, "event_type": VERIFIED}
    where = f"{__name__}.test_hooks_get_every_step_of_a_delivery.<locals>"
    of = [{**facts, "handler": f"{where}.{name}"} for name in ("first", "second")]
    times = [note.duration for note in notes if hasattr(note, "duration")]
    assert notes == [
        DeliveryInfo(**facts),
        HandlerInfo(**of[0]),
        HandledInfo(**of[0], duration=times[0]),
        HandlerInfo(**of[1]),
        HandledInfo(**of[1], duration=times[1], error="ValueError"),
        ReceiptInfo(**facts, ending="failed", duration=times[2]),
        DeliveryInfo(delivery=number + 1),
        ReceiptInfo(delivery=number + 1, ending="invalid", duration=0),
    ]
    assert times[2] >= times[0] + times[1]
    assert CANARY not in repr(notes)


def test_a_plain_handler_sees_what_was_set_for_its_delivery() -> None:
    current: ContextVar[str] = ContextVar("current", default="")
    seen: list[tuple[str, int]] = []
    hooks = Hooks(on_delivery=lambda _: current.set("the delivery"))
    router = Router(Webhook(SECRET), hooks=hooks)

    @router.on(Event)
    def handle(event: Event) -> None:
        seen.append((current.get(), threading.get_ident()))

    event = stripe_event(VERIFIED)
    router.receive_blocking(event.body, event.signature)
    assert seen == [("the delivery", threading.get_ident())]
    assert current.get() == ""


def test_hooks_must_be_hooks() -> None:
    wrong: Any = print
    with pytest.raises(ConfigurationError, match="hooks: must be a Hooks"):
        Router(Webhook(SECRET), hooks=wrong)
