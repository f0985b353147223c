"""The seam to the network, and its one implementation, opened when the first request is sent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from anyio.to_thread import run_sync

from pinstripe._config import Config
from pinstripe._errors import ConfigurationError
from pinstripe._wire import Request, Response

if TYPE_CHECKING:
    from pinstripe._aiohttp import Connections


class Transport(Protocol):
    """What carries requests to the API: an HTTP library, or a test's own answers.

    It streams the `upload` of a request. It may leave a `sink` alone and read the answer whole.
    """

    async def send(self, request: Request) -> Response:
        """Send one request, once, and return its answer, whatever its status.

        Args:
            request: What to send; the transport adds the address and, unless the request is
                anonymous, the API key.

        Raises:
            TransportError: There is no usable answer.
        """
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...


class AiohttpTransport:
    """A transport over aiohttp.

    A session belongs to one event loop, so it is made when the first request is sent, and made
    anew where the loop or the process is another one. It is closed by `aclose`, or by the end of
    its loop, whose last act is to close the async generators that were started in it. aiohttp is
    imported by the first request too, in a thread: the import takes 150 to 250 ms. A thread that
    began it when the client is made would gain nothing, since all but the reading of certificates,
    which comes last, takes turns with this thread; and a fork meanwhile would leave the child with
    a lock on the import that nobody opens.

    Args:
        config: The addresses, the key and the pool.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._connections: Connections | None = None
        self._keeper: AsyncGenerator[None, None] | None = None
        self._owner: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Send one request; see `Transport.send`."""
        if self._connections is None or self._owner != _here():
            await self.open()
        assert self._connections is not None
        return await self._connections.exchange(request)

    async def open(self) -> None:
        """Make the session of this event loop, if it is not there."""
        aiohttp_leaf = await run_sync(_import_leaf)
        if self._closed:
            raise ConfigurationError("client", "is closed")
        if self._owner == _here():
            return
        if self._connections is not None:
            self._connections.abandon()
        connections: Connections = aiohttp_leaf.Connections(self._config)
        self._connections, self._owner = connections, _here()
        self._keeper = _keep(connections)
        await anext(self._keeper)

    async def aclose(self) -> None:
        """Close every connection; later calls are refused."""
        self._closed = True
        keeper, self._connections, self._keeper = self._keeper, None, None
        if keeper is not None and self._owner == _here():
            await keeper.aclose()


async def _keep(connections: Connections) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await connections.aclose()


def _here() -> tuple[asyncio.AbstractEventLoop, int]:
    return asyncio.get_running_loop(), os.getpid()


def _import_leaf() -> ModuleType:
    from pinstripe import _aiohttp  # noqa: PLC0415 -- slow, so only when needed

    return _aiohttp
