"""An errand: work on the loop thread that has the waiting thread call plain functions for it.

The two take turns. The caller waits on the loop until the errand has ended or wants a function
called; then it calls that function in its own thread, and goes back to the loop with the outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from pinstripe._concurrency.loop_thread import LoopEndedError, LoopThread
from pinstripe._concurrency.tasks import cancel_and_wait, join, shielded, start
from pinstripe._concurrency.thread_call import ThreadCall

_T = TypeVar("_T")

CallInThread: TypeAlias = Callable[..., Awaitable[object]]
"""Calls a plain function, with its arguments behind it, in the thread where those are to run."""


class ThreadCallbacks(Generic[_T]):
    """One errand.

    Args:
        work: A coroutine function. Its argument calls plain functions in the waiting thread.
    """

    def __init__(self, work: Callable[[CallInThread], Awaitable[_T]]) -> None:
        self._work = work
        self._task: asyncio.Task[_T] | None = None
        self._wanted: Callable[[], object] | None = None
        self._value: object = None
        self._error: Exception | None = None

    def run(self, thread: LoopThread) -> _T:
        """Run it, and return what it returns.

        Args:
            thread: Where it runs.

        Raises:
            UserCodeError: This thread was interrupted, and the errand cancelled; for the door.
            BaseException: What it raised, or what a plain function did that is no Exception.
        """
        try:
            return self._take_turns(thread)
        except BaseException:
            with contextlib.suppress(LoopEndedError):
                thread.run(ThreadCall(self._cancel))
            raise

    def _take_turns(self, thread: LoopThread) -> _T:
        thread.run(ThreadCall(self._begin))
        while (wanted := self._wanted) is not None:
            try:
                self._value, self._error = wanted(), None
            except Exception as error:  # noqa: BLE001 -- the errand gets it
                self._value, self._error = None, error
            thread.run(ThreadCall(self._go_on))
        return thread.run(ThreadCall(self._end))

    async def _begin(self) -> None:
        self._news, self._answered = asyncio.Event(), asyncio.Event()
        self._task = start(self._main)
        await self._turn()

    async def _main(self) -> _T:
        try:
            return await self._work(self._call)
        finally:
            self._wanted = None
            self._news.set()

    async def _go_on(self) -> None:
        self._wanted = None
        self._answered.set()
        await self._turn()

    async def _turn(self) -> None:
        await self._news.wait()
        self._news.clear()

    async def _cancel(self) -> None:
        if self._task is not None:
            await cancel_and_wait([self._task])

    async def _end(self) -> _T:
        assert self._task is not None
        return await join(self._task)

    async def _call(self, function: Callable[..., object], /, *args: Any) -> object:
        self._answered.clear()
        self._wanted = partial(function, *args)
        self._news.set()
        # A function that has begun cannot be cancelled: wait for its end, as for a worker thread.
        with shielded():
            await self._answered.wait()
        value, error = self._value, self._error
        self._value = self._error = None
        if error is not None:
            try:
                raise error
            finally:
                del error  # it holds this frame
        return value
