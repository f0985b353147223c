"""Work on the loop thread that calls plain functions in the thread that waits for it.

The two threads take turns, so that a function of the user runs in the user's own thread. The
caller waits on the loop until the work has ended or wants a function called. It then calls that
function in its own thread, and goes back to the loop with the result.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeAlias, TypeVar

from pinstripe._concurrency.loop_thread import LoopEndedError, LoopThread
from pinstripe._concurrency.tasks import cancel_and_wait, shielded
from pinstripe._concurrency.thread_call import ThreadCall
from pinstripe._core.tracebacks import KeptError

_T = TypeVar("_T")

CallInThread: TypeAlias = Callable[..., Awaitable[object]]
"""Calls a plain function, with the arguments that follow it, in the thread that waits."""


class ThreadCallbacks(ThreadCall[_T]):
    """One piece of work that takes turns with the thread that waits for it.

    It is a call whose caller waits several times: until the work wants a function called, or until
    the work has ended. Its task stays the same.

    Args:
        work: A coroutine function. Its argument calls plain functions in the waiting thread.
    """

    __slots__ = ("_answer", "_resumed", "_wanted")

    def __init__(self, work: Callable[[CallInThread], Awaitable[_T]]) -> None:
        super().__init__(partial(work, self._call))
        # The function that the work waits for, and what the work waits with.
        self._wanted: Callable[[], object] | None = None
        self._resumed: asyncio.Future[None] | None = None
        # The result of the last function.
        self._answer: tuple[object, KeptError | None] = None, None

    def run(self, thread: LoopThread) -> _T:
        """Run the work, and return the value that it returns.

        Args:
            thread: The loop thread to run it on.

        Raises:
            UserCodeError: This thread was interrupted, and the work was cancelled.
            BaseException: The work raised it, or a plain function did and it is no Exception.
        """
        try:
            result = thread.run(self)
            while (wanted := self._wanted) is not None:
                self._wanted = None
                try:
                    self._answer = wanted(), None
                except Exception as error:  # noqa: BLE001 -- raised in the work
                    self._answer = None, KeptError(error)
                result = thread.run(self)
            return result
        except BaseException:
            with contextlib.suppress(LoopEndedError):
                thread.run(ThreadCall(self._cancel_work))
            raise

    # Everything below runs on the loop.

    def start(self) -> None:
        """Start the work, or let it proceed with the result of a function."""
        if self._resumed is None:
            super().start()
        elif not self._resumed.done():  # else the work was cancelled
            self._resumed.set_result(None)

    async def _call(self, function: Callable[..., object], /, *args: Any) -> object:
        self._resumed = asyncio.get_running_loop().create_future()
        # In the context of the work, as in a worker thread: there, too, context variables that were
        # set for the work are seen.
        self._wanted = partial(copy_context().run, function, *args)
        self._done.release()  # ends the wait of the caller
        try:
            # A function that has begun cannot be cancelled: wait for its end, as for a worker
            # thread.
            with shielded():
                await self._resumed
        finally:
            # The caller has it, unless it was interrupted.
            self._done.acquire(blocking=False)
        (value, error), self._answer = self._answer, (None, None)
        if error is not None:
            error.raise_again()
        return value

    async def _cancel_work(self) -> None:
        if self._task is not None:
            await cancel_and_wait([self._task])
