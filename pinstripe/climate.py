"""Climate: order carbon removal, and look up the products and suppliers.

An order is paid from the balance of the account. Name the tons or the money to spend; the
suppliers deliver later, in some cases years later.

```python
import asyncio
from decimal import Decimal
import pinstripe


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:
        products = [product async for product in stripe.climate.products.list()]
        product = max(products, key=lambda product: product.metric_tons_available)
        print(product.name, product.current_prices_per_metric_ton["usd"].amount_total)
        order = await stripe.climate.orders.create(
            product=product.id, metric_tons=Decimal("1.5"), currency="usd"
        )
        print(order.status, order.amount_total, order.expected_delivery_year)


asyncio.run(main())
```

Tons are exact `Decimal` values; money is an `int` in the minor unit of its currency, such as
cents. The beneficiary of an order, the certificate that names them, and metadata are left out of
every repr; read the attribute, or use `to_dict`.

https://docs.stripe.com/api/climate/order
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Literal, TypeAlias

from typing_extensions import TypedDict

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import (
    check_decimal,
    check_id,
    check_mapping,
    check_whole_number,
    is_empty_text,
)
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Sender
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Private, Record, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import Resource
from pinstripe._resources.walk import Paging

__all__ = [
    "BeneficiaryParam",
    "CancellationReason",
    "Climate",
    "Location",
    "Order",
    "OrderBeneficiary",
    "OrderDeliveryDetail",
    "OrderGoal",
    "OrderStatus",
    "Orders",
    "Product",
    "ProductPrice",
    "Products",
    "RemovalPathway",
    "Supplier",
    "Suppliers",
]

OrderStatus: TypeAlias = (
    Literal["awaiting_funds", "canceled", "confirmed", "delivered", "open"] | str
)
"""The status of an order."""

OrderGoal: TypeAlias = Literal["canceled", "confirmed", "delivered"]
"""A status that `wait` can wait for; `open` and `awaiting_funds` only come first."""

CancellationReason: TypeAlias = Literal["expired", "product_unavailable", "requested"] | str
"""Why an order was canceled: it expired, the product became unavailable, or you asked."""

# fmt: off
RemovalPathway: TypeAlias = Literal[
    "biomass_carbon_removal_and_storage", "direct_air_capture", "enhanced_weathering",
    "marine_carbon_removal",
] | str
# fmt: on
"""How a supplier takes carbon out of the air."""


@model
class Location(Record):
    """A place where carbon is removed; only its country is always set."""

    city: str | None = None
    country: str
    latitude: float | None = None
    longitude: float | None = None
    region: str | None = None


@model
class Supplier(Listed):
    """A company that removes carbon.

    https://docs.stripe.com/api/climate/supplier
    """

    id: str
    object: Literal["climate.supplier"] = "climate.supplier"
    info_url: str
    livemode: bool
    locations: tuple[Location, ...]
    name: str
    removal_pathway: RemovalPathway


@model
class ProductPrice(Record):
    """The price of one metric ton in one currency, in minor units; the total is the sum."""

    amount_fees: int
    amount_subtotal: int
    amount_total: int


@model
class Product(Listed):
    """Removed carbon that can be ordered: from one supplier, or from a portfolio of them.

    https://docs.stripe.com/api/climate/product

    The keys of the prices are currencies (`"usd"`). A delivery year in the past means that the
    carbon is removed already.
    """

    id: str
    object: Literal["climate.product"] = "climate.product"
    created: datetime
    current_prices_per_metric_ton: dict[str, ProductPrice]
    delivery_year: int | None = None
    livemode: bool
    metric_tons_available: Decimal
    name: str
    suppliers: tuple[Supplier, ...]


@model
class OrderBeneficiary(Record):
    """The person or organization that an order is made for."""

    public_name: Private[str]


@model
class OrderDeliveryDetail(Record):
    """The delivery of some tons of an order: the supplier, the place, and the registry."""

    delivered_at: datetime
    location: Location | None = None
    metric_tons: Decimal
    registry_url: str | None = None
    supplier: Supplier


@model
class Order(Listed):
    """An order of carbon removal; its amounts are in minor units of its currency.

    https://docs.stripe.com/api/climate/order

    `product` is an id, or the product if it was expanded. `delivery_details` is empty and
    `certificate` is None until the order is delivered. An order without a beneficiary is for the
    account itself.
    """

    id: str
    object: Literal["climate.order"] = "climate.order"
    amount_fees: int
    amount_subtotal: int
    amount_total: int
    beneficiary: Private[OrderBeneficiary | None] = None
    canceled_at: datetime | None = None
    cancellation_reason: CancellationReason | None = None
    certificate: Private[str | None] = None
    confirmed_at: datetime | None = None
    created: datetime
    currency: str
    delayed_at: datetime | None = None
    delivered_at: datetime | None = None
    delivery_details: tuple[OrderDeliveryDetail, ...]
    expected_delivery_year: int
    livemode: bool
    metadata: Private[dict[str, str]]
    metric_tons: Decimal
    product: str | Product
    product_substituted_at: datetime | None = None
    status: OrderStatus


class BeneficiaryParam(TypedDict):
    """The beneficiary of an order; in an update an empty name clears it."""

    public_name: str


class Orders(Resource):
    """Calls on orders."""

    _CREATE = Endpoint("POST", "/v1/climate/orders", Order)
    _RETRIEVE = Endpoint("GET", "/v1/climate/orders/{order}", Order)
    _UPDATE = Endpoint("POST", "/v1/climate/orders/{order}", Order)
    _LIST = Endpoint("GET", "/v1/climate/orders", Page[Order])
    _CANCEL = Endpoint("POST", "/v1/climate/orders/{order}/cancel", Order)

    async def create(
        self,
        *,
        product: str,
        metric_tons: Decimal | int | str | None = None,
        amount: int | None = None,
        beneficiary: Private[BeneficiaryParam | None] = None,
        currency: str | None = None,
        metadata: Private[Mapping[str, str] | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Order:
        """Order carbon removal; it is paid from the balance of the account at once.

        https://docs.stripe.com/api/climate/order/create

        Args:
            product: The product (`climsku_...`).
            metric_tons: How many tons; this or `amount`. Products have a minimum: 1 ton of most
                single suppliers, 0.001 of a portfolio.
            amount: How much money to spend, in minor units of the currency.
            beneficiary: Whom the order is for; the account itself by default.
            currency: A settlement currency of the account, such as `"usd"`; it has a default.
            metadata: Your own data: up to 50 keys.
            expand: Fields to expand: `["product"]`.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The product is sold out, or the order is below its minimum.
        """
        if (metric_tons is None) == (amount is None):
            raise ConfigurationError("metric_tons", "give either metric_tons or amount")
        params = {
            "product": check_id("product", product),
            "metric_tons": check_decimal("metric_tons", metric_tons),
            "amount": None if amount is None else check_whole_number("amount", amount),
            "beneficiary": _check_beneficiary(beneficiary, clearable=False),
            "currency": currency,
            "metadata": metadata,
            "expand": expand,
        }
        return await self._call(self._CREATE, params, request_options)

    async def retrieve(
        self,
        order: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Order:
        """Return an order.

        https://docs.stripe.com/api/climate/order/retrieve

        Args:
            order: Its id (`climorder_...`).
            expand: Fields to expand: `["product"]`.
            request_options: Options of this call.

        Raises:
            NotFoundError: The order does not exist.
        """
        return await self._call(self._RETRIEVE, {"expand": expand}, request_options, order=order)

    async def update(
        self,
        order: str,
        *,
        beneficiary: Private[BeneficiaryParam | Literal[""] | None] = None,
        metadata: Private[Mapping[str, str] | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Order:
        """Change the beneficiary or the metadata of an order.

        https://docs.stripe.com/api/climate/order/update

        Args:
            order: Its id (`climorder_...`).
            beneficiary: Whom the order is for; an empty text clears it.
            metadata: Merged into the metadata it has; an empty text removes its key.
            expand: Fields to expand: `["product"]`.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The order no longer takes this change.
        """
        params = {
            "beneficiary": _check_beneficiary(beneficiary, clearable=True),
            "metadata": metadata,
            "expand": expand,
        }
        return await self._call(self._UPDATE, params, request_options, order=order)

    def list(
        self,
        *,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[Order]:
        """List orders, newest first.

        https://docs.stripe.com/api/climate/order/list

        Args:
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            starting_after: The id after which the walk starts.
            ending_before: The id before which the walk starts; it goes back to newer objects.
            cursor: Where an earlier walk stopped, from `Pager.cursor`.
            expand: Fields to expand, with the prefix `data.`: `["data.product"]`.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, {"expand": expand}, paging, request_options)

    async def cancel(
        self,
        order: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Order:
        """Cancel an order; this cannot be undone.

        You can cancel within 24 hours, and Stripe keeps the fees. You can also cancel within 30
        days after a delay or a substitution of the product, and everything is refunded.

        https://docs.stripe.com/api/climate/order/cancel

        Args:
            order: Its id (`climorder_...`).
            expand: Fields to expand: `["product"]`.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: It is too late, or the order is delivered or canceled.
        """
        return await self._call(self._CANCEL, {"expand": expand}, request_options, order=order)

    async def wait(
        self,
        order: str,
        *,
        until: OrderGoal | Collection[OrderGoal],
        timeout: float,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Order:
        """Wait until an order has a status, and return it.

        It retrieves the order again and again, with longer and longer pauses up to a minute. An
        event about it that a `Router` of this process receives ends the pause.

        Args:
            order: Its id (`climorder_...`).
            until: The status to wait for, or several.
            timeout: Seconds to wait at most; `math.inf` waits without an end.
            expand: Fields to expand.
            request_options: Options of each call.

        Raises:
            GoalUnreachable: The order can no longer come to it, as after a cancellation.
            WaitTimedOut: The time is over.
            NotFoundError: The order does not exist.
        """
        from pinstripe._resources.waiting import ORDER, wait_until  # noqa: PLC0415 -- few wait

        id = check_id("order", order)
        retrieve = partial(self.retrieve, id, expand=expand, request_options=request_options)
        return await wait_until(ORDER, id, retrieve, until, timeout)


class Products(Resource):
    """Calls on products."""

    _RETRIEVE = Endpoint("GET", "/v1/climate/products/{product}", Product)
    _LIST = Endpoint("GET", "/v1/climate/products", Page[Product])

    async def retrieve(
        self,
        product: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Product:
        """Return a product with its present prices.

        https://docs.stripe.com/api/climate/product/retrieve

        Args:
            product: Its id (`climsku_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: The product does not exist.
        """
        return await self._call(
            self._RETRIEVE, {"expand": expand}, request_options, product=product
        )

    def list(
        self,
        *,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[Product]:
        """List all products that can be ordered.

        https://docs.stripe.com/api/climate/product/list

        Args:
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            starting_after: The id after which the walk starts.
            ending_before: The id before which the walk starts; it goes back.
            cursor: Where an earlier walk stopped, from `Pager.cursor`.
            expand: Fields to expand, with the prefix `data.`.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, {"expand": expand}, paging, request_options)


class Suppliers(Resource):
    """Calls on suppliers."""

    _RETRIEVE = Endpoint("GET", "/v1/climate/suppliers/{supplier}", Supplier)
    _LIST = Endpoint("GET", "/v1/climate/suppliers", Page[Supplier])

    async def retrieve(
        self,
        supplier: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Supplier:
        """Return a supplier.

        https://docs.stripe.com/api/climate/supplier/retrieve

        Args:
            supplier: Its id (`climsup_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: The supplier does not exist.
        """
        return await self._call(
            self._RETRIEVE, {"expand": expand}, request_options, supplier=supplier
        )

    def list(
        self,
        *,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[Supplier]:
        """List all suppliers.

        https://docs.stripe.com/api/climate/supplier/list

        Args:
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            starting_after: The id after which the walk starts.
            ending_before: The id before which the walk starts; it goes back.
            cursor: Where an earlier walk stopped, from `Pager.cursor`.
            expand: Fields to expand, with the prefix `data.`.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, {"expand": expand}, paging, request_options)


class Climate:
    """The resources of Climate.

    Attributes:
        orders: Orders of carbon removal.
        products: The products that can be ordered.
        suppliers: The companies that deliver them.
    """

    def __init__(self, send: Sender) -> None:
        self.orders = Orders(send)
        self.products = Products(send)
        self.suppliers = Suppliers(send)


def _check_beneficiary(
    value: BeneficiaryParam | Literal[""] | None, *, clearable: bool
) -> BeneficiaryParam | Literal[""] | None:
    """Refuse a beneficiary that a form cannot carry, or an empty one that has nothing to clear."""
    if value is None or (is_empty_text(value) and clearable):
        return value
    given = check_mapping("beneficiary", value)
    if given.keys() != {"public_name"}:
        raise ConfigurationError("beneficiary", "must be a mapping with only a public_name")
    name = given["public_name"]
    if not isinstance(name, str) or not (name or clearable):
        raise ConfigurationError(
            "beneficiary[public_name]", "must be text" + ("" if clearable else " that is not empty")
        )
    return value
