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
from typing import Any, Generic, TypeAlias, TypeVar

from pinstripe._concurrency.loop_thread import LoopEndedError, LoopThread
from pinstripe._concurrency.tasks import cancel_and_wait, join, shielded, start
from pinstripe._concurrency.thread_call import ThreadCall
from pinstripe._core.tracebacks import KeptError

_T = TypeVar("_T")

CallInThread: TypeAlias = Callable[..., Awaitable[object]]
"""Calls a plain function, with the arguments that follow it, in the thread that waits."""


class ThreadCallbacks(Generic[_T]):
    """One piece of work that takes turns with the thread that waits for it.

    Args:
        work: A coroutine function. Its argument calls plain functions in the waiting thread.
    """

    def __init__(self, work: Callable[[CallInThread], Awaitable[_T]]) -> None:
        self._work = work
        self._task: asyncio.Task[_T] | None = None
        # The function that the work waits for; None after the end of the work.
        self._wanted: Callable[[], object] | None = None
        # The result of the last function.
        self._value: object = None
        self._error: KeptError | None = None

    def run(self, thread: LoopThread) -> _T:
        """Run the work, and return the value that it returns.

        Args:
            thread: The loop thread to run it on.

        Raises:
            UserCodeError: This thread was interrupted, and the work was cancelled.
            BaseException: The work raised it, or a plain function did and it is no Exception.
        """
        try:
            thread.run(ThreadCall(self._begin))
            while (wanted := self._wanted) is not None:
                try:
                    self._value, self._error = wanted(), None
                except Exception as error:  # noqa: BLE001 -- raised in the work
                    self._value, self._error = None, KeptError(error)
                thread.run(ThreadCall(self._resume))
            return thread.run(ThreadCall(self._end))
        except BaseException:
            with contextlib.suppress(LoopEndedError):
                thread.run(ThreadCall(self._cancel))
            raise

    # Everything below runs on the loop.

    async def _begin(self) -> None:
        self._caller_turn, self._work_turn = asyncio.Event(), asyncio.Event()
        self._task = start(self._main)
        await self._wait_for_caller_turn()

    async def _main(self) -> _T:
        try:
            return await self._work(self._call)
        finally:
            self._wanted = None
            self._caller_turn.set()

    async def _resume(self) -> None:
        self._wanted = None
        self._work_turn.set()
        await self._wait_for_caller_turn()

    async def _wait_for_caller_turn(self) -> None:
        await self._caller_turn.wait()
        self._caller_turn.clear()

    async def _end(self) -> _T:
        assert self._task is not None
        return await join(self._task)

    async def _cancel(self) -> None:
        if self._task is not None:
            await cancel_and_wait([self._task])

    async def _call(self, function: Callable[..., object], /, *args: Any) -> object:
        self._work_turn.clear()
        # In the context of the work, as in a worker thread: there, too, context variables that were
        # set for the work are seen.
        self._wanted = partial(copy_context().run, function, *args)
        self._caller_turn.set()
        # A function that has begun cannot be cancelled: wait for its end, as for a worker thread.
        with shielded():
            await self._work_turn.wait()
        value, error = self._value, self._error
        self._value = self._error = None
        if error is not None:
            error.raise_again()
        return value
