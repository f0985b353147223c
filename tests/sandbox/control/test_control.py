"""The control routes under `/_sandbox/`, and that drivers do the same as they do."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

import aiohttp
import pytest

from pinstripe.sandbox import ManualClock, Refusal, Server, Settings
from pinstripe.sandbox._state.clock import LATEST
from tests.support.sandbox_api import (
    ONRAMP,
    REPORTS,
    SESSIONS,
    Api,
    calls_during_seeding,
    one_of_each,
)

pytestmark = pytest.mark.anyio

DRIVEN = "/_sandbox/identity/verification_sessions"


@pytest.mark.parametrize("form", [True, False], ids=["form", "json"])
async def test_a_session_is_driven_over_http(restricted: Api, form: bool) -> None:
    api = restricted
    session = await api.session_of()
    path = f"{DRIVEN}/{session['id']}"

    async def post(step: str, data: Any) -> Any:
        reply = await (
            api("POST", path + step, data) if form else api("POST", path + step, json=data)
        )
        assert reply.status == 200, reply.body
        return reply.body

    assert (await post("/submit", {}))["status"] == "processing"
    failed = await post("/fail", {"code": "document_expired", "reason": "Too old."})
    assert failed["last_error"] == {"code": "document_expired", "reason": "Too old."}
    overrides: dict[str, Any] = {
        "outputs": {"first_name": "Quill", "dob": {"year": 1990}, "sex": None}
    }
    flat = {"outputs[first_name]": "Quill", "outputs[dob][year]": "1990", "outputs[sex]": ""}
    assert (await post("/verify", flat if form else overrides))["status"] == "verified"
    shown = await api.ok("GET", f"{SESSIONS}/{session['id']}?expand[]=verified_outputs.dob")
    assert shown["verified_outputs"]["first_name"] == "Quill"
    assert shown["verified_outputs"]["dob"]["year"] == 1990
    assert shown["verified_outputs"]["sex"] is None
    await api.ok("POST", f"{SESSIONS}/{session['id']}/redact")
    assert (await post("/finish_redaction", {}))["redaction"] == {"status": "redacted"}
    assert (await api("POST", path + "/finish_redaction")).error[
        "code"
    ] == "status_transition_invalid"


async def test_an_onramp_session_is_driven_over_http(api: Api) -> None:
    session = await api.ok("POST", ONRAMP)
    path = f"/_sandbox/crypto/onramp_sessions/{session['id']}"
    assert (await api.ok("POST", path + "/advance", {"status": "requires_payment"}))["status"]
    reply = await api("POST", path + "/advance", {"status": "initialized"})
    assert (reply.status, reply.error["code"]) == (400, "status_transition_invalid")
    assert (await api.ok("POST", path + "/complete"))["status"] == "fulfillment_complete"


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        (f"{DRIVEN}/vs_none/verify", {}, 404),
        (f"{DRIVEN}/vs_none/fail", {}, 400),
        (f"{DRIVEN}/vs_none/fail", {"code": "nope"}, 400),
        (f"{DRIVEN}/vs_none/verify", {"expand": "x"}, 400),
        ("/_sandbox/crypto/onramp_sessions/cos_none/complete", {}, 404),
        ("/_sandbox/identity/seed", {}, 400),
        ("/_sandbox/identity/seed", {"count": "0"}, 400),
        ("/_sandbox/identity/seed", {"count": "5", "status": "redacted"}, 400),
        ("/_sandbox/clock", {"advance": "-1"}, 400),
        ("/_sandbox/nothing", {}, 404),
    ],
)
async def test_steps_that_are_refused(api: Api, path: str, data: Any, status: int) -> None:
    assert (await api("POST", path, data)).status == status


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"\xff"]
)
async def test_json_that_is_refused(api: Api, body: bytes) -> None:
    reply = await api("POST", f"{DRIVEN}/vs_none/verify", body, Content_Type="application/json")
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")


async def test_the_key_is_needed(api: Api) -> None:
    assert (await api("POST", "/_sandbox/identity/seed", Authorization="")).status == 401


async def test_the_clock_is_moved(api: Api, clock: ManualClock) -> None:
    session = await api.session_of()
    await api.ok("POST", f"{SESSIONS}/{session['id']}/redact")
    before = clock()
    assert await api.ok("GET", "/_sandbox/clock") == {"now": before}
    assert await api.ok("POST", "/_sandbox/clock", {"advance": "60.5"}) == {"now": before + 60.5}
    reply = await api("POST", "/_sandbox/clock", json={"advance": 1})
    assert reply.body == {"now": before + 61.5}
    shown = await api.ok("GET", f"{SESSIONS}/{session['id']}")
    assert shown["redaction"] == {"status": "redacted"}


async def test_the_clock_is_set(api: Api, clock: ManualClock) -> None:
    later = clock() + 3600.5
    assert await api.ok("POST", "/_sandbox/clock", {"now": str(later)}) == {"now": later}
    assert (await api("POST", "/_sandbox/clock", json={"now": later + 1})).body == {
        "now": later + 1
    }
    for data, param in (
        ({"now": str(later)}, "now"),  # it would go back
        ({"now": "221845392001"}, "now"),
        ({"now": "999999999999999"}, "now"),
        ({"advance": "999999999999999"}, "advance"),
        ({"advance": "1", "now": str(later + 2)}, "advance"),
        ({}, "advance"),
    ):
        reply = await api("POST", "/_sandbox/clock", data)
        assert (reply.status, reply.error["param"]) == (400, param)
    assert clock() == later + 1


async def test_everything_fits_at_the_end_of_the_clock(api: Api) -> None:
    await api.ok("POST", "/_sandbox/clock", {"now": str(int(LATEST))})
    await one_of_each(api)
    for path in (SESSIONS, ONRAMP, "/v1/climate/orders", "/v1/files", "/v1/events"):
        for value in (await api.ok("GET", path))["data"]:
            for name in ("created", "expires_at", "confirmed_at"):
                datetime.fromtimestamp(value.get(name) or 0, timezone.utc)


async def test_a_clock_that_runs_by_itself_is_not_moved() -> None:
    server = Server(Settings())
    await server.start()
    async with aiohttp.ClientSession(server.url) as http:
        reply = await Api(http)("POST", "/_sandbox/clock", {"advance": "1"})
        assert reply.status == 400
    await server.stop()


def test_a_manual_clock_only_goes_forward() -> None:
    clock = ManualClock(5.0)
    assert clock.advance(0) == 5.0
    assert clock.advance(1.5) == clock() == 6.5
    for seconds in (-1, math.nan):
        with pytest.raises(ValueError, match="seconds"):
            clock.advance(seconds)
    assert clock.move_to(7.25) == clock() == 7.25
    with pytest.raises(ValueError, match="never goes back"):
        clock.move_to(7)


@pytest.mark.parametrize("time", [math.nan, math.inf, -1.0, LATEST + 1])
def test_a_manual_clock_shows_only_times_that_fit(time: float) -> None:
    clock = ManualClock(5.0)
    for change in (ManualClock, clock.move_to, lambda time: clock.advance(time - 5.0)):
        with pytest.raises(ValueError, match=r"9000|seconds must be|never goes back"):
            change(time)
    assert clock() == 5.0


async def test_seeding_spreads_sessions_over_time(
    api: Api, server: Server, clock: ManualClock
) -> None:
    assert server.identity.seed(250, interval=30) == 250
    walked: list[Any] = []
    page = await api.ok("GET", f"{SESSIONS}?limit=100")
    walked += page["data"]
    while page["has_more"]:
        page = await api.ok("GET", f"{SESSIONS}?limit=100&starting_after={walked[-1]['id']}")
        walked += page["data"]
    assert [session["created"] for session in walked] == [
        int(clock()) - 30 * age for age in range(250)
    ]
    assert len({session["id"] for session in walked}) == 250
    assert {session["status"] for session in walked} == {
        "requires_input",
        "processing",
        "verified",
        "canceled",
    }
    assert (await api.ok("GET", "/v1/events"))["data"] == []
    for session in walked:
        assert (session["client_secret"] is None) == (session["status"] != "requires_input")
        assert (session["last_verification_report"] is None) == (session["status"] != "verified")
    reports = await api.ok("GET", f"{REPORTS}?limit=1")
    (verified,) = [s for s in walked if s["last_verification_report"] == reports["data"][0]["id"]]
    assert reports["data"][0]["created"] == verified["created"]


async def test_seeding_over_http(api: Api) -> None:
    answer = await api.ok("POST", "/_sandbox/identity/seed", {"count": "3", "status": "canceled"})
    assert answer == {"created": 3}
    listed = await api.ok("GET", f"{SESSIONS}?status=canceled")
    assert [session["client_reference_id"] for session in listed["data"]] == [
        "seed-0000003",
        "seed-0000002",
        "seed-0000001",
    ]


async def test_seeding_lets_other_calls_have_their_turn(api: Api) -> None:
    assert await calls_during_seeding(api) > 4


async def test_drivers_refuse_as_endpoints_do(server: Server) -> None:
    with pytest.raises(Refusal) as caught:
        server.identity.verify("../vs_1")
    assert (caught.value.status, caught.value.code) == (404, "resource_missing")
    with pytest.raises(Refusal) as caught:
        server.identity.fail("vs_1", "nope")
    assert caught.value.param == "code"
    with pytest.raises(Refusal) as caught:
        server.crypto.advance("cos_1", "nope")
    assert caught.value.param == "status"
