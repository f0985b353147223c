"""Control routes of Climate: the steps that the service and its suppliers take.

Parameters, by path below `/_sandbox/`:

- `POST climate/orders/{order}/confirm`: none
- `POST climate/orders/{order}/deliver`: none
- `POST climate/orders/{order}/delay`: `expected_delivery_year`
- `POST climate/orders/{order}/substitute`: `product` (required)
- `POST climate/orders/{order}/cancel`: `reason` (default `requested`); ignores the time limits
- `POST climate/products/{product}/change_price`: `prices`, in minor units per metric ton by
  currency and without fees; `metric_tons_available`, zero to sell the product out
- `POST climate/products`: `name`, `prices`, `suppliers` (ids) and `metric_tons_available`, all
  required, and `delivery_year`

They answer with the order or the product as the API shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from attrs import frozen

from pinstripe.sandbox._climate import orders, stock
from pinstripe.sandbox._climate.catalogue import SUPPLIER, Offer
from pinstripe.sandbox._climate.endpoints import order
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import control_route
from pinstripe.sandbox._params.errors import invalid, shortened
from pinstripe.sandbox._params.forms import Tree
from pinstripe.sandbox._params.numbers import decimals
from pinstripe.sandbox._params.schema import (
    STRING,
    Array,
    Integer,
    Object,
    PositiveDecimal,
    String,
    Word,
)
from pinstripe.sandbox._state.table import Json

# Bounds of this sandbox: amounts in minor units stay below 2**63.
MAX_PRICE: Final = 10**9
MAX_TONS: Final = 10**9

_CURRENCY = re.compile(r"[a-z]{3}")
_ZERO = re.compile(r"0+(\.0+)?")


@frozen
class Prices:
    """A parameter: minor units per metric ton by currency, without fees."""

    def read(self, raw: Tree, path: str) -> dict[str, int]:
        """Return the prices."""
        if not raw or not isinstance(raw, Mapping) or not all(map(_CURRENCY.fullmatch, raw)):
            raise invalid(f"{shortened(path)} must be an object of prices by currency.", path)
        spec = Integer(1, MAX_PRICE)
        return {name: spec.read(price, f"{path}[{name}]") for name, price in raw.items()}


@frozen
class Tons:
    """A parameter: metric tons from zero, with at most three decimals; read as kilograms."""

    def read(self, raw: Tree, path: str) -> int:
        """Return the kilograms."""
        # Zero is the one number that `PositiveDecimal` refuses and this parameter takes.
        zero = isinstance(raw, str) and _ZERO.fullmatch(raw)
        value = Decimal(0) if zero else PositiveDecimal().read(raw, path)
        if decimals(value) > 3 or value > MAX_TONS:
            text = f"{shortened(path)} must have at most three decimals and be at most {MAX_TONS}."
            raise invalid(text, path)
        return int(value * stock.TON)


_YEAR: Final = Integer(2000, 9999)
_DELAY: Final = Object({"expected_delivery_year": _YEAR})
_SUBSTITUTE: Final = Object({"product": STRING}, required=("product",))
_CANCEL: Final = Object({"reason": Word(tuple(sorted(orders.CANCEL_STEPS)))})
_CHANGE: Final = Object({"prices": Prices(), "metric_tons_available": Tons()})
_ADD: Final = Object(
    {
        "name": String(max_length=100),
        "prices": Prices(),
        "suppliers": Array(STRING),
        "metric_tons_available": Tons(),
        "delivery_year": _YEAR,
    },
    required=("name", "prices", "suppliers", "metric_tons_available"),
)


def _confirm(call: Call) -> Json:
    """Let the payment of an order succeed."""
    return call.show(orders.confirm(call.account, order(call)))


def _deliver(call: Call) -> Json:
    """Deliver an order."""
    return call.show(orders.deliver(call.account, order(call)))


def _delay(call: Call) -> Json:
    """Postpone the delivery of an order."""
    year = call.params.get("expected_delivery_year")
    return call.show(orders.delay(call.account, order(call), year))


def _substitute(call: Call) -> Json:
    """Replace the product of an order."""
    value = order(call)
    product = stock.product(call.account, call.params["product"], status=400)
    return call.show(orders.substitute(call.account, value, product))


def _cancel(call: Call) -> Json:
    """Cancel an order, whatever the time limits say."""
    reason = call.params.get("reason", "requested")
    return call.show(orders.cancel(call.account, order(call), reason))


def _change_price(call: Call) -> Json:
    """Change the prices of a product, or what is left of it."""
    product = stock.product(call.account, call.ids[0])
    prices, kilograms = call.params.get("prices"), call.params.get("metric_tons_available")
    return call.show(stock.change(call.account, product, prices, kilograms))


def _add_product(call: Call) -> Json:
    """Add a product."""
    account, params = call.account, call.params
    stock.fill(account)
    suppliers = [account.get(SUPPLIER, id, "suppliers", 400) for id in params["suppliers"]]
    if not suppliers:
        raise invalid("A product needs at least one supplier.", "suppliers")
    offer = Offer(
        stock.slug(params["name"]),
        params["name"],
        account.timestamp(),
        params.get("delivery_year"),
        stock.tons(params["metric_tons_available"]),
        tuple(suppliers),
        params["prices"],
    )
    return call.show(stock.add(account, offer))


ROUTES: Final = (
    control_route("POST", "climate/orders/{order}/confirm", _confirm),
    control_route("POST", "climate/orders/{order}/deliver", _deliver),
    control_route("POST", "climate/orders/{order}/delay", _delay, _DELAY),
    control_route("POST", "climate/orders/{order}/substitute", _substitute, _SUBSTITUTE),
    control_route("POST", "climate/orders/{order}/cancel", _cancel, _CANCEL),
    control_route("POST", "climate/products/{product}/change_price", _change_price, _CHANGE),
    control_route("POST", "climate/products", _add_product, _ADD),
)
