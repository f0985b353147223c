"""Climate as the API offers it: the kinds and endpoints of orders, products and suppliers.

Choices where the published facts are silent:

- without `metric_tons` and `amount` an order is a 400 `parameter_missing` for `metric_tons`, with
  both it is a 400 `parameters_exclusive`; a quantity below the minimum is a 400
  `amount_too_small`, one above what is left a 400 `out_of_inventory`;
- the account can pay in every currency in which a product has a price; the default is usd;
- the beneficiary can be changed until the order is delivered or canceled, metadata always; an
  empty name clears the beneficiary, as an empty beneficiary does.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._climate import orders, stock
from pinstripe.sandbox._climate.catalogue import PRODUCT, SUPPLIER
from pinstripe.sandbox._climate.orders import ORDER
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import exclusive, list_objects
from pinstripe.sandbox._http.routes import LIST_PARAMS, Route
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.schema import (
    METADATA,
    STRING,
    Integer,
    Object,
    PositiveDecimal,
    String,
)
from pinstripe.sandbox._state.kinds import Field, Kind
from pinstripe.sandbox._state.table import Json

DEFAULT_CURRENCY: Final = "usd"
MAX_AMOUNT: Final = 10**12

KINDS: Final = (
    Kind(
        ORDER,
        "climorder_",
        {
            "delivery_details": Field(inner={"supplier": Field(embedded=True)}),
            "product": Field(link=PRODUCT),
        },
    ),
    Kind(PRODUCT, "climsku_", {"suppliers": Field(embedded=True)}),
    Kind(SUPPLIER, "climsup_"),
)

_CREATE: Final = Object(
    {
        "product": STRING,
        "amount": Integer(1, MAX_AMOUNT),
        "metric_tons": PositiveDecimal(),
        "beneficiary": Object({"public_name": STRING}, required=("public_name",)),
        "currency": STRING,
        "metadata": METADATA,
    },
    required=("product",),
)
_UPDATE: Final = Object(
    {
        "beneficiary": Object(
            {"public_name": String(clearable=True)}, required=("public_name",), clearable=True
        ),
        "metadata": METADATA,
    }
)
_LIST: Final = Object({name: spec for name, spec in LIST_PARAMS.items() if name != "created"})


def create_order(call: Call) -> Json:
    """Order carbon removal."""
    account, params = call.account, call.params
    exclusive(call, "metric_tons", "amount")
    if "metric_tons" not in params and "amount" not in params:
        text = "Missing required param: metric_tons (or amount instead of it)."
        raise invalid(text, "metric_tons", "parameter_missing")
    product = stock.product(account, params["product"], status=400)
    currency = params.get("currency", DEFAULT_CURRENCY)
    kilograms = stock.wanted(product, currency, params.get("metric_tons"), params.get("amount"))
    given = {**params, "currency": currency}
    return call.show(orders.place(account, product, kilograms, given, call.origin))


def update_order(call: Call) -> Json:
    """Change the beneficiary of an order, or its metadata."""
    value, params = order(call), call.params
    if "beneficiary" in params and value["status"] in ("canceled", "delivered"):
        text = f"The beneficiary of an order cannot be changed when it is {value['status']}."
        raise invalid(text, "beneficiary", "status_transition_invalid")
    changes: Json = {}
    if "metadata" in params:
        changes["metadata"] = METADATA.merge(value["metadata"], params["metadata"])
    if "beneficiary" in params:
        given = params["beneficiary"]
        changes["beneficiary"] = given if given and given["public_name"] else None
    return call.show(call.account.put({**value, **changes}))


def cancel_order(call: Call) -> Json:
    """Cancel an order for its owner, within the time limits of the API."""
    value = order(call)
    orders.check_cancelable(call.account, value)
    return call.show(orders.cancel(call.account, value, "requested", call.origin))


def order(call: Call) -> Json:
    """Return the order that a path names.

    Raises:
        Refusal: 404 if there is none.
    """
    return call.account.get(ORDER, call.ids[0], "order")


def _retrieve_order(call: Call) -> Json:
    return call.show(order(call))


def _list_orders(call: Call) -> Json:
    return list_objects(call, ORDER)


def _retrieve_product(call: Call) -> Json:
    return call.show(stock.product(call.account, call.ids[0]))


def _list_products(call: Call) -> Json:
    stock.fill(call.account)
    return list_objects(call, PRODUCT)


def _retrieve_supplier(call: Call) -> Json:
    stock.fill(call.account)
    return call.show(call.account.get(SUPPLIER, call.ids[0], "supplier"))


def _list_suppliers(call: Call) -> Json:
    stock.fill(call.account)
    return list_objects(call, SUPPLIER)


_ORDERS = "/v1/climate/orders"
_PRODUCTS = "/v1/climate/products"
_SUPPLIERS = "/v1/climate/suppliers"

ROUTES: Final = (
    Route("POST", _ORDERS, create_order, _CREATE, ORDER),
    Route("GET", _ORDERS, _list_orders, _LIST, ORDER, listed=True),
    Route("GET", _ORDERS + "/{order}", _retrieve_order, kind=ORDER),
    Route("POST", _ORDERS + "/{order}", update_order, _UPDATE, ORDER),
    Route("POST", _ORDERS + "/{order}/cancel", cancel_order, kind=ORDER),
    Route("GET", _PRODUCTS, _list_products, _LIST, PRODUCT, listed=True),
    Route("GET", _PRODUCTS + "/{product}", _retrieve_product, kind=PRODUCT),
    Route("GET", _SUPPLIERS, _list_suppliers, _LIST, SUPPLIER, listed=True),
    Route("GET", _SUPPLIERS + "/{supplier}", _retrieve_supplier, kind=SUPPLIER),
)
