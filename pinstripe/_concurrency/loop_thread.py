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
from collections.abc import Callable
from contextvars import copy_context
from threading import get_ident
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

import anyio

# Else the thread would import it, and a fork meanwhile leave a child that never can.
import anyio._backends._asyncio  # pyright: ignore[reportUnusedImport]
from anyio.from_thread import BlockingPortal

from pinstripe._concurrency.thread_call import ThreadCall, loop_stopped_error
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._core.tracebacks import UserCodeError

_T = TypeVar("_T")

_LOOK: Final = 1.0
"""Seconds between two looks, by a caller who waits, whether the thread still lives."""

_GRACE: Final = 1.0
"""Seconds that an interrupted call is given to clean up."""


class LoopEndedError(Exception):
    """The loop ended before anything of the call was begun."""


class _FirstValue(Generic[_T]):
    """A place for the first value that it is given, whoever else gives one at the same time."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[None, _T] = {}

    def set_once(self, value: _T) -> _T:
        """Return what is kept: this value, unless another one came first."""
        return self._kept.setdefault(None, value)  # one step: nothing comes in between

    def get(self) -> _T | None:
        """Return what is kept; None where nothing is."""
        return self._kept.get(None)


class _Thread(threading.Thread):
    """A thread that an event loop runs in."""


class LoopThread:
    """An event loop that runs in a thread of its own, from its start until it is stopped.

    A signal handler can come in the middle of any of this and use it in turn, while what it
    interrupted stands still. So no lock is held here that such a handler could wait for.
    """

    def __init__(self) -> None:
        self._ended = False
        self._runner: _FirstValue[threading.Thread] = _FirstValue()
        self._next: _FirstValue[LoopThread] = _FirstValue()
        self._up = threading.Lock()  # held until calls can be made, or never will be
        self._up.acquire()
        self._portal: BlockingPortal | None = None  # there as soon as calls can be made
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._selector: selectors.BaseSelector | None = None

    def start(self) -> None:
        """Start, unless that was done, and wait until calls can be made.

        Where it is stopped meanwhile it returns too, and `has_ended` tells.

        Raises:
            ConfigurationError: gevent came too late.
            UserCodeError: The wait was interrupted.
            BaseException: What the system refused, such as another thread or more descriptors.
        """
        if self._portal is None and not self._ended:
            _check_gevent()
            try:
                self._begin()
            except BaseException as error:  # noqa: BLE001 -- the door raises it
                raise UserCodeError(error) from None
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # it holds this frame

    def _begin(self) -> None:
        # A signal handler may find that it was begun without a thread, and begins it once more:
        # of these threads only the first goes on.
        if self._runner.get() is None:
            _Thread(target=self._main, name="pinstripe", daemon=True).start()
        while self._portal is None and not self._ended:
            if self._up.acquire(timeout=_LOOK):
                self._up.release()

    def _main(self) -> None:
        thread = threading.current_thread()
        if self._runner.set_once(thread) is not thread:
            return
        try:
            anyio.run(self._serve, backend_options={"loop_factory": self._make_loop})
        except BaseException as error:
            if self._portal is None:
                self._failure, self._ended = error, True
                self._up.release()
            # Python 3.12 starts no thread while the interpreter ends, not even the one in which
            # asyncio waits for the workers of a loop; the loop is closed all the same.
            elif not (self._ended and isinstance(error, RuntimeError)):
                raise

    async def _serve(self) -> None:
        async with BlockingPortal() as portal:
            self._portal = portal
            self._up.release()
            if not self._ended:  # or it was stopped before there was a portal
                await portal.sleep_until_stopped()

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        if os.name == "posix":
            self._selector = selectors.DefaultSelector()
            self._loop = asyncio.SelectorEventLoop(self._selector)
        else:
            self._loop = asyncio.new_event_loop()
        return self._loop

    @property
    def is_running(self) -> bool:
        """Whether calls can be made."""
        return self._portal is not None and not self.has_ended

    @property
    def has_ended(self) -> bool:
        """Whether calls can be made no longer; false where it was not started yet."""
        thread, loop = self._runner.get(), self._loop
        # A thread that died counts as alive for a moment after its loop was closed.
        dead = thread is not None and not thread.is_alive()
        return self._ended or dead or (loop is not None and loop.is_closed())

    @property
    def successor(self) -> LoopThread:
        """The one that comes after this one; the same for all who ask."""
        return self._next.set_once(LoopThread())

    def owns(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether this is the thread of that loop."""
        return loop is self._loop

    def post(self, callback: Callable[[], object]) -> None:
        """Have a plain function called on the loop, in a copy of the caller's context.

        It waits for nothing, so that finalizers may call it in any thread.

        Raises:
            LoopEndedError: The loop has ended.
        """
        if self._loop is None:
            raise LoopEndedError
        try:
            self._loop.call_soon_threadsafe(callback, context=copy_context())
        except RuntimeError:
            raise LoopEndedError from None

    def run(self, call: ThreadCall[_T]) -> _T:
        """Run a call and return what its function returns.

        An interrupt of the wait, such as Ctrl-C, cancels the call and goes on to the door.

        Args:
            call: The call, which was not begun yet.

        Raises:
            ConfigurationError: gevent came too late.
            LoopEndedError: The loop had ended before the call was begun.
            ConnectionLost: It ended during the call.
            UserCodeError: The wait was interrupted.
            BaseException: What the function raised.
        """
        _check_gevent()
        try:
            self._pass(call)
        except (LoopEndedError, PinstripeError):
            raise
        except BaseException as error:  # noqa: BLE001 -- the door raises it
            raise UserCodeError(error) from None
        return call.result()

    def _pass(self, call: ThreadCall[Any]) -> None:
        try:
            self.post(call.start)
            self._wait_for(call)
        except BaseException:
            with contextlib.suppress(LoopEndedError):
                self.post(call.cancel)
                call.wait(_GRACE)
            raise

    def _wait_for(self, call: ThreadCall[Any]) -> None:
        while not call.wait(_LOOK):
            if not self.is_running and not call.wait(0):
                raise loop_stopped_error()

    def retire(self) -> None:
        """Be no longer there for calls to come; `stop` is to follow."""
        self._ended = True

    def stop(self) -> None:
        """Cancel what still runs, and wait for the end of the thread, if it was ever started."""
        self.retire()
        thread = self._runner.set_once(_Thread())
        if self._portal is not None:
            # Not the portal's way to be called, which waits for the loop.
            with contextlib.suppress(LoopEndedError):
                self.post(ThreadCall(self._portal.stop).start)
        while thread.is_alive():
            thread.join(_LOOK)

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
        if self._selector is None or self._loop is None or self._loop.is_closed():
            return set()
        watched = [key.fd for key in (self._selector.get_map() or {}).values()]
        own: tuple[Any, ...] = (self._selector, getattr(self._loop, "_csock", None))
        return {*watched, *(one.fileno() for one in own if hasattr(one, "fileno"))}


