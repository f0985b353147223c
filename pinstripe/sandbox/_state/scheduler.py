"""Does what stands in the agendas when it is due, also when no request comes that would look."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from pinstripe.sandbox._state.clock import ManualClock
from pinstripe.sandbox._state.world import Account, World

_log = logging.getLogger("pinstripe.sandbox")


@contextlib.asynccontextmanager
async def run_scheduler(world: World) -> AsyncGenerator[None, None]:
    """Settle every account of a world on time, until the block ends.

    A clock that runs by itself is waited for in real seconds; a `ManualClock` is looked at when it
    is moved.
    """
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    world.on_scheduled = changed.set
    clock, unwatch = world.settings.clock, None
    if isinstance(clock, ManualClock):
        unwatch = clock.watch(lambda: loop.call_soon_threadsafe(changed.set))
    keeper = asyncio.create_task(_keep(world, changed), name="pinstripe-timekeeper")
    try:
        yield
    finally:
        if unwatch is not None:
            unwatch()
        keeper.cancel()
        await asyncio.wait([keeper])


async def _keep(world: World, changed: asyncio.Event) -> None:
    flows = not isinstance(world.settings.clock, ManualClock)
    while True:
        changed.clear()
        for account in world.accounts():
            _settle(account)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(changed.wait(), _until(world) if flows else None)


def _settle(account: Account) -> None:
    try:
        account.run_due()
    except Exception:  # noqa: BLE001 - one duty that fails must not end the others
        _log.exception("A duty of the sandbox failed")


def _until(world: World) -> float | None:
    dues = [due for due in (account.next_due() for account in world.accounts()) if due is not None]
    return max(0.0, min(dues) - world.settings.clock()) if dues else None
