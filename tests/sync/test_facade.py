"""Walks and fan-outs on the loop: how often they go there, in which thread, what they leave."""

from __future__ import annotations

import json
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import pinstripe
from pinstripe._concurrency.loop_thread import leases
from pinstripe.bulk import Progress
from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.sandbox import Sandbox
from pinstripe.sync import Client, Pager, fan_out, to_file
from pinstripe.webhooks import Router, Webhook
from tests.concurrency.test_loop_thread import Interrupted, quiet, tasks
from tests.support.holding import WAIT, Holding, holding


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.identity.seed(250)
        yield sandbox


@pytest.fixture
def stripe(sandbox) -> Iterator[Client]:
    with sandbox.sync_client() as stripe:
        yield stripe


def calls_on_loop(stripe: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of the functions that run on the loop from now on."""
    names: list[str] = []
    run_on_loop = stripe._bridge.run

    def run(function: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(function.__name__)
        return run_on_loop(function, *args, **kwargs)

    monkeypatch.setattr(stripe._bridge, "run", run)
    return names


class TestWalks:
    def test_go_to_the_loop_once_a_page(self, stripe, monkeypatch) -> None:
        names = calls_on_loop(stripe, monkeypatch)
        assert sum(1 for _ in stripe.identity.verification_sessions.list()) == 250
        assert names == ["next_page"] * 4

    def test_left_early_cancel_the_next_page(self, stripe) -> None:
        for _ in stripe.identity.verification_sessions.list():
            break
        for _ in stripe.identity.verification_sessions.list().pages():
            break
        stripe._bridge.run(quiet)
        assert stripe._bridge.run(tasks) == []

    def test_collected_in_another_thread_cancel_it_too(self, stripe) -> None:
        held = [iter(stripe.identity.verification_sessions.list())]
        next(held[0])
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        stripe._bridge.run(quiet)
        assert stripe._bridge.run(tasks) == []

    def test_after_the_client_are_refused(self, sandbox) -> None:
        with sandbox.sync_client() as stripe:
            items = iter(stripe.identity.verification_sessions.list(limit=1))
            next(items)
        with pytest.raises(pinstripe.ConfigurationError, match="is closed"):
            next(items)

    def test_keep_their_place(self, stripe) -> None:
        pager = stripe.identity.verification_sessions.list(limit=10)
        assert isinstance(pager, Pager)
        assert pager.cursor is None
        ids = [session.id for _, session in zip(range(15), pager, strict=False)]
        assert pager.cursor == f"starting_after:{ids[-1]}"
        assert pager.first().data[-1].id == ids[9]
        assert pager.cursor == f"starting_after:{ids[9]}"
        assert stripe._bridge.run(tasks) == []


class TestFanOut:
    def test_goes_to_the_loop_once_a_batch(self, stripe, monkeypatch) -> None:
        names = calls_on_loop(stripe, monkeypatch)
        ids = [s.id for s in stripe.identity.verification_sessions.list(max_items=60)]
        del names[:]
        found = list(fan_out(stripe.identity.verification_sessions.retrieve, ids, concurrency=8))
        assert [outcome.unwrap().id for outcome in found] == ids
        assert len(names) <= len(ids) + 1

    def test_reads_its_inputs_in_this_thread_and_no_further_than_the_window(self, stripe) -> None:
        read: list[tuple[int, str]] = []

        def ids() -> Iterator[str]:
            for session in stripe.identity.verification_sessions.list(limit=50):
                read.append((threading.get_ident(), session.id))
                yield session.id

        retrieve = stripe.identity.verification_sessions.retrieve
        outcomes = fan_out(retrieve, ids(), concurrency=2, window=5)
        for number, outcome in zip(range(20), outcomes, strict=False):
            assert outcome.unwrap().id == read[number][1]
            assert len(read) <= number + 5
        outcomes.close()
        assert {thread for thread, _ in read} == {threading.get_ident()}

    def test_left_early_cancels_what_runs(self, stripe) -> None:
        for _ in stripe.crypto.onramp_quotes.retrieve_many({"source_amount": n} for n in [1] * 99):
            break
        stripe._bridge.run(quiet)
        assert stripe._bridge.run(tasks) == []

    def test_reports_in_this_thread(self, stripe) -> None:
        reports: list[tuple[Progress, int]] = []

        def report(progress: Progress) -> None:
            reports.append((progress, threading.get_ident()))

        queries = [{"source_amount": n} for n in (5, -1, 7)]
        outcomes = list(stripe.crypto.onramp_quotes.retrieve_many(queries, on_progress=report))
        assert [outcome.ok for outcome in outcomes] == [True, False, True]
        assert reports[-1] == (Progress(done=3, failed=1, total=3), threading.get_ident())

    def test_an_error_of_the_report_ends_it(self, stripe) -> None:
        def fail(_: Progress) -> None:
            raise LookupError("report")

        with pytest.raises(LookupError, match="report"):
            list(stripe.crypto.onramp_quotes.retrieve_many([{}], on_progress=fail))

    def test_an_error_of_the_inputs_comes_after_what_was_read(self, stripe) -> None:
        def queries() -> Iterator[Any]:
            yield {"source_amount": 5}
            raise LookupError("inputs")

        outcomes = stripe.crypto.onramp_quotes.retrieve_many(queries())
        assert next(outcomes).ok
        with pytest.raises(LookupError, match="inputs"):
            next(outcomes)

    def test_of_nothing_is_nothing(self, stripe) -> None:
        assert list(stripe.crypto.onramp_quotes.retrieve_many([])) == []

    def test_takes_a_method_with_arguments(self, stripe) -> None:
        (session,) = stripe.identity.verification_sessions.list(max_items=1)
        retrieve = partial(
            stripe.identity.verification_sessions.retrieve, expand=["verified_outputs"]
        )
        (outcome,) = fan_out(retrieve, [session.id])
        assert outcome.unwrap().id == session.id

    @pytest.mark.parametrize(
        "function", [len, "retrieve", None, lambda one: one, partial(int, base=8)]
    )
    def test_takes_nothing_but_a_method(self, function) -> None:
        with pytest.raises(pinstripe.ConfigurationError, match="function: must be a method of"):
            fan_out(function, [])

    def test_takes_no_method_that_returns_a_list(self, stripe) -> None:
        with pytest.raises(pinstripe.ConfigurationError, match="function"):
            fan_out(stripe.events.list, [])

    def test_takes_no_method_that_cannot_take_the_input(self, stripe) -> None:
        for method in (
            stripe.crypto.onramp_quotes.retrieve,
            stripe.identity.verification_sessions.create,
            partial(stripe.events.retrieve, "evt_1"),
        ):
            with pytest.raises(pinstripe.ConfigurationError, match="function: must take the input"):
                fan_out(method, [1, 2])

    def test_takes_no_asynchronous_input(self, stripe) -> None:
        async def queries() -> Any:
            yield {}

        with pytest.raises(pinstripe.ConfigurationError, match="plain iterable"):
            stripe.crypto.onramp_quotes.retrieve_many(queries())


def test_a_method_that_is_patched_is_patched_for_all_who_use_the_client(sandbox) -> None:
    with sandbox.sync_client() as stripe:
        before = stripe.identity.verification_sessions.list(limit=1).first().data[0]
        with patch.object(stripe.identity.verification_sessions, "create") as create:
            assert stripe.identity.verification_sessions.create(type="document") is create()
        create.assert_any_call(type="document")
        after = stripe.identity.verification_sessions.list(limit=1).first().data[0]
        assert after.id == before.id
        made = stripe.identity.verification_sessions.create(type="document")
        assert made.status == "requires_input"


@pytest.mark.parametrize("kind", [Client, pinstripe.AsyncClient])
def test_a_client_has_each_namespace_and_resource_once(kind) -> None:
    stripe = kind("sk_test_a")
    for name in [name for name in dir(kind) if isinstance(getattr(kind, name), cached_property)]:
        namespace = getattr(stripe, name)
        assert getattr(stripe, name) is namespace
        for part in [part for part in dir(namespace) if not part.startswith("_")]:
            if not callable(getattr(namespace, part)):
                assert getattr(namespace, part) is getattr(namespace, part)
    assert stripe.identity.verification_sessions is stripe.identity.verification_sessions
    assert stripe.with_options(timeout=1).identity is not stripe.identity


def test_a_client_shows_its_address_and_nothing_else(sandbox) -> None:
    with sandbox.sync_client() as stripe:
        assert repr(stripe) == f"Client({sandbox.url!r})"


CANARY = "CANARY-who-it-is"


def shown_by_own_frames(error: BaseException) -> str:
    """What a traceback that shows locals shows of the frames of the package."""
    package = str(Path(pinstripe.__file__).parent)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [frame for frame in frames if frame.f_code.co_filename.startswith(package)]
    assert own
    return repr([frame.f_locals for frame in own])


def check_that_an_interruption_hides_the_arguments(
    server: Holding, call: Callable[[], object]
) -> None:
    """Let a signal handler raise while a call waits, and look at the frames of its traceback."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    def wait() -> None:
        server.came.get(timeout=WAIT)
        signal.pthread_kill(main, signal.SIGUSR1)

    main = threading.get_ident()
    before = signal.signal(signal.SIGUSR1, interrupt)
    watcher = threading.Thread(target=wait)
    watcher.start()
    try:
        with pytest.raises(Interrupted) as caught:
            call()
    finally:
        watcher.join()
        signal.signal(signal.SIGUSR1, before)
    assert CANARY not in shown_by_own_frames(caught.value)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-1] == "interrupt"
    assert caught.value.__context__ is None


