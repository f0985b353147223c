"""Webhook endpoints over HTTP: every parameter, the secret, and which events they receive."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from pinstripe.sandbox import Server
from pinstripe.sandbox._webhooks.endpoints import MAX_ENDPOINTS, wants
from tests.sandbox.conftest import NOW
from tests.support.sandbox_api import Api

pytestmark = pytest.mark.anyio

PATH = "/v1/webhook_endpoints"
URL = "https://hooks.brightwater.example/stripe"


async def make(api: Api, account: str | None = None, **data: str) -> Any:
    headers = {"Stripe_Account": account} if account else {}
    given = {"url": URL, "enabled_events[0]": "*", **data}
    return await api.ok("POST", PATH, given, **headers)


async def test_an_endpoint_has_every_field_of_the_api(api: Api) -> None:
    made = await make(
        api,
        **{
            "enabled_events[0]": "identity.verification_session.verified",
            "enabled_events[1]": "crypto.onramp_session.updated",
            "api_version": "2026-10-28.endive",
            "description": "identity",
            "metadata[team]": "red",
            "connect": "false",
        },
    )
    assert made == {
        "id": made["id"],
        "object": "webhook_endpoint",
        "api_version": "2026-10-28.endive",
        "application": None,
        "created": int(NOW),
        "description": "identity",
        "enabled_events": [
            "identity.verification_session.verified",
            "crypto.onramp_session.updated",
        ],
        "livemode": False,
        "metadata": {"team": "red"},
        "secret": made["secret"],
        "status": "enabled",
        "url": URL,
    }
    assert made["id"].startswith("we_")
    assert made["secret"].startswith("whsec_")
    assert len(made["secret"]) > 20


async def test_what_is_left_out_is_null(api: Api) -> None:
    made = await make(api, description="")
    assert made["api_version"] is None
    assert made["description"] is None
    assert made["metadata"] == {}


async def test_the_secret_is_in_one_answer_only(api: Api) -> None:
    first = await make(api)
    again = await api("POST", PATH, {"url": URL, "enabled_events[]": "*"}, Idempotency_Key="k")
    replayed = await api("POST", PATH, {"url": URL, "enabled_events[]": "*"}, Idempotency_Key="k")
    assert replayed.body == again.body
    assert again.body["secret"] != first["secret"]
    one = f"{PATH}/{first['id']}"
    for shown in (
        await api.ok("GET", one),
        await api.ok("POST", one, {"description": "x"}),
        *(await api.ok("GET", PATH))["data"],
    ):
        assert "secret" not in shown
        assert "connect" not in shown
    for path in ("secret", "connect"):
        assert (await api("GET", f"{one}?expand[]={path}")).status == 400


async def test_an_update_replaces_merges_and_clears(api: Api) -> None:
    made = await make(api, description="old", **{"metadata[a]": "1", "metadata[b]": "2"})
    one = f"{PATH}/{made['id']}"
    changed = await api.ok(
        "POST",
        one,
        {
            "enabled_events[0]": "file.created",
            "url": "https://other.example",
            "disabled": "true",
            "metadata[a]": "",
            "metadata[c]": "3",
        },
    )
    assert changed["enabled_events"] == ["file.created"]
    assert changed["url"] == "https://other.example"
    assert changed["status"] == "disabled"
    assert changed["metadata"] == {"b": "2", "c": "3"}
    assert changed["description"] == "old"
    changed = await api.ok("POST", one, {"disabled": "false", "description": "", "metadata": ""})
    assert (changed["status"], changed["description"], changed["metadata"]) == ("enabled", None, {})
    assert await api.ok("GET", one) == changed
    assert await api.ok("POST", one) == changed


async def test_deleted_is_gone(api: Api) -> None:
    made = await make(api)
    one = f"{PATH}/{made['id']}"
    gone = await api.ok("DELETE", one)
    assert gone == {"id": made["id"], "object": "webhook_endpoint", "deleted": True}
    for method in ("GET", "POST", "DELETE"):
        reply = await api(method, one)
        assert (reply.status, reply.error["code"]) == (404, "resource_missing")
        assert reply.error["param"] == "webhook_endpoint"
    assert (await api.ok("GET", PATH))["data"] == []


async def test_lists_page_newest_first_and_know_no_created(api: Api) -> None:
    made = [(await make(api))["id"] for _ in range(3)]
    page = await api.ok("GET", f"{PATH}?limit=2")
    assert [each["id"] for each in page["data"]] == [made[2], made[1]]
    assert page["has_more"] is True
    rest = await api.ok("GET", f"{PATH}?starting_after={made[1]}")
    assert [each["id"] for each in rest["data"]] == [made[0]]
    assert (await api("GET", f"{PATH}?created=1")).error["code"] == "parameter_unknown"


async def test_an_account_can_have_sixteen(api: Api) -> None:
    made = [await make(api) for _ in range(MAX_ENDPOINTS)]
    await api.ok("POST", f"{PATH}/{made[0]['id']}", {"disabled": "true"})
    reply = await api("POST", PATH, {"url": URL, "enabled_events[]": "*"})
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    await make(api, account="acct_other")
    await api.ok("DELETE", f"{PATH}/{made[0]['id']}")
    await make(api)


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        ({"url": URL}, "parameter_missing", "enabled_events"),
        ({"enabled_events[]": "*"}, "parameter_missing", "url"),
        ({"url": URL, "enabled_events": ""}, "parameter_invalid_empty", "enabled_events"),
        ({"url": URL, "enabled_events": "*"}, None, "enabled_events"),
        ({"url": URL, "enabled_events[]": ""}, "parameter_invalid_empty", "enabled_events[0]"),
        (
            {"url": URL, "enabled_events[]": "*", "disabled": "true"},
            "parameter_unknown",
            "disabled",
        ),
        ({"url": URL, "enabled_events[]": "some.new_type"}, None, "enabled_events[0]"),
        ({"url": URL, "enabled_events[]": "climate.*"}, None, "enabled_events[0]"),
        ({"url": URL, "enabled_events[]": "*", "api_version": "new"}, None, "api_version"),
        (
            {"url": URL, "enabled_events[]": "*", "api_version": "2026-08-26.clover"},
            None,
            "api_version",
        ),
        ({"url": URL, "enabled_events[]": "*", "connect": "yes"}, None, "connect"),
    ],
)
async def test_parameters_are_checked(api: Api, data: Any, code: str | None, param: str) -> None:
    reply = await api("POST", PATH, data)
    assert reply.status == 400
    assert (reply.error.get("code"), reply.error["param"]) == (code, param)


async def test_an_unknown_type_is_refused_with_all_that_exist(api: Api) -> None:
    made = await make(api)
    data = {"enabled_events[0]": "file.created", "enabled_events[1]": "file.create"}
    reply = await api("POST", f"{PATH}/{made['id']}", data)
    assert reply.error["param"] == "enabled_events[1]"
    message = reply.error["message"]
    assert message.startswith("Invalid enabled_events[1]: must be one of *, account.")
    assert " file.created, " in message
    assert (await api.ok("GET", f"{PATH}/{made['id']}"))["enabled_events"] == ["*"]


@pytest.mark.parametrize(
    "url",
    [
        "hooks.example",
        "/hook",
        "ftp://127.0.0.1/",
        "http://hooks.example/",
        "http://127.0.0.1.hooks.example/",
        "http://localhost.hooks.example/",
        "http://127.0.0.1@hooks.example/",
        "http://hooks.example#@127.0.0.1/",
        "https://",
        "https://hooks.example:99999/",
        "https://hooks example/",
        "https://[::1/",
        "https://hooks.example/\n",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
    ],
)
async def test_addresses_that_are_refused(api: Api, url: str) -> None:
    reply = await api("POST", PATH, {"url": url, "enabled_events[]": "*"})
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "url_invalid", "url")
    made = await make(api)
    reply = await api("POST", f"{PATH}/{made['id']}", {"url": url})
    assert (reply.status, reply.error["code"]) == (400, "url_invalid")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/hook",
        "http://LOCALHOST:4242/hook?x=1",
        "http://127.0.0.2/",
        "http://[::1]:80/",
        "https://hooks.example:8443/a?b",
        "https://user:pass@hooks.example/",
    ],
)
async def test_addresses_that_are_taken(api: Api, url: str) -> None:
    assert (await make(api, url=url))["url"] == url


def test_a_star_means_all_types_except_those_that_need_naming() -> None:
    redacted = "identity.verification_session.redacted"
    assert wants(["*"], "climate.order.created")
    assert not wants(["*"], redacted)
    assert wants(["*", redacted], redacted)
    assert wants([redacted], redacted)
    assert not wants(["climate.*"], "climate.order.created")
    assert not wants([redacted], "file.created")


async def test_the_same_seed_makes_the_same_secret(server: Server, api: Api) -> None:
    other = Server(server.world.settings)
    await other.start()
    try:
        made = await make(api)
        async with aiohttp.ClientSession(other.url) as session:
            assert await make(Api(session)) == made
    finally:
        await other.stop()
