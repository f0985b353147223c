"""What the tables of webhooks hold in any database, whatever reads and writes them.

    pinstripe_events      an event: claimed by `token`, or `done`
    pinstripe_subjects    an object: when its `newest` handled event happened

A row counts until it `ends`: an event without one, or with one that has ended, is free. Times are
seconds since the Unix epoch by the clock of the database, which every server sees: no time zone and
no server's own clock decides when a lease ends. An index finds the rows to prune.
"""

from __future__ import annotations

import hashlib
import time
from typing import Final, Literal

from attrs import define, field

EVENTS: Final = "pinstripe_events"
"""The name of the table of events."""

SUBJECTS: Final = "pinstripe_subjects"
"""The name of the table of objects."""

ID_LENGTH: Final = 255
"""How many characters an id has at most: MySQL can index that many."""

TOKEN_LENGTH: Final = 64
"""How many characters a token has at most."""

CLOCKS: Final = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "mysql": "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6)",
}
CLOCKS["mariadb"] = CLOCKS["mysql"]
"""The time in SQL, by the name of the database. In PostgreSQL it is not that of the transaction's
begin, which is long past when the handlers are done."""

PRUNED_AT_ONCE: Final = 1_000
"""How many rows of a table are pruned at once."""

_PRUNE_SECONDS: Final = 600.0

Row = tuple[bool, float, float]
"""A row of an event: whether it is done, when it ends, and what time it is."""

State = Literal["free", "expired", "busy", "done"]
"""The state of an event. One that has expired has a row, and can be claimed."""


def row_id(id: str) -> str:
    """Return the id of a row: the id itself, or a digest of one that is too long.

    Args:
        id: The id of an event or an object, behind the name of a router.
    """
    return id if len(id) <= ID_LENGTH else "sha256:" + hashlib.sha256(id.encode()).hexdigest()


def state_of(row: Row | None) -> State:
    """Return the state of an event.

    Args:
        row: Its row; None if it has none.
    """
    if row is None:
        return "free"
    done, ends, now = row
    if ends <= now:
        return "expired"
    return "done" if done else "busy"


@define(eq=False)
class Pruning:
    """When a process prunes: at its first claim, and every ten minutes from then on.

    After a claim that has found as many rows as it may prune, the next one prunes again.
    """

    _next: float = field(default=-float("inf"), init=False)

    def is_due(self) -> bool:
        """Return whether it is time, and take the turn."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _PRUNE_SECONDS
        return True

    def note(self, pruned: int) -> None:
        """Note how many rows of a table were pruned.

        Args:
            pruned: How many.
        """
        if pruned >= PRUNED_AT_ONCE:
            self._next = -float("inf")
