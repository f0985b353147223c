"""Fixtures: a browser, a tab for each test, and a shop whose user it is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pinstripe.sandbox import Sandbox
from tests.support.browser import anyio_backend, browser, servers_first, tab
from tests.support.shop import Shop, open_shop

__all__ = ["anyio_backend", "browser", "servers_first", "tab"]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(seed=7) as sandbox:
        yield sandbox


@pytest.fixture
async def shop(sandbox: Sandbox) -> AsyncIterator[Shop]:
    async with open_shop(sandbox) as shop:
        yield shop
