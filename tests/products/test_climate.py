"""Climate: orders, products and suppliers are read exactly; arguments are refused or sent."""

from __future__ import annotations

import json
import pickle
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import (
    ConfigurationError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
)
from pinstripe._http.messages import Request, Response
from pinstripe._models.convert import to_dict
from pinstripe._models.native import is_native
from pinstripe._models.page import Page
from pinstripe._resources.endpoint import response_of
from pinstripe.climate import (
    Climate,
    Location,
    Order,
    OrderBeneficiary,
    Product,
    ProductPrice,
    Supplier,
)
from pinstripe.sandbox import ManualClock, Sandbox
from tests.support.decoding import read

pytestmark = pytest.mark.anyio

ID = "climorder_Wq81"
SKU = "climsku_moss_2031"
BAKERY = "Brindle Bakery"
CERTIFICATE = "https://certificates.example/wHoLeAf"

SUPPLIER: dict[str, Any] = {
    "id": "climsup_moss",
    "object": "climate.supplier",
    "info_url": "https://moss.example/how",
    "livemode": False,
    "locations": [
        {"city": None, "country": "NZ", "latitude": None, "longitude": None, "region": None},
        {
            "city": "Oban",
            "country": "GB",
            "latitude": 56.4152,
            "longitude": -5.471,
            "region": "Argyll",
        },
    ],
    "name": "Moss & Tide",
    "removal_pathway": "marine_carbon_removal",
}
PRODUCT: dict[str, Any] = {
    "id": SKU,
    "object": "climate.product",
    "created": 1782510400,
    "current_prices_per_metric_ton": {
        "jpy": {"amount_fees": 2705, "amount_subtotal": 54100, "amount_total": 56805},
        "usd": {"amount_fees": 1800, "amount_subtotal": 36000, "amount_total": 37800},
    },
    "delivery_year": None,
    "livemode": False,
    "metric_tons_available": "12840.75",
    "name": "Moss, 2031",
    "suppliers": [SUPPLIER],
}
NEW_ORDER: dict[str, Any] = {
    "id": ID,
    "object": "climate.order",
    "amount_fees": 2700,
    "amount_subtotal": 54000,
    "amount_total": 56700,
    "beneficiary": None,
    "canceled_at": None,
    "cancellation_reason": None,
    "certificate": None,
    "confirmed_at": 1790510402,
    "created": 1790510400,
    "currency": "usd",
    "delayed_at": None,
    "delivered_at": None,
    "delivery_details": [],
    "expected_delivery_year": 2031,
    "livemode": False,
    "metadata": {"desk": "Q3-private"},
    "metric_tons": "1.50",
    "product": SKU,
    "product_substituted_at": None,
    "status": "confirmed",
}
DELIVERED_ORDER: dict[str, Any] = {
    **NEW_ORDER,
    "beneficiary": {"public_name": BAKERY},
    "certificate": CERTIFICATE,
    "delayed_at": 1790520400,
    "delivered_at": 1790610400,
    "delivery_details": [
        {
            "delivered_at": 1790610400,
            "location": SUPPLIER["locations"][1],
            "metric_tons": "0.5",
            "registry_url": "https://registry.example/5",
            "supplier": SUPPLIER,
        },
        {
            "delivered_at": 1790610400,
            "location": None,
            "metric_tons": "1",
            "registry_url": None,
            "supplier": SUPPLIER,
        },
    ],
    "product": PRODUCT,
    "product_substituted_at": 1790530400,
    "status": "delivered",
}
CANCELED_ORDER: dict[str, Any] = {
    **{name: value for name, value in NEW_ORDER.items() if name != "beneficiary"},
    "canceled_at": 1790514000,
    "cancellation_reason": "requested",
    "status": "canceled",
}


def climate_answering(data: Any) -> tuple[Climate, list[Request]]:
    """Return the resources over a sender that records requests and always answers `data`."""
    requests: list[Request] = []

    async def send(request: Request) -> Response:
        requests.append(request)
        return Response(status=200, headers={}, body=json.dumps(data).encode())

    return Climate(send), requests


