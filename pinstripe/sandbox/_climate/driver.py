"""The driver of Climate: what the API and its suppliers would do, as methods for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from urllib.parse import quote

from pinstripe.sandbox._control.driver import Driver, as_text
from pinstripe.sandbox._state.table import Json


class ClimateDriver(Driver):
    """Moves climate orders, and changes what can be ordered."""

    def confirm(self, order: str) -> Json:
        """Let the payment of an order settle that is open or awaits funds.

        Args:
            order: id of the order.

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: for an unknown id or another status.
        """
        return self._order(order, "confirm")

    def deliver(self, order: str) -> Json:
        """Deliver a confirmed order, with its details and a certificate.

        Args:
            order: id of the order.

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: for an unknown id or another status.
        """
        return self._order(order, "deliver")

    def delay(self, order: str, *, expected_delivery_year: int | None = None) -> Json:
        """Put off the delivery of a confirmed order, which can be canceled for 30 days then.

        Args:
            order: id of the order.
            expected_delivery_year: when it is expected now; None for a year later than before.

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: for an unknown id, another status, or a year that is not later.
        """
        return self._order(order, "delay", expected_delivery_year=expected_delivery_year)

    def substitute(self, order: str, product: str) -> Json:
        """Put another product in the place of the ordered one; the price stays as it is.

        Args:
            order: id of a confirmed order.
            product: id of the other product.

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: for an unknown id, another status, the same product, or too little of it left.
        """
        return self._order(order, "substitute", product=product)

    def cancel(self, order: str, reason: str = "requested") -> Json:
        """Cancel an order, whatever the clock says.

        Args:
            order: id of the order.
            reason: `requested`, `product_unavailable` (of a confirmed order), or `expired` (of
                one that is open or awaits funds).

        Returns:
            The order as the API shows it.

        Raises:
            Refusal: for an unknown id or reason, or a status in which that does not happen.
        """
        return self._order(order, "cancel", reason=reason)

    def change_price(
        self,
        product: str,
        prices: Mapping[str, int] | None = None,
        *,
        metric_tons_available: Decimal | int | str | None = None,
    ) -> Json:
        """Change prices of a product, or what is left of it; orders keep their price.

        Args:
            product: id of the product.
            prices: minor units a metric ton by currency, without fees; other currencies stay.
            metric_tons_available: tons that are left, zero to sell it out.

        Returns:
            The product as the API shows it.

        Raises:
            Refusal: for an unknown id, or a value that is not acceptable.
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
            name: its name, from which its id is made.
            prices: minor units a metric ton by currency, without fees.
            suppliers: ids of its suppliers; more than one make it a portfolio.
            metric_tons_available: tons that can be ordered.
            delivery_year: when it is delivered.

        Returns:
            The product as the API shows it.

        Raises:
            Refusal: for a name that is there already, or a value that is not acceptable.
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
