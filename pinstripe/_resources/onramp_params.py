"""Parameters of onramp calls: their vocabularies, their types and the rules that they keep.

The API calls the network Base `base` in its values and `base_network` in its keys. Arguments
always say `base`, and `WIRE_KEYS` has the key that is sent.

https://docs.stripe.com/api/crypto/onramp_sessions/create
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from decimal import Decimal
from ipaddress import ip_address
from typing import Any, Final, Literal, TypeAlias

from typing_extensions import TypedDict

from pinstripe._core.checks import (
    check_decimal,
    check_flag,
    check_mapping,
    check_texts,
    plain_text,
)
from pinstripe._core.errors import ConfigurationError

SourceCurrency: TypeAlias = Literal["cad", "cop", "eur", "gbp", "php", "usd"] | str
"""The currency a customer pays in."""

DestinationCurrency: TypeAlias = (
    Literal["avax", "btc", "eth", "matic", "ripusd", "sol", "usdc", "usdt", "wld", "xlm"] | str
)
"""The crypto currency that a customer buys; Polygon's POL is `matic`."""

DestinationNetwork: TypeAlias = (
    Literal[
        "avalanche",
        "base",
        "bitcoin",
        "celo",
        "ethereum",
        "optimism",
        "polygon",
        "solana",
        "stellar",
        "sui",
        "tempo",
        "worldchain",
    ]
    | str
)
"""The network that the crypto is delivered on."""

WIRE_KEYS: Final = {"base": "base_network"}
"""The key on the wire of each network whose key is not its name."""

# Currencies and networks are open vocabularies, so only the form of a code is checked: it has to
# fit into a bracketed name.
_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")

# The source currencies of today all have a hundred cents. For a currency that is not here, the
# API decides how many places an amount may have.
_CENTS: Final = frozenset({"cad", "cop", "eur", "gbp", "php", "usd"})
_PARTS_OF_A_CENT = re.compile(r"\.[0-9]{2}0*[1-9]")

_AMOUNTS: Final = ("source_amount", "destination_amount")
_CODES: Final = ("source_currency", "destination_currency", "destination_network")
_LISTS_OF_CODES: Final = ("destination_currencies", "destination_networks")

# An argument, and another one that it is refused without.
_NEEDS: Final = (
    ("source_amount", "source_currency"),
    ("destination_amount", "destination_currency"),
    ("destination_currency", "destination_network"),
    ("destination_network", "destination_currency"),
    ("lock_wallet_address", "wallet_addresses"),
)

# A preselected value, and the list of choices that it has to be in, if that is given.
_CHOICES: Final = (
    ("destination_currency", "destination_currencies"),
    ("destination_network", "destination_networks"),
)


class DestinationTagsParam(TypedDict, total=False):
    """The tags of the wallets."""

    stellar: str


class WalletAddressesParam(TypedDict, total=False):
    """The customer's wallets; `base` is sent under the API's key `base_network`."""

    avalanche: str
    base: str
    bitcoin: str
    celo: str
    ethereum: str
    optimism: str
    polygon: str
    solana: str
    stellar: str
    sui: str
    tempo: str
    worldchain: str
    destination_tags: DestinationTagsParam


class KycDobParam(TypedDict):
    """A date of birth."""

    year: int
    month: int
    day: int


class KycAddressParam(TypedDict, total=False):
    """A postal address; `country` is a two-letter code, `state` a US state's name or code."""

    country: str
    line1: str
    line2: str
    city: str
    state: str
    postal_code: str


class KycDetailsParam(TypedDict, total=False):
    """Details of the customer that you know, so that the widget need not ask for them."""

    email: str
    first_name: str
    last_name: str
    dob: KycDobParam
    address: KycAddressParam


class QuotesQuery(TypedDict, total=False):
    """The parameters of one query for quotes; see `OnrampQuotes.retrieve`."""

    source_amount: Decimal | int | str | None
    source_currency: SourceCurrency | None
    destination_amount: Decimal | int | str | None
    destination_currencies: Sequence[DestinationCurrency] | None
    destination_networks: Sequence[DestinationNetwork] | None


