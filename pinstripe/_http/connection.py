"""One HTTP exchange on a connection of aiohttp's pool.

Connections, proxies, TLS and the parser are aiohttp's. Its session is left out: half of what a
small GET costs there is spent on making, for each request, what is the same for all requests to an
address. There are two ways to send a request:

- A request whose body and answer are in memory is written to the connection here: its own request
  line and headers, then the headers of the route, which are joined once for each set of names.
- Any other, and every request through a proxy, is sent by aiohttp's `ClientRequest`.

This uses names that aiohttp does not document. `trial` tries all of them out, so a new one needs a
step there; where one is missing, requests go over `session`. These things are added to the pool:

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
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from pinstripe._http.messages import CallProgress, Request
from pinstripe._http.routes import (
    MAX_HEADS,
    Connector,
    ProxyArguments,
    RawResponse,
    Route,
    UsedConnection,
    address_and_headers,
    check_head,
    poll_of,
    too_many_heads,
)

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


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
        if self.heads > MAX_HEADS:
            raise too_many_heads()
        return super().read()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Prepare to ask the operating system about the socket."""
        super().connection_made(transport)
        self._poll = poll_of(transport)

    def data_received(self, data: bytes) -> None:
        """Note that something arrived, and parse it."""
        self.untouched = False
        self._piece = data
        super().data_received(data)
        self._piece = b""

    def set_exception(self, exc: BaseException, *cause: Any, **named_cause: Any) -> None:
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
        super().set_exception(exc, *cause, **named_cause)

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


class GuardedConnector(Connector):
    """A pool that never returns a connection on which bytes arrived that nobody asked for.

    Every connection is a `TrackedConnection`.
    """

    def __init__(self, keepalive: float, context: ssl.SSLContext | None) -> None:
        super().__init__(keepalive, context)
        loop = asyncio.get_running_loop()
        make: Any = partial(TrackedConnection, loop=loop)  # partial is not covariant
        self._factory = make

    def open_route(self, origin: str, headers: Mapping[str, str], proxy: ProxyArguments) -> Route:
        """Return a route to an address; see `Connector.open_route`."""
        return DirectRoute(self, origin, headers, proxy)

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            assert isinstance(protocol, TrackedConnection)
            if not protocol.should_close and not protocol.has_unread():
                protocol.untouched = True
                break
            connection.close()
        return connection


class DirectRoute:
    """A route that leaves out aiohttp's session; see `Connector.open_route` for its arguments."""

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
        body: aiohttp.Payload | None,
        timeout: aiohttp.ClientTimeout,
        used: list[UsedConnection],
    ) -> RawResponse:
        """Send a request; see `Route.send`."""
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
            assert isinstance(protocol, TrackedConnection), "TCPConnector._factory is not used"
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

    def _client_request(
        self, request: Request, body: aiohttp.Payload | None
    ) -> aiohttp.ClientRequest:
        url, headers = address_and_headers(request, self._origin, self._headers)
        return aiohttp.ClientRequest(
            request.method,
            url,
            headers=headers,
            data=request.body if body is None else body,
            loop=self._loop,
            **self._proxy,
        )

    def _encode(self, request: Request) -> bytes:
        """Return a request as it goes over the wire."""
        lines = [f"{request.method} {request.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        body = request.body or b""
        if request.method != "GET":
            lines.append(f"Content-Length: {len(body)}")
        check_head("".join(lines))
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
