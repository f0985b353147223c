"""The leaf that talks HTTP: routes over aiohttp's pool, and aiohttp's errors made ours."""

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

_KEPT_OF_A_LONG_BODY = 64 * 1024
_BUFFERED = 256 * 1024
"""Bytes that aiohttp takes of a body before anybody reads it; in truth twice as many."""
_AS_IT_IS = ("identity",)
_UNPACKED = ("identity", "gzip", "deflate")
"""Encodings that are asked for where the body is read into memory; aiohttp undoes them."""
_USER_AGENT = f"pinstripe/{__version__} Python/{platform.python_version()}"


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
        self._config = config
        self._livemode = config.livemode
        self._proxies = proxies
        self._limit = config.limits.max_response_bytes
        self._timeout = _phases(config.timeout)
        self._connector = GuardedConnector(
            limit=0, keepalive_timeout=config.limits.keepalive, ssl=context or True
        )
        self._connector.track_connections()
        self._routes: dict[tuple[Host, bool], Route] = {}

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
        way = ProxyArguments() if proxy is None else _proxy(proxy)
        route = self._routes[host, anonymous] = Route(self._connector, origin, headers, way)
        return route

    async def exchange(self, request: Request) -> Response:
        """Send one request and read its answer to the end.

        Args:
            request: What to send.

        Raises:
            TransportError: There is no usable answer.
            ResponseError: The answer is longer than the limit, or encoded in a way of its own.
        """
        body = None if request.upload is None else _StreamedBody(request.upload)
        used: list[TrackedConnection] = []
        problem: Exception
        try:
            return await self._exchange(request, body, used)
        except _LocalFault as fault:
            problem = fault.error
        except (aiohttp.ClientError, HttpProcessingError, asyncio.TimeoutError, OSError) as error:
            # Raised below, where neither aiohttp's frames nor the key they hold come along.
            problem = (body and body.fault) or _transport_error(error, used)
        except (ResponseError, ConfigurationError, asyncio.CancelledError) as error:
            # The frames behind hold the key and the whole address.
            raise error.with_traceback(None)  # noqa: B904 -- the same error goes on
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
        phases = self._timeout if timeout is self._config.timeout else _phases(timeout)
        answer = await route.send(request, streamed, phases, used)
        try:
            return await self._whole(request, answer)
        finally:
            answer.close()

    async def _whole(self, request: Request, answer: RawResponse) -> Response:
        body = b""
        if answer.status >= 300:
            body = await self._read_start(answer)
        elif request.sink is not None and answer.status == 200:
            await self._pour(answer, request.sink)
        else:
            body = await self._read(answer)
        return Response(
            status=answer.status,
            headers=answer.headers,
            body=body,
            livemode=self._livemode,
        )

    async def _read(self, answer: RawResponse) -> bytes:
        encoding, length = _encoding_of(answer), answer.length
        if length is not None and length <= self._limit and encoding == "identity":
            return await _read_at_once(answer.content, length)
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._limit:
                raise _too_large(answer, self._limit, bytes(body[:_KEPT_OF_A_LONG_BODY]))
        return bytes(body)

    async def _read_start(self, answer: RawResponse) -> bytes:
        """Read what an answer of failure begins with; its status says the most of it."""
        _encoding_of(answer)
        limit = min(self._limit, _KEPT_OF_A_LONG_BODY)
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > limit:
                break
        return bytes(body[:limit])

    async def _pour(self, answer: RawResponse, sink: Sink) -> None:
        # Nobody would notice that a compressed file was cut short before it was framed.
        _encoding_of(answer, _AS_IT_IS)
        length = answer.length
        if length is None and "chunked" not in answer.headers.get("Transfer-Encoding", "").lower():
            error = ResponseError("the answer does not say where it ends, so it may be cut short")
            raise with_response(error, answer.status, answer.headers, b"")
        if length is not None and length > sink.max_bytes:
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
        await self._connector.close()

    def abandon(self) -> None:
        """Let go of connections whose event loop is gone, or belongs to a parent process."""
        self._connector.forget()


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


async def _read_at_once(content: aiohttp.StreamReader, length: int) -> bytes:
    """Read a body whose length is known, and be woken once for it rather than for each piece."""
    if length > _BUFFERED:  # what is longer comes only while it is read
        return await content.read()
    if not content.is_eof() and content.exception() is None:
        await content.wait_eof()
    return content.read_nowait()


def _encoding_of(answer: RawResponse, asked: Sequence[str] = _UNPACKED) -> str:
    if "Content-Encoding" not in answer.headers:
        return "identity"
    encoding = ", ".join(answer.headers.getall("Content-Encoding")).lower()
    if encoding in asked:
        return encoding
    error = ResponseError(f"the answer is encoded as {encoding}, which was not asked for")
    raise with_response(error, answer.status, answer.headers, b"")


def _too_large(answer: RawResponse, limit: int, start: bytes) -> ResponseTooLarge:
    error = ResponseTooLarge(f"the answer is longer than {limit} bytes")
    return with_response(error, answer.status, answer.headers, start)


def _phases(timeout: Timeout) -> aiohttp.ClientTimeout:
    """Leave all but the connecting to our own deadline, and have it unrounded."""
    return aiohttp.ClientTimeout(sock_connect=timeout.connect, ceil_threshold=math.inf)


def _proxy(proxy: Proxy) -> ProxyArguments:
    if proxy.user is None:
        return {"proxy": URL(proxy.url)}
    word = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
    # aiohttp hands it to the proxy alone, as Proxy-Authorization.
    return {"proxy": URL(proxy.url), "proxy_headers": {"Authorization": f"Basic {word}"}}


_NO_HTTP = (aiohttp.ClientResponseError, HttpProcessingError)

# The text of these repeats the address, whose query can tell who somebody is, or the answer.
_IN_OUR_WORDS = (
    (aiohttp.ConnectionTimeoutError, ConnectError, "no connection was made in time"),
    (_NO_HTTP, ConnectionLost, "the answer is not valid HTTP"),
    (aiohttp.ClientPayloadError, ConnectionLost, "the body of the answer is cut short or damaged"),
)


def _transport_error(error: Exception, used: list[TrackedConnection]) -> TransportError:
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
    lost.stale = bool(used) and used[-1].untouched
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
