"""The clock of the sandbox: a function that returns seconds since the epoch, or one set by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from attrs import define, field

Clock = Callable[[], float]

system_clock: Clock = time.time

LATEST: Final = 221_845_392_000.0
"""The year 9000. Later, the end of something that starts now would no longer fit into a date."""


def _check_time(instance: object, attribute: object, now: float) -> None:
    del instance, attribute
    if not 0 <= now <= LATEST:
        raise ValueError(f"the time must be from 0 to {LATEST:.0f} (the year 9000), not {now!r}")


@define
class ManualClock:
    """A clock that changes only when it is told to.

    Args:
        now: The time that the clock shows, in seconds since the Unix epoch.

    Raises:
        ValueError: If the time is before 1970 or after the year 9000.
    """

    # Some moment after the API version of the sandbox was published.
    now: float = field(default=1_795_392_000.0, validator=_check_time)
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
            ValueError: For a negative step, since the order of objects relies on a clock that
                never goes back, and for one beyond the year 9000.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must be zero or more, got {seconds!r}")
        return self._change(lambda now: now + seconds)

    def move_to(self, now: float) -> float:
        """Move the clock forward to a time.

        Args:
            now: The time, in seconds since the epoch; not before the one that the clock shows.

        Returns:
            The new time, in seconds since the epoch.

        Raises:
            ValueError: For an earlier time, and for one beyond the year 9000.
        """
        return self._change(lambda _: now)

    def _change(self, change: Callable[[float], float]) -> float:
        with self._lock:
            new = change(self.now)
            if new < self.now:
                raise ValueError(f"the clock never goes back: it shows {self.now!r}, not {new!r}")
            self.now = new  # its validator may refuse it
            watchers = tuple(self._watchers)
        # Outside the lock: a watcher may read, watch or change the clock itself.
        for watcher in watchers:
            watcher()
        return new

    def watch(self, watcher: Callable[[], object]) -> Callable[[], None]:
        """Call a function after each change, in the thread that changes the clock.

        Args:
            watcher: A function without arguments that must not raise.

        Returns:
            A function that ends the watch.
        """
        with self._lock:
            self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)
