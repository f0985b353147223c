"""Webhooks under WSGI, where no framework is at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias

from pinstripe.adapters._bodies import CONTENT_TYPE, METHOD, NOT_ALLOWED, read_body
from pinstripe.webhooks import Router

__all__ = ["Environ", "StartResponse", "WebhookApp"]

Environ: TypeAlias = dict[str, Any]
"""What WSGI tells of a request."""

StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], object]
"""Takes the status and the headers of an answer."""


class WebhookApp:
    """A WSGI app that receives deliveries.

    Args:
        router: What handles them; see `Router.receive_blocking`.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request.

        Args:
            environ: The request.
            start_response: Takes the head of the answer.
        """
        if environ["REQUEST_METHOD"] != METHOD:
            return _answer(start_response, 405, NOT_ALLOWED, ("Allow", METHOD))
        body = _body_of(environ, self._router.webhook.max_bytes)
        receipt = self._router.receive_blocking(body, environ.get("HTTP_STRIPE_SIGNATURE"))
        return _answer(start_response, receipt.status, receipt.text)


def _body_of(environ: Environ, limit: int) -> bytes:
    """Read no further than the body is long, unless the server ends its input there."""
    read = environ["wsgi.input"].read
    if environ.get("wsgi.input_terminated"):
        return read_body(read, limit)
    length = environ.get("CONTENT_LENGTH") or "0"
    left = int(length) if length.isascii() and length.isdigit() else 0

    def read_on(size: int) -> bytes:
        nonlocal left
        chunk: bytes = read(min(size, left))
        left -= len(chunk)
        return chunk

    return read_body(read_on, limit)


def _answer(
    start_response: StartResponse, status: int, text: str, *headers: tuple[str, str]
) -> Iterable[bytes]:
    body = text.encode()
    usual = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))]
    start_response(f"{status} {HTTPStatus(status).phrase}", [*usual, *headers])
    return [body]
