"""The drivers: plain methods that move objects as end users, customers and time would.

A driver runs the routes of `/_sandbox/` in the thread of the server, from whichever thread it is
called, and returns what they answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import quote

from pinstripe.sandbox.store import Json


class Control(Protocol):
    """Runs one of the sandbox's own endpoints."""

    def control(
        self, path: str, params: Mapping[str, object], account: str | None, method: str = "POST"
    ) -> Json:
        """Run `POST /_sandbox/{path}` and return its answer; raises Refusal."""
        ...


class _Driver:
    def __init__(self, control: Control, account: str | None = None) -> None:
        self._control = control
        self._account = account

    def _run(self, path: str, **params: object) -> Json:
        given = {name: value for name, value in params.items() if value is not None}
        return self._control.control(path, given, self._account)


class IdentityDriver(_Driver):
    """Moves verification sessions."""

    def submit(self, session: str) -> Json:
        """Let the end user submit: the session is processing.

        Args:
            session: id of a session that waits for input.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id or another status.
        """
        return self._session(session, "submit")

    def verify(
        self,
        session: str,
        *,
        outputs: Mapping[str, Any] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> Json:
        """Let all checks pass; a session that waits for input is submitted first.

        Args:
            session: id of the session.
            outputs: values in place of the invented ones in `verified_outputs`.
            document: values in place of the invented ones in the report's document check.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id, an unknown name of a value, or a wrong status.
        """
        return self._session(session, "verify", outputs=outputs, document=document)

    def fail(self, session: str, code: str, *, reason: str | None = None) -> Json:
        """Let a check fail, or the end user give up (`abandoned`, `consent_declined`).

        Args:
            session: id of the session.
            code: a code of `last_error`.
            reason: text for the end user in place of the usual one.

        Returns:
            The session as the API shows it, waiting for input again.

        Raises:
            Refusal: for an unknown id or code, or a wrong status.
        """
        return self._session(session, "fail", code=code, reason=reason)

    def finish_redaction(self, session: str) -> Json:
        """Finish a redaction now, whatever the clock says.

        Args:
            session: id of a session whose redaction is going on.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id, or when no redaction is going on.
        """
        return self._session(session, "finish_redaction")

    def seed(self, count: int, *, interval: int = 60, status: str | None = None) -> int:
        """Create sessions that reach back in time, without events.

        Args:
            count: how many.
            interval: seconds between two of them; the newest is created now.
            status: status of all of them; None for a mix.

        Returns:
            How many were created.

        Raises:
            Refusal: for a count, interval or status that is not acceptable.
        """
        answer = self._run("identity/seed", count=count, interval=interval, status=status)
        return int(answer["created"])

    def _session(self, session: str, step: str, **params: object) -> Json:
        path = f"identity/verification_sessions/{quote(session, safe='')}/{step}"
        return self._run(path, **params)


class CryptoDriver(_Driver):
    """Moves onramp sessions."""

    def advance(self, session: str, status: str) -> Json:
        """Take a session one step further.

        Args:
            session: id of the session.
            status: the status to reach, one step away.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id, or when no single step leads there.
        """
        return self._session(session, "advance", status=status)

    def complete(self, session: str) -> Json:
        """Take a session through all steps that are left until it is fulfilled.

        Args:
            session: id of the session.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id, or a session that is rejected or fulfilled.
        """
        return self._session(session, "complete")

    def _session(self, session: str, step: str, **params: object) -> Json:
        return self._run(f"crypto/onramp_sessions/{quote(session, safe='')}/{step}", **params)


class ClimateDriver(_Driver):
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
        return self._run(path, prices=prices, metric_tons_available=_plain(metric_tons_available))

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
            metric_tons_available=_plain(metric_tons_available),
            delivery_year=delivery_year,
        )

    def _order(self, order: str, step: str, **params: object) -> Json:
        return self._run(f"climate/orders/{quote(order, safe='')}/{step}", **params)


def _plain(number: Decimal | int | str | None) -> str | int | None:
    return f"{number:f}" if isinstance(number, Decimal) else number
