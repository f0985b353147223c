"""The official Python SDK on every climate endpoint: its objects agree with ours in every field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from pinstripe import AsyncClient, to_dict
from pinstripe._models.record import Listed
from pinstripe.climate import Order, Product, Supplier
from pinstripe.sandbox import ManualClock, Sandbox
from tests.sandbox.conftest import NOW

stripe = pytest.importorskip("stripe")
requests = pytest.importorskip("requests")

pytestmark = pytest.mark.anyio

PORTFOLIO = "climsku_mixed_portfolio"
MARINE = "climsku_marine_alkalinity_kelpwater_2029"


def sandbox_options() -> dict[str, Any]:
    return {"seed": 4, "clock": ManualClock(NOW)}


@pytest.fixture
async def ours(sandbox: Sandbox) -> Any:
    async with sandbox.client() as client:
        yield client


@pytest.fixture
def theirs(sandbox: Sandbox) -> Iterator[Any]:
    session = requests.Session()
    session.trust_env = False
    http = stripe.RequestsClient(session=session)
    client = stripe.StripeClient(
        sandbox.api_key, base_addresses={"api": sandbox.url}, http_client=http
    )
    yield client.v1.climate
    http.close()


def plain(value: Any) -> Any:
    """Return an object of the SDK as JSON data, its decimals as the text they came from."""
    return json.loads(json.dumps(value.to_dict(), default=str))


def agree(mine: Listed, other: Any) -> None:
    """Compare every field: in plain data, and as attributes of both objects."""
    data = plain(other)
    assert json.loads(json.dumps(to_dict(mine))) == data
    assert data.keys() == {field.name for field in mine.__attrs_attrs__}
    for name in data:
        ours, theirs = getattr(mine, name), getattr(other, name)
        if hasattr(ours, "timestamp"):
            assert ours.timestamp() == theirs
        elif isinstance(ours, (str, int, Decimal, type(None))):
            assert (ours, type(ours)) == (theirs, type(theirs))


async def test_orders_agree_from_creation_to_delivery(
    sandbox: Sandbox, ours: AsyncClient, theirs: Any
) -> None:
    orders = ours.climate.orders
    made = theirs.orders.create(
        {
            "product": PORTFOLIO,
            "metric_tons": Decimal("0.250"),
            "currency": "eur",
            "beneficiary": {"public_name": "Brindle Bakery"},
            "metadata": {"desk": "Q3", "naïve": "é&=+%"},
            "expand": ["product"],
        }
    )
    agree(await orders.retrieve(made.id, expand=["product"]), made)
    agree(await orders.retrieve(made.id), theirs.orders.retrieve(made.id))
    named = theirs.orders.update(made.id, {"beneficiary": {"public_name": "Brindle"}})
    agree(await orders.retrieve(made.id), named)
    cleared = theirs.orders.update(made.id, {"beneficiary": "", "metadata": {"desk": ""}})
    assert cleared.beneficiary is None
    agree(await orders.retrieve(made.id), cleared)
    agree(await orders.update(made.id, beneficiary=""), cleared)
    sandbox.climate.delay(made.id)
    sandbox.climate.substitute(made.id, MARINE)
    sandbox.climate.deliver(made.id)
    agree(await orders.retrieve(made.id), theirs.orders.retrieve(made.id))
    canceled = theirs.orders.cancel(theirs.orders.create({"product": MARINE, "amount": 9999}).id)
    assert canceled.metric_tons <= Decimal("0.5")
    agree(await orders.retrieve(canceled.id), canceled)


async def test_both_clients_ask_for_the_same_order(ours: AsyncClient, theirs: Any) -> None:
    made = await ours.climate.orders.create(
        product=PORTFOLIO,
        metric_tons=Decimal("1.75"),
        currency="jpy",
        beneficiary={"public_name": "Brindle Bakery"},
        metadata={"desk": "Q3"},
    )
    other = theirs.orders.create(
        {
            "product": PORTFOLIO,
            "metric_tons": Decimal("1.75"),
            "currency": "jpy",
            "beneficiary": {"public_name": "Brindle Bakery"},
            "metadata": {"desk": "Q3"},
        }
    )
    assert {**to_dict(made), "id": other.id} == plain(other)


async def test_lists_agree(ours: AsyncClient, theirs: Any) -> None:
    for amount in range(500, 505):
        theirs.orders.create({"product": PORTFOLIO, "amount": amount})
    mine: dict[str, Any] = {
        "orders": ours.climate.orders.list(limit=2, expand=["data.product"]),
        "products": ours.climate.products.list(limit=2),
        "suppliers": ours.climate.suppliers.list(limit=2),
    }
    for name, pager in mine.items():
        params: dict[str, Any] = {"limit": 2}
        if name == "orders":
            params["expand"] = ["data.product"]
        listed = list(getattr(theirs, name).list(params).auto_paging_iter())
        objects = [value async for value in pager]
        assert len(objects) == len(listed) >= 4
        for value, other in zip(objects, listed, strict=True):
            agree(value, other)


async def test_products_and_suppliers_agree(ours: AsyncClient, theirs: Any) -> None:
    climate = ours.climate
    product = theirs.products.retrieve(PORTFOLIO)
    agree(await climate.products.retrieve(PORTFOLIO), product)
    for supplier in product.suppliers:
        agree(await climate.suppliers.retrieve(supplier.id), theirs.suppliers.retrieve(supplier.id))


async def test_the_asynchronous_sdk_works_too(sandbox: Sandbox, ours: AsyncClient) -> None:
    http = stripe.AIOHTTPClient()
    sdk = stripe.StripeClient(
        sandbox.api_key, base_addresses={"api": sandbox.url}, http_client=http
    )
    climate = sdk.v1.climate
    order = await climate.orders.create_async({"product": PORTFOLIO, "metric_tons": Decimal(3)})
    agree(await ours.climate.orders.retrieve(order.id), order)
    updated = await climate.orders.update_async(order.id, {"metadata": {"a": "1"}})
    assert (await climate.orders.retrieve_async(order.id)).metadata["a"] == "1"
    assert [one.id for one in (await climate.orders.list_async()).data] == [updated.id]
    assert (await climate.orders.cancel_async(order.id)).status == "canceled"
    for name in ("products", "suppliers"):
        resource = getattr(climate, name)
        first = (await resource.list_async({"limit": 1})).data[0]
        agree(
            await getattr(ours.climate, name).retrieve(first.id),
            await resource.retrieve_async(first.id),
        )
    await http.close_async()


async def test_refusals_are_the_same(ours: AsyncClient, theirs: Any) -> None:
    order = theirs.orders.cancel(theirs.orders.create({"product": MARINE, "amount": 500}).id)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        theirs.orders.cancel(order.id)
    assert (caught.value.http_status, caught.value.code) == (400, "status_transition_invalid")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        theirs.orders.create({"product": MARINE, "metric_tons": Decimal(80)})
    assert (caught.value.param, caught.value.code) == ("metric_tons", "out_of_inventory")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        theirs.products.retrieve("climsku_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


@pytest.mark.parametrize(
    ("model", "other"), [(Order, "Order"), (Product, "Product"), (Supplier, "Supplier")]
)
def test_models_have_the_fields_of_the_sdk(model: Any, other: str) -> None:
    annotations = getattr(stripe.climate, other).__annotations__
    known = {name for name in annotations if name[0] != "_" and name != "OBJECT_NAME"}
    assert known == {field.name for field in model.__attrs_attrs__}
