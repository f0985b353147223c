"""An answer of the sandbox, encoded as it is sent and stored."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class EncodedAnswer:
    """An answer in bytes, ready to be sent or kept under an idempotency key.

    The field names are part of the store's file layout.

    Attributes:
        status: The HTTP status.
        body: JSON text, or bytes of another type.
        headers: Headers besides those that every answer has.
        content_type: The media type of the body.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(factory=dict[str, str])
    content_type: str = "application/json"
