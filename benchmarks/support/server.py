"""A fast HTTP/1.1 server of fixed answers, in a process of its own: only clients are measured."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import ssl
from collections.abc import Callable, Coroutine, Generator, Mapping
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.support import payloads

QUOTES = b"/v1/crypto/onramp/quotes"
SESSIONS = b"/v1/identity/verification_sessions"
SESSION = SESSIONS + b"/vs_1"


def _answer(body: bytes) -> bytes:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nRequest-Id: req_benchmark\r\n"
        b"Stripe-Version: 2026-10-28.endive\r\nContent-Length: %d\r\n\r\n"
    )
    return head % len(body) + body


class _Protocol(asyncio.Protocol):
    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].partition(b"?")[0]
            self._transport.write(self._answers[path])


async def _serve(port: Connection, certificate: str | None) -> None:
    answers = {
        QUOTES: _answer(payloads.quotes()),
        SESSIONS: _answer(payloads.page()),
        SESSION: _answer(json.dumps(payloads.session(1) | {"id": "vs_1"}).encode()),
    }
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    await listen(port, lambda: _Protocol(answers), context)


async def listen(
    port: Connection, protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None = None
) -> None:
    """Serve on a port of loopback, and tell its address."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
    number = server.sockets[0].getsockname()[1]
    port.send(f"http{'s' if tls else ''}://127.0.0.1:{number}")
    await server.serve_forever()


def _run(
    serve: Callable[..., Coroutine[Any, Any, None]], port: Connection, *arguments: object
) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(port, *arguments))


@contextlib.contextmanager
def running(
    serve: Callable[..., Coroutine[Any, Any, None]], *arguments: object
) -> Generator[str, None, None]:
    """Run a server in another process and yield its address."""
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_run, args=(serve, theirs, *arguments), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def fixed_answers(certificate: str | None = None) -> contextlib.AbstractContextManager[str]:
    """Run the server in another process and give its address; it answers GET only.

    With the path of a certificate and its key, it speaks TLS.
    """
    return running(_serve, certificate)
