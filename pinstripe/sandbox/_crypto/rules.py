"""The parameters that create an onramp session, and the rules between them.

The form of each parameter is checked first, by `CREATE`. `check_session` then checks the
parameters against each other; the code of each rule is published.
"""

from __future__ import annotations

from decimal import Decimal
from ipaddress import ip_address
from typing import Any, Final

from pinstripe.sandbox._crypto.pricing import (
    CURRENCIES,
    NETWORK_KEYS,
    NETWORKS,
    PAIRS,
    SOURCE_CURRENCIES,
    existing_pairs,
    precision,
)
from pinstripe.sandbox._params.errors import Refusal, invalid
from pinstripe.sandbox._params.numbers import decimals
from pinstripe.sandbox._params.schema import (
    BOOLEAN,
    METADATA,
    STRING,
    Array,
    Integer,
    Object,
    PositiveDecimal,
    String,
    Word,
)


def _ip_problem(text: str) -> str | None:
    try:
        ip_address(text)
    except ValueError:
        return "not an IP address"
    return None


_CURRENCY: Final = Word(CURRENCIES, open=True)
_NETWORK: Final = Word(NETWORKS, open=True)
_DETAILS: Final = Object(
    {
        "email": STRING,
        "first_name": STRING,
        "last_name": STRING,
        "dob": Object(
            {"year": Integer(1, 9999), "month": Integer(1, 12), "day": Integer(1, 31)},
            required=("year", "month", "day"),
        ),
        "address": Object(
            dict.fromkeys(("country", "line1", "line2", "city", "state", "postal_code"), STRING)
        ),
    }
)

CREATE: Final = Object(
    {
        "customer_ip_address": String(check=_ip_problem, code="customer_ip_address"),
        "destination_amount": PositiveDecimal("crypto_onramp_invalid_destination_amount"),
        "destination_currencies": Array(_CURRENCY),
        "destination_currency": _CURRENCY,
        "destination_network": _NETWORK,
        "destination_networks": Array(_NETWORK),
        "kyc_details": _DETAILS,
        "customer_information": _DETAILS,
        "lock_wallet_address": BOOLEAN,
        "metadata": METADATA,
        "settlement_speed": Word(("instant", "standard")),
        "source_amount": PositiveDecimal("crypto_onramp_invalid_source_amount"),
        "source_currency": Word(SOURCE_CURRENCIES),
        "wallet_addresses": Object(
            {
                **dict.fromkeys(NETWORK_KEYS.values(), STRING),
                "destination_tags": Object({"stellar": STRING}),
            }
        ),
    }
)


def check_session(params: dict[str, Any]) -> None:
    """Check the rules between the parameters of a new session.

    Raises:
        Refusal: 400 with the published `crypto_onramp_...` code of the first rule that is broken.
    """
    _check_amounts(params)
    _check_destination(params)
    _check_wallets(params)


def first_pair(params: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return the currency and the network that a new session starts with.

    This is the pair that was sent, else the first existing pair of the two lists, else the first
    element of the one list that was sent.
    """
    if "destination_currency" in params:
        return params["destination_currency"], params["destination_network"]
    currencies, networks = params.get("destination_currencies"), params.get("destination_networks")
    if currencies and networks:
        exist = existing_pairs(currencies, networks)
        return min(exist, key=lambda pair: (currencies.index(pair[0]), networks.index(pair[1])))
    return (currencies or [None])[0], (networks or [None])[0]


def _check_amounts(params: dict[str, Any]) -> None:
    if "source_amount" in params and "destination_amount" in params:
        text = "Only one of source_amount and destination_amount can be sent."
        raise _broken("invalid_source_destination_pair", text)
    if "source_amount" in params and "source_currency" not in params:
        raise _broken("missing_source_currency", "Send source_currency with source_amount.")
    if "destination_amount" in params and "destination_currency" not in params:
        text = "Send destination_currency with destination_amount."
        raise _broken("missing_destination_currency", text)
    if decimals(params.get("source_amount", Decimal(0))) > 2:
        raise _broken("invalid_source_amount", "source_amount can have at most two decimals.")


def _check_destination(params: dict[str, Any]) -> None:
    currency, network = params.get("destination_currency"), params.get("destination_network")
    if (currency is None) != (network is None):
        text = "destination_currency and destination_network must be sent together."
        raise _broken("incomplete_destination_currency_and_network_pair", text)
    currencies, networks = params.get("destination_currencies"), params.get("destination_networks")
    if not existing_pairs(currencies, networks):
        text = "None of destination_currencies exists on any of destination_networks."
        raise _broken("invalid_destination_currencies_and_networks", text)
    if currency is None or network is None:
        return

    # One pair was chosen: it has to exist, and to be in the lists if they were sent too.
    if (currency, network) not in PAIRS:
        text = f"{currency} does not exist on {network}."
        raise _broken("invalid_destination_currency_and_network_pair", text)
    if currencies is not None and currency not in currencies:
        text = "destination_currency must be one of destination_currencies."
        raise _broken("conflicting_destination_currency", text)
    if networks is not None and network not in networks:
        text = "destination_network must be one of destination_networks."
        raise _broken("conflicting_destination_network", text)
    most = precision(currency, network)
    if decimals(params.get("destination_amount", Decimal(0))) > most:
        text = f"destination_amount can have at most {most} decimals for {currency} on {network}."
        raise _broken("invalid_destination_amount", text)


def _check_wallets(params: dict[str, Any]) -> None:
    wallets = params.get("wallet_addresses", {}).keys() - {"destination_tags"}
    if params.get("lock_wallet_address") and not wallets:
        text = "Send the address to lock in wallet_addresses."
        raise _broken("no_wallet_address_to_lock", text)
    networks = params.get("destination_networks")
    if networks is None and "destination_network" in params:
        networks = [params["destination_network"]]
    # Networks are an open vocabulary: an unknown one has no key, so it allows no address.
    if networks is not None and wallets - {
        NETWORK_KEYS[name] for name in networks if name in NETWORK_KEYS
    }:
        text = "wallet_addresses has an address for a network that is not in destination_networks."
        raise _broken("wallet_addresses_not_all_networks_supported", text)


def _broken(code: str, message: str) -> Refusal:
    return invalid(message, code=f"crypto_onramp_{code}")
