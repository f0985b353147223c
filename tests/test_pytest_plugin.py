"""The pytest plugin: in test runs of its own, and the events that it signs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from pinstripe import ConfigurationError, SignatureError, to_dict
from pinstripe._event_samples import SAMPLED
from pinstripe._models.convert import decode
from pinstripe._signature import verify
from pinstripe.climate import Order, Product
from pinstripe.crypto import OnrampSession
from pinstripe.events import Event
from pinstripe.files import File
from pinstripe.identity import VerificationSession
from pinstripe.pytest_plugin import SECRET, SignedEvent, StripeEvent
from pinstripe.sandbox import Sandbox
from tests.support import warm
from tests.support.counting import counted

pytest_plugins = ["pytester"]

# What pytest imports in its own way.
PLUGINS = ("pinstripe", "anyio")

KINDS = {
    "identity.verification_session": VerificationSession,
    "climate.order": Order,
    "climate.product": Product,
    "crypto.onramp_session": OnrampSession,
    "file": File,
}


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a test file in a process of its own, where every warning is an error."""
    for name, value in {**counted(), "PYTHONPATH": str(Path(__file__).parent.parent)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    installed = "pinstripe" in entry_points(group="pytest11").names
    plugin = () if installed else ("-p", "pinstripe.pytest_plugin")

    def run(test: str, *arguments: str, others: Any = ("-p", "no:asyncio")) -> pytest.RunResult:
        pytester.makepyfile(test)
        pytester.makeini("[pytest]\n")  # so that no settings of a folder above apply
        options = ("-W", "error", "-p", "no:cacheprovider", *plugin, *others)
        words = ("-m", "pytest", *options, *arguments)
        done = warm.run(words, cwd=pytester.path, text=True, timeout=60, fresh=PLUGINS)
        out, err = done.stdout.splitlines(), done.stderr.splitlines()
        return pytest.RunResult(done.returncode, out, err, 0)

    return run


def test_it_is_registered() -> None:
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points.pytest11]\npinstripe = "pinstripe.pytest_plugin"\n' in project


