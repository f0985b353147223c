"""The disk work of an export in threads, so that neither a cancellation nor an error loses it.

A cancellation cannot stop a thread. If the export ended at once, its thread could still write to
files whose lock is released already, so a cancellation waits for the thread. Errors of threads
have frames with rows in them: the frames of errors that say enough by themselves are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from typing_extensions import ParamSpec

from pinstripe._concurrency.loop_local import running_loop
from pinstripe._concurrency.tasks import wait_uncancelled
from pinstripe._core.tracebacks import FRAMELESS

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def finish_in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a function in a thread; a cancellation waits until it has returned.

    Args:
        function: What to run.
        args: Its arguments.
        kwargs: Its arguments by name.

    Raises:
        CancelledError: The caller was cancelled; an error of the function is its cause.
        ConfigurationError: No event loop of asyncio is running.
        Exception: What the function raised.
    """
    work = partial(function, *args, **kwargs)
    # A plain future, not a task: the end of an event loop cancels all tasks, and the thread would
    # continue without anybody who waits for it.
    try:
        running = running_loop().run_in_executor(None, _run, work)
    except RuntimeError:  # after the end of the main thread asyncio starts no more threads
        return _run(work)
    try:
        await wait_uncancelled([running])
    except asyncio.CancelledError as cancelled:
        if (error := running.exception()) is not None:
            raise cancelled from _without_frames(error)
        raise
    return running.result()


async def then_clean_up(work: Awaitable[_T], clean_up: Callable[[], None]) -> _T:
    """Wait for some work, and run a function in a thread after it, as `finally` would.

    A cancellation that ends the work stays a cancellation, which `finally` would replace with an
    error of the function.

    Args:
        work: What to wait for.
        clean_up: What to run then.

    Raises:
        CancelledError: The caller was cancelled; an error of `clean_up` is its cause.
        BaseException: What the work raised, or else what `clean_up` raised.
    """
    try:
        result = await work
    except BaseException as ending:
        try:
            await finish_in_thread(clean_up)
        except Exception as error:
            if isinstance(ending, asyncio.CancelledError):
                raise ending from _without_frames(error)
            _without_frames(ending)
            raise
        raise
    await finish_in_thread(clean_up)
    return result


def _run(work: Callable[[], _T]) -> _T:
    """Call `work`; drop the frames of the errors that an error without frames came after."""
    try:
        return work()
    except FRAMELESS as error:
        before = error.__context__
        while before is not None:
            before = before.with_traceback(None).__context__
        raise


def _without_frames(error: BaseException) -> BaseException:
    """Return an error that is shown under another one, without frames if it needs none."""
    return error.with_traceback(None) if isinstance(error, FRAMELESS) else error
