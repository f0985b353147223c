"""The steps of a climate order: what each does to the order, to what is left, and to the events.

Choices where the published facts are silent:

- no balance is kept: an order is paid at once, unless its metadata has `sandbox_status` with the
  value `open` or `awaiting_funds`; such an order waits for the driver, is canceled (`expired`)
  after 7 days, and can be canceled at any time before;
- a window of cancellation ends with its last second: 24 hours after `created`, 30 days after
  `delayed_at` and `product_substituted_at`; a closed one is a 400 `status_transition_invalid`,
  as is the cancellation of a canceled order;
- what is canceled can be ordered again, except where the product could not be delivered;
- an order of a product without a delivery year is expected four years after it was made;
- a delivery is made at once, in equal parts by all suppliers of the product; marine removals have
  no registry, and a place without a city is not told.
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
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account, EventOrigin, Job

ORDER: Final = "climate.order"
SWITCH: Final = "sandbox_status"

HOUR: Final = 60 * 60
DAY: Final = 24 * HOUR
WINDOWS: Final = {
    "created": 24 * HOUR,
    "delayed_at": 30 * DAY,
    "product_substituted_at": 30 * DAY,
}
FUNDING_SECONDS: Final = 7 * DAY
YEARS_TO_DELIVERY: Final = 4
EXPIRY_DUE: Final = "expire_climate_order"

CANCEL_STEPS: Final = {
    "expired": "expire",
    "product_unavailable": "withdraw",
    "requested": "cancel",
}

_NOBODY: Final = EventOrigin()
_CREATE_STEPS: Final = {"open": "create_open", "awaiting_funds": "create_unfunded"}


def place(
    account: Account, product: Json, kilograms: int, params: Mapping[str, Any], origin: EventOrigin
) -> Json:
    """Make an order, and tell it by an event.

    Args:
        account: where the order is stored.
        product: what is ordered.
        kilograms: how much of it.
        params: the checked parameters, with a currency.
        origin: the request that causes it.

    Returns:
        The order as it is stored.
    """
    value = _new(account, product, kilograms, params)
    step = _CREATE_STEPS.get(value["metadata"].get(SWITCH), "create")
    row = CLIMATE_ORDER.step(CLIMATE_ORDER.initial, step)
    paid = {"confirmed_at": value["created"]} if row.target == "confirmed" else {}
    value = enter(account, value, row, origin, **paid)
    stock.take(account, product["id"], kilograms)
    if not paid:
        account.schedule(FUNDING_SECONDS, EXPIRY_DUE, value["id"])
    return value


def enter(
    account: Account, value: Json, row: Transition, origin: EventOrigin, **changes: Any
) -> Json:
    """Take an order to the state of a row, and tell it by the event of the row.

    Args:
        account: where the order is stored.
        value: the order.
        row: the transition.
        origin: the request that causes it.
        changes: further fields and their new values.

    Returns:
        The order as it is stored now.
    """
    value = account.put({**value, **changes, "status": row.target})
    if row.event:
        account.emit(row.event, value, origin)
    return value


def confirm(account: Account, value: Json) -> Json:
    """Let the payment of an order settle.

    Raises:
        Refusal: 400, unless it waits for that.
    """
    row = CLIMATE_ORDER.step(value["status"], "pay")
    return enter(account, value, row, _NOBODY, confirmed_at=account.timestamp())


def check_window(account: Account, value: Json) -> None:
    """Refuse the cancellation of an order whose windows are closed by the clock.

    Raises:
        Refusal: 400 `status_transition_invalid`.
    """
    now = account.timestamp()
    opened = ((value[name], seconds) for name, seconds in WINDOWS.items())
    paid = value["status"] == "confirmed"
    if paid and not any(at is not None and now - at < seconds for at, seconds in opened):
        raise invalid(
            "An order can be canceled within 24 hours, or within 30 days of a delay or of another "
            "product in its place.",
            code="status_transition_invalid",
        )


def cancel(account: Account, value: Json, reason: str, origin: EventOrigin = _NOBODY) -> Json:
    """Cancel an order, whatever the clock says.

    Args:
        account: where the order is stored.
        value: the order.
        reason: a cancellation reason.
        origin: the request that causes it.

    Raises:
        Refusal: 400, when an order in this status is not canceled for this reason.
    """
    row = CLIMATE_ORDER.step(value["status"], CANCEL_STEPS[reason])
    changes = {"canceled_at": account.timestamp(), "cancellation_reason": reason}
    value = enter(account, value, row, origin, **changes)
    if reason != "product_unavailable":
        stock.take(account, value["product"], -stock.weight(value["metric_tons"]))
    return value


def delay(account: Account, value: Json, year: int | None = None) -> Json:
    """Put off the delivery of an order, which opens a window of cancellation.

    Args:
        account: where the order is stored.
        value: the order.
        year: when it is expected now; None for a year later than before.

    Raises:
        Refusal: 400, unless the order is confirmed and the year is later than before.
    """
    row = CLIMATE_ORDER.step(value["status"], "delay")
    before = value["expected_delivery_year"]
    year = before + 1 if year is None else year
    if year <= before:
        raise invalid(f"The order is expected in {before} already.", "expected_delivery_year")
    changes = {"delayed_at": account.timestamp(), "expected_delivery_year": year}
    return enter(account, value, row, _NOBODY, **changes)


def substitute(account: Account, value: Json, product: Json) -> Json:
    """Put another product in the place of the ordered one; the price stays as it is.

    Raises:
        Refusal: 400, unless the order is confirmed, the product another one, and enough of it is
            left.
    """
    row = CLIMATE_ORDER.step(value["status"], "substitute")
    if product["id"] == value["product"]:
        raise invalid("This is the product that was ordered.", "product")
    kilograms = stock.weight(value["metric_tons"])
    stock.check_left(product, kilograms, "product")
    changes = {
        "expected_delivery_year": _expected(account, product),
        "product": product["id"],
        "product_substituted_at": account.timestamp(),
    }
    value = enter(account, value, row, _NOBODY, **changes)
    stock.take(account, product["id"], kilograms)
    return value


def deliver(account: Account, value: Json) -> Json:
    """Deliver an order: who removed how much of it, and a certificate.

    Raises:
        Refusal: 400, unless the order is confirmed.
    """
    row = CLIMATE_ORDER.step(value["status"], "deliver")
    suppliers = account.get(PRODUCT, value["product"])["suppliers"]
    shares = _shares(suppliers, stock.weight(value["metric_tons"]))
    details = [_detail(account, supplier, kilograms) for supplier, kilograms in shares]
    changes = {
        "certificate": f"https://certificates.example/{account.random_text(32)}",
        "delivered_at": account.timestamp(),
        "delivery_details": details,
    }
    return enter(account, value, row, _NOBODY, **changes)


def _new(account: Account, product: Json, kilograms: int, params: Mapping[str, Any]) -> Json:
    currency = params["currency"]
    per_ton = product["current_prices_per_metric_ton"][currency]["amount_subtotal"]
    return {
        "id": account.new_id(ORDER),
        "object": ORDER,
        **stock.cost(kilograms, per_ton, stock.fee_percent(product)),
        "beneficiary": params.get("beneficiary"),
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


def _shares(suppliers: list[Json], kilograms: int) -> Iterator[tuple[Json, int]]:
    share, rest = divmod(kilograms, len(suppliers))
    for number, supplier in enumerate(suppliers):
        part = share + (number < rest)
        if part:
            yield supplier, part


def _detail(account: Account, supplier: Json, kilograms: int) -> Json:
    place = supplier["locations"][0]
    marine = supplier["removal_pathway"] == "marine_carbon_removal"
    return {
        "delivered_at": account.timestamp(),
        "location": place if place["city"] else None,
        "metric_tons": stock.tons(kilograms),
        "registry_url": None if marine else f"https://registry.example/{account.random_text(12)}",
        "supplier": supplier,
    }


def _expire_in_time(account: Account, id: str) -> None:
    value = account.get(ORDER, id)
    if value["status"] in _CREATE_STEPS:
        cancel(account, value, "expired")


JOBS: Final[Mapping[str, Job]] = {EXPIRY_DUE: _expire_in_time}
