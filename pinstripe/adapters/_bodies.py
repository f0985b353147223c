"""What the adapters share: a body read as far as it may be long, and how deliveries are answered.

A body that is too long is read up to the first chunk that shows it: the router refuses what it
gets of it with 413.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Final

CHUNK: Final = 65_536
"""Bytes that are asked for at once."""

METHOD: Final = "POST"
"""The only method of a delivery; every other is answered with 405."""

NOT_ALLOWED: Final = "deliveries are sent with POST"
"""The body of that answer."""

CONTENT_TYPE: Final = "text/plain; charset=utf-8"
"""What the body of every answer is."""

SIGNATURE: Final = "Stripe-Signature"
"""The header that signs a delivery."""


def joined(values: Iterable[str]) -> str | None:
    """Return all values of a header as one, as WSGI hands them over; None where there is none."""
    return ",".join(values) or None


def read_body(read: Callable[[int], bytes], limit: int) -> bytes:
    """Read a body to its end, or to the byte that is too many.

    Args:
        read: Returns at most so many bytes, none at the end.
        limit: Bytes that the body may have.
    """
    body = bytearray()
    while len(body) <= limit and (chunk := read(min(CHUNK, limit + 1 - len(body)))):
        body += chunk
    return bytes(body)


async def collect_body(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    """Collect a body to its end, or to the chunk that makes it too long.

    Args:
        chunks: The body as it comes.
        limit: Bytes that the body may have.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)