def sent(request: Request) -> dict[str, str]:
    form = request.body.decode() if request.body is not None else request.query
    return dict(parse_qsl(form, keep_blank_values=True))


# The models


@pytest.mark.parametrize("model", [Order, Product, Supplier, Page[Order], Page[Product]])
def test_models_are_built_natively(model: Any) -> None:
    assert is_native(model)


@pytest.mark.parametrize(
    ("data", "model"),
    [
        (NEW_ORDER, Order),
        (DELIVERED_ORDER, Order),
        (CANCELED_ORDER, Order),
        (PRODUCT, Product),
        (SUPPLIER, Supplier),
    ],
)
def test_what_the_api_answers_is_read_whole(data: Any, model: Any) -> None:
    value = read(data, model)
    plain = to_dict(value)
    if model is Order:
        assert plain.pop("beneficiary") == data.get("beneficiary")
        data = {name: item for name, item in data.items() if name != "beneficiary"}
    assert json.loads(json.dumps(plain)) == data
    assert read(to_dict(value), model) == value
    assert pickle.loads(pickle.dumps(value)) == value


def test_an_order_is_read_exactly() -> None:
    order = read(DELIVERED_ORDER, Order)
    assert str(order.metric_tons) == "1.50"
    assert order.created == datetime(2026, 9, 27, 12, 0, tzinfo=timezone.utc)
    assert order.delayed_at - order.created == timedelta(seconds=10_000)
    assert order.amount_total == order.amount_subtotal + order.amount_fees == 56700
    first, second = order.delivery_details
    assert first.metric_tons + second.metric_tons == Decimal("1.5")
    assert first.location == Location(
        city="Oban", country="GB", latitude=56.4152, longitude=-5.471, region="Argyll"
    )
    assert second.location is second.registry_url is None
    assert second.supplier.removal_pathway == "marine_carbon_removal"


def test_a_product_is_an_id_or_the_product() -> None:
    assert read(NEW_ORDER, Order).product == SKU
    product = read(DELIVERED_ORDER, Order).product
    assert product == read(PRODUCT, Product)
    yen = product.current_prices_per_metric_ton["jpy"]
    assert yen == ProductPrice(amount_fees=2705, amount_subtotal=54100, amount_total=56805)
    assert product.metric_tons_available == Decimal("12840.75")
    assert product.delivery_year is None


def test_an_order_for_nobody_in_particular_has_no_beneficiary() -> None:
    assert read(NEW_ORDER, Order).beneficiary is None
    assert read(CANCELED_ORDER, Order).beneficiary is None
    assert read(DELIVERED_ORDER, Order).beneficiary == OrderBeneficiary(public_name=BAKERY)


def test_unknown_words_and_fields_are_no_fault() -> None:
    order = read({**NEW_ORDER, "status": "pondering", "brand_new": 1}, Order)
    assert order.status == "pondering"
    assert read({**SUPPLIER, "removal_pathway": "wishing"}, Supplier).removal_pathway == "wishing"


def test_repr_shows_nobody() -> None:
    page = read({"object": "list", "data": [DELIVERED_ORDER], "has_more": False}, Page[Order])
    order = page.data[0]
    shown = "".join(map(repr, (page, order, order.beneficiary)))
    for private in (BAKERY, CERTIFICATE, "Q3-private"):
        assert private not in shown
    assert ID in shown


@pytest.mark.parametrize("missing", ["id", "amount_total", "created", "metric_tons", "product"])
def test_an_order_without_what_it_must_have_is_refused(missing: str) -> None:
    data = {name: value for name, value in DELIVERED_ORDER.items() if name != missing}
    with pytest.raises(DecodeError) as caught:
        read(data, Order)
    assert BAKERY not in str(caught.value)


# The arguments


