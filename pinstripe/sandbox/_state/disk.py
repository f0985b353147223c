"""Keeps a world in a SQLite file, so that it survives any end of the process.

What is kept: objects, their content, events, scheduled jobs, the answers under idempotency keys, a
manual clock's time and the address of the server. Faults, rate limits and the log of effects are
not kept.

The theory, in four steps:

1. The changes of a request are collected in memory, in a batch, while the event loop runs.
2. A thread writes a whole batch as one transaction, and the loop never waits for the file. While
   one batch is written, the next one collects; so requests at the same time share a transaction.
3. No answer leaves before its batch is written. After `kill -9`, everything that was answered is
   there, and a request without an answer is there whole or not at all.
4. If a write fails, the requests that wait for it get a 500. Their changes stay in memory, in the
   next batch, for another attempt.

The file is in WAL mode with `synchronous=NORMAL`: a committed transaction is with the operating
system, and reaches the disk a little later. So the end of the process loses nothing. The end of the
machine (power, kernel) may lose the last transactions, but never half of one:
https://www.sqlite.org/pragma.html#pragma_synchronous

Each run of a world takes random sources of its own, so ids never repeat. A free port is the same
one again if possible, so that links to files stay valid, also those in events. One process at a
time uses the file, and only its owner can read it: it holds secrets and personal data as plain
text.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import msgspec
from attrs import frozen

from pinstripe.sandbox._state.clock import ManualClock
from pinstripe.sandbox._state.journal import NullJournal
from pinstripe.sandbox._state.world import World

RowKey: TypeAlias = "tuple[str, str, str]"

# Both are in the head of the file, so that no other SQLite file is taken for a store.
APPLICATION_ID: Final = 0x50494E53  # "PINS"
LAYOUT: Final = 1

_log = logging.getLogger("pinstripe.sandbox")

T = TypeVar("T")

# What is kept beside the world. The texts are part of the layout, so they do not follow a rename.
META: Final = "meta"
ADDRESS: Final = (META, "", "address")
_RUNS: Final = (META, "", "lives")
_NOW: Final = (META, "", "now")

# Own choice: time for another process that is just ending to unlock the file.
_LOCK_SECONDS = 0.5

_CREATE = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {LAYOUT};
CREATE TABLE rows (
    number INTEGER PRIMARY KEY,
    place TEXT NOT NULL,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (place, account, name)
);
COMMIT;
"""
_PUT = """
INSERT INTO rows (place, account, name, value) VALUES (?, ?, ?, ?)
ON CONFLICT (place, account, name) DO UPDATE SET value = excluded.value
"""
_REMOVE = "DELETE FROM rows WHERE place = ? AND account = ? AND name = ?"
_FORGET = "DELETE FROM rows WHERE place != 'meta' AND account = ?"
_META_ROWS = "SELECT place, account, name, value FROM rows WHERE place = 'meta'"
_ROWS = "SELECT place, account, name, value FROM rows WHERE place != 'meta' ORDER BY number"
_ONE = "SELECT value FROM rows WHERE place = ? AND account = ? AND name = ?"
_TABLES = "SELECT count(*) FROM sqlite_master"


@contextlib.asynccontextmanager
async def keep_on_disk(world: World) -> AsyncGenerator[None, None]:
    """Restore a world from its file and keep it there until the block ends.

    Does nothing if the settings name no file.

    Raises:
        OSError: If the file cannot be used, or another process uses it.
        ValueError: If the file is not a store of this version of the sandbox.
    """
    if world.settings.store is None:
        yield
        return
    disk = DiskJournal(world, world.settings.store)
    await disk.open()
    try:
        yield
    finally:
        await disk.close()


@frozen
class _Batch:
    """Changes that become one transaction.

    Attributes:
        forgotten: The accounts whose rows go before anything is put; None stands for all.
        changes: The last value of each row.
        done: Ends when all is written.
    """

    forgotten: set[str | None]
    changes: dict[RowKey, object]
    done: asyncio.Future[None]

    def forget(self, account: str | None) -> None:
        """Forget an account, or all of them, and the changes of it so far."""
        self.forgotten.add(account)
        for key in [key for key in self.changes if key[0] != META and account in (None, key[1])]:
            del self.changes[key]


