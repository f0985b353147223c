"""Ctrl-C for a coroutine, at a place where it can clean up, on every version of Python."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

INTERRUPTED = 130
"""The exit status after Ctrl-C, as a shell counts it: 128 and the number of SIGINT."""

_T = TypeVar("_T")


def run_interruptible(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine; Ctrl-C cancels it where it awaits, a second Ctrl-C ends the process.

    Where the process was started with SIGINT ignored, as by `nohup`, it stays so.

    Args:
        main: What to run.

    Raises:
        KeyboardInterrupt: It was cancelled by Ctrl-C, and has cleaned up.
    """
    try:
        return asyncio.run(_cancel_on_sigint(main))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _cancel_on_sigint(main: Coroutine[Any, Any, _T]) -> _T:
    task = asyncio.current_task()
    assert task is not None
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # Windows and threads other than the main one have no such handler; Python's stays there.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _stop, task)
    return await main


def _stop(task: asyncio.Task[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    task.cancel()
