"""A small HTTP client for the tests of the sandbox."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import attrs
from yarl import URL

from pinstripe.sandbox import Refusal
from pinstripe.sandbox.server import API_KEY

SESSIONS = "/v1/identity/verification_sessions"
REPORTS = "/v1/identity/verification_reports"
ONRAMP = "/v1/crypto/onramp_sessions"
QUOTES = "/v1/crypto/onramp/quotes"


def refusal_of(action: Callable[[], object]) -> Refusal | None:
    """Return the refusal that an action meets, None where it meets none."""
    try:
        action()
    except Refusal as refusal:
        return refusal
    return None


@attrs.frozen
class Reply:
    """An answer, as far as tests look at it."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        """The error of the envelope."""
        assert set(self.body) == {"error"}, self.body
        return self.body["error"]


@attrs.frozen
class Api:
    """Sends requests with a key, and reads JSON."""

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
            assert response.content_type == "application/json"
            return Reply(response.status, dict(response.headers), await response.json())

    async def ok(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        """Return the body of an answer that has to be a 200."""
        reply = await self(method, path, data, **headers)
        assert reply.status == 200, reply.body
        return reply.body

    async def session_of(self, **data: str) -> Any:
        """Create a verification session."""
        return await self.ok("POST", SESSIONS, {"type": "document", **data})
