"""A sandbox in a process of its own, and a client that costs less than what it measures.

The server is kept to one core where the system allows it. The requests come from another core, over
a hand-made client that is several times faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from attrs import frozen

from pinstripe.sandbox._server import API_KEY


@frozen
class Server:
    """A sandbox in a process of its own."""

    port: int
    pid: int

    def memory(self) -> float:
        """Return the resident memory, in bytes."""
        command = ["ps", "-o", "rss=", "-p", str(self.pid)]
        return int(subprocess.run(command, check=True, capture_output=True).stdout) * 1024.0


@contextlib.contextmanager
def running(*arguments: str) -> Generator[Server, None, None]:
    """Run a sandbox as long as the block."""
    command = [sys.executable, "-m", "pinstripe.sandbox", "--port", "0", "--seed", "1", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[0]
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
            yield Server(int(url.rpartition(":")[2]), process.pid)
        finally:
            process.terminate()


class _Connection(asyncio.Protocol):
    """Sends one request after the other, each when the answer before it is there."""

    def __init__(self, requests: Iterator[bytes], bodies: list[bytes]) -> None:
        self._requests = requests
        self._bodies = bodies
        self._received = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            self.done.set_result(None)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        if blank and len(body) == int(length):
            assert head.startswith(b"HTTP/1.1 200 "), body
            self._bodies.append(body)
            self._received = b""
            self._send()


def request(method: str, path: str, body: str = "", *headers: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {API_KEY}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def send(
    server: Server, requests: Sequence[bytes], connections: int
) -> tuple[float, list[bytes]]:
    """Send requests; return the seconds that it took, and the bodies of the answers."""
    loop, bodies, shared = asyncio.get_running_loop(), list[bytes](), iter(requests)
    start = time.perf_counter()
    opened = [
        await loop.create_connection(lambda: _Connection(shared, bodies), "127.0.0.1", server.port)
        for _ in range(connections)
    ]
    await asyncio.gather(*[connection.done for _, connection in opened])
    return time.perf_counter() - start, bodies


def ask(server: Server, method: str, path: str, body: str = "") -> Any:
    """Return what one request is answered."""
    _, bodies = asyncio.run(send(server, [request(method, path, body)], 1))
    return json.loads(bodies[0])


def ledger(server: Server) -> Callable[[], list[dict[str, Any]]]:
    """Return what reads the effects of a sandbox in another process."""
    return lambda: ask(server, "GET", "/_sandbox/effects")["effects"]
