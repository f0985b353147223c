"""Tasks that run apart from the task that waits for them, and waits that a cancellation cannot cut.

Code of the user runs in these tasks, and it may raise SystemExit or KeyboardInterrupt. asyncio
raises these two out of the event loop itself, which ends the loop for every other task on it. So a
task that is made by `start` wraps them, and `join` raises them in the task that waits, as it does
with any other exception.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from typing_extensions import ParamSpec

from pinstripe._core.tracebacks import KeptError

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _ExitError(Exception):
    """Carries a SystemExit or KeyboardInterrupt out of a task."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = KeptError(cause)


def start(
    function: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs
) -> asyncio.Task[_T]:
    """Run a coroutine function in a task of its own; `join` returns its result.

    Args:
        function: The coroutine function, which is called when the task first runs.
        args: Its arguments.
        kwargs: Its arguments by name.
    """

    async def contained() -> _T:
        try:
            return await function(*args, **kwargs)
        except (SystemExit, KeyboardInterrupt) as error:
            raise _ExitError(error) from None

    return asyncio.create_task(contained())


async def join(task: asyncio.Task[_T]) -> _T:
    """Wait for a task and return its result; if the caller is cancelled, so is the task.

    Args:
        task: A task from `start`.

    Raises:
        BaseException: The exception that the function raised.
    """
    try:
        return await task
    except _ExitError as exit:
        cause = exit.cause
    return cause.raise_again()


def shielded() -> AbstractContextManager[object]:
    """Return a scope that the cancel scopes of anyio around the caller do not interrupt.

    A cancelled task group or scope of anyio interrupts every wait inside it, also those of
    clean-up. This scope protects from nothing else: `asyncio.Task.cancel`, `asyncio.timeout` and
    `asyncio.wait_for` interrupt a wait inside it too. Work that they must not interrupt goes
    through `finish`.
    """
    # Without anyio there is no scope of it around the caller, and its import takes 30 ms.
    if "anyio" not in sys.modules:
        return nullcontext()
    from anyio import CancelScope  # noqa: PLC0415 -- see above

    return CancelScope(shield=True)


async def finish(work: Awaitable[_T]) -> _T:
    """Run work to its end in a task of its own, even if the caller is cancelled meanwhile.

    A cancelled scope of anyio has its effect after the end of the work. After
    `asyncio.Task.cancel` the caller still waits for the end of the work, then its result is
    dropped. The end of `asyncio.run` cancels every task, and so the task of the work too.

    Args:
        work: The work.

    Raises:
        CancelledError: The caller was cancelled.
        Exception: The exception that the work raised.
    """
    task = asyncio.ensure_future(work)
    await wait_uncancelled([task])
    try:
        return task.result()
    finally:
        # The task holds its error, and the traceback of that error holds this frame.
        del task


async def cancel_and_wait(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end; their results and errors are dropped.

    Args:
        tasks: At least one task; a task that has ended already is left as it is.

    Raises:
        CancelledError: The caller was cancelled. This comes after the end of the tasks too.
    """
    stopped = tuple(tasks)
    for task in stopped:
        task.cancel()
    await wait_uncancelled(stopped)


async def wait_uncancelled(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Wait for the end of tasks or threads, even if the caller is cancelled several times.

    Args:
        tasks: At least one; the caller asks them for their results.

    Raises:
        CancelledError: The caller was cancelled.
    """
    cancelled: KeptError | None = None
    with shielded():
        while not all(task.done() for task in tasks):
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError as error:  # noqa: PERF203 -- raised after the wait
                cancelled = KeptError(error)
    # asyncio logs an error that nobody has asked a task for.
    for task in tasks:
        _ = task.cancelled() or task.exception()
    if cancelled is not None:
        cancelled.raise_again()
