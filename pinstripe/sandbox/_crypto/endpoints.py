"""Crypto onramp as the API offers it: sessions and quotes, and the steps that a customer makes.

Choices where the published facts are silent:

- quotes: both amounts are a 400 `parameters_exclusive`; a destination amount without exactly one
  currency and one network is `crypto_onramp_quote_too_many_destination_currencies_and_networks`;
  filters that leave no pair are `crypto_onramp_quote_invalid_destination_currencies_and_networks`;
  optimism is missing from the map; both spellings of the path answer alike;
- equal queries in the same minute give equal quotes, ids included;
- sessions: wallet addresses may be sent without networks; amounts are fixed, and fees known, when
  the customer signs in; where no currency was chosen it is 100.00 usd for usdc on solana;
- a session's wallet address is chosen when it is fulfilled; a rejected session keeps its fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from pinstripe.sandbox._crypto.pricing import (
    CURRENCIES,
    MAP_KEYS,
    NETWORKS,
    QUOTED_NETWORKS,
    Market,
    Price,
    fixed,
    pairs,
    plain,
    precision,
)
from pinstripe.sandbox._crypto.rules import CREATE, check_session, some_pair
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import exclusive, list_objects
from pinstripe.sandbox._http.routes import LIST_PARAMS, Route
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.numbers import decimals
from pinstripe.sandbox._params.schema import METADATA, Array, Object, PositiveDecimal, Word
from pinstripe.sandbox._state.kinds import Kind
from pinstripe.sandbox._state.lifecycles import ONRAMP_SESSION, Transition
from pinstripe.sandbox._state.table import Json, get_object
from pinstripe.sandbox._state.world import Account, EventOrigin

SESSION: Final = "crypto.onramp_session"
DEFAULT_AMOUNT: Final = Decimal("100.00")
DEFAULT_PAIR: Final = ("usdc", "solana")

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
    """Return a session built from checked parameters, not stored yet."""
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
        "redirect_url": f"https://crypto.link.com?session_hash={account.random_text(36)}",
        "status": ONRAMP_SESSION.initial,
        "transaction_details": _details(params),
    }


def retrieve_quotes(call: Call) -> Json:
    """Price an amount for every pair of currency and network that the filters leave."""
    params, account = call.params, call.account
    exclusive(call, "source_amount", "destination_amount")
    market = Market.at(account.settings.seed, account.now())
    prices = _prices(market, params)
    source = params.get("source_currency", "usd")
    received = "destination_amount" in params
    amount = prices[0].source_amount if received else _source_amount(params)
    label = f"{market.seed}:{market.minute}:{source}:{sorted(params.items(), key=str)}"
    return {
        "id": _hex(label),
        "object": "crypto.onramp.quotes",
        "destination_network_quotes": _by_network(prices, label, only=received),
        "livemode": False,
        "rate_fetched_at": market.fetched_at,
        "source_amount": plain(amount),
        "source_currency": source,
    }


def advance(account: Account, value: Json, status: str) -> Json:
    """Take a session to a status that is one step away, and tell it by an event.

    Raises:
        Refusal: 400, when no single step leads there.
    """
    return enter(account, value, ONRAMP_SESSION.step_to(value["status"], status))


def complete(account: Account, value: Json) -> Json:
    """Take a session through every step that is left until it is fulfilled.

    Raises:
        Refusal: 400, when the session is rejected or fulfilled already.
    """
    ways = {"initialized": "sign_in", "requires_payment": "pay", "quote_ready": "checkout"}
    while value["status"] in ways:
        value = enter(account, value, ONRAMP_SESSION.step(value["status"], ways[value["status"]]))
    return enter(account, value, ONRAMP_SESSION.step(value["status"], "deliver"))


def enter(account: Account, value: Json, row: Transition) -> Json:
    """Take a session to the state of a row, and tell it by the event of the row."""
    details = {**value["transaction_details"], **_effects(account, value, row.target)}
    new = {**value, "status": row.target, "transaction_details": details}
    account.put(new)
    if row.event:
        account.emit(row.event, new, EventOrigin(), _replaced(value, new))
    return new


def _retrieve_session(call: Call) -> Json:
    return call.show(call.account.get(SESSION, call.ids[0], "id"))


def _list_sessions(call: Call) -> Json:
    names = ("status", "destination_currency", "destination_network")
    return list_objects(call, SESSION, equals=names)


def _details(params: dict[str, Any]) -> Json:
    currency, network = some_pair(params)
    source, received = params.get("source_amount"), params.get("destination_amount")
    if received is not None:
        received = plain(fixed(received, precision(currency or "", network or "")))
    return {
        "destination_amount": received,
        "destination_currencies": params.get("destination_currencies"),
        "destination_currency": currency,
        "destination_network": network,
        "destination_networks": params.get("destination_networks"),
        "fees": None,
        "lock_wallet_address": params.get("lock_wallet_address", False),
        "source_amount": source and plain(fixed(source, 2)),
        "source_currency": params.get("source_currency"),
        "transaction_id": None,
        "wallet_address": None,
        "wallet_addresses": _wallets(params.get("wallet_addresses")),
    }


def _wallets(given: Mapping[str, Any] | None) -> Json | None:
    if given is None:
        return None
    names = sorted([*MAP_KEYS.values(), "destination_tags"])
    return {name: given.get(name) for name in names}


def _effects(account: Account, value: Json, status: str) -> Json:
    details = value["transaction_details"]
    if status in ("requires_payment", "quote_ready"):
        return _priced(account, details)
    if status == "fulfillment_complete":
        key = MAP_KEYS[details["destination_network"]]
        wallet = get_object(details, "wallet_addresses").get(key)
        return {
            "transaction_id": _hex(f"{account.settings.seed}:{value['id']}"),
            "wallet_address": wallet or "wallet" + account.random_text(34),
        }
    return {}


def _priced(account: Account, details: Json) -> Json:
    market = Market.at(account.settings.seed, account.now())
    currency, network = _destination(details)
    source = details["source_currency"] or "usd"
    if details["destination_amount"] is not None:
        price = market.receive(Decimal(details["destination_amount"]), source, currency, network)
    else:
        amount = Decimal(details["source_amount"] or DEFAULT_AMOUNT)
        price = market.spend(amount, source, currency, network)
    return {
        "destination_amount": plain(price.destination_amount),
        "destination_currency": currency,
        "destination_network": network,
        "fees": {
            "network_fee_amount": plain(price.network_fee),
            "transaction_fee_amount": plain(price.transaction_fee),
        },
        "source_amount": plain(price.source_amount),
        "source_currency": source,
    }


def _destination(details: Json) -> tuple[str, str]:
    currency, network = details["destination_currency"], details["destination_network"]
    if currency is None and network is None:
        return DEFAULT_PAIR
    return pairs(currency and [currency], network and [network])[0]


def _replaced(old: Json, new: Json) -> Json:
    out: Json = {}
    for name, value in old.items():
        if value != new[name]:
            nested = isinstance(value, dict) and isinstance(new[name], dict)
            out[name] = _replaced(get_object(old, name), get_object(new, name)) if nested else value
    return out


def _source_amount(params: dict[str, Any]) -> Decimal:
    return fixed(params.get("source_amount", DEFAULT_AMOUNT), 2)


def _prices(market: Market, params: dict[str, Any]) -> list[Price]:
    source = params.get("source_currency", "usd")
    currencies, networks = params.get("destination_currencies"), params.get("destination_networks")
    wanted = params.get("destination_amount")
    if wanted is not None and not (_one(currencies) and _one(networks)):
        raise invalid(
            "destination_amount needs exactly one destination currency and one network.",
            "destination_amount",
            "crypto_onramp_quote_too_many_destination_currencies_and_networks",
        )
    chosen = pairs(currencies, networks)
    if not chosen:
        raise invalid(
            "No pair of these destination currencies and networks exists.",
            code="crypto_onramp_quote_invalid_destination_currencies_and_networks",
        )
    if wanted is not None:
        _check_decimals(wanted, precision(*chosen[0]), "destination")
        return [market.receive(wanted, source, *chosen[0])]
    _check_decimals(params.get("source_amount", DEFAULT_AMOUNT), 2, "source")
    return [market.spend(_source_amount(params), source, *pair) for pair in chosen]


def _check_decimals(amount: Decimal, most: int, side: str) -> None:
    if decimals(amount) > most:
        text = f"{side}_amount has at most {most} decimals."
        raise invalid(text, f"{side}_amount", f"crypto_onramp_invalid_{side}_amount")


def _one(names: list[str] | None) -> bool:
    return names is not None and len(set(names)) == 1


def _by_network(prices: list[Price], label: str, *, only: bool) -> Json:
    out: Json = {MAP_KEYS[name]: None if only else [] for name in QUOTED_NETWORKS}
    for price in prices:
        key = MAP_KEYS[price.network]
        out[key] = [*(out[key] or []), _quote(price, label)]
    return out


def _quote(price: Price, label: str) -> Json:
    return {
        "id": _hex(f"{label}:{price.currency}:{price.network}"),
        "destination_amount": plain(price.destination_amount),
        "destination_currency": price.currency,
        "destination_network": price.network,
        "fees": {
            "network_fee_monetary": plain(price.network_fee),
            "transaction_fee_monetary": plain(price.transaction_fee),
        },
        "source_total_amount": plain(price.total),
    }


def _hex(label: str) -> str:
    return hashlib.sha256(label.encode()).hexdigest()


_SESSIONS = "/v1/crypto/onramp_sessions"

ROUTES: Final = (
    Route("POST", _SESSIONS, create_session, CREATE, SESSION),
    Route("GET", _SESSIONS, _list_sessions, _LIST, SESSION, listed=True),
    Route("GET", _SESSIONS + "/{id}", _retrieve_session, kind=SESSION),
    Route("GET", "/v1/crypto/onramp/quotes", retrieve_quotes, _QUOTES),
    Route("GET", "/v1/crypto/onramp_quotes", retrieve_quotes, _QUOTES),
)
