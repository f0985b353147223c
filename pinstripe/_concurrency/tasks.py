"""Tasks of our own, which work apart from who waits for them, with code of the user inside.

asyncio lets SystemExit and KeyboardInterrupt out of a task into whoever runs the event loop, which
ends it for everybody on it. From a task that is begun here they go to who waits for it, as any
other exception does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from typing_extensions import ParamSpec

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Exit(Exception):
    """Carries one of the two out of a task."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def start(
    function: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs
) -> asyncio.Task[_T]:
    """Return a task of this event loop; `outcome` tells what it came to.

    Args:
        function: A coroutine function, which is called as soon as the task runs.
        args: Its arguments.
        kwargs: Its arguments by name.
    """
    return asyncio.create_task(_contained(partial(function, *args, **kwargs)))


async def _contained(function: Callable[[], Awaitable[_T]]) -> _T:
    try:
        return await function()
    except (SystemExit, KeyboardInterrupt) as error:
        raise _Exit(error) from None


async def join(task: asyncio.Task[_T]) -> _T:
    """Wait for a task and return what it returns; to be cancelled meanwhile cancels it.

    Args:
        task: A task that was begun here.

    Raises:
        BaseException: What it raised.
    """
    try:
        return await task
    except _Exit as exit:
        cause = exit.cause
    try:
        raise cause
    finally:
        del cause  # it holds this frame


def shielded() -> AbstractContextManager[object]:
    """Return a scope that a scope of anyio around the caller does not cut short.

    A cancelled task group or scope of anyio interrupts every wait inside it, those of clean-up
    too. That is all it protects from: `asyncio.Task.cancel` interrupts a wait inside it as any
    other, and so do `asyncio.timeout` and `asyncio.wait_for`. What must not be lost to those
    goes through `finish`.
    """
    if "anyio" not in sys.modules:  # then nobody is in a scope of it, and the import takes 30 ms
        return nullcontext()
    from anyio import CancelScope  # noqa: PLC0415 -- see above

    return CancelScope(shield=True)


async def finish(work: Awaitable[_T]) -> _T:
    """Do work to its end, in a task of its own, whatever cancels the caller meanwhile.

    Scopes of anyio are not heard of before the end. After `asyncio.Task.cancel` the work is still
    waited for; then its outcome is dropped. The end of `asyncio.run`, which cancels every task,
    cancels that of the work too.

    Args:
        work: What to do.

    Raises:
        CancelledError: The caller was cancelled.
        Exception: What the work raised.
    """
    task = asyncio.ensure_future(work)
    await wait_uncancelled([task])
    try:
        return task.result()
    finally:
        del task  # it holds an error that holds this frame


async def cancel_and_wait(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end; what they end in is nobody's concern any more.

    Args:
        tasks: At least one; those that have ended already do no harm.

    Raises:
        CancelledError: The caller was cancelled; it comes after their end too.
    """
    stopped = tuple(tasks)
    for task in stopped:
        task.cancel()
    await wait_uncancelled(stopped)


async def wait_uncancelled(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Wait for the end of tasks, or threads, however often the caller is cancelled meanwhile.

    Args:
        tasks: At least one; what they end in is for the caller to look up.

    Raises:
        CancelledError: The caller was cancelled.
    """
    cancelled: asyncio.CancelledError | None = None
    with shielded():
        while not all(task.done() for task in tasks):
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError as error:  # noqa: PERF203 -- each is outlasted
                cancelled = error
    for task in tasks:
        _ = task.cancelled() or task.exception()  # or asyncio would report that nobody looked
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            del cancelled  # it holds this frame
