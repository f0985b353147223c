"""A proxy before a sandbox that harms some of the requests it hands on.

A harm strikes before a request is handed on or after it, so that its effect has come about or
not; sometimes it is handed on late, when the client has long been told that its connection is
lost.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from tests.support import faulty
from tests.support.faulty import Behaviour, Exchange, Seen, ok, then_end

_NO = b'{"error": {"message": "no"}}'

REFUSED = {
    "409": ok(_NO, 409),
    "429": ok(_NO, 429),
    "429, wait 0": ok(_NO, 429, Retry_After="0"),
    "503": ok(_NO, 503),
    "503, wait 0": ok(_NO, 503, Retry_After="0"),
}
"""What a server says before it does anything."""

LOST = {
    name: getattr(faulty, name)
    for name in (
        "reset_before",
        "eof_before",
        "reset_in_headers",
        "eof_in_headers",
        "truncated",
        "truncated_chunked",
        "broken_chunk",
        "garbage",
        "bad_length",
        "length_and_chunks",
        "long_header",
        "many_headers",
        "damaged_gzip",
        "not_gzip",
    )
} | {"html 502": faulty.html(502), "500": ok(_NO, 500)}
"""What can come before or after an effect, and is worth another attempt."""

FINAL = {
    "hang": faulty.hang,
    "slow headers": faulty.slow_headers,
    "endless body": faulty.endless_body,
    "gzip in gzip": faulty.double_gzip,
    "null": ok(b"null"),
    "html 200": faulty.html(),
    "redirect": faulty.redirect("https://elsewhere.example/", 307),
}
"""What ends a call, before or after an effect."""


def _in_pieces(answer: bytes, _: bytes) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        for at in range(0, len(answer), 100):
            await exchange.send(answer[at : at + 100])
            await asyncio.sleep(0)

    return behave


def _with_another_later(answer: bytes, other: bytes) -> Behaviour:
    """Harm the next call on the connection, if it is on its way by then."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(answer)
        asyncio.get_running_loop().call_later(0.002, exchange.writer.write, other)

    return behave


SPOILED: dict[str, Callable[[bytes, bytes], Behaviour]] = {
    "cut in half": lambda answer, _: then_end(answer[: len(answer) // 2]),
    "reset in half": lambda answer, _: then_end(answer[: len(answer) // 2], with_reset=True),
    "cut by a byte": lambda answer, _: then_end(answer[:-1]),
    "then closed": lambda answer, _: then_end(answer),
    "then reset": lambda answer, _: then_end(answer, with_reset=True),
    "in pieces": _in_pieces,
    "with another after it": lambda answer, other: faulty.raw(answer + other),
}
"""What is made of a good answer, and of that of another call."""


class Chaos:
    """The behaviour of a `Faulty` that hands requests on to a sandbox, unless it harms them.

    Args:
        port: Where the sandbox listens.
        seed: Source of all chance.
        share: The part of the requests that is harmed.
        final: Whether harms that no other attempt can mend are among them.
    """

    def __init__(self, port: int, *, seed: int, share: float, final: bool) -> None:
        self.harmed: Counter[str] = Counter()
        self.requests = 0
        self._port = port
        self._chance = random.Random(seed)
        self._share = share
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._late: set[asyncio.Task[bytes]] = set()
        self._other = faulty.raw_answer(b'{"poison": 1}')
        self._harms = {
            **{f"{name}, no effect": fault for name, fault in {**REFUSED, **LOST}.items()},
            **{f"{name}, effect": self._after(fault) for name, fault in LOST.items()},
            **{f"{name}, effect": self._spoiling(harm) for name, harm in SPOILED.items()},
            "reset, late effect": self._late_effect,
        }
        if final:
            self._harms |= {
                **{f"{name}, no effect": fault for name, fault in FINAL.items()},
                **{f"{name}, effect": self._after(fault) for name, fault in FINAL.items()},
                "401, no effect": ok(_NO, 401),
                "with another later, effect": self._spoiling(_with_another_later),
            }

    async def __call__(self, exchange: Exchange) -> None:
        exchange.server.requests.clear()
        self.requests += 1
        name, harm = "none", self._spoiling(lambda answer, _: faulty.raw(answer))
        if self._chance.random() < self._share:
            name, harm = self._chance.choice(list(self._harms.items()))
        self.harmed[name] += 1
        await harm(exchange)

    async def settle(self) -> None:
        """Wait until what is handed on late has arrived, and let go of the sandbox."""
        await asyncio.gather(*self._late)
        while self._idle:
            self._idle.pop()[1].close()

    def _after(self, fault: Behaviour) -> Behaviour:
        async def behave(exchange: Exchange) -> None:
            await self._hand_on(exchange.request)
            await fault(exchange)

        return behave

    def _spoiling(self, harm: Callable[[bytes, bytes], Behaviour]) -> Behaviour:
        async def behave(exchange: Exchange) -> None:
            answer = await self._hand_on(exchange.request)
            other, self._other = self._other, answer
            await harm(answer, other)(exchange)

        return behave

    async def _late_effect(self, exchange: Exchange) -> None:
        exchange.reset()
        task = asyncio.create_task(self._hand_on(exchange.request, after=0.03))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _hand_on(self, request: Seen, *, after: float = 0) -> bytes:
        await asyncio.sleep(after)
        reader, writer = await self._connection()
        done = False
        try:
            writer.write(_as_bytes(request))
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
            answer = head + await reader.readexactly(int(length))
            done = True
        finally:
            if done:
                self._idle.append((reader, writer))
            else:
                writer.close()
        return answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)


def _as_bytes(request: Seen) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    head = f"{request.method} {request.target} HTTP/1.1\r\n{lines}\r\n"
    return head.encode("latin-1") + request.body
