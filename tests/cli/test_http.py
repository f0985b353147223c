"""The HTTP of the commands: one request, no redirect, no cookie, and a bounded answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from yarl import URL

from pinstripe.cli import _http
from pinstripe.cli._http import NoAnswer, send
from tests.support import serving

pytestmark = pytest.mark.anyio

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[URL]:
    async with serving.served(handler) as address:
        yield URL(f"{address}/hook?a=1")


async def test_a_request_goes_as_it_is_once_and_through_no_proxy(monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    came: list[tuple[str, str, bytes, str | None]] = []

    async def redirect(request: web.BaseRequest) -> web.Response:
        body, encoding = await request.read(), request.headers.get("Accept-Encoding")
        came.append((request.method, request.path_qs, body, encoding))
        assert request.headers["X-Own"] == "yes"
        assert not request.cookies
        headers = {"Location": "/elsewhere", "Set-Cookie": "a=b"}
        return web.Response(status=307, headers=headers, body=b"moved")

    async with served(redirect) as url:
        for _ in range(2):
            answer = await send("POST", url, b"{}", {"X-Own": "yes"})
            assert (answer.status, answer.body) == (307, b"moved")
    assert came == [("POST", "/hook?a=1", b"{}", "identity")] * 2


@pytest.mark.uncounted
async def test_a_long_answer_is_read_to_the_bound_only(monkeypatch) -> None:
    monkeypatch.setattr(_http, "_MAX_BODY", 10)

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 7)

    async with served(endless) as url:
        assert (await send("GET", url)).body == b"x" * 10


async def test_an_answer_that_does_not_come(monkeypatch) -> None:
    monkeypatch.setattr(_http, "_SECONDS", 0.05)

    async def wait(_: web.BaseRequest) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with served(wait) as url:
        with pytest.raises(NoAnswer, match=r"^timeout$"):
            await send("GET", url)


async def test_an_answer_that_is_no_http(monkeypatch) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"what?\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NoAnswer, match=r"^no answer$"):
            await send("GET", URL(f"http://127.0.0.1:{port}/"))
    with pytest.raises(NoAnswer, match=r"^refused$"):
        await send("GET", URL(f"http://127.0.0.1:{port}/"))


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(NoAnswer, match=r"^no answer$"):
        await send("GET", URL("http://no-such-host.invalid/"))
