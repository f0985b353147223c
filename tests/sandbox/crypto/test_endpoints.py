"""Onramp sessions and quotes over HTTP, with the driver as the customer."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.sandbox import ManualClock, Refusal, Server
from tests.sandbox.conftest import NOW
from tests.support.sandbox_api import ONRAMP, QUOTES, Api

pytestmark = pytest.mark.anyio

NETWORKS = {"avalanche", "base_network", "bitcoin", "ethereum", "polygon", "solana", "stellar"}
PRECISION = {"avax": 18, "btc": 8, "eth": 18, "matic": 18, "sol": 9, "xlm": 8}
HEX = re.compile(r"[0-9a-f]{64}")
PREFIX = "crypto_onramp_"
TOO_MANY = PREFIX + "quote_too_many_destination_currencies_and_networks"
NO_PAIR = PREFIX + "quote_invalid_destination_currencies_and_networks"


def cells(quotes: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        quote for group in quotes["destination_network_quotes"].values() for quote in group or []
    ]


async def test_quotes_cover_every_pair(api: Api) -> None:
    quotes = await api.ok("GET", QUOTES)
    assert quotes.keys() == {
        "id",
        "object",
        "destination_network_quotes",
        "livemode",
        "rate_fetched_at",
        "source_amount",
        "source_currency",
    }
    assert quotes["object"] == "crypto.onramp.quotes"
    assert HEX.fullmatch(quotes["id"])
    assert (quotes["source_amount"], quotes["source_currency"]) == ("100.00", "usd")
    assert isinstance(quotes["rate_fetched_at"], float)
    assert 0 <= NOW - quotes["rate_fetched_at"] <= 61
    groups = quotes["destination_network_quotes"]
    assert groups.keys() == NETWORKS
    assert {quote["destination_network"] for quote in groups["base_network"]} == {"base"}
    assert len(cells(quotes)) == 13
    assert len({quote["id"] for quote in cells(quotes)}) == 13


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.decimals("0.01", "1000000", places=2), st.sampled_from(["usd", "eur"]), st.integers(0, 9999)
)
async def test_quotes_add_up(
    api: Api, clock: ManualClock, amount: Decimal, currency: str, seconds: int
) -> None:
    clock.advance(seconds)
    quotes = await api.ok("GET", f"{QUOTES}?source_amount={amount}&source_currency={currency}")
    assert quotes["source_amount"] == f"{amount:f}"
    for quote in cells(quotes):
        fees = quote["fees"]
        total = Decimal(quote["source_total_amount"])
        assert total == amount + sum(map(Decimal, fees.values()))
        assert fees.keys() == {"network_fee_monetary", "transaction_fee_monetary"}
        currency_precision = PRECISION.get(quote["destination_currency"], 2)
        if quote["destination_network"] == "base" and quote["destination_currency"] == "usdc":
            currency_precision = 6
        assert len(quote["destination_amount"].partition(".")[2]) == currency_precision
        assert HEX.fullmatch(quote["id"])


async def test_filters_leave_empty_lists(api: Api) -> None:
    quotes = await api.ok("GET", QUOTES + "?destination_currencies[]=eth")
    groups = quotes["destination_network_quotes"]
    assert {name for name, group in groups.items() if group} == {"base_network", "ethereum"}
    assert all(
        group == [] for name, group in groups.items() if name not in ("base_network", "ethereum")
    )
    narrow = await api.ok(
        "GET", QUOTES + "?destination_networks[0]=base&destination_currencies[0]=eth"
    )
    assert len(cells(narrow)) == 1
    both = await api.ok(
        "GET", QUOTES + "?destination_networks[]=base&destination_networks[]=bitcoin"
    )
    assert {quote["destination_network"] for quote in cells(both)} == {"base", "bitcoin"}


async def test_a_destination_amount_leaves_null_elsewhere(api: Api) -> None:
    quotes = await api.ok(
        "GET",
        QUOTES + "?destination_amount=40&destination_currencies[]=usdc"
        "&destination_networks[]=base&source_currency=eur",
    )
    groups = quotes["destination_network_quotes"]
    assert all(group is None for name, group in groups.items() if name != "base_network")
    (quote,) = groups["base_network"]
    assert quote["destination_amount"] == "40.000000"
    fees = sum(map(Decimal, quote["fees"].values()))
    assert Decimal(quotes["source_amount"]) + fees == Decimal(quote["source_total_amount"])


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("source_amount=1&destination_amount=1", "source_amount", "parameters_exclusive"),
        ("destination_amount=1", "destination_amount", TOO_MANY),
        ("destination_amount=1&destination_currencies[]=eth", "destination_amount", TOO_MANY),
        (
            "destination_amount=1&destination_currencies[]=eth&destination_networks[]=base&destination_networks[]=ethereum",
            "destination_amount",
            TOO_MANY,
        ),
        (
            "destination_amount=0.000000001&destination_currencies[]=btc&destination_networks[]=bitcoin",
            "destination_amount",
            PREFIX + "invalid_destination_amount",
        ),
        ("destination_currencies[]=btc&destination_networks[]=solana", None, NO_PAIR),
        ("destination_currencies[]=doge", None, NO_PAIR),
        ("destination_networks[]=base_network", None, NO_PAIR),
        ("source_amount=0", "source_amount", PREFIX + "invalid_source_amount"),
        ("source_amount=1.005", "source_amount", PREFIX + "invalid_source_amount"),
        ("source_amount=ten", "source_amount", PREFIX + "invalid_source_amount"),
        ("source_currency=gbp", "source_currency", None),
        ("destination_currencies=eth", "destination_currencies", None),
        ("limit=1", "limit", "parameter_unknown"),
    ],
)
async def test_quotes_that_are_refused(
    api: Api, query: str, param: str | None, code: str | None
) -> None:
    reply = await api("GET", f"{QUOTES}?{query}")
    assert reply.status == 400
    assert (reply.error.get("param"), reply.error.get("code")) == (param, code)


async def test_quotes_hang_on_amount_clock_and_nothing_else(api: Api, clock: ManualClock) -> None:
    query = "?source_amount=250&destination_currencies[]=btc"
    first = await api.ok("GET", QUOTES + query)
    assert await api.ok("GET", "/v1/crypto/onramp_quotes" + query) == first
    other = await api.ok("GET", QUOTES + query.replace("250", "251"))
    assert other["id"] != first["id"]
    clock.advance(60)
    later = await api.ok("GET", QUOTES + query)
    assert later["rate_fetched_at"] > first["rate_fetched_at"]
    assert cells(later)[0]["destination_amount"] != cells(first)[0]["destination_amount"]


DETAILS = {
    "destination_amount",
    "destination_currencies",
    "destination_currency",
    "destination_network",
    "destination_networks",
    "fees",
    "lock_wallet_address",
    "source_amount",
    "source_currency",
    "transaction_id",
    "wallet_address",
    "wallet_addresses",
}


async def test_a_new_session_has_every_field_of_the_api(api: Api, server: Server) -> None:
    session = await api.ok("POST", ONRAMP)
    assert session.keys() == {
        "id",
        "object",
        "client_secret",
        "created",
        "kyc_details_provided",
        "livemode",
        "metadata",
        "redirect_url",
        "status",
        "transaction_details",
    }
    assert session["id"].startswith("cos_")
    assert session["client_secret"].startswith(session["id"] + "_secret_")
    assert session["redirect_url"].startswith(f"{server.url}/_sandbox/onramp/")
    assert (session["status"], session["metadata"]) == ("initialized", {})
    details = session["transaction_details"]
    assert details.keys() == DETAILS
    assert {name for name, value in details.items() if value is not None} == {"lock_wallet_address"}
    assert await api.ok("GET", f"{ONRAMP}/{session['id']}") == session


async def test_what_was_sent_comes_back(api: Api) -> None:
    session = await api.ok(
        "POST",
        ONRAMP,
        {
            "source_amount": "145",
            "source_currency": "eur",
            "metadata[cart]": "B-204",
            "destination_currencies[0]": "eth",
            "destination_currencies[1]": "usdc",
            "destination_networks[0]": "base",
            "destination_networks[1]": "stellar",
            "wallet_addresses[base_network]": "0xab",
            "lock_wallet_address": "true",
            "wallet_addresses[destination_tags][stellar]": "12",
            "customer_information[email]": "a@b.example",
            "customer_ip_address": "192.0.2.7",
            "customer_information[dob][year]": "1990",
            "customer_information[dob][month]": "2",
            "customer_information[dob][day]": "3",
            "settlement_speed": "instant",
        },
    )
    assert (session["kyc_details_provided"], session["metadata"]) == (True, {"cart": "B-204"})
    details = session["transaction_details"]
    assert (details["source_amount"], details["source_currency"]) == ("145.00", "eur")
    assert (details["destination_currency"], details["destination_network"]) == ("eth", "base")
    assert details["wallet_addresses"]["base_network"] == "0xab"
    assert details["wallet_addresses"]["destination_tags"] == {"stellar": "12"}
    assert details["wallet_addresses"]["bitcoin"] is None
    assert "base" not in details["wallet_addresses"]


@pytest.mark.parametrize(
    ("data", "pair"),
    [
        ({"destination_currencies[]": "btc"}, ("btc", None)),
        ({"destination_networks[]": "base"}, (None, "base")),
        ({"destination_currency": "usdc", "destination_network": "base"}, ("usdc", "base")),
    ],
)
async def test_defaults_of_the_destination(api: Api, data: Any, pair: tuple[Any, Any]) -> None:
    details = (await api.ok("POST", ONRAMP, data))["transaction_details"]
    assert (details["destination_currency"], details["destination_network"]) == pair


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (
            "source_amount=1&destination_amount=1&source_currency=usd",
            "invalid_source_destination_pair",
        ),
        ("source_amount=1", "missing_source_currency"),
        ("source_amount=1.001&source_currency=usd", "invalid_source_amount"),
        ("source_amount=0&source_currency=usd", "invalid_source_amount"),
        ("destination_amount=1", "missing_destination_currency"),
        ("destination_amount=-1", "invalid_destination_amount"),
        (
            "destination_amount=1.0000001&destination_currency=usdc&destination_network=base",
            "invalid_destination_amount",
        ),
        ("destination_currency=eth", "incomplete_destination_currency_and_network_pair"),
        ("destination_network=base", "incomplete_destination_currency_and_network_pair"),
        (
            "destination_currency=btc&destination_network=base",
            "invalid_destination_currency_and_network_pair",
        ),
        (
            "destination_currency=eth&destination_network=base&destination_currencies[]=usdc",
            "conflicting_destination_currency",
        ),
        (
            "destination_currency=eth&destination_network=base&destination_networks[]=solana",
            "conflicting_destination_network",
        ),
        (
            "destination_currencies[]=btc&destination_networks[]=base",
            "invalid_destination_currencies_and_networks",
        ),
        ("destination_currencies[]=doge", "invalid_destination_currencies_and_networks"),
        (
            "wallet_addresses[solana]=a&destination_networks[]=base",
            "wallet_addresses_not_all_networks_supported",
        ),
        (
            "wallet_addresses[solana]=a&destination_network=base&destination_currency=eth",
            "wallet_addresses_not_all_networks_supported",
        ),
        ("lock_wallet_address=true", "no_wallet_address_to_lock"),
        (
            "lock_wallet_address=true&wallet_addresses[destination_tags][stellar]=1",
            "no_wallet_address_to_lock",
        ),
    ],
)
async def test_rules_of_a_new_session(api: Api, query: str, code: str) -> None:
    reply = await api("POST", f"{ONRAMP}?{query}")
    assert (reply.status, reply.error["code"]) == (400, PREFIX + code)


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("wallet_addresses[base]=0xab", "wallet_addresses[base]", "parameter_unknown"),
        ("customer_ip_address=somewhere", "customer_ip_address", "customer_ip_address"),
        ("source_currency=jpy", "source_currency", None),
        ("kyc_details[dob][year]=1990", "kyc_details[dob][month]", "parameter_missing"),
        ("kyc_details[ssn]=1", "kyc_details[ssn]", "parameter_unknown"),
    ],
)
async def test_parameters_of_a_new_session(api: Api, query: str, param: str, code: str) -> None:
    reply = await api("POST", f"{ONRAMP}?{query}")
    assert (reply.status, reply.error["param"], reply.error.get("code")) == (400, param, code)


async def test_wallets_may_come_without_networks(api: Api) -> None:
    session = await api.ok("POST", ONRAMP, {"wallet_addresses[solana]": "abc"})
    assert session["transaction_details"]["wallet_addresses"]["solana"] == "abc"


async def test_a_session_is_priced_at_sign_in_and_fulfilled(api: Api, server: Server) -> None:
    session = await api.ok("POST", ONRAMP, {"wallet_addresses[solana]": "abc"})
    id = session["id"]
    details = server.crypto.advance(id, "requires_payment")["transaction_details"]
    assert (details["source_amount"], details["source_currency"]) == ("100.00", "usd")
    assert (details["destination_currency"], details["destination_network"]) == ("usdc", "solana")
    assert details["destination_amount"] == "100.00"
    assert details["fees"]["transaction_fee_amount"] == "2.49"
    assert details["transaction_id"] is None
    server.crypto.advance(id, "fulfillment_processing")
    done = server.crypto.advance(id, "fulfillment_complete")["transaction_details"]
    assert HEX.fullmatch(done["transaction_id"])
    assert done["wallet_address"] == "abc"
    events = (await api.ok("GET", "/v1/events"))["data"]
    assert [event["type"] for event in events] == ["crypto.onramp_session.updated"] * 3
    assert events[2]["data"]["previous_attributes"] == {
        "status": "initialized",
        "transaction_details": dict.fromkeys(
            (
                "destination_amount",
                "destination_currency",
                "fees",
                "destination_network",
                "source_amount",
                "source_currency",
            )
        ),
    }
    assert events[1]["data"]["previous_attributes"] == {"status": "requires_payment"}


@pytest.mark.parametrize(
    ("data", "amounts"),
    [
        (
            {
                "destination_amount": "2.5",
                "destination_currency": "usdc",
                "destination_network": "base",
            },
            ("2.50", "2.500000"),
        ),
        (
            {"source_amount": "7", "source_currency": "usd", "destination_currencies[]": "usdc"},
            ("7.00", "7.00"),
        ),
        ({"destination_networks[]": "base"}, ("100.00", None)),
        ({"destination_currencies[]": "btc"}, ("100.00", None)),
        (
            {
                "destination_amount": "999999999999999",
                "destination_currency": "eth",
                "destination_network": "base",
            },
            (None, "999999999999999." + "0" * 18),
        ),
    ],
)
async def test_completing_takes_every_step(
    api: Api, server: Server, data: Any, amounts: tuple[str | None, str | None]
) -> None:
    session = await api.ok("POST", ONRAMP, data)
    done = server.crypto.complete(session["id"])
    assert done["status"] == "fulfillment_complete"
    details = done["transaction_details"]
    assert all(details[name] for name in ("fees", "wallet_address", "transaction_id"))
    for name, amount in zip(("source_amount", "destination_amount"), amounts, strict=True):
        assert amount is None or details[name] == amount
    assert len((await api.ok("GET", "/v1/events"))["data"]) == 3
    with pytest.raises(Refusal):
        server.crypto.complete(session["id"])


async def test_a_headless_session_goes_by_its_quote(api: Api, server: Server) -> None:
    session = await api.ok("POST", ONRAMP)
    ready = server.crypto.advance(session["id"], "quote_ready")
    assert ready["transaction_details"]["fees"] is not None
    assert (await api.ok("GET", "/v1/events"))["data"] == []
    assert server.crypto.complete(session["id"])["status"] == "fulfillment_complete"


async def test_lists_filter(api: Api, server: Server) -> None:
    eth = await api.ok(
        "POST", ONRAMP, {"destination_currency": "eth", "destination_network": "base"}
    )
    other = await api.ok("POST", ONRAMP)
    server.crypto.advance(other["id"], "rejected")
    for query, ids in {
        "": [other["id"], eth["id"]],
        "destination_currency=eth": [eth["id"]],
        "destination_network=base": [eth["id"]],
        "destination_network=elsewhere": [],
        "status=rejected": [other["id"]],
        "status=initialized&destination_currency=eth": [eth["id"]],
        f"ending_before={eth['id']}": [other["id"]],
    }.items():
        page = await api.ok("GET", f"{ONRAMP}?{query}")
        assert [session["id"] for session in page["data"]] == ids
    assert (await api("GET", f"{ONRAMP}?status=quote_ready")).status == 400
    assert (await api("GET", f"{ONRAMP}/cos_none")).error["code"] == "resource_missing"
