"""The sandbox: requests a second with 100,000 objects in it, pages, memory and durability."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from benchmarks.support.sandbox_process import Server, ask, request, running, send

CONNECTIONS = 16
REQUESTS = 4000
ROUNDS = 3
SESSIONS = 100_000
INTERVAL = 60

_PATH = "/v1/identity/verification_sessions"


def _rate(server: Server, requests: Sequence[bytes], connections: int = CONNECTIONS) -> float:
    """Return requests a second, the median of some rounds."""
    rounds = [asyncio.run(send(server, requests, connections))[0] for _ in range(ROUNDS)]
    return len(requests) / statistics.median(rounds)


def _row(name: str, rate: float) -> str:
    return f"{name:56}{rate:12.0f}{1e6 / rate:12.0f}"


def _retrievals(server: Server) -> Iterator[str]:
    for status in ("verified", "requires_input"):
        page = ask(server, "GET", f"{_PATH}?limit=100&status={status}")["data"]
        requests = [request("GET", f"{_PATH}/{session['id']}") for session in page]
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
            requests = [request("GET", f"{_PATH}?limit={limit}{cursor}")] * (REQUESTS // 5)
            yield _row(f"list {limit}, {place}", _rate(server, requests))


def _creations(server: Server, name: str) -> Iterator[str]:
    numbers = count()
    for connections in (1, CONNECTIONS):
        rounds: list[float] = []
        for _ in range(ROUNDS):
            requests = [_creation(next(numbers)) for _ in range(REQUESTS // 4)]
            rounds.append(asyncio.run(send(server, requests, connections))[0])
        rate = REQUESTS // 4 / statistics.median(rounds)
        yield _row(f"create a session, {name}, {connections} at once", rate)


def _creation(number: int) -> bytes:
    headers = "Content-Type: application/x-www-form-urlencoded", f"Idempotency-Key: {number}"
    return request("POST", _PATH, f"type=document&metadata[number]={number}", *headers)


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
