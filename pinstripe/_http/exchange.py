"""Sends one request over aiohttp and reads its answer; turns aiohttp's errors into ours.

Where a request was when it failed says whether the server can have seen it: not before there was a
connection, whatever a proxy answered; and certainly not before its first byte was written.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
import platform
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from pinstripe._concurrency.deadlines import deadline_in
from pinstripe._config.client import Config
from pinstripe._config.options import Timeout
from pinstripe._config.proxy import Proxy
from pinstripe._core.errors import (
    CertificateError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    ResponseError,
    TransportError,
)
from pinstripe._http.body import SinkError, read_into, read_start, read_whole
from pinstripe._http.messages import Host, Request, Response, Upload
from pinstripe._http.routes import Connector, ProxyArguments, Route, UsedConnection
from pinstripe._version import __version__

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_exceptions import HttpProcessingError
else:
    try:
        from aiohttp.http_exceptions import HttpProcessingError
    except ImportError:  # aiohttp does not document it
        HttpProcessingError = aiohttp.ClientResponseError

_USER_AGENT = f"pinstripe/{__version__} Python/{platform.python_version()}"


_GRACE = 0.5
"""Seconds in which connections have to close."""

_PASSING = (408, 429)
"""Refusals of a proxy below 500 that another attempt may not meet."""


class Connections:
    """The connections of one client in one event loop.

    Args:
        config: The addresses, the key and the settings of the pool.
        proxies: The proxy for each address.
        context: The TLS context; None if no address uses https.
        make_connector: Makes the pool.
    """

    def __init__(
        self,
        config: Config,
        proxies: Mapping[str, Proxy | None],
        context: ssl.SSLContext | None,
        make_connector: Callable[[float, ssl.SSLContext | None], Connector],
    ) -> None:
        self._config = config
        self._livemode = config.livemode
        self._proxies = proxies
        self._limit = config.limits.max_response_bytes
        self._timeout = _connect_timeout(config.timeout)
        self._connector = make_connector(config.limits.keepalive, context)
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
        used: list[UsedConnection] = []
        problem: Exception
        try:
            return await self._exchange(request, body, used)
        except SinkError as wrapper:
            problem = wrapper.error
        except (aiohttp.ClientError, HttpProcessingError, asyncio.TimeoutError, OSError) as error:
            # Raised below, without aiohttp's frames and the key that they hold.
            problem = (body and body.error) or _transport_error(error, used)
        except TransportError as error:
            problem = error.with_traceback(None) if used else ConnectError(error.message)
        except (ResponseError, ConfigurationError, asyncio.CancelledError) as error:
            # The frames of the traceback hold the key and the whole address.
            raise error.with_traceback(None)  # noqa: B904 -- the same error continues
        if isinstance(problem, TransportError) and request.progress.stage == "connection":
            problem.outcome = "not_sent"
        raise problem

    async def _exchange(
        self, request: Request, streamed: _StreamedBody | None, used: list[UsedConnection]
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
            status, headers, livemode = answer.status, answer.headers, self._livemode
            body = b""
            if not 200 <= status < 300:
                head = Response(status=status, headers=headers, body=body, livemode=livemode)
                request.progress.failure = head
                body = await read_start(answer, self._limit)
            elif request.sink is not None and status == 200:
                await read_into(request.sink, answer)
            else:
                body = await read_whole(answer, self._limit)
            return Response(status=status, headers=headers, body=body, livemode=livemode)
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
        route = self._routes[host, anonymous] = self._connector.open_route(
            origin, headers, arguments
        )
        return route

    async def aclose(self) -> None:
        """Close every connection, and wait until they are, but not for long."""
        with suppress(asyncio.TimeoutError):
            async with deadline_in(_GRACE):
                await self._connector.close()

    def abandon(self) -> None:
        """Forget connections whose event loop is closed, or belongs to a parent process."""
        self._connector.forget()


class _StreamedBody(aiohttp.Payload):
    """The body of one attempt.

    Attributes:
        error: Why it could not be read to its end; None if that did not happen.
    """

    def __init__(self, upload: Upload) -> None:
        super().__init__(upload)
        self._upload = upload
        self.error: Exception | None = None

    @property
    def size(self) -> int:
        return self._upload.length

    @property
    def autoclose(self) -> bool:
        return True  # there is nothing to close

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


def _connect_timeout(timeout: Timeout) -> aiohttp.ClientTimeout:
    # This one is for all of connecting, and the deadline of the call bounds everything else.
    # aiohttp rounds a timeout above its threshold up to whole seconds; an infinite threshold
    # switches that off.
    return aiohttp.ClientTimeout(connect=timeout.connect, ceil_threshold=math.inf)


_NO_HTTP = (aiohttp.ClientResponseError, HttpProcessingError)

# The messages of these errors repeat the answer, or the address, whose query can hold personal
# data. So they get a message of ours.
_WITH_OUR_MESSAGE = (
    (_NO_HTTP, "the answer is not valid HTTP"),
    (aiohttp.ClientPayloadError, "the body of the answer is cut short or damaged"),
    (aiohttp.ServerDisconnectedError, "the server closed the connection before it answered"),
)


def _transport_error(error: Exception, used: list[UsedConnection]) -> TransportError:
    """Return our error for one of aiohttp or of the operating system."""
    if not used:
        return _connect_error(error)
    ours = next((text for kind, text in _WITH_OUR_MESSAGE if isinstance(error, kind)), None)
    lost = ConnectionLost(ours or str(error) or type(error).__name__)
    lost.stale = used[-1].untouched
    return lost


def _connect_error(error: Exception) -> ConnectError:
    """Return our error for one that came before there was a connection."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
        return CertificateError(f"the certificate of {error.host} is refused: {reason}")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ConnectError(
            "no connection was made in time, with the lookup of the host name, the proxy and TLS"
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        to = "the proxy " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
        problem = _reason(error.os_error)
        return ConnectError(f"cannot connect to {to}{error.host}:{error.port}: {problem}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        refused = ConnectError(f"the proxy answered {error.status}")
        refused.permanent = error.status < 500 and error.status not in _PASSING
        return refused
    if isinstance(error, _NO_HTTP):
        return ConnectError("the proxy gave an answer that is not valid HTTP")
    return ConnectError(
        f"the connection was lost while it was made: {error or type(error).__name__}"
    )


def _reason(error: OSError) -> str:
    """Return why the operating system, or TLS, made no connection."""
    if isinstance(error, (ssl.SSLError, socket.gaierror)) or not error.errno:
        return error.strerror or str(error) or type(error).__name__
    return os.strerror(error.errno)


def ready_context() -> ssl.SSLContext | None:
    """Return the context that aiohttp made with the certificates of the machine on its import.

    Returns:
        The context; None if there is none, if it would write the secrets of connections to a file,
        or if somebody has switched its verification off.
    """
    # A private name, which saves 30 ms; without it, the certificates are read once more.
    made: Any = getattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", None)
    if not isinstance(made, ssl.SSLContext):
        return None
    verifies = made.verify_mode == ssl.CERT_REQUIRED and made.check_hostname
    return made if verifies and made.keylog_filename is None else None
