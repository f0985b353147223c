"""What shows the sandbox at work: its accounts, its log of requests, and the stream of changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from pinstripe.sandbox import ManualClock, Sandbox, Server
from pinstripe.sandbox._traffic.request_log import MAX_ENTRIES, LoggedRequest, RequestLog
from tests.sandbox.conftest import NOW
from tests.support.sandbox_api import PNG, SESSIONS, Api

pytestmark = pytest.mark.anyio

REQUESTS = "/_sandbox/requests"
SESSION = "identity.verification_session"


async def log(api: Api, query: str = "") -> list[dict[str, Any]]:
    return (await api.ok("GET", f"{REQUESTS}{query}"))["requests"]


@asynccontextmanager
async def following(api: Api) -> AsyncIterator[aiohttp.StreamReader]:
    headers = {"Authorization": f"Bearer {api.key}"}
    async with api.session.get("/_sandbox/stream", headers=headers) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert await changes(response.content) == set()
        yield response.content


async def changes(stream: aiohttp.StreamReader) -> set[tuple[str | None, str]]:
    """Return what the next event of a stream says."""
    event = await asyncio.wait_for(stream.readuntil(b"\n\n"), 10)
    name, data = event.decode().strip().split("\n")
    assert name == "event: change"
    changed = json.loads(data.removeprefix("data: "))["changed"]
    return {(each["account"], each["topic"]) for each in changed}


async def test_a_request_is_logged_with_what_it_sent_and_got(api: Api) -> None:
    reply = await api("POST", SESSIONS, {"type": "document", "metadata[a]": "b"})
    (entry,) = await log(api)
    assert entry.pop("milliseconds") > 0
    assert entry == {
        "id": reply.headers["Request-Id"],
        "number": 1,
        "account": None,
        "at": NOW,
        "error": None,
        "fault": False,
        "method": "POST",
        "params": {"type": "document", "metadata": {"a": "b"}},
        "path": SESSIONS,
        "replayed": False,
        "status": 200,
    }


async def test_requests_to_the_sandbox_itself_stay_out_even_if_they_are_refused(api: Api) -> None:
    elsewhere = {"Host": "elsewhere.test"}
    refused = await api("GET", REQUESTS, **elsewhere)
    assert (refused.status, await log(api)) == (403, [])


async def test_refusals_replays_and_faults_are_marked(api: Api, server: Server) -> None:
    await api("GET", f"{SESSIONS}/vs_none?expand[]=x", Stripe_Account="acct_1")
    await api("GET", "/v1/nothing", Authorization="")
    for _ in range(2):
        await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="k")
    await api("POST", "/_sandbox/faults", {"status": "503"})
    await api("GET", SESSIONS)
    struck, again, first, no_key, missing = await log(api)
    assert (struck["status"], struck["fault"], struck["error"]["type"]) == (503, True, "api_error")
    assert (again["replayed"], first["replayed"]) == (True, False)
    assert (no_key["status"], no_key["path"]) == (401, "/v1/nothing")
    assert (missing["account"], missing["params"]) == ("acct_1", {"expand": ["x"]})


async def test_a_cut_connection_has_no_status(api: Api) -> None:
    await api("POST", "/_sandbox/faults", {"cut": "true"})
    with pytest.raises(aiohttp.ClientConnectionError):
        await api("POST", SESSIONS)
    assert [(each["status"], each["fault"]) for each in await log(api)] == [(None, True)]


async def test_the_sandbox_itself_and_its_pages_are_not_in_the_log(api: Api) -> None:
    await api("GET", "/_sandbox/clock")
    async with api.session.get("/") as page:
        assert page.status == 200
    assert await log(api) == []


async def test_pages_of_the_log(api: Api) -> None:
    for _ in range(5):
        await api("GET", SESSIONS)
    page = await api.ok("GET", f"{REQUESTS}?limit=2")
    assert ([each["number"] for each in page["requests"]], page["has_more"]) == ([5, 4], True)
    page = await api.ok("GET", f"{REQUESTS}?limit=3&before=4")
    assert ([each["number"] for each in page["requests"]], page["has_more"]) == ([3, 2, 1], False)
    assert [each["number"] for each in await log(api, "?after=3")] == [5, 4]
    assert await api.ok("DELETE", REQUESTS) == {"requests": [], "has_more": False}
    await api("GET", SESSIONS)
    assert [each["number"] for each in await log(api)] == [6]


def test_the_log_is_bounded() -> None:
    log = RequestLog()
    for _ in range(MAX_ENTRIES + 5):
        log.add(LoggedRequest("req_1", "GET"))
    kept = log.find(limit=10 * MAX_ENTRIES)
    assert (len(kept), kept[-1].number) == (MAX_ENTRIES, 6)


async def test_large_parameters_and_files_are_cut(api: Api) -> None:
    await api("POST", SESSIONS, {"type": "document", "client_reference_id": "x" * 5000})
    await api("POST", SESSIONS, {f"p{number}": "x" * 100 for number in range(60)})
    form = aiohttp.FormData({"purpose": "dispute_evidence"})
    form.add_field("file", PNG, filename="a.png", content_type="image/png")
    await api.ok("POST", "/v1/files", form)
    await api("POST", SESSIONS, {f"metadata[{number}]": "x" * 500 for number in range(20)})
    nested, file, many, long = [each["params"] for each in await log(api)]
    assert long == {"type": "document", "client_reference_id": "x" * 200 + "…"}
    assert len(many) == 50
    assert file == {"purpose": "dispute_evidence", "file": f"a.png ({len(PNG)} bytes)"}
    assert nested == {"metadata": "…"}


async def test_accounts_with_what_they_have(api: Api) -> None:
    await api.session_of()
    await api.ok("GET", SESSIONS, Stripe_Account="acct_1")
    first, second = (await api.ok("GET", "/_sandbox/accounts"))["accounts"]
    assert (first["id"], second["id"]) == (None, "acct_1")
    assert (first["objects"][SESSION], second["objects"][SESSION]) == (1, 0)


async def test_the_stream_names_what_changed(api: Api, clock: ManualClock) -> None:
    async with following(api) as stream:
        await api.ok("POST", SESSIONS, {"type": "document"}, Stripe_Account="acct_1")
        seen: set[tuple[str | None, str]] = set()
        while (None, "requests") not in seen:
            seen |= await changes(stream)
        assert seen == {("acct_1", SESSION), ("acct_1", "event"), (None, "requests")}
        clock.advance(5)
        assert await changes(stream) == {(None, "clock")}
        await api("POST", "/_sandbox/rate_limit", {"account": "5"})
        assert await changes(stream) == {(None, "faults")}
        await api("POST", "/_sandbox/faults", {"status": "500"})
        assert await changes(stream) == {(None, "faults")}


async def test_many_changes_come_as_few(api: Api) -> None:
    async with following(api) as stream:
        seeded = await api.ok("POST", "/_sandbox/identity/seed", {"count": "5000"})
        assert seeded == {"created": 5000}
        await api("GET", SESSIONS)
        # They happened within a few slices, and one event tells of all that happened in one.
        events = 0
        while (None, "requests") not in (seen := await changes(stream)):
            assert (None, SESSION) in seen
            events += 1
        assert events < 500


async def test_a_follower_that_hangs_up_is_forgotten(api: Api, server: Server) -> None:
    async with following(api):
        assert len(server.world.feed._followers) == 1

    async def until_forgotten() -> None:
        while server.world.feed._followers:
            await api("GET", SESSIONS)

    await asyncio.wait_for(until_forgotten(), 10)


async def test_an_open_stream_does_not_hold_up_a_stop() -> None:
    sandbox = Sandbox(clock=ManualClock())
    async with aiohttp.ClientSession() as session:
        async with sandbox:
            headers = {"Authorization": "Bearer sk_test_any"}
            url = f"{sandbox.url}/_sandbox/stream"
            responses = [await session.get(url, headers=headers) for _ in range(3)]
            for response in responses:
                await response.content.readuntil(b"\n\n")
        # A runner that loses its patience cuts the answers, and to read one then raises.
        for response in responses:
            assert await response.read() == b""


async def test_a_stream_needs_a_key(api: Api) -> None:
    assert (await api("GET", "/_sandbox/stream", Authorization="")).status == 401
