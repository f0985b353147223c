"""What goes into onramp calls: vocabularies, parameter types, and the rules they must keep.

The network Base is `base` among the values of the API and `base_network` among its keys. Here it
is written `base` in every argument, and put on the wire as the API wants it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from decimal import Decimal
from ipaddress import ip_address
from typing import Any, Literal, cast

from typing_extensions import TypedDict

from pinstripe._core.checks import check_decimal, check_texts
from pinstripe._core.errors import ConfigurationError

SourceCurrency = Literal["cad", "cop", "eur", "gbp", "php", "usd"] | str
"""The currency a customer pays in."""

DestinationCurrency = (
    Literal["avax", "btc", "eth", "matic", "ripusd", "sol", "usdc", "usdt", "wld", "xlm"] | str
)
"""The crypto currency a customer gets; Polygon's POL is `matic`."""

DestinationNetwork = (
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

WIRE_KEYS = {"base": "base_network"}
"""The key on the wire of each network whose key is not its name."""

_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")  # currencies and networks; new ones come any time

# The source currencies of today, each of a hundred cents; of others the API is the judge.
_CENTS = frozenset({"cad", "cop", "eur", "gbp", "php", "usd"})
_PARTS_OF_A_CENT = re.compile(r"\.[0-9]{2}0*[1-9]")


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
    """What is known of the customer, so that the widget need not ask for it."""

    email: str
    first_name: str
    last_name: str
    dob: KycDobParam
    address: KycAddressParam


class QuotesQuery(TypedDict, total=False):
    """The parameters of `onramp_quotes.retrieve`, which explains them."""

    source_amount: Decimal | int | str | None
    source_currency: SourceCurrency | None
    destination_amount: Decimal | int | str | None
    destination_currencies: Sequence[DestinationCurrency] | None
    destination_networks: Sequence[DestinationNetwork] | None


def check_query(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query as the parameters that are sent for it; nothing is sent.

    Args:
        query: A `QuotesQuery`, or plain data of that shape, such as a row of a file.

    Raises:
        ConfigurationError: `retrieve` would refuse it, or it has a key that is no parameter;
            the error's `argument` is the key at fault.
    """
    given = _check_mapping("query", query)
    for key in given:
        if key not in _QUERY_KEYS:
            raise ConfigurationError(str(key), f"is none of {', '.join(_QUERY_KEYS)}")
    params = _check_shared({key: given.get(key) for key in _QUERY_KEYS})
    names = ("destination_currencies", "destination_networks")
    for name in names if params["destination_amount"] else ():
        if len(params[name] or ()) != 1:
            raise ConfigurationError(name, "must name exactly one where destination_amount is set")
    return params


_QUERY_KEYS = tuple(QuotesQuery.__annotations__)


def check_queries(value: Any) -> None:
    """Refuse what is not an iterable of queries.

    Args:
        value: What `retrieve_many` was given.

    Raises:
        ConfigurationError: It is one query, or nothing that can be iterated.
    """
    one = isinstance(value, (str, bytes, Mapping))
    if one or not isinstance(value, (Iterable, AsyncIterable)):
        raise ConfigurationError("queries", "must be an iterable of queries, sync or async")


def check_session(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a new session as the parameters that are sent for it.

    https://docs.stripe.com/api/crypto/onramp_sessions/create

    Args:
        given: Every argument by its name.

    Raises:
        ConfigurationError: The API would refuse them; the error names the argument.
    """
    params = _check_shared(given)
    for name, other in _NEEDS:
        if params[name] and params[other] is None:
            raise ConfigurationError(other, f"is needed with {name}")
    for name, others in _CHOICES:
        if params[name] and params[others] and params[name] not in params[others]:
            raise ConfigurationError(name, f"is none of {others}")
    _check_cents(params["source_amount"], params["source_currency"])
    _check_ip(params["customer_ip_address"])
    _check_kyc(params["kyc_details"])
    return {**params, "wallet_addresses": _check_wallets(params)}


_NEEDS = (
    ("source_amount", "source_currency"),
    ("destination_amount", "destination_currency"),
    ("destination_currency", "destination_network"),
    ("destination_network", "destination_currency"),
    ("lock_wallet_address", "wallet_addresses"),
)
_CHOICES = (
    ("destination_currency", "destination_currencies"),
    ("destination_network", "destination_networks"),
)


def _check_shared(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check what sessions and quotes have in common, and return it with the amounts as text."""
    amounts = {name: check_decimal(name, given[name]) for name in _AMOUNTS}
    if None not in amounts.values():
        raise ConfigurationError("destination_amount", "cannot be used together with source_amount")
    for name in ("source_currency", "destination_currency", "destination_network"):
        check_code(name, given.get(name))
    for name in ("destination_currencies", "destination_networks"):
        check_texts(name, given[name])
        for code in given[name] or ():
            check_code(name, code)
    return {**given, **amounts}


_AMOUNTS = ("source_amount", "destination_amount")


def check_code(argument: str, value: Any) -> None:
    """Refuse what cannot be the code of a currency or network; `base` is written so.

    Args:
        argument: The name to give in the error.
        value: The code, or None where it is not sent.

    Raises:
        ConfigurationError: It is no code, or the wire's key for Base.
    """
    if value is None:
        return
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise ConfigurationError(argument, "must be a code: letters, digits, '_' or '-'")
    if value in WIRE_KEYS.values():
        raise ConfigurationError(argument, "write 'base' for 'base_network'")


def _check_cents(amount: str | None, currency: str | None) -> None:
    if amount and currency in _CENTS and _PARTS_OF_A_CENT.search(amount):
        raise ConfigurationError("source_amount", "has parts of a cent")


def _check_ip(value: Any) -> None:
    if value is not None:
        try:
            ip_address(str(value))
        except ValueError:
            problem = "must be the text of an IPv4 or IPv6 address"
            raise ConfigurationError("customer_ip_address", problem) from None


def _check_kyc(value: Any) -> None:
    details = _given("kyc_details", value)
    parts = set(_given("kyc_details[dob]", details.get("dob")))
    if parts and parts != {"year", "month", "day"}:
        raise ConfigurationError("kyc_details[dob]", "needs year, month and day")


def _check_wallets(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the wallets under the keys of the wire."""
    if params["wallet_addresses"] is None:
        return None
    wallets = _given("wallet_addresses", params["wallet_addresses"])
    tags = _given("wallet_addresses[destination_tags]", wallets.pop("destination_tags", None))
    check_texts("wallet_addresses", [*wallets.values(), *tags.values()])
    for network in wallets:
        check_code("wallet_addresses", network)
        if network not in (params["destination_networks"] or wallets):
            at = f"wallet_addresses[{network}]"
            raise ConfigurationError(at, "is none of destination_networks")
    addresses = {WIRE_KEYS.get(network, network): text for network, text in wallets.items()}
    return {**addresses, "destination_tags": tags}


def _given(argument: str, value: Any) -> dict[str, Any]:
    """Return what a mapping gives: what is None is not sent."""
    given = _check_mapping(argument, {} if value is None else value)
    return {key: inner for key, inner in given.items() if inner is not None}


def _check_mapping(argument: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    raise ConfigurationError(argument, f"must be a mapping, not a {type(value).__name__}")
