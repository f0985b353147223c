"""Once: which events were handled, and which are being handled, so that none is handled twice.

Stripe sends an event again until it is answered with success, for three days, and may send one
twice at any time. So an event is claimed before its handlers run, under a token of the claim's
own and for the length of a lease, and committed when they are done:

    claim    "claimed": run the handlers.  "busy": somebody does.  "done": somebody did.
    commit   the event was handled; it is remembered for four days
    release  it was not; the next delivery may claim it

Who dies in between leaves a claim that ends with its lease. A commit or a release that comes after
that changes nothing, whoever has claimed the event meanwhile.

A store also notes when the newest event of an object happened that was handled.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from pinstripe._core.checks import check_whole_number

Claimed: TypeAlias = Literal["claimed", "busy", "done"]
"""What became of the attempt to claim an event."""

REMEMBER_SECONDS: Final = 4 * 86_400.0
"""How long an event is remembered: Stripe tries for three days, and clocks and queues differ."""

MAX_IDS: Final = 1_000_000
"""How many events a `MemoryStore` remembers by default, in up to about 200 MB."""


class Store(Protocol):
    """What remembers events: write your own for another database.

    Every method may be called from several threads and event loops at once.
    """

    async def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event, in one step that no other claim can come between.

        Args:
            id: The id of the event.
            token: Text that no other claim has.
            lease: Seconds after which the claim ends by itself.
        """
        ...

    async def commit(self, id: str, token: str) -> bool:
        """Remember for `REMEMBER_SECONDS` that an event was handled.

        Args:
            id: The id of the event.
            token: That of the claim.

        Returns:
            False where the claim had ended, and nothing was changed.
        """
        ...

    async def release(self, id: str, token: str) -> None:
        """End a claim; does nothing where it has ended.

        Args:
            id: The id of the event.
            token: That of the claim.
        """
        ...

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest event of an object happened that was handled, None for none.

        Args:
            subject: The id of the object.
        """
        ...

    async def record_handled(self, subject: str, at: float) -> None:
        """Note that an event of an object was handled; an older one than noted changes nothing.

        Args:
            subject: The id of the object.
            at: When the event happened, in seconds since the Unix epoch.
        """
        ...

    async def close_for_loop(self) -> None:
        """Close what belongs to the running event loop, which is about to end."""
        ...


class MemoryStore:
    """A store in the memory of this process; what it knows ends with the process.

    Args:
        max_ids: How many events it remembers; above that it forgets the oldest.
        clock: Tells the time, in seconds from any start.
    """

    def __init__(
        self, max_ids: int = MAX_IDS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_ids = check_whole_number("max_ids", max_ids)
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, tuple[str, float]] = {}
        # Both in the order in which their entries end; a plain dict finds its first entry slowly
        # where many before it are gone.
        self._done: OrderedDict[str, float] = OrderedDict()
        self._newest: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._max_ids})"

    def __len__(self) -> int:
        return len(self._done)

    async def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event; see `Store`."""
        with self._lock:
            now = self._clock()
            if self._done.get(id, now) > now:
                return "done"
            if id in self._running and self._running[id][1] > now:
                return "busy"
            self._running[id] = token, now + lease
            return "claimed"

    async def commit(self, id: str, token: str) -> bool:
        """Remember that an event was handled; see `Store`."""
        with self._lock:
            now = self._clock()
            if not self._end(id, token, now):
                return False
            self._done.pop(id, None)
            self._done[id] = now + REMEMBER_SECONDS
            while len(self._done) > self._max_ids or self._done[next(iter(self._done))] <= now:
                self._done.popitem(last=False)
            return True

    async def release(self, id: str, token: str) -> None:
        """End a claim; see `Store`."""
        with self._lock:
            self._end(id, token, self._clock())

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened; see `Store`."""
        with self._lock:
            at, ends = self._newest.get(subject, (None, 0.0))
            return at if ends > self._clock() else None

    async def record_handled(self, subject: str, at: float) -> None:
        """Note that an event of an object was handled; see `Store`."""
        with self._lock:
            noted, _ = self._newest.pop(subject, (at, 0.0))
            self._newest[subject] = max(at, noted), self._clock() + REMEMBER_SECONDS
            if len(self._newest) > self._max_ids:
                self._newest.popitem(last=False)

    async def close_for_loop(self) -> None:
        """Do nothing: memory belongs to no event loop; see `Store`."""

    def _end(self, id: str, token: str, now: float) -> bool:
        """Remove a claim where it is still this one; return whether its lease had not ended."""
        if self._running.get(id, ("", 0.0))[0] != token:
            return False
        return self._running.pop(id)[1] > now
