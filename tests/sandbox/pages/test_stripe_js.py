"""`stripe.js` on the pages of a shop: the modal of a verification, and the onramp in a page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import FrameLocator, expect

from pinstripe.sandbox import Sandbox
from tests.support.browser import Tab
from tests.support.shop import Shop

pytestmark = pytest.mark.anyio


async def open_modal(tab: Tab, shop: Shop) -> FrameLocator:
    """Open the modal on the page of a shop, and return what is in it."""
    await tab.page.goto(f"{shop.url}/modal")
    await tab.page.get_by_role("button", name="Prove who I am").click()
    frame = tab.page.frame_locator("dialog iframe")
    await expect(frame.get_by_role("heading", name="Verify your identity")).to_be_visible()
    return frame


async def result_of(tab: Tab) -> Any:
    """Return what the promise of `verifyIdentity` resolved with; the modal is gone by then."""
    output = tab.page.locator("#result")
    await expect(output).not_to_be_empty()
    assert await tab.page.locator("dialog").count() == 0
    return json.loads(await output.inner_text())


async def test_a_user_passes_in_the_modal(tab: Tab, shop: Shop, sandbox: Sandbox) -> None:
    frame = await open_modal(tab, shop)
    await frame.get_by_role("button", name="Submit").click()
    assert await result_of(tab) == {"verificationSession": {"id": shop.session.id}}
    # The modal goes nowhere: the page of the shop decides what is next.
    assert tab.page.url == f"{shop.url}/modal"
    await sandbox.webhooks.flush()
    assert shop.verified == [shop.session.id]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("consent_declined", "consent_declined"),
        ("device_not_supported", "device_unsupported"),
        ("under_supported_age", "under_supported_age"),
        ("phone_verification_declined", "phone_otp_declined"),
        ("email_verification_declined", "email_verification_declined"),
        # A check that fails later is no error of the modal: the data were sent.
        ("document_expired", None),
    ],
)
async def test_the_modal_resolves_with_the_codes_of_stripe(
    tab: Tab, shop: Shop, code: str, said: str | None
) -> None:
    shop.params = {"verification_flow": "vf_1"}
    frame = await open_modal(tab, shop)
    await frame.get_by_label("It fails with the code below").check()
    await frame.get_by_role("combobox", name="Code").select_option(code)
    await frame.get_by_role("button", name="Submit").click()
    result = await result_of(tab)
    assert result.get("error", {}).get("code") == said
    session = await shop.stripe.identity.verification_sessions.retrieve(shop.session.id)
    assert session.last_error is not None
    assert session.last_error.code == code
    if said:
        assert result["error"]["message"] == session.last_error.reason


@pytest.mark.parametrize("way", ["close", "escape inside", "escape outside", "leave"])
async def test_every_way_out_of_the_modal(tab: Tab, shop: Shop, way: str) -> None:
    frame = await open_modal(tab, shop)
    if way == "close":
        await frame.get_by_role("button", name="Close").click()
    elif way == "escape inside":
        await frame.get_by_label("Every check passes").press("Escape")
    elif way == "escape outside":
        await tab.page.keyboard.press("Escape")
    else:
        await frame.get_by_label("The person leaves before the end").check()
        await frame.get_by_role("button", name="Submit").click()
    assert (await result_of(tab))["error"]["code"] == "session_cancelled"
    session = await shop.stripe.identity.verification_sessions.retrieve(shop.session.id)
    # Only who leaves by the form tells the API of it.
    assert (session.last_error and session.last_error.code) == (
        "abandoned" if way == "leave" else None
    )


async def test_a_secret_that_ended_is_told_in_the_modal(
    tab: Tab, shop: Shop, sandbox: Sandbox
) -> None:
    await tab.page.goto(f"{shop.url}/modal")
    sandbox.identity.fail(shop.session.id, "abandoned")
    await tab.page.get_by_role("button", name="Prove who I am").click()
    frame = tab.page.frame_locator("dialog iframe")
    await expect(frame.get_by_role("heading", name="This link has expired")).to_be_visible()
    await frame.get_by_role("button", name="Close").click()
    assert (await result_of(tab))["error"]["code"] == "session_expired"
    tab.errors.clear()  # the status 410


async def test_the_modal_fits_a_phone(tab: Tab, shop: Shop) -> None:
    frame = await open_modal(tab, shop)
    assert not await tab.overflows()
    inner = await frame.locator("html").evaluate("node => node.scrollWidth > node.clientWidth")
    assert not inner


@pytest.mark.parametrize("key", ["", "sk_test_1", "pk_live_1", None])
async def test_keys_that_are_refused(tab: Tab, shop: Shop, key: str | None) -> None:
    await tab.page.goto(f"{shop.url}/modal")
    for name in ("Stripe", "StripeOnramp"):
        said = await tab.page.evaluate(
            "([name, key]) => { try { window[name](key); } catch (error) { return `${error}`; } }",
            [name, key],
        )
        assert said.startswith("IntegrationError: The sandbox takes a publishable test key")


async def test_mistakes_of_the_shop_are_told(tab: Tab, shop: Shop) -> None:
    await tab.page.goto(f"{shop.url}/modal")
    said = await tab.page.evaluate(
        "Stripe('pk_test_1').verifyIdentity('vs_1').catch((error) => `${error}`)"
    )
    assert said.startswith("IntegrationError: A client secret is needed")
    said = await tab.page.evaluate(
        """() => {
          const session = StripeOnramp("pk_test_1").createSession({ clientSecret: "a_secret_b" });
          try { session.mount("#nowhere"); } catch (error) { return `${error}`; }
        }"""
    )
    assert said == "IntegrationError: There is no element #nowhere to mount in."
    assert await tab.page.locator("dialog").count() == 0


async def test_an_onramp_in_the_page_of_a_shop(tab: Tab, shop: Shop) -> None:
    await tab.page.goto(f"{shop.url}/onramp")
    frame, heard = tab.page.frame_locator("#onramp iframe"), tab.page.locator("#heard li")
    await expect(heard).to_have_text(["onramp_ui_loaded initialized"])
    # The shop asked for the dark theme, on each page of the frame.
    dark = ("style", "color-scheme: dark;")
    await expect(frame.locator("html")).to_have_attribute(*dark)
    # Prices are another page, but nothing happened to the session.
    await frame.get_by_label("Amount", exact=True).fill("20")
    await frame.get_by_role("button", name="Show the prices").click()
    await expect(frame.get_by_text("20.00 usdc on solana")).to_be_visible()
    await frame.get_by_role("button", name="Sign in").click()
    await frame.get_by_role("button", name="The card is declined").click()
    await expect(frame.get_by_role("alert")).to_be_visible()
    await frame.get_by_role("button", name="Pay").click()
    await frame.get_by_role("button", name="Let it arrive").click()
    await expect(heard).to_have_text(
        [
            "onramp_ui_loaded initialized",
            "onramp_session_updated requires_payment",
            "onramp_session_updated fulfillment_processing",
            "onramp_session_updated fulfillment_complete",
        ]
    )
    await expect(frame.locator("html")).to_have_attribute(*dark)
    session = await shop.stripe.crypto.onramp_sessions.retrieve(shop.session.id)
    assert session.status == "fulfillment_complete"
    assert session.transaction_details.transaction_id


async def test_listeners_and_mounts_come_and_go(tab: Tab, shop: Shop, sandbox: Sandbox) -> None:
    await tab.page.goto(f"{shop.url}/onramp")
    heard = tab.page.locator("#heard li")
    await expect(heard).to_have_count(1)
    await tab.page.evaluate(
        """() => {
          session.removeEventListener("onramp_ui_loaded", hear).unmount();
          session.addEventListener("*", (event) => hear({ ...event, type: "any " + event.type }));
          session.setAppearance({ theme: "light" }).mount(document.getElementById("onramp"));
        }"""
    )
    await expect(heard).to_have_text(
        ["onramp_ui_loaded initialized", "any onramp_ui_loaded initialized"]
    )
    assert await tab.page.locator("iframe").count() == 1
    page = tab.page.frame_locator("iframe").locator("html")
    await expect(page).to_have_attribute("style", "color-scheme: light;")
    await tab.page.evaluate("session.setAppearance({ theme: 'dark' })")
    await expect(page).to_have_attribute("style", "color-scheme: dark;")
