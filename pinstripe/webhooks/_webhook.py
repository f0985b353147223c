"""Webhook deliveries: from the bytes of a request and its signature to a typed event.

Nothing here reads or writes: a web framework gives the body and the header, and gets an event or
one of two errors. Both are made without the payload, and without the frames that held it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypeAlias, cast

from attrs import field, frozen

from pinstripe._core.errors import DecodeError, PinstripeError
from pinstripe._models.convert import decode
from pinstripe._models.record import Record, model
from pinstripe._signature import (
    DEFAULT_MAX_BYTES,
    DEFAULT_TOLERANCE,
    check_settings,
    sign,
    verify,
)
from pinstripe.events import Event, ThinEvent

Received: TypeAlias = Event | ThinEvent
"""What a delivery holds; an endpoint gets the one or the other, as it was set up."""


@model
class Delivery(Record):
    """The part of a body that tells what the whole of it is."""

    object: str


_EVENTS: Final[dict[str, type[Event | ThinEvent]]] = {
    "event": Event,
    "v2.core.event": ThinEvent,
}


def _as_tuple(secrets: Any) -> Any:
    return tuple(cast("list[Any]", secrets)) if isinstance(secrets, list) else secrets


@frozen
class Webhook:
    """An endpoint that receives events.

        webhook = Webhook(os.environ["STRIPE_WEBHOOK_SECRET"])
        event = webhook.parse(body, headers.get("Stripe-Signature"))

    https://docs.stripe.com/webhooks

    Attributes:
        secrets: The secret of the endpoint (`whsec_...`), or several while one replaces another.
        tolerance: Seconds by which a signature may be older, or newer, than the clock says.
        max_bytes: Bytes that a body may have.
        clock: Tells the time, in seconds since the Unix epoch.

    Raises:
        ConfigurationError: An argument is wrong.
    """

    secrets: str | Sequence[str] = field(repr=False, converter=_as_tuple)
    tolerance: float = field(default=DEFAULT_TOLERANCE, kw_only=True)
    max_bytes: int = field(default=DEFAULT_MAX_BYTES, kw_only=True)
    clock: Callable[[], float] = field(default=time.time, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        check_settings(self.secrets, self.tolerance, self.max_bytes)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Webhook cannot be pickled: it holds the secrets of an endpoint")

    def parse(self, body: bytes, signature: str | None) -> Received:
        """Return the event of a delivery, once it is certain that Stripe sent it.

        An event of a type that is known here is of the class of that type; see
        `pinstripe.events`.

        Args:
            body: The body of the request exactly as it came: bytes, neither decoded nor parsed.
            signature: The `Stripe-Signature` header; None where there is none.

        Raises:
            SignatureError: The delivery cannot be trusted; `reason` says which check refused it.
            DecodeError: It was signed, and is not an event.
            ConfigurationError: The body is not bytes, or the signature not text.
        """
        outcome = self._read(body, signature)
        del body, signature
        if isinstance(outcome, PinstripeError):
            raise outcome
        return outcome

    def verify(self, body: bytes, signature: str | None) -> int:
        """Return which of the secrets signed a delivery, or refuse it.

        Args:
            body: As for `parse`.
            signature: As for `parse`.

        Returns:
            The index of the secret: while one replaces another it tells when the old one is done.

        Raises:
            SignatureError: The delivery cannot be trusted; `reason` says which check refused it.
            ConfigurationError: The body is not bytes, or the signature not text.
        """
        return verify(
            body,
            signature,
            self.secrets,
            now=self.clock(),
            tolerance=self.tolerance,
            max_bytes=self.max_bytes,
        )

    def sign(self, body: bytes) -> str:
        """Return the `Stripe-Signature` header that a delivery made now would have; for tests.

        Args:
            body: The body of the request.
        """
        return sign(body, self.secrets, int(self.clock()))

    def _read(self, body: bytes, signature: str | None) -> Received | PinstripeError:
        try:
            self.verify(body, signature)
            kind = _EVENTS.get(decode(body, Delivery).object)
            return _no_event() if kind is None else decode(body, kind)
        except PinstripeError as error:
            return error.with_traceback(None)


def _no_event() -> DecodeError:
    error = DecodeError("not an event, but another object")
    error.path = "$.object"
    return error
