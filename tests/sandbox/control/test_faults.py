"""Faults on demand, and the effects that requests really had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

import pinstripe
from pinstripe.sandbox import ManualClock, Refusal, Sandbox
from tests.support.sandbox_api import ONRAMP, QUOTES, SESSIONS, Api

FAULTS = "/_sandbox/faults"
EFFECTS = "/_sandbox/effects"
pytestmark = pytest.mark.anyio


def sandbox_options() -> dict[str, Any]:
    return {"seed": 3, "clock": ManualClock()}


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession(sandbox.url) as session:
        yield Api(session)


async def create(api: Api, key: str = "k") -> Any:
    return await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key=key)


async def count(api: Api) -> int:
    return len((await api.ok("GET", SESSIONS))["data"])


@pytest.mark.parametrize(
    ("status", "type", "code"),
    [
        (429, "invalid_request_error", "rate_limit"),
        (500, "api_error", None),
        (503, "api_error", None),
    ],
)
async def test_a_status_without_effect_can_be_tried_again(
    sandbox: Sandbox, api: Api, status: int, type: str, code: str | None
) -> None:
    sandbox.faults.add(status=status, count=1)
    reply = await create(api)
    assert (reply.status, reply.error["type"], reply.error.get("code")) == (status, type, code)
    assert ("Stripe-Rate-Limited-Reason" in reply.headers) == (status == 429)
    assert reply.headers["Request-Id"].startswith("req_")
    assert await count(api) == 0
    assert sandbox.effects() == []
    again = await create(api)
    assert again.status == 200
    assert "Idempotent-Replayed" not in again.headers
    assert [effect["id"] for effect in sandbox.effects("k")] == [again.body["id"]]


async def test_a_500_with_effect_stays_what_it_was(sandbox: Sandbox, api: Api) -> None:
    sandbox.faults.add(status=500, effect=True, count=1)
    assert (await create(api)).status == 500
    again = await create(api)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (500, "true")
    assert await count(api) == 1
    assert len(sandbox.effects("k")) == 1


async def test_a_gateway_loses_the_answer_only(sandbox: Sandbox, api: Api) -> None:
    sandbox.faults.add(status=502, effect=True, count=1)
    assert (await create(api)).status == 502
    again = await create(api)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert await count(api) == 1
    assert [effect["id"] for effect in sandbox.effects("k")] == [again.body["id"]]


@pytest.mark.parametrize("effect", [False, True])
async def test_a_cut_connection(sandbox: Sandbox, api: Api, effect: bool) -> None:
    sandbox.faults.add(cut=True, effect=effect, count=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await create(api)
    assert await count(api) == int(effect)
    again = await create(api)
    assert again.status == 200
    assert ("Idempotent-Replayed" in again.headers) == effect
    assert await count(api) == 1
    assert len(sandbox.effects("k")) == 1


async def test_latency_holds_one_answer_and_no_other(sandbox: Sandbox, api: Api) -> None:
    sandbox.faults.add(latency=300, path=QUOTES)
    held = asyncio.create_task(api("GET", QUOTES))
    assert (await api("GET", SESSIONS)).status == 200
    assert not held.done()
    held.cancel()
    sandbox.faults.clear()
    sandbox.faults.add(latency=0.01, path=QUOTES)
    assert (await api("GET", QUOTES)).status == 200


async def test_a_fault_picks_its_requests(sandbox: Sandbox, api: Api) -> None:
    sandbox.faults.add(status=500, method="POST", path="/v1/*/onramp_sessions", count=2)
    sandbox.faults.add(status=503, path="/v1/[c]rypto/*")
    asked = [("GET", ONRAMP), ("POST", SESSIONS), ("POST", ONRAMP), ("POST", ONRAMP)]
    statuses = [(await api(method, path)).status for method, path in (*asked, ("POST", ONRAMP))]
    assert statuses == [200, 400, 500, 500, 200]
    assert [fault["hits"] for fault in sandbox.faults.list()] == [2, 0]
    sandbox.faults.clear()
    assert sandbox.faults.list() == []


async def test_the_oldest_fault_comes_first(sandbox: Sandbox, api: Api) -> None:
    sandbox.faults.add(status=500, count=1)
    sandbox.faults.add(status=503, count=1)
    statuses = [(await api("GET", SESSIONS)).status for _ in range(3)]
    assert statuses == [500, 503, 200]


async def test_a_chance_is_repeatable() -> None:
    async def statuses() -> list[int]:
        async with Sandbox(seed=9) as sandbox, aiohttp.ClientSession(sandbox.url) as session:
            sandbox.faults.add(status=500, probability=0.5)
            return [(await Api(session)("GET", SESSIONS)).status for _ in range(40)]

    first = await statuses()
    assert set(first) == {200, 500}
    assert first == await statuses()


@pytest.mark.parametrize(
    ("fault", "param"),
    [
        ({}, "latency"),
        ({"status": "399"}, "status"),
        ({"status": "600"}, "status"),
        ({"code": "lock_timeout"}, "status"),
        ({"cut": "true", "message": "Wait."}, "status"),
        ({"status": "400", "type": "odd_error"}, "type"),
        ({"status": "400", "effect": "true"}, "effect"),
        ({"status": "500", "cut": "true"}, "cut"),
        ({"status": "429", "effect": "true"}, "effect"),
        ({"latency": "1", "effect": "true"}, "effect"),
        ({"cut": "true", "probability": "1.5"}, "probability"),
        ({"cut": "true", "probability": "0"}, "probability"),
        ({"cut": "true", "count": "0"}, "count"),
        ({"cut": "true", "method": "PUT"}, "method"),
        ({"latency": "601"}, "latency"),
        ({"color": "red"}, "color"),
    ],
)
async def test_faults_that_make_no_sense(api: Api, fault: dict[str, str], param: str) -> None:
    reply = await api("POST", FAULTS, fault)
    assert (reply.status, reply.error["param"]) == (400, param)


async def test_faults_over_http(sandbox: Sandbox, api: Api) -> None:
    added = await api.ok("POST", FAULTS, {"status": "503", "count": "1", "method": "GET"})
    assert added == {
        "latency": 0.0,
        "status": 503,
        "code": None,
        "type": None,
        "message": None,
        "param": None,
        "cut": False,
        "effect": False,
        "method": "GET",
        "path": None,
        "count": 1,
        "probability": 1.0,
        "hits": 0,
        "id": "fault_1",
    }
    assert (await api("GET", SESSIONS)).status == 503
    assert (await api.ok("GET", FAULTS))["faults"] == [{**added, "count": 0, "hits": 1}]
    assert await api.ok("DELETE", FAULTS) == {"faults": []}
    with pytest.raises(Refusal):
        sandbox.faults.add(status=200)


@pytest.mark.parametrize(
    ("status", "type"),
    [(400, "invalid_request_error"), (429, "invalid_request_error"), (503, "api_error")],
)
async def test_a_fault_has_the_words_that_it_was_given(
    sandbox: Sandbox, api: Api, status: int, type: str
) -> None:
    sandbox.faults.add(status=status, code="lock_timeout", message="Wait.", param="type", count=1)
    reply = await create(api)
    assert (reply.status, reply.error["type"], reply.error["code"]) == (
        status,
        type,
        "lock_timeout",
    )
    assert (reply.error["message"], reply.error["param"]) == ("Wait.", "type")
    assert "Stripe-Rate-Limited-Reason" not in reply.headers
    assert (await create(api)).status == 200
    sandbox.faults.add(status=402, type="card_error")
    assert (await create(api, "other")).error["type"] == "card_error"


async def test_one_fault_is_removed_and_the_others_stay(sandbox: Sandbox, api: Api) -> None:
    first, second = sandbox.faults.add(status=500), sandbox.faults.add(status=503)
    sandbox.faults.remove(first)
    assert [fault["id"] for fault in sandbox.faults.list()] == [second]
    assert (await api("GET", SESSIONS)).status == 503
    with pytest.raises(Refusal, match=f"No such fault: '{first}'"):
        sandbox.faults.remove(first)
    assert await api.ok("DELETE", f"{FAULTS}/{second}") == {"faults": []}


async def test_only_the_api_is_struck(sandbox: Sandbox, api: Api) -> None:
    sandbox.faults.add(cut=True)
    assert (await api("GET", EFFECTS)).status == 200
    assert (await api("GET", "/v1/nothing")).status == 404
    assert (await api("GET", SESSIONS, Authorization="")).status == 401


async def test_the_ledger_of_effects(sandbox: Sandbox, api: Api) -> None:
    first = await create(api, "a")
    assert (await create(api, "a")).headers["Idempotent-Replayed"] == "true"
    await create(api, "b")
    assert (await api("POST", SESSIONS, {"type": "nothing"}, Idempotency_Key="c")).status == 400
    await api.ok("GET", f"{SESSIONS}/{first.body['id']}")
    await api.ok("POST", f"/_sandbox/identity/verification_sessions/{first.body['id']}/submit")
    canceled = await api("POST", f"{SESSIONS}/{first.body['id']}/cancel", Idempotency_Key="d")
    assert canceled.error["code"] == "status_transition_invalid"
    effects = sandbox.effects()
    assert [effect["idempotency_key"] for effect in effects] == ["a", "b"]
    assert effects[0] == {
        "request": first.headers["Request-Id"],
        "idempotency_key": "a",
        "account": None,
        "method": "POST",
        "path": SESSIONS,
        "object": "identity.verification_session",
        "id": first.body["id"],
        "created": sandbox.clock(),
    }
    over_http = await api.ok("GET", f"{EFFECTS}?idempotency_key=b")
    assert over_http == {"effects": sandbox.effects("b")} == {"effects": [effects[1]]}


async def test_a_client_acts_exactly_once_through_it_all(sandbox: Sandbox) -> None:
    sandbox.faults.add(cut=True, effect=True, probability=0.2, method="POST")
    sandbox.faults.add(cut=True, probability=0.2)
    sandbox.faults.add(status=503, effect=True, probability=0.2)
    sandbox.faults.add(status=429, probability=0.2)
    retry = pinstripe.RetryPolicy(max_attempts=40, base=0.001, cap=0.002)
    async with sandbox.client(retry=retry, timeout=30.0) as stripe:
        sessions = await asyncio.gather(
            *[stripe.identity.verification_sessions.create(type="document") for _ in range(30)]
        )
    effects = sandbox.effects()
    assert sorted(effect["id"] for effect in effects) == sorted(s.id for s in sessions)
    assert len({effect["idempotency_key"] for effect in effects}) == 30


def test_faults_in_a_thread() -> None:
    with Sandbox() as sandbox:
        sandbox.faults.add(latency=0.00001)
        assert sandbox.faults.list()[0]["latency"] == 0.00001
        sandbox.faults.clear()
        assert sandbox.effects() == []
