"""One HTTP request at a time, to an app or a sandbox on this machine: no proxy, no redirect.

The standard library's client runs in a thread; aiohttp is the business of the client's transport,
which sends to the API only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from attrs import frozen
from yarl import URL

SECONDS = 30.0
"""How long the other side has for its answer."""

_MAX_BODY = 1_000_000


@frozen
class Answer:
    """What came back."""

    status: int
    body: bytes


class NoAnswer(Exception):
    """Nothing usable came back; the text says why."""


async def send(
    method: str, url: URL, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """Send a request, and return the answer whatever its status.

    Args:
        method: Such as `"POST"`.
        url: Where to.
        body: The body.
        headers: Headers beside the usual ones.

    Raises:
        NoAnswer: None came, or nothing that is HTTP.
    """
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.raw_host or "", url.port, timeout=SECONDS)
    asking = asyncio.to_thread(_ask, connection, method, url.raw_path_qs, body, headers or {})
    try:
        return await asyncio.wait_for(asking, SECONDS)
    except asyncio.TimeoutError:
        raise NoAnswer("timeout") from None
    except (OSError, HTTPException) as error:
        raise NoAnswer(_reason(error)) from None
    finally:
        _wake(connection)


def _ask(
    connection: HTTPConnection, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(_MAX_BODY))
    finally:
        connection.close()


def _wake(connection: HTTPConnection) -> None:
    """End the wait of a thread whose answer nobody waits for any more."""
    waiting: socket.socket | None = connection.sock
    if waiting is not None:
        with contextlib.suppress(OSError):
            waiting.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "timeout"
    return "refused" if isinstance(error, ConnectionRefusedError) else "no answer"
