"""The driver of Climate: the steps of the service and its suppliers, as methods for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from urllib.parse import quote

from pinstripe.sandbox._control.driver import Driver, as_text
from pinstripe.sandbox._state.table import Json


class ClimateDriver(Driver):
    """Moves climate orders, and changes the products that can be ordered."""

    def confirm(self, order: str) -> Json:
        """Let the payment of an order succeed.

        Args:
            order: Id of an order that is open or awaits funds.

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: If the id is unknown or the order has another status.
        """
        return self._order(order, "confirm")

    def deliver(self, order: str) -> Json:
        """Deliver an order, with its details and a certificate.

        Args:
            order: Id of a confirmed order.

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: If the id is unknown or the order has another status.
        """
        return self._order(order, "deliver")

    def delay(self, order: str, *, expected_delivery_year: int | None = None) -> Json:
        """Postpone the delivery of an order, which can then be canceled for 30 days.

        Args:
            order: Id of a confirmed order.
            expected_delivery_year: The new year, later than before; None for the next year.

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: If the id is unknown, the order has another status, or the year is not later.
        """
        return self._order(order, "delay", expected_delivery_year=expected_delivery_year)

    def substitute(self, order: str, product: str) -> Json:
        """Replace the ordered product with another one, at the same price.

        Args:
            order: Id of a confirmed order.
            product: Id of the other product.

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: If an id is unknown, the order has another status, the product is the same, or
                too little of it is left.
        """
        return self._order(order, "substitute", product=product)

    def cancel(self, order: str, reason: str = "requested") -> Json:
        """Cancel an order; the time limits of the API do not apply.

        Args:
            order: Id of the order.
            reason: `requested`, `product_unavailable` (for a confirmed order), or `expired` (for an
                order that is open or awaits funds).

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: If the id or the reason is unknown, or the reason does not fit the status.
        """
        return self._order(order, "cancel", reason=reason)

    def change_price(
        self,
        product: str,
        prices: Mapping[str, int] | None = None,
        *,
        metric_tons_available: Decimal | int | str | None = None,
    ) -> Json:
        """Change the prices of a product, or what is left of it. Orders keep their price.

        Args:
            product: Id of the product.
            prices: Minor units per metric ton by currency, without fees; other currencies stay.
            metric_tons_available: The tons that are left, zero to sell the product out.

        Returns:
            The product as the API shows it.

        Raises:
            Refusal: If the id is unknown or a value is not valid.
        """
        path = f"climate/products/{quote(product, safe='')}/change_price"
        return self._run(path, prices=prices, metric_tons_available=as_text(metric_tons_available))

    def add_product(
        self,
        name: str,
        prices: Mapping[str, int],
        *,
        suppliers: Sequence[str],
        metric_tons_available: Decimal | int | str,
        delivery_year: int | None = None,
    ) -> Json:
        """Add a product.

        Args:
            name: Its name, from which its id is made.
            prices: Minor units per metric ton by currency, without fees.
            suppliers: Ids of its suppliers; with more than one it is a portfolio.
            metric_tons_available: The tons that can be ordered.
            delivery_year: The year of delivery, None if it has no fixed year.

        Returns:
            The product as the API shows it.

        Raises:
            Refusal: If a product with this name exists or a value is not valid.
        """
        return self._run(
            "climate/products",
            name=name,
            prices=prices,
            suppliers=suppliers,
            metric_tons_available=as_text(metric_tons_available),
            delivery_year=delivery_year,
        )

    def _order(self, order: str, step: str, **params: object) -> Json:
        return self._run(f"climate/orders/{quote(order, safe='')}/{step}", **params)
