"""Deadlines: the timeouts of asyncio, on every Python.

They cost a third of `anyio.fail_after`. When one passes, it raises `asyncio.TimeoutError`, which on
Python 3.10 is not the built-in `TimeoutError`.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

if sys.version_info >= (3, 11):
    from asyncio import Timeout as Deadline
    from asyncio import timeout as deadline_in
else:
    from async_timeout import Timeout as Deadline
    from async_timeout import timeout as deadline_in

__all__ = ["Deadline", "deadline_in", "end_now", "has_passed"]


def has_passed(deadline: Deadline) -> bool:
    """Return whether a deadline has passed, so that its `TimeoutError` is not another one's.

    Args:
        deadline: The deadline.
    """
    expired: Any = deadline.expired  # a plain bool in async_timeout
    return bool(expired() if callable(expired) else expired)


def end_now(deadline: Deadline) -> None:
    """Let a deadline pass now.

    Args:
        deadline: The deadline, which some task of this event loop has entered.
    """
    scope: Any = deadline
    now = asyncio.get_running_loop().time()
    with suppress(RuntimeError):  # it is passing already
        if sys.version_info >= (3, 11):
            scope.reschedule(now)
        else:
            # async_timeout would interrupt the task that calls this, not the one that entered.
            task = scope._task  # noqa: SLF001 -- nothing public says which task has entered
            scope.update(now)
            scope._task = task  # noqa: SLF001
