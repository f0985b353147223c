"""The sandbox: requests a second with 100,000 objects in it, lists by cursor, memory, durability.

The server runs in a process of its own, kept to one core where the system allows it, and the
requests come from another core over a hand-made client that is several times faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from attrs import frozen

from pinstripe.sandbox._server import API_KEY

CONNECTIONS = 16
REQUESTS = 4000
ROUNDS = 3
SESSIONS = 100_000
INTERVAL = 60

_PATH = "/v1/identity/verification_sessions"


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


def _request(method: str, path: str, body: str = "", *headers: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {API_KEY}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def _send(
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


def _rate(server: Server, requests: Sequence[bytes], connections: int = CONNECTIONS) -> float:
    """Return requests a second, the median of some rounds."""
    rounds = [asyncio.run(_send(server, requests, connections))[0] for _ in range(ROUNDS)]
    return len(requests) / statistics.median(rounds)


def ask(server: Server, method: str, path: str, body: str = "") -> Any:
    """Return what one request is answered."""
    _, bodies = asyncio.run(_send(server, [_request(method, path, body)], 1))
    return json.loads(bodies[0])


def _row(name: str, rate: float) -> str:
    return f"{name:56}{rate:12.0f}{1e6 / rate:12.0f}"


def _retrievals(server: Server) -> Iterator[str]:
    for status in ("verified", "requires_input"):
        page = ask(server, "GET", f"{_PATH}?limit=100&status={status}")["data"]
        requests = [_request("GET", f"{_PATH}/{session['id']}") for session in page]
        rate = _rate(server, requests * (REQUESTS // len(requests)))
        yield _row(f"retrieve a session ({status})", rate)


def _lists(server: Server) -> Iterator[str]:
    newest = ask(server, "GET", f"{_PATH}?limit=1")["data"][0]["created"]
    places = {"the newest": ""}
    for place, behind in (("in the middle", SESSIONS // 2), ("the oldest", SESSIONS - 101)):
        query = f"{_PATH}?limit=1&created[lte]={newest - behind * INTERVAL}"
        cursor = ask(server, "GET", query)["data"][0]["id"]
        places[place] = f"&starting_after={cursor}"
    places["in the middle, of one status"] = places["in the middle"] + "&status=verified"
    for limit in (10, 100):
        for place, cursor in places.items():
            requests = [_request("GET", f"{_PATH}?limit={limit}{cursor}")] * (REQUESTS // 5)
            yield _row(f"list {limit}, {place}", _rate(server, requests))


def _creations(server: Server, name: str) -> Iterator[str]:
    numbers = count()
    for connections in (1, CONNECTIONS):
        rounds: list[float] = []
        for _ in range(ROUNDS):
            requests = [_creation(next(numbers)) for _ in range(REQUESTS // 4)]
            rounds.append(asyncio.run(_send(server, requests, connections))[0])
        rate = REQUESTS // 4 / statistics.median(rounds)
        yield _row(f"create a session, {name}, {connections} at once", rate)


def _creation(number: int) -> bytes:
    headers = "Content-Type: application/x-www-form-urlencoded", f"Idempotency-Key: {number}"
    return _request("POST", _PATH, f"type=document&metadata[number]={number}", *headers)


def _fill(server: Server) -> str:
    before = server.memory()
    ask(server, "POST", f"/_sandbox/identity/seed?count={SESSIONS}&interval={INTERVAL}")
    grown = server.memory() - before
    objects = SESSIONS + SESSIONS // 4
    return f"{objects} objects take {grown / 1e6:.0f} MB: {grown / objects:.0f} bytes each"


def report() -> str:
    """Return the table."""
    with running() as server:
        memory = _fill(server)
        rows = [*_retrievals(server), *_lists(server), *_creations(server, "in memory")]
    with (
        tempfile.TemporaryDirectory() as folder,
        running("--store", str(Path(folder) / "sandbox.db")) as server,
    ):
        rows += _creations(server, "in a file")
    title = f"\nThe sandbox on one core, with {SESSIONS} sessions, {CONNECTIONS} requests at once"
    return "\n".join([title, f"{'':56}{'requests/s':>12}{'µs each':>12}", *rows, memory])
