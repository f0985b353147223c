"""A small server for the demo to receive with: it takes whatever comes, and keeps it."""

from __future__ import annotations

import asyncio

from attrs import frozen
from typing_extensions import Self


@frozen
class Received:
    """One request that came: its headers under lower-case names, and its body."""

    headers: dict[str, str]
    body: bytes


class Listener:
    """A server on a free port of this machine that answers 200 to everything."""

    def __init__(self) -> None:
        self._received: list[Received] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def take(self) -> list[Received]:
        """Return what came since the last time."""
        received, self._received = self._received, []
        return received

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        pairs = (line.partition(":") for line in head.splitlines()[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        self._received.append(Received(headers, body))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()
