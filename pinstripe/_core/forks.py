"""Work that a fork must not cut in two, such as an import.

The child of a fork has one thread. What the other threads of its parent held stays taken in the
child for ever: if one of them was importing a module, nobody can import it in the child. So a fork
waits until such work of other threads has ended, and meanwhile no more of it begins.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final

_WAIT_SECONDS: Final = 5.0
"""How long a fork waits for such work, at most. An import takes a tenth of that; but the work may
itself be waiting for the thread that forks."""


class _ForkGate:
    """Keeps forks and such work apart."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        # Held while work is added, and during a fork. It is reentrant, for a signal handler that
        # forks.
        self._lock = threading.RLock()
        # The thread of each piece of work, by a lock that is free when the work has ended.
        self._works: dict[threading.Lock, int] = {}

    @contextmanager
    def work(self) -> Generator[None, None, None]:
        ended = threading.Lock()
        with ended:
            with self._lock:
                self._works[ended] = threading.get_ident()
            try:
                yield
            finally:
                self._works.pop(ended, None)

    def before_fork(self) -> None:
        self._lock.acquire()
        latest = time.monotonic() + _WAIT_SECONDS
        for ended, thread in list(self._works.items()):
            left = max(0.0, latest - time.monotonic())
            if thread != threading.get_ident() and ended.acquire(timeout=left):
                ended.release()

    def after_in_parent(self) -> None:
        self._lock.release()

    def after_in_child(self) -> None:
        self._reset()


_gate: Final = _ForkGate()


def no_fork() -> AbstractContextManager[None]:
    """Return a context in which no other thread makes a fork."""
    return _gate.work()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_gate.before_fork,
        after_in_parent=_gate.after_in_parent,
        after_in_child=_gate.after_in_child,
    )

if TYPE_CHECKING:
    fork_safe_property = cached_property
else:

    class fork_safe_property(cached_property):  # noqa: N801 -- used as a decorator
        """A cached property that imports a module when it is first used.

        On Python 3.11 and older, the property itself holds a lock meanwhile, too.
        """

        def __get__(self, instance: object, owner: type | None = None) -> object:
            with no_fork():
                return super().__get__(instance, owner)
