"""Handlers of every sort (coroutines, bytes, uploads), and services beside the requests."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from pinstripe.sandbox import ManualClock, Refusal, Server, Settings
from pinstripe.sandbox import _server as server_module
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Content, Route, RouteTable
from pinstripe.sandbox._params.multipart import FILE
from pinstripe.sandbox._params.schema import METADATA, Object
from pinstripe.sandbox._server import API_KEY, ROUTES, SERVICES
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import World
from tests.support.sandbox_api import SESSIONS, Api, Reply

pytestmark = pytest.mark.anyio

LIMIT = 3_000_000
RELEASES: list[asyncio.Event] = []
ARRIVALS: list[asyncio.Event] = []


async def wait(call: Call) -> Json:
    ARRIVALS[-1].set()
    await RELEASES[-1].wait()
    if "metadata" in call.params:
        raise Refusal("No.", code="no", status=402)
    return {"object": "wait", "id": call.origin.request_id}


async def explode(call: Call) -> Json:
    await asyncio.sleep(0)
    raise RuntimeError(call.path)


def measure(call: Call) -> Json:
    file = call.params["file"]
    return {
        "filename": file.filename,
        "type": file.type,
        "size": len(file.data),
        "metadata": call.params.get("metadata"),
    }


def link(call: Call) -> Content:
    if call.ids[0] == "none":
        raise Refusal("No such link.", status=404)
    return Content(b"\0" + call.ids[0].encode(), "image/png", 203, {"X-Image": "yes"})


MORE = (
    Route("POST", "/v1/wait", wait, Object({"metadata": METADATA})),
    Route("POST", "/v1/explode", explode),
    Route("POST", "/_sandbox/explode", explode, control=True),
    Route(
        "POST",
        "/v1/measure",
        measure,
        Object({"file": FILE, "metadata": METADATA}, required=("file",)),
        upload=LIMIT,
    ),
    Route("GET", "/bytes/{token}", link, open=True),
)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(server_module, "_TABLE", RouteTable((*ROUTES, *MORE)))
    RELEASES.append(asyncio.Event())
    ARRIVALS.append(asyncio.Event())
    server = Server(Settings(clock=ManualClock()))
    await server.start()
    yield server
    await server.stop()


def form_of(data: bytes, **fields: str) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("metadata[a]", "é")
    form.add_field("file", io.BytesIO(data), filename="a é.png", content_type="image/png")
    return form


async def waiting(api: Api) -> asyncio.Task[Reply]:
    """A request whose handler waits."""
    task = asyncio.create_task(api("POST", "/v1/wait", Idempotency_Key="k"))
    await ARRIVALS[-1].wait()
    return task


async def test_a_key_is_in_use_while_its_handler_waits(api: Api) -> None:
    first = await waiting(api)
    second = await api("POST", "/v1/wait", Idempotency_Key="k")
    assert (second.status, second.error["code"]) == (409, "idempotency_key_in_use")
    assert (await api("GET", SESSIONS)).status == 200
    RELEASES[-1].set()
    done = await first
    again = await api("POST", "/v1/wait", Idempotency_Key="k")
    assert (again.body, again.headers["Idempotent-Replayed"]) == (done.body, "true")


async def test_a_handler_that_waited_may_refuse_or_fail(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    RELEASES[-1].set()
    for _ in range(2):
        reply = await api("POST", "/v1/wait", {"metadata[a]": "b"}, Idempotency_Key="k")
        assert (reply.status, reply.error["code"]) == (402, "no")
    assert reply.headers["Idempotent-Replayed"] == "true"
    with caplog.at_level(logging.ERROR, "pinstripe.sandbox"):
        reply = await api("POST", "/v1/explode")
    assert (reply.status, reply.error["type"]) == (500, "api_error")
    assert "POST /v1/explode" in caplog.text


async def test_a_request_that_is_cancelled_releases_its_key(server: Server, api: Api) -> None:
    given_up = await waiting(api)
    await server.stop()
    with pytest.raises(aiohttp.ClientError):
        await given_up
    assert len(server.world.account().keys.v1) == 0


async def test_bytes_are_served_without_a_key(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        async with http.get("/bytes/abc") as response:
            assert (response.status, response.content_type) == (203, "image/png")
            assert response.headers["X-Image"] == "yes"
            assert response.headers["Request-Id"].startswith("req_")
            assert await response.read() == b"\0abc"
        for path, host, status in [
            ("/bytes/none", "localhost", 404),
            ("/bytes/a/b", "localhost", 401),  # no route is there, so no route is open
            ("/bytes/abc", "evil.example", 403),
            ("/bytesabc", "localhost", 401),
        ]:
            async with http.get(path, headers={"Host": host}) as response:
                assert (response.status, set(await response.json())) == (status, {"error"})


async def test_what_needs_no_key_counts_for_no_account(server: Server, api: Api) -> None:
    await api.ok("POST", "/_sandbox/rate_limit", {"account": "1"})
    async with aiohttp.ClientSession(server.url) as http:
        for _ in range(3):
            async with http.get("/bytes/abc") as response:
                assert response.status == 203
    assert [(await api("GET", SESSIONS)).status for _ in range(2)] == [200, 429]


async def test_an_upload_is_read(api: Api) -> None:
    reply = await api("POST", "/v1/measure", form_of(b"x" * 2_000_000), Idempotency_Key="k")
    assert reply.body == {
        "filename": "a é.png",
        "type": "image/png",
        "size": 2_000_000,
        "metadata": {"a": "é"},
    }
    other = await api("POST", "/v1/measure", form_of(b"y" * 2_000_000), Idempotency_Key="k")
    assert other.error["type"] == "idempotency_error"
    again = await api("POST", "/v1/measure", form_of(b"x" * 2_000_000), Idempotency_Key="k")
    assert (again.body, again.headers["Idempotent-Replayed"]) == (reply.body, "true")


async def test_parameters_of_an_upload_may_be_in_the_query(api: Api) -> None:
    reply = await api("POST", "/v1/measure?metadata[b]=2", form_of(b""))
    assert reply.body["metadata"] == {"a": "é", "b": "2"}


async def test_uploads_have_a_limit_and_a_place(server: Server, api: Api) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        headers = {"Authorization": f"Bearer {API_KEY}", "Expect": "100-continue"}
        form = form_of(b"x" * LIMIT)
        async with http.post("/v1/measure", data=form, headers=headers) as response:
            assert response.status == 413
    elsewhere = await api("POST", SESSIONS, form_of(b"x", type="document"))
    assert elsewhere.status == 400
    plain = await api("POST", "/v1/measure", {"file": "text"})
    assert (plain.status, plain.error["param"]) == (400, "file")
    form = b"metadata[a]=" + b"b" * 1_100_000
    large = await api("POST", "/v1/measure", form, Content_Type="application/x-www-form-urlencoded")
    assert large.status == 413


async def test_services_end_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def outer(world: World) -> AsyncIterator[None]:
        seen.append("outer in")
        yield
        seen.append(f"outer out {world.base_url}")

    @contextlib.asynccontextmanager
    async def inner(_: World) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            yield
            seen.append("inner out")
            tasks.cancel_scope.cancel()

    monkeypatch.setattr(server_module, "SERVICES", (*SERVICES, outer, inner))
    server = Server(Settings())
    await asyncio.create_task(server.start())
    url = server.url
    assert seen == ["outer in"]
    await asyncio.create_task(server.stop())
    assert seen == ["outer in", "inner out", f"outer out {url}"]


async def test_a_service_that_fails_at_the_start_raises_from_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @contextlib.asynccontextmanager
    async def broken(_: World) -> AsyncIterator[None]:
        raise LookupError("no such thing")
        yield

    monkeypatch.setattr(server_module, "SERVICES", (broken,))
    settings = Settings(store=tmp_path / "sandbox.db")
    with pytest.raises(LookupError):
        await Server(settings).start()
    monkeypatch.setattr(server_module, "SERVICES", SERVICES)
    server = Server(settings)
    await server.start()
    await server.stop()


async def test_a_service_that_fails_later_raises_from_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextlib.asynccontextmanager
    async def broken(_: World) -> AsyncIterator[None]:
        yield
        raise LookupError("no such thing")

    monkeypatch.setattr(server_module, "SERVICES", (broken,))
    server = Server(Settings())
    await server.start()
    with pytest.raises(LookupError):
        await server.stop()


async def test_a_driver_does_not_wait(server: Server) -> None:
    with pytest.raises(TypeError, match="cannot wait"):
        server.control("explode", {}, None)


def test_content_is_not_shown() -> None:
    content: Any = Content(b"secret")
    assert "secret" not in repr(content)