async def test_an_order_goes_over_the_wire_whole() -> None:
    climate, requests = climate_answering(NEW_ORDER)
    order = await climate.orders.create(
        product=SKU,
        metric_tons=Decimal("1.50"),
        beneficiary={"public_name": BAKERY},
        currency="usd",
        metadata={"desk": "Q3"},
        expand=["product"],
        request_options=RequestOptions(idempotency_key="once"),
    )
    (request,) = requests
    assert (request.method, request.path) == ("POST", "/v1/climate/orders")
    assert request.idempotency_key == "once"
    assert sent(request) == {
        "product": SKU,
        "metric_tons": "1.50",
        "beneficiary[public_name]": BAKERY,
        "currency": "usd",
        "metadata[desk]": "Q3",
        "expand[0]": "product",
    }
    assert response_of(order).status == 200


@given(st.decimals("0.001", "1000000", places=3))
async def test_tons_are_sent_as_they_are(tons: Decimal) -> None:
    climate, requests = climate_answering(NEW_ORDER)
    for value in (tons, f"{tons:f}"):
        await climate.orders.create(product=SKU, metric_tons=value)
    assert [sent(request)["metric_tons"] for request in requests] == [f"{tons:f}"] * 2


async def test_an_amount_is_sent_in_place_of_tons() -> None:
    climate, requests = climate_answering(NEW_ORDER)
    await climate.orders.create(product=SKU, amount=5000)
    assert sent(requests[0]) == {"product": SKU, "amount": "5000"}


Wrong = dict[str, Any]


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("metric_tons", {}),
        ("metric_tons", {"metric_tons": 1, "amount": 100}),
        ("metric_tons", {"metric_tons": 1.5}),
        ("metric_tons", {"metric_tons": True}),
        ("metric_tons", {"metric_tons": 0}),
        ("metric_tons", {"metric_tons": "-1"}),
        ("metric_tons", {"metric_tons": "1e3"}),
        ("metric_tons", {"metric_tons": Decimal("NaN")}),
        ("amount", {"amount": 10.0}),
        ("amount", {"amount": "10"}),
        ("amount", {"amount": True}),
        ("amount", {"amount": 0}),
        ("product", {"amount": 1, "product": ""}),
        ("product", {"amount": 1, "product": "climsku/../x"}),
        ("product", {"amount": 1, "product": read(PRODUCT, Product)}),
        ("beneficiary", {"amount": 1, "beneficiary": {}}),
        ("beneficiary", {"amount": 1, "beneficiary": ""}),
        ("beneficiary", {"amount": 1, "beneficiary": BAKERY}),
        ("beneficiary", {"amount": 1, "beneficiary": {"public_name": "B", "name": "C"}}),
        ("beneficiary[public_name]", {"amount": 1, "beneficiary": {"public_name": ""}}),
        ("beneficiary[public_name]", {"amount": 1, "beneficiary": {"public_name": 7}}),
        ("metadata[k]", {"amount": 1, "metadata": {"k": 1}}),
        ("expand", {"amount": 1, "expand": "product"}),
    ],
)
async def test_an_order_that_cannot_be_sent(argument: str, arguments: Wrong) -> None:
    climate, requests = climate_answering(NEW_ORDER)
    with pytest.raises(ConfigurationError) as caught:
        await climate.orders.create(**{"product": SKU, **arguments})
    assert caught.value.argument == argument
    assert BAKERY not in str(caught.value)
    assert requests == []


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        ({}, {}),
        ({"beneficiary": {"public_name": BAKERY}}, {"beneficiary[public_name]": BAKERY}),
        ({"beneficiary": {"public_name": ""}}, {"beneficiary[public_name]": ""}),
        ({"beneficiary": ""}, {"beneficiary": ""}),
        ({"metadata": {"desk": ""}}, {"metadata[desk]": ""}),
    ],
)
async def test_updates_say_what_changes(arguments: Any, form: dict[str, str]) -> None:
    climate, requests = climate_answering(NEW_ORDER)
    await climate.orders.update(ID, **arguments)
    assert (requests[0].method, requests[0].path) == ("POST", f"/v1/climate/orders/{ID}")
    assert sent(requests[0]) == form


