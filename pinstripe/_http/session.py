"""One HTTP exchange over aiohttp's public session.

This is the way for an aiohttp of which `connection` cannot be used, by documented names only. It
costs more, since a session makes anew for each request what is the same for all of them, and it
keeps the same guarantees:

- The session asks the connector for each connection. So that is where a request learns that it has
  one, and where a kept connection is closed on which bytes arrived that nobody asked for.
- A `WatchedConnection` stands between each connection and aiohttp. It knows what arrived, and hands
  on one head at a time: so the head of an answer is kept, even if its body is damaged, and a server
  that sends interim answers without an end is not listened to.
- The session repeats a GET or a DELETE by itself if the connection is lost. It is given another
  error in place of that one.
- It follows no redirect, keeps no cookie, reads no environment and decompresses nothing, and no
  instrumentation of aiohttp sees what it sends: that could record personal data.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp
from attrs import define

from pinstripe._core.errors import ConnectionLost
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
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
    from aiohttp.connector import Connection


class WatchedConnection(asyncio.Protocol):
    """The protocol of a connection; it hands everything on to that of aiohttp.

    Args:
        transport: The connection.

    Attributes:
        untouched: Whether it was taken from the pool, used before, and nothing arrived since.
        problem: Why the present request gets no answer, if aiohttp does not know it.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._aiohttps: Any = transport.get_protocol()
        self._transport = transport
        self._poll = poll_of(transport)
        self._has_unasked = False
        self._is_lost = False
        self.use(untouched=False)
        transport.set_protocol(self)

    def use(self, *, untouched: bool) -> None:
        """Prepare for a request.

        Args:
            untouched: Whether the connection was used before.
        """
        self.untouched = untouched
        self.problem: ConnectionLost | None = None
        self.heads = 0
        self._line = b""
        self._has_head = False
        self._content: aiohttp.StreamReader | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing arrived that nobody asked for."""
        # With an aiohttp that does not say this, no connection is used twice.
        has_surplus: bool = getattr(self._aiohttps, "should_close", True)
        has_unread = self._poll is not None and bool(self._poll.poll(0))
        return not (has_surplus or has_unread or self._has_unasked)

    def read_body(self, content: aiohttp.StreamReader) -> None:
        """Note the body of the answer, whose head was read.

        Args:
            content: The body.
        """
        self._content = content
        if self._is_lost:
            self._end_body()

    def data_received(self, data: bytes) -> None:
        """Note that something arrived, and hand it on."""
        self.untouched = False
        if self._content is not None and self._content.is_eof():
            self._has_unasked = True
        if not self._has_head:
            data = self._hand_on_heads(data)
        if data:
            self._hand_on(data)

    def _hand_on(self, data: bytes) -> None:
        if not isinstance(self._aiohttps, asyncio.BufferedProtocol):
            self._aiohttps.data_received(data)
            return
        while data:
            buffer: Any = self._aiohttps.get_buffer(len(data))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self._aiohttps.buffer_updated(size)
            data = data[size:]

    def _hand_on_heads(self, data: bytes) -> bytes:
        """Hand on every head by itself, up to that of the answer, and return the rest."""
        while not self._has_head:
            end = data.find(b"\r\n\r\n") + 4
            # The line can come in pieces. Its status begins with a 1 if the answer is interim.
            self._line = (self._line + data[:10])[:10]
            if end < 4:
                break
            self.heads += 1
            self._has_head = not self._line.endswith(b" 1")
            if self.heads == MAX_HEADS and not self._has_head:
                self.problem = too_many_heads()
                self._transport.abort()
                return b""
            self._hand_on(data[:end])
            data, self._line = data[end:], b""
        return data

    def eof_received(self) -> bool | None:
        """Hand this on."""
        ends: bool | None = self._aiohttps.eof_received()
        return ends

    def pause_writing(self) -> None:
        """Hand this on."""
        self._aiohttps.pause_writing()

    def resume_writing(self) -> None:
        """Hand this on."""
        self._aiohttps.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that no more comes, and hand that on."""
        self._is_lost = True
        self._aiohttps.connection_lost(exc)
        self._end_body()

    def _end_body(self) -> None:
        """End a body that is damaged: aiohttp would have its reader wait for ever."""
        content = self._content
        if content is not None and not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError())


