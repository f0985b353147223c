"""Webhooks in Django: an async view and a blocking one.

Both are exempt from the check of CSRF tokens: Stripe sends none, and the signature proves who sent
a delivery. Under ASGI Django reads the whole body before it calls a view, and keeps it in a file if
it is over 2.5 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from pinstripe.adapters._bodies import CONTENT_TYPE, METHOD, NOT_ALLOWED, SIGNATURE, read_body
from pinstripe.webhooks import Receipt, Router

__all__ = ["blocking_webhook_view", "webhook_view"]


def webhook_view(router: Router) -> Callable[[HttpRequest], Coroutine[Any, Any, HttpResponse]]:
    """Return an async view that receives deliveries, for a project under ASGI.

        urlpatterns = [path("webhook", webhook_view(router))]

    Plain handlers run in worker threads, and Django does not close the database connections of
    those. If a handler uses the database, write it as a coroutine function, or use
    `blocking_webhook_view`.

    Args:
        router: The router that handles the deliveries.
    """

    async def webhook(request: HttpRequest) -> HttpResponse:
        if request.method != METHOD:
            return _not_allowed()
        body = read_body(request.read, router.webhook.max_bytes)
        return _answer(await router.receive(body, request.headers.get(SIGNATURE)))

    return csrf_exempt(webhook)


def blocking_webhook_view(router: Router) -> Callable[[HttpRequest], HttpResponse]:
    """Return a view that receives deliveries, for a project under WSGI or ASGI.

        urlpatterns = [path("webhook", blocking_webhook_view(router))]

    Plain handlers run in the thread of the view, with its database connection.

    Args:
        router: The router that handles the deliveries; see `Router.receive_blocking`.
    """

    def webhook(request: HttpRequest) -> HttpResponse:
        if request.method != METHOD:
            return _not_allowed()
        body = read_body(request.read, router.webhook.max_bytes)
        return _answer(router.receive_blocking(body, request.headers.get(SIGNATURE)))

    return csrf_exempt(webhook)


def _answer(receipt: Receipt) -> HttpResponse:
    return HttpResponse(receipt.text, content_type=CONTENT_TYPE, status=receipt.status)


def _not_allowed() -> HttpResponse:
    return HttpResponseNotAllowed([METHOD], NOT_ALLOWED, content_type=CONTENT_TYPE)
