"""The clock of the sandbox: a function that returns seconds since the epoch, or one set by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from attrs import define, field

Clock = Callable[[], float]

system_clock: Clock = time.time


@define
class ManualClock:
    """A clock that changes only when it is advanced.

    Args:
        now: The time that the clock shows, in seconds since the Unix epoch.
    """

    # Some moment after the API version of the sandbox was published.
    now: float = 1_795_392_000.0
    _watchers: list[Callable[[], object]] = field(
        factory=list[Callable[[], object]], init=False, repr=False, eq=False
    )
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False, eq=False)

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self.now

    def advance(self, seconds: float) -> float:
        """Move the clock forward.

        Args:
            seconds: How far, zero or more.

        Returns:
            The new time, in seconds since the epoch.

        Raises:
            ValueError: For a negative step: the order of objects relies on a clock that never
                goes back.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must be zero or more, got {seconds!r}")
        with self._lock:
            self.now += seconds
            now, watchers = self.now, tuple(self._watchers)
        # Outside the lock: a watcher may read, watch or advance the clock itself.
        for watcher in watchers:
            watcher()
        return now

    def watch(self, watcher: Callable[[], object]) -> Callable[[], None]:
        """Call a function after each `advance`, in the thread that advances.

        Args:
            watcher: A function without arguments that must not raise.

        Returns:
            A function that ends the watch.
        """
        with self._lock:
            self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)
