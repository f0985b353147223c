"""A server that misbehaves by a script: raw sockets on loopback, one behaviour a request.

    async with Faulty(reset_before, ok()) as server:
        ...                                    # the first request is reset, the second answered
    server.requests[0].headers["idempotency-key"]

A behaviour is a coroutine function of an `Exchange`; it writes what it likes, and the connection
stays open after it unless it ends it. The last behaviour of a script is repeated. `Faulty.say`
and `Faulty.hang_up` act on idle connections when the test says so, not after a time. A new fault
is a new function here; what it needs from the server is in its `Exchange`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field, frozen


@frozen
class Seen:
    """One request as it arrived; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@define
class Exchange:
    """What a behaviour has at hand: the request, the connection and the server."""

    server: Faulty
    request: Seen
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Write bytes; where the other side is gone, nothing happens."""
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    def end(self) -> None:
        """Close the connection in order."""
        self.writer.close()

    def reset(self) -> None:
        """Close the connection with a reset."""
        reset(self.writer)


Behaviour = Callable[[Exchange], Awaitable[None]]


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the other side sees a reset, not an end."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


class _Reader(asyncio.StreamReader):
    """A reader that tells at once when the other side has gone, also while nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        self.ended.set()
        super().feed_eof()

    def set_exception(self, exc: BaseException) -> None:
        self.ended.set()
        super().set_exception(exc)


class Faulty:
    """The server.

    Args:
        script: What to do with each request, over all connections.
        on_accept: "reset", "close", "speak" or "hang": what to do with a connection before it is
            read.
        tls: The certificate to show; plain HTTP by default.

    Attributes:
        requests: What arrived, in order.
        accepted: How many connections were made.
        release: Behaviours that wait do so until this event is set.
        gone: Set when the other side has ended a connection.
        written: Bytes that endless answers got rid of.
        handshakes: How often TLS was begun.
    """

    def __init__(
        self, *script: Behaviour, on_accept: str = "serve", tls: ssl.SSLContext | None = None
    ) -> None:
        self.script = list(script)
        self.on_accept = on_accept
        self.tls = tls
        self.handshakes = 0
        self.requests: list[Seen] = []
        self.accepted = 0
        self.written = 0
        self.release = asyncio.Event()
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Faulty:
        def protocol() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(_Reader(), self._serve)

        if self.tls is not None:
            self.tls.sni_callback = self._count_handshake
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=self.tls)
        return self

    def _count_handshake(self, *_: object) -> None:
        self.handshakes += 1

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    def say(self, data: bytes) -> None:
        """Send bytes at once, unasked, on every open connection."""
        for writer in self._writers:
            writer.write(data)

    def hang_up(self, *, with_reset: bool = False) -> None:
        """End every open connection at once."""
        for writer in self._writers:
            if with_reset:
                reset(writer)
            else:
                writer.write_eof()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.accepted += 1
        try:
            assert isinstance(reader, _Reader)
            await self._talk(reader, writer, self.accepted)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            self.gone.set()
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _talk(self, reader: _Reader, writer: asyncio.StreamWriter, number: int) -> None:
        if self.on_accept == "reset":
            reset(writer)
            return
        if self.on_accept == "hang":
            await reader.read()  # until the other side gives up
            return
        if self.on_accept == "speak":
            writer.write(raw_answer(status=400))
        while self.on_accept == "serve" and not writer.is_closing():
            request = await _read(reader, number)
            self.requests.append(request)
            self.arrived.set()
            position = min(len(self.requests), len(self.script)) - 1
            exchange = Exchange(self, request, writer)
            await _unless(reader.ended, self.script[position](exchange))


async def _unless(ended: asyncio.Event, behaviour: Awaitable[None]) -> None:
    """Run a behaviour until it is done or the other side has gone."""
    tasks = [asyncio.ensure_future(behaviour), asyncio.ensure_future(ended.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]


async def _read(reader: asyncio.StreamReader, number: int) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, target, headers, body, number)


# --- answers ------------------------------------------------------------------------------------


def raw_answer(body: bytes = b"{}", status: int = 200, **headers: str) -> bytes:
    """Return the bytes of a whole answer; `_` in a header's name stands for `-`."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Word\r\n{lines}\r\n".encode("latin-1") + body


def raw(data: bytes) -> Behaviour:
    """Write these bytes, and leave the connection open."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(data)

    return behave


