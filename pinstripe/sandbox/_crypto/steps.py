"""The steps of an onramp session, with their effects on its details and events.

The buyer chooses what to buy and signs in, pays, and the network delivers; or the service rejects
the buyer. The lifecycle table says which step is possible in which status, and which event it
sends.

Choices where the published facts are silent: amounts are fixed and fees are known when the buyer
signs in; what was not chosen until then is 100.00 usd, or usdc on solana; a session has its wallet
address as soon as the buyer entered one, at the latest when it is fulfilled; a rejected session
keeps its fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from pinstripe.sandbox._crypto.pricing import (
    NETWORK_KEYS,
    Market,
    Price,
    as_text,
    existing_pairs,
    precision,
)
from pinstripe.sandbox._params.errors import Refusal, invalid
from pinstripe.sandbox._params.numbers import decimals
from pinstripe.sandbox._state.lifecycles import ONRAMP_SESSION, Transition
from pinstripe.sandbox._state.origin import NO_REQUEST
from pinstripe.sandbox._state.table import Json, get_object, replaced
from pinstripe.sandbox._state.world import Account

SESSION: Final = "crypto.onramp_session"
PAGE: Final = "/_sandbox/onramp/"
DEFAULT_SOURCE: Final = "usd"
DEFAULT_AMOUNT: Final = Decimal("100.00")
DEFAULT_PAIR: Final = ("usdc", "solana")

_PREFIX: Final = "cos_"
_SECRET_LENGTH: Final = 12


def page_of(account: Account, id: str) -> str:
    """Return the address of the page on which the buyer of a new session buys.

    Args:
        account: The account that stores the session.
        id: The id of the session.
    """
    token = id.removeprefix(_PREFIX) + account.random_text(_SECRET_LENGTH)
    return f"{account.world.base_url}{PAGE}{token}"


def is_secret(token: str) -> bool:
    """Return whether a token is a client secret, and not the end of an address."""
    return "_secret_" in token


def session_id(token: str) -> str:
    """Return the id of the session that a token belongs to.

    Args:
        token: A client secret, or the last segment of an address.
    """
    if is_secret(token):
        return token.partition("_secret_")[0]
    return _PREFIX + token[:-_SECRET_LENGTH]


def opens(value: Json, token: str) -> bool:
    """Return whether a token opens a session.

    Args:
        value: The session.
        token: A client secret, or the last segment of an address.
    """
    return token in (value["client_secret"], value["redirect_url"].rpartition("/")[2])


def offers(account: Account, value: Json, choice: Mapping[str, Any]) -> list[Price]:
    """Return the prices of every pair of currency and network that a buyer can choose now.

    Args:
        account: The account that stores the session.
        value: The session.
        choice: `source_currency`, and `source_amount` or `destination_amount`, each a `Decimal`.

    Raises:
        Refusal: 400 if a source amount has parts of a cent.
    """
    details = value["transaction_details"]
    market = Market.at(account.settings.seed, account.now())
    source, wanted = choice["source_currency"], choice.get("destination_amount")
    pairs = existing_pairs(details["destination_currencies"], details["destination_networks"])
    if details["lock_wallet_address"]:
        wallets = get_object(details, "wallet_addresses")
        pairs = tuple(pair for pair in pairs if wallets.get(NETWORK_KEYS[pair[1]]))
    if wanted is not None:
        # A pair whose amounts are less precise than the one that is wanted cannot deliver it.
        fit = [pair for pair in pairs if decimals(wanted) <= precision(*pair)]
        return [market.receive(wanted, source, *pair) for pair in fit]
    if decimals(choice["source_amount"]) > 2:
        text = "The amount can have at most two decimals."
        raise invalid(text, "source_amount", "crypto_onramp_invalid_source_amount")
    return [market.spend(choice["source_amount"], source, *pair) for pair in pairs]


def sign_in(account: Account, value: Json, choice: Mapping[str, Any]) -> Json:
    """Let the buyer choose what to buy and sign in, so that the session requires payment.

    Args:
        account: The account that stores the session.
        value: The session.
        choice: What `offers` takes, and `destination_currency`, `destination_network` and
            `wallet_address`, which may be None.

    Returns:
        The session as it is stored now.

    Raises:
        Refusal: 400 if the session does not offer the pair, or is past this step.
    """
    row = ONRAMP_SESSION.step(value["status"], "sign_in")
    pair = choice["destination_currency"], choice["destination_network"]
    offered = {(price.currency, price.network): price for price in offers(account, value, choice)}
    if pair not in offered:
        raise _not_offered(*pair)
    details = value["transaction_details"]
    wallet = choice.get("wallet_address")
    chosen: Json = {
        **_amounts(offered[pair], choice["source_currency"]),
        "wallet_address": None if details["lock_wallet_address"] else wallet,
    }
    return _store(account, value, row, chosen)


def advance(account: Account, value: Json, status: str) -> Json:
    """Move a session to a status that is one step away, and send the event.

    Raises:
        Refusal: 400 if no single step leads there.
    """
    return enter(account, value, ONRAMP_SESSION.step_to(value["status"], status))


def complete(account: Account, value: Json) -> Json:
    """Move a session through every remaining step until it is fulfilled.

    Raises:
        Refusal: 400 if the session is rejected or already fulfilled.
    """
    actions = {"initialized": "sign_in", "requires_payment": "pay", "quote_ready": "checkout"}
    while value["status"] in actions:
        row = ONRAMP_SESSION.step(value["status"], actions[value["status"]])
        value = enter(account, value, row)
    return enter(account, value, ONRAMP_SESSION.step(value["status"], "deliver"))


def enter(account: Account, value: Json, row: Transition) -> Json:
    """Apply a transition to a session: store its new state, and send the event.

    Args:
        account: The account that stores the session.
        value: The session.
        row: The transition.

    Returns:
        The session as it is stored now.
    """
    return _store(account, value, row, _changes_on_entering(account, value, row.target))


def _store(account: Account, value: Json, row: Transition, changes: Json) -> Json:
    details = {**value["transaction_details"], **changes}
    new = {**value, "status": row.target, "transaction_details": details}
    account.put(new)
    if row.event:
        account.emit(row.event, new, NO_REQUEST, replaced(value, new))
    return new


def _changes_on_entering(account: Account, value: Json, status: str) -> Json:
    details = value["transaction_details"]
    if status in ("requires_payment", "quote_ready"):
        return _priced(account, details)
    if status == "fulfillment_complete":
        key = NETWORK_KEYS[details["destination_network"]]
        wallet = details["wallet_address"] or get_object(details, "wallet_addresses").get(key)
        return {
            "transaction_id": _transaction_id(account, value["id"]),
            "wallet_address": wallet or "wallet" + account.random_text(34),
        }
    return {}


def default_pair(details: Json) -> tuple[str, str]:
    """Return the currency and network of a buyer who chooses none.

    Args:
        details: The `transaction_details` of the session.
    """
    # The shop may have chosen both, one or none of them.
    currency, network = details["destination_currency"], details["destination_network"]
    if currency is None and network is None:
        return DEFAULT_PAIR
    return existing_pairs(currency and [currency], network and [network])[0]


def _priced(account: Account, details: Json) -> Json:
    """Return the amounts and fees of a session, by the market of this minute."""
    market = Market.at(account.settings.seed, account.now())
    pair, source = default_pair(details), details["source_currency"] or DEFAULT_SOURCE
    if details["destination_amount"] is not None:
        price = market.receive(Decimal(details["destination_amount"]), source, *pair)
    else:
        amount = Decimal(details["source_amount"] or DEFAULT_AMOUNT)
        price = market.spend(amount, source, *pair)
    return _amounts(price, source)


def _amounts(price: Price, source: str) -> Json:
    return {
        "destination_amount": as_text(price.destination_amount),
        "destination_currency": price.currency,
        "destination_network": price.network,
        "fees": {
            "network_fee_amount": as_text(price.network_fee),
            "transaction_fee_amount": as_text(price.transaction_fee),
        },
        "source_amount": as_text(price.source_amount),
        "source_currency": source,
    }


def _not_offered(currency: str, network: str) -> Refusal:
    text = f"This session does not offer {currency} on {network} for this amount."
    code = "crypto_onramp_invalid_destination_currency_and_network_pair"
    return invalid(text, "destination_currency", code)


def _transaction_id(account: Account, id: str) -> str:
    return hashlib.sha256(f"{account.settings.seed}:{id}".encode()).hexdigest()
