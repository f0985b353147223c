"""Waits of tests that need no time."""

import asyncio


async def settle() -> None:
    """Let every task go as far as it can without the outside world."""
    for _ in range(20):
        await asyncio.sleep(0)
