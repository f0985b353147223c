"""The leaf that talks HTTP: one tuned aiohttp session, and aiohttp's errors made ours.

Three settings lean on private names of aiohttp, whose minor version is pinned for it and which
tests hold: its hidden second attempt of a GET is switched off, so that attempts are counted in
one place; a pooled connection on which unasked bytes arrived is thrown away, since aiohttp would
hand them to the next call as its answer; and a connection counts what it heard, so that one that
was kept and found dead is told from a server that fails.
"""

from __future__ import annotations

import asyncio
import base64
import math
import platform
import select
import ssl
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.payload import Payload
from yarl import URL

from pinstripe._config import Config, Timeout
from pinstripe._errors import (
    CertificateError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    ResponseError,
    ResponseTooLarge,
    TransportError,
    with_response,
)
from pinstripe._network import Proxy
from pinstripe._version import __version__
from pinstripe._wire import Request, Response, Sink, Upload

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_KEPT_OF_A_LONG_BODY = 64 * 1024
_USER_AGENT = f"pinstripe/{__version__} Python/{platform.python_version()}"


_reused: ContextVar[list[Listener]] = ContextVar("_reused")
"""Where the connector tells the request of its task which kept connection it got."""


class Listener(ResponseHandler):
    """A connection that knows whether anything has come since it was last handed out."""

    silent = False

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self.silent = False
        super().data_received(data)


class GuardedConnector(aiohttp.TCPConnector):
    """A pool that never hands out a connection on which something came unasked."""

    def listen(self) -> None:
        """Make every connection one that knows what it heard."""
        make: Any = partial(Listener, loop=self._loop)  # partial is not covariant
        self._factory = make

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            assert isinstance(protocol, Listener)
            if not protocol.should_close and not _has_news(protocol):
                protocol.silent = True
                _reused.get().append(protocol)
                break
            connection.close()
        return connection

    def forget(self) -> None:
        """Drop the pool untouched: closing it would reach into the event loop of a parent."""
        self._conns.clear()


def _has_news(protocol: ResponseHandler) -> bool:
    """Whether the other side sent something, or hung up, since the event loop last looked."""
    if not hasattr(select, "poll"):  # Windows: what the event loop has read must do
        return False
    assert protocol.transport is not None
    poll = select.poll()
    poll.register(protocol.transport.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(0))


class Connections:
    """The connections of one client in one event loop.

    Args:
        config: The addresses, the key and the pool.
        proxies: The proxy on the way to each address.
        context: What verifies the other side; None where no address is of https.
    """

    def __init__(
        self, config: Config, proxies: Mapping[str, Proxy | None], context: ssl.SSLContext | None
    ) -> None:
        self._origins = {"api": config.base_url, "files": config.files_url}
        self._proxies = {url: _proxy(proxy) for url, proxy in proxies.items() if proxy is not None}
        self._livemode = config.livemode
        self._limit = config.pool.max_response_bytes
        self._timeout = _phases(config.timeout)
        self._connector = GuardedConnector(
            limit=0, keepalive_timeout=config.pool.keepalive, ssl=context or True
        )
        self._connector.listen()
        self._session = self._open_session({"Authorization": f"Bearer {config.api_key}"})
        self._anonymous: aiohttp.ClientSession | None = None

    def _open_session(self, headers: dict[str, str]) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=bool(headers),
            headers={
                **headers,
                "User-Agent": _USER_AGENT,
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
        )
        session._retry_connection = False  # noqa: SLF001 -- see above
        return session

    def _without_key(self) -> aiohttp.ClientSession:
        """Return a session on the same connections whose requests carry no key."""
        if self._anonymous is None:
            self._anonymous = self._open_session({})
        return self._anonymous

    async def exchange(self, request: Request) -> Response:
        """Send one request and read its answer to the end.

        Args:
            request: What to send.

        Raises:
            TransportError: There is no usable answer.
            ResponseError: The answer is longer than the limit, or encoded in a way of its own.
        """
        body = None if request.upload is None else _StreamedBody(request.upload)
        reused: list[Listener] = []
        _reused.set(reused)
        problem: Exception
        try:
            return await self._exchange(request, body)
        except _LocalFault as fault:
            problem = fault.error
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            # Raised below, where neither aiohttp's frames nor the key they hold come along.
            problem = (body and body.fault) or _transport_error(error, reused)
        except RuntimeError:
            if not self._session.closed:
                raise
            problem = ConfigurationError("client", "was used after the end of its event loop")
        except (ResponseError, asyncio.CancelledError) as error:
            # The frames behind hold the key and the whole address.
            raise error.with_traceback(None)  # noqa: B904 -- the same error goes on
        raise problem

    async def _exchange(self, request: Request, streamed: _StreamedBody | None) -> Response:
        origin = self._origins[request.host]
        query = f"?{request.query}" if request.query else ""
        timeout = request.timeout
        session = self._without_key() if request.anonymous else self._session
        answer = await session.request(
            request.method,
            URL(f"{origin}{request.path}{query}", encoded=True),
            data=request.body if streamed is None else streamed,
            headers=request.headers,
            allow_redirects=False,
            timeout=self._timeout if timeout is None else _phases(timeout),
            **self._proxies.get(origin, {}),
        )
        try:
            return await self._whole(request, answer)
        finally:
            # Unlike the end of `async with`, this waits for nothing: neither for an answer that
            # is of no use any more, nor for an upload that the server does not want.
            answer.close()

    async def _whole(self, request: Request, answer: aiohttp.ClientResponse) -> Response:
        body = b""
        if answer.status >= 300:
            body = await self._read_start(answer)
        elif request.sink is not None and answer.status == 200:
            await self._pour(answer, request.sink)
        else:
            body = await self._read(answer)
        return Response(
            status=answer.status, headers=answer.headers, body=body, livemode=self._livemode
        )

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        encoding, length = _encoding_of(answer), answer.content_length
        if length is not None and length <= self._limit and encoding == "identity":
            return await answer.read()
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._limit:
                raise _too_large(answer, self._limit, bytes(body[:_KEPT_OF_A_LONG_BODY]))
        return bytes(body)

    async def _read_start(self, answer: aiohttp.ClientResponse) -> bytes:
        """Read what an answer of failure begins with; its status says the most of it."""
        _encoding_of(answer)
        limit = min(self._limit, _KEPT_OF_A_LONG_BODY)
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > limit:
                break
        return bytes(body[:limit])

    async def _pour(self, answer: aiohttp.ClientResponse, sink: Sink) -> None:
        encoding, length = _encoding_of(answer), answer.content_length
        if length is None and "chunked" not in answer.headers.get("Transfer-Encoding", "").lower():
            error = ResponseError("the answer does not say where it ends, so it may be cut short")
            raise with_response(error, answer.status, answer.headers, b"")
        if length is not None and encoding == "identity" and length > sink.max_bytes:
            raise _too_large(answer, sink.max_bytes, b"")
        await _locally(sink.start())
        received = 0
        async for piece in answer.content.iter_any():
            received += len(piece)
            if received > sink.max_bytes:
                raise _too_large(answer, sink.max_bytes, b"")
            await _locally(sink.write(piece))

    async def aclose(self) -> None:
        """Close every connection."""
        if self._anonymous is not None:
            await self._anonymous.close()
        await self._session.close()

    def abandon(self) -> None:
        """Let go of connections whose event loop is gone, or belongs to a parent process."""
        self._connector.forget()
        self._session.detach()
        if self._anonymous is not None:
            self._anonymous.detach()


