"""A small HTTP client for the tests of the sandbox."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from attrs import frozen
from yarl import URL

from pinstripe.sandbox import Refusal, Server
from pinstripe.sandbox._server import API_KEY

SESSIONS = "/v1/identity/verification_sessions"
REPORTS = "/v1/identity/verification_reports"
ONRAMP = "/v1/crypto/onramp_sessions"
QUOTES = "/v1/crypto/onramp/quotes"
WEBHOOKS = "/v1/webhook_endpoints"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\1" * 2 + bytes(9)


def refusal_of(action: Callable[[], object]) -> Refusal | None:
    """Return the refusal that an action raises, or None."""
    try:
        action()
    except Refusal as refusal:
        return refusal
    return None


@frozen
class Reply:
    """What tests look at in an answer; the body is text unless it is JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        """The error of the envelope."""
        assert set(self.body) == {"error"}, self.body
        return self.body["error"]


@frozen
class Api:
    """Sends requests with a key, and reads the answers."""

    session: aiohttp.ClientSession
    key: str = API_KEY

    async def __call__(
        self, method: str, path: str | URL, data: Any = None, *, json: Any = None, **headers: str
    ) -> Reply:
        sent = {"Authorization": f"Bearer {self.key}"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        data = io.BytesIO(data) if isinstance(data, bytes) else data
        async with self.session.request(
            method, path, data=data, json=json, headers=sent, allow_redirects=False
        ) as response:
            json_body = response.content_type == "application/json"
            body = await (response.json() if json_body else response.text())
            return Reply(response.status, dict(response.headers), body)

    async def ok(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        """Return the body of an answer, which has to be a 200."""
        reply = await self(method, path, data, **headers)
        assert reply.status == 200, reply.body
        return reply.body

    async def session_of(self, **data: str) -> Any:
        """Create a verification session."""
        return await self.ok("POST", SESSIONS, {"type": "document", **data})


async def one_of_each(api: Api) -> None:
    """Create an object of each kind that the API can create, and a verified session."""
    session = await api.session_of(**{"metadata[a]": "é"})
    await api.ok("POST", f"/_sandbox/identity/verification_sessions/{session['id']}/verify")
    onramp = await api.ok("POST", ONRAMP)
    await api.ok("POST", f"/_sandbox/crypto/onramp_sessions/{onramp['id']}/complete")
    address = {"url": "http://127.0.0.1:9/", "enabled_events[]": "file.created"}
    await api.ok("POST", WEBHOOKS, address)
    product = (await api.ok("GET", "/v1/climate/products"))["data"][0]["id"]
    await api.ok("POST", "/v1/climate/orders", {"product": product, "metric_tons": "0.01"})
    form = aiohttp.FormData({"purpose": "dispute_evidence"})
    form.add_field("file", PNG, filename="a.png", content_type="image/png")
    file = await api.ok("POST", "/v1/files", form)
    await api.ok("POST", "/v1/file_links", {"file": file["id"]})


async def calls_during_seeding(api: Api) -> int:
    """Seed many sessions, and return how many other calls are answered meanwhile."""
    data = {"count": "20000"}
    seeding = asyncio.create_task(api.ok("POST", "/_sandbox/identity/seed", data))
    calls = 0
    while not seeding.done():
        await api.ok("GET", f"{SESSIONS}?limit=1")
        calls += 1
    assert await seeding == {"created": 20_000}
    return calls


async def raw(server: Server, data: bytes, *, more: bytes = b"") -> tuple[int, dict[str, Any]]:
    """Send bytes without any encoding and read the first answer."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        if more:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            writer.write(more)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1])
            for line in head.splitlines()
            if line.lower().startswith("content-length")
        )
        assert "application/json" in head
        assert "Request-Id: req_" in head
        return int(head.split()[1]), json.loads(await reader.readexactly(length))
    finally:
        writer.close()
        await writer.wait_closed()


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """Return the bytes of a request with a key."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {API_KEY}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
