"""The hosted page of an onramp session, by a buyer with a browser."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import Page, expect

from pinstripe.sandbox import Server
from pinstripe.sandbox._pages.onramp import REJECTIONS
from tests.support.browser import Tab
from tests.support.sandbox_api import ONRAMP, QUOTES, Api

pytestmark = pytest.mark.anyio


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name).click()


async def details_of(api: Api, session: Any) -> Any:
    return (await api.ok("GET", f"{ONRAMP}/{session['id']}"))["transaction_details"]


async def test_a_buyer_chooses_signs_in_pays_and_receives(
    tab: Tab, api: Api, server: Server
) -> None:
    session = await api.ok("POST", ONRAMP)
    page = tab.page
    await page.goto(session["redirect_url"])
    await tab.shows("status initialized")
    await page.get_by_label("Amount", exact=True).fill("250")
    await page.get_by_role("combobox", name="I pay in").select_option("eur")
    await press(page, "Show the prices")
    quotes = await api.ok("GET", f"{QUOTES}?source_amount=250&source_currency=eur")
    quote = quotes["destination_network_quotes"]["ethereum"][0]
    await tab.shows(f"{quote['destination_amount']} eth on ethereum")
    await tab.shows(f"for {quote['source_total_amount']} eur")
    await page.get_by_role("radio", name="eth on ethereum").check()
    await page.get_by_label("Address of the wallet").fill("0xAbc")
    await press(page, "Sign in")

    await tab.shows("status requires_payment")
    await tab.shows("0xAbc")
    assert page.url == session["redirect_url"]
    details = await details_of(api, session)
    assert details["source_amount"] == "250.00"
    assert (details["source_currency"], details["destination_currency"]) == ("eur", "eth")
    assert details["destination_amount"] == quote["destination_amount"]
    fees = {name.replace("_amount", ""): value for name, value in details["fees"].items()}
    quoted = {name.replace("_monetary", ""): value for name, value in quote["fees"].items()}
    assert fees == quoted
    await press(page, f"Pay {quote['source_total_amount']} eur")

    await tab.shows("status fulfillment_processing")
    assert (await details_of(api, session))["transaction_id"] is None
    await press(page, "Let it arrive")
    await tab.shows("The purchase arrived")
    details = await details_of(api, session)
    assert (len(details["transaction_id"]), details["wallet_address"]) == (64, "0xAbc")
    await tab.shows(details["transaction_id"])
    events = (await api.ok("GET", "/v1/events?type=crypto.onramp_session.updated"))["data"]
    assert [event["data"]["object"]["status"] for event in events] == [
        "fulfillment_complete",
        "fulfillment_processing",
        "requires_payment",
    ]
    before = events[2]["data"]["previous_attributes"]
    assert before["status"] == "initialized"
    assert before["transaction_details"]["source_amount"] is None


async def test_a_declined_payment_can_be_tried_again(tab: Tab, api: Api, server: Server) -> None:
    session = await api.ok("POST", ONRAMP)
    server.crypto.advance(session["id"], "requires_payment")
    page = tab.page
    await page.goto(session["redirect_url"])
    await press(page, "The card is declined")
    await expect(page.get_by_role("alert")).to_contain_text("declined")
    assert (await api.ok("GET", f"{ONRAMP}/{session['id']}"))["status"] == "requires_payment"
    await page.get_by_role("button", name=re.compile(r"Pay [\d.]+ usd")).click()
    await tab.shows("status fulfillment_processing")


@pytest.mark.parametrize("cause", REJECTIONS)
@pytest.mark.parametrize("signed_in", [False, True])
async def test_a_buyer_is_rejected_before_and_after_the_sign_in(
    tab: Tab, api: Api, server: Server, cause: str, signed_in: bool
) -> None:
    session = await api.ok("POST", ONRAMP)
    if signed_in:
        server.crypto.advance(session["id"], "requires_payment")
    page = tab.page
    await page.goto(session["redirect_url"])
    await page.get_by_role("combobox", name="Or the buyer is rejected").select_option(cause)
    await press(page, "Reject")
    await expect(page.get_by_role("alert")).to_have_text(REJECTIONS[cause])
    await tab.shows("This purchase was rejected")
    assert (await api.ok("GET", f"{ONRAMP}/{session['id']}"))["status"] == "rejected"
    await page.goto(session["redirect_url"])
    await tab.shows("This purchase was rejected")
    assert await page.get_by_role("button").count() == 0


async def test_only_pairs_of_the_session_are_offered(tab: Tab, api: Api) -> None:
    wallet = {"wallet_addresses[ethereum]": "0xShop", "wallet_addresses[solana]": "SolShop"}
    lists = {"destination_currencies[]": "usdc", "destination_networks[0]": "ethereum"}
    session = await api.ok(
        "POST",
        ONRAMP,
        {
            **wallet,
            **lists,
            "destination_networks[1]": "solana",
            "destination_networks[2]": "base",
            "lock_wallet_address": "true",
        },
    )
    page = tab.page
    await page.goto(session["redirect_url"])
    values = "nodes => nodes.map((node) => node.value)"
    radios = page.get_by_role("radio")
    assert await radios.evaluate_all(values) == ["usdc:ethereum", "usdc:solana"]
    assert await page.get_by_label("Address of the wallet").count() == 0
    await tab.shows("SolShop")
    await page.get_by_role("radio", name="usdc on solana").check()
    await press(page, "Sign in")
    await press(page, "Pay")
    await press(page, "Let it arrive")
    await tab.shows("The purchase arrived")
    assert (await details_of(api, session))["wallet_address"] == "SolShop"


async def test_a_session_with_an_amount_to_receive_starts_with_it(tab: Tab, api: Api) -> None:
    session = await api.ok(
        "POST",
        ONRAMP,
        {
            "destination_amount": "0.123456789",
            "destination_currency": "sol",
            "destination_network": "solana",
        },
    )
    page = tab.page
    await page.goto(session["redirect_url"])
    await expect(page.get_by_role("combobox", name="The amount is what I")).to_have_value("receive")
    # Bitcoin has eight decimals, so it cannot deliver this amount.
    assert await page.get_by_role("radio", name="btc").count() == 0
    await expect(page.get_by_role("radio", name="sol on solana")).to_be_checked()
    await press(page, "Sign in")
    await tab.shows("status requires_payment")
    details = await details_of(api, session)
    assert details["destination_amount"] == "0.123456789"
    assert Decimal(details["source_amount"]) > 0


@pytest.mark.parametrize("amount", ["", "0", "-1", "1.234", "much"])
async def test_wrong_amounts_are_told(tab: Tab, api: Api, amount: str) -> None:
    session = await api.ok("POST", ONRAMP)
    page = tab.page
    await page.goto(f"{session['redirect_url']}?side=pay&source_currency=usd&amount={amount}")
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await page.get_by_role("radio").count() == 13
    tab.errors.clear()  # the status 400


@pytest.mark.parametrize(
    "data",
    [
        {"step": "pay"},
        {"step": "deliver"},
        {"step": "checkout"},
        {"step": "sign_in"},
        {"step": "sign_in", "pair": "btc:solana"},
        {"step": "sign_in", "pair": "usdc"},
        {"step": "sign_in", "pair[]": "usdc"},
        {"step": "sign_in", "pair": "usdc:solana", "amount": "1"},
    ],
)
async def test_steps_that_do_not_fit_change_nothing(api: Api, data: dict[str, str]) -> None:
    session = await api.ok("POST", ONRAMP)
    page = (await api("GET", session["redirect_url"])).body
    token = re.findall(r'name="form_token" value="([0-9a-f]+)"', page)[0]
    reply = await api("POST", session["redirect_url"], {"form_token": token, **data})
    assert reply.status == 400
    assert 'role="alert"' in reply.body
    assert await api.ok("GET", f"{ONRAMP}/{session['id']}") == session
    reply = await api("POST", session["redirect_url"], {"form_token": "x", **data})
    assert reply.status == 403


async def test_a_session_of_ones_own_checkout_is_paid_here_too(
    tab: Tab, api: Api, server: Server
) -> None:
    session = await api.ok("POST", ONRAMP)
    server.crypto.advance(session["id"], "quote_ready")
    await tab.page.goto(session["redirect_url"])
    await press(tab.page, "Pay")
    await tab.shows("status fulfillment_processing")


async def test_unknown_links(tab: Tab, api: Api, server: Server) -> None:
    session = await api.ok("POST", ONRAMP)
    for token in ("x", session["id"], session["redirect_url"][-36:-1] + "_", "cos__secret_"):
        await tab.page.goto(f"{server.url}/_sandbox/onramp/{token}")
        await tab.shows("This link is not valid")
    assert len(tab.errors) == 4
    tab.errors.clear()


async def test_the_page_is_for_screen_readers_and_phones(
    tab: Tab, api: Api, server: Server
) -> None:
    session = await api.ok("POST", ONRAMP, {"wallet_addresses[ethereum]": "0x" + "a" * 40})
    for status in ("requires_payment", "fulfillment_processing", "fulfillment_complete"):
        await tab.page.goto(session["redirect_url"])
        assert await tab.unlabelled() == []
        assert not await tab.overflows()
        server.crypto.advance(session["id"], status)
    await tab.page.goto(session["redirect_url"])
    assert not await tab.overflows()
