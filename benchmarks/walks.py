"""Parallel walks beside the serial one, over a server that takes 100 ms for a page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from benchmarks.support.lists import long_list
from benchmarks.support.measure import KEY
from pinstripe import AsyncClient
from pinstripe.identity import VerificationSession

DELAY = 0.1
SESSIONS = 60_000
SERIAL = 3_000
WINDOWS = (4, 16, 32)


async def _time(items: AsyncIterator[VerificationSession], expected: int) -> float:
    """Return the seconds that a page of objects took."""
    start = time.perf_counter()
    number = 0
    async for item in items:
        assert int(item.id.removeprefix("vs_")) == number, "out of order"
        number += 1
    assert number == expected
    return (time.perf_counter() - start) / (number / 100)


async def _measure(url: str) -> str:
    async with AsyncClient(KEY, base_url=url) as stripe:
        await stripe.warm_up()
        sessions = stripe.identity.verification_sessions
        serial = await _time(aiter(sessions.list(max_items=SERIAL)), SERIAL)
        lines = [f"{'serial walk':44}{serial * 1000:16.1f}{1:12.2f}"]
        for windows in WINDOWS:
            spent = await _time(sessions.list().parallel(windows), SESSIONS)
            name = f"parallel walk, {windows} windows"
            lines.append(f"{name:44}{spent * 1000:16.1f}{serial / spent:12.2f}")
    return "\n".join(lines)


def report() -> str:
    """Return the table."""
    title = f"\nWalking {SESSIONS} sessions, {DELAY * 1000:.0f} ms a page of 100"
    with long_list(SESSIONS, DELAY) as url:
        table = asyncio.run(_measure(url))
    return f"{title}\n{'':44}{'wall ms a page':>16}{'times fast':>12}\n{table}"
