"""Webhooks in `aiohttp.web`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from pinstripe.adapters._bodies import CHUNK, SIGNATURE, collect_body, joined
from pinstripe.webhooks import Router

__all__ = ["webhook_handler"]


def webhook_handler(router: Router) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that receives deliveries.

        app.router.add_post("/webhook", webhook_handler(router))

    The bound on a body is that of the `Webhook`; `client_max_size` of the app does not matter.

    Args:
        router: What handles them.
    """

    async def handle(request: web.Request) -> web.Response:
        limit = router.webhook.max_bytes
        body = await collect_body(request.content.iter_chunked(CHUNK), limit)
        signature = joined(request.headers.getall(SIGNATURE, ()))
        receipt = await router.receive(body, signature)
        return web.Response(status=receipt.status, text=receipt.text)

    return handle