class DiskJournal:
    """The journal of a world that has a file.

    At most two batches exist: `_current` is being written, `_next` collects changes. `_writer` is
    the task that writes, None while there is nothing to write.

    Args:
        world: The world.
        path: The file.
    """

    def __init__(self, world: World, path: Path) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        # One thread: SQLite connections must not change threads.
        self._thread = ThreadPoolExecutor(1, "pinstripe-disk")
        self._file = StoreFile(path)
        self._next: _Batch | None = None
        self._current: _Batch | None = None
        self._writer: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], object] = lambda: None

    async def open(self) -> None:
        """Open the file, restore the world from it and record changes from now on."""
        try:
            await self._loop.run_in_executor(self._thread, self._restore)
        except BaseException:
            await self._close()
            raise
        self._world.journal = self
        clock = self._world.settings.clock
        if isinstance(clock, ManualClock):
            self._unwatch = clock.watch(self._on_clock_advanced)
            self._record_time()

    async def close(self) -> None:
        """Write the remaining changes, and close the file."""
        self._unwatch()
        self._world.journal = NullJournal()
        try:
            await self.wait_saved()
        finally:
            await self._close()

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that are not written yet."""
        return self._next is not None or self._current is not None

    def record(self, place: str, account: str, name: str, value: object) -> None:
        """Record a change; it is written soon, even if nobody waits."""
        self._collecting().changes[place, account, name] = value
        self._start_writer()

    def forget(self, account: str | None) -> None:
        """Record that nothing of an account is left, or nothing at all."""
        self._collecting().forget(account)
        self._start_writer()

    async def wait_saved(self) -> None:
        """Wait until every recorded change is written.

        Raises:
            sqlite3.Error: If they cannot be written; they stay for another attempt.
        """
        # The newest batch is written last. It is shielded, since other requests wait for it, too.
        batch = self._next or self._current
        if batch is not None:
            self._start_writer()
            await asyncio.shield(batch.done)

    def _collecting(self) -> _Batch:
        if self._next is None:
            self._next = _Batch(set(), {}, self._loop.create_future())
        return self._next

    def _start_writer(self) -> None:
        if self._writer is None:
            self._writer = self._loop.create_task(self._write(), name="pinstripe-disk")

    async def _write(self) -> None:
        try:
            # A batch that collects during one round is written in the next round.
            while self._next is not None:
                batch = self._current = self._next
                self._next = None
                await self._loop.run_in_executor(
                    self._thread, self._file.write, batch.changes, batch.forgotten
                )
                batch.done.set_result(None)
        except Exception as error:  # noqa: BLE001 -- the requests that wait get it
            _log.error("The sandbox cannot write to its file: %s", error)
            # Both batches fail and become one new batch. The newer one is added last, so that its
            # values win.
            merged = _Batch(set(), {}, self._loop.create_future())
            for failed in (self._current, self._next):
                if failed is not None:
                    for account in failed.forgotten:
                        merged.forget(account)
                    merged.changes.update(failed.changes)
                    failed.done.set_exception(error)
                    # Mark the exception as seen: nobody may be waiting for it.
                    failed.done.exception()
            self._next = merged
        finally:
            self._writer = self._current = None

    async def _close(self) -> None:
        await self._loop.run_in_executor(self._thread, self._file.close)
        self._thread.shutdown()

    def _restore(self) -> None:
        """Open the file and fill the world from it, in the thread of the file."""
        self._file.open()
        world, clock = self._world, self._world.settings.clock
        runs = self._file.get_meta(_RUNS, int, 0)
        self._file.write({_RUNS: runs + 1})
        # A server that starts again in the same process still has its world in memory.
        if not world.accounts():
            world.begin_run(runs)
            world.base_url = self._file.get_meta(ADDRESS, str, "")
            for place, account, name, value in self._file.rows():
                world.account(account or None).restore(place, name, value)
        # A manual clock resumes where it was, unless it is set to a later time.
        if isinstance(clock, ManualClock):
            clock.advance(max(0.0, self._file.get_meta(_NOW, float, 0.0) - clock()))

    def _on_clock_advanced(self) -> None:
        # The clock calls this in the thread that advances it; `record` is for the loop's thread.
        if threading.get_ident() == self._loop_thread:
            self._record_time()
        else:
            self._loop.call_soon_threadsafe(self._record_time)

    def _record_time(self) -> None:
        self.record(*_NOW, self._world.settings.clock())


class StoreFile:
    """The SQLite file; all calls come from one thread.

    A row of the file has the address of a change (place, account, name) and its last value.

    Args:
        path: The path of the file; it is created if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file for this process alone.

        Raises:
            OSError: If the file cannot be used, or another process uses it.
            ValueError: If the file is not a store of this version of the sandbox.
        """
        self._path.touch(mode=0o600)
        try:
            self._connection = sqlite3.connect(
                self._path, timeout=_LOCK_SECONDS, isolation_level=None
            )
            self._prepare(self._connection)
        except sqlite3.OperationalError as error:
            raise OSError(f"store {self._path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(f"store {self._path} is not a file of a sandbox: {error}") from error

    def rows(self) -> Iterator[tuple[str, str, str, bytes]]:
        """Return the rows of the world, in the order in which they were first written."""
        assert self._connection is not None
        return self._connection.execute(_ROWS)

    def get_meta(self, key: RowKey, type: type[T], default: T) -> T:
        """Return a value that is kept beside the world, or the default if there is none."""
        assert self._connection is not None
        row = self._connection.execute(_ONE, key).fetchone()
        return default if row is None else msgspec.json.decode(row[0], type=type)

    def write(
        self, changes: Mapping[RowKey, object], forgotten: Collection[str | None] = ()
    ) -> None:
        """Write changes as one transaction.

        Args:
            changes: The new value of each row; None for a row that goes.
            forgotten: The accounts whose rows go first; None stands for all.

        Raises:
            sqlite3.Error: If the changes cannot be written; then none of them is.
        """
        assert self._connection is not None
        puts = [
            (*key, value if isinstance(value, bytes) else msgspec.json.encode(value))
            for key, value in changes.items()
            if value is not None
        ]
        removals = [key for key, value in changes.items() if value is None]
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            if None in forgotten:
                # SQLite empties a whole table at once, but deletes some of its rows one by one.
                kept = self._connection.execute(_META_ROWS).fetchall()
                self._connection.execute("DELETE FROM rows")
                self._connection.executemany(_PUT, kept)
            self._connection.executemany(_FORGET, [(account,) for account in forgotten])
            self._connection.executemany(_PUT, puts)
            self._connection.executemany(_REMOVE, removals)
            self._connection.execute("COMMIT")
        except BaseException:
            # Some errors, such as a full disk, make SQLite roll back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._connection is not None:
            self._connection.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Nothing is changed before the file is known to be empty or a store of this version. In
        # this locking mode the first transaction locks the file until the connection is closed.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        (tables,) = connection.execute(_TABLES).fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (layout,) = connection.execute("PRAGMA user_version").fetchone()
        if tables and (application, layout) != (APPLICATION_ID, LAYOUT):
            text = "is not a file of this version of the sandbox; choose another path"
            raise ValueError(f"store {self._path} {text}")
        self._make_private()
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            connection.executescript(_CREATE)
        # An empty transaction takes the lock now, and fails if another process has it.
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")

    def _make_private(self) -> None:
        """Let only the owner read the file and what SQLite keeps beside it, whatever was there."""
        # SQLite gives what it creates from now on the same permissions as the file.
        for ending in ("", "-wal", "-shm", "-journal"):
            path = self._path.with_name(self._path.name + ending)
            if path.exists():
                path.chmod(0o600)
