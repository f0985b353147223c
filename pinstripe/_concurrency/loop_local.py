"""Values that belong to one event loop of one process.

A connection pool, a lock or a task cannot be used in another event loop, and not in the child of a
fork, which has copies of them that nobody runs.
"""

from __future__ import annotations

import asyncio
import os
from typing import Generic, TypeVar

from pinstripe._core.errors import ConfigurationError

_T = TypeVar("_T")

_MAX_IDLE = 16
"""How many event loops that do not run, and were not closed, keep their value: programs make new
loops again and again, run one call in each, and never close them."""


class LoopLocal(Generic[_T]):
    """A value for each event loop; after a fork there is none.

    Several event loops can use it at once, each in its own thread: no step here waits or fails for
    another one. It keeps the values of loops that run. A loop that was closed loses its value when
    another loop gets one. So does a loop that does not run, if many of them were never closed.
    """

    # A weak mapping would not do: most values hold their loop, so they would keep it alive.
    # Each entry has the process that it belongs to, so that no step has to empty the mapping after
    # a fork.

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[asyncio.AbstractEventLoop, tuple[int, _T]] = {}

    def __bool__(self) -> bool:
        """Return whether an event loop, of this process or of its parent, has a value."""
        return bool(self._entries)

    def get(self) -> _T | None:
        """Return the value of this event loop and process, or None if there is none.

        Raises:
            ConfigurationError: No event loop of asyncio is running.
        """
        entry = self._entries.get(running_loop())
        return entry[1] if entry is not None and entry[0] == os.getpid() else None

    def set(self, value: _T) -> list[_T]:
        """Set the value of this event loop and process.

        Args:
            value: The value.

        Returns:
            The values that were dropped and whose event loops are closed, or belong to a parent
            process: nothing can be done with them there.
        """
        loop, process = running_loop(), os.getpid()
        entries = [*self._entries.items()]  # one step, in which no thread changes the mapping
        self._entries.pop(loop, None)
        self._entries[loop] = process, value
        lost: list[_T] = []
        idle = 0
        for one, (owner, kept) in reversed(entries):  # the newest come first
            if owner != process or one.is_closed():
                lost.append(kept)
                # Unless this is the loop itself, which belonged to the parent process before.
                if one is not loop:
                    self._entries.pop(one, None)
            elif not one.is_running():
                idle += 1
                if idle > _MAX_IDLE:
                    self._entries.pop(one, None)
        return lost

    def by_loop(self) -> list[tuple[asyncio.AbstractEventLoop, _T]]:
        """Return the event loops of this process that have a value, each with its value."""
        process = os.getpid()
        entries = [*self._entries.items()]
        return [(loop, value) for loop, (owner, value) in entries if owner == process]

    def clear(self) -> None:
        """Forget the values of all event loops of this process."""
        process = os.getpid()
        for loop, (owner, _) in list(self._entries.items()):
            if owner == process:
                self._entries.pop(loop, None)


class LoopOwned(Generic[_T]):
    """One value, of the event loop that set it; in another loop, or after a fork, there is none."""

    __slots__ = ("_loop", "_process", "_value")

    def __init__(self) -> None:
        self._value: _T | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    def get(self) -> _T | None:
        """Return the value if it belongs to this event loop and process, or None.

        Raises:
            ConfigurationError: No event loop of asyncio is running.
        """
        here = self._loop is running_loop() and self._process == os.getpid()
        return self._value if here else None

    def set(self, value: _T) -> None:
        """Set the value for this event loop and process, in place of any other one.

        Args:
            value: The value.
        """
        self._value, self._loop, self._process = value, running_loop(), os.getpid()

    @property
    def is_set(self) -> bool:
        """Whether there is a value, also if it belongs to another loop or process."""
        return self._loop is not None

    def clear(self) -> None:
        """Forget the value."""
        self._value = self._loop = None


class LoopAffinity:
    """A guard: what was started in one event loop and process goes on only there.

    Args:
        argument: The name to give in the error.
        advice: What to do in another event loop, as the end of the error's message.
    """

    __slots__ = ("_advice", "_argument", "_mark")

    def __init__(self, argument: str, advice: str) -> None:
        self._argument = argument
        self._advice = advice
        self._mark: LoopOwned[bool] = LoopOwned()

    def is_elsewhere(self) -> bool:
        """Return whether it was started in another event loop or process."""
        return self._mark.is_set and self._mark.get() is None

    def bind(self) -> None:
        """Bind to this event loop and process, if that was not done yet.

        Raises:
            ConfigurationError: It was bound to another event loop or process.
        """
        if self.is_elsewhere():
            problem = "belongs to another event loop, or to the parent of this process"
            raise ConfigurationError(self._argument, f"{problem}; {self._advice}")
        self._mark.set(True)


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop.

    Raises:
        ConfigurationError: None of asyncio is running; that of trio, for example, is not one.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        problem = "needs an event loop of asyncio, and none is running in this thread"
    # Not in the `except` block, where asyncio's error would become the context of this one.
    raise ConfigurationError("client", problem)
