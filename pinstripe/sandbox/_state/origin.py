"""What causes a change: a request to the API, or the sandbox itself."""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class EventOrigin:
    """What caused a change: an API request, or something that the API does not know.

    Attributes:
        request_id: The id of the request; None if a driver or the clock caused the change.
        idempotency_key: The key of the request.
    """

    request_id: str | None = None
    idempotency_key: str | None = None


NO_REQUEST: Final = EventOrigin()
"""The origin of changes that no request of the API causes."""
