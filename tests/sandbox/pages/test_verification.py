"""The hosted page of a verification session, by a person with a browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from pinstripe.sandbox import ManualClock, Sandbox, Server
from tests.support.browser import Tab
from tests.support.sandbox_api import REPORTS, SESSIONS, Api
from tests.support.shop import Shop

pytestmark = pytest.mark.anyio

CHECKS = {
    "options[document][require_matching_selfie]": "true",
    "options[document][require_id_number]": "true",
}


async def choose(page: Page, outcome: str, code: str | None = None) -> None:
    """Choose how the verification ends, and submit."""
    await page.get_by_label(outcome).check()
    if code:
        await page.get_by_role("combobox", name="Code").select_option(code)
    await page.get_by_role("button", name="Submit").click()


async def start(tab: Tab, shop: Shop) -> Page:
    """Let the user of a shop go to the hosted page."""
    await tab.page.goto(shop.url)
    await tab.page.get_by_role("button", name="Prove who I am").click()
    await tab.shows("Verify your identity")
    return tab.page


async def test_a_user_passes_comes_back_and_is_known_by_the_webhook(
    tab: Tab, shop: Shop, sandbox: Sandbox
) -> None:
    page = await start(tab, shop)
    assert page.url == shop.session.url
    await choose(page, "Every check passes")
    await page.wait_for_url(f"{shop.url}/back?user=7")
    await sandbox.webhooks.flush()
    assert shop.verified == [shop.session.id]
    await page.reload()
    await tab.shows("User 7 is verified.")
    types = [event.type async for event in shop.stripe.events.list()]
    assert [name.rpartition(".")[2] for name in types if "session" in name] == [
        "verified",
        "processing",
        "created",
    ]


async def test_a_failed_check_goes_back_too_and_can_be_tried_again(
    tab: Tab, shop: Shop, sandbox: Sandbox
) -> None:
    page = await start(tab, shop)
    await choose(page, "It fails with the code below", "document_expired")
    await page.wait_for_url(f"{shop.url}/back?user=7")
    await tab.shows("User 7 is not verified yet.")
    sessions = shop.stripe.identity.verification_sessions
    session = await sessions.retrieve(shop.session.id)
    assert session.last_error is not None
    assert session.last_error.code == "document_expired"
    await page.goto(str(session.url))
    await tab.shows("The last attempt failed with document_expired")
    await choose(page, "Every check passes")
    await page.wait_for_url(f"{shop.url}/back?user=7")
    await sandbox.webhooks.flush()
    assert shop.verified == [session.id]


async def test_a_session_left_processing_says_so_until_it_is_decided(
    tab: Tab, shop: Shop, sandbox: Sandbox
) -> None:
    page = await start(tab, shop)
    await choose(page, "It is left processing")
    await page.wait_for_url(f"{shop.url}/back?user=7")
    await page.goto(shop.session.url)
    await tab.shows("Your data are being checked")
    await page.get_by_role("link", name="Back to the site").click()
    await page.wait_for_url(f"{shop.url}/back?user=7")
    sandbox.identity.verify(shop.session.id)
    await page.goto(shop.session.url)
    await tab.shows("You are verified")


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("The person leaves before the end", None),
        ("It fails with the code below", "consent_declined"),
    ],
)
async def test_who_gives_up_stays_with_a_way_back(
    tab: Tab, shop: Shop, outcome: str, code: str | None
) -> None:
    page = await start(tab, shop)
    await choose(page, outcome, code)
    await tab.shows("You left the verification")
    session = await shop.stripe.identity.verification_sessions.retrieve(shop.session.id)
    assert session.status == "requires_input"
    assert session.last_error is not None
    assert session.last_error.code == (code or "abandoned")
    assert session.last_verification_report is None
    await page.get_by_role("link", name="Back to the site").click()
    await page.wait_for_url(f"{shop.url}/back?user=7")


async def test_a_user_without_a_way_back_sees_the_end(tab: Tab, api: Api) -> None:
    session = await api.session_of()
    await tab.page.goto(session["url"])
    await choose(tab.page, "Every check passes")
    await tab.shows("You can close this page.")


async def test_the_person_edits_the_data_that_come_out(tab: Tab, api: Api, restricted: Api) -> None:
    session = await api.session_of(**CHECKS, **{"options[document][allowed_types][]": "id_card"})
    page = tab.page
    await page.goto(session["url"])
    await page.get_by_text("Edit the data that a success returns").click()
    shown = await page.get_by_label("Last name").input_value()
    await page.get_by_label("First name").fill("Zoë <b>")
    await page.get_by_label("Date of birth").fill("2001-02-03")
    await page.get_by_label("City").fill("")
    await page.get_by_role("combobox", name="Sex").select_option("unknown")
    await page.get_by_label("Expiration date").fill("2024-12-31")
    await page.get_by_label("Document number").fill("AB 1")
    await page.get_by_role("button", name="Submit").click()
    await tab.shows("Thank you, your data were sent")
    expand = "&".join(
        f"expand[]={name}"
        for name in ("verified_outputs.dob", "last_verification_report.document.expiration_date")
    )
    path = f"{SESSIONS}/{session['id']}?expand[]=verified_outputs&{expand}"
    value = await restricted.ok("GET", path)
    outputs, document = value["verified_outputs"], value["last_verification_report"]["document"]
    assert (outputs["first_name"], outputs["last_name"]) == ("Zoë <b>", shown)
    assert outputs["dob"] == {"year": 2001, "month": 2, "day": 3}
    assert (outputs["address"]["city"], outputs["sex"]) == (None, "unknown")
    assert document["first_name"] == "Zoë <b>"
    assert document["expiration_date"] == {"year": 2024, "month": 12, "day": 31}
    assert document["type"] == "id_card"


async def test_what_the_form_shows_is_what_comes_out(tab: Tab, api: Api, restricted: Api) -> None:
    session = await api.ok("POST", SESSIONS, {"verification_flow": "vf_1"})
    await tab.page.goto(session["url"])
    inputs: dict[str, str] = await tab.page.evaluate(
        "Object.fromEntries(new FormData(document.forms[0]))"
    )
    await choose(tab.page, "Every check passes")
    await tab.shows("Thank you")
    value = await restricted.ok(
        "GET",
        f"{SESSIONS}/{session['id']}?expand[]=verified_outputs.id_number"
        "&expand[]=last_verification_report.document.number&expand[]=verified_outputs",
    )
    outputs, report = value["verified_outputs"], value["last_verification_report"]
    for name in ("first_name", "last_name", "email", "phone", "id_number", "sex"):
        assert inputs[f"outputs[{name}]"] == (outputs[name] or ""), name
    for name in ("number", "type", "issuing_country"):
        assert inputs[f"document[{name}]"] == report["document"][name], name


async def test_a_wrong_value_is_told_beside_what_was_typed(tab: Tab, api: Api) -> None:
    session = await api.session_of()
    page = tab.page
    await page.goto(session["url"])
    await page.get_by_text("Edit the data that a success returns").click()
    await page.get_by_label("First name").fill("Typed")
    # No browser sends such a date by itself.
    await page.get_by_label("Date of birth").evaluate("node => node.type = 'text'")
    await page.get_by_label("Date of birth").fill("2001-02-39")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("outputs[dob][day]")
    await page.get_by_text("Edit the data that a success returns").click()
    await expect(page.get_by_label("First name")).to_have_value("Typed")
    assert (await api.ok("GET", f"{SESSIONS}/{session['id']}"))["status"] == "requires_input"
    assert len(tab.errors) == 1  # the status 400
    tab.errors.clear()


@pytest.mark.parametrize(
    ("data", "groups"),
    [
        ({"type": "document"}, ["document", "any check"]),
        ({"type": "id_number"}, ["id number", "any check"]),
        ({"type": "document", **CHECKS}, ["document", "selfie", "id number", "any check"]),
        ({"verification_flow": "vf_1"}, ["document", "id number", "email", "phone", "any check"]),
    ],
)
async def test_only_codes_of_the_session_can_be_chosen(
    tab: Tab, api: Api, server: Server, data: dict[str, str], groups: list[str]
) -> None:
    session = await api.ok("POST", SESSIONS, data)
    await tab.page.goto(session["url"])
    labels = "nodes => nodes.map((node) => node.label)"
    assert await tab.page.locator("optgroup").evaluate_all(labels) == groups
    codes = await tab.page.locator("optgroup option").all_text_contents()
    for code in codes:
        server.identity.fail(session["id"], code)


async def test_the_report_agrees_with_a_code_from_the_page(
    tab: Tab, api: Api, restricted: Api
) -> None:
    session = await api.session_of()
    await tab.page.goto(session["url"])
    await choose(tab.page, "It fails with the code below", "document_expired")
    await tab.shows("Thank you")
    id = (await api.ok("GET", f"{SESSIONS}/{session['id']}"))["last_verification_report"]
    report = await restricted.ok("GET", f"{REPORTS}/{id}?expand[]=document.expiration_date")
    assert report["document"]["expiration_date"]["year"] == 2025
    assert report["document"]["error"]["code"] == "document_expired"


async def shows(tab: Tab, url: str, status: int, text: str) -> None:
    """Open an address that shows no form."""
    answer = await tab.page.goto(url)
    assert answer is not None
    assert answer.status == status
    await tab.shows(text)
    assert await tab.page.get_by_role("button", name="Submit").count() == 0
    tab.errors.clear()  # a status above 400 is one for the console


async def test_links_end_with_time_use_and_session(
    tab: Tab, api: Api, server: Server, clock: ManualClock
) -> None:
    session = await api.session_of()
    first, path = session["url"], f"{SESSIONS}/{session['id']}"
    newer = (await api.ok("GET", path))["url"]
    secret = f"{server.url}/_sandbox/verify/{session['client_secret']}"
    # A shop that looks at its session meanwhile does not end the earlier link.
    for url in (first, newer, secret):
        await tab.page.goto(url)
        await tab.shows("What happens?")
    clock.advance(24 * 3600)
    await shows(tab, secret, 410, "This link has expired")
    await tab.page.goto(first)
    await tab.shows("What happens?")
    clock.advance(24 * 3600)
    await shows(tab, first, 410, "This link has expired")

    again = (await api.ok("GET", path))["url"]
    server.identity.fail(session["id"], "abandoned")
    await shows(tab, again, 410, "This link has expired")
    last = (await api.ok("GET", path))["url"]
    await api.ok("POST", f"{path}/cancel")
    await shows(tab, last, 200, "This verification was canceled")

    other = await api.session_of()
    server.identity.verify(other["id"])
    await shows(tab, other["url"], 200, "You are verified")
    await api.ok("POST", f"{SESSIONS}/{other['id']}/redact")
    await shows(tab, other["url"], 200, "This verification was deleted")
    clock.advance(3600)
    await shows(tab, other["url"], 200, "This verification was deleted")
    assert (await api.ok("GET", f"{SESSIONS}/{other['id']}"))["redaction"]["status"] == "redacted"
    await shows(tab, f"{server.url}/_sandbox/verify/test_none", 404, "This link is not valid")
    await shows(tab, f"{server.url}/_sandbox/verify/%00%ff", 404, "This link is not valid")


async def test_the_page_finds_the_session_of_a_connected_account(tab: Tab, api: Api) -> None:
    headers: dict[str, Any] = {"Stripe_Account": "acct_1other"}
    session = await api.ok("POST", SESSIONS, {"type": "document"}, **headers)
    await tab.page.goto(session["url"])
    await tab.shows("of acct_1other")
    await choose(tab.page, "Every check passes")
    await tab.shows("Thank you")
    value = await api.ok("GET", f"{SESSIONS}/{session['id']}", **headers)
    assert value["status"] == "verified"


async def test_a_form_of_another_page_is_refused(api: Api, server: Server) -> None:
    session, other = await api.session_of(), await api.session_of()
    page = (await api("GET", other["url"])).body
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', page)
    assert token is not None
    for wrong in (token[1], "", "x", "é"):
        reply = await api("POST", session["url"], {"form_token": wrong, "outcome": "pass"})
        assert reply.status == 403
        assert "load the page again" in reply.body
    assert (await api.ok("GET", f"{SESSIONS}/{session['id']}"))["status"] == "requires_input"
    reply = await api("POST", other["url"], {"form_token": token[1], "outcome": "pass"})
    assert reply.status == 200


@pytest.mark.parametrize(
    "data",
    [
        {"outcome": "fail"},
        {"outcome": "fail", "code": "selfie_manipulated"},
        {"outcome": "fail", "code": "nonsense"},
        {"outcome": "pass", "outputs": "text"},
        {"outcome": "pass", "outputs[]": "text"},
        {"outcome": "pass", "outputs[address]": "text"},
        {"outcome": "pass", "outputs[dob][year]": "soon"},
        {"outcome": "pass", "outputs[dob]": "1-2-3-4"},
        {"outcome": "pass", "document[nonsense]": "x"},
        {"outcome": "pass", "document[expiration_date]": "2001-x-1"},
    ],
)
async def test_wrong_forms_show_the_form_again(api: Api, data: dict[str, str]) -> None:
    session = await api.session_of()
    page = (await api("GET", session["url"])).body
    token = re.findall(r'name="form_token" value="([0-9a-f]+)"', page)[0]
    reply = await api("POST", session["url"], {"form_token": token, **data})
    assert reply.status == 400
    assert 'role="alert"' in reply.body
    assert (await api.ok("GET", f"{SESSIONS}/{session['id']}"))["last_error"] is None


async def test_the_page_is_for_keyboards_screen_readers_and_phones(tab: Tab, api: Api) -> None:
    session = await api.session_of(**CHECKS)
    page = tab.page
    await page.goto(session["url"])
    assert await tab.unlabelled() == []
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("It fails with the code below")).to_be_checked()
    await page.keyboard.press("Tab")
    await page.keyboard.type("selfie_f")
    await expect(page.get_by_role("combobox", name="Code")).to_have_value("selfie_face_mismatch")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("First name")).to_be_visible()
    assert not await tab.overflows()
    await page.get_by_role("button", name="Submit").press("Enter")
    await tab.shows("Thank you")
    error = (await api.ok("GET", f"{SESSIONS}/{session['id']}"))["last_error"]
    assert error["code"] == "selfie_face_mismatch"


async def test_a_link_shows_in_no_frame_and_a_secret_in_those_of_this_machine(api: Api) -> None:
    session = await api.session_of()
    link = await api("GET", session["url"])
    secret = await api("GET", f"/_sandbox/verify/{session['client_secret']}")
    assert "frame-ancestors 'none'" in link.headers["Content-Security-Policy"]
    policy = secret.headers["Content-Security-Policy"]
    assert "frame-ancestors http://localhost:* http://127.0.0.1:*" in policy
    for reply in (link, secret):
        assert "script-src 'self';" in reply.headers["Content-Security-Policy"]
        assert reply.headers["Cache-Control"] == "no-store"
