"""The log of thin events: pages that link to each other, filters, and 30 days."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from yarl import URL

from pinstripe.sandbox import ManualClock
from pinstripe.sandbox._state.versions import API_VERSION
from pinstripe.sandbox._v2.thin import TYPES
from tests.support.sandbox_api import SESSIONS, Api, one_of_each

pytestmark = pytest.mark.anyio

PATH = "/v2/core/events"


async def get(api: Api, path: str) -> Any:
    return await api.ok("GET", path, Stripe_Version=API_VERSION)


async def refused(api: Api, path: str | URL) -> Any:
    reply = await api("GET", path, Stripe_Version=API_VERSION)
    assert reply.status == 400
    return reply.error


async def pages_from(api: Api, link: str | None, name: str) -> list[list[str]]:
    pages = []
    while link is not None:
        page = await get(api, link)
        pages.append([event["id"] for event in page["data"]])
        link = page[name]
    return pages


async def test_every_event_has_a_thin_one_except_those_of_the_onramp(api: Api) -> None:
    await one_of_each(api)
    snapshots = (await api.ok("GET", "/v1/events?limit=100"))["data"]
    thin = (await get(api, f"{PATH}?limit=100"))["data"]
    assert [event["snapshot_event"] for event in thin] == [
        event["id"] for event in snapshots if event["type"] in TYPES
    ]
    assert len(thin) < len(snapshots)
    for event in thin:
        related = event["related_object"]
        assert (await api.ok("GET", related["url"]))["id"] == related["id"]
        assert await get(api, f"{PATH}/{event['id']}") == event
    made = thin[-1]
    assert made["reason"]["type"] == "request"
    assert made["reason"]["request"]["idempotency_key"] == ""
    moved = next(event for event in thin if event["type"].endswith(".verified"))
    assert moved["reason"] is None


async def test_pages_link_to_the_pages_beside_them(api: Api) -> None:
    for _ in range(5):
        await api.session_of()
    forth = await pages_from(api, f"{PATH}?limit=2", "next_page_url")
    assert [len(page) for page in forth] == [2, 2, 1]
    first = await get(api, f"{PATH}?limit=2")
    assert first["previous_page_url"] is None
    second = await get(api, first["next_page_url"])
    last = await get(api, second["next_page_url"])
    assert last["next_page_url"] is None
    back = await pages_from(api, last["previous_page_url"], "previous_page_url")
    assert back == [forth[1], forth[0]]
    returned = await get(api, last["previous_page_url"])
    assert await pages_from(api, returned["next_page_url"], "next_page_url") == [forth[2]]
    assert (await get(api, f"{PATH}?object_id=nobody"))["data"] == []


async def test_a_link_has_the_filters_of_the_first_page(api: Api, clock: ManualClock) -> None:
    for _ in range(3):
        session = await api.session_of()
        await api.ok("POST", f"{SESSIONS}/{session['id']}/cancel")
        clock.advance(60)
    created = "v1.identity.verification_session.created"
    filters = f"types[0]={created}&created[gte]=2026-09-27T12:00:30Z&limit=1"
    pages = await pages_from(api, f"{PATH}?{filters}", "next_page_url")
    assert [len(page) for page in pages] == [1, 1]
    await api.ok("POST", "/_sandbox/reset")


def token(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


BAD_TOKENS = [
    "x",
    "é",
    "AAAA",
    token([]),
    token({"params": {"limit": 5}}),
    token({"params": {}})[:-3],
]


@pytest.mark.parametrize("page", BAD_TOKENS)
async def test_a_token_that_no_link_had_is_refused(api: Api, page: str) -> None:
    assert (await refused(api, URL(PATH) % {"page": page}))["param"] == "page"


async def test_what_is_in_a_token_is_checked(api: Api) -> None:
    gone = token({"params": {}, "after": "evt_none"})
    assert (await refused(api, f"{PATH}?page={gone}"))["param"] == "page"
    wrong = token({"params": {"limit": "many"}})
    assert (await refused(api, f"{PATH}?page={wrong}"))["param"] == "limit"
    both = await refused(api, f"{PATH}?page={gone}&limit=2")
    assert both["param"] == "page"


async def test_the_log_has_30_days(api: Api, clock: ManualClock) -> None:
    await api.session_of()
    (event,) = (await get(api, PATH))["data"]
    clock.advance(31 * 24 * 3600)
    assert (await get(api, PATH))["data"] == []
    for id in (event["id"], event["snapshot_event"], "evt_test_none"):
        reply = await api("GET", f"{PATH}/{id}", Stripe_Version=API_VERSION)
        assert (reply.status, reply.error["code"]) == (404, "not_found")
