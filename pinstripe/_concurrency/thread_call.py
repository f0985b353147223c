"""One call on its way from a thread that waits to an event loop in another one, and back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

from pinstripe._core.errors import ConnectionLost, PinstripeError

_T = TypeVar("_T")


class ThreadCall(Generic[_T]):
    """One call, from the caller's thread to the loop and back.

    It runs as a task in a copy of the caller's context.

    Args:
        function: A coroutine function without arguments.
    """

    __slots__ = ("_done", "_error", "_function", "_given_up", "_task", "_value")

    def __init__(self, function: Callable[[], Awaitable[_T]]) -> None:
        self._function = function
        self._done = threading.Lock()
        self._done.acquire()
        self._task: asyncio.Task[None] | None = None
        self._value: _T | None = None
        self._error: BaseException | None = None
        self._given_up = False

    def start(self) -> None:
        """Start; called on the loop."""
        if self._given_up:
            return
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            self._value = await self._function()
        except asyncio.CancelledError:
            self._error = loop_stopped_error()
            raise
        except BaseException as error:  # noqa: BLE001 -- the caller raises it
            self._error = error
        finally:
            self._task = None
            self._done.release()

    def cancel(self) -> None:
        """Cancel the task, or keep it from being started; called on the loop."""
        self._given_up = True
        if self._task is not None:
            self._task.cancel()

    def wait(self, seconds: float) -> bool:
        """Wait for its end, but only so many seconds, and return whether it has ended."""
        return self._done.acquire(timeout=seconds)

    def result(self) -> _T:
        """Return what the function returned, or raise what it raised."""
        error, self._error = self._error, None
        if error is None:
            return cast("_T", self._value)
        context = error.__context__
        try:
            raise error
        finally:
            # Where it had a context, what the caller happens to handle is none.
            if context is not None:
                error.__context__ = context
            del error  # it holds this frame


def loop_stopped_error() -> PinstripeError:
    """Return the error of a call whose event loop ended under it."""
    return ConnectionLost("the event loop of the client was stopped under the call")
