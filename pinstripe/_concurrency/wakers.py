"""Waits for news of an object of the API, which come from code elsewhere in the process.

A wait notes its interest in the id of an object. Code that hears of the object, in whichever
thread, wakes every wait for it. Nobody has to know the other: where nobody waits, to wake costs a
look into an empty mapping, and where no news come, the wait polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress

from pinstripe._concurrency.loop_local import LoopLocal

# The events to set, by the id. Only the thread of the event loop changes its mapping.
_interests: LoopLocal[dict[str, set[asyncio.Event]]] = LoopLocal()


@contextmanager
def interest_in(id: str) -> Generator[asyncio.Event, None, None]:
    """Give an event that is set whenever there are news of an object.

    Args:
        id: The id of the object.

    Raises:
        ConfigurationError: No event loop of asyncio is running.
    """
    here = _interests.get()
    if here is None:
        here = dict[str, set[asyncio.Event]]()
        _interests.set(here)
    event = asyncio.Event()
    here.setdefault(id, set()).add(event)
    try:
        yield event
    finally:
        here[id].remove(event)
        if not here[id]:
            del here[id]


def is_anything_awaited() -> bool:
    """Return whether there may be a wait for an object in this process."""
    return bool(_interests)


def wake(id: str) -> None:
    """Wake the waits for an object in all event loops of this process; this never waits.

    Args:
        id: The id of the object.
    """
    for loop, interests in _interests.by_loop():
        if id in interests:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_set_all, interests, id)


def _set_all(interests: dict[str, set[asyncio.Event]], id: str) -> None:
    for event in interests.get(id, ()):
        event.set()