@define(eq=False, repr=False)
class _Attempt:
    """What a request needs to tell the connector, which the session asks for a connection."""

    progress: CallProgress
    used: list[UsedConnection]
    connection: WatchedConnection | None = None


_attempt: ContextVar[_Attempt] = ContextVar("_attempt")


class SessionConnector(Connector):
    """A pool that never returns a connection on which bytes arrived that nobody asked for.

    Every connection has a `WatchedConnection`.
    """

    def __init__(self, keepalive: float, context: ssl.SSLContext | None) -> None:
        super().__init__(keepalive, context)
        self.session = aiohttp.ClientSession(
            connector=self,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            middlewares=(_hide_loss,),
        )
        self.session.trace_configs.clear()  # those of an instrumentation

    def open_route(self, origin: str, headers: Mapping[str, str], proxy: ProxyArguments) -> Route:
        """Return a route to an address; see `Connector.open_route`."""
        return SessionRoute(self.session, origin, headers, proxy)

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        """Return a connection for the request of this task; the session calls this."""
        attempt = _attempt.get()
        attempt.progress.stage = "connection"
        while True:
            connection = await super().connect(*args, **kwargs)
            transport = connection.transport
            if transport is None or transport.is_closing():
                connection.close()
                raise aiohttp.ClientConnectionResetError("it was closed at once")
            watched = transport.get_protocol()
            if not isinstance(watched, WatchedConnection):
                watched = WatchedConnection(transport)
                break
            if watched.is_clean:
                watched.use(untouched=True)
                break
            connection.close()
        attempt.connection = watched
        attempt.used.append(watched)
        attempt.progress.stage = "answer"
        return connection

    def forget(self) -> None:
        """Drop the pool without closing it; see `Connector.forget`."""
        super().forget()
        self.session.detach()


class SessionRoute:
    """A route over a session; see `Connector.open_route` for its other arguments."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        origin: str,
        headers: Mapping[str, str],
        proxy: ProxyArguments,
    ) -> None:
        self._session = session
        self._origin = origin
        self._headers = headers
        self._proxy = proxy

    async def send(
        self,
        request: Request,
        body: aiohttp.Payload | None,
        timeout: aiohttp.ClientTimeout,
        used: list[UsedConnection],
    ) -> RawResponse:
        """Send a request; see `Route.send`."""
        progress = request.progress
        check_head("".join((request.target, *request.headers, *request.headers.values())))
        # Not the session's own headers, which it would send to a proxy too.
        url, headers = address_and_headers(request, self._origin, self._headers)
        attempt = _Attempt(progress, used)
        # If the session should not ask the connector, nothing would be known about the request.
        progress.stage = "answer"
        token = _attempt.set(attempt)
        try:
            answer = await self._session.request(
                request.method,
                url,
                headers=headers,
                skip_auto_headers=None if request.body else ("Content-Type",),
                data=(request.body or None) if body is None else body,
                allow_redirects=False,
                timeout=timeout,
                **self._proxy,
            )
            assert attempt.connection is not None
            attempt.connection.read_body(answer.content)
            progress.stage = "body"
            return RawResponse(answer.status, answer.headers, answer.content, answer.close)
        except _Lost as lost:
            problem = lost.error
        finally:
            _attempt.reset(token)
        raise (attempt.connection and attempt.connection.problem) or problem


class _Lost(Exception):
    """Carries an error past the session."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def _hide_loss(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send a request; a middleware, so that the session does not repeat it by itself."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        problem = error
    # Raised here, so that the error has no context.
    raise _Lost(problem)
