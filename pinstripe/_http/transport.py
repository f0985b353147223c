"""The seam to the network, and its one implementation, opened when the first request is sent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pinstripe._concurrency.loop_local import LoopLocal
from pinstripe._config.client import Config
from pinstripe._config.proxy import proxy_for
from pinstripe._config.tls import ssl_context
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Request, Response

if TYPE_CHECKING:
    from pinstripe._http.exchange import Connections


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


# The module that users import it from.
Transport.__module__ = "pinstripe"


class AiohttpTransport:
    """A transport over aiohttp.

    A pool belongs to one event loop, so it is made when the first request is sent, and made
    anew where the loop or the process is another one. It is closed by `aclose`, or by the end of
    its loop, whose last act is to close the async generators that were started in it. aiohttp is
    imported by the first request too, in a thread, where the certificates are read as well: that
    takes 150 to 300 ms, which count in the deadline but do not hold it up. The thread is one of
    asyncio's, since anyio's would first have 30 ms of imports of its own. A thread that began it
    when the client is made would gain nothing, since all but the reading of certificates, which
    comes last, takes turns with this thread; and a fork meanwhile would leave the child with a
    lock on the import that nobody opens.

    Args:
        config: The addresses, the key and the pool.

    Raises:
        ConfigurationError: The environment names a proxy that is none.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._proxies = {url: proxy_for(url, config.proxy) for url in _origins(config)}
        self._local: LoopLocal[Connections] = LoopLocal()
        self._opening: LoopLocal[asyncio.Lock] = LoopLocal()
        self._keeper: AsyncGenerator[None, None] | None = None
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Send one request; see `Transport.send`."""
        connections = self._local.get()
        if connections is None:
            connections = await self.open()
        return await connections.exchange(request)

    async def open(self) -> Connections:
        """Return the connections of this event loop, and make them first if they are not there."""
        lock = self._opening.get()
        if lock is None:
            lock = asyncio.Lock()
            self._opening.set(lock)
        async with lock:
            return self._local.get() or await self._open()

    async def _open(self) -> Connections:
        make = await asyncio.to_thread(self._prepare)
        if self._closed:
            raise ConfigurationError("client", "is closed")
        connections = make()
        replaced = self._local.set(connections)
        if replaced is not None:
            replaced.abandon()
        self._keeper = _keep(connections)
        await anext(self._keeper)
        return connections

    def _prepare(self) -> Callable[[], Connections]:
        """Do what takes long, and return what is left to be done in the event loop."""
        is_first = "aiohttp" not in sys.modules
        from pinstripe._http import exchange  # noqa: PLC0415 -- slow, so only when needed

        tls, context = self._config.tls, None
        if any(url.lower().startswith("https:") for url in _origins(self._config)):
            # Where aiohttp read the certificates just now, they need not be read once more.
            ready = exchange.ready_context() if is_first and tls is None else None
            context = ready or ssl_context(tls)
        return partial(exchange.Connections, self._config, self._proxies, context)

    async def aclose(self) -> None:
        """Close every connection; later calls are refused."""
        self._closed = True
        here = self._local.get() is not None
        keeper, self._keeper = self._keeper, None
        self._local.clear()
        if keeper is not None and here:
            await keeper.aclose()


async def _keep(connections: Connections) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await connections.aclose()


def _origins(config: Config) -> tuple[str, str]:
    return config.base_url, config.files_url
