"""Webhooks in `aiohttp.web`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from pinstripe.adapters._bodies import CHUNK, collect_body, signature_of
from pinstripe.webhooks import Receipt, Router

__all__ = ["webhook_handler"]


def webhook_handler(router: Router) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that receives deliveries.

        app.router.add_post("/webhook", webhook_handler(router))

    `Webhook.max_bytes` limits the body, unless `client_max_size` of the app is lower.

    Args:
        router: The router that handles the deliveries.
    """

    async def handle(request: web.Request) -> web.Response:
        refusal = router.refusal(request.headers, request.client_max_size or None)
        if refusal is not None:
            return await _end_connection(request, refusal)
        if request.content_length is None and request.can_read_body:
            # From the stream: `request.read` would read up to the limit of the app.
            chunks = request.content.iter_chunked(CHUNK)
            body = await collect_body(chunks, router.webhook.max_bytes)
        else:
            body = await request.read()
        signature = signature_of(request.headers)
        receipt = await router.receive(body, signature, headers=request.headers)
        if receipt.ending == "too_large":
            return await _end_connection(request, receipt)
        return web.Response(status=receipt.status, text=receipt.text)

    return handle


async def _end_connection(request: web.Request, receipt: Receipt) -> web.Response:
    """Answer now, and read no more of the body.

    aiohttp would go on to read it, and to inflate it, for seconds after the handler has returned.
    """
    response = web.Response(status=receipt.status, text=receipt.text)
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    request.protocol.force_close()
    return response
