"""Thin events: what an event of version 1 looks like in version 2.

Choices where the published facts are silent: the id is that of the event of version 1 with another
prefix; an event of a connected account has its id as `context`, and one of the account of the key
has none; `changes` is always null; a request without an idempotency key has an empty one in
`reason`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._v2.times import shown

PING: Final = "v2.core.event_destination.ping"
"""The type of the one event that version 1 does not have."""

THIN: Final = "v2.core.event"

# The paths of the objects that have thin events.
_PATHS: Final[Mapping[str, str]] = {
    "climate.order": "/v1/climate/orders/",
    "climate.product": "/v1/climate/products/",
    "file": "/v1/files/",
    "identity.verification_session": "/v1/identity/verification_sessions/",
    "v2.core.event_destination": "/v2/core/event_destinations/",
}

# The changes of an onramp session have no thin event.
TYPES: Final[Mapping[str, str]] = {
    PING: PING,
    **{
        name: f"v1.{name}"
        for name in (
            "climate.order.canceled",
            "climate.order.created",
            "climate.order.delayed",
            "climate.order.delivered",
            "climate.order.product_substituted",
            "climate.product.created",
            "climate.product.pricing_updated",
            "file.created",
            "identity.verification_session.canceled",
            "identity.verification_session.created",
            "identity.verification_session.processing",
            "identity.verification_session.redacted",
            "identity.verification_session.requires_input",
            "identity.verification_session.verified",
        )
    },
}
"""The type of the thin event, by the type of the event."""

_PREFIX, _THIN_PREFIX = "evt_", "evt_test_"


def stored_id(id: str) -> str | None:
    """Return the id of the stored event behind a thin one; None if it cannot be one.

    Args:
        id: The id of the thin event.
    """
    return _PREFIX + id.removeprefix(_THIN_PREFIX) if id.startswith(_THIN_PREFIX) else None


def notification(event: Json) -> Json:
    """Return a thin event as it is delivered.

    Args:
        event: The event, as it is stored.
    """
    subject, request = event["data"]["object"], event["request"]
    reason: Json | None = None
    if request["id"] is not None:
        made = {"id": request["id"], "idempotency_key": request["idempotency_key"] or ""}
        reason = {"type": "request", "request": made}
    kind, id = subject["object"], subject["id"]
    return {
        "id": _THIN_PREFIX + event["id"].removeprefix(_PREFIX),
        "object": THIN,
        "context": event.get("account"),
        "created": shown(event["created"]),
        "livemode": False,
        "reason": reason,
        "related_object": {"id": id, "type": kind, "url": f"{_PATHS[kind]}{id}"},
        "type": TYPES[event["type"]],
    }


def thin_event(event: Json) -> Json:
    """Return a thin event as the API shows it, which is more than a delivery has.

    Args:
        event: The event, as it is stored.
    """
    snapshot = None if event["type"] == PING else event["id"]
    return {**notification(event), "changes": None, "snapshot_event": snapshot}
