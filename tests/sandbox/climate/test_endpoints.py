"""Climate over HTTP: prices, stock, orders and their cancellation, drivers and events."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.sandbox import ManualClock, Refusal, Server, Settings
from pinstripe.sandbox._climate.catalogue import (
    AIR_CAPTURE,
    BIOCHAR,
    MARINE,
    OFFERS,
    PORTFOLIO,
    WEATHERING,
)
from pinstripe.sandbox._climate.stock import affordable, cost, tons, weight
from pinstripe.sandbox._state.clock import LATEST
from tests.sandbox.conftest import NOW
from tests.support.sandbox_api import Api, refusal_of

pytestmark = pytest.mark.anyio

ORDERS = "/v1/climate/orders"
PRODUCTS = "/v1/climate/products"
SUPPLIERS = "/v1/climate/suppliers"
EVENTS = "/v1/events?limit=100"
HOUR = 3600
DAY = 24 * HOUR

ORDER_FIELDS = {
    "id",
    "object",
    "amount_fees",
    "amount_subtotal",
    "amount_total",
    "beneficiary",
    "canceled_at",
    "cancellation_reason",
    "certificate",
    "confirmed_at",
    "created",
    "currency",
    "delayed_at",
    "delivered_at",
    "delivery_details",
    "expected_delivery_year",
    "livemode",
    "metadata",
    "metric_tons",
    "product",
    "product_substituted_at",
    "status",
}


async def order_of(api: Api, product: str = PORTFOLIO, **data: str) -> Any:
    if "amount" not in data:
        data.setdefault("metric_tons", "1")
    return await api.ok("POST", ORDERS, {"product": product, **data})


async def left_of(api: Api, product: str) -> Decimal:
    return Decimal((await api.ok("GET", f"{PRODUCTS}/{product}"))["metric_tons_available"])


async def told(api: Api, type: str = "climate.*") -> list[Any]:
    """Return the events of a type, oldest first."""
    return (await api.ok("GET", f"{EVENTS}&type={type}"))["data"][::-1]


# What is offered


async def test_the_catalogue(api: Api) -> None:
    suppliers = (await api.ok("GET", SUPPLIERS))["data"]
    products = (await api.ok("GET", PRODUCTS))["data"]
    assert len({supplier["removal_pathway"] for supplier in suppliers}) == 4
    assert all("created" not in supplier for supplier in suppliers)
    assert [product["created"] for product in products] == sorted(
        (offer.created for offer in OFFERS), reverse=True
    )
    for product in products:
        assert all(supplier in suppliers for supplier in product["suppliers"])
        percent = 3 if len(product["suppliers"]) > 1 else 5
        for price in product["current_prices_per_metric_ton"].values():
            exact = Decimal(price["amount_subtotal"] * percent) / 100
            assert price["amount_fees"] == exact.quantize(Decimal(1), ROUND_HALF_UP)
            assert price["amount_total"] == price["amount_subtotal"] + price["amount_fees"]
        assert await api.ok("GET", f"{PRODUCTS}/{product['id']}") == product
    for supplier in suppliers:
        assert await api.ok("GET", f"{SUPPLIERS}/{supplier['id']}") == supplier


async def test_the_first_product_is_the_one_of_the_apis_own_example(api: Api) -> None:
    page = await api.ok("GET", f"{PRODUCTS}?limit=1")
    assert page["data"][0]["id"] == "climsku_frontier_offtake_portfolio_2027"
    # docs.stripe.com/api/climate/order/create, and the guide's order by amount
    order = await order_of(api, page["data"][0]["id"], metric_tons="0.01")
    amounts = [order[f"amount_{name}"] for name in ("subtotal", "fees", "total")]
    assert (amounts, order["expected_delivery_year"]) == ([550, 17, 567], 2027)
    data = {"product": order["product"], "amount": "10000", "currency": "usd"}
    bought = await api.ok("POST", ORDERS, data)
    assert (bought["metric_tons"], bought["amount_total"]) == ("0.176", 9970)


async def test_the_catalogue_is_nothing_new(api: Api) -> None:
    await api.ok("GET", PRODUCTS)
    assert await told(api) == []


async def test_accounts_have_stocks_of_their_own(api: Api) -> None:
    await order_of(api, WEATHERING, metric_tons="840.75")
    assert await left_of(api, WEATHERING) == 12000
    other = await api.ok("GET", f"{PRODUCTS}/{WEATHERING}", Stripe_Account="acct_2")
    assert other["metric_tons_available"] == "12840.75"


@pytest.mark.parametrize(
    ("path", "param"),
    [
        (ORDERS + "/climorder_none", "order"),
        (PRODUCTS + "/climsku_none", "product"),
        (SUPPLIERS + "/climsup_none", "supplier"),
    ],
)
async def test_what_is_not_there(api: Api, path: str, param: str) -> None:
    reply = await api("GET", path)
    assert (reply.status, reply.error["code"]) == (404, "resource_missing")
    assert reply.error["param"] == param


@pytest.mark.parametrize("path", [ORDERS, PRODUCTS, SUPPLIERS])
async def test_lists_page_and_have_no_created_filter(api: Api, path: str) -> None:
    for _ in range(5):
        await order_of(api)
    whole = await api.ok("GET", path)
    seen, cursor = [], ""
    while True:
        page = await api.ok("GET", f"{path}?limit=2{cursor}")
        seen += page["data"]
        if not page["has_more"]:
            break
        cursor = "&starting_after=" + page["data"][-1]["id"]
    assert seen == whole["data"]
    assert len(seen) >= 4
    assert whole["url"] == path
    reply = await api("GET", f"{path}?created[gte]=1")
    assert (reply.error["code"], reply.error["param"]) == ("parameter_unknown", "created")


# Orders


async def test_a_new_order(api: Api) -> None:
    order = await order_of(
        api,
        WEATHERING,
        metric_tons="1.500",
        currency="jpy",
        **{"beneficiary[public_name]": "Brindle Bakery", "metadata[desk]": "Q3"},
    )
    assert order.keys() == ORDER_FIELDS
    assert order["id"].startswith("climorder_")
    assert order["metric_tons"] == "1.5"
    assert order["amount_subtotal"] == 75675
    assert order["amount_fees"] == 3784
    assert order["amount_total"] == 79459
    assert order["beneficiary"] == {"public_name": "Brindle Bakery"}
    assert order["metadata"] == {"desk": "Q3"}
    assert order["created"] == order["confirmed_at"] == int(NOW)
    assert (order["status"], order["product"], order["currency"]) == (
        "confirmed",
        WEATHERING,
        "jpy",
    )
    assert order["expected_delivery_year"] == 2028
    assert order["delivery_details"] == []
    empty = ("canceled_at", "cancellation_reason", "certificate", "delayed_at", "delivered_at")
    assert [order[name] for name in empty] == [None] * 5
    assert await api.ok("GET", f"{ORDERS}/{order['id']}") == order
    assert await left_of(api, WEATHERING) == Decimal("12839.25")


async def test_the_year_of_a_product_without_one_comes_from_the_clock(
    api: Api, clock: ManualClock
) -> None:
    assert (await order_of(api))["expected_delivery_year"] == 2030
    clock.advance(366 * DAY)
    assert (await order_of(api))["expected_delivery_year"] == 2031
    assert (await order_of(api, BIOCHAR))["expected_delivery_year"] == 2024
    clock.move_to(LATEST)
    assert (await order_of(api))["expected_delivery_year"] == 9004


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.sampled_from([3, 5]))
def test_an_order_costs_what_its_tons_cost(kilograms: int, per_ton: int, percent: int) -> None:
    price = cost(kilograms, per_ton, percent)
    exact = Decimal(kilograms) * per_ton / 1000
    assert price["amount_subtotal"] == exact.quantize(Decimal(1), ROUND_HALF_UP)
    fees = Decimal(price["amount_subtotal"]) * percent / 100
    assert price["amount_fees"] == fees.quantize(Decimal(1), ROUND_HALF_UP)
    assert price["amount_total"] == price["amount_subtotal"] + price["amount_fees"]
    assert weight(tons(kilograms)) == kilograms


@given(st.integers(1, 10**12), st.integers(1, 10**9), st.sampled_from([3, 5]))
def test_an_amount_buys_all_it_can(amount: int, per_ton: int, percent: int) -> None:
    kilograms = affordable(amount, per_ton, percent)
    assert cost(kilograms, per_ton, percent)["amount_total"] <= amount
    assert cost(kilograms + 1, per_ton, percent)["amount_total"] > amount


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 600_000), st.sampled_from(["usd", "jpy", "eur"]))
async def test_an_amount_is_never_exceeded(api: Api, amount: int, currency: str) -> None:
    data = {"product": PORTFOLIO, "amount": str(amount), "currency": currency}
    reply = await api("POST", ORDERS, data)
    product = await api.ok("GET", f"{PRODUCTS}/{PORTFOLIO}")
    per_kilogram = product["current_prices_per_metric_ton"][currency]["amount_total"] / 1000
    if reply.status == 400:
        assert reply.error["code"] == "amount_too_small"
        assert amount <= per_kilogram + 1
    else:
        assert 0 <= amount - reply.body["amount_total"] <= per_kilogram + 1


@pytest.mark.parametrize(
    ("data", "param", "code"),
    [
        ({"metric_tons": "1"}, "product", "parameter_missing"),
        ({"product": "climsku_none", "metric_tons": "1"}, "product", "resource_missing"),
        ({"product": PORTFOLIO}, "metric_tons", "parameter_missing"),
        (
            {"product": PORTFOLIO, "amount": "1", "metric_tons": "1"},
            "metric_tons",
            "parameters_exclusive",
        ),
        ({"product": PORTFOLIO, "metric_tons": "ten"}, "metric_tons", None),
        ({"product": PORTFOLIO, "metric_tons": "-1"}, "metric_tons", None),
        ({"product": PORTFOLIO, "metric_tons": "0.0015"}, "metric_tons", None),
        ({"product": PORTFOLIO, "metric_tons": "1." + "0" * 27 + "1"}, "metric_tons", None),
        ({"product": PORTFOLIO, "amount": "1.5"}, "amount", "parameter_invalid_integer"),
        ({"product": PORTFOLIO, "amount": "0"}, "amount", "parameter_invalid_integer"),
        ({"product": PORTFOLIO, "amount": "1"}, "amount", "amount_too_small"),
        ({"product": WEATHERING, "metric_tons": "0.999"}, "metric_tons", "amount_too_small"),
        ({"product": WEATHERING, "amount": "35710"}, "amount", "amount_too_small"),
        ({"product": MARINE, "metric_tons": "0.751"}, "metric_tons", "out_of_inventory"),
        ({"product": MARINE, "amount": "100000"}, "amount", "out_of_inventory"),
        ({"product": MARINE, "metric_tons": "1", "currency": "jpy"}, "currency", None),
        ({"product": PORTFOLIO, "metric_tons": "1", "currency": "USD"}, "currency", None),
        (
            {"product": PORTFOLIO, "metric_tons": "1", "beneficiary": ""},
            "beneficiary",
            "parameter_invalid_empty",
        ),
        (
            {"product": PORTFOLIO, "metric_tons": "1", "beneficiary[public_name]": ""},
            "beneficiary[public_name]",
            "parameter_invalid_empty",
        ),
        (
            {"product": PORTFOLIO, "metric_tons": "1", "beneficiary[name]": "B"},
            "beneficiary[name]",
            "parameter_unknown",
        ),
    ],
)
async def test_orders_that_are_refused(api: Api, data: Any, param: str, code: str | None) -> None:
    reply = await api("POST", ORDERS, data)
    assert reply.status == 400
    assert (reply.error.get("param"), reply.error.get("code")) == (param, code)
    assert (await api.ok("GET", ORDERS))["data"] == []
    assert await told(api) == []


async def test_the_least_amount_of_a_single_supplier_is_the_price_of_a_ton(api: Api) -> None:
    order = await order_of(api, WEATHERING, amount="35711")
    assert (order["metric_tons"], order["amount_total"]) == ("1", 35711)


async def test_a_product_sells_out(api: Api, server: Server) -> None:
    order = await order_of(api, MARINE, metric_tons="0.75")
    assert (await api.ok("GET", f"{PRODUCTS}/{MARINE}"))["metric_tons_available"] == "0"
    reply = await api("POST", ORDERS, {"product": MARINE, "metric_tons": "0.001"})
    assert (reply.status, reply.error["code"]) == (400, "out_of_inventory")
    server.climate.cancel(order["id"])
    assert await left_of(api, MARINE) == Decimal("0.75")


async def test_the_product_is_expanded(api: Api) -> None:
    order = await order_of(api, WEATHERING, **{"expand[]": "product"})
    assert order["product"] == await api.ok("GET", f"{PRODUCTS}/{WEATHERING}")
    listed = await api.ok("GET", ORDERS + "?expand[]=data.product")
    assert listed["data"] == [order]
    refused = await api("GET", f"{ORDERS}?expand[]=product")
    assert refused.error["param"] == "expand"
    hint = "This property cannot be expanded (product). Expand data.product instead."
    assert refused.error["message"] == hint
    refused = await api("GET", f"{ORDERS}?expand[]=currency")
    assert refused.error["message"] == "This property cannot be expanded (currency)."


async def test_what_is_embedded_can_be_named_in_expand_without_effect(
    api: Api, server: Server
) -> None:
    order = server.climate.deliver((await order_of(api))["id"])
    assert len(order["delivery_details"]) == 4
    one = f"{ORDERS}/{order['id']}"
    assert await api.ok("GET", f"{one}?expand[]=delivery_details.supplier") == order
    expanded = await api.ok("GET", f"{one}?expand[]=product.suppliers")
    assert expanded["product"] == await api.ok("GET", f"{PRODUCTS}/{PORTFOLIO}")
    listed = await api.ok("GET", PRODUCTS)
    assert await api.ok("GET", f"{PRODUCTS}?expand[]=data.suppliers") == listed
    assert await api.ok("GET", f"{PRODUCTS}?expand[]=data") == listed
    for path in ("delivery_details", "delivery_details.location", "data"):
        reply = await api("GET", f"{one}?expand[]={path}")
        assert (reply.status, reply.error["param"]) == (400, "expand")


async def test_an_order_is_made_once_for_a_key(api: Api) -> None:
    data = {"product": PORTFOLIO, "metric_tons": "2"}
    made = [await api.ok("POST", ORDERS, data, Idempotency_Key="k") for _ in range(3)]
    assert made[0] == made[1] == made[2]
    assert await left_of(api, PORTFOLIO) == 17998


# Updates


async def test_who_it_is_for_is_changed_and_cleared(api: Api) -> None:
    order = await order_of(api, **{"metadata[a]": "1"})
    path = f"{ORDERS}/{order['id']}"
    assert order["beneficiary"] == {"public_name": "Pinstripe Sandbox"}
    connected = await api.ok(
        "POST", ORDERS, {"product": PORTFOLIO, "metric_tons": "1"}, Stripe_Account="acct_1"
    )
    assert connected["beneficiary"] == {"public_name": "acct_1"}
    for cleared in ({"beneficiary": ""}, {"beneficiary[public_name]": ""}):
        named = await api.ok("POST", path, {"beneficiary[public_name]": "Ada"})
        assert named["beneficiary"] == {"public_name": "Ada"}
        assert (await api.ok("POST", path, cleared))["beneficiary"] is None
    changed = await api.ok("POST", path, {"metadata[a]": "", "metadata[b]": "2"})
    assert changed == {**order, "beneficiary": None, "metadata": {"b": "2"}}
    assert (await api.ok("POST", path, {"metadata": ""}))["metadata"] == {}
    reply = await api("POST", path, {"metric_tons": "2"})
    assert reply.error["code"] == "parameter_unknown"


@pytest.mark.parametrize("end", ["deliver", "cancel"])
async def test_at_the_end_only_metadata_changes(api: Api, server: Server, end: str) -> None:
    order = await order_of(api)
    getattr(server.climate, end)(order["id"])
    path = f"{ORDERS}/{order['id']}"
    reply = await api("POST", path, {"beneficiary[public_name]": "Ada"})
    assert (reply.status, reply.error["code"]) == (400, "status_transition_invalid")
    assert (await api.ok("POST", path, {"metadata[a]": "1"}))["metadata"] == {"a": "1"}


# Cancellation


async def test_an_order_is_canceled_within_a_day(api: Api, clock: ManualClock) -> None:
    order, late = await order_of(api), await order_of(api)
    clock.advance(DAY - 1)
    canceled = await api.ok("POST", f"{ORDERS}/{order['id']}/cancel")
    assert canceled == {
        **order,
        "status": "canceled",
        "cancellation_reason": "requested",
        "canceled_at": int(NOW) + DAY - 1,
    }
    assert await left_of(api, PORTFOLIO) == 17999
    reply = await api("POST", f"{ORDERS}/{order['id']}/cancel")
    assert (reply.status, reply.error["code"]) == (400, "status_transition_invalid")
    clock.advance(1)
    reply = await api("POST", f"{ORDERS}/{late['id']}/cancel")
    assert (reply.status, reply.error["code"]) == (400, "status_transition_invalid")
    assert (await api.ok("GET", f"{ORDERS}/{late['id']}")) == late


@pytest.mark.parametrize("change", ["delay", "substitute"])
async def test_a_change_opens_a_window_of_thirty_days(
    api: Api, server: Server, clock: ManualClock, change: str
) -> None:
    first, second = await order_of(api), await order_of(api)
    clock.advance(40 * DAY)
    for order in (first, second):
        assert (await api("POST", f"{ORDERS}/{order['id']}/cancel")).status == 400
        if change == "delay":
            server.climate.delay(order["id"])
        else:
            server.climate.substitute(order["id"], WEATHERING)
    clock.advance(30 * DAY - 1)
    assert (await api("POST", f"{ORDERS}/{first['id']}/cancel")).status == 200
    clock.advance(1)
    assert (await api("POST", f"{ORDERS}/{second['id']}/cancel")).status == 400


async def test_a_delivered_order_is_not_canceled(api: Api, server: Server) -> None:
    order = server.climate.deliver((await order_of(api))["id"])
    reply = await api("POST", f"{ORDERS}/{order['id']}/cancel")
    assert (reply.status, reply.error["code"]) == (400, "status_transition_invalid")


# Orders that are not paid yet


@pytest.mark.parametrize("status", ["open", "awaiting_funds"])
async def test_an_order_waits_for_its_payment(api: Api, server: Server, status: str) -> None:
    order = await order_of(api, **{"metadata[sandbox_status]": status})
    assert (order["status"], order["confirmed_at"]) == (status, None)
    with pytest.raises(Refusal):
        server.climate.deliver(order["id"])
    confirmed = server.climate.confirm(order["id"])
    assert confirmed == {**order, "status": "confirmed", "confirmed_at": int(NOW)}
    with pytest.raises(Refusal):
        server.climate.confirm(order["id"])


@pytest.mark.parametrize("status", ["open", "awaiting_funds"])
async def test_an_order_that_is_not_paid_expires(
    api: Api, server: Server, clock: ManualClock, status: str
) -> None:
    data = {"metadata[sandbox_status]": status}
    unpaid, paid, given_up = [await order_of(api, **data) for _ in range(3)]
    server.climate.confirm(paid["id"])
    clock.advance(7 * DAY - 1)
    assert (await api.ok("GET", f"{ORDERS}/{unpaid['id']}"))["status"] == status
    assert (await api.ok("POST", f"{ORDERS}/{given_up['id']}/cancel"))["status"] == "canceled"
    clock.advance(1)
    expired = await api.ok("GET", f"{ORDERS}/{unpaid['id']}")
    assert (expired["status"], expired["cancellation_reason"]) == ("canceled", "expired")
    assert expired["canceled_at"] == int(NOW) + 7 * DAY
    assert (await api.ok("GET", f"{ORDERS}/{paid['id']}"))["status"] == "confirmed"
    reasons = [e["data"]["object"]["id"] for e in await told(api, "climate.order.canceled")]
    assert reasons == [given_up["id"], unpaid["id"]]
    assert await left_of(api, PORTFOLIO) == 17999


# Drivers


async def test_a_portfolio_is_delivered_by_all_its_suppliers(api: Api, server: Server) -> None:
    order = server.climate.deliver((await order_of(api, metric_tons="0.01"))["id"])
    details = order["delivery_details"]
    assert order["status"] == "delivered"
    assert order["delivered_at"] == int(NOW)
    assert order["certificate"].startswith("https://")
    assert [detail["metric_tons"] for detail in details] == ["0.003", "0.003", "0.002", "0.002"]
    product = await api.ok("GET", f"{PRODUCTS}/{PORTFOLIO}")
    assert [detail["supplier"] for detail in details] == product["suppliers"]
    assert [detail["location"] is None for detail in details] == [False, False, False, True]
    assert [detail["registry_url"] is None for detail in details] == [False, False, False, True]
    small = server.climate.deliver((await order_of(api, metric_tons="0.001"))["id"])
    assert [detail["metric_tons"] for detail in small["delivery_details"]] == ["0.001"]


async def test_an_order_is_delayed(api: Api, server: Server, clock: ManualClock) -> None:
    id = (await order_of(api, WEATHERING))["id"]
    clock.advance(HOUR)
    delayed = server.climate.delay(id)
    assert (delayed["status"], delayed["expected_delivery_year"]) == ("confirmed", 2029)
    assert delayed["delayed_at"] == int(NOW) + HOUR
    assert server.climate.delay(id, expected_delivery_year=2033)["expected_delivery_year"] == 2033
    with pytest.raises(Refusal) as caught:
        server.climate.delay(id, expected_delivery_year=2033)
    assert caught.value.param == "expected_delivery_year"


async def test_another_product_takes_the_place(api: Api, server: Server) -> None:
    order = await order_of(api, WEATHERING, metric_tons="2")
    new = server.climate.substitute(order["id"], AIR_CAPTURE)
    assert new == {
        **order,
        "product": AIR_CAPTURE,
        "expected_delivery_year": 2031,
        "product_substituted_at": int(NOW),
    }
    assert await left_of(api, AIR_CAPTURE) == 2598
    assert await left_of(api, WEATHERING) == Decimal("12838.75")
    details = server.climate.deliver(order["id"])["delivery_details"]
    assert [detail["supplier"]["id"] for detail in details] == ["climsup_highvane"]


@pytest.mark.parametrize(
    ("product", "code"),
    [
        (PORTFOLIO, None),
        (MARINE, "out_of_inventory"),
        ("climsku_none", "resource_missing"),
    ],
)
async def test_substitutes_that_are_refused(
    api: Api, server: Server, product: str, code: str | None
) -> None:
    order = await order_of(api)
    with pytest.raises(Refusal) as caught:
        server.climate.substitute(order["id"], product)
    assert (caught.value.param, caught.value.code) == ("product", code)
    assert await api.ok("GET", f"{ORDERS}/{order['id']}") == order


async def test_what_cannot_be_delivered_is_not_for_sale_again(api: Api, server: Server) -> None:
    order = await order_of(api, WEATHERING, metric_tons="10.75")
    gone = server.climate.cancel(order["id"], "product_unavailable")
    assert gone["cancellation_reason"] == "product_unavailable"
    assert await left_of(api, WEATHERING) == 12830
    with pytest.raises(Refusal):
        server.climate.cancel((await order_of(api))["id"], "expired")
    with pytest.raises(Refusal):
        server.climate.cancel((await order_of(api))["id"], "boredom")


async def test_prices_change_and_orders_keep_theirs(api: Api, server: Server) -> None:
    order = await order_of(api, WEATHERING)
    changed = server.climate.change_price(
        WEATHERING, {"usd": 40000, "nok": 410010}, metric_tons_available=Decimal("1E+1")
    )
    prices = changed["current_prices_per_metric_ton"]
    assert prices["usd"] == {
        "amount_fees": 2000,
        "amount_subtotal": 40000,
        "amount_total": 42000,
    }
    assert prices["nok"]["amount_fees"] == 20501
    assert list(prices) == sorted(prices)
    assert changed["metric_tons_available"] == "10"
    assert (await api.ok("GET", f"{ORDERS}/{order['id']}"))["amount_total"] == 35711
    assert (await order_of(api, WEATHERING))["amount_total"] == 42000
    event = (await told(api, "climate.product.pricing_updated"))[1]
    assert event["data"]["object"] == changed
    assert event["data"]["previous_attributes"] == {
        "current_prices_per_metric_ton": {
            "nok": None,
            "usd": {"amount_fees": 1701, "amount_subtotal": 34010, "amount_total": 35711},
        },
        "metric_tons_available": "12839.75",
    }


async def test_a_change_that_changes_nothing_sends_no_event(api: Api, server: Server) -> None:
    before = await api.ok("GET", f"{PRODUCTS}/{WEATHERING}")
    assert server.climate.change_price(WEATHERING) == before
    same = server.climate.change_price(
        WEATHERING, {"usd": 34010}, metric_tons_available="12840.750"
    )
    assert same == before
    assert await told(api) == []
    sold_out = server.climate.change_price(WEATHERING, metric_tons_available=0)
    assert sold_out == {**before, "metric_tons_available": "0"}
    (event,) = await told(api)
    assert event["data"]["previous_attributes"] == {"metric_tons_available": "12840.75"}


async def test_a_product_is_added(api: Api, server: Server) -> None:
    made = server.climate.add_product(
        "Peat & Moss, 2033",
        {"usd": 1000},
        suppliers=["climsup_emberloam", "climsup_highvane"],
        metric_tons_available="7.5",
    )
    assert made["id"] == "climsku_peat_moss_2033"
    assert made["created"] == int(NOW)
    assert made["delivery_year"] is None
    assert made["current_prices_per_metric_ton"]["usd"]["amount_fees"] == 30
    assert (await api.ok("GET", PRODUCTS))["data"][0] == made
    (event,) = await told(api)
    assert (event["type"], event["data"]["object"]) == ("climate.product.created", made)
    assert (await order_of(api, made["id"], metric_tons="0.001"))["amount_total"] == 1


def added(**changes: Any) -> dict[str, Any]:
    usual = {
        "name": "Moss",
        "prices": {"usd": 1},
        "suppliers": ["climsup_highvane"],
        "metric_tons_available": "1",
        "delivery_year": "2030",
    }
    return {**usual, **changes}


@pytest.mark.parametrize(
    ("path", "data", "param"),
    [
        ("products", added(name="Mixed portfolio"), "name"),
        ("products", added(suppliers=[]), "suppliers"),
        ("products", added(suppliers=["climsup_none"]), "suppliers"),
        ("products", added(prices={}), "prices"),
        ("products", added(prices="1"), "prices"),
        ("products", added(prices={"dollars": 1}), "prices"),
        ("products", added(prices={"usd": 0}), "prices[usd]"),
        ("products", added(metric_tons_available="-1"), "metric_tons_available"),
        ("products", added(metric_tons_available="0.0001"), "metric_tons_available"),
        ("products", added(metric_tons_available="1000000001"), "metric_tons_available"),
        ("products", added(metric_tons_available={"a": "1"}), "metric_tons_available"),
        ("products", added(delivery_year="99"), "delivery_year"),
        ("products/climsku_none/change_price", {}, "product"),
        ("orders/climorder_none/confirm", {}, "order"),
        ("orders/climorder_none/cancel", {"reason": "nope"}, "reason"),
        ("orders/climorder_none/substitute", {}, "product"),
    ],
)
async def test_steps_that_are_refused(api: Api, path: str, data: Any, param: str) -> None:
    reply = await api("POST", f"/_sandbox/climate/{path}", json=data)
    assert reply.status in (400, 404)
    assert reply.error["param"] == param
    assert await told(api) == []


async def test_the_steps_are_there_over_http(api: Api) -> None:
    root = "/_sandbox/climate"
    order = await order_of(api, **{"metadata[sandbox_status]": "open"})
    steps = f"{root}/orders/{order['id']}"
    assert (await api.ok("POST", steps + "/confirm"))["status"] == "confirmed"
    delayed = await api.ok("POST", steps + "/delay", {"expected_delivery_year": "2040"})
    assert delayed["expected_delivery_year"] == 2040
    other = await api.ok("POST", steps + "/substitute", {"product": WEATHERING})
    assert other["product"] == WEATHERING
    assert (await api.ok("POST", steps + "/deliver"))["status"] == "delivered"
    second = f"{root}/orders/{(await order_of(api))['id']}"
    assert (await api.ok("POST", second + "/cancel"))["cancellation_reason"] == "requested"
    product = f"{root}/products/{MARINE}/change_price"
    changed = await api.ok("POST", product, {"prices[usd]": "7", "metric_tons_available": "0"})
    assert changed["current_prices_per_metric_ton"]["usd"]["amount_subtotal"] == 7
    assert changed["metric_tons_available"] == "0"


# Events


async def test_events_tell_the_life_of_an_order(api: Api, server: Server) -> None:
    order = await order_of(api, WEATHERING)
    server.climate.delay(order["id"])
    server.climate.substitute(order["id"], AIR_CAPTURE)
    server.climate.deliver(order["id"])
    second = await order_of(api, WEATHERING)
    await api.ok("POST", f"{ORDERS}/{second['id']}/cancel", Idempotency_Key="c")
    assert [event["type"].removeprefix("climate.") for event in await told(api)] == [
        "order.created",
        "product.pricing_updated",
        "order.delayed",
        "order.product_substituted",
        "product.pricing_updated",
        "order.delivered",
        "order.created",
        "product.pricing_updated",
        "order.canceled",
        "product.pricing_updated",
    ]
    created, canceled = (await told(api, "climate.order.c*"))[::2]
    assert created["data"] == {"object": order}
    assert created["request"]["id"].startswith("req_")
    assert canceled["request"]["idempotency_key"] == "c"
    assert "previous_attributes" not in canceled["data"]
    (delivered,) = await told(api, "climate.order.delivered")
    assert delivered["data"]["object"]["product"] == AIR_CAPTURE
    assert delivered["request"]["id"] is None


# Any sequence of steps agrees with what is published


STEPS = ("confirm", "delay", "substitute", "deliver", "withdraw", "expire", "cancel", "wait")
PUBLISHED = {
    "open": {"confirm": "confirmed", "cancel": "canceled", "expire": "canceled"},
    "awaiting_funds": {"confirm": "confirmed", "cancel": "canceled", "expire": "canceled"},
    "confirmed": {
        "delay": "confirmed",
        "substitute": "confirmed",
        "deliver": "delivered",
        "withdraw": "canceled",
        "cancel": "canceled",
    },
}


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["open", "awaiting_funds", "confirmed"]),
    st.lists(st.sampled_from(STEPS), max_size=8),
)
async def test_an_order_walks_as_published(status: str, steps: list[str]) -> None:
    clock = ManualClock(NOW)
    server = Server(Settings(seed=1, clock=clock))
    await server.start()
    async with aiohttp.ClientSession(server.url) as http:
        api = Api(http)
        order = await order_of(api, **{"metadata[sandbox_status]": status})
        opened, gone = [(int(clock()), DAY)], 1
        for step in steps:
            if step == "wait":
                clock.advance(20 * HOUR)
                continue
            allowed = step in PUBLISHED.get(status, {})
            if step == "cancel" and status == "confirmed":
                allowed = any(int(clock()) - at < seconds for at, seconds in opened)
            assert await taken(api, server, step, order["id"]) == allowed, (status, step)
            if allowed:
                status = PUBLISHED[status][step]
                gone += {"substitute": 1, "cancel": -1, "expire": -1}.get(step, 0)
            if allowed and step in ("delay", "substitute"):
                opened.append((int(clock()), 30 * DAY))
        shown = await api.ok("GET", f"{ORDERS}/{order['id']}")
        assert shown["status"] == status
        assert (shown["canceled_at"] is None) == (status != "canceled")
        assert (shown["certificate"] is None) == (status != "delivered")
        assert bool(shown["delivery_details"]) == (status == "delivered")
        stock = [await left_of(api, name) for name in (PORTFOLIO, WEATHERING, AIR_CAPTURE)]
        assert sum(stock) == Decimal("33440.75") - gone
    await server.stop()


async def taken(api: Api, server: Server, step: str, id: str) -> bool:
    """Take a step, and report whether it was accepted."""
    path = f"{ORDERS}/{id}"
    if step == "cancel":
        return (await api("POST", path + "/cancel")).status == 200
    product = (await api.ok("GET", path))["product"]
    other = AIR_CAPTURE if product == WEATHERING else WEATHERING
    steps = {
        "confirm": lambda: server.climate.confirm(id),
        "delay": lambda: server.climate.delay(id),
        "substitute": lambda: server.climate.substitute(id, other),
        "deliver": lambda: server.climate.deliver(id),
        "withdraw": lambda: server.climate.cancel(id, "product_unavailable"),
        "expire": lambda: server.climate.cancel(id, "expired"),
    }
    refusal = refusal_of(steps[step])
    assert refusal is None or refusal.code == "status_transition_invalid"
    return refusal is None
