"""The sandbox as a whole: its index, its health, and a fresh start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pinstripe.sandbox import ManualClock, Server, Settings
from pinstripe.sandbox._server import ROUTES
from tests.sandbox.conftest import NOW
from tests.support.receiver import receiving
from tests.support.sandbox_api import SESSIONS, WEBHOOKS, Api, one_of_each

pytestmark = pytest.mark.anyio

RESET = "/_sandbox/reset"


async def test_the_index_lists_every_control_route_with_its_parameters(api: Api) -> None:
    listed = (await api.ok("GET", "/_sandbox/", Authorization=""))["data"]
    shown = {(entry["method"], entry["path"]): entry for entry in listed}
    for route in ROUTES:
        if route.control and not route.open:
            entry = shown.pop((route.method, route.path))
            assert set(entry["parameters"]) == set(route.params.fields)
            assert entry["about"].endswith(".")
            assert entry["key"]
    assert set(shown) == {("GET", "/_sandbox/"), ("GET", "/_sandbox/health")}


async def test_the_index_says_what_a_parameter_takes(api: Api) -> None:
    listed = (await api.ok("GET", "/_sandbox/"))["data"]
    shown = {(entry["method"], entry["path"]): entry["parameters"] for entry in listed}
    assert shown["POST", "/_sandbox/identity/seed"] == {
        "count": "whole number from 1 to 1000000 (required)",
        "interval": "whole number from 0 to 86400",
        "status": "one of canceled, processing, requires_input, verified",
    }
    product = shown["POST", "/_sandbox/climate/products"]
    assert product["suppliers"] == "list; each: text (required)"
    assert product["prices"].startswith("minor units per metric ton")
    verify = shown["POST", "/_sandbox/identity/verification_sessions/{session}/verify"]
    assert verify["outputs"]["sex"] == "text such as female, male, unknown, or null"
    assert verify["outputs"]["dob"]["day"] == "whole number from 1 to 31"
    deliveries = shown["GET", "/_sandbox/webhooks/deliveries"]
    assert deliveries["created"].startswith("seconds since the epoch")
    assert shown["POST", "/_sandbox/faults"]["cut"] == "true or false"


async def test_the_index_is_a_page_for_a_browser(server: Server) -> None:
    headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with (
        aiohttp.ClientSession(server.url, headers=headers) as http,
        http.get("/_sandbox/") as response,
    ):
        assert (response.status, response.content_type) == (200, "text/html")
        text = await response.text()
    assert "POST /_sandbox/climate/orders/{order}/delay" in text
    assert "expected_delivery_year" in text


async def test_health_needs_no_key(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http, http.get("/_sandbox/health") as response:
        expected = {"status": "ok", "api_version": "2026-10-28.endive", "now": NOW}
        assert await response.json() == expected


async def everything(api: Api, **headers: str) -> list[Any]:
    """Return every object that lists show, except those that every account has."""
    paths = (SESSIONS, "/v1/crypto/onramp_sessions", "/v1/climate/orders", "/v1/files")
    pages = [await api.ok("GET", path, **headers) for path in (*paths, WEBHOOKS, "/v1/events")]
    return [value for page in pages for value in page["data"]]


async def test_a_reset_forgets_everything(api: Api, server: Server, clock: ManualClock) -> None:
    await one_of_each(api)
    await api.ok("POST", SESSIONS, {"type": "document"}, Stripe_Account="acct_1")
    await api.ok("POST", "/_sandbox/faults", {"cut": "true", "path": "/never"})
    await api.ok("POST", "/_sandbox/rate_limit", {"account": "1000"})
    file = (await api.ok("GET", "/v1/files"))["data"][0]
    assert await api.ok("POST", RESET) == {"scope": "all"}
    assert await everything(api) == await everything(api, Stripe_Account="acct_1") == []
    for path, name in (("faults", "faults"), ("effects", "effects")):
        assert (await api.ok("GET", f"/_sandbox/{path}"))[name] == []
    assert (await api.ok("GET", "/_sandbox/rate_limit"))["account"] is None
    assert (await api("GET", f"/v1/files/{file['id']}/contents")).status == 404
    assert clock() == NOW


async def test_a_reset_of_one_account_leaves_the_others(api: Api) -> None:
    mine = await api.session_of()
    made = {}
    for account in ("acct_1", "acct_2"):
        data = {"type": "document"}
        made[account] = await api.ok("POST", SESSIONS, data, Stripe_Account=account)
    assert await api.ok("POST", RESET, Stripe_Account="acct_1") == {"scope": "account"}
    assert await everything(api, Stripe_Account="acct_1") == []
    assert made["acct_2"] in await everything(api, Stripe_Account="acct_2")
    assert mine["id"] in {value["id"] for value in await everything(api)}
    assert await api.ok("POST", RESET, {"scope": "account"}) == {"scope": "account"}
    assert await everything(api) == []
    assert made["acct_2"] in await everything(api, Stripe_Account="acct_2")
    await api.ok("POST", RESET, {"scope": "all"}, Stripe_Account="acct_1")
    assert await everything(api, Stripe_Account="acct_2") == []


async def test_ids_do_not_repeat_after_a_reset_and_keys_are_free(api: Api) -> None:
    ids = set()
    for _ in range(3):
        reply = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="k")
        assert "Idempotent-Replayed" not in reply.headers
        ids.add(reply.body["id"])
        await api.ok("POST", RESET)
    assert len(ids) == 3


async def test_a_reset_ends_the_deliveries_that_are_under_way(api: Api, server: Server) -> None:
    async with receiving() as receiver:
        begun = asyncio.Event()

        async def never() -> int:
            begun.set()
            await asyncio.Event().wait()
            return 200

        receiver.answers = [never]
        await api.ok("POST", WEBHOOKS, {"url": receiver.url, "enabled_events[]": "*"})
        await api.session_of()
        await begun.wait()
        await api.ok("POST", RESET)
        await server.webhooks.flush()
        assert server.webhooks.deliveries() == []
    assert await everything(api) == []


@pytest.mark.parametrize("scope", ["all", "account"])
async def test_a_reset_empties_the_file(tmp_path: Path, scope: str) -> None:
    settings = Settings(clock=ManualClock(NOW + 5), store=tmp_path / "sandbox.db")
    server = Server(settings)
    await server.start()
    async with aiohttp.ClientSession(server.url) as http:
        api = Api(http)
        await one_of_each(api)
        kept = await api.ok("POST", SESSIONS, {"type": "document"}, Stripe_Account="acct_1")
        await api.ok("POST", RESET, {"scope": scope})
        after = await api.session_of()
    await server.stop()
    again = Server(Settings(clock=ManualClock(NOW), store=tmp_path / "sandbox.db"))
    await again.start()
    async with aiohttp.ClientSession(again.url) as http:
        api = Api(http)
        assert (await api.ok("GET", "/_sandbox/clock"))["now"] == NOW + 5
        sessions = (await api.ok("GET", SESSIONS))["data"]
        assert [session["id"] for session in sessions] == [after["id"]]
        others = (await api.ok("GET", SESSIONS, Stripe_Account="acct_1"))["data"]
        assert [each["id"] for each in others] == ([kept["id"]] if scope == "account" else [])
    await again.stop()


async def test_a_reset_of_many_objects_is_short(api: Api, server: Server) -> None:
    server.identity.seed(3000)
    account = server.world.account()
    await api.ok("POST", RESET)
    assert await everything(api) == []
    # What is gone is freed a little at a time, while other calls are answered.
    table = account.tables["identity.verification_session"]
    while len(table):
        await api.ok("GET", SESSIONS)
