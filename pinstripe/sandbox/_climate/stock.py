"""The products of Climate with their prices and what is left of them, and the suppliers.

Every account has a stock of its own, filled from the catalogue when the account first looks at it.
Quantities are counted in whole kilograms and money in whole minor units, so the arithmetic is in
integers and exact: tons have at most three decimals.

An order is priced in two steps. The subtotal is the kilograms at the price of a ton; the fees are a
percentage of this subtotal. Each of the two is rounded half up to a minor unit, and the total is
their sum. An order can also name an `amount` to spend, fees included: it then gets the most
kilograms whose total is not above the amount.

Choices where the published facts are silent:

- the fees are 3 % for a portfolio (a product with more than one supplier) and 5 % for a single
  supplier;
- the smallest order is 1 ton from a single supplier, except 0.001 tons if its removal is marine;
  it is 0.001 tons of a portfolio;
- each change of what is available, also by an order, sends `climate.product.pricing_updated`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from pinstripe.sandbox._climate.catalogue import OFFERS, PRODUCT, SUPPLIER, SUPPLIERS, Offer
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.numbers import decimals
from pinstripe.sandbox._state.origin import NO_REQUEST
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account

# A metric ton in kilograms.
TON: Final = 1000
# Fees in percent of the subtotal.
PORTFOLIO_FEE: Final = 3
SINGLE_SUPPLIER_FEE: Final = 5
# Published error codes.
SOLD_OUT: Final = "out_of_inventory"
TOO_SMALL: Final = "amount_too_small"

_MARINE = "marine_carbon_removal"
_NOT_IN_IDS = re.compile(r"[^a-z0-9]+")


def fill(account: Account) -> None:
    """Store the suppliers and products of the catalogue, unless the account has them."""
    if len(account.tables[SUPPLIER]) == 0:
        for supplier in SUPPLIERS:
            account.put(supplier)
        for offer in OFFERS:
            account.put(_product(offer))


def product(account: Account, id: str, param: str = "product", status: int = 404) -> Json:
    """Return a product.

    Raises:
        Refusal: `resource_missing` if there is none with this id.
    """
    fill(account)
    return account.get(PRODUCT, id, param, status)


def add(account: Account, offer: Offer) -> Json:
    """Store a new product and send an event for it.

    Raises:
        Refusal: 400 if a product with this id exists.
    """
    fill(account)
    if offer.id in account.tables[PRODUCT]:
        text = f"A product with the id {offer.id} already exists."
        raise invalid(text, "name", "resource_already_exists")
    value = account.put(_product(offer))
    account.emit(f"{PRODUCT}.created", value, NO_REQUEST)
    return value


def slug(name: str) -> str:
    """Return the id for a product with this name."""
    return "climsku_" + _NOT_IN_IDS.sub("_", name.lower()).strip("_")


def change(
    account: Account,
    value: Json,
    prices: Mapping[str, int] | None = None,
    kilograms: int | None = None,
) -> Json:
    """Change the prices of a product or what is left of it, and send an event with the old values.

    If nothing changes, there is no event.

    Args:
        account: The account that stores the product.
        value: The product.
        prices: New prices in minor units per metric ton, by currency, without fees.
        kilograms: The kilograms that are available from now on.

    Returns:
        The product as it is stored now.
    """
    old: Json = value["current_prices_per_metric_ton"]
    new = {**old, **_prices(prices or {}, fee_percent(value))}
    left = value["metric_tons_available"] if kilograms is None else tons(kilograms)
    # An event shows the old values of what changed, and nothing else.
    previous: Json = {}
    if new != old:
        changed = {name: old.get(name) for name in new if new[name] != old.get(name)}
        previous["current_prices_per_metric_ton"] = changed
    if left != value["metric_tons_available"]:
        previous["metric_tons_available"] = value["metric_tons_available"]
    if not previous:
        return value
    changes = {
        "current_prices_per_metric_ton": dict(sorted(new.items())),
        "metric_tons_available": left,
    }
    value = account.put({**value, **changes})
    account.emit(f"{PRODUCT}.pricing_updated", value, NO_REQUEST, previous)
    return value


def take(account: Account, id: str, kilograms: int) -> None:
    """Reduce what is left of a product; a negative number of kilograms increases it."""
    value = account.get(PRODUCT, id)
    change(account, value, kilograms=weight(value["metric_tons_available"]) - kilograms)


def wanted(value: Json, currency: str, metric_tons: Decimal | None, amount: int | None) -> int:
    """Return how many kilograms of a product an order asks for.

    Args:
        value: The product.
        currency: The currency of the payment.
        metric_tons: The tons; None if an amount is given.
        amount: The money to spend, fees included, in minor units.

    Raises:
        Refusal: 400 if the product has no price in the currency, or if the quantity is below the
            minimum or above what is left.
    """
    prices = value["current_prices_per_metric_ton"]
    price = prices.get(currency)
    if price is None:
        text = f"The currency must be one in which {value['id']} has a price: {', '.join(prices)}."
        raise invalid(text, "currency")
    if metric_tons is not None:
        if decimals(metric_tons) > 3:
            raise invalid("metric_tons can have at most three decimals.", "metric_tons")
        kilograms, param = int(metric_tons * TON), "metric_tons"
    else:
        per_ton = price["amount_subtotal"]
        kilograms, param = affordable(amount or 0, per_ton, fee_percent(value)), "amount"
    if kilograms < minimum(value):
        text = f"An order of {value['id']} must be at least {tons(minimum(value))} metric tons."
        raise invalid(text, param, TOO_SMALL)
    check_left(value, kilograms, param)
    return kilograms


def check_left(value: Json, kilograms: int, param: str) -> None:
    """Check that enough of a product is left.

    Raises:
        Refusal: 400 `out_of_inventory` if it is not.
    """
    left = value["metric_tons_available"]
    if kilograms > weight(left):
        text = f"Only {left} metric tons of {value['id']} are available."
        raise invalid(text, param, SOLD_OUT)


def fee_percent(value: Json) -> int:
    """Return the fees of a product in percent of the subtotal."""
    return PORTFOLIO_FEE if len(value["suppliers"]) > 1 else SINGLE_SUPPLIER_FEE


def minimum(value: Json) -> int:
    """Return the smallest number of kilograms of a product that can be ordered."""
    suppliers = value["suppliers"]
    single = len(suppliers) == 1 and suppliers[0]["removal_pathway"] != _MARINE
    return TON if single else 1


def cost(kilograms: int, per_ton: int, percent: int) -> Json:
    """Return fees, subtotal and total for some kilograms, in minor units.

    Args:
        kilograms: The kilograms.
        per_ton: The price of a metric ton, without fees.
        percent: The fees in percent.
    """
    subtotal = _half_up(kilograms * per_ton, TON)
    fees = _half_up(subtotal * percent, 100)
    return {"amount_fees": fees, "amount_subtotal": subtotal, "amount_total": subtotal + fees}


def affordable(amount: int, per_ton: int, percent: int) -> int:
    """Return the most kilograms whose total is not above an amount."""

    def total(kilograms: int) -> int:
        return int(cost(kilograms, per_ton, percent)["amount_total"])

    # The total never decreases with the kilograms, so a binary search finds the largest number
    # that fits. The bound is what the amount buys without fees: a subtotal that is rounded half up
    # to the amount comes from less than half a minor unit more.
    most = (2 * amount + 1) * TON // (2 * per_ton)
    return bisect_right(range(most + 1), amount, key=total) - 1


def weight(metric_tons: str) -> int:
    """Return stored tons as kilograms."""
    return int(Decimal(metric_tons) * TON)


def tons(kilograms: int) -> str:
    """Return kilograms as tons, in the form of an answer."""
    return f"{Decimal(kilograms).scaleb(-3).normalize():f}"


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _prices(per_ton: Mapping[str, int], percent: int) -> Json:
    return {currency: cost(TON, price, percent) for currency, price in sorted(per_ton.items())}


def _product(offer: Offer) -> Json:
    value: dict[str, Any] = {
        "id": offer.id,
        "object": PRODUCT,
        "created": offer.created,
        "current_prices_per_metric_ton": {},
        "delivery_year": offer.delivery_year,
        "livemode": False,
        "metric_tons_available": offer.tons,
        "name": offer.name,
        "suppliers": list(offer.suppliers),
    }
    prices = _prices(offer.prices, fee_percent(value))
    return {**value, "current_prices_per_metric_ton": prices}
