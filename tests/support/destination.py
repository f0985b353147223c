"""A destination of forwarded requests: a real server on loopback that notes what it got."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
from aiohttp import web


@attrs.define
class Got:
    """One request as it came."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@attrs.define
class Destination:
    """What a destination is told to answer, and what it got."""

    url: str = ""
    got: list[Got] = attrs.field(factory=list)
    answer: Callable[[Got], web.Response] = attrs.field(
        default=lambda _: web.json_response({"outcome": "approved"})
    )
    wait: Callable[[], Awaitable[object]] | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
        got = Got(request.method, request.path_qs, headers, await request.read())
        self.got.append(got)
        if self.wait is not None:
            await self.wait()
        return self.answer(got)


@asynccontextmanager
async def listening() -> AsyncIterator[Destination]:
    """Run a destination for as long as the block."""
    destination = Destination()
    runner = web.ServerRunner(web.Server(destination.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    destination.url = f"http://127.0.0.1:{runner.addresses[0][1]}/charge?x=1"
    try:
        yield destination
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sending(data: bytes) -> AsyncIterator[str]:
    """Run a server that reads a little, writes these bytes to whoever connects, and hangs up."""

    async def write(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(data)
        writer.close()

    server = await asyncio.start_server(write, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