def test_loading_it_loads_nothing_heavy() -> None:
    script = """
import sys, pinstripe.pytest_plugin
heavy = {"aiohttp", "yarl", "ssl", "click", "rich"}
loaded = {name.partition(".")[0] for name in sys.modules} & (heavy - {"ssl"})
loaded |= {name for name in sys.modules if name.startswith("pinstripe.sandbox")}
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_the_fixtures_are_documented(run: Any) -> None:
    result = run("", "--fixtures", "-v")
    lines = "\n".join(result.outlines)
    cassettes = ("stripe_cassette", "stripe_cassette_client", "stripe_cassette_sync_client")
    clients = ("stripe_client", "stripe_sync_client", *cassettes)
    shared = ("module_stripe_sandbox", "session_stripe_sandbox", "stripe_sandbox_env")
    for name in ("stripe_sandbox", "stripe_sandbox_options", *shared, *clients, "stripe_event"):
        assert re.search(rf"^{name} (\[\w+ scope\] )?-- ", lines, re.MULTILINE)
    assert "Run a sandbox" in lines


def test_tests_of_anyio(run: Any) -> None:
    result = run(
        """
        import pytest

        pytestmark = pytest.mark.anyio

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        async def test_a_session(stripe_sandbox, stripe_client):
            sessions = stripe_client.identity.verification_sessions
            session = await sessions.create(type="document")
            stripe_sandbox.identity.verify(session.id)
            assert (await sessions.retrieve(session.id)).status == "verified"

        async def test_a_new_sandbox_each_time(stripe_client):
            sessions = stripe_client.identity.verification_sessions
            assert [session.id async for session in sessions.list()] == []

        async def test_closing_it_is_allowed(stripe_client):
            async with stripe_client as stripe:
                await stripe.events.list()
        """
    )
    result.assert_outcomes(passed=3)


def test_tests_of_pytest_asyncio(run: Any) -> None:
    pytest.importorskip("pytest_asyncio")
    result = run(
        """
        import pytest

        @pytest.mark.asyncio
        async def test_a_session(stripe_client):
            session = await stripe_client.identity.verification_sessions.create(type="document")
            assert session.status == "requires_input"
        """,
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        others=(),
    )
    result.assert_outcomes(passed=1)


def test_tests_without_a_plugin_for_async(run: Any) -> None:
    result = run(
        """
        import asyncio
        import urllib.request

        def test_loops_of_its_own(stripe_sandbox, stripe_client):
            async def create():
                return await stripe_client.identity.verification_sessions.create(type="document")

            first = asyncio.run(create())
            second = asyncio.run(create())
            assert first.id != second.id
            assert stripe_sandbox.identity.submit(first.id)["status"] == "processing"

        def test_no_loop_at_all(stripe_sandbox, stripe_sync_client):
            made = stripe_sync_client.identity.verification_sessions.create(type="document")
            assert stripe_sandbox.identity.submit(made.id)["status"] == "processing"

        def test_any_client(stripe_sandbox):
            key = {"Authorization": f"Bearer {stripe_sandbox.api_key}"}
            request = urllib.request.Request(f"{stripe_sandbox.url}/v1/events", headers=key)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=10) as response:
                assert response.status == 200
        """,
        "-p",
        "no:anyio",
    )
    result.assert_outcomes(passed=3)


def test_options_of_the_sandbox(run: Any) -> None:
    result = run(
        """
        import asyncio

        import pytest
        from pinstripe.sandbox import ManualClock

        @pytest.fixture
        def stripe_sandbox_options():
            return {"seed": 7, "clock": ManualClock(1_790_000_000)}

        IDS = set()

        @pytest.mark.parametrize("time", [1, 2])
        def test_repeats(time, stripe_client):
            async def create():
                return await stripe_client.identity.verification_sessions.create(type="document")

            session = asyncio.run(create())
            assert session.created.timestamp() == 1_790_000_000
            IDS.add(session.id)
            assert len(IDS) == 1
        """
    )
    result.assert_outcomes(passed=2)


def test_the_app_is_pointed_at_the_sandbox_by_its_environment(run: Any) -> None:
    result = run(
        """
        import os
        import subprocess
        import sys

        from pinstripe.sync import Client

        def test_in_this_process(stripe_sandbox, stripe_sandbox_env):
            with Client() as stripe:
                made = stripe.identity.verification_sessions.create(type="document")
            assert stripe_sandbox.identity.submit(made.id)["status"] == "processing"

        APP = (
            "from pinstripe.sync import Client\\n"
            "with Client() as stripe:\\n"
            "    print(stripe.identity.verification_sessions.create(type='document').id)\\n"
        )

        def test_in_another_process(stripe_sandbox, stripe_sandbox_env):
            environment = {**os.environ, **stripe_sandbox_env}
            command = [sys.executable, "-c", APP]
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
            made = done.stdout.decode().strip()
            assert stripe_sandbox.identity.submit(made)["status"] == "processing"

        def test_only_as_long_as_the_test():
            assert "PINSTRIPE_BASE_URL" not in os.environ
        """
    )
    result.assert_outcomes(passed=3)


def test_sandboxes_of_a_module_and_of_the_session(run: Any) -> None:
    result = run(
        """
        import pytest
        from pinstripe.sandbox import ManualClock

        @pytest.fixture(scope="session")
        def shared_stripe_sandbox_options():
            return {"clock": ManualClock(1_790_000_000)}

        SEEN = []

        @pytest.mark.parametrize("account", [None, "acct_1", "acct_2"])
        def test_accounts_are_worlds(session_stripe_sandbox, module_stripe_sandbox, account):
            assert session_stripe_sandbox is not module_stripe_sandbox
            SEEN.append((session_stripe_sandbox.url, module_stripe_sandbox.url))
            assert len(set(SEEN)) == 1
            for sandbox in (session_stripe_sandbox, module_stripe_sandbox):
                with sandbox.sync_client(account=account) as stripe:
                    made = stripe.identity.verification_sessions.create(type="document")
                    assert made.created.timestamp() == 1_790_000_000
                    listed = list(stripe.identity.verification_sessions.list())
                    assert [session.id for session in listed] == [made.id]

        def test_a_fresh_start(session_stripe_sandbox):
            session_stripe_sandbox.reset()
            with session_stripe_sandbox.sync_client() as stripe:
                assert list(stripe.identity.verification_sessions.list()) == []
        """
    )
    result.assert_outcomes(passed=4)


def test_deliveries_of_a_manual_clock_are_accepted(run: Any) -> None:
    result = run(
        """
        import threading
        from http.server import BaseHTTPRequestHandler, HTTPServer

        import pytest
        from pinstripe.sandbox import ManualClock
        from pinstripe.webhooks import Webhook

        @pytest.fixture
        def stripe_sandbox_options():
            return {"clock": ManualClock(1_790_000_000)}

        def test_a_delivery(stripe_sandbox, stripe_sync_client):
            received = []

            class App(BaseHTTPRequestHandler):
                def do_POST(self):
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                    received.append((body, self.headers["Stripe-Signature"]))
                    self.send_response(204)
                    self.end_headers()

                def log_message(self, *arguments):
                    pass

            with HTTPServer(("127.0.0.1", 0), App) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                endpoint = stripe_sync_client.webhook_endpoints.create(
                    url=f"http://127.0.0.1:{server.server_port}/", enabled_events=["*"]
                )
                made = stripe_sync_client.identity.verification_sessions.create(type="document")
                stripe_sandbox.webhooks.wait()
                stripe_sandbox.clock.advance(10 * 86_400)
                stripe_sandbox.identity.submit(made.id)
                stripe_sandbox.webhooks.wait()
                server.shutdown()
                thread.join()
            webhook = Webhook(endpoint.secret)
            types = [webhook.parse(*each).type.rpartition(".")[2] for each in received]
            assert types == ["created", "processing"]
        """
    )
    result.assert_outcomes(passed=1)


def test_events_and_deliveries(run: Any) -> None:
    result = run(
        """
        import asyncio
        import time

        from pinstripe._signature import verify

        def test_an_event(stripe_event):
            event = stripe_event("climate.order.created", metric_tons="2")
            header = event.headers["Stripe-Signature"]
            assert verify(event.body, header, stripe_event.secret, now=time.time()) == 0

        def test_a_delivery(stripe_sandbox, stripe_client):
            async def serve(reader, writer):
                head = await reader.readuntil(b"\\r\\n\\r\\n")
                heads.append(head)
                writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
                writer.close()

            async def main():
                listener = await asyncio.start_server(serve, "127.0.0.1", 0)
                port = listener.sockets[0].getsockname()[1]
                async with listener:
                    await stripe_client.webhook_endpoints.create(
                        url=f"http://127.0.0.1:{port}/", enabled_events=["*"]
                    )
                    await stripe_client.identity.verification_sessions.create(type="document")
                    await stripe_sandbox.webhooks.flush()

            heads = []
            asyncio.run(main())
            assert b"Stripe-Signature: t=" in heads[0]
        """
    )
    result.assert_outcomes(passed=2)


@pytest.fixture
def stripe_event() -> StripeEvent:
    return StripeEvent()


def object_of(event: SignedEvent) -> Any:
    """The object of an event, as the client's models read it."""
    return decode(event.body, Event).data.object


