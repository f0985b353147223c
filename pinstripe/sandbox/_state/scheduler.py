"""Runs scheduled jobs when they are due, even if no request comes.

Requests run the due jobs of their account before they look at it. This scheduler runs those of all
accounts on time, so that events and webhooks go out while nobody asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from pinstripe.sandbox._state.clock import ManualClock
from pinstripe.sandbox._state.world import World

_log = logging.getLogger("pinstripe.sandbox")


@contextlib.asynccontextmanager
async def run_scheduler(world: World) -> AsyncGenerator[None, None]:
    """Run the due jobs of every account of a world, until the block ends."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    world.on_scheduled = changed.set
    clock, unwatch = world.settings.clock, None
    if isinstance(clock, ManualClock):
        # The clock may be advanced in any thread.
        unwatch = clock.watch(lambda: loop.call_soon_threadsafe(changed.set))
    scheduler = asyncio.create_task(_run_jobs(world, changed), name="pinstripe-scheduler")
    try:
        yield
    finally:
        if unwatch is not None:
            unwatch()
        scheduler.cancel()
        await asyncio.wait([scheduler])


async def _run_jobs(world: World, changed: asyncio.Event) -> None:
    clock = world.settings.clock
    while True:
        # The event is cleared before the jobs run: a job that schedules another one sets it again.
        changed.clear()
        for account in world.accounts():
            try:
                account.run_due()
            except Exception:  # noqa: BLE001, PERF203 -- the other accounts have jobs too
                _log.exception("A scheduled job of the sandbox failed")
        # A clock that runs by itself reaches the next job in as many real seconds. A `ManualClock`
        # sets the event when it is advanced.
        wait: float | None = None
        if not isinstance(clock, ManualClock):
            dues = [due for account in world.accounts() if (due := account.next_due()) is not None]
            wait = max(0.0, min(dues) - clock()) if dues else None
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(changed.wait(), wait)
