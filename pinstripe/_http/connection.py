"""One HTTP exchange, on a connection of aiohttp's pool.

Connections, proxies, TLS and the parser are aiohttp's. Its session is left out: half of what a
small GET costs there is spent on making, for each request, what is the same for all requests to an
address. So a request whose body and answer are in memory is written to the connection as it is,
behind a head that is made once; any other, and all that goes through a proxy, is sent by aiohttp's
`ClientRequest`.

This leans on aiohttp's lower floor, whose minor version is pinned for it and which tests hold. A
pooled connection on which unasked bytes arrived is thrown away, since aiohttp would hand them to
the next call as its answer; and a connection counts what it heard, so that one that was kept and
found dead is told from a server that fails.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

import aiohttp
from aiohttp.client_proto import ResponseHandler
from attrs import frozen
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Request

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.payload import Payload
    from aiohttp.tracing import Trace


class TrackedConnection(ResponseHandler):
    """A connection that knows whether anything has come since it was last handed out.

    Attributes:
        silent: Whether it was used before, and nothing has come since it is used again.
    """

    untouched = False
    _watched: select.poll | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to watch what comes."""
        super().connection_made(transport)
        if hasattr(select, "poll"):  # not on Windows: what the event loop has read must do
            self._watched = select.poll()
            self._watched.register(transport.get_extra_info("socket"), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self.untouched = False
        super().data_received(data)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 -- aiohttp's
        """Go on reading, where it was given up; aiohttp calls this after every piece of a body."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def has_news(self) -> bool:
        """Whether the other side sent something, or hung up, since the event loop last looked."""
        return self._watched is not None and bool(self._watched.poll(0))


class GuardedConnector(aiohttp.TCPConnector):
    """A pool that never hands out a connection on which something came unasked."""

    def track_connections(self) -> None:
        """Make every connection one that knows what it heard."""
        make: Any = partial(TrackedConnection, loop=self._loop)  # partial is not covariant
        self._factory = make

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            assert isinstance(protocol, TrackedConnection)
            if not protocol.should_close and not protocol.has_news():
                protocol.untouched = True
                break
            connection.close()
        return connection

    def forget(self) -> None:
        """Drop the pool untouched: closing it would reach into the event loop of a parent."""
        self._conns.clear()


class ProxyArguments(TypedDict, total=False):
    """What aiohttp takes to go through a proxy; nothing where it goes straight."""

    proxy: URL
    proxy_headers: dict[str, str]


@frozen(eq=False, repr=False)
class RawResponse:
    """The head of an answer, whose body is still to be read.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        content: The body.
        close: Gives the connection back where the body was read to its end, and else ends it. It
            waits for nothing: neither for an answer that is of no use any more, nor for an upload
            that the server does not want.
    """

    status: int
    headers: CIMultiDictProxy[str]
    content: aiohttp.StreamReader
    close: Callable[[], None]

    @property
    def length(self) -> int | None:
        """Bytes of the body as they go over the wire; None where the head does not tell."""
        length = self.headers.get("Content-Length")
        return None if length is None else int(length)


class Route:
    """The way to one address of the API.

    Args:
        connector: The pool.
        origin: The address.
        headers: Headers of every request that has none of the same name, in whatever case.
        proxy: The proxy on the way.
    """

    def __init__(
        self,
        connector: GuardedConnector,
        origin: str,
        headers: Mapping[str, str],
        proxy: ProxyArguments,
    ) -> None:
        self._connector = connector
        self._origin = origin
        self._headers = headers
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._any = aiohttp.ClientRequest("GET", URL(origin), headers=headers, loop=self._loop)
        self._heads: dict[tuple[str, ...], str] = {}

    async def send(
        self,
        request: Request,
        body: Payload | None,
        timeout: aiohttp.ClientTimeout,
        used: list[TrackedConnection],
    ) -> RawResponse:
        """Send a request and return the head of its answer.

        Args:
            request: What to send.
            body: Its body, where that is streamed.
            timeout: How long connecting may take.
            used: Takes the connection, as soon as there is one.
        """
        in_memory = body is None and request.sink is None and not self._proxy
        sender = self._any if in_memory else self._sender(request, body)
        try:
            connection = await self._connector.connect(sender, [], timeout)
        except asyncio.TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        try:
            protocol = connection.protocol
            assert isinstance(protocol, TrackedConnection)
            used.append(protocol)
            protocol.set_response_params(read_until_eof=True)
            if in_memory:
                return await self._ask(connection, protocol, request)
            return await _ask_in_pieces(connection, sender)
        except BaseException:
            connection.close()
            raise

    def _sender(self, request: Request, body: Payload | None) -> aiohttp.ClientRequest:
        query = f"?{request.query}" if request.query else ""
        headers = CIMultiDict(self._headers)
        headers.update(request.headers)
        return aiohttp.ClientRequest(
            request.method,
            URL(f"{self._origin}{request.path}{query}", encoded=True),
            headers=headers,
            data=request.body if body is None else body,
            loop=self._loop,
            **self._proxy,
        )

    async def _ask(
        self, connection: Connection, protocol: TrackedConnection, request: Request
    ) -> RawResponse:
        transport = protocol.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError("the connection was lost")
        transport.write(self._bytes_of(request))
        message, content = await protocol.read()
        while 100 <= message.code < 200 and not protocol.upgraded:
            message, content = await protocol.read()
        return RawResponse(message.code, message.headers, content, connection.release)

    def _bytes_of(self, request: Request) -> bytes:
        target = f"{request.path}?{request.query}" if request.query else request.path
        lines = [f"{request.method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        body = request.body or b""
        if request.method != "GET":
            lines.append(f"Content-Length: {len(body)}")
        # Nothing that could end a line has come so far; here it would be another request.
        text = "".join(lines)
        if not (text.isascii() and text.isprintable()):
            raise ConfigurationError("headers", "hold a character that cannot be sent")
        names = tuple(request.headers)
        head = self._heads.get(names)
        if head is None:  # calls have but a few sets of names
            head = self._heads[names] = self._head_beside(names)
        return "\r\n".join((*lines, head, "")).encode() + body

    def _head_beside(self, names: Sequence[str]) -> str:
        """Return the headers of the route that a request with these of its own does not replace."""
        fixed, replaced = self._any.headers, {name.lower() for name in names}
        kept = [f"{n}: {value}\r\n" for n, value in fixed.items() if n.lower() not in replaced]
        return "".join(kept)


async def _ask_in_pieces(connection: Connection, sender: aiohttp.ClientRequest) -> RawResponse:
    answer = await sender.send(connection)
    try:
        await answer.start(connection)
    except BaseException:
        answer.close()
        raise
    return RawResponse(answer.status, answer.headers, answer.content, answer.close)
