"""The one event loop thread of the process, leased by every blocking client.

The first lease starts the thread, on an anyio portal. It ends when the last lease is released, or
with the process. A call is posted to the loop once and waits on a lock: the portal's own `call`
takes two such steps, at twice the cost. (anyio's `BlockingPortalProvider` does not survive a fork
either, and waits on a lock that a signal handler could need.)

A loop thread does not survive `fork`. The child forgets the thread of its parent, drops its copies
of the file descriptors of that loop, and starts a thread of its own with its next call.

A signal handler can interrupt any line of this module and use a client itself, while the
interrupted code stands still. So no step here waits for a lock that the interrupted code may hold.
Two threads or loops that are started at the same time are one too many, and each place where that
can happen decides which one is kept.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import selectors
import sys
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from threading import get_ident
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

import anyio

# If the thread imported it, a fork in the middle would leave the child with a locked import.
import anyio._backends._asyncio  # pyright: ignore[reportUnusedImport]
from anyio.from_thread import BlockingPortal

from pinstripe._concurrency.thread_call import ThreadCall, loop_stopped_error
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._core.tracebacks import KeptError, UserCodeError

_T = TypeVar("_T")

_POLL_SECONDS: Final = 1.0
"""How often a caller that waits checks that the thread is still alive."""

_CLEANUP_SECONDS: Final = 1.0
"""How long an interrupted call may take to clean up."""

_STOP_SECONDS: Final = 5.0
"""How long the end of the thread is waited for. Calls end at once when they are cancelled, but the
work of their own threads, such as a write to a slow disk, does not."""


class LoopEndedError(Exception):
    """The loop ended before the call was started."""


class _FirstValue(Generic[_T]):
    """Keeps the first value that it is given, also if several are given at the same time."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[None, _T] = {}

    def set_once(self, value: _T) -> _T:
        """Return the value that is kept: this one, unless another one came first."""
        # `setdefault` is one step: no other thread and no signal handler can come in between.
        return self._kept.setdefault(None, value)

    def get(self) -> _T | None:
        """Return the value that is kept, or None."""
        return self._kept.get(None)


class _HostThread(threading.Thread):
    """A thread that an event loop runs in; `refuse_loop_thread` recognises it by its class."""


