"""Stores remember which events were handled, and which are being handled.

Stripe delivers an event again until it is answered with success, for three days, and may deliver
one twice at any time; `Router.catch_up` reads the log of events, which has those of 30 days. So the
router claims an event before its handlers run and commits it when they are done.
An event has three states in a store:

    free       it was not handled                        claim -> claimed
    claimed    a delivery is running its handlers        commit -> done, release -> free
    done       it was handled                            after 31 days -> free

A claim has a token of its own and a lease, which is a time limit. If the process dies, the claim
expires with its lease. A commit or a release that comes later than that changes nothing, even if
another delivery has claimed the event meanwhile: its token is another one.

A store also records when the newest handled event of an object happened, so that older events of
that object can be skipped.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

import anyio

from pinstripe._concurrency.tasks import finish
from pinstripe._core.checks import check_whole_number

_T = TypeVar("_T")

Claimed: TypeAlias = Literal["claimed", "busy", "done"]
"""The result of a claim.

`"claimed"`: run the handlers. `"busy"`: another delivery is running them. `"done"`: the event was
handled before.
"""

REMEMBER_SECONDS: Final = 31 * 86_400.0
"""How long a store remembers an event: the API's log has it for 30 days, and clocks differ.

https://docs.stripe.com/api/events
"""

MAX_IDS: Final = 1_000_000
"""How many events a `MemoryStore` remembers by default, in up to about 200 MB."""


STORE_SECONDS: Final = 10.0
"""How long one step of a store may take; a cancelled delivery waits this long at most."""


async def store_step(store: object, step: Awaitable[_T]) -> _T:
    """Do a step of a store to its end, so that a cancelled delivery leaves none half done.

    A `MemoryStore` never waits, so nothing can interrupt its steps.

    Args:
        store: The store.
        step: The step.

    Raises:
        TimeoutError: It took longer than `STORE_SECONDS`.
    """
    # Not `isinstance`: a class that is derived from it may wait.
    if type(store) is MemoryStore:
        return await step

    async def limited() -> _T:
        with anyio.fail_after(STORE_SECONDS):
            return await step

    return await finish(limited())


class Store(Protocol):
    """Remembers events; implement it for another database.

    Every method may be called from several threads and event loops at once.
    """

    async def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event, in one step that no other claim can interrupt.

        Args:
            id: The id of the event.
            token: Text that no other claim has.
            lease: Seconds after which the claim expires.
        """
        ...

    async def commit(self, id: str, token: str) -> bool:
        """Remember for `REMEMBER_SECONDS` that an event was handled.

        Args:
            id: The id of the event.
            token: The token of the claim.

        Returns:
            False if the claim had expired; nothing was changed then.
        """
        ...

    async def release(self, id: str, token: str) -> None:
        """End a claim, so that the next delivery can claim the event; ignore an expired claim.

        Args:
            id: The id of the event.
            token: The token of the claim.
        """
        ...

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened; None if there is none.

        Args:
            subject: The id of the object.
        """
        ...

    async def record_handled(self, subject: str, at: float) -> None:
        """Record that an event of an object was handled; ignore an older one than recorded.

        Args:
            subject: The id of the object.
            at: When the event happened, in seconds since the Unix epoch.
        """
        ...

    async def close_for_loop(self) -> None:
        """Close the resources of the running event loop, which is about to end."""
        ...


class MemoryStore:
    """A store in the memory of this process; it is empty again when the process ends.

    Args:
        max_ids: How many events it remembers; above that it forgets the oldest.
        clock: Returns the time, in seconds from any start.

    Raises:
        ConfigurationError: An argument is wrong.
    """

    def __init__(
        self, max_ids: int = MAX_IDS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_ids = check_whole_number("max_ids", max_ids)
        self._clock = clock
        # No method awaits while it holds the lock, so each of them is one step for every thread
        # and every event loop.
        self._lock = threading.Lock()
        # The claims: the token of each event's claim, and when it expires.
        self._running: dict[str, tuple[str, float]] = {}
        # The events that were handled, and the newest of each object, both with the time when they
        # are forgotten and in the order of that time. An OrderedDict, because a plain dict finds
        # its first entry slowly when many entries before it were removed.
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
            if not self._remove_claim(id, token, now):
                return False
            # Removed first, since an event that is written again belongs at the end of the order.
            self._done.pop(id, None)
            self._done[id] = now + REMEMBER_SECONDS
            while len(self._done) > self._max_ids or self._done[next(iter(self._done))] <= now:
                self._done.popitem(last=False)
            return True

    async def release(self, id: str, token: str) -> None:
        """End a claim; see `Store`."""
        with self._lock:
            self._remove_claim(id, token, self._clock())

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened; see `Store`."""
        with self._lock:
            at, forgotten_at = self._newest.get(subject, (None, 0.0))
            return at if forgotten_at > self._clock() else None

    async def record_handled(self, subject: str, at: float) -> None:
        """Record that an event of an object was handled; see `Store`."""
        with self._lock:
            recorded, _ = self._newest.pop(subject, (at, 0.0))
            self._newest[subject] = max(at, recorded), self._clock() + REMEMBER_SECONDS
            if len(self._newest) > self._max_ids:
                self._newest.popitem(last=False)

    async def close_for_loop(self) -> None:
        """Do nothing: memory belongs to no event loop; see `Store`."""

    def _remove_claim(self, id: str, token: str, now: float) -> bool:
        """Remove a claim, if it is still the one with this token; return whether it was valid."""
        if self._running.get(id, ("", 0.0))[0] != token:
            return False
        return self._running.pop(id)[1] > now