class TestSecrets:
    def test_no_frame_shows_what_a_call_was_given(self, stripe) -> None:
        create = stripe.identity.verification_sessions.create
        with pytest.raises(pinstripe.APIError) as refused:
            create(type="nothing", client_reference_id=CANARY)
        assert CANARY not in shown_by_own_frames(refused.value)
        with pytest.raises(pinstripe.ConfigurationError) as wrong:
            create(type="document", client_reference_id=CANARY, metadata={"a": 1})
        assert CANARY not in shown_by_own_frames(wrong.value)
        with pytest.raises(pinstripe.ConfigurationError) as key:
            Client(f"pk_test_{CANARY}")
        assert CANARY not in shown_by_own_frames(key.value)

    def test_no_frame_shows_what_was_given_to_a_call_that_is_interrupted(self) -> None:
        with holding() as server, Client("sk_test_a", base_url=server.url) as stripe:
            sessions = stripe.identity.verification_sessions
            quote = stripe.crypto.onramp_quotes.retrieve_many
            for call in (
                lambda: sessions.create(type="document", client_reference_id=CANARY),
                lambda: next(iter(sessions.list(client_reference_id=CANARY))),
                lambda: next(iter(sessions.list(client_reference_id=CANARY).parallel())),
                sessions.list(client_reference_id=CANARY).first,
                lambda: next(quote([{"destination_currencies": [CANARY]}])),
            ):
                check_that_an_interruption_hides_the_arguments(server, call)

    def test_no_frame_shows_what_was_given_to_an_interrupted_export(self, tmp_path) -> None:
        with holding() as server, Client("sk_test_a", base_url=server.url) as stripe:
            found = stripe.identity.verification_sessions.list(client_reference_id=CANARY)
            output = tmp_path / f"{CANARY}.jsonl"
            check_that_an_interruption_hides_the_arguments(server, lambda: to_file(found, output))

    def test_no_frame_shows_what_was_given_to_an_interrupted_delivery(self) -> None:
        router = Router(Webhook(SECRET))

        @router.on(Event)
        async def handle(_: Event) -> None:
            with pytest.raises(pinstripe.ConnectionLost):
                async with pinstripe.AsyncClient("sk_test_a", base_url=server.url) as stripe:
                    await stripe.events.list()

        body = json.dumps({**json.loads(StripeEvent()("file.created").body), "x": CANARY}).encode()
        signature = router.webhook.sign(body)
        try:
            with holding() as server:
                call = partial(router.receive_blocking, body, signature)
                check_that_an_interruption_hides_the_arguments(server, call)
        finally:
            leases.release(router)

    def test_the_bridge_keeps_nothing_of_a_call_that_ends_in_a_fault(self, sandbox) -> None:
        def fail(_: object) -> None:
            raise Interrupted

        with sandbox.sync_client(hooks=pinstripe.Hooks(on_request=fail)) as stripe:
            create = stripe.identity.verification_sessions.create
            with pytest.raises(Interrupted) as fault:
                create(type="document", client_reference_id=CANARY)
        frames = [frame for frame, _ in traceback.walk_tb(fault.value.__traceback__)]
        bridge = (
            "pinstripe._concurrency.bridge",
            "pinstripe._concurrency.loop_thread",
            "pinstripe._concurrency.thread_call",
        )
        passed = [frame for frame in frames if frame.f_globals["__name__"] in bridge]
        assert len(passed) >= 3
        assert CANARY not in repr([frame.f_locals for frame in passed])
        assert frames[-1].f_code.co_name == "fail"

    def test_no_client_is_pickled(self, stripe) -> None:
        for one in (stripe, stripe.identity, stripe.identity.verification_sessions):
            with pytest.raises(TypeError, match="neither pickled nor copied"):
                pickle.dumps(one)


