"""One call that a waiting thread runs on the event loop of another thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

from pinstripe._core.errors import ConnectionLost, PinstripeError
from pinstripe._core.tracebacks import KeptError

_T = TypeVar("_T")


class ThreadCall(Generic[_T]):
    """One call, from the caller's thread to the loop and back.

    The loop runs it as a task, in a copy of the caller's context. `start` and `cancel` are called
    on the loop, `wait` and `result` in the caller's thread.

    Args:
        function: A coroutine function without arguments.
    """

    __slots__ = ("_done", "_error", "_function", "_is_cancelled", "_task", "_value")

    def __init__(self, function: Callable[[], Awaitable[_T]]) -> None:
        self._function = function
        # The lock is the cheapest thing to wait for with a timeout: it is released at the end.
        self._done = threading.Lock()
        self._done.acquire()
        self._task: asyncio.Task[None] | None = None
        self._value: _T | None = None
        self._error: KeptError | None = None
        self._is_cancelled = False

    def start(self) -> None:
        """Start the task, unless the call was cancelled before."""
        if not self._is_cancelled:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            self._value = await self._function()
        except asyncio.CancelledError:
            self._error = KeptError(loop_stopped_error())
            raise
        except BaseException as error:  # noqa: BLE001 -- the caller raises it
            self._error = KeptError(error)
        finally:
            # The task holds this call, so the two would be a reference cycle.
            self._task = None
            self._done.release()

    def cancel(self) -> None:
        """Cancel the task; if it has not started yet, it never does."""
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()

    def wait(self, seconds: float) -> bool:
        """Wait at most so many seconds for the end, and return whether the call has ended."""
        return self._done.acquire(timeout=seconds)

    def result(self) -> _T:
        """Return the value that the function returned, or raise the exception that it raised."""
        error, self._error = self._error, None
        if error is not None:
            error.raise_again()
        return cast("_T", self._value)


def loop_stopped_error() -> PinstripeError:
    """Return the error of a call whose event loop stopped before the call had ended."""
    return ConnectionLost("the event loop of the client was stopped during the call")
