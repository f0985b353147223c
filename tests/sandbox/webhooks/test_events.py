"""The event log over HTTP: which events there are, filters, and how long they are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.sandbox import ManualClock, Server
from pinstripe.sandbox._webhooks.events import matches_pattern
from tests.sandbox.conftest import NOW
from tests.support.sandbox_api import ONRAMP, SESSIONS, Api

pytestmark = pytest.mark.anyio

SESSION = "identity.verification_session"


async def test_an_event_has_every_field_of_the_api(api: Api) -> None:
    created = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="key-1")
    (event,) = (await api.ok("GET", "/v1/events"))["data"]
    assert event == {
        "id": event["id"],
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(NOW),
        "data": {"object": created.body},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": created.headers["Request-Id"], "idempotency_key": "key-1"},
        "type": f"{SESSION}.created",
    }
    assert await api.ok("GET", f"/v1/events/{event['id']}") == event


async def test_each_step_sends_an_event_with_the_object_as_it_was(api: Api, server: Server) -> None:
    session = await api.session_of()
    server.identity.fail(session["id"], "document_expired")
    server.identity.verify(session["id"])
    cancel = await api.session_of()
    await api.ok("POST", f"{SESSIONS}/{cancel['id']}/cancel")
    events = (await api.ok("GET", "/v1/events?type=identity.*"))["data"]
    told = [
        (event["type"].rpartition(".")[2], event["data"]["object"]["status"]) for event in events
    ]
    assert told == [
        ("canceled", "canceled"),
        ("created", "requires_input"),
        ("verified", "verified"),
        ("processing", "processing"),
        ("requires_input", "requires_input"),
        ("processing", "processing"),
        ("created", "requires_input"),
    ]
    assert not any("verified_outputs" in event["data"]["object"] for event in events)
    assert events[2]["request"] == {"id": None, "idempotency_key": None}
    assert events[0]["request"]["id"].startswith("req_")


async def test_filters(api: Api, server: Server, clock: ManualClock) -> None:
    session = await api.session_of()
    clock.advance(10)
    server.identity.verify(session["id"])
    server.crypto.advance((await api.ok("POST", ONRAMP))["id"], "rejected")

    async def listed(query: str) -> list[str]:
        page = await api.ok("GET", f"/v1/events?{query}")
        return [event["type"].rpartition(".")[2] for event in page["data"]]

    assert await listed("type=identity.*") == ["verified", "processing", "created"]
    files = ["created"] * 2
    assert await listed("") == ["updated", "verified", *files, "processing", "created"]
    assert await listed(f"type={SESSION}.verified") == ["verified"]
    assert await listed("type=crypto.*") == ["updated"]
    assert await listed("type=*.v*fied") == ["verified"]
    assert await listed(f"types[]={SESSION}.created&types[]={SESSION}.verified") == [
        "verified",
        "created",
    ]
    assert await listed("types[]=*") == []
    assert await listed(f"created={int(NOW)}") == ["created"]
    assert await listed("delivery_success=true&limit=1") == ["updated"]
    assert await listed("delivery_success=false") == []
    assert await listed(f"type={SESSION}.verified&delivery_success=true") == ["verified"]


@pytest.mark.parametrize(
    "query", ["type=a&types[]=b", "&".join(["types[]=a"] * 21), "type=", "delivery_success=1"]
)
async def test_filters_that_are_refused(api: Api, query: str) -> None:
    assert (await api("GET", f"/v1/events?{query}")).status == 400


async def test_events_are_kept_for_thirty_days(api: Api, clock: ManualClock) -> None:
    await api.session_of()
    (event,) = (await api.ok("GET", "/v1/events"))["data"]
    clock.advance(30 * 86_400)
    assert len((await api.ok("GET", "/v1/events"))["data"]) == 1
    clock.advance(1)
    assert (await api.ok("GET", "/v1/events?created[gte]=0"))["data"] == []
    reply = await api("GET", f"/v1/events/{event['id']}")
    assert (reply.status, reply.error["code"]) == (404, "resource_missing")


async def test_a_walk_backwards_is_chronological(api: Api, server: Server) -> None:
    first = await api.session_of()
    (oldest,) = (await api.ok("GET", "/v1/events"))["data"]
    server.identity.verify(first["id"])
    page = await api.ok("GET", f"/v1/events?limit=1&ending_before={oldest['id']}")
    assert [event["type"] for event in page["data"]] == [f"{SESSION}.processing"]
    assert page["has_more"] is True


@given(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_wildcards_agree_with_a_plain_definition(pattern: str, text: str) -> None:
    def matches(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(matches(pattern[1:], text[skip:]) for skip in range(len(text) + 1))
        return text[:1] == pattern[0] and matches(pattern[1:], text[1:])

    assert matches_pattern(pattern.split("*"), text) == matches(pattern, text)