class TestClosing:
    @pytest.mark.parametrize("others", [0, 1])
    @pytest.mark.parametrize("through", ["client", "sibling"])
    def test_a_call_in_another_thread_ends_with_its_key_and_its_outcome(
        self, through, others
    ) -> None:
        with holding() as server, ExitStack() as stack, ThreadPoolExecutor(3) as threads:
            for _ in range(others):  # then the thread of the event loop goes on
                other = stack.enter_context(Client("sk_test_a", base_url=server.url))
                other.warm_up()
            client = Client(
                "sk_test_a", base_url=server.url, retry=pinstripe.RetryPolicy(base=30, cap=30)
            )
            caller = client.with_options(account="acct_1") if through == "sibling" else client
            create = caller.identity.verification_sessions.create
            calls = [threads.submit(create, type="document") for _ in range(3)]
            heads = [server.came.get(timeout=WAIT).decode() for _ in calls]
            client.close()
            for call in calls:
                error: Any = call.exception(timeout=WAIT)
                assert type(error) is pinstripe.ConnectionLost
                assert (error.outcome, error.attempts) == ("unknown", 1)
                assert any(f"Idempotency-Key: {error.idempotency_key}\r\n" in one for one in heads)
            with pytest.raises(pinstripe.ConfigurationError, match="is closed"):
                create(type="document")
