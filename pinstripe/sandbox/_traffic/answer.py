"""An answer of the sandbox, as it is stored and sent."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class EncodedAnswer:
    """What is sent back.

    Args:
        status: HTTP status.
        body: JSON text, or bytes of another type.
        headers: headers besides those that every answer has.
        content_type: media type of the body.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    content_type: str = "application/json"
