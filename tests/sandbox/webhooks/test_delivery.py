"""Webhook deliveries to a real receiver: signed, filtered, and retried by the clock."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import SignatureError
from pinstripe._signature import verify
from pinstripe.sandbox import ManualClock, Refusal, Sandbox, Server, Settings
from pinstripe.sandbox._server import KINDS
from pinstripe.sandbox._state.kinds import Registry
from pinstripe.sandbox._state.world import World
from pinstripe.sandbox._webhooks.delivery import (
    JOBS,
    MAX_RUNNING,
    RETRY_SECONDS,
    flush,
    next_step,
)
from pinstripe.webhooks import Webhook
from tests.sandbox.conftest import NOW
from tests.sandbox.webhooks.test_endpoints import PATH, make
from tests.support.receiver import Receiver, receiving
from tests.support.sandbox_api import SESSIONS, Api
from tests.support.serving import served

pytestmark = pytest.mark.anyio

CREATED = "identity.verification_session.created"
CANCELED = "identity.verification_session.canceled"
REDACTED = "identity.verification_session.redacted"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def never() -> int:
    """An answer that does not come."""
    await asyncio.Event().wait()
    return 200


async def pending(api: Api, **headers: str) -> list[int]:
    """Return `pending_webhooks` of each event, newest first."""
    events = await api.ok("GET", "/v1/events", **headers)
    return [event["pending_webhooks"] for event in events["data"]]


async def test_a_delivery_is_what_stripe_sends(
    api: Api, server: Server, receiver: Receiver
) -> None:
    endpoint = await make(api, url=receiver.url)
    session = await api.session_of()
    assert await pending(api) == [1]
    await server.webhooks.flush()
    (received,) = receiver.received
    assert received.path == "/hook"
    assert received.headers["Content-Type"] == "application/json; charset=utf-8"
    assert received.headers["User-Agent"] == "Stripe/1.0 (+https://stripe.com/docs/webhooks)"
    assert received.body.startswith(b'{\n  "id": "evt_')
    assert verify(received.body, received.signature, endpoint["secret"], now=time.time()) == 0
    assert received.signature.startswith("t=")
    assert ",v0=" in received.signature
    with pytest.raises(SignatureError):
        verify(received.body, received.signature, "whsec_other", now=time.time())
    (event,) = (await api.ok("GET", "/v1/events"))["data"]
    assert received.event == {**event, "pending_webhooks": 1}
    assert event["data"]["object"] == session
    assert event["pending_webhooks"] == 0
    assert "whsec_" not in received.body.decode()


async def test_the_official_sdk_reads_it(api: Api, server: Server, receiver: Receiver) -> None:
    stripe = pytest.importorskip("stripe")
    endpoint = await make(api, url=receiver.url)
    await api.session_of()
    await server.webhooks.flush()
    (received,) = receiver.received
    body = received.body.decode()
    event = stripe.Webhook.construct_event(
        body, received.signature, endpoint["secret"], tolerance=10**10
    )
    assert event.type == CREATED
    assert event.data.object["object"] == "identity.verification_session"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + " ", received.signature, endpoint["secret"])


async def test_the_body_is_in_the_version_of_the_endpoint(
    api: Api, server: Server, receiver: Receiver
) -> None:
    await make(api, url=receiver.url, api_version="2025-01-27.acacia")
    await api.session_of()
    await server.webhooks.flush()
    assert receiver.received[0].event["api_version"] == "2025-01-27.acacia"
    (event,) = (await api.ok("GET", "/v1/events"))["data"]
    assert event["api_version"] == "2026-10-28.endive"


async def test_an_endpoint_gets_what_it_asked_for(api: Api, server: Server) -> None:
    async with receiving() as star, receiving() as named, receiving() as other:
        await make(api, url=star.url)
        await make(
            api, url=named.url, **{"enabled_events[0]": CANCELED, "enabled_events[1]": REDACTED}
        )
        await make(api, url=other.url, **{"enabled_events[0]": "file.created"})
        session = await api.session_of()
        await api.ok("POST", f"{SESSIONS}/{session['id']}/redact")
        server.identity.finish_redaction(session["id"])
        assert await pending(api) == [1, 2, 1]
        await server.webhooks.flush()
        assert sorted(star.types) == [CANCELED, CREATED]
        assert sorted(named.types) == [CANCELED, REDACTED]
        assert other.received == []
        assert await pending(api) == [0, 0, 0]


async def test_events_from_before_an_endpoint_are_not_sent(
    api: Api, server: Server, receiver: Receiver
) -> None:
    await api.session_of()
    await make(api, url=receiver.url)
    await server.webhooks.flush()
    assert receiver.received == []
    assert await pending(api) == [0]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_success(
    api: Api, server: Server, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status]
    await make(api, url=receiver.url)
    await api.session_of()
    await server.webhooks.flush()
    (delivery,) = server.webhooks.deliveries()
    assert delivery["status"] == "delivered"
    assert delivery["attempts"] == [{"at": int(NOW), "error": None, "status": status}]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 500, 503])
async def test_a_redirect_or_an_error_is_a_failure_and_tried_again(
    api: Api, server: Server, clock: ManualClock, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status, 200]
    endpoint = await make(api, url=receiver.url)
    await api.session_of()
    await server.webhooks.flush()
    assert [each.path for each in receiver.received] == ["/hook"]
    assert await pending(api) == [1]
    undelivered = await api.ok("GET", "/v1/events?delivery_success=false")
    assert len(undelivered["data"]) == 1
    clock.advance(RETRY_SECONDS[0] - 1)
    await server.webhooks.flush()
    assert len(receiver.received) == 1
    clock.advance(1)
    await server.webhooks.flush()
    first, second = receiver.received
    assert first.body == second.body
    # Each attempt is signed when it is sent, in the receiver's time and not in that of the clock.
    webhook = Webhook(endpoint["secret"])
    for each in (first, second):
        assert webhook.parse(each.body, each.signature).id == first.event["id"]
    assert await pending(api) == [0]
    assert (await api.ok("GET", "/v1/events?delivery_success=false"))["data"] == []


async def test_after_three_attempts_it_is_given_up(
    api: Api, server: Server, clock: ManualClock, receiver: Receiver
) -> None:
    receiver.answers = [500]
    await make(api, url=receiver.url)
    await api.session_of()
    for _ in range(5):
        await server.webhooks.flush()
        clock.advance(86_400)
    await server.webhooks.flush()
    assert len(receiver.received) == 3
    (delivery,) = server.webhooks.deliveries(status="failed")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 500, 500]
    assert await pending(api) == [1]
    assert len((await api.ok("GET", "/v1/events?delivery_success=false"))["data"]) == 1


async def test_a_retry_needs_no_request_when_the_clock_is_moved(
    api: Api, server: Server, clock: ManualClock, receiver: Receiver
) -> None:
    receiver.answers = [500, 200]
    await make(api, url=receiver.url)
    await api.session_of()
    await server.webhooks.flush()
    clock.advance(RETRY_SECONDS[0])
    await receiver.wait_for(2)
    await server.webhooks.flush()
    assert server.webhooks.deliveries(status="delivered")


async def test_a_receiver_that_is_not_there(api: Api, server: Server, clock: ManualClock) -> None:
    async with receiving() as gone:
        await make(api, url=gone.url)
    await api.session_of()
    await server.webhooks.flush()
    (delivery,) = server.webhooks.deliveries()
    assert delivery["status"] == "pending"
    assert delivery["attempts"] == [{"at": int(NOW), "error": "connection", "status": None}]


async def test_an_answer_that_is_not_http(api: Api, server: Server) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()
        await writer.wait_closed()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        await make(api, url=f"http://127.0.0.1:{port}/")
        await api.session_of()
        await server.webhooks.flush()
    (delivery,) = server.webhooks.deliveries()
    assert delivery["attempts"][0]["error"] == "connection"


async def test_a_receiver_that_does_not_answer_in_time(clock: ManualClock) -> None:
    sandbox = Sandbox(clock=clock, webhook_seconds=0.5)
    async with sandbox, sandbox.client() as stripe, receiving(never) as slow:
        await stripe.webhook_endpoints.create(url=slow.url, enabled_events=["*"])
        await stripe.identity.verification_sessions.create(type="document")
        await sandbox.webhooks.flush()
        (delivery,) = sandbox.webhooks.deliveries(status="pending")
    assert delivery["attempts"] == [{"at": int(NOW), "error": "timeout", "status": None}]


async def test_a_slow_receiver_delays_no_other(clock: ManualClock) -> None:
    released = asyncio.Event()

    async def slowly() -> int:
        await released.wait()
        return 200

    sandbox = Sandbox(clock=clock, webhook_seconds=60)
    async with sandbox, sandbox.client() as stripe, receiving(slowly) as slow, receiving() as quick:
        for url in (slow.url, quick.url):
            await stripe.webhook_endpoints.create(url=url, enabled_events=["*"])
        for _ in range(20):
            await stripe.identity.verification_sessions.create(type="document")
        await quick.wait_for(20)
        await slow.wait_for(MAX_RUNNING)
        assert len(sandbox.webhooks.deliveries(status="sending")) >= 20
        assert len(slow.received) == MAX_RUNNING
        released.set()
        await sandbox.webhooks.flush()
        assert (len(slow.received), len(quick.received)) == (20, 20)
        assert len(sandbox.webhooks.deliveries(status="delivered")) == 40


async def test_disabled_or_deleted_in_between_is_dropped(
    api: Api, server: Server, clock: ManualClock
) -> None:
    async with receiving(500) as disabled, receiving(500) as deleted:
        one = await make(api, url=disabled.url)
        other = await make(api, url=deleted.url)
        await api.session_of()
        await server.webhooks.flush()
        await api.ok("POST", f"{PATH}/{one['id']}", {"disabled": "true"})
        await api.ok("DELETE", f"{PATH}/{other['id']}")
        await api.session_of()
        assert await pending(api) == [0, 2]
        clock.advance(RETRY_SECONDS[0])
        await server.webhooks.flush()
        assert len(disabled.received) == len(deleted.received) == 1
        assert [each["status"] for each in server.webhooks.deliveries()] == ["dropped"] * 2
        await api.ok("POST", f"{PATH}/{one['id']}", {"disabled": "false"})
        clock.advance(86_400)
        await server.webhooks.flush()
        assert len(disabled.received) == 1
        assert await pending(api) == [0, 2]


async def test_a_new_address_gets_the_retry(
    api: Api, server: Server, clock: ManualClock, receiver: Receiver
) -> None:
    async with receiving(500) as old:
        made = await make(api, url=old.url)
        await api.session_of()
        await server.webhooks.flush()
        await api.ok("POST", f"{PATH}/{made['id']}", {"url": receiver.url})
        clock.advance(RETRY_SECONDS[0])
        await server.webhooks.flush()
    assert (len(old.received), len(receiver.received)) == (1, 1)


async def test_connected_accounts_go_to_connect_endpoints(api: Api, server: Server) -> None:
    async with receiving() as own, receiving() as connect, receiving() as theirs:
        await make(api, url=own.url)
        platform = await make(api, url=connect.url, connect="true")
        inner = await make(api, url=theirs.url, account="acct_1")
        await api.session_of()
        await api.ok("POST", SESSIONS, {"type": "document"}, Stripe_Account="acct_1")
        await api.ok("POST", SESSIONS, {"type": "document"}, Stripe_Account="acct_2")
        await server.webhooks.flush()
        assert [received.event.get("account") for received in own.received] == [None]
        accounts = sorted(received.event["account"] for received in connect.received)
        assert accounts == ["acct_1", "acct_2"]
        assert [received.event["account"] for received in theirs.received] == ["acct_1"]
        for received in connect.received:
            assert (
                verify(received.body, received.signature, platform["secret"], now=time.time()) == 0
            )
        (received,) = theirs.received
        assert verify(received.body, received.signature, inner["secret"], now=time.time()) == 0
        assert await pending(api, Stripe_Account="acct_1") == [0]
        assert len(server.webhooks.deliveries(account="acct_1")) == 2
        assert len(server.webhooks.deliveries()) == 1


async def test_only_loopback_is_called_unless_allowed_by_name(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    async def resolve(self: Any, host: str, port: int = 0, family: int = 0) -> list[Any]:
        called.append(host)
        raise OSError("no names here")

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    async with Sandbox(clock=clock, allow_hosts=["Hooks.Example"]) as sandbox:
        async with sandbox.client() as stripe:
            for host in ("hooks.example", "other.example", "sub.hooks.example"):
                url = f"https://{host}/"
                await stripe.webhook_endpoints.create(url=url, enabled_events=["*"])
            await stripe.webhook_endpoints.create(
                url="http://hooks.example/", enabled_events=["file.created"]
            )
            await stripe.identity.verification_sessions.create(type="document")
            await sandbox.webhooks.flush()
        errors = [each["attempts"][0]["error"] for each in sandbox.webhooks.deliveries()]
    assert sorted(errors) == ["connection", "not_allowed", "not_allowed"]
    assert set(called) == {"hooks.example"}


def test_a_lone_text_is_one_host() -> None:
    assert Settings(allow_hosts="Hooks.Example").allow_hosts == ("hooks.example",)


async def test_resending(api: Api, server: Server, receiver: Receiver) -> None:
    receiver.answers = [500, 200]
    await make(api, url=receiver.url)
    await api.session_of()
    await server.webhooks.flush()
    (event,) = (await api.ok("GET", "/v1/events"))["data"]
    assert server.webhooks.resend(event["id"])["pending_webhooks"] == 1
    await server.webhooks.flush()
    assert await pending(api) == [0]
    again = server.webhooks.resend(event["id"])
    assert again["pending_webhooks"] == 0
    await server.webhooks.flush()
    assert [received.event["id"] for received in receiver.received] == [event["id"]] * 3
    statuses = [each["status"] for each in server.webhooks.deliveries(event=event["id"])]
    assert statuses == ["delivered", "delivered", "pending"]
    with pytest.raises(Refusal, match="No such event"):
        server.webhooks.resend("evt_none")


async def test_a_retry_after_a_resend_does_not_count_twice(
    api: Api, server: Server, clock: ManualClock, receiver: Receiver
) -> None:
    receiver.answers = [500, 200]
    await make(api, url=receiver.url)
    await api.session_of()
    await server.webhooks.flush()
    (event,) = (await api.ok("GET", "/v1/events"))["data"]
    server.webhooks.resend(event["id"])
    await server.webhooks.flush()
    clock.advance(RETRY_SECONDS[0])
    await server.webhooks.flush()
    assert len(receiver.received) == 3
    assert await pending(api) == [0]


async def test_the_same_over_http(api: Api, server: Server, clock: ManualClock) -> None:
    async with receiving(500, 200) as receiver:
        made = await make(api, url=receiver.url)
        await api.session_of()
        assert await api.ok("POST", "/_sandbox/webhooks/flush") == {"pending": 1}
        moved = await api("POST", "/_sandbox/clock", json={"advance": str(RETRY_SECONDS[0])})
        assert moved.status == 200
        assert await api.ok("POST", "/_sandbox/webhooks/flush") == {"pending": 0}
        listed = await api.ok("GET", "/_sandbox/webhooks/deliveries?status=delivered")
        (delivery,) = listed["data"]
        assert delivery == {
            "id": delivery["id"],
            "object": "sandbox.webhook_delivery",
            "account": None,
            "attempts": [
                {"at": int(NOW), "error": None, "status": 500},
                {"at": int(clock()), "error": None, "status": 200},
            ],
            "created": int(NOW),
            "event": receiver.received[0].event["id"],
            "status": "delivered",
            "webhook_endpoint": made["id"],
        }
        resent = await api.ok("POST", "/_sandbox/webhooks/resend", {"event": delivery["event"]})
        assert resent["id"] == delivery["event"]
        assert await api.ok("POST", "/_sandbox/webhooks/flush") == {"pending": 0}
        assert len(receiver.received) == 3
    assert (await api("GET", "/_sandbox/webhooks/deliveries?status=nope")).status == 400


async def test_an_attempt_shows_what_was_sent_and_answered(
    api: Api, server: Server, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answers = [500, 200]
    endpoint = await make(api, url=receiver.url, api_version="2025-01-27.acacia")
    await api.session_of(**{"provided_details[email]": "a@b.example"})
    await server.webhooks.flush()
    clock.advance(RETRY_SECONDS[0])
    await server.webhooks.flush()
    delivery = await one_delivery(api, server)
    assert delivery["webhook_endpoint"] == endpoint["id"]
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 200]
    for attempt, received in zip(delivery["attempts"], receiver.received, strict=True):
        sent = attempt["request"]
        assert (sent["url"], sent["body"].encode()) == (receiver.url, received.body)
        assert sent["headers"]["Stripe-Signature"] == received.signature
        assert attempt["answer"]["status"] == attempt["status"]
        assert attempt["answer"]["headers"]["Location"] == "/elsewhere"


async def one_delivery(api: Api, server: Server) -> Any:
    oldest = server.webhooks.deliveries()[-1]
    return await api.ok("GET", f"/_sandbox/webhooks/deliveries/{oldest['id']}")


async def test_an_attempt_without_an_answer_has_none(api: Api, server: Server) -> None:
    await make(api, url="http://127.0.0.1:1/hook")
    await api.session_of()
    await server.webhooks.flush()
    (attempt,) = (await one_delivery(api, server))["attempts"]
    assert (attempt["answer"], attempt["error"]) == (None, "connection")
    assert attempt["request"]["url"] == "http://127.0.0.1:1/hook"
    missing = await api("GET", "/_sandbox/webhooks/deliveries/whd_none")
    assert (missing.status, missing.error["param"]) == (404, "delivery")


async def test_of_an_answer_the_start_is_kept(api: Api, server: Server) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"x" * 1_000_000)

    async with served(answer) as url:
        await make(api, url=url)
        await api.session_of()
        await server.webhooks.flush()
    (attempt,) = (await one_delivery(api, server))["attempts"]
    assert attempt["answer"]["body"] == "x" * 2000


async def test_a_body_that_does_not_end_is_no_failure(api: Api, server: Server) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        await asyncio.Event().wait()
        return response

    async with served(answer) as url:
        await make(api, url=url)
        await api.session_of()
        await server.webhooks.flush()
    delivery = await one_delivery(api, server)
    assert delivery["status"] == "delivered"
    assert delivery["attempts"][0]["answer"]["body"] == "begun"


async def test_a_redaction_reaches_what_was_sent_and_answered(
    api: Api, server: Server, clock: ManualClock
) -> None:
    async def repeat(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=await request.read())

    async with served(repeat) as url:
        await make(api, url=url)
        details = {"provided_details[email]": "someone@b.example"}
        session = await api.session_of(**details)
        await server.webhooks.flush()
        before = await one_delivery(api, server)
        assert "someone@b.example" in before["attempts"][0]["answer"]["body"]
        await api.ok("POST", f"{SESSIONS}/{session['id']}/redact")
        server.identity.finish_redaction(session["id"])
        await server.webhooks.flush()
        after = await one_delivery(api, server)
    assert "someone@b.example" not in str(after)
    assert [attempt["answer"] for attempt in after["attempts"]] == [None]


async def test_an_event_is_sent_again_to_one_endpoint(api: Api, server: Server) -> None:
    async with receiving() as one, receiving() as other:
        first = await make(api, url=one.url)
        await make(api, url=other.url)
        await api.session_of()
        await server.webhooks.flush()
        (event,) = (await api.ok("GET", "/v1/events"))["data"]
        given = {"event": event["id"], "webhook_endpoint": first["id"]}
        await api.ok("POST", "/_sandbox/webhooks/resend", given)
        await server.webhooks.flush()
        assert (len(one.received), len(other.received)) == (2, 1)


async def test_a_handler_that_calls_back_is_waited_for(clock: ManualClock) -> None:
    sandbox, receiving_them = Sandbox(clock=clock), receiving()
    async with sandbox, sandbox.client() as stripe, receiving_them as receiver:
        await stripe.webhook_endpoints.create(url=receiver.url, enabled_events=["*"])
        sessions = stripe.identity.verification_sessions

        async def cancel() -> int:
            await sessions.cancel(receiver.received[0].event["data"]["object"]["id"])
            return 200

        receiver.answers = [cancel, 200]
        await sessions.create(type="document")
        await sandbox.webhooks.flush()
        assert receiver.types == [CREATED, CANCELED]


async def test_many_arrive_once_in_no_promised_order(clock: ManualClock) -> None:
    async with Sandbox(clock=clock) as sandbox, receiving() as receiver:
        async with sandbox.client() as stripe:
            await stripe.webhook_endpoints.create(url=receiver.url, enabled_events=["*"])
            create = stripe.identity.verification_sessions.create
            await asyncio.gather(*(create(type="document") for _ in range(100)))
        await sandbox.webhooks.flush()
        ids = [received.event["id"] for received in receiver.received]
        assert len(ids) == len(set(ids)) == 100


async def test_nothing_is_left_running() -> None:
    before = asyncio.all_tasks()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with Sandbox() as sandbox, receiving(never) as receiver:
            async with sandbox.client() as stripe:
                await stripe.webhook_endpoints.create(url=receiver.url, enabled_events=["*"])
                await stripe.identity.verification_sessions.create(type="document")
            await receiver.wait_for(1)
            await sandbox._server.stop()  # which does not wait for an answer that never comes
            names = {task.get_name() for task in asyncio.all_tasks() - before}
            assert not any(name.startswith("pinstripe-") for name in names)
        gc.collect()
    with pytest.raises(RuntimeError, match="not running"):
        await sandbox.webhooks.flush()
    with pytest.raises(RuntimeError, match="not running"):
        sandbox.webhooks.deliveries()


async def test_what_was_cut_short_is_sent_at_the_next_start(clock: ManualClock) -> None:
    server = Server(Settings(seed=1, clock=clock))
    async with receiving(never, 200) as receiver:
        await server.start()
        async with aiohttp.ClientSession(server.url) as session:
            await make(Api(session), url=receiver.url)
            await Api(session).session_of()
        await receiver.wait_for(1)
        await server.stop()
        await server.start()
        await server.webhooks.flush()
        assert len(receiver.received) == 2
        assert [each["status"] for each in server.webhooks.deliveries()] == ["delivered"]
        await server.stop()


async def test_a_file_keeps_deliveries(clock: ManualClock, tmp_path: Path) -> None:
    store = tmp_path / "sandbox.db"

    async with receiving(never, 500, 200) as receiver:
        async with Sandbox(clock=clock, store=store) as sandbox, sandbox.client() as stripe:
            made = await stripe.webhook_endpoints.create(url=receiver.url, enabled_events=["*"])
            await stripe.identity.verification_sessions.create(type="document")
            await receiver.wait_for(1)
        async with Sandbox(clock=clock, store=store) as sandbox:
            await sandbox.webhooks.flush()
            assert len(receiver.received) == 2
        clock.advance(RETRY_SECONDS[0])
        async with Sandbox(clock=clock, store=store) as sandbox:
            await sandbox.webhooks.flush()
            (delivery,) = sandbox.webhooks.deliveries()
        assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 200]
        last = receiver.received[2]
        assert made.secret is not None
        assert verify(last.body, last.signature, made.secret, now=time.time()) == 0


def test_in_a_thread_of_its_own() -> None:
    done = threading.Event()

    async def receive() -> None:
        async with receiving() as receiver:
            urls.append(receiver.url)
            ready.set()
            await asyncio.to_thread(done.wait, 30)
            types.extend(receiver.types)

    urls: list[str] = []
    types: list[str] = []
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(receive()))
    thread.start()
    ready.wait(30)
    with Sandbox() as sandbox:

        async def use() -> None:
            async with sandbox.client() as stripe:
                await stripe.webhook_endpoints.create(url=urls[0], enabled_events=["*"])
                await stripe.identity.verification_sessions.create(type="document")
                await sandbox.webhooks.flush()

        asyncio.run(use())
        sandbox.webhooks.wait()
        assert [each["status"] for each in sandbox.webhooks.deliveries()] == ["delivered"]
    done.set()
    thread.join()
    assert types == [CREATED]


def test_waiting_has_an_end() -> None:
    with Sandbox(webhook_seconds=30) as sandbox:

        async def use() -> None:
            async with receiving(never) as receiver, sandbox.client() as stripe:
                await stripe.webhook_endpoints.create(url=receiver.url, enabled_events=["*"])
                await stripe.identity.verification_sessions.create(type="document")
                waiting = asyncio.to_thread(sandbox.webhooks.wait, 0.05)
                with pytest.raises(TimeoutError, match="under way"):
                    await waiting

        asyncio.run(use())


async def test_waiting_in_a_thread_with_a_running_loop_is_refused() -> None:
    async with Sandbox() as sandbox:
        with pytest.raises(RuntimeError, match="flush"):
            sandbox.webhooks.wait()


def test_a_world_without_a_server_delivers_nothing() -> None:
    world = World(Registry.of(KINDS), Settings(seed=1), JOBS)
    world.account().schedule(0, "deliver_webhook", "whd_1")
    world.account().run_due()
    assert world.account().next_due() is None
    asyncio.run(flush(world))


@given(st.lists(st.none() | st.integers(100, 599), min_size=1, max_size=3))
def test_the_schedule(statuses: list[int | None]) -> None:
    attempts = [{"at": 0, "error": None, "status": status} for status in statuses]
    last = statuses[-1]
    outcome, wait = next_step(attempts)
    if last is not None and 200 <= last <= 299:
        assert (outcome, wait) == ("delivered", None)
    elif len(statuses) == 3:
        assert (outcome, wait) == ("failed", None)
    else:
        assert (outcome, wait) == ("pending", RETRY_SECONDS[len(statuses) - 1])
