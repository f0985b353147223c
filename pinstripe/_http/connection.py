"""One HTTP exchange on a connection of aiohttp's pool.

Connections, proxies, TLS and the parser are aiohttp's. Its session is left out: half of what a
small GET costs there is spent on making, for each request, what is the same for all requests to an
address. There are two ways to send a request:

- A request whose body and answer are in memory is written to the connection here: its own request
  line and headers, then the headers of the route, which are joined once for each set of names.
- Any other, and every request through a proxy, is sent by aiohttp's `ClientRequest`.

This uses names that aiohttp does not document; its minor version is capped for that reason, and
tests hold what is used. These things are added to its pool:

- A pooled connection on which bytes arrived that nobody asked for is closed, since aiohttp would
  take them for the answer to the next request.
- A connection remembers whether anything arrived since it was taken from the pool. So a kept
  connection that turns out to be dead is not mistaken for a server that fails.
- The time to connect covers everything before the first byte of a request: the lookup of the name,
  the proxy's CONNECT and TLS. A name is looked up in a thread that nothing waits for.
- The head of an answer is kept, even if its body is damaged; and a server that sends interim
  answers, such as 103, without an end is not listened to.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL  # pyright: ignore[reportPrivateUsage]
from aiohttp.http_exceptions import HttpProcessingError
from attrs import frozen
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pinstripe._concurrency.daemon_thread import in_daemon_thread
from pinstripe._concurrency.deadlines import deadline_in
from pinstripe._core.errors import ConfigurationError, ConnectionLost
from pinstripe._http.messages import CallProgress, Request

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.payload import Payload
    from aiohttp.tracing import Trace

_MAX_HEADS = 8
"""Heads that a server may send for one request: the answer's, and those of interim answers before
it. RFC 9110 names no bound; what is in use are a 100 and a 103."""


class TrackedConnection(ResponseHandler):
    """A connection that knows what arrived since it was taken from the pool.

    Attributes:
        untouched: Whether it was taken from the pool, used before, and nothing arrived since.
        heads: How many heads were read for the present request.
    """

    untouched = False
    heads = 0
    _piece = b""
    _poll: select.poll | None = None

    def read(self) -> Any:
        """Return the next head and its body, as `DataQueue.read` does.

        Raises:
            ConnectionLost: There were too many for one request.
        """
        self.heads += 1
        if self.heads > _MAX_HEADS:
            raise ConnectionLost(f"the server sent {_MAX_HEADS} interim answers and no answer")
        return super().read()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Prepare to ask the operating system about the socket."""
        super().connection_made(transport)
        if hasattr(select, "poll"):  # not on Windows; there only aiohttp's own check is left
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket"), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Note that something arrived, and parse it."""
        self.untouched = False
        self._piece = data
        super().data_received(data)
        self._piece = b""

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _EXC_SENTINEL) -> None:
        """Note that no more can be read, and keep what was read of an answer.

        If a body is damaged, aiohttp's parser drops the head that came in the same piece, and
        leaves the reader of a body whose head came earlier without an end.
        """
        if isinstance(exc, HttpProcessingError):
            damaged = self._payload
            if damaged is None or damaged.is_eof():
                damaged = self._keep_head()
            if damaged is not None:
                damaged.set_exception(aiohttp.ClientPayloadError())
        super().set_exception(exc, exc_cause)

    def _keep_head(self) -> aiohttp.StreamReader | None:
        """Parse the head in the latest piece once more, without what follows it."""
        head, end, _ = self._piece.partition(b"\r\n\r\n")
        with suppress(Exception):  # if the head is damaged, there is no answer
            self.set_response_params(read_until_eof=True, auto_decompress=False)
            assert self._parser is not None
            messages, _, _ = self._parser.feed_data(head + end)
            self.feed_data(messages[0], 0)
            return messages[0][1]
        return None

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 -- aiohttp's
        """Resume reading if it is paused; aiohttp calls this after every piece of a body."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def has_unread(self) -> bool:
        """Return whether bytes, or the end, arrived that the event loop has not read yet."""
        return self._poll is not None and bool(self._poll.poll(0))


class _Lookups:
    """The two lookups of an event loop, each in a thread that nothing waits for.

    The resolver of the operating system can hang for minutes, and cannot be interrupted.
    """

    async def getaddrinfo(self, *args: Any, **kwargs: Any) -> Any:
        return await in_daemon_thread(socket.getaddrinfo, *args, **kwargs)

    async def getnameinfo(self, *args: Any) -> Any:
        return await in_daemon_thread(socket.getnameinfo, *args)


def resolver() -> aiohttp.ThreadedResolver:
    """Return what looks up the names of hosts."""
    return aiohttp.ThreadedResolver(cast("asyncio.AbstractEventLoop", _Lookups()))


class GuardedConnector(aiohttp.TCPConnector):
    """A pool that never returns a connection on which bytes arrived that nobody asked for."""

    def track_connections(self) -> None:
        """Make every connection a `TrackedConnection`."""
        make: Any = partial(TrackedConnection, loop=self._loop)  # partial is not covariant
        self._factory = make

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            assert isinstance(protocol, TrackedConnection)
            if not protocol.should_close and not protocol.has_unread():
                protocol.untouched = True
                break
            connection.close()
        return connection

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        # aiohttp applies this timeout to each address of a host, and not to its lookup.
        seconds = timeout.sock_connect
        assert seconds is not None
        async with deadline_in(seconds):
            return await super()._create_connection(req, traces, timeout)

    def forget(self) -> None:
        """Drop the pool without closing it: that would use the event loop of a parent process."""
        self._conns.clear()


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


class Route:
    """Sends requests to one address of the API.

    Args:
        connector: The pool.
        origin: The address.
        headers: Headers of every request that has none of the same name, in upper or lower case.
        proxy: The proxy to go through.
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
        # Stands for every request to this address: it names the pool and holds the shared headers.
        self._shared = aiohttp.ClientRequest("GET", URL(origin), headers=headers, loop=self._loop)
        self._shared_heads: dict[tuple[str, ...], str] = {}

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
            body: Its body if that is streamed.
            timeout: How long connecting may take.
            used: Gets the connection as soon as there is one.
        """
        progress = request.progress
        progress.stage = "connection"
        in_memory = body is None and request.sink is None and not self._proxy
        client_request = self._shared if in_memory else self._client_request(request, body)
        try:
            connection = await self._connector.connect(client_request, [], timeout)
        except asyncio.TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        try:
            protocol = connection.protocol
            assert isinstance(protocol, TrackedConnection)
            used.append(protocol)
            protocol.heads = 0
            # aiohttp's own decompression does not notice a body that is cut.
            protocol.set_response_params(read_until_eof=True, auto_decompress=False)
            if not in_memory:
                return await _send_by_aiohttp(connection, client_request, progress)
            transport = protocol.transport
            # aiohttp checks this in the writer that is left out here.
            if transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("the connection was lost")  # noqa: TRY301 -- closed below
            head_and_body = self._encode(request)
            progress.stage = "answer"
            transport.write(head_and_body)
            message, content = await protocol.read()
            # Interim answers, such as 103, come before the answer itself.
            while 100 <= message.code < 200 and not protocol.upgraded:
                message, content = await protocol.read()
            progress.stage = "body"
            return RawResponse(message.code, message.headers, content, connection.release)
        except BaseException:
            connection.close()
            raise

    def _client_request(self, request: Request, body: Payload | None) -> aiohttp.ClientRequest:
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

    def _encode(self, request: Request) -> bytes:
        """Return a request as it goes over the wire."""
        target = f"{request.path}?{request.query}" if request.query else request.path
        lines = [f"{request.method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        body = request.body or b""
        if request.method != "GET":
            lines.append(f"Content-Length: {len(body)}")
        # A line break in a value would end its line, and what follows would be another request.
        text = "".join(lines)
        if not (text.isascii() and text.isprintable()):
            raise ConfigurationError("headers", "hold a character that cannot be sent; use ASCII")
        # The headers of the route, without those that the request replaces. The requests of a
        # client have only a few sets of header names, so each set gets its text once.
        names = tuple(request.headers)
        shared_head = self._shared_heads.get(names)
        if shared_head is None:
            replaced = {name.lower() for name in names}
            headers = self._shared.headers.items()
            kept = [f"{n}: {value}\r\n" for n, value in headers if n.lower() not in replaced]
            shared_head = self._shared_heads[names] = "".join(kept)
        return "\r\n".join((*lines, shared_head, "")).encode() + body


async def _send_by_aiohttp(
    connection: Connection, client_request: aiohttp.ClientRequest, progress: CallProgress
) -> RawResponse:
    progress.stage = "answer"
    answer = await client_request.send(connection)
    try:
        await answer.start(connection)
    except BaseException:
        answer.close()
        raise
    progress.stage = "body"
    return RawResponse(answer.status, answer.headers, answer.content, answer.close)
