"""Sends one request over aiohttp and reads its answer; turns aiohttp's errors into ours.

How an answer is read depends on its status and its request: the body of a failure only from its
start, since its status says the most; the body of a download piece by piece into the sink; any
other body into memory, up to the limit of the client.
"""

from __future__ import annotations

import asyncio
import base64
import math
import platform
import ssl
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.payload import Payload
from yarl import URL

from pinstripe._config.client import Config
from pinstripe._config.options import Timeout
from pinstripe._config.proxy import Proxy
from pinstripe._core.errors import (
    CertificateError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    ResponseError,
    ResponseTooLarge,
    TransportError,
    with_response,
)
from pinstripe._http.connection import (
    GuardedConnector,
    ProxyArguments,
    RawResponse,
    Route,
    TrackedConnection,
)
from pinstripe._http.messages import Host, Request, Response, Sink, Upload
from pinstripe._version import __version__

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

_MAX_KEPT_IN_ERROR = 64 * 1024
"""Bytes that an error keeps of a body that is too long, or of the body of a failure."""

_READ_AHEAD = 256 * 1024
"""Bytes of a body that are certain to arrive before anybody reads it: half of what aiohttp buffers
before it pauses the connection."""

_IDENTITY = ("identity",)
_DECODED = ("identity", "gzip", "deflate")
"""The encodings that are asked for if the body is read into memory; aiohttp decodes them."""

_USER_AGENT = f"pinstripe/{__version__} Python/{platform.python_version()}"


class Connections:
    """The connections of one client in one event loop.

    Args:
        config: The addresses, the key and the settings of the pool.
        proxies: The proxy for each address.
        context: The TLS context; None if no address uses https.
    """

    def __init__(
        self, config: Config, proxies: Mapping[str, Proxy | None], context: ssl.SSLContext | None
    ) -> None:
        self._config = config
        self._livemode = config.livemode
        self._proxies = proxies
        self._limit = config.limits.max_response_bytes
        self._timeout = _connect_timeout(config.timeout)
        # No limit here: the limiter of the client bounds requests in flight.
        self._connector = GuardedConnector(
            limit=0, keepalive_timeout=config.limits.keepalive, ssl=context or True
        )
        self._connector.track_connections()
        self._routes: dict[tuple[Host, bool], Route] = {}

    async def exchange(self, request: Request) -> Response:
        """Send one request and read its answer to the end.

        Args:
            request: What to send.

        Raises:
            TransportError: There is no usable answer.
            ResponseError: The answer is longer than the limit, or has an encoding that was not
                asked for.
        """
        body = None if request.upload is None else _StreamedBody(request.upload)
        used: list[TrackedConnection] = []
        problem: Exception
        try:
            return await self._exchange(request, body, used)
        except _SinkError as wrapper:
            problem = wrapper.error
        except (aiohttp.ClientError, HttpProcessingError, asyncio.TimeoutError, OSError) as error:
            # Raised below, without aiohttp's frames and the key that they hold.
            problem = (body and body.error) or _transport_error(error, used)
        except (ResponseError, ConfigurationError, asyncio.CancelledError) as error:
            # The frames of the traceback hold the key and the whole address.
            raise error.with_traceback(None)  # noqa: B904 -- the same error continues
        raise problem

    async def _exchange(
        self, request: Request, streamed: _StreamedBody | None, used: list[TrackedConnection]
    ) -> Response:
        if self._connector.closed:
            raise ConfigurationError("client", "was used after the end of its event loop")
        route = self._routes.get((request.host, request.anonymous))
        if route is None:
            route = self._open_route(request.host, anonymous=request.anonymous)
        timeout = request.timeout or self._config.timeout
        connect = self._timeout if timeout is self._config.timeout else _connect_timeout(timeout)
        answer = await route.send(request, streamed, connect, used)
        try:
            body = b""
            if answer.status >= 300:
                body = await self._read_start(answer)
            elif request.sink is not None and answer.status == 200:
                await _read_into(request.sink, answer)
            else:
                body = await self._read(answer)
            return Response(
                status=answer.status,
                headers=answer.headers,
                body=body,
                livemode=self._livemode,
            )
        finally:
            answer.close()

    def _open_route(self, host: Host, *, anonymous: bool) -> Route:
        config = self._config
        origin = config.base_url if host == "api" else config.files_url
        headers = {
            "User-Agent": _USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
        }
        if not anonymous:
            headers["Authorization"] = f"Bearer {config.api_key}"
        proxy = self._proxies.get(origin)
        arguments = ProxyArguments()
        if proxy is not None:
            arguments["proxy"] = URL(proxy.url)
            # aiohttp sends this to the proxy only, as Proxy-Authorization.
            if proxy.user is not None:
                credentials = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
                arguments["proxy_headers"] = {"Authorization": f"Basic {credentials}"}
        route = self._routes[host, anonymous] = Route(self._connector, origin, headers, arguments)
        return route

    async def _read(self, answer: RawResponse) -> bytes:
        encoding, length = _encoding_of(answer), answer.length
        if length is not None and length <= self._limit and encoding == "identity":
            # The length is known: this task is woken once for the body, not for each piece.
            content = answer.content
            if length > _READ_AHEAD:  # the rest of a longer body only comes while it is read
                return await content.read()
            if not content.is_eof() and content.exception() is None:
                await content.wait_eof()
            return content.read_nowait()
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > self._limit:
                raise _too_large(answer, self._limit, bytes(body[:_MAX_KEPT_IN_ERROR]))
        return bytes(body)

    async def _read_start(self, answer: RawResponse) -> bytes:
        """Read the start of the body of a failure."""
        _encoding_of(answer)
        limit = min(self._limit, _MAX_KEPT_IN_ERROR)
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > limit:
                break
        return bytes(body[:limit])

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connector.close()

    def abandon(self) -> None:
        """Forget connections whose event loop is closed, or belongs to a parent process."""
        self._connector.forget()