@pytest.mark.parametrize("type", sorted(SAMPLED))
def test_every_type_has_an_object_that_the_models_read(stripe_event, type) -> None:
    event = stripe_event(type)
    read = decode(event.body, Event)
    assert read.id == event.id
    assert read.type == event.type == type
    kind = KINDS[event.data["object"]["object"]]
    assert isinstance(read.data.object, kind)
    assert set(event.data["object"]) == set(to_dict(read.data.object)) - {"verified_outputs"} - (
        {"verification_flow"} if kind is VerificationSession else set()
    )
    assert ("previous_attributes" in event.data) == type.endswith("updated")
    suffix = type.rpartition(".")[2]
    if suffix in ("processing", "requires_input", "verified", "canceled", "delivered"):
        assert read.data.object.status == suffix


def test_the_times_of_a_sample_go_together(stripe_event) -> None:
    order = object_of(stripe_event("climate.order.delivered", timestamp=1_790_000_000))
    assert order.delivered_at == datetime(2026, 9, 21, 14, 13, 20, tzinfo=timezone.utc)
    assert order.created < order.delivered_at
    assert order.expected_delivery_year == 2028


def test_an_event_is_signed_now_with_a_known_secret(stripe_event) -> None:
    event = stripe_event("file.created")
    assert (event.secret, stripe_event.secret) == (SECRET, SECRET)
    now = json.loads(event.body)["created"]
    assert verify(event.body, event.signature, SECRET, now=now) == 0
    assert event.headers == {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": event.signature,
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    assert json.loads(event.body) == event.event
    assert stripe_event("file.created").id != event.id


def test_what_has_to_be_refused(stripe_event) -> None:
    forged = stripe_event("file.created", secret="whsec_other")
    with pytest.raises(SignatureError, match="no signature matches"):
        verify(forged.body, forged.signature, SECRET, now=forged.event["created"])
    old = stripe_event("file.created", timestamp=1_000)
    with pytest.raises(SignatureError, match="older"):
        verify(old.body, old.signature, SECRET, now=2_000)


def test_fields_and_objects_of_ones_own(stripe_event) -> None:
    type = "identity.verification_session.verified"
    event = stripe_event(type, type="id_number", metadata={"user": "é"}, id="vs_1")
    assert object_of(event).type == "id_number"
    assert object_of(event).metadata == {"user": "é"}
    assert event.data["object"]["id"] == "vs_1"
    again = stripe_event(type, object=object_of(event), status="canceled")
    assert object_of(again).id == "vs_1"
    assert object_of(again).status == "canceled"
    charge = {"id": "ch_1", "object": "charge"}
    plain = stripe_event("charge.succeeded", object=charge, amount=5)
    assert plain.data["object"] == {**charge, "amount": 5}
    updated = stripe_event("climate.product.pricing_updated", previous_attributes={"name": "old"})
    assert updated.data["previous_attributes"] == {"name": "old"}
    connected = stripe_event("file.created", event={"account": "acct_1", "id": "evt_1"})
    assert (connected.event["account"], connected.id) == ("acct_1", "evt_1")
    assert decode(connected.body, Event).account == "acct_1"


def test_objects_of_the_sandbox(stripe_event) -> None:
    with Sandbox() as sandbox:
        sandbox.identity.seed(1, status="verified")
        (session,) = (
            sandbox._server.world.account()
            .tables["identity.verification_session"]
            .find_by("status", "verified")
        )
    event = stripe_event("identity.verification_session.verified", object=session)
    assert object_of(event).id == session["id"]


@pytest.mark.parametrize(
    "type", ["charge.succeeded", "climate.order.create", "identity.verification_session"]
)
def test_a_type_without_a_sample_needs_an_object(stripe_event, type) -> None:
    with pytest.raises(ConfigurationError, match=r"object=.*climate\.order\.created") as caught:
        stripe_event(type)
    assert type in str(caught.value)


def test_fields_that_an_object_cannot_have_are_refused(stripe_event) -> None:
    type = "identity.verification_session.verified"
    with pytest.raises(ConfigurationError, match=r"statuss: .* did you mean status"):
        stripe_event(type, statuss="verified")
    with pytest.raises(ConfigurationError, match="nothing_like_it: is not a field of"):
        stripe_event(type, nothing_like_it=1)
    with pytest.raises(ConfigurationError, match="meta"):
        stripe_event(type, object=object_of(stripe_event(type)), meta={})
    for field in ("verified_outputs", "verification_flow", "related_person"):
        assert stripe_event(type, **{field: None}).data["object"][field] is None


@pytest.mark.parametrize("type", ["", "created", ".created", None, 1])
def test_a_type_has_two_parts(stripe_event, type) -> None:
    with pytest.raises(ConfigurationError, match="type: must be the type"):
        stripe_event(type)


def test_secrets_and_bodies_stay_out_of_reprs(stripe_event) -> None:
    event = stripe_event("file.created", filename="PRIVATE")
    assert SECRET not in repr(event) + repr(stripe_event)
    with pytest.raises(ConfigurationError, match="secrets"):
        stripe_event("file.created", secret="nope")


NO_NETWORK = """
import asyncio
import pytest
import pinstripe
from pinstripe._http.transport import AiohttpTransport

async def ask():
    async with pinstripe.AsyncClient("sk_test_1") as stripe:
        await stripe.identity.verification_sessions.retrieve("vs_1")

def refused(call):
    with pytest.raises(pinstripe.ConfigurationError, match="api.stripe.com, and no test") as caught:
        call()
    assert (caught.value.argument, caught.value.outcome) == ("base_url", "not_sent")

def test_with_a_fixture_of_the_plugin(stripe_event):
    refused(lambda: asyncio.run(ask()))

def test_with_a_shared_sandbox(session_stripe_sandbox):
    refused(lambda: asyncio.run(ask()))
    with session_stripe_sandbox.sync_client() as stripe:
        assert stripe.identity.verification_sessions.create(type="document").id

@pytest.mark.usefixtures("stripe_no_network")
def test_asked_for():
    with pinstripe.Client("sk_test_1") as stripe:
        refused(lambda: stripe.identity.verification_sessions.retrieve("vs_1"))
        with pytest.raises(pinstripe.ConfigurationError, match="files_url: is files.stripe.com"):
            stripe.files.create(file=b"%PDF-1", filename="a.pdf", purpose="dispute_evidence")

def test_without():
    assert AiohttpTransport.send.__qualname__ == "AiohttpTransport.send"
"""


def test_a_client_of_a_test_reaches_no_other_machine(run) -> None:
    run(NO_NETWORK).assert_outcomes(passed=4)


CASSETTES = """
import asyncio
import os

import pinstripe
import pytest

METADATA = {"user": "user-42"}

@pytest.mark.stripe_cassette
def test_blocking(stripe_cassette_sync_client):
    sessions = stripe_cassette_sync_client.identity.verification_sessions
    assert sessions.create(type="document", metadata=METADATA).metadata == METADATA

class TestOfAnApp:
    @pytest.mark.stripe_cassette
    @pytest.mark.parametrize("kind", ["document", "id/number"])
    def test_with_clients_of_its_own(self, kind, stripe_event):
        async def app():
            async with pinstripe.AsyncClient() as stripe:
                sessions = stripe.identity.verification_sessions
                return await sessions.create(type=kind.replace("/", "_"))

        assert asyncio.run(app()).status == "requires_input"

@pytest.mark.stripe_cassette("of/mine.json", mode="auto")
def test_async(stripe_cassette, stripe_cassette_client):
    async def ask():
        return await stripe_cassette_client.events.list(limit=1)

    assert stripe_cassette.recording == ("PINSTRIPE_BASE_URL" in os.environ)
    assert len(asyncio.run(ask())) == 1

def test_without_the_marker(stripe_cassette_client):
    async def ask():
        return await stripe_cassette_client.events.list(limit=1)

    assert len(asyncio.run(ask())) == 1

def test_afterwards():
    assert pinstripe._http.transport.AiohttpTransport.send.__qualname__ == "AiohttpTransport.send"
    assert os.environ.get("STRIPE_API_KEY") != "sk_test_replayed"
"""


def test_cassettes_are_recorded_once_and_then_replayed(
    run: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox() as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        run(CASSETTES).assert_outcomes(passed=6)
    name = "test_cassettes_are_recorded_once_and_then_replayed"
    files = {path.relative_to(pytester.path).as_posix() for path in pytester.path.rglob("*.json")}
    folder = f"cassettes/{name}"
    assert {file for file in files if "number" not in file} == {
        f"{folder}/test_blocking.json",
        f"{folder}/TestOfAnApp.test_with_clients_of_its_own-document.json",
        f"{folder}/test_without_the_marker.json",
        "of/mine.json",
    }
    assert len(files) == 5
    for variable in ("STRIPE_API_KEY", "PINSTRIPE_BASE_URL"):
        monkeypatch.delenv(variable)
    run(CASSETTES).assert_outcomes(passed=6)


def test_a_test_that_fails_leaves_no_cassette(
    run: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = """
        import pytest

        @pytest.mark.stripe_cassette
        @pytest.mark.parametrize("ending", ["fails", "skips"])
        def test_it(stripe_cassette_sync_client, ending):
            list(stripe_cassette_sync_client.events.list())
            pytest.skip("late") if ending == "skips" else pytest.fail("of the test")

        @pytest.mark.stripe_cassette(7)
        def test_a_wrong_path():
            pass
        """
    with Sandbox() as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        result = run(test)
    result.assert_outcomes(failed=1, skipped=1, errors=1)
    result.stdout.fnmatch_lines(["*ConfigurationError: path: must be a path, not an int"])
    assert not list(pytester.path.rglob("*.json"))


def test_only_what_is_recorded_may_leave_this_machine(run: Any) -> None:
    result = run(
        """
        import pinstripe
        import pytest

        ONCE = pinstripe.RetryPolicy(max_attempts=1)
        AWAY = {"api_key": "sk_test_1", "base_url": "https://api.invalid", "retry": ONCE}

        def each_client(cassette, problem):
            for make in (cassette.sync_client, pinstripe.Client):
                with make(**AWAY) as stripe, pytest.raises(problem) as caught:
                    stripe.identity.verification_sessions.retrieve("vs_1")
            return str(caught.value)

        @pytest.mark.usefixtures("stripe_no_network")
        @pytest.mark.stripe_cassette("one.json")
        def test_recording(stripe_cassette):
            assert "api.invalid" in each_client(stripe_cassette, pinstripe.ConnectError)

        @pytest.mark.usefixtures("stripe_no_network")
        @pytest.mark.stripe_cassette("one.json")
        def test_replaying(stripe_cassette):
            each_client(stripe_cassette, pinstripe.ConnectError)  # as it was recorded
            assert "each answer was given" in each_client(stripe_cassette, AssertionError)
        """
    )
    result.assert_outcomes(passed=2)
