"""A small server that the demo receives with: it accepts every request and keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen
from typing_extensions import Self

if TYPE_CHECKING:
    from aiohttp import web


@frozen
class Received:
    """One request that came.

    Attributes:
        headers: Its headers, under lower-case names.
        body: Its body.
    """

    headers: dict[str, str]
    body: bytes


class Receiver:
    """A server on a free port of this machine that answers 200 to everything.

    Attributes:
        url: Its address, while it runs.
    """

    url: str

    def __init__(self) -> None:
        self._received: list[Received] = []

    async def __aenter__(self) -> Self:
        from aiohttp import web  # noqa: PLC0415 -- slow, so only when a command needs it

        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def take(self) -> list[Received]:
        """Return what came since the last time."""
        received, self._received = self._received, []
        return received

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        from aiohttp import web  # noqa: PLC0415 -- loaded already

        headers = {name.lower(): value for name, value in request.headers.items()}
        self._received.append(Received(headers, await request.read()))
        return web.json_response({})
