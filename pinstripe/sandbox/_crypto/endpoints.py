"""The crypto onramp as the API offers it: sessions and quotes.

Choices where the published facts are silent:

- quotes: both amounts at once are a 400 `parameters_exclusive`; a destination amount without
  exactly one currency and one network is
  `crypto_onramp_quote_too_many_destination_currencies_and_networks`; filters that leave no pair are
  `crypto_onramp_quote_invalid_destination_currencies_and_networks`; optimism is missing from the
  map; both spellings of the path give the same answer;
- equal queries in the same minute give equal quotes, ids included;
- sessions: wallet addresses can be sent without networks.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, Final

from pinstripe.sandbox._crypto import steps
from pinstripe.sandbox._crypto.pricing import (
    CURRENCIES,
    NETWORK_KEYS,
    NETWORKS,
    QUOTED_NETWORKS,
    Market,
    Price,
    as_text,
    existing_pairs,
    precision,
    round_down,
)
from pinstripe.sandbox._crypto.rules import CREATE, check_session, first_pair
from pinstripe.sandbox._crypto.steps import DEFAULT_AMOUNT, SESSION
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import exclusive, list_objects
from pinstripe.sandbox._http.routes import LIST_PARAMS, Route
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.numbers import decimals
from pinstripe.sandbox._params.schema import METADATA, Array, Object, PositiveDecimal, Word
from pinstripe.sandbox._state.kinds import Kind
from pinstripe.sandbox._state.lifecycles import ONRAMP_SESSION
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account

KINDS: Final = (
    Kind(
        SESSION,
        "cos_",
        indexes={
            "status": lambda value: value["status"],
            "destination_currency": lambda value: value["transaction_details"][
                "destination_currency"
            ],
            "destination_network": lambda value: value["transaction_details"][
                "destination_network"
            ],
        },
    ),
)

_LIST: Final = Object(
    {
        **LIST_PARAMS,
        "destination_currency": Word(CURRENCIES, open=True),
        "destination_network": Word(NETWORKS, open=True),
        "status": Word(
            (
                "fulfillment_complete",
                "fulfillment_processing",
                "initialized",
                "rejected",
                "requires_payment",
            )
        ),
    }
)
_QUOTES: Final = Object(
    {
        "source_currency": Word(("usd", "eur")),
        "source_amount": PositiveDecimal("crypto_onramp_invalid_source_amount"),
        "destination_amount": PositiveDecimal("crypto_onramp_invalid_destination_amount"),
        "destination_currencies": Array(Word(CURRENCIES, open=True)),
        "destination_networks": Array(Word(NETWORKS, open=True)),
    }
)


def create_session(call: Call) -> Json:
    """Create a session for one visit of a customer."""
    check_session(call.params)
    return call.show(call.account.put(new_session(call.account, call.params)))


def new_session(account: Account, params: dict[str, Any]) -> Json:
    """Return a new session, made from checked parameters and not stored yet."""
    id = account.new_id(SESSION)
    details = params.get("kyc_details") or params.get("customer_information")
    return {
        "id": id,
        "object": SESSION,
        "client_secret": f"{id}_secret_{account.random_text(28)}",
        "created": account.timestamp(),
        "kyc_details_provided": bool(details),
        "livemode": False,
        "metadata": METADATA.merge({}, params.get("metadata", {})),
        "redirect_url": steps.page_of(account, id),
        "status": ONRAMP_SESSION.initial,
        "transaction_details": _details(params),
    }


def retrieve_quotes(call: Call) -> Json:
    """Price an amount for every pair of currency and network that passes the filters."""
    params, account = call.params, call.account
    exclusive(call, "source_amount", "destination_amount")
    market = Market.at(account.settings.seed, account.now())
    source = params.get("source_currency", "usd")
    prices = _prices(market, source, params)
    received = "destination_amount" in params
    amount = prices[0].source_amount if received else _source_amount(params)

    # Equal queries in the same minute have the same label, and all ids are made from it.
    label = f"{market.seed}:{market.minute}:{source}:{sorted(params.items(), key=str)}"
    # A query by the amount that arrives has one quote: the networks without it are null, not empty.
    quotes: Json = {NETWORK_KEYS[name]: None if received else [] for name in QUOTED_NETWORKS}
    for price in prices:
        key = NETWORK_KEYS[price.network]
        quotes[key] = [*(quotes[key] or []), _quote(price, label)]
    return {
        "id": _digest(label),
        "object": "crypto.onramp.quotes",
        "destination_network_quotes": quotes,
        "livemode": False,
        "rate_fetched_at": market.fetched_at,
        "source_amount": as_text(amount),
        "source_currency": source,
    }


def _retrieve_session(call: Call) -> Json:
    return call.show(call.account.get(SESSION, call.ids[0], "id"))


def _list_sessions(call: Call) -> Json:
    names = ("status", "destination_currency", "destination_network")
    return list_objects(call, SESSION, equals=names)


def _details(params: dict[str, Any]) -> Json:
    currency, network = first_pair(params)
    source, received = params.get("source_amount"), params.get("destination_amount")
    if received is not None:
        received = as_text(round_down(received, precision(currency or "", network or "")))
    wallets = params.get("wallet_addresses")
    if wallets is not None:
        # The API shows every field of the map, also those without an address.
        names = sorted([*NETWORK_KEYS.values(), "destination_tags"])
        wallets = {name: wallets.get(name) for name in names}
    return {
        "destination_amount": received,
        "destination_currencies": params.get("destination_currencies"),
        "destination_currency": currency,
        "destination_network": network,
        "destination_networks": params.get("destination_networks"),
        "fees": None,
        "lock_wallet_address": params.get("lock_wallet_address", False),
        "source_amount": source and as_text(round_down(source, 2)),
        "source_currency": params.get("source_currency"),
        "transaction_id": None,
        "wallet_address": None,
        "wallet_addresses": wallets,
    }


def _source_amount(params: dict[str, Any]) -> Decimal:
    return round_down(params.get("source_amount", DEFAULT_AMOUNT), 2)


def _prices(market: Market, source: str, params: dict[str, Any]) -> list[Price]:
    currencies, networks = params.get("destination_currencies"), params.get("destination_networks")
    wanted = params.get("destination_amount")
    # An amount that arrives belongs to one currency, and has the precision of one network.
    if wanted is not None and any(len(set(names or ())) != 1 for names in (currencies, networks)):
        raise invalid(
            "destination_amount needs exactly one destination currency and one network.",
            "destination_amount",
            "crypto_onramp_quote_too_many_destination_currencies_and_networks",
        )
    pairs = existing_pairs(currencies, networks)
    if not pairs:
        raise invalid(
            "None of destination_currencies exists on any of destination_networks.",
            code="crypto_onramp_quote_invalid_destination_currencies_and_networks",
        )
    if wanted is not None:
        _check_decimals(wanted, precision(*pairs[0]), "destination_amount")
        return [market.receive(wanted, source, *pairs[0])]
    _check_decimals(params.get("source_amount", DEFAULT_AMOUNT), 2, "source_amount")
    return [market.spend(_source_amount(params), source, *pair) for pair in pairs]


def _check_decimals(amount: Decimal, most: int, param: str) -> None:
    if decimals(amount) > most:
        text = f"{param} can have at most {most} decimals."
        raise invalid(text, param, f"crypto_onramp_invalid_{param}")


def _quote(price: Price, label: str) -> Json:
    return {
        "id": _digest(f"{label}:{price.currency}:{price.network}"),
        "destination_amount": as_text(price.destination_amount),
        "destination_currency": price.currency,
        "destination_network": price.network,
        "fees": {
            "network_fee_monetary": as_text(price.network_fee),
            "transaction_fee_monetary": as_text(price.transaction_fee),
        },
        "source_total_amount": as_text(price.total),
    }


def _digest(label: str) -> str:
    return hashlib.sha256(label.encode()).hexdigest()


_SESSIONS = "/v1/crypto/onramp_sessions"

ROUTES: Final = (
    Route("POST", _SESSIONS, create_session, CREATE, SESSION),
    Route("GET", _SESSIONS, _list_sessions, _LIST, SESSION, listed=True),
    Route("GET", _SESSIONS + "/{id}", _retrieve_session, kind=SESSION),
    Route("GET", "/v1/crypto/onramp/quotes", retrieve_quotes, _QUOTES),
    Route("GET", "/v1/crypto/onramp_quotes", retrieve_quotes, _QUOTES),
)
