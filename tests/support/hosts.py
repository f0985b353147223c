"""Real servers for the adapters: each runs an app of its framework in a thread, on loopback."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any
from wsgiref import simple_server

import attrs

from pinstripe.webhooks import Router
from tests.support.django_project import set_up

SECONDS = 30


@attrs.frozen
class Adapter:
    """An adapter under test, in an app of its framework.

    Attributes:
        app: Returns the app, with the webhook at /webhook.
        host: Serves the app, and yields its URL.
        early: Whether a body that is too long is refused before it has ended.
        chunked: Whether the server takes a body without Content-Length.
        ends: Whether the adapter can end a connection; WSGI gives an app no way to.
    """

    app: Callable[..., Any]
    host: Callable[[Any], AbstractContextManager[str]]
    early: bool = True
    chunked: bool = True
    ends: bool = False


@contextmanager
def in_thread(run: Callable[[], object], stop: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(SECONDS)
        assert not thread.is_alive()


@contextmanager
def uvicorn(app: Any) -> Iterator[str]:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready.set()

    ready = threading.Event()
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        run = partial(server.run, [listener])
        with in_thread(run, lambda: setattr(server, "should_exit", True)):
            assert ready.wait(SECONDS)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def socket_server(server: Any) -> Iterator[str]:
    with server, in_thread(partial(server.serve_forever, 0.01), server.shutdown):
        yield f"http://127.0.0.1:{server.server_port}"


class QuietHandler(simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None: ...


class ThreadedServer(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


def wsgiref(app: Any) -> AbstractContextManager[str]:
    server = simple_server.make_server("127.0.0.1", 0, app, ThreadedServer, QuietHandler)
    return socket_server(server)


def runserver(app: Any) -> AbstractContextManager[str]:
    """What `manage.py runserver` serves with."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
    server.set_app(app)
    return socket_server(server)


def werkzeug(app: Any) -> AbstractContextManager[str]:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: object) -> None: ...

    return socket_server(make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet))


@contextmanager
def aiohttp_server(app: Any) -> Iterator[str]:
    from aiohttp import web

    ready, places = threading.Event(), []

    async def serve() -> None:
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        end = asyncio.Event()
        places.extend([asyncio.get_running_loop(), end, runner.addresses[0][1]])
        ready.set()
        await end.wait()
        await runner.cleanup()

    with in_thread(
        lambda: asyncio.run(serve()), lambda: places[0].call_soon_threadsafe(places[1].set)
    ):
        assert ready.wait(SECONDS)
        yield f"http://127.0.0.1:{places[2]}"


def aiohttp_app(router: Router, *, read: bool = False) -> Any:
    from aiohttp import web

    from pinstripe.adapters.aiohttp import webhook_handler

    @web.middleware
    async def reads(request: web.Request, handler: Any) -> Any:
        before = await request.text()
        response = await handler(request)
        assert await request.text() == before
        return response

    app = web.Application(middlewares=[reads] if read else [])
    app.router.add_post("/webhook", webhook_handler(router))
    return app


def asgi_app(router: Router) -> Any:
    from pinstripe.adapters.asgi import WebhookApp

    return WebhookApp(router)


def starlette_app(router: Router, *, read: bool = False) -> Any:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.routing import Route

    from pinstripe.adapters.asgi import WebhookApp

    class Reads(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            await request.body()
            return await call_next(request)

    routes = [Route("/webhook", WebhookApp(router))]
    return Starlette(routes=routes, middleware=[Middleware(Reads)] if read else [])


def fastapi_app(router: Router) -> Any:
    from fastapi import FastAPI

    from pinstripe.adapters.asgi import WebhookApp

    app = FastAPI()
    app.add_route("/webhook", WebhookApp(router))
    return app


def wsgi_app(router: Router) -> Any:
    from pinstripe.adapters.wsgi import WebhookApp

    return WebhookApp(router)


def flask_app(router: Router, *, read: bool = False) -> Any:
    from flask import Flask, request

    from pinstripe.adapters.flask import webhook_view

    def reads(response: Any = None) -> Any:
        assert response is None or request.get_data()
        request.get_data()
        return response

    app = Flask("shop")
    if read:
        app.before_request(reads)
        app.after_request(reads)
    app.add_url_rule("/webhook", view_func=webhook_view(router))
    return app


def reads_body(get_response: Callable[[Any], Any]) -> Any:
    """A middleware of Django that looks at the body of each request afterwards."""
    from asgiref.sync import iscoroutinefunction

    async def answer_async(request: Any) -> Any:
        response = await get_response(request)
        assert request.body
        return response

    def answer(request: Any) -> Any:
        response = get_response(request)
        assert request.body
        return response

    return answer_async if iscoroutinefunction(get_response) else answer


reads_body.sync_capable = reads_body.async_capable = True  # type: ignore[attr-defined]


def django_app(router: Router, *, view: str, server: str, read: bool = False) -> Any:
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import clear_url_caches, path

    from pinstripe.adapters import django as adapter

    set_up()
    middleware = ["common.CommonMiddleware", "csrf.CsrfViewMiddleware"]
    settings.MIDDLEWARE = [f"django.middleware.{name}" for name in middleware]
    settings.MIDDLEWARE += ["tests.support.hosts.reads_body"] if read else []
    settings.ROOT_URLCONF = (path("webhook", getattr(adapter, view)(router)),)
    clear_url_caches()
    return ASGIHandler() if server == "asgi" else WSGIHandler()


def django(view: str, server: str) -> Callable[..., Any]:
    return partial(django_app, view=view, server=server)


ADAPTERS = {
    "aiohttp": Adapter(aiohttp_app, aiohttp_server, ends=True),
    "asgi": Adapter(asgi_app, uvicorn, ends=True),
    "starlette": Adapter(starlette_app, uvicorn, ends=True),
    "fastapi": Adapter(fastapi_app, uvicorn, ends=True),
    "django-async-asgi": Adapter(django("webhook_view", "asgi"), uvicorn, early=False),
    "django-async-wsgi": Adapter(django("webhook_view", "wsgi"), runserver, chunked=False),
    "django-blocking-asgi": Adapter(django("blocking_webhook_view", "asgi"), uvicorn, early=False),
    "django-blocking-wsgi": Adapter(
        django("blocking_webhook_view", "wsgi"), wsgiref, chunked=False
    ),
    "wsgi": Adapter(wsgi_app, wsgiref, chunked=False),
    "wsgi-terminated": Adapter(wsgi_app, werkzeug),
    "flask": Adapter(flask_app, werkzeug),
}

# The frameworks in which somebody else may read the body, before or after.
READING = [
    "aiohttp",
    "starlette",
    "flask",
    *(name for name in ADAPTERS if name.startswith("django")),
]
