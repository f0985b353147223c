"""Plain functions that can hang, each in a thread that nothing waits for.

asyncio waits for its own worker threads at the end of the event loop, and Python does at the end of
the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from typing_extensions import ParamSpec

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_daemon_thread(
    function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Return what a function returns that runs in a thread of its own.

    If the caller is cancelled, the thread goes on, and what comes of it is dropped.

    Args:
        function: The function.
        args: Its arguments.
        kwargs: Its arguments by name.

    Raises:
        Exception: What the function raised.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        try:
            settle = partial(done.set_result, function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 -- the caller raises it
            settle = partial(done.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the event loop was closed meanwhile
            loop.call_soon_threadsafe(_unless_cancelled, done, settle)

    threading.Thread(target=run, name="pinstripe-wait", daemon=True).start()
    return await done


def _unless_cancelled(done: asyncio.Future[_T], settle: Callable[[], object]) -> None:
    if not done.done():
        settle()
