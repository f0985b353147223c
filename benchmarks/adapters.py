"""Adapters: what a delivery of 4 kB costs from the socket to a handler, beside a bare route.

Each framework serves one app in a process of its own, on loopback. The app has three routes: one
that reads the body and answers, one that also makes a digest and plain dicts, and the adapter with
a handler that does nothing. They take turns, and the CPU time is that of the server. Each delivery
is another event, and the router remembers them in memory. Under WSGI the handler is a plain
function, elsewhere a coroutine function.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import time
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from statistics import median
from urllib.parse import urlsplit

from attrs import Factory, define

from benchmarks.support.deliveries import delivery
from benchmarks.support.routes import APPS

GOAL = 1.5
"""The CPU time of a delivery as a multiple of that of the bare route, at most."""

DELIVERIES = 50
"""How many requests of a route a round has."""

ROUNDS = 20
"""How many rounds there are; short ones that take turns, since other work disturbs long ones."""

_ROUTES = ("/bare", "/by-hand", "/webhook")


@define
class _Measured:
    """What each round of a route took: microseconds a request."""

    cpu: list[float] = Factory(list)
    wall: list[float] = Factory(list)


class _Sender:
    """Sends requests one after the other, over one connection as long as the server keeps it."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._place = place.hostname, place.port
        self._connection: socket.socket | None = None

    def send(self, request: bytes) -> None:
        """Send a request, and read its answer to the end."""
        if self._connection is None:
            self._connection = socket.create_connection(self._place)
        self._connection.sendall(request)
        answer = b""
        while not _is_whole(answer):
            received = self._connection.recv(65_536)
            if not received:
                break
            answer += received
        assert answer.split(b" ", 2)[1] == b"200", answer
        if answer.startswith(b"HTTP/1.0") or b"connection: close" in answer.lower():
            self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_whole(answer: bytes) -> bool:
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(blank and length) and len(body) == int(length)


def _request(path: str) -> bytes:
    """Return a request as Stripe sends it, with an event of its own."""
    event = delivery()
    headers = event.headers | {"Accept": "*/*; q=0.5, application/xml", "Cache-Control": "no-cache"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    start = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(event.body)}\r\n"
    return f"{start}{head}\r\n".encode() + event.body


# --- the server -------------------------------------------------------------------------------


def _serve(name: str, control: Connection) -> None:
    """Serve an app; tell its address, and the CPU time of the process whenever it is asked for."""
    app = APPS[name]
    with app.host(app.build()) as url:
        control.send(url)
        while control.recv():
            control.send(time.process_time())


@contextlib.contextmanager
def _running(name: str) -> Generator[tuple[str, Callable[[], float]], None, None]:
    """Run the server of an app in another process; yield its address and what asks for its time."""
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_serve, args=(name, theirs), daemon=True)
    process.start()

    def cpu() -> float:
        ours.send(True)
        seconds: float = ours.recv()
        return seconds

    try:
        yield ours.recv(), cpu
    finally:
        ours.send(False)
        process.join()


# --- measuring --------------------------------------------------------------------------------


def _measure(name: str) -> dict[str, _Measured]:
    measured = {route: _Measured() for route in _ROUTES}
    with _running(name) as (url, cpu):
        sender = _Sender(url)
        for number in range(ROUNDS + 1):
            for route, taken in measured.items():
                requests = [_request(route) for _ in range(DELIVERIES)]
                wall, before = time.perf_counter(), cpu()
                for request in requests:
                    sender.send(request)
                spent = cpu() - before, time.perf_counter() - wall
                if number:  # the first round is that of first calls
                    taken.cpu.append(spent[0] * 1e6 / DELIVERIES)
                    taken.wall.append(spent[1] * 1e6 / DELIVERIES)
        sender.close()
    return measured


def _ratio(some: list[float], others: list[float]) -> float:
    return median(one / other for one, other in zip(some, others, strict=True))


def _row(name: str) -> str:
    bare, by_hand, ours = _measure(name).values()
    hand, cpu, wall = (
        _ratio(by_hand.cpu, bare.cpu),
        _ratio(ours.cpu, bare.cpu),
        _ratio(ours.wall, bare.wall),
    )
    verdict = "met" if cpu <= GOAL else "MISSED"
    costs = f"{median(bare.cpu):10.0f}{median(ours.cpu):10.0f}{hand:12.2f}{cpu:10.2f}{wall:12.2f}"
    return f"{name:36}{costs}{GOAL:7.2f}  {verdict}"


def report() -> str:
    """Return the table."""
    title = (
        "\nA delivery from the socket to a handler: CPU µs of the server, ratios to the bare route"
    )
    lines = [
        title,
        f"{'':36}{'bare':>10}{'ours':>10}{'by hand':>12}{'ours':>10}{'ours, wall':>12}{'goal':>7}",
    ]
    return "\n".join([*lines, *map(_row, APPS)])
