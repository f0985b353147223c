"""Webhooks in `aiohttp.web`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from pinstripe.adapters._bodies import CHUNK, SIGNATURE, collect_body, join_header
from pinstripe.webhooks import Router

__all__ = ["webhook_handler"]


def webhook_handler(router: Router) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that receives deliveries.

        app.router.add_post("/webhook", webhook_handler(router))

    `Webhook.max_bytes` limits the body; `client_max_size` of the app has no effect.

    Args:
        router: The router that handles the deliveries.
    """

    async def handle(request: web.Request) -> web.Response:
        # From the stream: `request.read` would read a body that is too long up to the app's limit.
        limit = router.webhook.max_bytes
        body = await collect_body(request.content.iter_chunked(CHUNK), limit)
        signature = join_header(request.headers.getall(SIGNATURE, ()))
        receipt = await router.receive(body, signature)
        return web.Response(status=receipt.status, text=receipt.text)

    return handle
