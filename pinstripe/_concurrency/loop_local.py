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


class LoopLocal(Generic[_T]):
    """One value; in another event loop, or after a fork, there is none."""

    __slots__ = ("_loop", "_process", "_value")

    def __init__(self) -> None:
        self._value: _T | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    def get(self) -> _T | None:
        """Return the value of this event loop and process, or None if there is none.

        Raises:
            ConfigurationError: No event loop of asyncio is running.
        """
        here = self._loop is _running_loop() and self._process == os.getpid()
        return self._value if here else None

    def set(self, value: _T) -> _T | None:
        """Set the value for this event loop and process, and return the one that it replaces.

        Args:
            value: The value.
        """
        replaced, self._value = self._value, value
        self._loop, self._process = _running_loop(), os.getpid()
        return replaced

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
        self._mark: LoopLocal[bool] = LoopLocal()

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


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        problem = "needs an event loop of asyncio, and none is running"
    # Not in the `except` block, where asyncio's error would become the context of this one.
    raise ConfigurationError("client", problem)
