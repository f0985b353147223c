"""What the adapters share: reading a body of bounded length, and the parts of an answer.

A body that is compressed, or whose `Content-Length` is too long, is refused before any of it is
read; see `Router.refusal`. Any other is read through the framework, which keeps it for others that
read it too, before or after. Only a body without a length is read piece by piece: if it is too
long, reading ends with the first piece that shows it. The router gets what was read, sees that it
is too long too, and refuses the delivery with 413.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

CHUNK: Final = 65_536
"""How many bytes to read at once."""

METHOD: Final = "POST"
"""The only method of a delivery; any other is answered with 405."""

NOT_ALLOWED: Final = "deliveries are sent with POST"
"""The body of that answer."""

CONTENT_TYPE: Final = "text/plain; charset=utf-8"
"""The type of the body of every answer."""

__all__ = [
    "CHUNK",
    "CONTENT_TYPE",
    "METHOD",
    "NOT_ALLOWED",
    "collect_body",
    "read_body",
    "signature_of",
]


def signature_of(headers: CIMultiDict[str] | CIMultiDictProxy[str]) -> str | None:
    """Return the signature of a delivery: all values of its header, joined as WSGI joins them.

    Args:
        headers: The headers of the request.
    """
    return ",".join(headers.getall("Stripe-Signature", ())) or None


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
