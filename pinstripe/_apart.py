"""Tasks of our own, which work apart from who waits for them, with code of the user inside.

asyncio lets SystemExit and KeyboardInterrupt out of a task into whoever runs the event loop, which
ends it for everybody on it. From a task that is begun here they go to who waits for it, as any
other exception does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from typing_extensions import ParamSpec

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Exit(Exception):
    """Carries one of the two out of a task."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def begin(
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


async def outcome(task: asyncio.Task[_T]) -> _T:
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
