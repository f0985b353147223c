"""The steps of a climate order, with their effects on what is left of a product and on events.

An order is `confirmed` once it is paid, and then `delivered` or `canceled`. Before that it can be
`open` or `awaiting_funds`, and expires if it is not paid. The lifecycle table says which step is
possible in which status, and which event it sends.

Choices where the published facts are silent:

- there is no balance: an order is paid at once, unless its metadata has `sandbox_status` with the
  value `open` or `awaiting_funds`. Such an order waits for the driver, is canceled (`expired`)
  after 7 days, and can be canceled at any time before;
- a confirmed order can be canceled for 24 hours after `created`, and for 30 days after `delayed_at`
  and `product_substituted_at`; the last second does not count. Later, and for an order that is
  already canceled, this is a 400 `status_transition_invalid`;
- a cancellation makes the tons available again, unless the product could not be delivered;
- an order of a product without a delivery year is expected four years after its creation;
- an order without a beneficiary shows the account: `Pinstripe Sandbox`, and a connected account by
  its id;
- a delivery is complete at once, in equal parts by all suppliers of the product; marine removals
  have no registry, and a place without a city is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, Final

from pinstripe.sandbox._climate import stock
from pinstripe.sandbox._climate.catalogue import PRODUCT
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.schema import MAX_TIMESTAMP, METADATA
from pinstripe.sandbox._state.lifecycles import CLIMATE_ORDER, Transition
from pinstripe.sandbox._state.origin import NO_REQUEST, EventOrigin
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account, Job

ORDER: Final = "climate.order"
ACCOUNT_NAME: Final = "Pinstripe Sandbox"
STATUS_METADATA: Final = "sandbox_status"

HOUR: Final = 60 * 60
DAY: Final = 24 * HOUR
# How long an order can be canceled after each of these times, by the published terms.
CANCELLATION_SECONDS: Final = {
    "created": 24 * HOUR,
    "delayed_at": 30 * DAY,
    "product_substituted_at": 30 * DAY,
}
FUNDING_SECONDS: Final = 7 * DAY
YEARS_TO_DELIVERY: Final = 4
EXPIRY_JOB: Final = "expire_climate_order"

# The action of the lifecycle table for each published cancellation reason.
CANCEL_STEPS: Final = {
    "expired": "expire",
    "product_unavailable": "withdraw",
    "requested": "cancel",
}

_CREATE_STEPS: Final = {"open": "create_open", "awaiting_funds": "create_unfunded"}


def place(
    account: Account, product: Json, kilograms: int, params: Mapping[str, Any], origin: EventOrigin
) -> Json:
    """Create an order, and send an event.

    Args:
        account: The account that stores the order.
        product: The product.
        kilograms: The quantity.
        params: The checked parameters, with a currency.
        origin: The request that causes it.

    Returns:
        The order as it is stored.
    """
    value = _new(account, product, kilograms, params)
    step = _CREATE_STEPS.get(value["metadata"].get(STATUS_METADATA), "create")
    row = CLIMATE_ORDER.step(CLIMATE_ORDER.initial, step)
    paid = {"confirmed_at": value["created"]} if row.target == "confirmed" else {}
    value = enter(account, value, row, origin, **paid)
    stock.take(account, product["id"], kilograms)
    if not paid:
        account.schedule(FUNDING_SECONDS, EXPIRY_JOB, value["id"])
    return value


def enter(
    account: Account, value: Json, row: Transition, origin: EventOrigin, **changes: Any
) -> Json:
    """Apply a transition to an order: store its new state, and send the event.

    Args:
        account: The account that stores the order.
        value: The order.
        row: The transition.
        origin: The request that causes it.
        changes: Other fields and their new values.

    Returns:
        The order as it is stored now.
    """
    value = account.put({**value, **changes, "status": row.target})
    if row.event:
        account.emit(row.event, value, origin)
    return value


def confirm(account: Account, value: Json) -> Json:
    """Let the payment of an order succeed.

    Raises:
        Refusal: 400 unless the order waits for its payment.
    """
    row = CLIMATE_ORDER.step(value["status"], "pay")
    return enter(account, value, row, NO_REQUEST, confirmed_at=account.timestamp())


def check_cancelable(account: Account, value: Json) -> None:
    """Check that an order can still be canceled, by the clock.

    Raises:
        Refusal: 400 `status_transition_invalid` if it is too late.
    """
    if value["status"] != "confirmed":
        return
    now = account.timestamp()
    starts = ((value[name], seconds) for name, seconds in CANCELLATION_SECONDS.items())
    if not any(at is not None and now - at < seconds for at, seconds in starts):
        raise invalid(
            "An order can only be canceled within 24 hours of its creation, or within 30 days after"
            " its delay or the substitution of its product.",
            code="status_transition_invalid",
        )


def cancel(account: Account, value: Json, reason: str, origin: EventOrigin = NO_REQUEST) -> Json:
    """Cancel an order, without a check of the time.

    Args:
        account: The account that stores the order.
        value: The order.
        reason: A published cancellation reason.
        origin: The request that causes it.

    Returns:
        The order as it is stored now.

    Raises:
        Refusal: 400 if an order in this status cannot be canceled for this reason.
    """
    row = CLIMATE_ORDER.step(value["status"], CANCEL_STEPS[reason])
    changes = {"canceled_at": account.timestamp(), "cancellation_reason": reason}
    value = enter(account, value, row, origin, **changes)
    # Tons that cannot be delivered to this order cannot be sold to another one.
    if reason != "product_unavailable":
        stock.take(account, value["product"], -stock.weight(value["metric_tons"]))
    return value


def delay(account: Account, value: Json, year: int | None = None) -> Json:
    """Postpone the delivery of an order, which can then be canceled for 30 days.

    Args:
        account: The account that stores the order.
        value: The order.
        year: The new year, later than before; None for the next year.

    Returns:
        The order as it is stored now.

    Raises:
        Refusal: 400 unless the order is confirmed and the year is later than before.
    """
    row = CLIMATE_ORDER.step(value["status"], "delay")
    before = value["expected_delivery_year"]
    year = before + 1 if year is None else year
    if year <= before:
        text = f"The order is already expected in {before}: the new year must be later."
        raise invalid(text, "expected_delivery_year")
    changes = {"delayed_at": account.timestamp(), "expected_delivery_year": year}
    return enter(account, value, row, NO_REQUEST, **changes)


def substitute(account: Account, value: Json, product: Json) -> Json:
    """Replace the product of an order with another one, at the same price.

    Raises:
        Refusal: 400 unless the order is confirmed, the product is another one, and enough of it is
            left.
    """
    row = CLIMATE_ORDER.step(value["status"], "substitute")
    if product["id"] == value["product"]:
        raise invalid("The order already has this product.", "product")
    kilograms = stock.weight(value["metric_tons"])
    stock.check_left(product, kilograms, "product")
    changes = {
        "expected_delivery_year": _expected(account, product),
        "product": product["id"],
        "product_substituted_at": account.timestamp(),
    }
    value = enter(account, value, row, NO_REQUEST, **changes)
    stock.take(account, product["id"], kilograms)
    return value


def deliver(account: Account, value: Json) -> Json:
    """Deliver an order, with a certificate and the share of each supplier.

    Raises:
        Refusal: 400 unless the order is confirmed.
    """
    row = CLIMATE_ORDER.step(value["status"], "deliver")
    suppliers = account.get(PRODUCT, value["product"])["suppliers"]
    details = list(_details(account, suppliers, stock.weight(value["metric_tons"])))
    changes = {
        "certificate": f"https://certificates.example/{account.random_text(32)}",
        "delivered_at": account.timestamp(),
        "delivery_details": details,
    }
    return enter(account, value, row, NO_REQUEST, **changes)


def _new(account: Account, product: Json, kilograms: int, params: Mapping[str, Any]) -> Json:
    currency = params["currency"]
    per_ton = product["current_prices_per_metric_ton"][currency]["amount_subtotal"]
    return {
        "id": account.new_id(ORDER),
        "object": ORDER,
        **stock.cost(kilograms, per_ton, stock.fee_percent(product)),
        "beneficiary": params.get("beneficiary", {"public_name": account.id or ACCOUNT_NAME}),
        "canceled_at": None,
        "cancellation_reason": None,
        "certificate": None,
        "confirmed_at": None,
        "created": account.timestamp(),
        "currency": currency,
        "delayed_at": None,
        "delivered_at": None,
        "delivery_details": [],
        "expected_delivery_year": _expected(account, product),
        "livemode": False,
        "metadata": METADATA.merge({}, params.get("metadata", {})),
        "metric_tons": stock.tons(kilograms),
        "product": product["id"],
        "product_substituted_at": None,
    }


def _expected(account: Account, product: Json) -> int:
    now = datetime.fromtimestamp(min(account.timestamp(), MAX_TIMESTAMP), timezone.utc)
    return int(product["delivery_year"] or now.year + YEARS_TO_DELIVERY)


def _details(account: Account, suppliers: list[Json], kilograms: int) -> Iterator[Json]:
    # Equal shares in whole kilograms: the first suppliers deliver one more, to make up the rest.
    share, rest = divmod(kilograms, len(suppliers))
    for number, supplier in enumerate(suppliers):
        delivered = share + (number < rest)
        if not delivered:
            continue
        place = supplier["locations"][0]
        marine = supplier["removal_pathway"] == "marine_carbon_removal"
        yield {
            "delivered_at": account.timestamp(),
            "location": place if place["city"] else None,
            "metric_tons": stock.tons(delivered),
            "registry_url": (
                None if marine else f"https://registry.example/{account.random_text(12)}"
            ),
            "supplier": supplier,
        }


def _expire_when_due(account: Account, id: str) -> None:
    value = account.get(ORDER, id)
    # The order may have been paid or canceled meanwhile.
    if value["status"] in _CREATE_STEPS:
        cancel(account, value, "expired")


JOBS: Final[Mapping[str, Job]] = {EXPIRY_JOB: _expire_when_due}