class _SinkError(Exception):
    """Carries an error of a sink past the errors of the network, which can have the same class."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def _read_into(sink: Sink, answer: RawResponse) -> None:
    """Read a body into a sink, piece by piece.

    A body that is cut short must not look whole. So a compressed one is refused, since its
    decoder may not notice the cut, and so is one without a length or chunks.
    """
    _encoding_of(answer, _IDENTITY)
    length = answer.length
    if length is None and "chunked" not in answer.headers.get("Transfer-Encoding", "").lower():
        error = ResponseError("the answer does not say where it ends, so it may be cut short")
        raise with_response(error, answer.status, answer.headers, b"")
    if length is not None and length > sink.max_bytes:
        raise _too_large(answer, sink.max_bytes, b"")
    await _use_sink(sink.start())
    received = 0
    async for piece in answer.content.iter_any():
        received += len(piece)
        if received > sink.max_bytes:
            raise _too_large(answer, sink.max_bytes, b"")
        await _use_sink(sink.write(piece))


async def _use_sink(step: Awaitable[None]) -> None:
    try:
        await step
    except Exception as error:  # noqa: BLE001 -- the call raises it
        raise _SinkError(error) from None


class _StreamedBody(Payload):
    """The body of one attempt.

    Attributes:
        error: Why it could not be read to its end; None if that did not happen.
    """

    _autoclose = True

    def __init__(self, upload: Upload) -> None:
        super().__init__(upload)
        self._size = upload.length
        self._upload = upload
        self.error: Exception | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a streamed body is never text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        async with aclosing(self._upload.pieces()) as pieces:
            while (piece := await self._next(pieces)) is not None:
                await writer.write(piece)

    async def _next(self, pieces: AsyncGenerator[bytes, None]) -> bytes | None:
        # Apart from the writing, whose errors are those of the connection.
        try:
            return await anext(pieces, None)
        except Exception as error:
            self.error = error
            raise


def _encoding_of(answer: RawResponse, expected: Sequence[str] = _DECODED) -> str:
    if "Content-Encoding" not in answer.headers:
        return "identity"
    encoding = ", ".join(answer.headers.getall("Content-Encoding")).lower()
    if encoding in expected:
        return encoding
    error = ResponseError(f"the answer is encoded as {encoding}, which was not asked for")
    raise with_response(error, answer.status, answer.headers, b"")


def _too_large(answer: RawResponse, limit: int, start: bytes) -> ResponseTooLarge:
    error = ResponseTooLarge(f"the answer is longer than {limit} bytes")
    return with_response(error, answer.status, answer.headers, start)


def _connect_timeout(timeout: Timeout) -> aiohttp.ClientTimeout:
    # The deadline of the call bounds everything else. aiohttp rounds a timeout above its
    # threshold up to whole seconds; an infinite threshold switches that off.
    return aiohttp.ClientTimeout(sock_connect=timeout.connect, ceil_threshold=math.inf)


_NO_HTTP = (aiohttp.ClientResponseError, HttpProcessingError)

# The messages of these errors repeat the answer, or the address, whose query can hold personal
# data. So they get a message of ours.
_WITH_OUR_MESSAGE = (
    (aiohttp.ConnectionTimeoutError, ConnectError, "no connection was made in time"),
    (_NO_HTTP, ConnectionLost, "the answer is not valid HTTP"),
    (aiohttp.ClientPayloadError, ConnectionLost, "the body of the answer is cut short or damaged"),
)


def _transport_error(error: Exception, used: list[TrackedConnection]) -> TransportError:
    """Return our error for one of aiohttp or of the operating system."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
        return CertificateError(f"the certificate of {error.host} is refused: {reason}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectError(str(error))
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ConnectError(f"the proxy answered {error.status}")
    for kind, ours, text in _WITH_OUR_MESSAGE:
        if isinstance(error, kind):
            return ours(text)
    lost = ConnectionLost(str(error) or type(error).__name__)
    lost.stale = bool(used) and used[-1].untouched
    return lost


def ready_context() -> ssl.SSLContext | None:
    """Return the context that aiohttp made with the certificates of the machine on its import.

    Returns:
        The context; None if it would write the secrets of connections to a file, or if somebody
        has switched its verification off.
    """
    made: Any = aiohttp.connector._SSL_CONTEXT_VERIFIED  # noqa: SLF001 -- reading them takes 30 ms
    verifies = made.verify_mode == ssl.CERT_REQUIRED and made.check_hostname
    return made if verifies and made.keylog_filename is None else None
