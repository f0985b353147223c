"""Ctrl-C for a coroutine, which can then clean up, on every version of Python."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")


def run_interruptible(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine; Ctrl-C cancels it at its next await, and a second Ctrl-C ends the process.

    If the process was started with SIGINT ignored, as by `nohup`, it stays ignored.

    Args:
        main: The coroutine.

    Raises:
        KeyboardInterrupt: Ctrl-C cancelled it, and it has cleaned up.
    """

    async def cancel_on_sigint() -> _T:
        task = asyncio.current_task()
        assert task is not None
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            # On Windows, and in a thread other than the main one, an event loop has no such
            # handler: there Python's own stays.
            with suppress(NotImplementedError, RuntimeError, ValueError):
                asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _cancel, task)
        return await main

    try:
        return asyncio.run(cancel_on_sigint())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _cancel(task: asyncio.Task[Any]) -> None:
    # The default action ends the process: a second Ctrl-C helps if the clean-up hangs.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    task.cancel()
