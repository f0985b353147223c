"""The one event loop thread of the process, leased by every blocking client.

The first lease starts it, on an anyio portal; it ends when the last lease is given back, or with
the process. A call hops onto the loop once and waits on a lock: the portal's own `call` makes two
hops, at twice the cost.

A loop thread does not survive `fork`. The child forgets its parent's, drops its own copies of
the file descriptors of that loop, and starts a thread of its own with its next call.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import selectors
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import get_ident
from typing import Any, Final, Generic, TypeVar, cast
from weakref import WeakSet

import anyio
from anyio.from_thread import BlockingPortal

from pinstripe._errors import ConfigurationError, ConnectionLost, PinstripeError

_T = TypeVar("_T")

_LOOK: Final = 1.0
"""Seconds between two looks, by a caller who waits, whether the thread still lives."""

_GRACE: Final = 1.0
"""Seconds that an interrupted call is given to clean up."""


class LoopEndedError(Exception):
    """The loop ended before anything of the call was begun."""


class Call(Generic[_T]):
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

    def begin(self) -> None:
        """Start; called on the loop."""
        if self._given_up:
            return
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            self._value = await self._function()
        except asyncio.CancelledError:
            self._error = _stopped()
            raise
        except BaseException as error:  # noqa: BLE001 -- the caller raises it
            self._error = error
        finally:
            self._task = None
            self._done.release()

    def give_up(self) -> None:
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
        try:
            raise error
        finally:
            del error  # it holds this frame


class LoopThread:
    """An event loop that runs in a thread of its own until it is stopped."""

    _loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        _check_gevent()
        self._ended = False
        self._selector = selectors.DefaultSelector()
        self._ready: Future[BlockingPortal] = Future()
        self._thread = threading.Thread(target=self._main, name="pinstripe", daemon=True)
        self._thread.start()
        self._portal = self._ready.result()

    def _main(self) -> None:
        try:
            anyio.run(self._serve, backend_options={"loop_factory": self._make_loop})
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            # Python 3.12 starts no thread while the interpreter ends, not even the one in which
            # asyncio waits for the workers of a loop; the loop is closed all the same.
            elif not (self._ended and isinstance(error, RuntimeError)):
                raise

    async def _serve(self) -> None:
        async with BlockingPortal() as portal:
            self._ready.set_result(portal)
            await portal.sleep_until_stopped()

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        posix = os.name == "posix"
        self._loop = (
            asyncio.SelectorEventLoop(self._selector) if posix else asyncio.new_event_loop()
        )
        return self._loop

    @property
    def lives(self) -> bool:
        """Whether calls can be made."""
        # A thread that died counts as alive for a moment after its loop was closed.
        return not self._ended and self._thread.is_alive() and not self._loop.is_closed()

    def is_running_here(self) -> bool:
        """Whether the calling thread is the one of this loop."""
        return threading.current_thread() is self._thread

    def owns(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether this is the thread of that loop."""
        return loop is self._loop

    def post(self, callback: Callable[[], object]) -> None:
        """Have a plain function called on the loop, in a copy of the caller's context.

        It waits for nothing, so that finalizers may call it in any thread.

        Raises:
            LoopEndedError: The loop has ended.
        """
        try:
            self._loop.call_soon_threadsafe(callback, context=copy_context())
        except RuntimeError:
            raise LoopEndedError from None

    def run(self, function: Callable[[], Awaitable[_T]]) -> _T:
        """Run a coroutine function and return what it returns.

        An interrupt of the wait, such as Ctrl-C, cancels the call and is raised here.

        Args:
            function: A coroutine function without arguments.

        Raises:
            ConfigurationError: The calling thread cannot wait for the loop.
            LoopEndedError: The loop had ended before the call was begun.
            ConnectionLost: It ended during the call.
            BaseException: What the function raised.
        """
        if self.is_running_here():
            problem = "waits for the very thread that this is called from; use AsyncClient here"
            raise ConfigurationError("client", problem)
        _check_gevent()
        call = Call(function)
        try:
            self.post(call.begin)
            self._wait_for(call)
        except BaseException:
            with contextlib.suppress(LoopEndedError):
                self.post(call.give_up)
                call.wait(_GRACE)
            raise
        return call.result()

    def _wait_for(self, call: Call[Any]) -> None:
        while not call.wait(_LOOK):
            if not self.lives and not call.wait(0):
                raise _stopped()

    def stop(self) -> None:
        """Cancel what still runs, and wait for the end of the thread."""
        self._ended = True
        with contextlib.suppress(RuntimeError):
            self._portal.start_task_soon(self._portal.stop, True)
        self._thread.join()

    def abandon(self) -> None:
        """Let go of a loop of the parent process, in its child.

        Its descriptors are pointed at the null device rather than closed. A closed number may
        soon be another file's, and the objects of the loop would close that when collected.
        """
        self._ended = True
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            for descriptor in self._descriptors():
                os.dup2(nothing, descriptor, inheritable=False)
        finally:
            os.close(nothing)

    def _descriptors(self) -> set[int]:
        # The selector itself, what it watches (sockets, and one end of the pair that wakes the
        # loop), and the other end of that pair, for which asyncio has no public name.
        watched = [key.fd for key in (self._selector.get_map() or {}).values()]
        own: tuple[Any, ...] = (self._selector, getattr(self._loop, "_csock", None))
        return {*watched, *(one.fileno() for one in own if hasattr(one, "fileno"))}


class Leases:
    """The loop thread of a process, and who uses it.

    A holder that is collected without having given its lease back holds it no longer.
    """

    def __init__(self) -> None:
        self._reset()
        self._at_exit = False
        self._ended = False

    def _reset(self) -> None:
        # A new lock, as some thread of the parent may have held the old one during the fork.
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None
        self._holders: WeakSet[object] = WeakSet()

    def take(self, holder: object) -> LoopThread:
        """Return the thread of this process, started where there is none that lives.

        Args:
            holder: Who will give the lease back.

        Raises:
            ConfigurationError: The interpreter is shutting down and starts no new thread.
        """
        with self._lock:
            if self._thread is None or not self._thread.lives:
                self._thread = self._start()
            self._holders.add(holder)
            return self._thread

    def give_back(self, holder: object) -> None:
        """End a lease; the last one ends the thread."""
        with self._lock:
            self._holders.discard(holder)
            thread, self._thread = self._thread, None
            if self._holders:
                self._thread, thread = thread, None
        if thread is not None:
            thread.stop()

    def _start(self) -> LoopThread:
        if self._ended:
            raise ConfigurationError("client", "cannot be used while the interpreter shuts down")
        if not self._at_exit:
            self._at_exit = True
            atexit.register(self._end)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forget)
        return LoopThread()

    def _end(self) -> None:
        self._ended = True
        thread, self._thread = self._thread, None
        if thread is not None:
            with contextlib.suppress(ConfigurationError):
                _check_gevent()
                thread.stop()

    def _forget(self) -> None:
        thread = self._thread
        self._reset()
        if thread is not None:
            thread.abandon()


def _check_gevent() -> None:
    """Refuse a gevent that patched `threading` after this module and anyio had imported it.

    Raises:
        ConfigurationError: It did.
    """
    monkey: Any = sys.modules.get("gevent.monkey")
    patched = monkey is not None and monkey.is_module_patched("threading")
    if patched and threading.get_ident is not get_ident:
        problem = "was imported before gevent patched the threads; call monkey.patch_all() first"
        raise ConfigurationError("client", problem)


leases: Final = Leases()
"""The leases of this process."""


def _stopped() -> PinstripeError:
    return ConnectionLost("the event loop of the client was stopped under the call")
