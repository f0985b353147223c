"""Tries out all that `connection` leans on, in an event loop that has no network.

The classes are the real ones; what stands for the server answers each request at once.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from pinstripe._http.connection import GuardedConnector, TrackedConnection
from pinstripe._http.messages import Request
from pinstripe._http.routes import Route, UsedConnection

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
_ANSWER = b"HTTP/1.1 102 Processing\r\n\r\n" + _HEAD % 2 + b"{}"
_CHUNKED = b"HTTP/1.1 503 Word\r\nTransfer-Encoding: chunked\r\n\r\n"
_NO_CHUNK = b"zz\r\n"

_MOST_CANCELS = 10
"""How often the task of a trial is cancelled before that is given up; one is enough."""


class _Unexpected(Exception):
    """A name of aiohttp is there, but does not behave as expected; the message has the name."""


def try_out() -> str | None:
    """Do all that `connection` does.

    Returns:
        What is not as expected; None if everything is.
    """
    loop = _Loop()
    try:
        with _set_aside():
            loop.task = loop.create_task(_find_problem(loop))
            loop.run_until_complete(loop.task)
    finally:
        loop.close()
    return loop.problem


@contextmanager
def _set_aside() -> Generator[None, None, None]:
    """Set the event loop of this thread aside, with its task: under gevent there can be one.

    The names are those that asyncio documents for libraries that extend it.
    """
    outer = asyncio._get_running_loop()  # noqa: SLF001
    task = None if outer is None else asyncio.current_task(outer)
    if outer and task:  # from Python 3.14 on, a thread has one at most
        asyncio.tasks._leave_task(outer, task)  # noqa: SLF001
    asyncio._set_running_loop(None)  # noqa: SLF001
    try:
        yield
    finally:
        asyncio._set_running_loop(outer)  # noqa: SLF001
        if outer and task:
            asyncio.tasks._enter_task(outer, task)  # noqa: SLF001


async def _find_problem(loop: _Loop) -> None:
    # No error gets out: its frames would keep the loop, and the client, alive.
    try:
        await _try_all(loop)
    except asyncio.CancelledError:
        loop.note("ResponseHandler: an answer that came is not read")
    except _Unexpected as error:
        loop.note(str(error))
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is none of ours
        loop.note(f"{type(error).__name__}: {error}")


async def _try_all(loop: _Loop) -> None:
    connector = GuardedConnector(15, None)
    try:
        await _try_requests(loop, connector.open_route("http://127.0.0.1:1", {}, {}))
    finally:
        await connector.close()
    await _try_damaged_bodies(loop)
    _try_pause(loop)


async def _try_requests(loop: _Loop, route: Route) -> None:
    """Send by both ways over one connection; then let bytes come that nobody asked for."""
    first = await _answered(route, None)
    second = await _answered(route, aiohttp.BytesPayload(b"{}"))
    was_guarded = second is first and loop.untouched == [False, True]
    _expect(was_guarded, "TCPConnector._get is not asked for a kept connection")
    _expect(second.heads == 2, "ResponseHandler.read is not asked for every head")
    second.data_received(_ANSWER)
    _expect(second.should_close, "ResponseHandler.should_close does not tell of unread bytes")


async def _answered(route: Route, body: aiohttp.Payload | None) -> Any:
    """Return the connection that a request was sent over, after its answer was read."""
    request = Request(method="GET" if body is None else "POST", path="/", template="/")
    used = list[UsedConnection]()
    answer = await route.send(request, body, aiohttp.ClientTimeout(connect=1), used)
    whole = (answer.status, answer.length, await answer.content.read())
    _expect(whole == (200, 2, b"{}"), "ResponseHandler.read does not return the answer")
    answer.close()
    return used[0]


async def _try_damaged_bodies(loop: _Loop) -> None:
    """Let a body be damaged in the same piece as its head, and in a later one."""
    for pieces in ((_CHUNKED + _NO_CHUNK,), (_CHUNKED, _NO_CHUNK)):
        connection, _ = _connected(loop)
        for piece in pieces:
            connection.data_received(piece)
        is_kept = False
        with suppress(HttpProcessingError):
            message, content = await connection.read()
            is_damaged = isinstance(content.exception(), aiohttp.ClientPayloadError)
            is_kept = is_damaged and message.code == 503
        _expect(is_kept, "ResponseHandler.set_exception does not get the error of a body")


def _try_pause(loop: _Loop) -> None:
    """Pause reading, as aiohttp does while a body comes faster than it is read."""
    connection, transport = _connected(loop)
    connection.data_received(_HEAD % 9)
    connection.pause_reading()
    was_paused = transport.is_paused
    connection.resume_reading()
    was_resumed = was_paused and not transport.is_paused
    _expect(was_resumed, "ResponseHandler._reading_paused does not tell that reading is paused")


def _connected(loop: _Loop) -> tuple[TrackedConnection, _Transport]:
    connection = TrackedConnection(loop)
    takes_bytes = not isinstance(connection, asyncio.BufferedProtocol)
    _expect(takes_bytes, "ResponseHandler.data_received does not get what arrives")
    transport = _Transport(loop, connection)
    connection.connection_made(transport)
    connection.set_response_params(read_until_eof=True, auto_decompress=False)
    return connection, transport


def _expect(truth: bool, otherwise: str) -> None:  # noqa: FBT001 -- as `assert`
    if not truth:
        raise _Unexpected(otherwise)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop without network.

    Attributes:
        task: What runs in it.
        problem: What is not as expected, as far as is known.
        untouched: For each request, what its connection said when it was written.
    """

    task: asyncio.Task[None]

    def __init__(self) -> None:
        super().__init__(_NoSelector(self))
        self.problem: str | None = None
        self.untouched = list[bool]()
        self.set_exception_handler(_note_error)

    def note(self, problem: str) -> None:
        """Keep a problem, unless there was one before."""
        self.problem = self.problem or problem

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Do nothing."""

    async def create_connection(
        self, protocol_factory: Callable[[], Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Make a connection to what stands for the server."""
        kwargs["sock"].close()
        protocol = protocol_factory()
        transport = _Transport(self, protocol)
        protocol.connection_made(transport)
        return transport, protocol


def _note_error(loop: Any, context: dict[str, Any]) -> None:
    """Keep what went wrong in a callback."""
    loop.note(repr(context.get("exception")))


class _NoSelector(selectors.SelectSelector):
    """Cancels a task that would wait for ever, since nothing comes from outside."""

    def __init__(self, loop: _Loop) -> None:
        super().__init__()
        self._of = loop
        self._cancelled = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            if self._cancelled == _MOST_CANCELS:
                raise _Unexpected("the event loop of asyncio does not end a task")
            self._cancelled += 1
            self._of.task.cancel()
        return []


class _Transport(asyncio.Transport):
    """A connection that answers every request.

    Attributes:
        is_paused: Whether reading is paused.
    """

    def __init__(self, loop: _Loop, protocol: TrackedConnection) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._is_closing = False
        self.is_paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._loop.untouched.append(self._protocol.untouched)
        self._loop.call_soon(self._protocol.data_received, _ANSWER)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
