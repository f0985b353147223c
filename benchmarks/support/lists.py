"""A server of long lists of verification sessions, made up as they are asked for."""

from __future__ import annotations

import asyncio
import json
import random
import re
from bisect import bisect_left, bisect_right
from contextlib import AbstractContextManager
from functools import lru_cache
from multiprocessing.connection import Connection
from urllib.parse import parse_qsl

from benchmarks.support import payloads
from benchmarks.support.server import listen, running

NEWEST = 1_790_000_000
"""The second in which the newest session is created."""

_ACCOUNT = re.compile(rb"\r\nstripe-account: acct_([0-9]+)\r\n", re.IGNORECASE)


class _List:
    """Sessions at the steps of a random walk through time, a minute from one to the next."""

    def __init__(self, length: int) -> None:
        chance, age = random.Random(1), 0.0
        self._ages: list[int] = []
        for _ in range(length):
            self._ages.append(int(age))
            age += chance.expovariate(1 / 60)
        session = {**payloads.session(1), "id": "ID", "created": "CREATED"}
        text = json.dumps(session).replace('"CREATED"', "%d").replace("ID", "vs_ACCOUNT_%016d")
        self._template = text.encode()
        # The lists of all accounts differ in the ids only, so a page is made once.
        self._page = lru_cache(maxsize=512)(self._made)

    def page(self, query: dict[str, str], account: int) -> bytes:
        begin, end = 0, len(self._ages)
        for name, second in query.items():
            if name in ("created[lte]", "created[lt]"):
                newest = int(second) - (name == "created[lt]")
                begin = max(begin, bisect_left(self._ages, NEWEST - newest))
            if name == "created[gte]":
                end = bisect_right(self._ages, NEWEST - int(second))
        if "starting_after" in query:
            begin = int(query["starting_after"].removeprefix("vs_")) % 10**16 + 1
        page = self._page(begin, min(end, begin + int(query["limit"])), end)
        return page.replace(b"ACCOUNT_", b"%08d" % account)

    def _made(self, begin: int, stop: int, end: int) -> bytes:
        ages = enumerate(self._ages[begin:stop], begin)
        data = b",".join(self._template % (n, NEWEST - age) for n, age in ages)
        more = b"true" if stop < end else b"false"
        return b'{"object":"list","has_more":' + more + b',"data":[' + data + b"]}"


class _Protocol(asyncio.Protocol):
    def __init__(self, sessions: _List, delay: float, broken: list[int]) -> None:
        self._sessions, self._delay, self._received = sessions, delay, b""
        self._broken = broken

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, _ = self._received.partition(b"\r\n\r\n")
        if end:
            self._received = b""
            query = head.split(b" ", 2)[1].partition(b"?")[2].decode()
            account = _ACCOUNT.search(head + end)
            number = int(account[1]) if account else 0
            asyncio.get_running_loop().call_later(self._delay, self._answer, query, number)

    def _answer(self, query: str, account: int) -> None:
        if account == 1 and self._broken[0]:
            self._broken[0] -= 1
            self._transport.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
            return
        body = self._sessions.page(dict(parse_qsl(query)), account)
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
        self._transport.write(f"{head}{len(body)}\r\n\r\n".encode() + body)


async def _serve(port: Connection, length: int, delay: float, failures: int) -> None:
    sessions, broken = _List(length), [failures]
    await listen(port, lambda: _Protocol(sessions, delay, broken))


def long_list(length: int, delay: float = 0.0, failures: int = 0) -> AbstractContextManager[str]:
    """Run the server in another process and give its address.

    Args:
        length: How many sessions there are.
        delay: Seconds that each page takes.
        failures: How many requests for the account `acct_1` are answered with 500 at first.
    """
    return running(_serve, length, delay, failures)