class Leases:
    """The loop thread of a process, and who uses it.

    A holder that is collected without having given its lease back holds it no longer.

    The lock is held over nothing that waits. A signal handler passes it, and may change anything
    between two steps of what it interrupted. That then finds the same thread as the handler, or
    goes on to the same next one, so that none is ever forgotten.
    """

    def __init__(self) -> None:
        self._reset()
        self._at_exit = False
        self._ended = False

    def _reset(self) -> None:
        # A new lock, as some thread of the parent may have held the old one during the fork.
        self._lock = threading.RLock()
        self._thread = LoopThread()
        self._holders: WeakSet[object] = WeakSet()

    def acquire(self, holder: object) -> LoopThread:
        """Return the thread of this process, started where there is none that lives.

        Args:
            holder: Who will give the lease back.

        Raises:
            ConfigurationError: The interpreter is shutting down and starts no new thread.
            UserCodeError: The wait for the thread was interrupted; the lease is held all the same.
        """
        while True:
            with self._lock:
                self._holders.add(holder)
                thread = self._latest()
            thread.start()
            if thread.is_running:
                return thread

    def release(self, holder: object) -> None:
        """End a lease; the last one ends the thread."""
        with self._lock:
            self._holders.discard(holder)
            if self._holders:
                return
            thread = self._thread
            thread.retire()
        thread.stop()

    def _latest(self) -> LoopThread:
        if self._ended:
            raise ConfigurationError("client", "cannot be used while the interpreter shuts down")
        if not self._at_exit:
            atexit.register(self._end)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forget)
            self._at_exit = True
        thread = self._thread  # looked at once: it may be another one at every step
        while thread.has_ended:
            thread = self._thread = thread.successor
        return thread

    def _end(self) -> None:
        self._ended = True
        with contextlib.suppress(ConfigurationError):
            _check_gevent()
            self._thread.stop()

    def _forget(self) -> None:
        thread = self._thread
        self._reset()
        thread.abandon()


def refuse_loop_thread() -> None:
    """Refuse to wait for an event loop in the very thread that it runs in.

    Raises:
        ConfigurationError: This is that thread.
    """
    if isinstance(threading.current_thread(), _Thread):
        problem = "waits for the very thread that this is called from; use AsyncClient here"
        raise ConfigurationError("client", problem)


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
