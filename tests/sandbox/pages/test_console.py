"""The control routes of the console: objects as they are stored, and what can be done with them."""

from __future__ import annotations

from typing import Any

import pytest

from pinstripe.sandbox import ManualClock, Server
from pinstripe.sandbox._pages.actions import actions_of
from tests.support.sandbox_api import ONRAMP, SESSIONS, WEBHOOKS, Api, one_of_each

pytestmark = pytest.mark.anyio

SESSION = "identity.verification_session"
OBJECTS = "/_sandbox/objects"


async def labels(api: Api, kind: str, id: str) -> list[str]:
    shown = await api.ok("GET", f"{OBJECTS}/{kind}/{id}")
    return [action["label"] for action in shown["actions"]]


async def do(api: Api, kind: str, id: str, label: str, **params: str) -> Any:
    """Take an action as the console does."""
    shown = await api.ok("GET", f"{OBJECTS}/{kind}/{id}")
    (action,) = [each for each in shown["actions"] if each["label"] == label]
    return await api.ok(action["method"], action["path"], {**action["params"], **params})


async def test_the_page_has_the_address_of_the_sandbox_and_nothing_of_a_script(
    api: Api, server: Server
) -> None:
    async with api.session.get("/") as response:
        text = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self'" in policy
    assert text.count(server.url) >= 9
    port = server.url.rpartition(":")[2]
    assert f'protocol: "http", host: "127.0.0.1", port: {port}' in text
    assert "<script>" not in text


async def test_what_the_scripts_are_told(api: Api) -> None:
    told = await api.ok("GET", "/_sandbox/console")
    assert told["manual_clock"] is True
    assert {"name": SESSION, "prefix": "vs_"} in told["kinds"]
    assert told["private"][SESSION]["client_secret"] is True
    assert "metadata" in told["private_params"]
    assert len(told["refusals"]) > 100


async def test_to_look_changes_nothing(api: Api, server: Server) -> None:
    session = await api.session_of()
    await api("POST", "/_sandbox/faults", {"status": "500", "count": "1"})
    await api("POST", "/_sandbox/rate_limit", {"account": "0.001"})
    for _ in range(3):
        shown = await api.ok("GET", f"{OBJECTS}/{SESSION}/{session['id']}")
        assert shown["object"]["client_secret"] == session["client_secret"]
        assert (await api.ok("GET", f"{OBJECTS}/{SESSION}"))["total"] == 1
    assert [fault["hits"] for fault in (await api.ok("GET", "/_sandbox/faults"))["faults"]] == [0]


async def test_objects_are_shown_whole(api: Api, server: Server) -> None:
    session = await api.session_of()
    server.identity.verify(session["id"])
    shown = (await api.ok("GET", f"{OBJECTS}/{SESSION}/{session['id']}"))["object"]
    assert shown["verified_outputs"]["dob"]["year"] > 1900
    endpoint = await api.ok(
        "POST", WEBHOOKS, {"url": "http://127.0.0.1:1/", "enabled_events[]": "file.created"}
    )
    shown = (await api.ok("GET", f"{OBJECTS}/webhook_endpoint/{endpoint['id']}"))["object"]
    assert shown["secret"] == endpoint["secret"]


async def test_pages_and_filters(api: Api, server: Server) -> None:
    sessions = [await api.session_of(client_reference_id=f"r{number}") for number in range(5)]
    ids = [session["id"] for session in reversed(sessions)]
    server.identity.submit(ids[2])
    page = await api.ok("GET", f"{OBJECTS}/{SESSION}?limit=2")
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (ids[:2], True)
    assert (page["total"], page["changes"]) == (5, [])
    assert page["filters"]["status"] == ["processing", "requires_input"]
    assert page["filters"]["client_reference_id"] == [], "private values are no choices"
    page = await api.ok("GET", f"{OBJECTS}/{SESSION}?limit=9&starting_after={ids[1]}")
    assert [each["id"] for each in page["data"]] == ids[2:]
    page = await api.ok("GET", f"{OBJECTS}/{SESSION}?filter[status]=processing")
    assert [each["id"] for each in page["data"]] == [ids[2]]
    page = await api.ok("GET", f"{OBJECTS}/{SESSION}?filter[client_reference_id]=r0")
    assert [each["id"] for each in page["data"]] == [ids[4]]