def check_query(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are sent for a query, without sending them.

    Args:
        query: A `QuotesQuery`, or plain data of that shape, such as a row of a file.

    Raises:
        ConfigurationError: `retrieve` would refuse the query, or it has a key that is no
            parameter; the error's `argument` is the key at fault.
    """
    given = check_mapping("query", query)
    for key in given:
        if key not in _QUERY_KEYS:
            raise ConfigurationError(str(key), f"is none of {', '.join(_QUERY_KEYS)}")
    params = _check_shared({key: given.get(key) for key in _QUERY_KEYS})
    if params["destination_amount"]:
        for name in _LISTS_OF_CODES:
            if len(params[name] or ()) != 1:
                problem = "must name exactly one if destination_amount is given"
                raise ConfigurationError(name, problem)
    return params


_QUERY_KEYS: Final = tuple(QuotesQuery.__annotations__)


def check_queries(value: Any) -> None:
    """Refuse anything but an iterable of queries.

    Args:
        value: The argument of `retrieve_many`.

    Raises:
        ConfigurationError: The value is a single query, or cannot be iterated.
    """
    one = isinstance(value, (str, bytes, Mapping))
    if one or not isinstance(value, (Iterable, AsyncIterable)):
        raise ConfigurationError("queries", "must be an iterable of queries, sync or async")


def check_session(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are sent for a new session.

    https://docs.stripe.com/api/crypto/onramp_sessions/create

    Args:
        given: Every argument by its name.

    Raises:
        ConfigurationError: The API would refuse an argument; the error names it.
    """
    params = _check_shared(check_mapping("params", given))
    if params["lock_wallet_address"] is not None:
        check_flag("lock_wallet_address", params["lock_wallet_address"])
    for name, other in _NEEDS:
        if params[name] and params[other] is None:
            raise ConfigurationError(other, f"is needed with {name}")
    for name, others in _CHOICES:
        if params[name] and params[others] and params[name] not in params[others]:
            raise ConfigurationError(name, f"is none of {others}")
    amount = params["source_amount"]
    if amount and params["source_currency"] in _CENTS and _PARTS_OF_A_CENT.search(amount):
        raise ConfigurationError("source_amount", "has parts of a cent; round it to whole cents")
    if params["customer_ip_address"] is not None:
        try:
            ip_address(str(params["customer_ip_address"]))
        except ValueError:
            problem = "must be the text of an IPv4 or IPv6 address"
            raise ConfigurationError("customer_ip_address", problem) from None
    details = _values_of("kyc_details", params["kyc_details"])
    parts = set(_values_of("kyc_details[dob]", details.get("dob")))
    if parts and parts != {"year", "month", "day"}:
        raise ConfigurationError("kyc_details[dob]", "needs year, month and day")
    return {**params, "wallet_addresses": _check_wallets(params)}


def _check_shared(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the arguments that sessions and quotes share; return all, with amounts as text."""
    amounts = {name: check_decimal(name, given[name]) for name in _AMOUNTS}
    if None not in amounts.values():
        raise ConfigurationError("destination_amount", "cannot be used together with source_amount")
    for name, value in given.items():
        if value is None:
            continue
        if name in _CODES:
            check_code(name, value)
        elif name in _LISTS_OF_CODES:
            check_texts(name, value)
            for code in value:
                check_code(name, code)
    return {**given, **amounts}


def check_code(argument: str, value: Any) -> None:
    """Refuse what cannot be the code of a currency or network.

    Args:
        argument: The name to give in the error.
        value: The code; None if it is not sent.

    Raises:
        ConfigurationError: The value is not a code, or is `base_network` in place of `base`.
    """
    if value is None:
        return
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise ConfigurationError(argument, "must be a code: letters, digits, '_' or '-'")
    if value in WIRE_KEYS.values():
        raise ConfigurationError(argument, "write 'base' in place of 'base_network'")


def wire_key(network: str) -> str:
    """Return the key of a network on the wire.

    Args:
        network: The name of the network, such as `"base"`.
    """
    name: str = plain_text(network)
    return WIRE_KEYS.get(name, name)


def _check_wallets(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the wallets under the keys that are sent."""
    if params["wallet_addresses"] is None:
        return None
    wallets = _values_of("wallet_addresses", params["wallet_addresses"])
    tags = wallets.pop("destination_tags", None)
    tagged = _values_of("wallet_addresses[destination_tags]", tags)
    check_texts("wallet_addresses", [*wallets.values(), *tagged.values()])
    for network in wallets:
        check_code("wallet_addresses", network)
        if network not in (params["destination_networks"] or wallets):
            at = f"wallet_addresses[{network}]"
            raise ConfigurationError(at, "is none of destination_networks")
    addresses = {wire_key(network): text for network, text in wallets.items()}
    return {**addresses, "destination_tags": tags}


def _values_of(argument: str, value: Any) -> dict[str, Any]:
    """Return the values of a mapping that are sent: those that are not None."""
    given = check_mapping(argument, {} if value is None else value)
    return {key: inner for key, inner in given.items() if inner is not None}
