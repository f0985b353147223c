"""Crypto: answers are read and compared exactly; arguments are refused or sent."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import pprint
from collections.abc import AsyncGenerator
from datetime import datetime, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import (
    ConfigurationError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
)
from pinstripe._http import encoding
from pinstripe._http.messages import Request, Response
from pinstripe._models.convert import from_dict, to_dict
from pinstripe._models.native import is_native
from pinstripe._models.page import Page
from pinstripe._resources.endpoint import response_of
from pinstripe._resources.walk import Created
from pinstripe.bulk import Progress
from pinstripe.crypto import (
    Crypto,
    OnrampDestinationTags,
    OnrampQuote,
    OnrampQuoteFees,
    OnrampSession,
    OnrampWalletAddresses,
    Quotes,
    QuotesQuery,
    check_query,
)
from pinstripe.sandbox import ManualClock, Sandbox
from tests.support.decoding import read

pytestmark = pytest.mark.anyio

ID = "cos_Kq3vT8"
SECRET = "cos_Kq3vT8_secret_W0nTtElL"
LINK = "https://crypto.example/visit?session_hash=hAsHeD"
WALLET = "0x00000000000000000000000000000000000000aa"
HASH = "oNcHaInHaSh"

NEW_SESSION: dict[str, Any] = {
    "id": ID,
    "object": "crypto.onramp_session",
    "client_secret": SECRET,
    "created": 1790510500,
    "kyc_details_provided": False,
    "livemode": False,
    "metadata": {"cart": "B-77-private"},
    "redirect_url": LINK,
    "status": "initialized",
    "transaction_details": {
        "destination_amount": None,
        "destination_currencies": None,
        "destination_currency": None,
        "destination_network": None,
        "destination_networks": None,
        "fees": None,
        "lock_wallet_address": False,
        "source_amount": None,
        "source_currency": None,
        "transaction_id": None,
        "wallet_address": None,
        "wallet_addresses": None,
    },
}
DONE_SESSION: dict[str, Any] = {
    **NEW_SESSION,
    "status": "fulfillment_complete",
    "transaction_details": {
        "destination_amount": "0.041870000000000000",
        "destination_currencies": ["eth", "usdc"],
        "destination_currency": "eth",
        "destination_network": "base",
        "destination_networks": ["base", "stellar"],
        "fees": {"network_fee_amount": "0.11", "transaction_fee_amount": "4.87"},
        "last_error": None,
        "lock_wallet_address": True,
        "settlement_speed": "instant",
        "source_amount": "145.00",
        "source_currency": "eur",
        "transaction_id": HASH,
        "wallet_address": WALLET,
        "wallet_addresses": {
            "avalanche": None,
            "base_network": WALLET,
            "destination_tags": {"stellar": "880231-tag"},
            "stellar": "GPRIVATE",
        },
    },
}
OLD_SESSION = {
    name: value
    for name, value in NEW_SESSION.items()
    if name not in ("kyc_details_provided", "metadata", "redirect_url")
}


def quote_data(currency: str, network: str, amount: str, total: str) -> dict[str, Any]:
    return {
        "id": f"{currency}-{network}",
        "destination_amount": amount,
        "destination_currency": currency,
        "destination_network": network,
        "fees": {"network_fee_monetary": "0.01", "transaction_fee_monetary": "6.23"},
        "source_total_amount": total,
    }


QUOTES: dict[str, Any] = {
    "id": "d81a",
    "object": "crypto.onramp.quotes",
    "destination_network_quotes": {
        "avalanche": [
            quote_data("avax", "avalanche", "10.584250635055038000", "256.24"),
            quote_data("usdc", "avalanche", "250.00", "256.25"),
        ],
        "base_network": [
            quote_data("eth", "base", "0.072046109510086455", "256.24"),
            quote_data("usdc", "base", "250.000000", "256.24"),
        ],
        "bitcoin": None,
        "polygon": [],
        "brand_new": [quote_data("usdc", "brand_new", "250.00", "257")],
    },
    "livemode": False,
    "rate_fetched_at": 1790510400.4183028,
    "source_amount": "250.00",
    "source_currency": "usd",
}

Recorded = list[Request]


def crypto_answering(data: Any) -> tuple[Crypto, Recorded]:
    """Return the resources over a sender that records requests and always answers `data`."""
    requests: Recorded = []

    async def send(request: Request) -> Response:
        requests.append(request)
        return Response(status=200, headers={}, body=json.dumps(data).encode())

    return Crypto(send), requests


def sent(request: Request) -> dict[str, str]:
    form = request.body.decode() if request.body is not None else request.query
    return dict(parse_qsl(form, keep_blank_values=True))


# The models


@pytest.mark.parametrize("model", [Quotes, OnrampSession, Page[OnrampSession]])
def test_models_are_built_natively(model: Any) -> None:
    assert is_native(model)


@pytest.mark.parametrize("data", [NEW_SESSION, DONE_SESSION, OLD_SESSION])
def test_session_survives_a_round_trip(data: Any) -> None:
    session = read(data, OnrampSession)
    assert read(to_dict(session), OnrampSession) == session


def test_session_is_read_whole() -> None:
    session = read(DONE_SESSION, OnrampSession)
    details = session.transaction_details
    assert session.created == datetime(2026, 9, 27, 12, 1, 40, tzinfo=timezone.utc)
    assert str(details.destination_amount) == "0.041870000000000000"
    assert details.destination_currencies == ("eth", "usdc")
    assert details.fees.transaction_fee_amount == Decimal("4.87")
    plain = json.loads(json.dumps(to_dict(session)))
    wallets = plain["transaction_details"]["wallet_addresses"]
    present = {network: wallet for network, wallet in wallets.items() if wallet is not None}
    plain["transaction_details"]["wallet_addresses"] = {"avalanche": None, **present}
    assert plain == DONE_SESSION


def test_older_session_lacks_what_came_later() -> None:
    session = read(OLD_SESSION, OnrampSession)
    assert (session.metadata, session.redirect_url, session.kyc_details_provided) == (None,) * 3


def test_unknown_words_are_kept() -> None:
    data = {**NEW_SESSION, "status": "pondering", "brand_new_field": 1}
    assert read(data, OnrampSession).status == "pondering"


def test_wallets_are_looked_up_by_the_name_of_the_network() -> None:
    wallets = read(DONE_SESSION, OnrampSession).transaction_details.wallet_addresses
    assert wallets.base == wallets.for_network("base") == WALLET
    assert wallets.for_network("stellar") == "GPRIVATE"
    assert wallets.destination_tags == OnrampDestinationTags(stellar="880231-tag")


def test_a_network_that_is_newer_than_the_model_is_kept() -> None:
    data = json.loads(json.dumps(NEW_SESSION))
    newer = {"arbitrum": "0xabc", "destination_tags": {"stellar": None, "ton": "7"}, "base": None}
    data["transaction_details"]["wallet_addresses"] = newer
    session = read(data, OnrampSession)
    wallets = session.transaction_details.wallet_addresses
    assert wallets.for_network("arbitrum") == wallets["arbitrum"] == "0xabc"
    assert wallets.destination_tags["ton"] == "7"
    assert (wallets.ethereum, wallets.destination_tags.stellar) == (None, None)
    assert to_dict(session)["transaction_details"]["wallet_addresses"] == newer
    assert msgspec.json.decode(msgspec.json.encode(wallets)) == newer
    for twin in (from_dict(OnrampSession, to_dict(session)), pickle.loads(pickle.dumps(session))):
        assert twin == session
        assert hash(twin) == hash(session)
        assert type(twin.transaction_details.wallet_addresses) is OnrampWalletAddresses
        assert twin.transaction_details.wallet_addresses.destination_tags["ton"] == "7"
    assert "0xabc" not in repr(wallets) + "".join(map(repr, wallets.__rich_repr__()))
    assert "0xabc" not in pprint.pformat([wallets, session])


@pytest.mark.parametrize("wrong", [{"arbitrum": 7}, {"destination_tags": "7"}, ["0xabc"]])
def test_wallets_that_are_no_text_are_refused(wrong: Any) -> None:
    details = {**NEW_SESSION["transaction_details"], "wallet_addresses": wrong}
    with pytest.raises(DecodeError):
        read({**NEW_SESSION, "transaction_details": details}, OnrampSession)


@pytest.mark.parametrize("network", ["celo", "brand_new", "destination_tags", "for_network"])
def test_wallet_that_is_not_there_is_none(network: str) -> None:
    tags = OnrampDestinationTags(stellar="1")
    assert OnrampWalletAddresses(destination_tags=tags).for_network(network) is None


def test_repr_of_a_session_shows_no_secret() -> None:
    page = read({"object": "list", "data": [DONE_SESSION], "has_more": False}, Page[OnrampSession])
    session = page.data[0]
    details = session.transaction_details
    parts = (page, session, details, details.wallet_addresses)
    shown = "".join(map(repr, (*parts, details.wallet_addresses.destination_tags)))
    for secret in (SECRET, LINK, WALLET, HASH, "880231-tag", "GPRIVATE", "B-77-private"):
        assert secret not in shown
    assert ID in shown


@pytest.mark.parametrize("missing", ["id", "client_secret", "created", "transaction_details"])
def test_session_without_what_it_must_have_is_refused(missing: str) -> None:
    data = {name: value for name, value in NEW_SESSION.items() if name != missing}
    with pytest.raises(DecodeError) as caught:
        read(data, OnrampSession)
    assert SECRET not in str(caught.value)


# Quotes


def test_quotes_survive_a_round_trip() -> None:
    quotes = read(QUOTES, Quotes)
    assert read(to_dict(quotes), Quotes) == quotes
    assert pickle.loads(pickle.dumps(quotes)) == quotes


def test_quotes_are_read_exactly() -> None:
    quotes = read(QUOTES, Quotes)
    eth = quotes.for_network("base")[0]
    assert str(eth.destination_amount) == "0.072046109510086455"
    assert quotes.rate_fetched_at.tzinfo is not None
    assert quotes.rate_fetched_at.microsecond == 418303
    assert eth.total_fees == Decimal("6.24")


def test_quotes_of_an_older_answer_need_no_object_and_no_ids() -> None:
    quote = quote_data("usdc", "base", "1", "2")
    data = {**QUOTES, "destination_network_quotes": {"base_network": [{**quote, "id": None}]}}
    del data["object"]
    quotes = read(data, Quotes)
    assert quotes.object == "crypto.onramp.quotes"
    assert quotes.cheapest("usdc") == quotes.for_network("base")[0]


def test_quotes_are_iterated_over_all_networks() -> None:
    quotes = read(QUOTES, Quotes)
    seen = [(quote.destination_currency, quote.destination_network) for quote in quotes]
    assert seen == [
        ("avax", "avalanche"),
        ("usdc", "avalanche"),
        ("eth", "base"),
        ("usdc", "base"),
        ("usdc", "brand_new"),
    ]
    assert len(quotes) == 5
    assert quotes.currencies == ("avax", "usdc", "eth")
    assert "5 quotes" in repr(quotes)


@pytest.mark.parametrize("network", ["bitcoin", "polygon", "optimism", "base_network_2"])
def test_network_that_is_null_empty_or_missing_has_no_quotes(network: str) -> None:
    quotes = read(QUOTES, Quotes)
    assert quotes.for_network(network) == quotes.filter(network=network) == ()


def test_cheapest_is_the_lowest_total_for_each_unit() -> None:
    quotes = read(QUOTES, Quotes)
    assert [quotes.cheapest(c).destination_network for c in quotes.currencies] == [
        "avalanche",
        "base",
        "base",
    ]
    assert quotes.cheapest("btc") is None


def make_quote(
    amount: Decimal, total: Decimal, currency: str = "usdc", network: str = "base", id: str = "q"
) -> OnrampQuote:
    fees = OnrampQuoteFees(network_fee_monetary=Decimal(0), transaction_fee_monetary=Decimal(0))
    return OnrampQuote(
        id=id,
        destination_amount=amount,
        destination_currency=currency,
        destination_network=network,
        fees=fees,
        source_total_amount=total,
    )


def make_quotes(*quotes: OnrampQuote) -> Quotes:
    by_network: dict[str, tuple[OnrampQuote, ...] | None] = {"bitcoin": None, "solana": ()}
    for quote in quotes:
        key = {"base": "base_network"}.get(quote.destination_network, quote.destination_network)
        by_network[key] = (*(by_network.get(key) or ()), quote)
    return Quotes(
        id="all",
        destination_network_quotes=by_network,
        livemode=False,
        rate_fetched_at=datetime.fromtimestamp(0, timezone.utc),
        source_amount=Decimal(100),
        source_currency="usd",
    )


def test_costs_that_differ_past_any_rounding_are_told_apart() -> None:
    third = Decimal("0." + "3" * 60)
    dear = make_quote(third, Decimal(1), network="avalanche")
    cheap = make_quote(third + Decimal("1E-28"), Decimal(1), network="tempo")
    assert make_quotes(dear, cheap).cheapest("usdc") == cheap


def test_tie_goes_to_the_smaller_total_then_the_alphabet() -> None:
    big = make_quote(Decimal(200), Decimal(100), network="avalanche")
    late = make_quote(Decimal(2), Decimal("1.00"), network="stellar", id="0")
    early = make_quote(Decimal("2.0"), Decimal(1), network="celo", id="b")
    first = make_quote(Decimal(2), Decimal(1), network="celo", id="a")
    assert make_quotes(big, late, early, first).cheapest("usdc") == first
    assert make_quotes(big, late, early).cheapest("usdc") == early
    assert make_quotes(big, late).cheapest("usdc") == late


WILD = [
    Decimal(text)
    for text in (
        *("NaN", "sNaN", "Infinity", "-Infinity", "0", "0E+5", "-0", "-1"),
        *("1E+999999999", "1E-999999999", "1E+1000", "1E-1000"),
    )
]


@pytest.mark.parametrize("wild", WILD, ids=str)
def test_amount_without_a_price_never_wins_and_never_raises(wild: Decimal) -> None:
    one = Decimal(1)
    assert make_quote(wild, one).unit_cost is None
    assert make_quotes(make_quote(wild, one)).cheapest("usdc") is None
    assert make_quotes(make_quote(wild, one), make_quote(one, one)).cheapest("usdc") is not None


@pytest.mark.parametrize("wild", [d for d in WILD if not d.is_zero()], ids=str)
def test_total_without_a_price_never_wins_and_never_raises(wild: Decimal) -> None:
    quote = make_quote(Decimal(1), wild)
    assert quote.unit_cost is None
    assert make_quotes(quote).cheapest("usdc") is None


def test_quote_that_costs_nothing_is_the_cheapest() -> None:
    free, cheap = make_quote(Decimal(1), Decimal(0)), make_quote(Decimal(1), Decimal("0.01"))
    assert make_quotes(cheap, free).cheapest("usdc") == free


@pytest.mark.parametrize("fee", WILD, ids=str)
def test_sum_of_the_fees_never_raises(fee: Decimal) -> None:
    fees = OnrampQuoteFees(network_fee_monetary=fee, transaction_fee_monetary=Decimal(1))
    assert isinstance(evolve(make_quote(Decimal(1), Decimal(1)), fees=fees).total_fees, Decimal)


def test_sum_of_the_fees_is_exact_in_any_context() -> None:
    fees = OnrampQuoteFees(
        network_fee_monetary=Decimal("1E-40"), transaction_fee_monetary=Decimal(98765)
    )
    with localcontext() as context:
        context.prec = 2
        total = evolve(make_quote(Decimal(1), Decimal(1)), fees=fees).total_fees
    assert Fraction(total) == Fraction(98765) + Fraction(1, 10**40)


CURRENCIES = st.sampled_from(["usdc", "eth", "xlm"])
NETWORKS = st.sampled_from(["base", "celo", "tempo", "unheard_of"])
PRICES = st.one_of(
    st.decimals(min_value=0, max_value=10, places=18),
    st.integers(0, 4).map(Decimal),
    st.sampled_from(WILD),
)
QUOTE_LISTS = st.lists(
    st.builds(make_quote, PRICES, PRICES, CURRENCIES, NETWORKS, st.sampled_from("abc")), max_size=12
)


def has_price(quote: OnrampQuote) -> bool:
    amount, total = quote.destination_amount, quote.source_total_amount
    wild = any(value is one for one in WILD for value in (amount, total) if not one.is_zero())
    return not wild and amount > 0


@settings(deadline=None)
@given(QUOTE_LISTS, CURRENCIES, st.integers(1, 50))
def test_cheapest_equals_brute_force(
    quotes: list[OnrampQuote], currency: str, precision: int
) -> None:
    with localcontext() as context:
        context.prec = precision
        best = make_quotes(*quotes).cheapest(currency)
    costs = [
        Fraction(quote.source_total_amount) / Fraction(quote.destination_amount)
        for quote in quotes
        if quote.destination_currency == currency and has_price(quote)
    ]
    assert (best.unit_cost if best else None) == min(costs, default=None)
    assert best is None or best.destination_currency == currency


@settings(deadline=None)
@given(QUOTE_LISTS, CURRENCIES, st.randoms(use_true_random=False))
def test_cheapest_does_not_depend_on_the_order(
    quotes: list[OnrampQuote], currency: str, random: Any
) -> None:
    best = make_quotes(*quotes).cheapest(currency)
    random.shuffle(quotes)
    assert make_quotes(*quotes).cheapest(currency) == best


@settings(deadline=None)
@given(QUOTE_LISTS, CURRENCIES, NETWORKS)
def test_filters_cut_the_whole_into_parts(
    given_quotes: list[OnrampQuote], currency: str, network: str
) -> None:
    quotes = make_quotes(*given_quotes)
    everything = list(map(id, quotes))
    assert len(quotes) == len(everything) == len(given_quotes)
    assert list(map(id, quotes.filter())) == everything
    by_currency = [quotes.filter(currency=c) for c in quotes.currencies]
    assert sorted(id(q) for part in by_currency for q in part) == sorted(everything)
    assert quotes.filter(network=network) == quotes.for_network(network)
    both = quotes.filter(currency=currency, network=network)
    assert list(map(id, both)) == [
        id(q)
        for q in quotes
        if (q.destination_currency, q.destination_network) == (currency, network)
    ]


# What is sent


async def test_create_sends_every_parameter() -> None:
    crypto, requests = crypto_answering(DONE_SESSION)
    session = await crypto.onramp_sessions.create(
        source_currency="usd",
        source_amount=Decimal("1E+2"),
        destination_currency="usdc",
        destination_network="base",
        destination_currencies=["usdc", "eth"],
        destination_networks=("base", "stellar"),
        wallet_addresses={"base": WALLET, "stellar": "G", "destination_tags": {"stellar": "7"}},
        lock_wallet_address=True,
        settlement_speed="instant",
        customer_ip_address="2001:db8::1",
        kyc_details={
            "email": "a@example.com",
            "dob": {"year": 1990, "month": 2, "day": 3},
            "address": {"country": "US", "state": "California"},
        },
        metadata={"cart": "1"},
        expand=["x"],
    )
    assert (requests[0].method, requests[0].path) == ("POST", "/v1/crypto/onramp_sessions")
    assert sent(requests[0]) == {
        "source_currency": "usd",
        "source_amount": "100",
        "destination_currency": "usdc",
        "destination_network": "base",
        "destination_currencies[0]": "usdc",
        "destination_currencies[1]": "eth",
        "destination_networks[0]": "base",
        "destination_networks[1]": "stellar",
        "wallet_addresses[base_network]": WALLET,
        "wallet_addresses[stellar]": "G",
        "wallet_addresses[destination_tags][stellar]": "7",
        "lock_wallet_address": "true",
        "settlement_speed": "instant",
        "customer_ip_address": "2001:db8::1",
        "kyc_details[email]": "a@example.com",
        "kyc_details[dob][year]": "1990",
        "kyc_details[dob][month]": "2",
        "kyc_details[dob][day]": "3",
        "kyc_details[address][country]": "US",
        "kyc_details[address][state]": "California",
        "metadata[cart]": "1",
        "expand[0]": "x",
    }
    assert response_of(session).body


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        ({}, {}),
        ({"lock_wallet_address": False}, {"lock_wallet_address": "false"}),
        ({"customer_ip_address": "203.0.113.9"}, {"customer_ip_address": "203.0.113.9"}),
        ({"kyc_details": {"dob": None, "email": "e"}}, {"kyc_details[email]": "e"}),
        ({"wallet_addresses": {"sui": "s", "base": None}}, {"wallet_addresses[sui]": "s"}),
        (
            {"destination_network": "base", "destination_currency": "usdc"},
            {"destination_network": "base", "destination_currency": "usdc"},
        ),
        (
            {"source_amount": "10.100", "source_currency": "usd"},
            {"source_amount": "10.100", "source_currency": "usd"},
        ),
        (
            {"source_amount": "10.105", "source_currency": "kwd"},
            {"source_amount": "10.105", "source_currency": "kwd"},
        ),
    ],
)
async def test_create_sends_what_is_given(arguments: Any, form: dict[str, str]) -> None:
    crypto, requests = crypto_answering(NEW_SESSION)
    await crypto.onramp_sessions.create(**arguments)
    assert sent(requests[0]) == form


USD = {"source_currency": "usd"}
PAIR = {"destination_currency": "usdc", "destination_network": "base"}


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({**USD, **PAIR, "source_amount": 1, "destination_amount": 1}, "destination_amount"),
        ({**USD, "source_amount": 1.5}, "source_amount"),
        ({**USD, "source_amount": True}, "source_amount"),
        ({**USD, "source_amount": "1e3"}, "source_amount"),
        ({**USD, "source_amount": "0.00"}, "source_amount"),
        ({**USD, "source_amount": -1}, "source_amount"),
        ({**USD, "source_amount": Decimal("NaN")}, "source_amount"),
        ({**USD, "source_amount": "10.005"}, "source_amount"),
        ({**USD, "source_amount": "10.0005"}, "source_amount"),
        ({**PAIR, "destination_amount": 0.1}, "destination_amount"),
        ({"source_amount": "1"}, "source_currency"),
        ({"destination_amount": "1"}, "destination_currency"),
        ({"destination_amount": "1", "destination_currency": "usdc"}, "destination_network"),
        ({"destination_currency": "usdc"}, "destination_network"),
        ({"destination_network": "base"}, "destination_currency"),
        ({**PAIR, "destination_currencies": ["eth"]}, "destination_currency"),
        ({**PAIR, "destination_networks": ["celo"]}, "destination_network"),
        ({"source_currency": ""}, "source_currency"),
        ({"source_currency": ["usd"]}, "source_currency"),
        ({**PAIR, "destination_network": "base_network"}, "destination_network"),
        ({"destination_networks": ["celo", "base_network"]}, "destination_networks"),
        ({"destination_networks": []}, "destination_networks"),
        ({"destination_networks": "base"}, "destination_networks"),
        ({"destination_currencies": ["usdc,eth"]}, "destination_currencies"),
        ({"destination_currencies": [7]}, "destination_currencies"),
        ({"lock_wallet_address": True}, "wallet_addresses"),
        ({"wallet_addresses": {}}, "wallet_addresses"),
        ({"wallet_addresses": {"base": None}}, "wallet_addresses"),
        ({"wallet_addresses": {"base": ""}}, "wallet_addresses"),
        ({"wallet_addresses": {"base": 7}}, "wallet_addresses"),
        ({"wallet_addresses": {"base_network": WALLET}}, "wallet_addresses"),
        ({"wallet_addresses": {7: WALLET}}, "wallet_addresses"),
        ({"wallet_addresses": WALLET}, "wallet_addresses"),
        (
            {"wallet_addresses": {"sui": "s"}, "destination_networks": ["base"]},
            "wallet_addresses[sui]",
        ),
        ({"wallet_addresses": {"destination_tags": {"stellar": 7}}}, "wallet_addresses"),
        (
            {"wallet_addresses": {"destination_tags": "7"}},
            "wallet_addresses[destination_tags]",
        ),
        ({"customer_ip_address": "300.1.1.1"}, "customer_ip_address"),
        ({"customer_ip_address": ""}, "customer_ip_address"),
        ({"customer_ip_address": 2130706433}, "customer_ip_address"),
        ({"kyc_details": "me"}, "kyc_details"),
        ({"kyc_details": {"dob": {}}}, "kyc_details[dob]"),
        ({"kyc_details": {"dob": {"year": 1990}}}, "kyc_details[dob]"),
        ({"kyc_details": {"dob": {"year": 1990, "month": 1, "day": None}}}, "kyc_details[dob]"),
        ({"kyc_details": {"dob": "1990-01-01"}}, "kyc_details[dob]"),
        ({"metadata": {"[": "x"}}, "metadata"),
        ({"expand": "x"}, "expand"),
    ],
)
async def test_create_refuses_before_sending(arguments: Any, argument: str) -> None:
    crypto, requests = crypto_answering(NEW_SESSION)
    with pytest.raises(ConfigurationError) as caught:
        await crypto.onramp_sessions.create(**arguments)
    assert caught.value.argument == argument
    assert not requests
    for personal in (WALLET, "300.1.1.1", "1990-01-01"):
        assert personal not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [{"destination_networks": ["base_network"]}, {"wallet_addresses": {"base_network": "0x"}}],
)
async def test_refusal_of_base_network_says_what_to_write(arguments: Any) -> None:
    crypto, _ = crypto_answering(NEW_SESSION)
    with pytest.raises(ConfigurationError, match="write 'base'"):
        await crypto.onramp_sessions.create(**arguments)


async def test_retrieve_asks_for_a_session() -> None:
    crypto, requests = crypto_answering(NEW_SESSION)
    session = await crypto.onramp_sessions.retrieve(ID, expand=["x"])
    assert session.id == ID
    assert requests[0].path == f"/v1/crypto/onramp_sessions/{ID}"
    assert requests[0].query == "expand[0]=x"
    with pytest.raises(ConfigurationError, match="session"):
        await crypto.onramp_sessions.retrieve("../x")


async def test_list_sends_its_filters() -> None:
    crypto, requests = crypto_answering({"object": "list", "data": [], "has_more": False})
    page = await crypto.onramp_sessions.list(
        created=Created(gte=datetime(2026, 1, 1, tzinfo=timezone.utc)),
        destination_currency="usdc",
        destination_network="base",
        status="rejected",
        limit=5,
    )
    assert page.data == ()
    assert sent(requests[0]) == {
        "created[gte]": "1767225600",
        "destination_currency": "usdc",
        "destination_network": "base",
        "status": "rejected",
        "limit": "5",
    }


@pytest.mark.parametrize(
    "arguments",
    [{"destination_network": "base_network"}, {"destination_currency": "u s d"}, {"limit": 0}],
)
def test_list_refuses_at_once(arguments: Any) -> None:
    crypto, _ = crypto_answering({})
    with pytest.raises(ConfigurationError) as caught:
        crypto.onramp_sessions.list(**arguments)
    assert caught.value.argument in arguments


async def test_quotes_are_asked_for_by_their_parameters() -> None:
    crypto, requests = crypto_answering(QUOTES)
    quotes = await crypto.onramp_quotes.retrieve(
        destination_amount=Decimal("1.50"),
        source_currency="eur",
        destination_currencies=("usdc",),
        destination_networks=["base"],
    )
    assert (requests[0].method, requests[0].path) == ("GET", "/v1/crypto/onramp/quotes")
    assert requests[0].query == (
        "source_currency=eur&destination_amount=1.50"
        "&destination_currencies[0]=usdc&destination_networks[0]=base"
    )
    assert response_of(quotes).status == 200


BAD_QUERIES: list[tuple[Any, str]] = [
    ({"source_amount": 1, "destination_amount": 1}, "destination_amount"),
    ({"source_amount": 1.0}, "source_amount"),
    ({"source_amount": "12,50"}, "source_amount"),
    ({"source_currency": 5}, "source_currency"),
    ({"source_currency": "\ud800"}, "source_currency"),
    ({"destination_amount": 1}, "destination_currencies"),
    ({"destination_amount": 1, "destination_currencies": ["usdc"]}, "destination_networks"),
    (
        {
            "destination_amount": 1,
            "destination_currencies": ["usdc", "eth"],
            "destination_networks": ["base"],
        },
        "destination_currencies",
    ),
    (
        {
            "destination_amount": 1,
            "destination_currencies": ["usdc"],
            "destination_networks": ["base", "base"],
        },
        "destination_networks",
    ),
    ({"destination_networks": ["base_network"]}, "destination_networks"),
    ({"destination_currencies": ()}, "destination_currencies"),
    ({"destination_currencies": "usdc"}, "destination_currencies"),
]
NO_QUERIES: list[tuple[Any, str]] = [
    ({"amount": 1}, "amount"),
    ({"sourceamount": None}, "sourceamount"),
    ({None: "left over"}, "None"),
    (None, "query"),
    ("source_amount=1", "query"),
    ([("source_amount", 1)], "query"),
]


@pytest.mark.parametrize(("query", "argument"), [*BAD_QUERIES, *NO_QUERIES])
def test_query_is_refused_naming_the_key(query: Any, argument: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_query(query)
    assert caught.value.argument == argument


@pytest.mark.parametrize(("query", "argument"), BAD_QUERIES)
async def test_quotes_refuse_before_sending(query: Any, argument: str) -> None:
    crypto, requests = crypto_answering(QUOTES)
    with pytest.raises(ConfigurationError) as caught:
        await crypto.onramp_quotes.retrieve(**query)
    assert caught.value.argument == argument
    assert not requests


TEXTS = st.text("ab1. ,-_[]é\ud800\n", max_size=5)
PIECES = st.one_of(
    st.none(),
    st.integers(-5, 10**30),
    st.decimals(),
    st.floats(),
    TEXTS,
    st.sampled_from(["12.50", "usdc", "base", "base_network", "eur"]),
)
CODES = st.sampled_from(["usdc", "eth", "base", "base_network", "", 7])
QUERIES = st.dictionaries(
    st.sampled_from([*QuotesQuery.__annotations__, "typo", ""]),
    PIECES | st.lists(CODES | PIECES, max_size=3) | st.dictionaries(TEXTS, PIECES, max_size=1),
    max_size=4,
)


def checked(query: dict[str, Any]) -> dict[str, Any] | ConfigurationError:
    try:
        return check_query(query)
    except ConfigurationError as error:
        return error


@settings(deadline=None)
@given(QUERIES)
def test_checked_query_can_be_sent_and_any_other_names_its_key(query: dict[str, Any]) -> None:
    params = checked(query)
    if isinstance(params, ConfigurationError):
        assert params.argument in {*query, "destination_currencies", "destination_networks"}
        return
    pairs = dict(parse_qsl(encoding.encode_form(params)))
    given_values = {name: value for name, value in query.items() if value is not None}
    assert {name.partition("[")[0] for name in pairs} == set(given_values)
    assert params == check_query(params)
    for name in ("source_amount", "destination_amount"):
        if name in given_values:
            assert Decimal(pairs[name]) == Decimal(given_values[name])


# Many quotes


def queries_of(*amounts: Any) -> list[QuotesQuery]:
    return [{"source_amount": amount} for amount in amounts]


async def test_many_quotes_come_in_order_and_a_bad_query_sinks_nothing() -> None:
    crypto, requests = crypto_answering(QUOTES)
    progress: list[Progress] = []
    queries = queries_of("1", 2.0, "3")
    found = [
        outcome
        async for outcome in crypto.onramp_quotes.retrieve_many(
            queries, concurrency=2, on_progress=progress.append
        )
    ]
    assert [outcome.ok for outcome in found] == [True, False, True]
    assert [outcome.input for outcome in found] == queries
    assert isinstance(found[1].error, ConfigurationError)
    assert found[1].error.argument == "source_amount"
    assert found[0].unwrap().cheapest("usdc") is not None
    assert {request.query for request in requests} == {"source_amount=1", "source_amount=3"}
    assert progress[-1] == Progress(done=3, failed=1, total=3)


async def test_many_quotes_are_asked_for_as_the_queries_come() -> None:
    async def queries() -> AsyncGenerator[QuotesQuery, None]:
        for query in queries_of(1, 2):
            yield query

    crypto, requests = crypto_answering(QUOTES)
    options = RequestOptions(account="acct_1")
    many = crypto.onramp_quotes.retrieve_many(queries(), ordered=False, request_options=options)
    assert sorted([outcome.index async for outcome in many]) == [0, 1]
    assert {request.headers["Stripe-Account"] for request in requests} == {"acct_1"}


@pytest.mark.parametrize(("ordered", "amounts"), [(True, ["1", "2"]), (False, ["2", "1"])])
async def test_many_quotes_come_in_order_or_as_they_are_ready(
    ordered: bool, amounts: list[str]
) -> None:
    second_is_answered = asyncio.Event()

    async def send(request: Request) -> Response:
        if request.query == "source_amount=1":
            await second_is_answered.wait()
        second_is_answered.set()
        return Response(status=200, headers={}, body=json.dumps(QUOTES).encode())

    many = Crypto(send).onramp_quotes.retrieve_many(queries_of("1", "2"), ordered=ordered)
    assert [outcome.input["source_amount"] async for outcome in many] == amounts


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"queries": {"source_amount": 1}}, "queries"),
        ({"queries": "source_amount=1"}, "queries"),
        ({"queries": None}, "queries"),
        ({"queries": [], "concurrency": 0}, "concurrency"),
        ({"queries": [], "on_progress": 1}, "on_progress"),
        (
            {"queries": [], "request_options": RequestOptions(idempotency_key="k")},
            "idempotency_key",
        ),
    ],
)
def test_many_quotes_refuse_wrong_arguments_at_once(arguments: Any, argument: str) -> None:
    crypto, _ = crypto_answering(QUOTES)
    with pytest.raises(ConfigurationError) as caught:
        crypto.onramp_quotes.retrieve_many(**arguments)
    assert caught.value.argument == argument


# Against the sandbox


@pytest.fixture
async def sandbox() -> AsyncGenerator[Sandbox, None]:
    async with Sandbox(seed=7, clock=ManualClock()) as running:
        yield running


async def test_session_goes_through_its_life(sandbox: Sandbox) -> None:
    async with sandbox.client() as stripe:
        created = await stripe.crypto.onramp_sessions.create(
            source_amount="100.00",
            source_currency="usd",
            destination_currency="usdc",
            destination_network="base",
            destination_networks=["base"],
            wallet_addresses={"base": WALLET},
            lock_wallet_address=True,
            metadata={"cart": "1"},
        )
        assert created.status == "initialized"
        assert created.transaction_details.wallet_addresses is not None
        assert created.transaction_details.wallet_addresses.base == WALLET
        sandbox.crypto.advance(created.id, "requires_payment")
        sandbox.crypto.complete(created.id)
        done = await stripe.crypto.onramp_sessions.retrieve(created.id)
    assert done.status == "fulfillment_complete"
    assert done.transaction_details.wallet_address == WALLET
    assert done.transaction_details.transaction_id
    assert done.transaction_details.fees is not None


async def test_sessions_are_listed_newest_first(sandbox: Sandbox) -> None:
    async with sandbox.client() as stripe:
        sessions = stripe.crypto.onramp_sessions
        ids = [(await sessions.create(metadata={"n": str(n)})).id for n in range(5)]
        bought = await sessions.create(destination_currency="usdc", destination_network="base")
        walked = [session.id async for session in sessions.list(limit=2)]
        on_base = [session.id async for session in sessions.list(destination_network="base")]
    assert walked == [bought.id, *reversed(ids)]
    assert on_base == [bought.id]


async def test_refusals_of_the_api_are_errors(sandbox: Sandbox) -> None:
    async with sandbox.client() as stripe:
        with pytest.raises(NotFoundError):
            await stripe.crypto.onramp_sessions.retrieve("cos_none")
        with pytest.raises(InvalidRequestError) as caught:
            await stripe.crypto.onramp_sessions.create(
                destination_currency="btc", destination_network="base"
            )
    assert caught.value.code == "crypto_onramp_invalid_destination_currency_and_network_pair"


async def test_quotes_add_up(sandbox: Sandbox) -> None:
    async with sandbox.client() as stripe:
        quotes = await stripe.crypto.onramp_quotes.retrieve(source_amount=250)
        named = await stripe.crypto.onramp_quotes.retrieve(
            destination_amount=Decimal("1.5"),
            destination_currencies=["eth"],
            destination_networks=["base"],
        )
    assert len(quotes) > 10
    for quote in quotes:
        assert quote.source_total_amount == quotes.source_amount + quote.total_fees
    cheapest = quotes.cheapest("usdc")
    assert cheapest is not None
    assert cheapest.unit_cost == min(
        q.unit_cost or math.inf for q in quotes.filter(currency="usdc")
    )
    assert [quote.destination_amount for quote in named] == [Decimal("1.5")]


async def test_many_quotes_from_the_sandbox_are_those_of_single_calls(sandbox: Sandbox) -> None:
    queries = [*queries_of(*range(1, 20)), {"source_currency": "xxx"}]
    async with sandbox.client() as stripe:
        quotes = stripe.crypto.onramp_quotes
        many = [outcome async for outcome in quotes.retrieve_many(queries)]
        single = [await quotes.retrieve(**query) for query in queries[:-1]]
    assert [outcome.value for outcome in many[:-1]] == single
    assert isinstance(many[-1].error, InvalidRequestError)
