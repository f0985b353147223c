"""The object that an event is about."""

from __future__ import annotations

from pinstripe._concurrency.wakers import wake
from pinstripe.events import ThinEvent
from pinstripe.webhooks._webhook import Received


def subject_of(event: Received) -> str | None:
    """Return the id of the object that an event is about; None if it has none.

    Args:
        event: The event.
    """
    if isinstance(event, ThinEvent):
        return None if event.related_object is None else event.related_object.id
    # Events of types without a class of their own have plain data, of which anything may be.
    object = event.data.object
    id = object.get("id") if isinstance(object, dict) else object.id
    return id if isinstance(id, str) else None


def wake_waits(event: Received) -> None:
    """Let the waits of clients of this process look at the object of an event.

    Args:
        event: The event, verified or passed on by code that trusts it.
    """
    subject = subject_of(event)
    if subject is not None:
        wake(subject)
