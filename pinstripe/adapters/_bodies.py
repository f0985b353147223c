"""What the adapters share: reading a body of bounded length, and the parts of an answer.

If a body is too long, reading ends with the first chunk that shows it. The router gets what was
read, sees that it is too long too, and refuses the delivery with 413.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Final

CHUNK: Final = 65_536
"""How many bytes to read at once."""

METHOD: Final = "POST"
"""The only method of a delivery; any other is answered with 405."""

NOT_ALLOWED: Final = "deliveries are sent with POST"
"""The body of that answer."""

CONTENT_TYPE: Final = "text/plain; charset=utf-8"
"""The type of the body of every answer."""

SIGNATURE: Final = "Stripe-Signature"
"""The header with the signature of a delivery."""

__all__ = [
    "CHUNK",
    "CONTENT_TYPE",
    "METHOD",
    "NOT_ALLOWED",
    "SIGNATURE",
    "collect_body",
    "join_header",
    "read_body",
]


def join_header(values: Iterable[str]) -> str | None:
    """Join all values of a header to one, as WSGI does; None if there are none.

    Args:
        values: The values, in their order.
    """
    return ",".join(values) or None


def read_body(read: Callable[[int], bytes], limit: int) -> bytes:
    """Read a body to its end, or until it is too long by a byte.

    Args:
        read: Returns up to a number of bytes, and none at the end.
        limit: How many bytes the body may have.
    """
    body = bytearray()
    while len(body) <= limit and (chunk := read(min(CHUNK, limit + 1 - len(body)))):
        body += chunk
    return bytes(body)


async def collect_body(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    """Collect a body to its end, or until a chunk makes it too long.

    Args:
        chunks: The body as it comes.
        limit: How many bytes the body may have.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)