def ok(body: bytes = b"{}", status: int = 200, **headers: str) -> Behaviour:
    """A whole and right answer."""
    return raw(raw_answer(body, status, **headers))


def redirect(place: str, status: int = 302) -> Behaviour:
    """An answer that points somewhere else."""
    return ok(b"moved", status, Location=place)


def html(status: int = 200) -> Behaviour:
    """A page for people, as proxies give it."""
    return ok(b"<html><h1>It works</h1></html>", status, Content_Type="text/html")


def then_end(data: bytes, *, with_reset: bool = False) -> Behaviour:
    """Write these bytes and end the connection."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(data)
        if with_reset:
            exchange.reset()
        else:
            exchange.end()

    return behave


def pack(body: bytes, encoding: str) -> bytes:
    """Compress a body."""
    return gzip.compress(body) if encoding == "gzip" else zlib.compress(body)


def encoded(body: bytes, encoding: str) -> Behaviour:
    """A compressed body with its length."""
    return ok(pack(body, encoding), Content_Encoding=encoding)


def in_chunks(body: bytes, head: str = "HTTP/1.1 200 OK\r\n") -> bytes:
    """Return the bytes of an answer in chunks of up to 100 bytes."""
    pieces = [body[start : start + 100] for start in range(0, len(body), 100)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


def chunked(body: bytes, encoding: str) -> Behaviour:
    """A compressed body in chunks."""
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n"
    return raw(in_chunks(pack(body, encoding), head))


def cut_encoding(body: bytes, encoding: str, *, chunked: bool = False) -> bytes:
    """Return the bytes of an answer that is whole but for the end of its compression."""
    packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    data = packer.compress(body) + packer.flush(zlib.Z_SYNC_FLUSH)
    if chunked:
        return in_chunks(data, f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n")
    return raw_answer(data, Content_Encoding=encoding)


def raw_deflate(body: bytes) -> Behaviour:
    """A body in deflate without the header of zlib, as some servers send it."""
    packer = zlib.compressobj(wbits=-15)
    return ok(packer.compress(body) + packer.flush(), Content_Encoding="deflate")


def members(body: bytes, more: bytes = b"") -> Behaviour:
    """A gzip body of two members."""
    data = gzip.compress(body[:10]) + gzip.compress(body[10:]) + more
    return ok(data, Content_Encoding="gzip")


_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n"
_HALF = _HEAD + b'Content-Length: 20\r\n\r\n{"id": "x'

reset_before = then_end(b"", with_reset=True)
eof_before = then_end(b"")
reset_in_headers = then_end(_HEAD + b"Content-Le", with_reset=True)
eof_in_headers = then_end(_HEAD + b"Content-Le")
truncated = then_end(_HALF)
truncated_chunked = then_end(_CHUNKED + b'\r\n8\r\n{"id": "')
broken_chunk = then_end(_CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n")
garbage = then_end(b"\x00\xff SSH-2.0 not HTTP at all\r\n\r\n")
bad_length = then_end(_HEAD + b"Content-Length: -1\r\n\r\n{}")
length_and_chunks = then_end(_CHUNKED + b"Content-Length: 5\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
long_header = then_end(_HEAD + b"X: " + b"x" * 2**20 + b"\r\n\r\n{}")
many_headers = then_end(_HEAD + b"X: x\r\n" * 10_000 + b"Content-Length: 2\r\n\r\n{}")


def early_hints(body: bytes) -> Behaviour:
    """A right answer after a provisional one."""
    return raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + raw_answer(body))


def endless(start: bytes, piece: bytes) -> Behaviour:
    """Begin like this, and go on with the piece as long as the other side takes it."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(start)
        while not exchange.writer.is_closing():
            exchange.writer.write(piece)
            await exchange.writer.drain()
            exchange.server.written += len(piece)

    return behave


def interim_answers(body: bytes, count: int) -> Behaviour:
    """A right answer after so many provisional ones."""
    return raw(b"HTTP/1.1 102 Processing\r\n\r\n" * count + raw_answer(body))


many_interim_answers = endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


async def late_broken_chunk(exchange: Exchange) -> None:
    """A chunk that is none, once the client has had the chance to see what comes before it."""
    await exchange.send(_CHUNKED + b'\r\n8\r\n{"id": "\r\n')
    await exchange.server.release.wait()
    await exchange.send(b"zz\r\n{}\r\n0\r\n\r\n")


