"""Waits that come to their end, also where the caller was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyio import CancelScope


def shielded() -> CancelScope:
    """Return a scope that one around the caller, which was cancelled, does not cut short.

    A cancelled task group or scope of anyio interrupts every wait inside it, those of clean-up
    too.
    """
    from anyio import CancelScope  # noqa: PLC0415 -- 30 ms of a first call, so only when needed

    return CancelScope(shield=True)


async def stop(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end; what they end in is nobody's concern any more.

    Args:
        tasks: At least one; those that have ended already do no harm.
    """
    stopped = tuple(tasks)
    for task in stopped:
        task.cancel()
    with shielded():
        await asyncio.wait(stopped)
    for task in stopped:
        _ = task.cancelled() or task.exception()
