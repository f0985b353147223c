"""A signal handler that uses clients, in the middle of what the loop thread does for others.

A handler runs between two steps of what it interrupts, in the same thread. Here it is called
before each line in turn of the modules that start, lease and stop the loop thread.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from pinstripe._concurrency import bridge, loop_thread, thread_call
from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._concurrency.loop_thread import Leases
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import UserCodeError
from tests.concurrency.test_loop_thread import Interrupted, loop_threads, nothing, user
from tests.support.holding import WAIT

MODULES = {module.__file__ for module in (thread_call, bridge, loop_thread)}


class Steps:
    """Calls a handler before one line of the modules, counted from the first, in this thread.

    Not in the methods of `beside`: an exception at the end of a `with` block, where no handler
    can raise one, would leave the lock of the block taken.
    """

    def __init__(
        self,
        number: int,
        handler: Callable[[], object],
        beside: type | None = None,
        modules: set[str | None] = MODULES,
    ) -> None:
        self.left = number
        self._handler = handler
        self._beside = beside
        self._modules = modules

    @property
    def came(self) -> bool:
        return self.left < 0

    def __enter__(self) -> Steps:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        beside = self._beside is not None and isinstance(frame.f_locals.get("self"), self._beside)
        if frame.f_code.co_filename not in self._modules or beside:
            return None
        if event == "line":
            self.left -= 1
            if self.left == -1:
                self._handler()
        return self._trace


def in_time(work: Callable[[], bool]) -> bool:
    """Run something in a thread of its own, and return what it returns, unless it hangs."""
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(WAIT)
    assert not thread.is_alive(), "it hangs"
    return results[0]


class Clients:
    """The client that is interrupted, and another one that the handler has."""

    def __init__(self) -> None:
        self.mine, self.other = LoopBridge("Mine"), LoopBridge("Other")

    def close(self) -> None:
        self.mine.close(nothing)
        self.other.close(nothing)

    def close_mine(self) -> None:
        self.mine.close(nothing)

    def close_other(self) -> None:
        self.other.close(nothing)

    def call_other(self) -> None:
        assert self.other.run(user) == "nobody"

    def call_and_close_other(self) -> None:
        self.call_other()
        self.close_other()


HANDLERS = [
    Clients.close_mine,
    Clients.close_other,
    Clients.call_other,
    Clients.call_and_close_other,
]


def each_step(attempt: Callable[[int], bool]) -> None:
    """Attempt something with an interruption before each line, until none is left."""
    number = 0
    while in_time(partial(attempt, number)):
        for thread in loop_threads():
            thread.join(WAIT)
            assert not thread.is_alive()
        number += 1
    assert number > 10


@pytest.mark.parametrize("handler", HANDLERS)
def test_in_the_first_call(handler: Callable[[Clients], None]) -> None:
    def attempt(number: int) -> bool:
        clients = Clients()
        with Steps(number, lambda: handler(clients)) as steps:
            if handler is Clients.close_mine:
                with contextlib.suppress(ConfigurationError):
                    clients.mine.run(user)
            else:
                assert clients.mine.run(user) == "nobody"
        clients.close()
        return steps.came

    each_step(attempt)


@pytest.mark.parametrize("handler", HANDLERS)
def test_in_the_last_close(handler: Callable[[Clients], None]) -> None:
    def attempt(number: int) -> bool:
        clients = Clients()
        clients.mine.run(user)
        with Steps(number, lambda: handler(clients)) as steps:
            clients.close_mine()
        clients.close()
        return steps.came

    each_step(attempt)


def test_an_exception_of_it_in_the_first_call_loses_no_thread() -> None:
    def interrupt() -> None:
        raise Interrupted

    def attempt(number: int) -> bool:
        clients = Clients()
        steps = Steps(number, interrupt, beside=Leases)
        with steps, contextlib.suppress(Interrupted, UserCodeError):
            clients.mine.run(user)
        clients.close()
        return steps.came

    each_step(attempt)


def test_an_exception_of_it_inside_of_threading_starts_no_second_thread() -> None:
    """`Thread.is_alive` of Python 3.12 takes a thread for ended if it is interrupted."""

    def interrupt() -> None:
        raise Interrupted

    def attempt(number: int) -> bool:
        clients = Clients()
        clients.mine.run(user)
        before = loop_threads()
        steps = Steps(number, interrupt, beside=Leases, modules={*MODULES, threading.__file__})
        with steps, contextlib.suppress(Interrupted, UserCodeError):
            clients.mine.run(user)
        assert clients.mine.run(user) == "nobody"
        assert loop_threads() == before
        clients.close()
        return steps.came

    each_step(attempt)
