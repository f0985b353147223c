"""What Climate offers: products with their prices and what is left of them, and the suppliers.

Every account has a stock of its own. Choices where the published facts are silent:

- tons are counted in kilograms, so they have three decimals at most;
- the subtotal of an order is its tons at the price of a ton, the fees are 3 % (portfolio) or 5 %
  (single supplier) of that subtotal, each rounded half up to a minor unit;
- an `amount` is all there is to spend, fees included: it buys the most kilograms whose total is
  not above it;
- the least that can be ordered is 1 ton of a single supplier, except 0.001 of one whose removal
  is marine; 0.001 of a portfolio, which is any product with more than one supplier;
- whatever changes what is available, an order too, is told by `climate.product.pricing_updated`.
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
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account, EventOrigin

TON: Final = 1000
PORTFOLIO_FEE: Final = 3
SINGLE_SUPPLIER_FEE: Final = 5
SOLD_OUT: Final = "out_of_inventory"
TOO_LITTLE: Final = "amount_too_small"

_NOBODY: Final = EventOrigin()
_MARINE = "marine_carbon_removal"
_NO_WORD = re.compile(r"[^a-z0-9]+")


def fill(account: Account) -> None:
    """Give an account the suppliers and products of the catalogue, unless it has them."""
    if len(account.tables[SUPPLIER]) == 0:
        for supplier in SUPPLIERS:
            account.put(supplier)
        for offer in OFFERS:
            account.put(_product(offer))


def product(account: Account, id: str, param: str = "product", status: int = 404) -> Json:
    """Return a product.

    Raises:
        Refusal: resource_missing, when there is none under the id.
    """
    fill(account)
    return account.get(PRODUCT, id, param, status)


def add(account: Account, offer: Offer) -> Json:
    """Add a product, and tell of it by an event.

    Raises:
        Refusal: 400, when there is a product with this id.
    """
    fill(account)
    if offer.id in account.tables[PRODUCT]:
        text = f"There is a product {offer.id} already."
        raise invalid(text, "name", "resource_already_exists")
    value = account.put(_product(offer))
    account.emit(f"{PRODUCT}.created", value, _NOBODY)
    return value


def slug(name: str) -> str:
    """Return the id of a product with a name."""
    return "climsku_" + _NO_WORD.sub("_", name.lower()).strip("_")


def change(
    account: Account,
    value: Json,
    prices: Mapping[str, int] | None = None,
    kilograms: int | None = None,
) -> Json:
    """Change prices of a product or what is left of it, and tell what was before by an event.

    Args:
        account: where the product is stored.
        value: the product.
        prices: new prices in minor units a metric ton, by currency, without fees.
        kilograms: what is available from now on.

    Returns:
        The product as it is stored now; without an event where nothing is changed.
    """
    old: Json = value["current_prices_per_metric_ton"]
    new = {**old, **_prices(prices or {}, fee_percent(value))}
    left = value["metric_tons_available"] if kilograms is None else tons(kilograms)
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
    account.emit(f"{PRODUCT}.pricing_updated", value, _NOBODY, previous)
    return value


def take(account: Account, id: str, kilograms: int) -> None:
    """Take kilograms out of what is available of a product; a negative number gives them back."""
    value = account.get(PRODUCT, id)
    change(account, value, kilograms=weight(value["metric_tons_available"]) - kilograms)


def wanted(value: Json, currency: str, metric_tons: Decimal | None, amount: int | None) -> int:
    """Return how many kilograms of a product an order asks for.

    Args:
        value: the product.
        currency: what it is paid in.
        metric_tons: the tons; None where an amount is given.
        amount: what may be spent, in minor units.

    Raises:
        Refusal: 400, when it has no price in the currency, or this is less than its minimum or
            more than is left.
    """
    price = value["current_prices_per_metric_ton"].get(currency)
    if price is None:
        raise invalid(f"{value['id']} has no price in this currency.", "currency")
    if metric_tons is not None:
        kilograms, param = _exact(metric_tons), "metric_tons"
    else:
        per_ton = price["amount_subtotal"]
        kilograms, param = affordable(amount or 0, per_ton, fee_percent(value)), "amount"
    if kilograms < minimum(value):
        text = f"The least that can be ordered of {value['id']} is {tons(minimum(value))} tons."
        raise invalid(text, param, TOO_LITTLE)
    check_left(value, kilograms, param)
    return kilograms


def check_left(value: Json, kilograms: int, param: str) -> None:
    """Refuse to sell more of a product than is left.

    Raises:
        Refusal: 400 `out_of_inventory`.
    """
    left = value["metric_tons_available"]
    if kilograms > weight(left):
        raise invalid(f"Of {value['id']} {left} tons are left.", param, SOLD_OUT)


def fee_percent(value: Json) -> int:
    """Return the fees of a product in percent of the subtotal."""
    return PORTFOLIO_FEE if len(value["suppliers"]) > 1 else SINGLE_SUPPLIER_FEE


def minimum(value: Json) -> int:
    """Return the least number of kilograms that can be ordered of a product."""
    suppliers = value["suppliers"]
    single = len(suppliers) == 1 and suppliers[0]["removal_pathway"] != _MARINE
    return TON if single else 1


def cost(kilograms: int, per_ton: int, percent: int) -> Json:
    """Return fees, subtotal and total of kilograms, in minor units.

    Args:
        kilograms: how many.
        per_ton: the price of a metric ton without fees.
        percent: the fees.
    """
    subtotal = _half_up(kilograms * per_ton, TON)
    fees = _half_up(subtotal * percent, 100)
    return {"amount_fees": fees, "amount_subtotal": subtotal, "amount_total": subtotal + fees}


def affordable(amount: int, per_ton: int, percent: int) -> int:
    """Return the most kilograms whose total is not above an amount."""

    def total(kilograms: int) -> int:
        return int(cost(kilograms, per_ton, percent)["amount_total"])

    most = (2 * amount + 1) * TON // (2 * per_ton)
    return bisect_right(range(most + 1), amount, key=total) - 1


def weight(metric_tons: str) -> int:
    """Return stored tons as kilograms."""
    return int(Decimal(metric_tons) * TON)


def tons(kilograms: int) -> str:
    """Return kilograms as the tons of an answer."""
    return f"{Decimal(kilograms).scaleb(-3).normalize():f}"


def _exact(metric_tons: Decimal) -> int:
    if decimals(metric_tons) > 3:
        raise invalid("metric_tons has at most three decimals.", "metric_tons")
    return int(metric_tons * TON)


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
