"""The clock of the sandbox: any function that gives seconds since the epoch, or one set by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs

Clock = Callable[[], float]

system_clock: Clock = time.time


@attrs.define
class ManualClock:
    """A clock that stands still until it is advanced.

    Args:
        now: seconds since the Unix epoch at which the clock stands.
    """

    now: float = 1_795_392_000.0
    _watchers: list[Callable[[], object]] = attrs.field(
        factory=list[Callable[[], object]], init=False, repr=False, eq=False
    )
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False, eq=False)

    def __call__(self) -> float:
        """Return the time at which the clock stands, in seconds since the epoch."""
        return self.now

    def advance(self, seconds: float) -> float:
        """Move the clock forward.

        Args:
            seconds: how far, zero or more.

        Returns:
            The new time, in seconds since the epoch.

        Raises:
            ValueError: for a negative step; the order of the objects hangs on time not going back.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must be zero or more, got {seconds!r}")
        with self._lock:
            self.now += seconds
            now, watchers = self.now, tuple(self._watchers)
        for watcher in watchers:
            watcher()
        return now

    def watch(self, watcher: Callable[[], object]) -> Callable[[], None]:
        """Have a function called whenever the clock was moved, in the thread that moved it.

        Args:
            watcher: takes nothing and must not raise.

        Returns:
            A function that ends the watch.
        """
        with self._lock:
            self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)
