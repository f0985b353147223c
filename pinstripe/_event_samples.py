"""Samples of events: for each type of event of these resources, an object as the event shows it.

Tests sign and send them. Every value is invented. Times depend on the time that the caller gives,
and ids on a text that the caller draws, so that tests are repeatable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

_WALLETS: Final = (
    "avalanche",
    "base_network",
    "bitcoin",
    "celo",
    "destination_tags",
    "ethereum",
    "optimism",
    "polygon",
    "solana",
    "stellar",
    "sui",
    "tempo",
    "worldchain",
)
_DAY: Final = 86_400
_YEAR: Final = 31_556_952
"""Seconds of a mean year of the Gregorian calendar."""


@frozen
class Sample:
    """The object of an event.

    Attributes:
        object: The object, as plain data.
        previous_attributes: The values before an update, by the name of the field.
    """

    object: dict[str, Any]
    previous_attributes: Mapping[str, Any] | None = None


@frozen
class _Recipe:
    """How to make the object of one type of event.

    Attributes:
        build: Makes the object from the time of the event and the drawn text.
        changes: Fields that differ in this type of event.
        times: Fields that are set to the time of the event.
        previous_attributes: As in `Sample`.
    """

    build: Callable[[int, str], dict[str, Any]]
    changes: Mapping[str, Any] = field(factory=dict[str, Any])
    times: tuple[str, ...] = ()
    previous_attributes: Mapping[str, Any] | None = None


def sample(type: str, now: int, draw: str) -> Sample | None:
    """Return the object of an event; None for a type that has no sample.

    Args:
        type: The type of the event.
        now: The time of the event, in seconds since the Unix epoch.
        draw: Letters and digits that make the id unique.
    """
    recipe = _RECIPES.get(type)
    if recipe is None:
        return None
    times = dict.fromkeys(recipe.times, now)
    return Sample(
        {**recipe.build(now, draw), **recipe.changes, **times}, recipe.previous_attributes
    )


def _session(now: int, draw: str) -> dict[str, Any]:
    return {
        "id": f"vs_{draw}",
        "object": "identity.verification_session",
        "client_reference_id": None,
        "client_secret": None,
        "created": now - 90,
        "last_error": None,
        "last_verification_report": None,
        "livemode": False,
        "metadata": {},
        "options": {"document": {"require_matching_selfie": True}},
        "provided_details": None,
        "redaction": None,
        "related_customer": None,
        "related_customer_account": None,
        "related_person": None,
        "status": "requires_input",
        "type": "document",
        "url": None,
    }


# A session can be verified only while it requires input, so only then it has a secret and a link.
def _open_session(now: int, draw: str) -> dict[str, Any]:
    opened = {
        "client_secret": f"vs_{draw}_secret_test_{draw}",
        "url": f"https://verify.stripe.com/start/test_{draw}",
    }
    return {**_session(now, draw), **opened}


def _reported_session(now: int, draw: str) -> dict[str, Any]:
    return {**_session(now, draw), "last_verification_report": f"vr_{draw}"}


def _failed_session(now: int, draw: str) -> dict[str, Any]:
    error = {"code": "document_expired", "reason": "The document has expired."}
    failed = {"last_error": error, "last_verification_report": f"vr_{draw}"}
    return {**_open_session(now, draw), **failed}


def _order(now: int, draw: str) -> dict[str, Any]:
    return {
        "id": f"climorder_{draw}",
        "object": "climate.order",
        "amount_fees": 1200,
        "amount_subtotal": 24_000,
        "amount_total": 25_200,
        "beneficiary": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "certificate": None,
        "confirmed_at": now,
        "created": now,
        "currency": "usd",
        "delayed_at": None,
        "delivered_at": None,
        "delivery_details": [],
        "expected_delivery_year": 1970 + now // _YEAR + 2,
        "livemode": False,
        "metadata": {},
        "metric_tons": "0.5",
        "product": "climsku_sample",
        "product_substituted_at": None,
        "status": "confirmed",
    }


# Events after the creation are about an order of the day before.
def _earlier_order(now: int, draw: str) -> dict[str, Any]:
    return _order(now - _DAY, draw)


def _delivered_order(now: int, draw: str) -> dict[str, Any]:
    details: dict[str, Any] = {
        "delivered_at": now,
        "location": _location(),
        "metric_tons": "0.5",
        "registry_url": "https://registry.example/entries/1",
        "supplier": _supplier(),
    }
    return {**_earlier_order(now, draw), "delivery_details": [details]}


def _location() -> dict[str, Any]:
    return {
        "city": "Hella",
        "country": "IS",
        "latitude": 63.83,
        "longitude": -20.4,
        "region": "Sudurland",
    }


def _supplier() -> dict[str, Any]:
    return {
        "id": "climsup_sample",
        "object": "climate.supplier",
        "info_url": "https://supplier.example",
        "livemode": False,
        "locations": [_location()],
        "name": "Basalt Works",
        "removal_pathway": "enhanced_weathering",
    }


def _product(now: int, draw: str) -> dict[str, Any]:
    price = {"amount_fees": 2400, "amount_subtotal": 48_000, "amount_total": 50_400}
    return {
        "id": f"climsku_{draw}",
        "object": "climate.product",
        "created": now,
        "current_prices_per_metric_ton": {"usd": price},
        "delivery_year": 1970 + now // _YEAR + 2,
        "livemode": False,
        "metric_tons_available": "1500.0",
        "name": "Basalt, spread on fields",
        "suppliers": [_supplier()],
    }


def _earlier_product(now: int, draw: str) -> dict[str, Any]:
    return _product(now - _DAY, draw)


def _onramp_session(now: int, draw: str) -> dict[str, Any]:
    wallet = "0x00000000000000000000000000000000005a3b1e"
    return {
        "id": f"cos_{draw}",
        "object": "crypto.onramp_session",
        "client_secret": f"cos_{draw}_secret_{draw}",
        "created": now - 300,
        "kyc_details_provided": False,
        "livemode": False,
        "metadata": {},
        "redirect_url": None,
        "status": "fulfillment_complete",
        "transaction_details": {
            "destination_amount": "25.000000",
            "destination_currencies": ["usdc"],
            "destination_currency": "usdc",
            "destination_network": "base",
            "destination_networks": ["base"],
            "fees": {"network_fee_amount": "0.02", "transaction_fee_amount": "0.98"},
            "lock_wallet_address": False,
            "source_amount": "25.00",
            "source_currency": "usd",
            "transaction_id": "0x" + "5a" * 32,
            "wallet_address": wallet,
            "wallet_addresses": {**dict.fromkeys(_WALLETS), "base_network": wallet},
        },
    }


def _file(now: int, draw: str) -> dict[str, Any]:
    return {
        "id": f"file_{draw}",
        "object": "file",
        "created": now,
        "expires_at": None,
        "filename": "document_front.jpg",
        "links": None,
        "purpose": "identity_document_downloadable",
        "size": 48_213,
        "title": None,
        "type": "jpg",
        "url": f"https://files.stripe.com/v1/files/file_{draw}/contents",
    }


_IDENTITY: Final = "identity.verification_session"
_ORDER: Final = "climate.order"
_PRODUCT: Final = "climate.product"

_RECIPES: Final[dict[str, _Recipe]] = {
    f"{_IDENTITY}.created": _Recipe(_open_session),
    f"{_IDENTITY}.processing": _Recipe(_session, {"status": "processing"}),
    f"{_IDENTITY}.requires_input": _Recipe(_failed_session),
    f"{_IDENTITY}.verified": _Recipe(_reported_session, {"status": "verified"}),
    f"{_IDENTITY}.canceled": _Recipe(_session, {"status": "canceled"}),
    f"{_IDENTITY}.redacted": _Recipe(
        _reported_session, {"status": "verified", "redaction": {"status": "redacted"}}
    ),
    f"{_ORDER}.created": _Recipe(_order),
    f"{_ORDER}.canceled": _Recipe(
        _earlier_order,
        {"status": "canceled", "cancellation_reason": "requested"},
        times=("canceled_at",),
    ),
    f"{_ORDER}.delayed": _Recipe(_earlier_order, times=("delayed_at",)),
    f"{_ORDER}.delivered": _Recipe(
        _delivered_order,
        {"status": "delivered", "certificate": "https://climate.example/orders/sample"},
        times=("delivered_at",),
    ),
    f"{_ORDER}.product_substituted": _Recipe(
        _earlier_order, {"product": "climsku_substitute"}, times=("product_substituted_at",)
    ),
    f"{_PRODUCT}.created": _Recipe(_product),
    f"{_PRODUCT}.pricing_updated": _Recipe(
        _earlier_product, previous_attributes={"metric_tons_available": "1512.5"}
    ),
    "crypto.onramp_session.updated": _Recipe(
        _onramp_session, previous_attributes={"status": "fulfillment_processing"}
    ),
    "file.created": _Recipe(_file),
}

SAMPLED: Final = frozenset(_RECIPES)
"""The types of events that have a sample of their own."""
