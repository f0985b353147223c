"""Webhooks in Flask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, request
from multidict import CIMultiDict

from pinstripe.adapters._bodies import METHOD, read_body, signature_of
from pinstripe.webhooks import Router

__all__ = ["webhook_view"]


def webhook_view(router: Router) -> Callable[[], Response]:
    """Return a view that receives deliveries.

        app.add_url_rule("/webhook", view_func=webhook_view(router))

    `Webhook.max_bytes` limits the body, unless `MAX_CONTENT_LENGTH` of the app is lower.

    Args:
        router: The router that handles the deliveries; see `Router.receive_blocking`.
    """

    def webhook() -> Response:
        headers = CIMultiDict(request.headers.items())
        receipt = router.refusal(headers, request.max_content_length)
        if receipt is None:
            body = b""
            if request.content_length is None:
                body = read_body(request.stream.read, router.webhook.max_bytes)
            # Flask keeps a body that is read this way, and has it already if somebody read it.
            body = body or request.get_data()
            receipt = router.receive_blocking(body, signature_of(headers), headers=headers)
        return Response(receipt.text, receipt.status, mimetype="text/plain")

    # Flask reads these attributes of a view: without them `add_url_rule` would allow GET only, and
    # answer OPTIONS by itself.
    attributes: Any = webhook
    attributes.methods = [METHOD]
    attributes.provide_automatic_options = False
    return webhook
