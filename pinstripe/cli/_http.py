"""One HTTP request at a time to an app or a sandbox on this machine.

The client of the package sends to the API only, with its key and its retries. What goes elsewhere
is sent here: once, through no proxy, without cookies, and along no redirect.

Commands that send nothing but calls also import aiohttp here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from importlib import import_module

from attrs import frozen
from yarl import URL

_SECONDS = 30.0
"""How long a request may take; Stripe gives an app about as long to answer an event."""

_MAX_BODY = 1_000_000
"""The bytes of an answer that are read; those of a sandbox are far shorter."""


@frozen
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        body: The first megabyte of the body.
    """

    status: int
    body: bytes


class NoAnswer(Exception):
    """Nothing usable came back; the text says why."""


async def send(
    method: str, url: URL, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """Send a request, and return the answer with any status.

    Args:
        method: The HTTP method, such as `"POST"`.
        url: The address.
        body: The body.
        headers: Headers besides those that HTTP needs.

    Raises:
        NoAnswer: None came, or nothing that is HTTP.
    """
    import aiohttp  # noqa: PLC0415 -- slow, so only when a command sends something

    # The bytes of an answer are counted as they come, so it must not be compressed.
    headers = {"Accept-Encoding": "identity", **(headers or {})}
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout)
    try:
        async with (
            session,
            session.request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as response,
        ):
            received = bytearray()
            async for piece in response.content.iter_any():
                received += piece
                if len(received) >= _MAX_BODY:
                    break
            return Answer(response.status, bytes(received[:_MAX_BODY]))
    except asyncio.TimeoutError:
        raise NoAnswer("timeout") from None
    except aiohttp.ClientConnectorError as error:
        refused = isinstance(error.os_error, ConnectionRefusedError)
        raise NoAnswer("refused" if refused else "no answer") from None
    except (aiohttp.ClientError, OSError):
        raise NoAnswer("no answer") from None


def import_aiohttp() -> None:
    """Import aiohttp, and spare it the certificates that it would read twice meanwhile.

    That takes as long as all the rest of a command. The client reads them itself, for https only.
    """
    variable = "SSL_CERT_FILE"
    given = os.environ.get(variable)
    os.environ[variable] = os.devnull
    try:
        import_module("aiohttp")
    finally:
        if given is None:
            del os.environ[variable]
        else:
            os.environ[variable] = given
