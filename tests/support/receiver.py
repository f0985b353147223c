"""A receiver of webhooks for tests: an aiohttp server on loopback that records them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web
from attrs import define, field, frozen

from tests.support.serving import served


@frozen
class Received:
    """One request that was received."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def signature(self) -> str:
        return self.headers["Stripe-Signature"]


Answer = int | Callable[[], Awaitable[int]]


@define
class Receiver:
    """The requests that were received, and the answers: one each, and the last for all others."""

    url: str = ""
    answers: list[Answer] = field(factory=lambda: [200])
    received: list[Received] = field(factory=list)
    arrived: asyncio.Event = field(factory=asyncio.Event)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        kept = Received(request.path, dict(request.headers), await request.read())
        assert request.method == "POST"
        self.received.append(kept)
        self.arrived.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        status = answer if isinstance(answer, int) else await answer()
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def wait_for(self, count: int) -> None:
        """Wait until this number of requests was received."""
        while len(self.received) < count:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 10)

    @property
    def types(self) -> list[str]:
        return [each.event["type"] for each in self.received]


@asynccontextmanager
async def receiving(*answers: Answer) -> AsyncIterator[Receiver]:
    """Run a receiver until the block ends."""
    receiver = Receiver(answers=list(answers) or [200])
    async with served(receiver.handle) as address:
        receiver.url = f"{address}/hook"
        yield receiver