async def test_a_field_with_many_values_offers_no_choice(api: Api, server: Server) -> None:
    for number in range(25):
        await api.ok("POST", SESSIONS, {"type": "document", "related_customer": f"cus_{number}"})
    filters = (await api.ok("GET", f"{OBJECTS}/{SESSION}"))["filters"]
    assert filters["related_customer"] == []


async def test_the_filter_of_links_is_a_truth_value(api: Api) -> None:
    await one_of_each(api)
    page = await api.ok("GET", f"{OBJECTS}/file_link?filter[expired]=false")
    assert (len(page["data"]), page["filters"]["expired"]) == (1, ["false"])
    assert "token" not in page["filters"]
    assert (await api.ok("GET", f"{OBJECTS}/file_link?filter[expired]=true"))["data"] == []


@pytest.mark.parametrize(
    ("path", "status", "param"),
    [
        ("nothing", 404, "kind"),
        ("nothing/x", 404, "kind"),
        (f"{SESSION}/vs_none", 404, "id"),
        (f"{SESSION}?filter[colour]=red", 400, "filter[colour]"),
        ("file_link?filter[token]=x", 400, "filter[token]"),
        (f"{SESSION}?starting_after=vs_none", 400, "starting_after"),
        (f"{SESSION}?ending_before=vs_none", 400, "ending_before"),
        (f"{SESSION}?ending_before=a&starting_after=b", 400, "starting_after"),
    ],
)
async def test_what_is_not_there(api: Api, path: str, status: int, param: str) -> None:
    reply = await api("GET", f"{OBJECTS}/{path}")
    assert (reply.status, reply.error["param"]) == (status, param)


async def test_the_catalogue_is_there_before_anybody_asks_the_api(api: Api) -> None:
    assert (await api.ok("GET", f"{OBJECTS}/climate.product"))["total"] > 1
    assert (await api.ok("GET", f"{OBJECTS}/climate.supplier"))["total"] > 1


async def test_the_life_of_a_session_and_what_each_event_changed(api: Api, server: Server) -> None:
    session = await api.session_of()
    server.identity.fail(session["id"], "document_expired")
    life = await api.ok("GET", f"{OBJECTS}/event?filter[subject]={session['id']}")
    failed, submitted, created = life["changes"]
    assert created is None
    assert (submitted["status"], failed["status"]) == ("requires_input", "processing")
    assert failed["last_error"] is None
    assert "type" not in failed
    newest = await api.ok("GET", f"{OBJECTS}/event/{life['data'][0]['id']}")
    assert newest["changes"] == failed


async def test_the_previous_attributes_of_an_update_are_its_changes(
    api: Api, server: Server
) -> None:
    session = await api.ok("POST", ONRAMP)
    server.crypto.advance(session["id"], "requires_payment")
    page = await api.ok("GET", f"{OBJECTS}/event")
    assert page["changes"] == [page["data"][0]["data"]["previous_attributes"]]
    assert page["changes"][0]["status"] == "initialized"


async def test_actions_of_a_session_follow_its_state(api: Api, clock: ManualClock) -> None:
    session = await api.session_of()
    id = session["id"]
    assert await labels(api, SESSION, id) == ["Submit", "Verify", "Fail", "Cancel", "Redact"]
    await do(api, SESSION, id, "Submit")
    assert await labels(api, SESSION, id) == ["Verify", "Fail"]
    failed = await do(api, SESSION, id, "Fail", code="document_expired", reason="Too old.")
    assert failed["last_error"] == {"code": "document_expired", "reason": "Too old."}
    assert (await do(api, SESSION, id, "Verify"))["status"] == "verified"
    assert await labels(api, SESSION, id) == ["Redact"]
    await do(api, SESSION, id, "Redact")
    assert await labels(api, SESSION, id) == ["Finish the redaction"]
    done = await do(api, SESSION, id, "Finish the redaction")
    assert done["redaction"] == {"status": "redacted"}
    assert await labels(api, SESSION, id) == []


