"""A destination of forwarded requests: a real server on loopback that records them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from attrs import define, field

from tests.support.serving import served


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
    async with served(destination.handle) as address:
        destination.url = f"{address}/charge?x=1"
        yield destination