class LoopThread:
    """An event loop that runs in a thread of its own, from its start until it is stopped.

    It is in one of three states: not started, running (`is_running`), or ended (`has_ended`), from
    where nothing leads back.
    """

    def __init__(self) -> None:
        self._ended = False
        self._runner: _FirstValue[threading.Thread] = _FirstValue()
        self._next: _FirstValue[LoopThread] = _FirstValue()
        # Locked until calls can be made, or it is certain that they never can.
        self._ready = threading.Lock()
        self._ready.acquire()
        # Set when calls can be made.
        self._portal: BlockingPortal | None = None
        # Used on the loop only: tasks that are made while the loop is closed would never run.
        self._starts_tasks = True
        self._failure: KeptError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._selector: selectors.BaseSelector | None = None

    def start(self) -> None:
        """Start, unless that was done, and wait until calls can be made.

        If the loop is stopped in the meantime this returns too, and `has_ended` is true.

        Raises:
            ConfigurationError: gevent patched the threads too late.
            UserCodeError: The wait was interrupted.
            BaseException: The system refused a resource, such as a thread or a descriptor.
        """
        if self._portal is None and not self._ended:
            _check_gevent()
            try:
                # A signal handler that interrupts this line finds no runner and starts a thread
                # too. The first of these threads becomes the runner, the others end at once.
                if self._runner.get() is None:
                    # In an empty context: some builds of Python hand that of the caller on, in
                    # which anyio may have noted another event loop.
                    main = partial(Context().run, self._main)
                    _HostThread(target=main, name="pinstripe", daemon=True).start()
                while self._portal is None and not self._ended:
                    if self._ready.acquire(timeout=_POLL_SECONDS):
                        self._ready.release()
            except BaseException as error:  # noqa: BLE001 -- the caller's wrapper raises it
                raise UserCodeError(error) from None
        failure, self._failure = self._failure, None
        if failure is not None:
            failure.raise_again()

    def _main(self) -> None:
        thread = threading.current_thread()
        if self._runner.set_once(thread) is not thread:
            return
        try:
            anyio.run(self._serve, backend_options={"loop_factory": self._make_loop})
        except BaseException as error:
            if self._portal is None:
                self._failure, self._ended = KeptError(error), True
                self._ready.release()
            # While the interpreter ends, Python 3.12 refuses to start the thread in which asyncio
            # waits for the worker threads of a loop; the loop is closed all the same.
            elif not (self._ended and isinstance(error, RuntimeError)):
                raise
        finally:
            self._ended = True

    async def _serve(self) -> None:
        async with BlockingPortal() as portal:
            self._portal = portal
            self._ready.release()
            # `stop` could not reach the portal before there was one.
            if not self._ended:
                await portal.sleep_until_stopped()
        self._starts_tasks = False

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        # The selector is kept for `abandon`; there is no fork elsewhere.
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
        """Whether calls can no longer be made; false if it was not started yet."""
        # The thread is not asked whether it is alive: up to Python 3.12, a signal handler that
        # raises inside of `Thread.is_alive` marks it as ended.
        return self._ended or (self._loop is not None and self._loop.is_closed())

    @property
    def successor(self) -> LoopThread:
        """The loop thread that replaces this one; it is the same at every call."""
        return self._next.set_once(LoopThread())

    def owns(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether the loop is the one that runs in this thread."""
        return loop is self._loop

    def post(self, callback: Callable[[], object]) -> None:
        """Schedule a plain function on the loop, in a copy of the caller's context.

        This never waits, so finalizers may call it in any thread.

        Raises:
            LoopEndedError: The loop has ended.
        """
        if self._loop is None:
            raise LoopEndedError
        try:
            self._loop.call_soon_threadsafe(callback, context=copy_context())
        except RuntimeError:
            raise LoopEndedError from None

    def start_call(self, call: ThreadCall[Any]) -> None:
        """Schedule the start of a call; see `post`. A loop that is being closed starts none."""
        self.post(partial(self._start_task, call))

    def _start_task(self, call: ThreadCall[Any]) -> None:
        if self._starts_tasks:
            call.start()

    def run(self, call: ThreadCall[_T]) -> _T:
        """Run a call and return the value that its function returns.

        An interrupt of the wait, such as Ctrl-C, cancels the call.

        Args:
            call: The call, which was not started yet.

        Raises:
            ConfigurationError: gevent patched the threads too late.
            LoopEndedError: The loop had ended before the call was started.
            ConnectionLost: It ended during the call.
            UserCodeError: The wait was interrupted.
            BaseException: The exception that the function raised.
        """
        _check_gevent()
        try:
            self._start_and_wait(call)
        except (LoopEndedError, PinstripeError):
            raise
        except BaseException as error:  # noqa: BLE001 -- the caller's wrapper raises it
            raise UserCodeError(error) from None
        return call.result()

    def _start_and_wait(self, call: ThreadCall[Any]) -> None:
        # A method of its own, since a second interrupt can come during the clean-up.
        try:
            self.start_call(call)
            while not call.wait(_POLL_SECONDS):
                # The call may have ended with the loop, after the wait for it.
                if not self.is_running and not call.wait(0):
                    raise loop_stopped_error()  # noqa: TRY301 -- it is cleaned up after too
        except BaseException:
            with contextlib.suppress(LoopEndedError):
                self.post(call.cancel)
                call.wait(_CLEANUP_SECONDS)
            raise

    def retire(self) -> None:
        """Refuse calls from now on; `stop` must follow."""
        self._ended = True

    def stop(self) -> None:
        """Cancel the calls that are still running, and wait a few seconds for the thread's end."""
        self.retire()
        # If no thread was started, this one takes the place of the runner, so that none ever is.
        thread = self._runner.set_once(_HostThread())
        if self._portal is not None:
            # The portal's own way to be called from a thread would wait for the loop.
            with contextlib.suppress(LoopEndedError):
                self.start_call(ThreadCall(self._portal.stop))
        latest = time.monotonic() + _STOP_SECONDS
        while thread.is_alive() and time.monotonic() < latest:
            thread.join(_POLL_SECONDS)

    def abandon(self) -> None:
        """Let go of a loop of the parent process, in the child of a fork.

        Its descriptors are pointed at the null device and not closed. A closed number may soon be
        the number of another file, which the objects of the loop would close when the garbage
        collector finds them.
        """
        self._ended = True
        descriptors: set[int] = set()
        if self._selector is not None and self._loop is not None and not self._loop.is_closed():
            # The selector itself, what it watches (sockets, and one end of the pair that wakes the
            # loop), and the other end of that pair, for which asyncio has no public name.
            own: tuple[Any, ...] = (self._selector, getattr(self._loop, "_csock", None))
            descriptors.update(one.fileno() for one in own if hasattr(one, "fileno"))
            descriptors.update(key.fd for key in (self._selector.get_map() or {}).values())
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            for descriptor in descriptors:
                os.dup2(nothing, descriptor, inheritable=False)
        finally:
            os.close(nothing)


class Leases:
    """The loop thread of a process, and the holders that use it.

    A holder that the garbage collector frees without a release holds its lease no longer.

    The lock is never held over a wait. It is reentrant, so a signal handler gets past it, and may
    change anything between two steps of the code that it interrupted. That code then finds the same
    thread as the handler did, or moves on to the same successor, so no thread is ever forgotten.
    """

    def __init__(self) -> None:
        self._reset()
        self._at_exit = False
        self._ended = False

    def _reset(self) -> None:
        # A new lock: a thread of the parent may have held the old one during a fork.
        self._lock = threading.RLock()
        self._thread = LoopThread()
        self._holders: WeakSet[object] = WeakSet()

    def acquire(self, holder: object) -> LoopThread:
        """Return the running thread of this process; start one if there is none.

        Args:
            holder: The object that will release the lease.

        Raises:
            ConfigurationError: The interpreter is shutting down and starts no new thread.
            UserCodeError: The wait for the thread was interrupted; the lease is held all the same.
        """
        while True:
            with self._lock:
                self._holders.add(holder)
                if self._ended:
                    problem = "cannot be used while the interpreter shuts down"
                    raise ConfigurationError("client", problem)
                if not self._at_exit:
                    atexit.register(self._end)
                    self._at_exit = True
                # Read once into a local variable: a signal handler may replace it at every step.
                thread = self._thread
                while thread.has_ended:
                    thread = self._thread = thread.successor
            thread.start()
            # It may have been stopped while it started; then its successor is next.
            if thread.is_running:
                return thread

    def release(self, holder: object) -> None:
        """End a lease; the end of the last one stops the thread."""
        with self._lock:
            self._holders.discard(holder)
            if self._holders:
                return
            thread = self._thread
            thread.retire()
        # It waits for the thread, so not under the lock.
        thread.stop()

    def _end(self) -> None:
        # At the end of the process.
        self._ended = True
        with contextlib.suppress(ConfigurationError):
            _check_gevent()
            self._thread.stop()

    def forget(self) -> None:
        """Let go of the thread of the parent process, in the child of a fork."""
        thread = self._thread
        self._reset()
        thread.abandon()


def refuse_loop_thread() -> None:
    """Refuse to wait for an event loop in the thread that it runs in.

    Raises:
        ConfigurationError: This is that thread.
    """
    if isinstance(threading.current_thread(), _HostThread):
        problem = "would wait for the thread that this is called from; use AsyncClient here"
        raise ConfigurationError("client", problem)


def _check_gevent() -> None:
    """Refuse a gevent that patched `threading` after this module and anyio had imported it.

    Names that were imported before the patch are those of real threads, which block all greenlets.

    Raises:
        ConfigurationError: gevent did that.
    """
    monkey: Any = sys.modules.get("gevent.monkey")
    patched = monkey is not None and monkey.is_module_patched("threading")
    if patched and threading.get_ident is not get_ident:
        problem = "was imported before gevent patched the threads; call monkey.patch_all() first"
        raise ConfigurationError("client", problem)


leases: Final = Leases()
"""The leases of this process."""

# Not with the first lease: a fork in the middle of that one needs it, too.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=leases.forget)
