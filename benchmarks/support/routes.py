"""Apps of web frameworks, each with three routes that read a body and answer.

`/bare` does nothing else, `/by-hand` makes one digest and plain dicts, and `/webhook` is the
adapter, with a handler that does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import django
import fastapi
import flask
from aiohttp import web
from attrs import frozen
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import pinstripe.adapters.aiohttp
import pinstripe.adapters.asgi
import pinstripe.adapters.django
import pinstripe.adapters.flask
import pinstripe.adapters.wsgi
from benchmarks.support.deliveries import by_hand
from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET
from pinstripe.webhooks import Router, Webhook
from tests.support import hosts

TEXT = "handled"
HEADER = "Stripe-Signature"

Use = Callable[[bytes, Callable[[], str]], None]
"""What a route does with a body, and with what looks up the header of its signature."""


def _nothing(body: bytes, _: Callable[[], str]) -> None:
    assert body


def _by_hand(body: bytes, signature: Callable[[], str]) -> None:
    by_hand(body, signature())


USES: dict[str, Use] = {"/bare": _nothing, "/by-hand": _by_hand}


def _router() -> Router:
    router = Router(Webhook(SECRET))

    @router.on(Event)
    async def handle(_: Event) -> None: ...

    return router


def _blocking_router() -> Router:
    router = Router(Webhook(SECRET))

    @router.on(Event)
    def handle(_: Event) -> None: ...

    return router


# --- the apps -----------------------------------------------------------------------------------


def _aiohttp() -> Any:
    async def other(request: web.Request, use: Use) -> web.Response:
        use(await request.read(), lambda: request.headers[HEADER])
        return web.Response(text=TEXT)

    app = web.Application()
    for place, use in USES.items():
        app.router.add_post(place, partial(other, use=use))
    app.router.add_post("/webhook", pinstripe.adapters.aiohttp.webhook_handler(_router()))
    return app


def _asgi() -> Any:
    ours = pinstripe.adapters.asgi.WebhookApp(_router())

    async def other(use: Use, scope: Any, receive: Any, send: Any) -> None:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message["more_body"]

        def signature() -> str:
            value: bytes = dict(scope["headers"])[HEADER.lower().encode()]
            return value.decode()

        use(b"".join(parts), signature)
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(TEXT))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": TEXT.encode()})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        use = USES.get(scope["path"])
        if use is None:
            await ours(scope, receive, send)
        else:
            await other(use, scope, receive, send)

    return app


def _starlette() -> Any:
    async def other(request: Request, use: Use) -> PlainTextResponse:
        use(await request.body(), lambda: request.headers[HEADER])
        return PlainTextResponse(TEXT)

    routes = [
        Route(place, partial(other, use=use), methods=["POST"]) for place, use in USES.items()
    ]
    return Starlette(
        routes=[*routes, Route("/webhook", pinstripe.adapters.asgi.WebhookApp(_router()))]
    )


def _fastapi() -> Any:
    app = fastapi.FastAPI()

    def add(place: str, use: Use) -> None:
        @app.post(place)
        async def other(request: fastapi.Request) -> fastapi.Response:
            use(await request.body(), lambda: request.headers[HEADER])
            return fastapi.Response(TEXT, media_type="text/plain")

    for place, use in USES.items():
        add(place, use)
    route = Route("/webhook", pinstripe.adapters.asgi.WebhookApp(_router()))
    app.router.routes.append(route)
    return app


def _django(*, is_async: bool) -> Any:
    async def other(request: HttpRequest, use: Use) -> HttpResponse:
        return blocking(request, use)

    def blocking(request: HttpRequest, use: Use) -> HttpResponse:
        use(request.body, lambda: request.headers[HEADER])
        return HttpResponse(TEXT, content_type="text/plain")

    names = ("common.CommonMiddleware", "csrf.CsrfViewMiddleware")
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        MIDDLEWARE=[f"django.middleware.{name}" for name in names],
        LOGGING_CONFIG=None,
    )
    django.setup()
    adapter = pinstripe.adapters.django
    if is_async:
        ours: Any = adapter.webhook_view(_router())
    else:
        ours = adapter.blocking_webhook_view(_blocking_router())
    views = {
        place: csrf_exempt(partial(other if is_async else blocking, use=use))
        for place, use in USES.items()
    }
    views["/webhook"] = ours
    settings.ROOT_URLCONF = tuple(path(place[1:], view) for place, view in views.items())
    return ASGIHandler() if is_async else WSGIHandler()


def _flask() -> Any:
    app = flask.Flask("shop")

    def other(use: Use) -> flask.Response:
        use(flask.request.get_data(), lambda: flask.request.headers[HEADER])
        return flask.Response(TEXT, mimetype="text/plain")

    for place, use in USES.items():
        app.add_url_rule(place, place, partial(other, use), methods=["POST"])
    app.add_url_rule(
        "/webhook", view_func=pinstripe.adapters.flask.webhook_view(_blocking_router())
    )
    return app


def _wsgi() -> Any:
    ours = pinstripe.adapters.wsgi.WebhookApp(_blocking_router())

    def app(environ: Any, start_response: Any) -> Any:
        use = USES.get(environ["PATH_INFO"])
        if use is None:
            return ours(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        use(body, lambda: environ["HTTP_STRIPE_SIGNATURE"])
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(TEXT)))]
        start_response("200 OK", headers)
        return [TEXT.encode()]

    return app


@frozen
class App:
    """An app of a framework, and the server that runs it."""

    build: Callable[[], Any]
    host: Callable[[Any], AbstractContextManager[str]]


APPS = {
    "aiohttp": App(_aiohttp, hosts.aiohttp_server),
    "ASGI under uvicorn": App(_asgi, hosts.uvicorn),
    "Starlette under uvicorn": App(_starlette, hosts.uvicorn),
    "FastAPI under uvicorn": App(_fastapi, hosts.uvicorn),
    "Django, async, under uvicorn": App(partial(_django, is_async=True), hosts.uvicorn),
    "Django, blocking, under wsgiref": App(partial(_django, is_async=False), hosts.wsgiref),
    "Flask under Werkzeug": App(_flask, hosts.werkzeug),
    "WSGI under wsgiref": App(_wsgi, hosts.wsgiref),
}
