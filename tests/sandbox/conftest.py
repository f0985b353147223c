"""Fixtures: a repeatable sandbox in the test's event loop, and a small HTTP client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from attrs import evolve

from pinstripe.sandbox import ManualClock, Server, Settings
from pinstripe.sandbox._server import RESTRICTED_KEY
from tests.support.sandbox_api import Api

NOW = 1_790_510_400.25


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def server(clock: ManualClock) -> AsyncIterator[Server]:
    server = Server(Settings(seed=7, clock=clock, redaction_seconds=60.0))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession(server.url) as session:
        yield Api(session)


@pytest.fixture
def restricted(api: Api) -> Api:
    return evolve(api, key=RESTRICTED_KEY)
