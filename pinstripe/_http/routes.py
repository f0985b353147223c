"""What the two ways to send a request over aiohttp have in common.

`connection` is the usual way; it leans on names that aiohttp does not document. `session` goes
over aiohttp's public session, for an aiohttp of which `connection` has lost one of them. Each has a
`Connector`, which is the pool, and a `Route` to each address of the API.
"""

from __future__ import annotations

import select
import socket
import ssl
import sys
from abc import ABC, abstractmethod
from asyncio import BaseTransport
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypedDict

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from attrs import frozen
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pinstripe._concurrency.daemon_thread import in_daemon_thread
from pinstripe._core.errors import ConfigurationError, ConnectionLost
from pinstripe._http.messages import Request

MAX_HEADS = 8
"""Heads that a server may send for one request: the answer's, and those of interim answers before
it. RFC 9110 names no bound; what is in use are a 100 and a 103."""


def too_many_heads() -> ConnectionLost:
    """Return the error for more heads than that."""
    return ConnectionLost(f"the server sent {MAX_HEADS} interim answers and no answer")


def check_head(text: str) -> None:
    """Refuse a head with a line break, behind which the rest would be another request.

    Args:
        text: What goes into the head, without the breaks between its lines.

    Raises:
        ConfigurationError: It holds such a character, or any other that cannot be sent.
    """
    if not (text.isascii() and text.isprintable()):
        raise ConfigurationError("headers", "hold a character that cannot be sent; use ASCII")


def address_and_headers(
    request: Request, origin: str, shared: Mapping[str, str]
) -> tuple[URL, CIMultiDict[str]]:
    """Return the whole address and all headers of a request.

    Args:
        request: The request.
        origin: The address of the API.
        shared: The headers of every request, which those of the request replace.
    """
    headers = CIMultiDict(shared)
    headers.update(request.headers)
    return URL(f"{origin}{request.target}", encoded=True), headers


def poll_of(transport: BaseTransport) -> select.poll | None:
    """Return what asks the operating system whether bytes, or the end, wait to be read.

    Args:
        transport: The connection.

    Returns:
        The poll; None on Windows, where only aiohttp's own check is left, or if there is no socket.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "poll"):
        return None
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll


class ProxyArguments(TypedDict, total=False):
    """What aiohttp needs to know of a proxy; empty if there is none."""

    proxy: URL
    proxy_headers: dict[str, str]


@frozen(eq=False, repr=False)
class RawResponse:
    """The head of an answer, whose body is still to be read.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        content: The body.
        close: Returns the connection to the pool if the body was read to its end; closes it
            otherwise. It does not wait for the rest of an answer or of an upload.
    """

    status: int
    headers: CIMultiDictProxy[str]
    content: aiohttp.StreamReader
    close: Callable[[], None]

    @property
    def length(self) -> int | None:
        """Bytes of the body on the wire; None if the headers do not say."""
        length = self.headers.get("Content-Length")
        return None if length is None else int(length)

    @property
    def has_end(self) -> bool:
        """Whether the body says where it ends, so that one that is cut short cannot look whole."""
        if "Content-Length" in self.headers or self.status == 204:
            return True
        return self.headers.get("Transfer-Encoding", "").strip().lower() == "chunked"


class UsedConnection(Protocol):
    """A connection that a request was given.

    Attributes:
        untouched: Whether it was taken from the pool, used before, and nothing arrived since.
    """

    untouched: bool


class Route(Protocol):
    """Sends requests to one address of the API."""

    async def send(
        self,
        request: Request,
        body: aiohttp.Payload | None,
        timeout: aiohttp.ClientTimeout,
        used: list[UsedConnection],
    ) -> RawResponse:
        """Send a request, once, and return the head of its answer.

        It reports the progress of the request.

        Args:
            request: What to send.
            body: Its body if that is streamed.
            timeout: How long connecting may take.
            used: Gets the connection as soon as there is one.
        """
        ...


class Connector(aiohttp.TCPConnector, ABC):
    """The connections of a client in one event loop.

    Args:
        keepalive: Seconds for which a connection is kept that no request uses.
        context: The TLS context; None if no address uses https.
    """

    _forgotten = False

    def __init__(self, keepalive: float, context: ssl.SSLContext | None) -> None:
        # No limit here: the limiter of the client bounds requests in flight.
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            limit=0, keepalive_timeout=keepalive, ssl=context or True, resolver=_Resolver()
        )

    @abstractmethod
    def open_route(self, origin: str, headers: Mapping[str, str], proxy: ProxyArguments) -> Route:
        """Return a route to an address.

        Args:
            origin: The address.
            headers: Headers of every request that has none of the same name, in upper or lower
                case.
            proxy: The proxy to go through.
        """
        ...

    def forget(self) -> None:
        """Drop the pool without closing it: that would use the event loop of a parent process."""
        self._forgotten = True

    def __del__(self, *args: Any) -> None:
        # There aiohttp closes what nobody has closed.
        finalize = getattr(super(), "__del__", None)
        if finalize is not None and not self._forgotten:
            finalize(*args)


class _Resolver(AbstractResolver):
    """Looks up names in a thread that nothing waits for.

    The resolver of the operating system can hang for minutes, and cannot be interrupted.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return await in_daemon_thread(_look_up, host, port, family)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    # On Windows without a network, this flag would leave out localhost.
    flags = 0 if sys.platform == "win32" else socket.AI_ADDRCONFIG
    infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
    return [
        ResolveResult(
            hostname=host,
            # The address as text, with the interface of one that is valid only there.
            host=socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0],
            port=port,
            family=found,
            proto=proto,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for found, _, proto, _, address in infos
    ]
