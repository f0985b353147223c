"""Tells followers, such as the console, what changed in the sandbox, so that they can look again.

A change is an account and a topic: a kind of object, or one of `TOPICS`. It says that something is
different and not what, so a follower that is slow holds a set of changes and never a growing queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from typing import Final, TypeAlias

Change: TypeAlias = "tuple[str | None, str]"
"""The account, None for the account of the API key or for the whole sandbox; and the topic."""

CLOCK: Final = "clock"
FAULTS: Final = "faults"
REQUESTS: Final = "requests"
TOPICS: Final = (CLOCK, FAULTS, REQUESTS)
"""What changes besides objects, always without an account."""


class Follower:
    """What changed since somebody last asked; made by `Feed.follow`."""

    def __init__(self) -> None:
        self.closed = False
        self._changes: dict[Change, None] = {}
        self._woken = asyncio.Event()

    def note(self, change: Change) -> None:
        """Add a change."""
        self._changes[change] = None
        self._woken.set()

    def close(self) -> None:
        """End the wait of the follower; nothing more will come."""
        self.closed = True
        self._woken.set()

    async def changes(self, seconds: float) -> list[Change]:
        """Wait for changes, and return those since the last call.

        Args:
            seconds: How long to wait, in real time; then there may be none.
        """
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        found, self._changes = list(self._changes), {}
        if not self.closed:
            self._woken.clear()
        return found


class Feed:
    """Passes changes on to whoever follows; all in the event loop of the server."""

    def __init__(self) -> None:
        self._followers: list[Follower] = []

    def publish(self, account: str | None, topic: str) -> None:
        """Tell every follower of a change."""
        for follower in self._followers:
            follower.note((account, topic))

    @contextlib.contextmanager
    def follow(self) -> Generator[Follower, None, None]:
        """Follow until the block ends."""
        follower = Follower()
        self._followers.append(follower)
        try:
            yield follower
        finally:
            self._followers.remove(follower)

    def close(self) -> None:
        """Tell every follower that nothing more will come."""
        for follower in self._followers:
            follower.close()
