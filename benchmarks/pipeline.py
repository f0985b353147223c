"""What a call costs apart from the network: deadline, slot, retries and hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from benchmarks.support.measure import KEY, compare_async, table
from pinstripe import AsyncClient, Hooks, Request, Response

CALLS = 2000
_BASE = "no hooks"
_ANSWER = Response(status=200, headers={"Request-Id": "req_1"}, body=b"{}")


class _Canned:
    async def send(self, request: Request) -> Response:
        return _ANSWER

    async def aclose(self) -> None: ...


def _calls(client: AsyncClient) -> Callable[[int], Awaitable[None]]:
    async def run(calls: int) -> None:
        for _ in range(calls):
            await client.request("GET", "/v1/balance")

    return run


async def _measure() -> str:
    def note(info: object) -> None: ...

    hooks = {
        _BASE: Hooks(),
        "a hook for waits": Hooks(on_wait=note),
        "a hook for requests": Hooks(on_request=note),
        "all hooks": Hooks(on_request=note, on_response=note, on_retry=note, on_wait=note),
    }
    clients = {name: AsyncClient(KEY, transport=_Canned(), hooks=h) for name, h in hooks.items()}
    runs = {name: _calls(client) for name, client in clients.items()}
    return table("a call without a network", _BASE, await compare_async(runs, CALLS))


def report() -> str:
    """Return the table."""
    return asyncio.run(_measure())
