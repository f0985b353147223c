"""A store in a SQLite file: for the processes of one machine, and for restarts.

Every step is one transaction, which takes the lock of the file before it reads: SQLite lets one
process write at a time, so nothing can come between the two halves of a claim, "is it free?" and
"it is mine". An event is in at most one of two tables:

    claims     claimed by `token`; the lease is from `begun` to `ends`
    handled    done; it is forgotten some time after `ends`

**Clocks.** A lease is measured by the monotonic clock of the machine, which all its processes share
and which nobody can set. The clock is read when the transaction has the lock, so that no wait
shortens a lease. After a restart of the machine that clock starts again: a claim that begins in the
future was made before the restart, and is over. How long an event is remembered is measured by
the time of day. It need not be exact, and is a day longer than the log of events reaches back.

**Waiting.** If another process holds the lock, the step tries again, for two seconds at most, and
then fails. In between it holds no thread and no lock of this process, so other work goes on. A
delivery makes two such steps, so it is answered within five seconds; a file that is locked for
longer costs it a 500, and Stripe sends it again.

The file is in WAL mode, and each step is on the disk before it returns: neither `kill -9` nor a
loss of power makes the store forget that an event was handled. One connection per process serves
all threads in turns. A step takes half a millisecond, in a worker thread of its own limit.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from pinstripe._core.errors import ConfigurationError
from pinstripe.webhooks._stores import REMEMBER_SECONDS, Claimed

_T = TypeVar("_T")

_CREATE: Final = """
CREATE TABLE IF NOT EXISTS claims (
    id TEXT PRIMARY KEY,
    token TEXT NOT NULL,
    begun REAL NOT NULL,
    ends REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS handled (
    id TEXT PRIMARY KEY,
    ends REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS handled_ends ON handled (ends);
CREATE TABLE IF NOT EXISTS subjects (
    id TEXT PRIMARY KEY,
    newest REAL NOT NULL,
    ends REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS subjects_ends ON subjects (ends);
"""
_IS_HANDLED: Final = "SELECT 1 FROM handled WHERE id = ? AND ends > ?"
# Claims whose process has died are few, and are looked through at each claim.
_FORGET_CLAIMS: Final = "DELETE FROM claims WHERE NOT (begun <= :now AND :now < ends)"
_IS_CLAIMED: Final = "SELECT 1 FROM claims WHERE id = ?"
_CLAIM: Final = "INSERT INTO claims (id, token, begun, ends) VALUES (?, ?, ?, ?)"
_RELEASE: Final = "DELETE FROM claims WHERE id = ? AND token = ?"
_HANDLED: Final = "INSERT OR REPLACE INTO handled (id, ends) VALUES (?, ?)"
_FORGET_HANDLED: Final = "DELETE FROM handled WHERE ends <= ?"
_NEWEST: Final = "SELECT newest FROM subjects WHERE id = ? AND ends > ?"
# The newest time stays, also if an older event is recorded.
_RECORD: Final = """
INSERT INTO subjects (id, newest, ends) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET newest = max(newest, excluded.newest), ends = excluded.ends
"""
_FORGET_SUBJECTS: Final = "DELETE FROM subjects WHERE ends <= ?"

# How long a step waits for another process that writes, which takes milliseconds, and how often it
# tries again meanwhile.
_LOCK_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.02


class SQLiteStore:
    """A store in a file, which the processes of one machine may share.

    The file is created when the first event is claimed; close the store with `close()`.

    Args:
        path: The file; not on a network drive, since SQLite's locks do not work there.
        clock: Returns the time of day, in seconds since the Unix epoch. It says when an event is
            forgotten; leases do not depend on it.

    Raises:
        ConfigurationError: The path is empty, or not a path.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time
    ) -> None:
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            raise ConfigurationError("path", "must be the path of a file")
        self._path = Path(path)
        self._place = os.path.realpath(path)
        self._clock = clock
        self._lease_clock = time.monotonic
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        # Limits of anyio belong to an event loop each. One thread of each is enough: there is one
        # connection.
        self._limits = WeakKeyDictionary[asyncio.AbstractEventLoop, anyio.CapacityLimiter]()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SQLiteStore) and other._place == self._place

    def __hash__(self) -> int:
        return hash(self._place)

    async def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event; see `Store`."""

        def step(file: sqlite3.Connection) -> Claimed:
            if file.execute(_IS_HANDLED, (id, self._clock())).fetchone():
                return "done"
            now = self._lease_clock()
            file.execute(_FORGET_CLAIMS, {"now": now})
            if file.execute(_IS_CLAIMED, (id,)).fetchone():
                return "busy"
            file.execute(_CLAIM, (id, token, now, now + lease))
            return "claimed"

        return await self._run(step)

    async def commit(self, id: str, token: str) -> bool:
        """Remember that an event was handled; see `Store`."""

        def step(file: sqlite3.Connection) -> bool:
            file.execute(_FORGET_CLAIMS, {"now": self._lease_clock()})
            if file.execute(_RELEASE, (id, token)).rowcount == 0:
                return False
            now = self._clock()
            file.execute(_HANDLED, (id, now + REMEMBER_SECONDS))
            file.execute(_FORGET_HANDLED, (now,))
            return True

        return await self._run(step)

    async def release(self, id: str, token: str) -> None:
        """End a claim; see `Store`."""
        await self._run(lambda file: file.execute(_RELEASE, (id, token)))

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened; see `Store`."""

        def step(file: sqlite3.Connection) -> float | None:
            row = file.execute(_NEWEST, (subject, self._clock())).fetchone()
            return row[0] if row else None

        return await self._run(step)

    async def record_handled(self, subject: str, at: float) -> None:
        """Record that an event of an object was handled; see `Store`."""

        def step(file: sqlite3.Connection) -> None:
            now = self._clock()
            file.execute(_RECORD, (subject, at, now + REMEMBER_SECONDS))
            file.execute(_FORGET_SUBJECTS, (now,))

        await self._run(step)

    async def close_for_loop(self) -> None:
        """Do nothing: the file belongs to no event loop; see `Store`."""

    def close(self) -> None:
        """Close the file; it is opened again when an event is claimed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    async def _run(self, step: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do a step in a thread; while the file is locked, wait on the event loop."""
        limit = self._limits.setdefault(asyncio.get_running_loop(), anyio.CapacityLimiter(1))
        deadline = anyio.current_time() + _LOCK_SECONDS
        while True:
            try:
                return await anyio.to_thread.run_sync(self._transact, step, limiter=limit)
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or anyio.current_time() >= deadline:
                    raise
            await anyio.sleep(_POLL_SECONDS)

    def _transact(self, step: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do a step in a transaction of its own, or fail at once if the file is locked."""
        if self._process != os.getpid():
            # After a fork. The inherited connection is kept and never used: closing it would
            # disturb the file of the process that opened it. The lock is replaced, since a thread
            # of the parent may have held it at the moment of the fork.
            self._inherited = self._connection
            self._process = os.getpid()
            self._lock = threading.Lock()
            self._connection = None
        with self._lock:
            if self._connection is None:
                self._connection = _open(self._path)
            with self._connection:  # commits, or rolls back
                self._connection.execute("BEGIN IMMEDIATE")
                return step(self._connection)


def _open(path: Path) -> sqlite3.Connection:
    # Without an isolation level a transaction begins where a step says so.
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_CREATE)
    except BaseException:
        connection.close()
        raise
    return connection
