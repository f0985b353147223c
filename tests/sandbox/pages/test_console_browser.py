"""The console as a person meets it, in a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Locator, expect

import pinstripe
from pinstripe import AsyncClient
from pinstripe.sandbox import ManualClock, Sandbox
from tests.support.browser import Tab
from tests.support.receiver import receiving

pytestmark = pytest.mark.anyio

SESSION = "identity.verification_session"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(seed=5, clock=ManualClock(), redaction_seconds=60) as sandbox:
        yield sandbox


@pytest.fixture
async def stripe(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    async with sandbox.client() as stripe:
        yield stripe


async def open_view(tab: Tab, sandbox: Sandbox, view: str) -> None:
    """Open a view of the console, and wait until it follows what happens."""
    await tab.page.goto(f"{sandbox.url}/#/{view}")
    await expect(tab.page.locator("#live")).to_have_text("live")


def button(tab: Tab, name: str) -> Locator:
    return tab.page.get_by_role("button", name=name, exact=True)


def rows(tab: Tab) -> Locator:
    return tab.page.locator("#view tbody tr")


VIEWS = ("start", "objects", f"objects/{SESSION}", "events", "deliveries", "requests")


@pytest.mark.parametrize("view", [*VIEWS, "faults", "errors"])
async def test_every_view_fits_a_phone_and_names_its_fields(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient, view: str
) -> None:
    await stripe.identity.verification_sessions.create(type="document", metadata={"a": "b"})
    await open_view(tab, sandbox, view)
    await expect(tab.page.locator("#console h1:visible")).to_have_count(1)
    opened = "document.querySelectorAll('details').forEach((each) => (each.open = true))"
    await tab.page.evaluate(opened)
    assert await tab.unlabelled() == []
    assert not await tab.overflows()


async def test_the_first_screen_says_how_to_point_a_client_here(tab: Tab, sandbox: Sandbox) -> None:
    await open_view(tab, sandbox, "")
    await tab.shows("Point your client here")
    for name in ("curl", "python", "node", "ruby", "go", "php", "java", "dotnet", "pinstripe"):
        snippet = tab.page.locator(f"#snippet-{name}")
        await expect(snippet).to_contain_text(sandbox.url.rpartition(":")[2])
    await tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await button(tab, "Copy for Pinstripe").click()
    copied = await tab.page.evaluate("navigator.clipboard.readText()")
    assert f'base_url="{sandbox.url}"' in copied


async def test_requests_appear_as_they_come_and_hide_what_is_private(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    await open_view(tab, sandbox, "requests")
    await tab.shows("No request has come yet.")
    await stripe.identity.verification_sessions.create(
        type="document", provided_details={"email": "someone@b.example"}
    )
    first = rows(tab).first
    await expect(first).to_contain_text("/v1/identity/verification_sessions")
    await expect(first).to_contain_text("type=document")
    await expect(first).not_to_contain_text("someone@b.example")
    await first.get_by_role("button", name="Show provided_details[email]").click()
    await expect(first).to_contain_text("provided_details[email]=someone@b.example")
    sandbox.faults.add(status=403, code="account_invalid", count=1)
    with pytest.raises(pinstripe.PinstripeError, match="status 403"):
        await stripe.climate.products.list()
    await expect(rows(tab).first).to_contain_text("account_invalid")
    await expect(rows(tab).first).to_contain_text("403 (fault)")
    await expect(rows(tab)).to_have_count(2)
    await expect(rows(tab).last).to_contain_text("someone@b.example")
    await button(tab, "Clear").click()
    await tab.shows("No request has come yet.")


async def test_older_requests_are_loaded_on_a_click(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    for _ in range(60):
        await stripe.climate.suppliers.list()
    await open_view(tab, sandbox, "requests")
    await expect(rows(tab)).to_have_count(50)
    await button(tab, "Older").click()
    await expect(rows(tab)).to_have_count(60)
    await expect(button(tab, "Older")).to_be_disabled()


async def test_a_session_is_moved_by_the_keyboard_and_its_life_is_shown(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    session = await stripe.identity.verification_sessions.create(type="document")
    await open_view(tab, sandbox, f"objects/{SESSION}")
    await tab.page.get_by_role("link", name=session.id).focus()
    await tab.page.keyboard.press("Enter")
    await tab.page.get_by_label("Code").select_option("document_expired")
    await tab.page.get_by_label("Reason").fill("Expired in May.")
    await tab.page.keyboard.press("Enter")
    await tab.shows("Fail: done.")
    await tab.shows("Expired in May.")
    await button(tab, "Verify").focus()
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator("#view .badge").first).to_have_text("verified")
    await expect(rows(tab).first).to_contain_text(f"{SESSION}.verified")
    await expect(rows(tab)).to_have_count(5)
    assert (await stripe.identity.verification_sessions.retrieve(session.id)).status == "verified"


async def test_private_fields_show_on_a_click_only(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    session = await stripe.identity.verification_sessions.create(type="document")
    sandbox.identity.verify(session.id, outputs={"first_name": "Quillon"})
    await open_view(tab, sandbox, f"objects/{SESSION}/{session.id}")
    await tab.shows('"status": "verified"')
    await expect(tab.page.locator("body")).not_to_contain_text("Quillon")
    await button(tab, "Show verified_outputs").click()
    await tab.shows("Quillon")
    # What is shown stays so while the view follows what happens, and no longer.
    await stripe.identity.verification_sessions.update(session.id, metadata={"a": "b"})
    await expect(button(tab, "Show metadata")).to_be_visible()
    await tab.shows("Quillon")
    await tab.page.goto(f"{sandbox.url}/#/events")
    await tab.page.goto(f"{sandbox.url}/#/objects/{SESSION}/{session.id}")
    await expect(button(tab, "Show verified_outputs")).to_be_visible()


async def test_text_of_others_is_text(tab: Tab, sandbox: Sandbox, stripe: AsyncClient) -> None:
    mean = "<img src=x onerror=\"document.title='run'\">"
    session = await stripe.identity.verification_sessions.create(
        type="document", metadata={mean[:30]: mean}
    )
    await open_view(tab, sandbox, f"objects/{SESSION}/{session.id}")
    await button(tab, "Show metadata").click()
    await tab.shows("<img src=x onerror=")
    assert await tab.page.locator("#view img").count() == 0
    assert "run" not in await tab.page.title()


async def test_a_purchase_and_an_order_are_moved(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    purchase = await stripe.crypto.onramp_sessions.create()
    await open_view(tab, sandbox, f"objects/crypto.onramp_session/{purchase.id}")
    await button(tab, "Sign in (requires_payment)").click()
    await button(tab, "Complete the purchase").click()
    await expect(tab.page.locator("#view .badge").first).to_have_text("fulfillment_complete")
    products = await stripe.climate.products.list()
    product = next(each for each in products.data if each.metric_tons_available > 2)
    order = await stripe.climate.orders.create(product=product.id, metric_tons="1")
    await tab.page.goto(f"{sandbox.url}/#/objects/climate.order/{order.id}")
    await button(tab, "Deliver").click()
    await expect(tab.page.locator("#view .badge").first).to_have_text("delivered")


async def test_events_deliveries_and_a_resend(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    async with receiving(500) as receiver:
        await stripe.webhook_endpoints.create(url=receiver.url, enabled_events=["*"])
        session = await stripe.crypto.onramp_sessions.create()
        await open_view(tab, sandbox, "events")
        await tab.shows("Nothing here yet.")
        sandbox.crypto.advance(session.id, "requires_payment")
        await expect(rows(tab).first).to_contain_text("status, transaction_details")
        await rows(tab).first.get_by_role("link").first.click()
        await expect(tab.page.locator("#view tbody").first).to_contain_text('"initialized"')
        await tab.page.get_by_role("link", name="whd_").click()
        await tab.shows("Attempt 1: answered with 500")
        await expect(tab.page.locator("body")).not_to_contain_text("Stripe-Signature")
        await button(tab, "Show the request").click()
        await tab.shows(f"Stripe-Signature: {receiver.received[0].signature}")
        await tab.shows(f"POST {receiver.url}")
        await button(tab, "Show the answer").click()
        await tab.shows("HTTP 500")
        await button(tab, "Resend").click()
        await receiver.wait_for(2)
        await sandbox.webhooks.flush()
        await tab.page.goto(f"{sandbox.url}/#/deliveries")
        await expect(rows(tab)).to_have_count(2)


async def test_faults_and_limits_are_switched_on_and_off(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    await open_view(tab, sandbox, "faults")
    await button(tab, "Every request fails (500)").click()
    await expect(rows(tab)).to_contain_text("status 500")
    assert [fault["status"] for fault in sandbox.faults.list()] == [500]
    await button(tab, "Switch off fault_1").click()
    await tab.shows("No fault is switched on.")
    await tab.page.get_by_text("Another fault").click()
    await tab.page.get_by_label("Status", exact=True).fill("402")
    await tab.page.get_by_label("Code", exact=True).fill("card_declined")
    await tab.page.get_by_label("Requests", exact=True).fill("1")
    await button(tab, "Switch on").click()
    await expect(rows(tab)).to_contain_text("status 402, card_declined")
    with pytest.raises(pinstripe.PinstripeError, match="status 402"):
        await stripe.climate.suppliers.list()
    await expect(rows(tab)).to_contain_text("0 more")
    await button(tab, "Switch all off").click()
    await tab.shows("No fault is switched on.")
    await tab.page.get_by_label("Requests a second of an account").fill("3")
    await button(tab, "Set the limit").click()
    await tab.shows("An account may make 3 requests a second")
    await button(tab, "No limit").click()
    await tab.shows("There is no limit.")


async def test_time_travel_ends_a_redaction(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    session = await stripe.identity.verification_sessions.create(type="document")
    await open_view(tab, sandbox, f"objects/{SESSION}/{session.id}")
    await expect(tab.page.locator("#now")).to_contain_text("2026-11-23 00:00:00")
    await button(tab, "Redact").click()
    await tab.shows('"status": "processing"')
    await tab.page.get_by_label("Travel").fill("61")
    await button(tab, "Go").click()
    await tab.shows('"status": "redacted"')
    await expect(tab.page.locator("#now")).to_contain_text("2026-11-23 00:01:01")
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(60)
    await expect(tab.page.locator("#now")).to_contain_text("2026-11-23 00:02:01")


async def test_a_new_account_appears_and_is_looked_at(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    await open_view(tab, sandbox, f"objects/{SESSION}")
    options = pinstripe.RequestOptions(account="acct_team1")
    create = stripe.identity.verification_sessions.create
    session = await create(type="document", request_options=options)
    chosen = tab.page.locator("#account")
    await chosen.select_option("acct_team1")
    await expect(rows(tab)).to_contain_text(session.id)
    await tab.page.reload()
    await expect(rows(tab)).to_contain_text(session.id)
    await create(type="document", request_options=options)
    await expect(rows(tab)).to_have_count(2)
    await chosen.select_option("of the key")
    await tab.shows("Nothing here yet.")


async def test_lists_have_pages_and_filters(
    tab: Tab, sandbox: Sandbox, stripe: AsyncClient
) -> None:
    sandbox.identity.seed(3000)
    await open_view(tab, sandbox, f"objects/{SESSION}")
    await tab.shows("3000 in all")
    await expect(rows(tab)).to_have_count(25)
    first = await rows(tab).first.inner_text()
    await button(tab, "Older").click()
    await expect(rows(tab).first).not_to_have_text(first)
    await button(tab, "Newer").click()
    await expect(button(tab, "Newer")).to_be_disabled()
    await tab.page.get_by_label("Status").select_option("verified")
    await expect(tab.page.locator("#view .badge").first).to_have_text("verified")
    await expect(tab.page.locator("#view .badge", has_text="requires_input")).to_have_count(0)


async def test_an_error_is_tried(tab: Tab, sandbox: Sandbox) -> None:
    await open_view(tab, sandbox, "errors")
    await button(tab, "Try lock_timeout").click()
    await tab.shows('"code": "lock_timeout"')
    await button(tab, "Try status_transition_invalid").click()
    await tab.shows("which does not allow the step cancel")
    await button(tab, "Try selfie_manipulated").click()
    await tab.shows('"reason": "The selfie was altered."')
    tab.errors.clear()  # Chromium counts each refusal as an error


async def test_a_reset_asks_once_more(tab: Tab, sandbox: Sandbox, stripe: AsyncClient) -> None:
    await stripe.identity.verification_sessions.create(type="document")
    await open_view(tab, sandbox, "objects")
    await button(tab, "Reset").click()
    await button(tab, "Delete everything?").blur()
    await button(tab, "Reset").click()
    async with tab.page.expect_request("**/_sandbox/reset") as asked:
        await button(tab, "Delete everything?").click()
    assert (await asked.value).method == "POST"
    await tab.shows("Everything is as at the start.")
    assert not await stripe.identity.verification_sessions.list()


async def test_a_refused_action_says_why(tab: Tab, sandbox: Sandbox, stripe: AsyncClient) -> None:
    session = await stripe.identity.verification_sessions.create(type="document")
    await open_view(tab, sandbox, f"objects/{SESSION}/{session.id}")
    sandbox.faults.add(status=429, code="lock_timeout", message="Busy.", count=1)
    await button(tab, "Cancel").click()
    await tab.shows("Cancel: 429 lock_timeout: Busy.")
    await tab.page.goto(f"{sandbox.url}/#/objects/{SESSION}/vs_none")
    await tab.shows(f"404 resource_missing: No such {SESSION}: 'vs_none'")
    tab.errors.clear()


async def test_a_stop_shows_and_a_new_start_is_found(tab: Tab) -> None:
    sandbox = Sandbox(clock=ManualClock())
    async with sandbox:
        await open_view(tab, sandbox, "requests")
        port = int(sandbox.url.rpartition(":")[2])
    await expect(tab.page.locator("#live")).to_have_text("not connected")
    async with Sandbox(port=port, clock=ManualClock()) as again, again.client() as stripe:
        await expect(tab.page.locator("#live")).to_have_text("live")
        await stripe.climate.suppliers.list()
        await expect(rows(tab)).to_contain_text("/v1/climate/suppliers")
    tab.errors.clear()  # the tries that found nobody
