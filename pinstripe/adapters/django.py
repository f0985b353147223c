"""Webhooks in Django: an async view and a blocking one.

Both are exempt from the check of CSRF tokens: Stripe sends none, and the signature proves who sent
a delivery. Under ASGI Django reads the whole body before it calls a view, and keeps it in a file if
it is over 2.5 MB.

Both are exempt from `ATOMIC_REQUESTS`, too. Such a transaction ends after the view: if it failed
then, the work of the handlers would be lost, and their event be remembered as handled. A handler
that needs a transaction opens one itself, with `transaction.atomic()`, or runs in that of a
`DjangoStore`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt
from multidict import CIMultiDict

from pinstripe.adapters._bodies import CONTENT_TYPE, METHOD, NOT_ALLOWED, read_body, signature_of
from pinstripe.webhooks import Receipt, Router

__all__ = ["blocking_webhook_view", "webhook_view"]

_View = TypeVar("_View", bound=Callable[..., Any])


def webhook_view(router: Router) -> Callable[[HttpRequest], Coroutine[Any, Any, HttpResponse]]:
    """Return an async view that receives deliveries, for a project under ASGI.

        urlpatterns = [path("webhook", webhook_view(router))]

    Plain handlers run in worker threads, and Django does not close the database connections of
    those. If a handler uses the database, write it as a coroutine function, or use
    `blocking_webhook_view`. With a `DjangoStore` they run in the thread that Django gives the
    request, which needs neither.

    Args:
        router: The router that handles the deliveries.
    """

    async def webhook(request: HttpRequest) -> HttpResponse:
        if request.method != METHOD:
            return _not_allowed()
        headers = CIMultiDict(request.headers)
        receipt = router.refusal(headers, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if receipt is None:
            body = _read(request, router.webhook.max_bytes)
            receipt = await router.receive(body, signature_of(headers), headers=headers)
        return _answer(receipt)

    return _exempt(webhook)


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
        headers = CIMultiDict(request.headers)
        receipt = router.refusal(headers, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if receipt is None:
            body = _read(request, router.webhook.max_bytes)
            receipt = router.receive_blocking(body, signature_of(headers), headers=headers)
        return _answer(receipt)

    return _exempt(webhook)


def _exempt(view: _View) -> _View:
    with suppress(ImproperlyConfigured):  # without settings there is no database
        for alias in connections:
            view = transaction.non_atomic_requests(alias)(view)
    return csrf_exempt(view)


def _read(request: HttpRequest, limit: int) -> bytes:
    if request.headers.get("Content-Length"):
        return request.body
    body = read_body(request.read, limit)
    # `request.body` would read a body without a length to any length, and whoever asks for it
    # after a `read` gets an error. Django looks here first.
    kept: Any = request
    kept._body = body  # noqa: SLF001 -- there is no public way
    return body


def _answer(receipt: Receipt) -> HttpResponse:
    return HttpResponse(receipt.text, content_type=CONTENT_TYPE, status=receipt.status)


def _not_allowed() -> HttpResponse:
    return HttpResponseNotAllowed([METHOD], NOT_ALLOWED, content_type=CONTENT_TYPE)
