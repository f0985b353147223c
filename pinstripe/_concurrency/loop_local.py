"""What belongs to one event loop of one process, and is made anew in any other."""

from __future__ import annotations

import asyncio
import os
from typing import Generic, TypeVar

from pinstripe._core.errors import ConfigurationError

_T = TypeVar("_T")


class LoopLocal(Generic[_T]):
    """A place for one value; in another event loop, or after a fork, it is empty again."""

    __slots__ = ("_loop", "_process", "_value")

    def __init__(self) -> None:
        self._value: _T | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    def get(self) -> _T | None:
        """Return the value of this event loop and process; None where there is none.

        Raises:
            ConfigurationError: No event loop of asyncio is running.
        """
        here = self._loop is _running_loop() and self._process == os.getpid()
        return self._value if here else None

    def set(self, value: _T) -> _T | None:
        """Keep a value for this event loop and process, and return the one it replaces.

        Args:
            value: The value.
        """
        replaced, self._value = self._value, value
        self._loop, self._process = _running_loop(), os.getpid()
        return replaced

    @property
    def is_set(self) -> bool:
        """Whether there is a value, wherever it belongs."""
        return self._loop is not None

    def clear(self) -> None:
        """Forget the value."""
        self._value = self._loop = None


class LoopAffinity:
    """Where something was begun: it goes on only in this event loop and this process.

    Args:
        what: What was begun, as its error names it.
        advice: What to do elsewhere.
    """

    __slots__ = ("_advice", "_mark", "_what")

    def __init__(self, what: str, advice: str) -> None:
        self._what = what
        self._advice = advice
        self._mark: LoopLocal[bool] = LoopLocal()

    def is_elsewhere(self) -> bool:
        """Return whether it was begun, and not here."""
        return self._mark.is_set and self._mark.get() is None

    def bind(self) -> None:
        """Begin here, or go on here.

        Raises:
            ConfigurationError: It was begun elsewhere.
        """
        if self.is_elsewhere():
            problem = "belongs to another event loop, or to the parent of this process"
            raise ConfigurationError(self._what, f"{problem}, where it was begun; {self._advice}")
        self._mark.set(True)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        problem = "works in an event loop of asyncio, and none is running"
    raise ConfigurationError("client", problem)