async def test_a_failure_has_the_codes_of_its_checks(api: Api) -> None:
    session = await api.session_of()
    shown = await api.ok("GET", f"{OBJECTS}/{SESSION}/{session['id']}")
    (fail,) = [action for action in shown["actions"] if action["label"] == "Fail"]
    codes = fail["fields"][0]["choices"]
    assert {"abandoned", "document_expired"} <= set(codes)
    assert not {"selfie_manipulated", "phone_unverified_other"} & set(codes)


async def test_actions_of_a_purchase_follow_its_state(api: Api) -> None:
    kind, id = "crypto.onramp_session", (await api.ok("POST", ONRAMP))["id"]
    assert "Reject (rejected)" in await labels(api, kind, id)
    await do(api, kind, id, "Sign in (requires_payment)")
    assert "Pay (fulfillment_processing)" in await labels(api, kind, id)
    assert (await do(api, kind, id, "Complete the purchase"))["status"] == "fulfillment_complete"
    assert await labels(api, kind, id) == []


async def test_actions_of_an_order_follow_its_state(api: Api) -> None:
    kind = "climate.order"
    products = (await api.ok("GET", f"{OBJECTS}/climate.product"))["data"]
    one, other = [each["id"] for each in products if float(each["metric_tons_available"]) > 5][:2]
    made = {"product": one, "metric_tons": "1", "metadata[sandbox_status]": "open"}
    id = (await api.ok("POST", "/v1/climate/orders", made))["id"]
    assert await labels(api, kind, id) == ["Confirm", "Cancel"]
    await do(api, kind, id, "Confirm")
    assert await labels(api, kind, id) == ["Deliver", "Delay", "Substitute", "Cancel"]
    await do(api, kind, id, "Delay")
    assert (await do(api, kind, id, "Substitute", product=other))["product"] == other
    assert (await do(api, kind, id, "Deliver"))["status"] == "delivered"
    assert await labels(api, kind, id) == []
    id = (await api.ok("POST", "/v1/climate/orders", {"product": one, "metric_tons": "1"}))["id"]
    canceled = await do(api, kind, id, "Cancel", reason="product_unavailable")
    assert canceled["cancellation_reason"] == "product_unavailable"


async def test_actions_of_products_endpoints_events_and_links(api: Api) -> None:
    await one_of_each(api)
    product = (await api.ok("GET", f"{OBJECTS}/climate.product"))["data"][0]
    left = await do(
        api, "climate.product", product["id"], "Change what is left", metric_tons_available="0"
    )
    assert left["metric_tons_available"] == "0"
    priced = await do(
        api, "climate.product", product["id"], "Change the price", **{"prices[usd]": "777"}
    )
    assert priced["current_prices_per_metric_ton"]["usd"]["amount_subtotal"] == 777
    link = (await api.ok("GET", f"{OBJECTS}/file_link"))["data"][0]
    assert (await do(api, "file_link", link["id"], "Expire now"))["expired"] is True
    assert await labels(api, "file_link", link["id"]) == []
    event = (await api.ok("GET", f"{OBJECTS}/event"))["data"][0]
    assert (await do(api, "event", event["id"], "Resend"))["id"] == event["id"]
    given = {"url": "http://127.0.0.1:1/", "enabled_events[]": "file.created"}
    id = (await api.ok("POST", WEBHOOKS, given))["id"]
    assert (await do(api, "webhook_endpoint", id, "Disable"))["status"] == "disabled"
    assert (await do(api, "webhook_endpoint", id, "Enable"))["status"] == "enabled"
    assert (await do(api, "webhook_endpoint", id, "Delete"))["deleted"] is True


def test_nothing_can_be_done_with_a_report() -> None:
    assert actions_of({"object": "identity.verification_report"}) == []
