"""Webhooks under ASGI: Starlette, FastAPI, and any other framework that routes to ASGI apps."""

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
    join_header,
)
from pinstripe.webhooks import Router

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
        # ASGI servers send names in lower case; a test client may not.
        name = SIGNATURE.lower().encode()
        values = (value for header, value in scope["headers"] if header.lower() == name)
        signature = join_header(value.decode("latin-1") for value in values)
        # The generator is closed at once, also if the body is too long and is not read to its end.
        try:
            async with aclosing(_chunks(receive)) as chunks:
                body = await collect_body(chunks, self._router.webhook.max_bytes)
        except _Disconnected:
            return  # there is no one to answer
        receipt = await self._router.receive(body, signature)
        await _answer(send, receipt.status, receipt.text)


async def _chunks(receive: Receive) -> AsyncGenerator[bytes, None]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _answer(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = text.encode()
    usual = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    start = {"type": "http.response.start", "status": status, "headers": [*usual, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
