"""Deliveries of about 4 kB, and the least that a receiver can do with one."""

from __future__ import annotations

import hashlib
import hmac
import json

from pinstripe.pytest_plugin import SECRET, SignedEvent, StripeEvent

BYTES = 4096


def delivery() -> SignedEvent:
    """Return a new signed event, whose object has much metadata."""
    metadata = {f"key_{number}": hashlib.sha256(b"%d" % number).hexdigest() for number in range(36)}
    event = StripeEvent()("identity.verification_session.verified", metadata=metadata)
    assert abs(len(event.body) - BYTES) < 200, len(event.body)
    return event


def by_hand(body: bytes, signature: str) -> None:
    """Make one digest and plain dicts."""
    second, _, theirs = signature.removeprefix("t=").partition(",v1=")
    signed = f"{second}.".encode() + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, theirs)
    json.loads(body)
