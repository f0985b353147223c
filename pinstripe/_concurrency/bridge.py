"""The bridge between a blocking client and the loop thread.

A call that finds its loop ended takes the next one: another client may have ended the loop, or a
fork left it to the parent. So `run` leases and tries until the loop has accepted the call.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_OPTIMIZED
from types import FrameType
from typing import TypeVar

from typing_extensions import ParamSpec

from pinstripe._concurrency.loop_thread import (
    LoopEndedError,
    LoopThread,
    leases,
    refuse_loop_thread,
)
from pinstripe._concurrency.thread_call import ThreadCall
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import is_own

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _is_top_level(depth: int) -> bool:
    """Return whether the frame at a depth runs, without a coroutine in between, for a top level.

    Such code is what somebody enters: a cell of a notebook, or a line at the prompt of
    `python -m asyncio`. It runs inside of an event loop and holds it up, as all such code does.

    Args:
        depth: How many frames it is above the caller's.
    """
    frame: FrameType | None = sys._getframe(depth + 1)  # noqa: SLF001 -- as below
    while frame is not None:
        flags, names = frame.f_code.co_flags, frame.f_locals
        # While a comprehension of such code runs, its names are a proxy from Python 3.13 on.
        is_proxy = not isinstance(names, dict) and frame.f_code.co_name.startswith("<")
        if not flags & CO_OPTIMIZED and (is_proxy or names is frame.f_globals):
            return True
        own_of_loop = str(frame.f_globals.get("__name__")).partition(".")[0] == "asyncio"
        if flags & (CO_COROUTINE | CO_ASYNC_GENERATOR) or own_of_loop:
            return False
        frame = frame.f_back
    return False


def _depth_of_caller() -> int:
    """Return how many frames the first frame outside of this package is above the caller's."""
    depth, frame = 0, sys._getframe(1)  # noqa: SLF001 -- what `warnings` itself counts by
    while frame.f_back is not None and is_own(frame):
        depth, frame = depth + 1, frame.f_back
    return depth


def _public_name(function: Callable[..., object]) -> str:
    """Return the name of a function of the asynchronous client, if users know it by that name."""
    name = str(getattr(function, "__qualname__", ""))
    module = str(getattr(function, "__module__", ""))
    is_public = name.startswith("AsyncClient.") or "._" not in module
    return name if name and is_public else "this call"


class LoopBridge:
    """Runs the coroutine functions of one client, and of its siblings, from any thread.

    The first call leases the loop thread, and the first call after a fork leases another one.

    Args:
        owner: The name of the client in warnings.
        advice: What to do in a coroutine, as the end of a warning.
    """

    def __init__(self, owner: str, advice: str = "await that of AsyncClient instead") -> None:
        self._advice = advice
        frame = sys._getframe(_depth_of_caller())  # noqa: SLF001 -- as above
        self._made = f"{owner}, made at {frame.f_code.co_filename}:{frame.f_lineno}"
        self._thread: LoopThread | None = None
        self._closed = False
        self._warned = False

    def run(
        self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Run a coroutine function on the loop, and return the value that it returns.

        Args:
            function: The function.
            args: Its arguments.
            kwargs: Its arguments by name.

        Raises:
            ConfigurationError: The client is closed, or this thread cannot wait for the loop.
            UserCodeError: The wait was interrupted; the caller's wrapper raises the interruption.
            BaseException: The exception that the function raised.
        """
        refuse_loop_thread()
        call = ThreadCall(partial(function, *args, **kwargs))
        # A traceback would show them.
        del args, kwargs
        while True:
            thread = self._leased()
            self._warn(function, thread)
            try:
                return thread.run(call)
            except LoopEndedError:
                # It ended after it was leased, and before the call was started.
                continue

    def post(self, function: Callable[[], Awaitable[object]]) -> None:
        """Start a coroutine function on the loop, and do not wait for it.

        Finalizers may call this: it never blocks, and does nothing if the loop has ended.

        Args:
            function: The function.
        """
        if self._thread is not None and self._thread.is_running:
            try:
                self._thread.start_call(ThreadCall(function))
            except LoopEndedError:
                return

    def close(self, aclose: Callable[[], Awaitable[None]]) -> None:
        """Close the client, and release the lease.

        Args:
            aclose: A coroutine function that closes the client; it runs only if a loop is running.

        Raises:
            ConfigurationError: This thread cannot wait for the loop; nothing has changed.
        """
        refuse_loop_thread()
        opened = self._thread is not None and self._thread.is_running and not self._closed
        try:
            if opened:
                self.run(aclose)
        except ConfigurationError:
            # A signal handler or another thread may have closed the client in the meantime.
            if not self._closed:
                raise
        finally:
            self._closed, self._thread = True, None
            leases.release(self)

    def let_go(self) -> None:
        """Use the loop no more, and wait for nothing; the lease ends with this object.

        Finalizers may call this.
        """
        self._closed, self._thread = True, None

    def _leased(self) -> LoopThread:
        if self._closed:
            raise ConfigurationError("client", "is closed")
        thread = self._thread
        if thread is None or not thread.is_running:
            thread = self._thread = leases.acquire(self)
            # A signal handler or another thread may have closed the client in the meantime.
            if self._closed:
                self._thread = None
                leases.release(self)
                return self._leased()
        return thread

    def _warn(self, function: Callable[..., object], thread: LoopThread) -> None:
        """Warn once if a coroutine or a callback makes the call, which blocks its event loop."""
        if self._warned:
            return
        try:
            # Under gevent our own loop runs in this thread too, as a greenlet.
            blocks_loop = not thread.owns(asyncio.get_running_loop())
        except RuntimeError:
            blocks_loop = False
        if not blocks_loop or _is_top_level(_depth_of_caller()):
            return
        self._warned = True
        name = _public_name(function)
        problem = f"{name} blocks the event loop of this thread; {self._advice}"
        warnings.warn(problem, RuntimeWarning, stacklevel=_depth_of_caller() + 1)

    def __del__(self) -> None:
        thread: LoopThread | None = getattr(self, "_thread", None)
        if thread is not None and thread.is_running:
            warnings.warn(f"unclosed {self._made}", ResourceWarning, source=self, stacklevel=1)
