"""A destination of forwarded requests: a real server on loopback that records them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from attrs import define, field


@define
class ReceivedRequest:
    """One request as it was received."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@define
class Destination:
    """The requests that a destination received, and how it answers."""

    url: str = ""
    got: list[ReceivedRequest] = field(factory=list)
    answer: Callable[[ReceivedRequest], web.Response] = field(
        default=lambda _: web.json_response({"outcome": "approved"})
    )
    wait: Callable[[], Awaitable[object]] | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
        got = ReceivedRequest(request.method, request.path_qs, headers, await request.read())
        self.got.append(got)
        if self.wait is not None:
            await self.wait()
        return self.answer(got)


@asynccontextmanager
async def listening() -> AsyncIterator[Destination]:
    """Run a destination until the block ends."""
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
    """Run a server that reads a little, writes these bytes on each connection, and closes it."""

    async def write(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(data)
        writer.close()

    server = await asyncio.start_server(write, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
