"""The result of a delivery, and how it is answered."""

from __future__ import annotations

import logging
from typing import Final, Literal, TypeAlias

from attrs import frozen

from pinstripe._core.errors import DecodeError, SignatureError
from pinstripe.webhooks._webhook import Received

_log = logging.getLogger("pinstripe.webhooks")

DeliveryResult: TypeAlias = Literal[
    "handled", "ignored", "duplicate", "stale", "invalid", "too_large", "busy", "failed"
]
"""The result of a delivery; see `Receipt` for what each means."""

# https://docs.stripe.com/webhooks: Stripe takes 2xx for success, and sends the event again after
# anything else.
_STATUS: Final[dict[DeliveryResult, int]] = {
    "handled": 200,
    "ignored": 200,
    "duplicate": 200,
    "stale": 200,
    "invalid": 400,
    "too_large": 413,
    "busy": 409,
    "failed": 500,
}


@frozen
class Receipt:
    """The result of a delivery, and how to answer it.

    Attributes:
        ending: The result: `"handled"`; `"ignored"`, if no handler is for such an event;
            `"duplicate"`, if the event was handled before; `"stale"`, if a newer event of its
            object was handled before; `"invalid"`, if the signature or the body is wrong;
            `"too_large"`, if the body is longer than allowed; `"busy"`, if another delivery of the
            event is being handled; `"failed"`, if a handler or the store failed, or if the object
            of the event does not fit the class of a handler, which the log explains.
        event: The event; None if the delivery is invalid or too large.
        error: Why the delivery is invalid or too large, or where the object does not fit; None
            otherwise.
    """

    ending: DeliveryResult
    event: Received | None = None
    error: SignatureError | DecodeError | None = None

    @property
    def text(self) -> str:
        """A line for the body of the answer; it contains nothing of the payload."""
        return self.ending if self.error is None else self.error.message

    @property
    def status(self) -> int:
        """The HTTP status of the answer; unless it is 200, Stripe sends the event again."""
        return _STATUS[self.ending]


def refused(error: SignatureError | DecodeError) -> Receipt:
    """Return how to answer a delivery that cannot be trusted or read, and log why.

    Args:
        error: Why.
    """
    reason = error.reason if isinstance(error, SignatureError) else "not_an_event"
    _log.warning("a delivery is refused (%s): %s", reason, error.message)
    too_large = reason == "body_too_large"
    return Receipt("too_large" if too_large else "invalid", error=error.with_traceback(None))
