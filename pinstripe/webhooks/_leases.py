"""Leases: a coroutine function that still runs at the end of its lease is cancelled.

Nearly none does, and a timer of asyncio costs more than all steps of a store in memory. So the
leases of an event loop share one timer, which is set for the one that ends first. A lease that is
left in time changes nothing about the timer: when it fires, it is set for the next one.

A coroutine function may catch its cancellation, to clean up, and may even go on. So it is cancelled
again after a second, until it ends.
"""

from __future__ import annotations

import asyncio
import sys
from math import inf
from types import TracebackType
from typing import Any, Final

from pinstripe._concurrency.loop_local import LoopLocal

_AGAIN: Final = 1.0
"""Seconds between two cancellations of one coroutine function."""


class Lease:
    """A block of code that is cancelled when its lease ends; then it raises a TimeoutError.

    Args:
        deadline: When the lease ends, on the clock of the event loop.
    """

    __slots__ = ("_before", "_cancels", "_running", "_task", "due")

    def __init__(self, deadline: float) -> None:
        self.due = deadline
        """When to cancel the block, for the first time or again."""
        self._cancels = self._before = 0

    def __enter__(self) -> None:
        running = _running.get()
        if running is None:
            running = _Running()
            _running.set(running)
        task: Any = asyncio.current_task()
        if sys.version_info >= (3, 11):
            self._before = task.cancelling()
        self._running, self._task = running, task
        running.add(self)

    def cancel(self, now: float) -> None:
        """Cancel the block."""
        self._cancels += 1
        self.due = now + _AGAIN
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._running.leases.remove(self)
        if not self._cancels:
            return
        others = 0
        if sys.version_info >= (3, 11):
            for _ in range(self._cancels):
                others = self._task.uncancel() - self._before
        # If somebody else has cancelled the task too, that goes on.
        if isinstance(error, asyncio.CancelledError) and others <= 0:
            raise TimeoutError("the lease ended, and the handler was cancelled") from error


class _Running:
    """The leases of an event loop that run, and their timer."""

    def __init__(self) -> None:
        self.leases: set[Lease] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf

    def add(self, lease: Lease) -> None:
        """Add a lease that begins."""
        self.leases.add(lease)
        if lease.due < self._due:
            self._set_timer(lease.due)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._cancel_due)

    def _cancel_due(self) -> None:
        self._timer, self._due = None, inf
        now = self._loop.time()
        for lease in self.leases:
            if lease.due <= now:
                lease.cancel(now)
        due = min((lease.due for lease in self.leases), default=inf)
        if due < inf:
            self._set_timer(due)


_running: LoopLocal[_Running] = LoopLocal()
