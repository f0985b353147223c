"""Webhooks under ASGI: Starlette, FastAPI, and any other framework that routes to ASGI apps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from multidict import CIMultiDict

from pinstripe._core.errors import ConfigurationError
from pinstripe.adapters._bodies import CONTENT_TYPE, METHOD, NOT_ALLOWED, signature_of
from pinstripe.webhooks import Receipt, Router

__all__ = ["Receive", "Scope", "Send", "WebhookApp"]

Scope: TypeAlias = MutableMapping[str, Any]
"""The facts of a request, as ASGI has them."""

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""Returns the next message of a request."""

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""Sends the next message of an answer."""


class _Disconnected(Exception):
    """The client disconnected before the body had ended."""


class WebhookApp:
    """An ASGI app that receives deliveries.

        app.router.routes.append(Route("/webhook", WebhookApp(router)))  # Starlette, FastAPI

    Add it as a route, and do not mount it: a mounted app has the path `/webhook/`, so that
    `/webhook` is redirected, and Stripe does not follow redirects.

    Args:
        router: The router that handles the deliveries.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Args:
            scope: The facts of the request.
            receive: Returns the messages with its body.
            send: Sends the messages of the answer.

        Raises:
            ConfigurationError: The request is not HTTP.
        """
        if scope["type"] != "http":
            problem = f"must be of type http, not {scope['type']}: add this app as a route"
            raise ConfigurationError("scope", problem)
        if scope["method"] != METHOD:
            await _answer(send, 405, NOT_ALLOWED, (b"allow", METHOD.encode()))
            return
        headers = CIMultiDict(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        )
        refusal = self._router.refusal(headers)
        try:
            receipt = refusal or await self._receive(receive, headers)
        except _Disconnected:
            return  # there is no one to answer
        # To keep the connection a server would read the rest of the body.
        unread = refusal is not None or receipt.ending == "too_large"
        ends = unread and scope.get("http_version", "1.1").startswith("1")
        await _answer(
            send, receipt.status, receipt.text, *([(b"connection", b"close")] if ends else [])
        )

    async def _receive(self, receive: Receive, headers: CIMultiDict[str]) -> Receipt:
        body = await _read(receive, self._router.webhook.max_bytes)
        return await self._router.receive(body, signature_of(headers), headers=headers)


async def _read(receive: Receive, limit: int) -> bytes:
    """Read a body to its end, or until a message makes it too long."""
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _answer(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = text.encode()
    usual = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    start = {"type": "http.response.start", "status": status, "headers": [*usual, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