@pytest.mark.parametrize("beneficiary", [{}, {"public_name": None}, {"name": BAKERY}, 1])
async def test_an_update_that_cannot_be_sent(beneficiary: Any) -> None:
    climate, requests = climate_answering(NEW_ORDER)
    with pytest.raises(ConfigurationError, match="beneficiary"):
        await climate.orders.update(ID, beneficiary=beneficiary)
    assert requests == []


Calling = Callable[[Climate], Awaitable[object]]


@pytest.mark.parametrize(
    ("call", "data", "method", "path"),
    [
        (lambda c: c.orders.retrieve(ID), NEW_ORDER, "GET", f"/v1/climate/orders/{ID}"),
        (lambda c: c.orders.cancel(ID), NEW_ORDER, "POST", f"/v1/climate/orders/{ID}/cancel"),
        (lambda c: c.products.retrieve(SKU), PRODUCT, "GET", f"/v1/climate/products/{SKU}"),
        (
            lambda c: c.suppliers.retrieve("climsup_moss"),
            SUPPLIER,
            "GET",
            "/v1/climate/suppliers/climsup_moss",
        ),
    ],
)
async def test_calls_go_where_they_should(call: Calling, data: Any, method: str, path: str) -> None:
    climate, requests = climate_answering(data)
    assert to_dict(await call(climate))["id"] == data["id"]
    (request,) = requests
    assert (request.method, request.path, sent(request)) == (method, path, {})


@pytest.mark.parametrize("name", ["orders", "products", "suppliers"])
async def test_lists_take_what_every_list_takes(name: str) -> None:
    climate, requests = climate_answering({"object": "list", "data": [], "has_more": False})
    listed = getattr(climate, name).list
    await listed(limit=7, starting_after="climx_1", expand=["data.product"])
    assert requests[0].path == f"/v1/climate/{name}"
    assert sent(requests[0]) == {
        "limit": "7",
        "starting_after": "climx_1",
        "expand[0]": "data.product",
    }
    with pytest.raises(TypeError, match="created"):
        listed(created=datetime.now(timezone.utc))


# In the sandbox


async def test_an_order_lives_through_the_client() -> None:
    clock = ManualClock()
    async with Sandbox(seed=5, clock=clock) as sandbox, sandbox.client() as stripe:
        orders = stripe.climate.orders
        product = (await stripe.climate.products.list()).data[-1]
        order = await orders.create(
            product=product.id, metric_tons="0.5", beneficiary={"public_name": BAKERY}
        )
        price = product.current_prices_per_metric_ton["usd"]
        assert order.amount_subtotal * 2 == price.amount_subtotal
        assert order.created.timestamp() == clock()
        assert (await orders.update(order.id, beneficiary="")).beneficiary is None
        clock.advance(86_399)
        sandbox.climate.delay(order.id)
        clock.advance(86_400)
        shown = await orders.cancel(order.id, expand=["product"])
        assert (shown.status, shown.cancellation_reason) == ("canceled", "requested")
        assert shown.canceled_at == order.created + timedelta(seconds=172_799)
        assert isinstance(shown.product, Product)
        with pytest.raises(InvalidRequestError):
            await orders.cancel(order.id)
        with pytest.raises(NotFoundError):
            await orders.retrieve("climorder_none")


async def test_lists_are_walked_both_ways() -> None:
    async with Sandbox(seed=5) as sandbox, sandbox.client() as stripe:
        made = [
            (await stripe.climate.orders.create(product="climsku_mixed_portfolio", amount=n)).id
            for n in range(500, 507)
        ]
        newest_first = [order.id async for order in stripe.climate.orders.list(limit=3)]
        assert newest_first == made[::-1]
        backwards = stripe.climate.orders.list(limit=2, ending_before=made[0])
        assert [order.id async for order in backwards] == made[1:]
        suppliers = [s async for s in stripe.climate.suppliers.list(limit=1)]
        assert len({supplier.id for supplier in suppliers}) == len(suppliers) == 4
        for supplier in suppliers:
            assert await stripe.climate.suppliers.retrieve(supplier.id) == supplier
        async for product in stripe.climate.products.list(limit=2):
            assert all(supplier in suppliers for supplier in product.suppliers)
