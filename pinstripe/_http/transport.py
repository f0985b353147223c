"""The protocol that carries requests to the API, and its implementation over aiohttp.

A transport is the one place where a client meets the network, so tests can replace it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pinstripe._concurrency.daemon_thread import in_daemon_thread
from pinstripe._concurrency.loop_local import LoopLocal
from pinstripe._config.client import Config
from pinstripe._config.proxy import proxy_for
from pinstripe._config.tls import ssl_context
from pinstripe._core.forks import no_fork
from pinstripe._http.messages import Request, Response
from pinstripe._limits.gate import client_closed_error

if TYPE_CHECKING:
    from pinstripe._http.exchange import Connections


class Transport(Protocol):
    """Carries requests to the API, by an HTTP library or with the answers of a test.

    It streams the `upload` of a request. It may ignore a `sink` and read the answer into memory. It
    reports the `progress` of a request, or else nothing is certain about one that is cut short.
    """

    async def send(self, request: Request) -> Response:
        """Send one request, once, and return its answer, with any status.

        Args:
            request: What to send; the transport adds the address and, unless the request is
                anonymous, the API key.

        Raises:
            TransportError: There is no usable answer. Its `outcome` says whether a byte of the
                request can have left.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


# The module that users import it from.
Transport.__module__ = "pinstripe"


class AiohttpTransport:
    """A transport over aiohttp.

    A pool of connections belongs to one event loop. So each event loop of each process gets one
    with its first request. It is closed by the end of its loop, which closes the async generators
    that were started in it, or by `aclose`. Connections of a loop that ended in another way, or of
    a parent process, are dropped without a step that would use them.

    The first request also imports aiohttp and reads the certificates, in a thread. That takes 150
    to 300 ms, which count towards the deadline but do not block the event loop. No fork is made
    meanwhile, and the thread is none of asyncio's, which starts no more of those after the end of
    the main thread. Starting the thread when the client is made would gain nothing: all but the
    reading of certificates, which comes last, holds the interpreter lock.

    Args:
        config: The addresses, the key and the settings of the pool.

    Raises:
        ConfigurationError: The environment holds an address of a proxy that is not valid.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        origins = (config.base_url, config.files_url)
        self._proxies = {url: proxy_for(url, config.proxy) for url in origins}
        self._uses_tls = any(url.lower().startswith("https:") for url in origins)
        self._local: LoopLocal[Connections] = LoopLocal()
        self._opening: LoopLocal[asyncio.Lock] = LoopLocal()
        self._keepers: LoopLocal[AsyncGenerator[None, None]] = LoopLocal()
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Send one request; see `Transport.send`."""
        request.progress.stage = "connection"
        connections = self._local.get()
        if connections is None:
            connections = await self.open()
        return await connections.exchange(request)

    async def open(self) -> Connections:
        """Return the connections of this event loop; make them if there are none.

        Raises:
            ConnectionLost: The client was closed.
        """
        lock = self._opening.get()
        if lock is None:
            lock = asyncio.Lock()
            self._opening.set(lock)
        async with lock:
            # Another task may have made them while this one waited for the lock.
            connections = self._local.get()
            if connections is not None:
                return connections
            make = await in_daemon_thread(self._prepare)
            if self._closed:
                raise client_closed_error()
            connections = make()
            # Starts the generator, so that the end of this event loop closes it.
            keeper = _keep(connections)
            await anext(keeper)
            self._keepers.set(keeper)
            for dropped in self._local.set(connections):
                dropped.abandon()
            # Not before, since another thread may close the client at any time.
            if self._closed:
                await self.aclose()
                raise client_closed_error()
            return connections

    def _prepare(self) -> Callable[[], Connections]:
        """Do what takes long, and return a function that does the rest in the event loop."""
        with no_fork():
            is_first = "aiohttp" not in sys.modules
            # Slow, so only when needed.
            from pinstripe._http import compatibility, exchange  # noqa: PLC0415

            make_connector = compatibility.connector_class()

            tls, context = self._config.tls, None
            if self._uses_tls:
                # If aiohttp was imported just now, it read the certificates a moment ago.
                ready = exchange.ready_context() if is_first and tls is None else None
                context = ready or ssl_context(tls)
        return partial(exchange.Connections, self._config, self._proxies, context, make_connector)

    async def aclose(self) -> None:
        """Close all connections; later calls are refused, in every event loop."""
        self._closed = True
        keeper = self._keepers.get()
        self._local.clear()
        # Nothing refers to the keepers of other event loops any more, so those close them, in their
        # own threads. Connections of a parent process are not ours to close.
        self._keepers.clear()
        if keeper is not None:
            await keeper.aclose()


async def _keep(connections: Connections) -> AsyncGenerator[None, None]:
    """Close connections when this generator is closed."""
    try:
        yield
    finally:
        await connections.aclose()
