"""Webhook deliveries: from the bytes of a request and its signature to a typed event.

Nothing here does I/O. A web framework hands over the body and the signature header, and gets an
event or one of two errors. The payload holds personal data, so neither the errors nor the frames
in their tracebacks contain it.
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
"""The event of a delivery. The settings of the endpoint decide which of the two it receives."""


@model
class Delivery(Record):
    """The field of a body that says which class the whole body is of."""

    object: str


# The values of `object` in the two kinds of events.
_EVENTS: Final[dict[str, type[Event | ThinEvent]]] = {
    "event": Event,
    "v2.core.event": ThinEvent,
}


def _as_tuple(secrets: Any) -> Any:
    # Only lists: what is wrong is left as it is, for `check_settings` to refuse by its name.
    return tuple(cast("list[Any]", secrets)) if isinstance(secrets, list) else secrets


@frozen
class Webhook:
    """An endpoint that receives events.

        webhook = Webhook(os.environ["STRIPE_WEBHOOK_SECRET"])
        event = webhook.parse(body, headers.get("Stripe-Signature"))

    https://docs.stripe.com/webhooks

    Attributes:
        secrets: The secret of the endpoint (`whsec_...`), or several while one replaces another.
        tolerance: Seconds by which a signature may be older or newer than the clock; 300 by
            default.
        max_bytes: How many bytes a body may have; 256 KiB by default.
        clock: Returns the time, in seconds since the Unix epoch.

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
        """Verify a delivery, and return its event.

        The event is of the class for its type, or a plain `Event` if no class is for that type;
        see `pinstripe.events`.

        Args:
            body: The body of the request exactly as it came: bytes, neither decoded nor parsed.
            signature: The `Stripe-Signature` header; None if the request has none.

        Raises:
            SignatureError: The delivery cannot be trusted; `reason` says which check refused it.
            DecodeError: The signature is right, but the body is not an event.
            ConfigurationError: The body is not bytes, or the signature not text.
        """
        result: Received | PinstripeError
        try:
            self.verify(body, signature)
            kind = _EVENTS.get(decode(body, Delivery).object)
            if kind is None:
                result = DecodeError("not an event, but another object")
                result.path = "$.object"
            else:
                result = decode(body, kind)
        except PinstripeError as error:
            result = error.with_traceback(None)
        # The error is raised here, after the payload is gone: its traceback has this frame only.
        del body, signature
        if isinstance(result, PinstripeError):
            raise result
        return result

    def verify(self, body: bytes, signature: str | None) -> int:
        """Verify a delivery, and return which of the secrets signed it.

        Args:
            body: As for `parse`.
            signature: As for `parse`.

        Returns:
            The index of the secret. While one secret replaces another, it shows when the old one
            is no longer used.

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
        """Return the `Stripe-Signature` header of a delivery that is made now; for tests.

        Args:
            body: The body of the request.
        """
        return sign(body, self.secrets, int(self.clock()))