class _LocalFault(Exception):
    """Carries an error of a sink past those of the network, which can be of the same class."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def _locally(step: Awaitable[None]) -> None:
    try:
        await step
    except Exception as error:  # noqa: BLE001 -- the call raises it
        raise _LocalFault(error) from None


class _StreamedBody(Payload):
    """The body of one attempt, which remembers why it could not be read to its end."""

    _autoclose = True

    def __init__(self, upload: Upload) -> None:
        super().__init__(upload)
        self._size = upload.length
        self._upload = upload
        self.fault: Exception | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a streamed body is never text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        async with aclosing(self._upload.pieces()) as pieces:
            while (piece := await self._next(pieces)) is not None:
                await writer.write(piece)

    async def _next(self, pieces: AsyncGenerator[bytes, None]) -> bytes | None:
        try:
            return await anext(pieces, None)
        except Exception as error:
            self.fault = error
            raise


def _encoding_of(answer: aiohttp.ClientResponse) -> str:
    encoding = ", ".join(answer.headers.getall("Content-Encoding", ["identity"])).lower()
    if encoding in ("identity", "gzip", "deflate"):
        return encoding
    # aiohttp leaves it as it is
    error = ResponseError(f"the answer is encoded as {encoding}, which was not asked for")
    raise with_response(error, answer.status, answer.headers, b"")


def _too_large(answer: aiohttp.ClientResponse, limit: int, start: bytes) -> ResponseTooLarge:
    error = ResponseTooLarge(f"the answer is longer than {limit} bytes")
    return with_response(error, answer.status, answer.headers, start)


def _phases(timeout: Timeout) -> aiohttp.ClientTimeout:
    """Leave all but the connecting to our own deadline, and have it unrounded."""
    return aiohttp.ClientTimeout(sock_connect=timeout.connect, ceil_threshold=math.inf)


def _proxy(proxy: Proxy) -> _ProxyArguments:
    if proxy.user is None:
        return {"proxy": proxy.url}
    word = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
    # aiohttp hands it to the proxy alone, as Proxy-Authorization.
    return {"proxy": proxy.url, "proxy_headers": {"Authorization": f"Basic {word}"}}


class _ProxyArguments(TypedDict, total=False):
    proxy: str
    proxy_headers: dict[str, str]


# The text of these repeats the address, whose query can tell who somebody is, or the answer.
_IN_OUR_WORDS = (
    (aiohttp.ConnectionTimeoutError, ConnectError, "no connection was made in time"),
    (aiohttp.ClientResponseError, ConnectionLost, "the answer is not valid HTTP"),
    (aiohttp.ClientPayloadError, ConnectionLost, "the body of the answer is cut short or damaged"),
)


def _transport_error(error: Exception, reused: list[Listener]) -> TransportError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return CertificateError(f"the certificate of {error.host} is refused: {_reason(error)}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectError(str(error))
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ConnectError(f"the proxy answered {error.status}")
    for kind, ours, text in _IN_OUR_WORDS:
        if isinstance(error, kind):
            return ours(text)
    lost = ConnectionLost(str(error) or type(error).__name__)
    lost.stale = bool(reused) and reused[-1].silent
    return lost


def ready_context() -> ssl.SSLContext | None:
    """Return the context that aiohttp made of the machine's certificates when it was imported.

    None where it would write the secrets of connections to a file, or does not verify any more.
    """
    made: Any = aiohttp.connector._SSL_CONTEXT_VERIFIED  # noqa: SLF001 -- reading them takes 30 ms
    verifies = made.verify_mode == ssl.CERT_REQUIRED and made.check_hostname
    return made if verifies and made.keylog_filename is None else None


def _reason(error: aiohttp.ClientConnectorCertificateError) -> str:
    return getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
