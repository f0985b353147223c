"""Webhooks under ASGI: Starlette, FastAPI, and every other framework that routes to ASGI apps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Any, TypeAlias

from pinstripe._core.errors import ConfigurationError
from pinstripe.adapters._bodies import (
    CONTENT_TYPE,
    METHOD,
    NOT_ALLOWED,
    SIGNATURE,
    collect_body,
    joined,
)
from pinstripe.webhooks import Router

__all__ = ["Receive", "Scope", "Send", "WebhookApp"]

Scope: TypeAlias = MutableMapping[str, Any]
"""What ASGI tells of a request."""

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""Gives the next message of a request."""

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""Takes the next message of an answer."""


class _Gone(Exception):
    """The other side left before the body had ended."""


class WebhookApp:
    """An ASGI app that receives deliveries.

        app.add_route("/webhook", WebhookApp(router))  # Starlette and FastAPI

    Route to it and do not mount it: a mounted app has its place at `/webhook/`, and a redirect
    is no answer to Stripe.

    Args:
        router: What handles them.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Args:
            scope: What is known of it.
            receive: Gives its body.
            send: Takes the answer.

        Raises:
            ConfigurationError: It is not HTTP.
        """
        if scope["type"] != "http":
            raise ConfigurationError("scope", "is not that of an HTTP request")
        if scope["method"] != METHOD:
            await _answer(send, 405, NOT_ALLOWED, (b"allow", METHOD.encode()))
            return
        name = SIGNATURE.lower().encode()
        signature = joined(v.decode("latin-1") for n, v in scope["headers"] if n.lower() == name)
        try:
            async with aclosing(_chunks(receive)) as chunks:
                body = await collect_body(chunks, self._router.webhook.max_bytes)
        except _Gone:
            return
        receipt = await self._router.receive(body, signature)
        await _answer(send, receipt.status, receipt.text)


async def _chunks(receive: Receive) -> AsyncGenerator[bytes, None]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _answer(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = text.encode()
    usual = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    start = {"type": "http.response.start", "status": status, "headers": [*usual, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
