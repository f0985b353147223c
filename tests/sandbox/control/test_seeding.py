"""Objects of every kind that are made as if it was earlier."""

from __future__ import annotations

from typing import Any

import pytest

from pinstripe.sandbox import ManualClock, Sandbox, Server
from pinstripe.sandbox._control.seeding import _RECIPES
from pinstripe.sandbox._server import KINDS
from tests.sandbox.conftest import NOW
from tests.support.receiver import receiving
from tests.support.sandbox_api import SESSIONS, WEBHOOKS, Api

pytestmark = pytest.mark.anyio

SEED = "/_sandbox/seed"
# Every account has the suppliers of the catalogue, and deliveries come from events.
NOT_SEEDED = {"climate.supplier", "sandbox.webhook_delivery"}


def test_every_kind_can_be_seeded() -> None:
    assert set(_RECIPES) == {kind.name for kind in KINDS} - NOT_SEEDED


@pytest.mark.parametrize("kind", _RECIPES)
async def test_a_kind_is_seeded_in_the_past(api: Api, server: Server, kind: str) -> None:
    answer = await api.ok("POST", SEED, {"kind": kind, "count": "9", "interval": "3600"})
    assert (answer["created"], len(set(answer["ids"]))) == (9, 9)
    values = server.world.account().tables[kind]
    assert len(values) == 9 if kind != "climate.product" else len(values) > 9
    if kind not in ("identity.verification_report", "event"):
        stored = [values.get(id) for id in answer["ids"]]
        assert [value["created"] for value in stored if value] == [
            int(NOW) - 3600 * age for age in range(9)
        ]
        assert [value.get("status") for value in stored if value] == _statuses(kind)
    # It leaves no trace that a request of now would leave.
    assert (await api.ok("GET", "/_sandbox/effects"))["effects"] == []
    assert bool((await api.ok("GET", "/v1/events"))["data"]) == (kind == "event")


def _statuses(kind: str) -> list[str | None]:
    statuses: list[str | None] = [*_RECIPES[kind].statuses]
    if not statuses:
        receives = kind in ("v2.core.event_destination", "webhook_endpoint")
        statuses = ["enabled" if receives else None]
    return [statuses[age % len(statuses)] for age in range(9)]


async def test_status_and_parameters_are_those_that_are_asked_for(api: Api) -> None:
    params = {"metadata": {"user": "{number}"}, "type": "id_number"}
    seed = {"kind": "identity.verification_session", "count": 2, "status": "verified"}
    reply = await api("POST", SEED, json={**seed, "params": params})
    sessions = (await api.ok("GET", SESSIONS))["data"]
    assert [session["id"] for session in sessions] == reply.body["ids"]
    assert [session["metadata"]["user"] for session in sessions] == ["0000002", "0000001"]
    assert {session["status"] for session in sessions} == {"verified"}
    assert {session["type"] for session in sessions} == {"id_number"}


async def test_events_are_kept_on_request_and_never_delivered(api: Api, server: Server) -> None:
    async with receiving() as receiver:
        await api.ok("POST", WEBHOOKS, {"url": receiver.url, "enabled_events[]": "*"})
        seed = {"kind": "climate.order", "status": "delivered", "count": "2", "events": "true"}
        await api.ok("POST", SEED, seed)
        await server.webhooks.flush()
        assert receiver.received == []
    events = (await api.ok("GET", "/v1/events?type=climate.order.delivered"))["data"]
    assert [event["created"] for event in events] == [int(NOW), int(NOW) - 60]
    assert {event["pending_webhooks"] for event in events} == {0}


async def test_what_was_due_since_then_happens(api: Api) -> None:
    params = {"params[metadata][sandbox_status]": "open", "interval": str(4 * 86_400)}
    await api.ok(
        "POST", SEED, {"kind": "climate.order", "status": "confirmed", "count": "3", **params}
    )
    orders = (await api.ok("GET", "/v1/climate/orders"))["data"]
    assert [order["status"] for order in orders] == ["open", "open", "canceled"]


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({}, "kind"),
        ({"kind": "climate.supplier"}, "kind"),
        ({"kind": "file", "count": "0"}, "count"),
        ({"kind": "file", "count": "1000001"}, "count"),
        ({"kind": "file", "status": "verified"}, "status"),
        ({"kind": "file", "params": "x"}, "params"),
        ({"kind": "file", "params[nope]": "x"}, "nope"),
        ({"kind": "webhook_endpoint", "params[url]": "http://elsewhere.example/"}, "url"),
    ],
)
async def test_seeds_that_are_refused(api: Api, data: dict[str, str], param: str) -> None:
    reply = await api("POST", SEED, data)
    assert (reply.status, reply.error["param"]) == (400, param)


def test_the_driver_seeds_any_account() -> None:
    with Sandbox(clock=ManualClock()) as sandbox, sandbox.sync_client() as stripe:
        made: list[Any] = sandbox.seed("climate.order", 3, status="delivered", account="acct_1")
        mine = sandbox.seed("crypto.onramp_session", interval=5, params={"metadata": {"a": "b"}})
        with sandbox.sync_client(account="acct_1") as connected:
            assert [order.id for order in connected.climate.orders.list()] == made
        assert [session.id for session in stripe.crypto.onramp_sessions.list()] == mine
        sandbox.reset("acct_1")
        with sandbox.sync_client(account="acct_1") as connected:
            assert [order.id for order in connected.climate.orders.list()] == []
        assert [session.id for session in stripe.crypto.onramp_sessions.list()] == mine
        sandbox.reset()
        assert [session.id for session in stripe.crypto.onramp_sessions.list()] == []
