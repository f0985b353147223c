"""A store in a SQLite file: for the processes of one machine, and for restarts.

Every step that decides something is one SQL statement. SQLite runs each statement in a transaction
of its own and lets one process write at a time, so nothing can come between the two halves of a
claim, "is it free?" and "it is mine". An event is a row of `events`:

    no row, or `ends` is past    free
    `token` is set               claimed by that token until `ends`
    `token` is NULL              done; the row is deleted some time after `ends`

The file is in WAL mode, and each step is on the disk before it returns: neither `kill -9` nor a
loss of power makes the store forget that an event was handled. One connection per process serves
all threads in turns. A step takes half a millisecond, in a worker thread.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import anyio.to_thread

from pinstripe._core.errors import ConfigurationError
from pinstripe.webhooks._stores import REMEMBER_SECONDS, Claimed

_CREATE: Final = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY,
    token TEXT,
    ends REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_ends ON events (ends);
CREATE TABLE IF NOT EXISTS subjects (
    id TEXT PRIMARY KEY,
    newest REAL NOT NULL,
    ends REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS subjects_ends ON subjects (ends);
"""
# Writes the row if there is none, or if the claim or the memory in it has ended; otherwise changes
# nothing.
_CLAIM: Final = """
INSERT INTO events (id, token, ends) VALUES (:id, :token, :ends)
ON CONFLICT (id) DO UPDATE SET token = :token, ends = :ends WHERE ends <= :now
"""
_STATE: Final = "SELECT token FROM events WHERE id = :id"
_COMMIT: Final = """
UPDATE events SET token = NULL, ends = :ends WHERE id = :id AND token = :token AND ends > :now
"""
_RELEASE: Final = "DELETE FROM events WHERE id = :id AND token = :token"
_FORGET: Final = "DELETE FROM events WHERE ends <= :now"
_NEWEST: Final = "SELECT newest FROM subjects WHERE id = :id AND ends > :now"
# The newest time stays, also if an older event is recorded.
_RECORD: Final = """
INSERT INTO subjects (id, newest, ends) VALUES (:id, :newest, :ends)
ON CONFLICT (id) DO UPDATE SET newest = max(newest, excluded.newest), ends = excluded.ends
"""
_FORGET_SUBJECTS: Final = "DELETE FROM subjects WHERE ends <= :now"

# How long a statement waits for another process that writes; that takes milliseconds.
_LOCK_SECONDS: Final = 5.0


class SQLiteStore:
    """A store in a file, which the processes of one machine may share.

    The file is created when the first event is claimed; close the store with `close()`.

    Args:
        path: The file; not on a network drive, since SQLite's locks do not work there.
        clock: Returns the time, in seconds since the Unix epoch.

    Raises:
        ConfigurationError: The path is empty, or not a path.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time
    ) -> None:
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            raise ConfigurationError("path", "must be the path of a file")
        self._path = Path(path)
        self._clock = clock
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"

    # Each step runs in a worker thread. The clock is read there too: the wait for a thread must not
    # shorten a lease.

    async def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event; see `Store`."""

        def step() -> Claimed:
            now = self._clock()
            values = {"id": id, "token": token, "now": now, "ends": now + lease}
            changed, _ = self._execute(_CLAIM, values)
            if changed:
                return "claimed"
            # If the other claim is released right now, "busy" is still a correct answer: Stripe
            # delivers the event again.
            _, rows = self._execute(_STATE, {"id": id})
            return "done" if rows == [(None,)] else "busy"

        return await anyio.to_thread.run_sync(step)

    async def commit(self, id: str, token: str) -> bool:
        """Remember that an event was handled; see `Store`."""

        def step() -> bool:
            now = self._clock()
            values = {"id": id, "token": token, "now": now, "ends": now + REMEMBER_SECONDS}
            changed, _ = self._execute(_COMMIT, values)
            self._execute(_FORGET, {"now": now})
            return changed == 1

        return await anyio.to_thread.run_sync(step)

    async def release(self, id: str, token: str) -> None:
        """End a claim; see `Store`."""
        await anyio.to_thread.run_sync(self._execute, _RELEASE, {"id": id, "token": token})

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened; see `Store`."""

        def step() -> float | None:
            _, rows = self._execute(_NEWEST, {"id": subject, "now": self._clock()})
            return rows[0][0] if rows else None

        return await anyio.to_thread.run_sync(step)

    async def record_handled(self, subject: str, at: float) -> None:
        """Record that an event of an object was handled; see `Store`."""

        def step() -> None:
            now = self._clock()
            self._execute(_RECORD, {"id": subject, "newest": at, "ends": now + REMEMBER_SECONDS})
            self._execute(_FORGET_SUBJECTS, {"now": now})

        await anyio.to_thread.run_sync(step)

    async def close_for_loop(self) -> None:
        """Do nothing: the file belongs to no event loop; see `Store`."""

    def close(self) -> None:
        """Close the file; it is opened again when an event is claimed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _execute(self, statement: str, values: dict[str, Any]) -> tuple[int, list[Any]]:
        """Run a statement; return how many rows it changed, and the rows that it found."""
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
            cursor = self._connection.execute(statement, values)
            return cursor.rowcount, cursor.fetchall()


def _open(path: Path) -> sqlite3.Connection:
    # Without an isolation level each statement is a transaction, and is committed at its end.
    connection = sqlite3.connect(
        path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_CREATE)
    except BaseException:
        connection.close()
        raise
    return connection
