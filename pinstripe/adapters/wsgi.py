"""Webhooks under WSGI, without a framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias

from multidict import CIMultiDict

from pinstripe.adapters._bodies import CONTENT_TYPE, METHOD, NOT_ALLOWED, read_body, signature_of
from pinstripe.webhooks import Router

__all__ = ["Environ", "StartResponse", "WebhookApp"]

Environ: TypeAlias = dict[str, Any]
"""The facts of a request, as WSGI has them."""

StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], object]
"""Sends the status and the headers of an answer."""


class WebhookApp:
    """A WSGI app that receives deliveries.

    Args:
        router: The router that handles the deliveries; see `Router.receive_blocking`.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request.

        Args:
            environ: The request.
            start_response: Sends the status and the headers of the answer.
        """
        if environ["REQUEST_METHOD"] != METHOD:
            return _answer(start_response, 405, NOT_ALLOWED, ("Allow", METHOD))
        headers = _headers_of(environ)
        receipt = self._router.refusal(headers)
        if receipt is None:
            body = _read_request_body(environ, self._router.webhook.max_bytes)
            receipt = self._router.receive_blocking(body, signature_of(headers), headers=headers)
        return _answer(start_response, receipt.status, receipt.text)


def _headers_of(environ: Environ) -> CIMultiDict[str]:
    """Return the headers of a request: WSGI has them as `HTTP_NAME`, and these two without that."""
    plain = ("CONTENT_TYPE", "CONTENT_LENGTH")
    names = [name for name in environ if name.startswith("HTTP_") or name in plain]
    return CIMultiDict(
        (name.removeprefix("HTTP_").replace("_", "-").title(), environ[name]) for name in names
    )


def _read_request_body(environ: Environ, limit: int) -> bytes:
    # A server may hand over the bare socket. Reading behind the end of the body would then wait
    # for ever, so no more than Content-Length is read; without one there is no body. Only a server
    # that sets `wsgi.input_terminated` ends the input where the body ends.
    read = environ["wsgi.input"].read
    if environ.get("wsgi.input_terminated"):
        return read_body(read, limit)
    length = environ.get("CONTENT_LENGTH") or "0"
    left = int(length) if length.isascii() and length.isdigit() else 0

    def read_within_length(size: int) -> bytes:
        nonlocal left
        chunk: bytes = read(min(size, left))
        left -= len(chunk)
        return chunk

    return read_body(read_within_length, limit)


def _answer(
    start_response: StartResponse, status: int, text: str, *headers: tuple[str, str]
) -> Iterable[bytes]:
    body = text.encode()
    usual = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))]
    start_response(f"{status} {HTTPStatus(status).phrase}", [*usual, *headers])
    return [body]