def _failure(status: int, body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in ("Request-Id: req_1", *headers))
    return f"HTTP/1.1 {status} Word\r\n{lines}\r\n".encode() + body


_ENVELOPE = b'{"error": {"type": "api_error", "message": "no"}}'


def failure_cut(status: int) -> Behaviour:
    """A failure whose body is shorter than it says."""
    return then_end(_failure(status, _ENVELOPE[:10], "Content-Length: 200"))


def failure_reset(status: int) -> Behaviour:
    """A failure whose body is ended by a reset, after its head was seen."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(_failure(status, _ENVELOPE[:10], "Content-Length: 200"))
        await exchange.server.release.wait()
        exchange.reset()

    return behave


def failure_unframed(status: int) -> Behaviour:
    """A failure whose body does not say where it ends."""
    return then_end(_failure(status, _ENVELOPE[:10]))


def failure_chunks_cut(status: int) -> Behaviour:
    """A failure whose chunks have no end."""
    return then_end(_failure(status, b"a\r\n" + _ENVELOPE[:10], "Transfer-Encoding: chunked"))


def failure_broken_chunk(status: int) -> Behaviour:
    """A failure whose chunks are none."""
    return then_end(_failure(status, b"zz\r\n" + _ENVELOPE, "Transfer-Encoding: chunked"))


def failure_gzip_cut(status: int) -> Behaviour:
    """A failure whose body has a length, and whose compression has no end."""
    data = gzip.compress(_ENVELOPE * 9)[:30]
    return raw(_failure(status, data, "Content-Encoding: gzip", f"Content-Length: {len(data)}"))


def failure_not_gzip(status: int) -> Behaviour:
    """A failure whose body is not compressed as it says."""
    return raw(_failure(status, b"x" * 20, "Content-Encoding: gzip", "Content-Length: 20"))


def failure_br(status: int) -> Behaviour:
    """A failure whose body is encoded in a way that was not asked for."""
    return raw(_failure(status, b"x" * 20, "Content-Encoding: br", "Content-Length: 20"))


def two_answers(body: bytes, second: bytes) -> Behaviour:
    """Two answers to one request, in one packet."""
    return raw(raw_answer(body) + raw_answer(second))


async def reset_in_body(exchange: Exchange) -> None:
    """Begin a body; reset once the client has had the chance to see the beginning."""
    await exchange.send(_HALF)
    await exchange.server.release.wait()
    exchange.reset()


async def hang(exchange: Exchange) -> None:
    """Say nothing until released."""
    await exchange.server.release.wait()


async def slow_headers(exchange: Exchange) -> None:
    """Trickle a header, one byte in ten milliseconds, until released."""
    await exchange.send(_HEAD + b"X: ")
    while not exchange.server.release.is_set() and not exchange.writer.is_closing():
        await exchange.send(b"x")
        await asyncio.sleep(0.01)


async def slow_body(exchange: Exchange) -> None:
    """Trickle a body, one byte at each turn of the event loop, until released."""
    await exchange.send(_HEAD + b"Content-Length: 1000000000\r\n\r\n")
    while not exchange.server.release.is_set() and not exchange.writer.is_closing():
        await exchange.send(b" ")
        await asyncio.sleep(0)


def endless_after(start: bytes, status: int = 200) -> Behaviour:
    """A body of 8 EiB that begins like this and goes on with spaces."""
    head = f"HTTP/1.1 {status} Word\r\nContent-Length: 9000000000000000000\r\n\r\n".encode()
    return endless(head + start, b" " * 65536)


endless_body = endless_after(b"")
endless_chunks = endless(_CHUNKED + b"\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n")
endless_headers = endless(_HEAD, b"X: x\r\n" * 1000)


def gzipped(body: bytes, encoding: str = "gzip") -> Behaviour:
    """A body that is compressed once."""
    return ok(gzip.compress(body), Content_Encoding=encoding)


def gzip_bomb(size: int, status: int = 200) -> Behaviour:
    """A short body that stands for `size` spaces."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the same bytes stand for the same text, however often they come.
    again = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    return ok(start + again * (size // 2**20 - 1), status, Content_Encoding="gzip")


damaged_gzip = ok(gzip.compress(b'{"id": "x"}' * 50)[:-20] + b"\x00" * 20, Content_Encoding="gzip")
not_gzip = ok(b'{"id": "x"}', Content_Encoding="gzip")
double_gzip = ok(gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip, gzip")
