"""Event destinations: what is accepted, what is shown, and what they receive."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from pinstripe import RequestOptions, response_of
from pinstripe._signature import verify
from pinstripe.sandbox import ManualClock, Sandbox, Server
from pinstripe.sandbox._state.versions import API_VERSION
from tests.support.receiver import Receiver, receiving
from tests.support.sandbox_api import SESSIONS, WEBHOOKS, Api, Reply

pytestmark = pytest.mark.anyio

PATH = "/v2/core/event_destinations"
EVENTS = "/v2/core/events"
CREATED = "identity.verification_session.created"
PING = "v2.core.event_destination.ping"
BOTH = ["webhook_endpoint.signing_secret", "webhook_endpoint.url"]
CONNECTED = {"Stripe_Account": "acct_C"}

GIVEN: dict[str, Any] = {
    "name": "ledger",
    "type": "webhook_endpoint",
    "event_payload": "thin",
    "enabled_events": [f"v1.{CREATED}"],
    "webhook_endpoint": {"url": "http://hooks.example/x"},
    "include": BOTH,
}
AMAZON = {"aws_account_id": "123456789012", "aws_region": "us-east-1"}
AZURE = {
    "azure_region": "westus2",
    "azure_resource_group_name": "group",
    "azure_subscription_id": "sub",
}


@frozen
class V2:
    """Calls of `/v2`: with a version and JSON."""

    api: Api

    async def __call__(self, method: str, path: str, json: Any = None, **headers: str) -> Reply:
        version = {"Stripe_Version": API_VERSION, **headers}
        return await self.api(method, path, json=json, **version)

    async def ok(self, method: str, path: str, json: Any = None, **headers: str) -> Any:
        reply = await self(method, path, json, **headers)
        assert reply.status == 200, reply.body
        return reply.body

    async def make(self, headers: dict[str, str] | None = None, **changes: Any) -> Any:
        given = {name: value for name, value in {**GIVEN, **changes}.items() if value is not None}
        return await self.ok("POST", PATH, given, **(headers or {}))


@pytest.fixture
def v2(api: Api) -> V2:
    return V2(api)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


# --- what is accepted ---------------------------------------------------------------------------


async def test_a_destination_is_shown_with_what_is_included(v2: V2) -> None:
    made = await v2.make(description="d", metadata={"a": "1"})
    webhook = made.pop("webhook_endpoint")
    assert webhook["signing_secret"].startswith("whsec_")
    assert webhook["url"] == "http://hooks.example/x"
    assert made == {
        "id": made["id"],
        "object": "v2.core.event_destination",
        "created": "2026-09-27T12:00:00.000Z",
        "description": "d",
        "enabled_events": [f"v1.{CREATED}"],
        "event_payload": "thin",
        "events_from": ["@self"],
        "livemode": False,
        "metadata": {"a": "1"},
        "name": "ledger",
        "snapshot_api_version": None,
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "updated": "2026-09-27T12:00:00.000Z",
    }
    assert made["id"].startswith("ed_test_")
    path = f"{PATH}/{made['id']}"
    hidden = {"signing_secret": None, "url": None}
    assert (await v2.ok("GET", path)) == {**made, "webhook_endpoint": hidden}
    with_url = await v2.ok("GET", f"{path}?include[0]=webhook_endpoint.url")
    assert with_url["webhook_endpoint"] == {**hidden, "url": "http://hooks.example/x"}
    again = await v2("GET", f"{path}?include[0]=webhook_endpoint.signing_secret")
    assert (again.status, again.error["param"]) == (400, "include[0]")


@pytest.mark.parametrize(
    ("type", "place", "shown"),
    [
        (
            "amazon_eventbridge",
            AMAZON,
            {"aws_account_id": "123456789012", "aws_event_source_status": "pending"},
        ),
        ("azure_event_grid", AZURE, {**AZURE, "azure_partner_topic_status": "never_activated"}),
    ],
)
async def test_a_destination_in_a_cloud_is_kept_and_never_reached(
    v2: V2, server: Server, type: str, place: Any, shown: Any
) -> None:
    made = await v2.make(type=type, webhook_endpoint=None, **{type: place})
    assert made["webhook_endpoint"] is None
    assert shown.items() <= made[type].items()
    update = {"webhook_endpoint": {"url": "http://a.example"}}
    reply = await v2("POST", f"{PATH}/{made['id']}", update)
    assert (reply.status, reply.error["param"]) == (400, "webhook_endpoint")
    await v2.api.session_of()
    assert server.webhooks.deliveries() == []


SNAPSHOT = {"event_payload": "snapshot", "enabled_events": [CREATED]}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": None}, "name"),
    "an unknown type": ({"type": "pigeon"}, "type"),
    "no place": ({"webhook_endpoint": None}, "webhook_endpoint"),
    "another place": ({"amazon_eventbridge": AMAZON}, "amazon_eventbridge"),
    "half a place": (
        {"type": "amazon_eventbridge", "webhook_endpoint": None, "amazon_eventbridge": {}},
        "amazon_eventbridge[aws_account_id]",
    ),
    "no address": ({"webhook_endpoint": {"url": "ftp://a"}}, "webhook_endpoint[url]"),
    "a version of a thin one": ({"snapshot_api_version": API_VERSION}, "snapshot_api_version"),
    "a version that is none": (
        {**SNAPSHOT, "snapshot_api_version": "2000-01-01"},
        "snapshot_api_version",
    ),
    "no thin type": ({"enabled_events": [CREATED]}, "enabled_events[0]"),
    "a star": ({"enabled_events": ["v1.file.created", "*"]}, "enabled_events[1]"),
    "no snapshot type": ({**SNAPSHOT, "enabled_events": ["a.b"]}, "enabled_events[0]"),
    "other people": ({"events_from": ["everybody"]}, "events_from[0]"),
    "an unknown parameter": ({"colour": "red"}, "colour"),
}


@pytest.mark.parametrize(("changes", "param"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_named(v2: V2, changes: Any, param: str) -> None:
    given = {name: value for name, value in {**GIVEN, **changes}.items() if value is not None}
    reply = await v2("POST", PATH, given)
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    assert reply.error["param"] == param


async def test_there_is_a_limit(v2: V2) -> None:
    for _ in range(3):
        await v2.make(**SNAPSHOT, snapshot_api_version=API_VERSION)
    reply = await v2("POST", PATH, {**GIVEN, **SNAPSHOT, "snapshot_api_version": API_VERSION})
    assert (reply.status, reply.error["type"]) == (400, "quota_exceeded")
    made = [await v2.make(**SNAPSHOT) for _ in range(13)]
    assert made[0]["snapshot_api_version"] == API_VERSION
    assert (await v2("POST", PATH, GIVEN)).error["type"] == "quota_exceeded"
    await v2.ok("DELETE", f"{PATH}/{made[0]['id']}")
    await v2.make()


async def test_a_destination_is_changed_and_deleted(v2: V2, clock: ManualClock) -> None:
    made = await v2.make(metadata={"a": "1", "b": "2"})
    path = f"{PATH}/{made['id']}"
    clock.advance(60)
    changes = {
        "name": "books",
        "description": "more",
        "enabled_events": ["v2.anything.new"],
        "metadata": {"a": None, "c": "3"},
        "webhook_endpoint": {"url": "http://hooks.example/y"},
        "include": ["webhook_endpoint.url"],
    }
    changed = await v2.ok("POST", path, changes)
    del changes["include"]
    assert changed == {
        **made,
        **changes,
        "metadata": {"b": "2", "c": "3"},
        "updated": "2026-09-27T12:01:00.000Z",
        "webhook_endpoint": {"signing_secret": None, "url": "http://hooks.example/y"},
    }
    assert (await v2.ok("POST", path, {"name": "other"}))["description"] == "more"
    wrong = await v2("POST", path, {"enabled_events": [CREATED]})
    assert wrong.error["param"] == "enabled_events[0]"
    off = await v2.ok("POST", f"{path}/disable")
    assert (off["status"], off["status_details"]) == ("disabled", {"disabled": {"reason": "user"}})
    on = await v2.ok("POST", f"{path}/enable")
    assert (on["status"], on["status_details"]) == ("enabled", None)
    gone = await v2.ok("DELETE", path)
    assert gone == {"id": made["id"], "object": "v2.core.event_destination"}
    for method, where in [("GET", path), ("DELETE", path), ("POST", f"{path}/ping")]:
        reply = await v2(method, where)
        assert (reply.status, reply.error["code"]) == (404, "not_found")


async def test_a_call_of_version_2_needs_a_version_and_json(api: Api, v2: V2) -> None:
    reply = await api("GET", PATH)
    assert (reply.status, "Stripe-Version" in reply.error["message"]) == (400, True)
    reply = await api("POST", PATH, {"name": "x"}, Stripe_Version=API_VERSION)
    assert (reply.status, "application/json" in reply.error["message"]) == (400, True)
    reply = await v2("GET", f"{PATH}?expand[0]=x")
    assert (reply.status, reply.error["param"]) == (400, "expand")
    assert (await api("POST", SESSIONS, json={"type": "document"})).status == 400


# --- idempotency --------------------------------------------------------------------------------


async def test_a_key_of_version_2_replays_successes_for_30_days(v2: V2, clock: ManualClock) -> None:
    key = {"Idempotency_Key": "k"}
    made = await v2.make(key)
    clock.advance(29 * 24 * 3600)
    assert await v2.make(key) == made
    reply = await v2("POST", PATH, {**GIVEN, "name": "other"}, **key)
    assert (reply.status, reply.error["type"]) == (409, "idempotency_error")
    clock.advance(2 * 24 * 3600)
    assert (await v2.make(key))["id"] != made["id"]


async def test_a_key_of_version_2_executes_a_failure_again(v2: V2) -> None:
    key = {"Idempotency_Key": "k"}
    assert (await v2("DELETE", f"{PATH}/ed_test_none", **key)).status == 404
    made = await v2.make()
    path = f"{PATH}/{made['id']}"
    assert (await v2("POST", path, {"enabled_events": [CREATED]}, **key)).status == 400
    await v2.ok("DELETE", path, **key)
    replayed = await v2("DELETE", path, **key)
    assert (replayed.status, replayed.headers["Idempotent-Replayed"]) == (200, "true")
    # A key of version 1 is another one.
    await v2.api.ok("POST", SESSIONS, {"type": "document"}, **key)


async def test_keys_and_destinations_outlive_the_process(tmp_path: Path) -> None:
    options = RequestOptions(idempotency_key="k")
    found = []
    for _ in range(2):
        async with Sandbox(store=tmp_path / "state.db") as sandbox, sandbox.client() as stripe:
            made = await stripe.v2.core.event_destinations.create(
                name="ledger",
                type="webhook_endpoint",
                event_payload="thin",
                enabled_events=["v1.file.created"],
                webhook_endpoint={"url": "http://localhost/x"},
                request_options=options,
            )
            assert [one.id async for one in stripe.v2.core.event_destinations.list()] == [made.id]
            found.append((made, response_of(made).replayed))
    (first, replayed), (second, again) = found
    assert first == second
    assert (replayed, again) == (False, True)


# --- what is received ---------------------------------------------------------------------------


async def test_a_thin_event_is_delivered_and_signed(
    v2: V2, server: Server, receiver: Receiver
) -> None:
    made = await v2.make(webhook_endpoint={"url": receiver.url})
    session = await v2.api.session_of()
    await v2.api.ok("POST", f"{SESSIONS}/{session['id']}/cancel")
    await server.webhooks.flush()
    (received,) = receiver.received
    secret = made["webhook_endpoint"]["signing_secret"]
    assert verify(received.body, received.signature, secret, now=time.time()) == 0
    (event,) = (await v2.ok("GET", f"{EVENTS}?types[0]=v1.{CREATED}"))["data"]
    assert {**received.event, "changes": None, "snapshot_event": event["snapshot_event"]} == event
    assert received.event["related_object"] == {
        "id": session["id"],
        "type": "identity.verification_session",
        "url": f"{SESSIONS}/{session['id']}",
    }
    (delivery,) = server.webhooks.deliveries()
    shown = await v2.api.ok("GET", f"/_sandbox/webhooks/deliveries/{delivery['id']}")
    assert shown["attempts"][0]["request"]["body"].encode() == received.body


async def test_a_snapshot_destination_gets_what_a_webhook_endpoint_gets(
    v2: V2, server: Server, receiver: Receiver
) -> None:
    place = {"webhook_endpoint": {"url": receiver.url}}
    await v2.make(**SNAPSHOT, **place, snapshot_api_version="2024-06-20")
    data = {"url": receiver.url, "enabled_events[]": CREATED, "api_version": "2024-06-20"}
    await v2.api.ok("POST", WEBHOOKS, data)
    await v2.api.session_of()
    await server.webhooks.flush()
    one, other = receiver.received
    assert one.event == other.event
    assert one.event["api_version"] == "2024-06-20"
    assert one.event["pending_webhooks"] == 2


async def test_a_ping_goes_to_its_destination_alone_and_is_in_the_log_of_version_2_alone(
    v2: V2, server: Server, receiver: Receiver
) -> None:
    await v2.api.ok("POST", WEBHOOKS, {"url": receiver.url, "enabled_events[]": "*"})
    await v2.make(webhook_endpoint={"url": receiver.url}, enabled_events=[PING])
    made = await v2.make(**SNAPSHOT, webhook_endpoint={"url": f"{receiver.url}/mine"})
    session = await v2.api.session_of()
    await server.webhooks.flush()
    receiver.received.clear()
    event = await v2.ok("POST", f"{PATH}/{made['id']}/ping")
    await server.webhooks.flush()
    (received,) = receiver.received
    assert received.path == "/hook/mine"
    assert received.event.items() <= event.items()
    assert event["related_object"]["url"] == f"{PATH}/{made['id']}"
    assert event["snapshot_event"] is None
    assert "whsec_" not in json.dumps(event)
    listed = (await v2.ok("GET", f"{EVENTS}?types[0]={PING}"))["data"]
    assert listed == [event] == [await v2.ok("GET", f"{EVENTS}/{event['id']}")]
    (first,) = (await v2.api.ok("GET", "/v1/events"))["data"]
    assert first["data"]["object"]["id"] == session["id"]
    stored = event["id"].replace("evt_test_", "evt_")
    assert (await v2.api("GET", f"/v1/events/{stored}")).status == 404
    await v2.ok("POST", f"{PATH}/{made['id']}/disable")
    await v2.ok("POST", f"{PATH}/{made['id']}/ping")
    await server.webhooks.flush()
    assert len(receiver.received) == 1


async def test_a_destination_gets_the_events_of_whom_it_asks_for(
    v2: V2, server: Server, receiver: Receiver
) -> None:
    place = {"webhook_endpoint": {"url": receiver.url}}
    await v2.make(**place)
    await v2.make(**place, events_from=["@accounts"])
    await v2.make(CONNECTED, **place)
    await v2.make(CONNECTED, **place, events_from=["@accounts"])
    await v2.api.session_of()
    await v2.api.ok("POST", SESSIONS, {"type": "document"}, **CONNECTED)
    await server.webhooks.flush()
    # The own event to one destination, that of the connected account to one of each account.
    contexts = [received.event["context"] for received in receiver.received]
    assert sorted(map(str, contexts)) == ["None", "acct_C", "acct_C"]


async def test_nothing_is_sent_while_a_destination_is_disabled_or_gone(
    v2: V2, server: Server, receiver: Receiver
) -> None:
    made = await v2.make(webhook_endpoint={"url": receiver.url})
    path = f"{PATH}/{made['id']}"
    await v2.ok("POST", f"{path}/disable")
    await v2.api.session_of()
    await v2.ok("POST", f"{path}/enable")
    session = await v2.api.session_of()
    await server.webhooks.flush()
    await v2.ok("DELETE", path)
    await v2.api.session_of()
    await server.webhooks.flush()
    (received,) = receiver.received
    assert received.event["related_object"]["id"] == session["id"]
