"""Keeps a world in a SQLite file, so that it outlives the process, whatever ends the process.

What a request changes (objects, their content, events, the agenda, the answer kept under its
idempotency key) becomes one transaction or part of one, and no answer leaves before the
transaction is written: after `kill -9` everything that was answered is there, and what was not
answered is there whole or not at all. Ids go on without a repeat, since every life of a world
draws from a source of its own. A free port is the same one again where it can be, so that links to
files, also those in events, hold. Faults, rate limits and the ledger of effects are not kept.

The loop never waits for the file. Changes are collected while it runs, and a thread writes all
that came together as one transaction; requests that wait for the same transaction share its cost.
The file is in WAL mode with `synchronous=NORMAL`: a transaction is handed to the operating system
before it counts as written, and to the disk only now and then, so that the end of the process
loses nothing, and the end of the machine (power, kernel) may lose the last transactions but never
half of one. The process holds the file alone, and nobody else may read it: secrets and personal
data stand in it as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import attrs
import msgspec

from pinstripe.sandbox._state.clock import ManualClock
from pinstripe.sandbox._state.journal import NullJournal
from pinstripe.sandbox._state.world import World

RowKey: TypeAlias = "tuple[str, str, str]"

APPLICATION_ID: Final = 0x50494E53
LAYOUT: Final = 1

_log = logging.getLogger("pinstripe.sandbox")

T = TypeVar("T")

ADDRESS: Final = ("meta", "", "address")
_RUNS: Final = ("meta", "", "lives")
_NOW: Final = ("meta", "", "now")
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
_ROWS = "SELECT place, account, name, value FROM rows WHERE place != 'meta' ORDER BY number"
_ONE = "SELECT value FROM rows WHERE place = ? AND account = ? AND name = ?"
_TABLES = "SELECT count(*) FROM sqlite_master"


@contextlib.asynccontextmanager
async def keep_on_disk(world: World) -> AsyncGenerator[None, None]:
    """Restore a world from its file and keep it there until the block ends.

    Does nothing where the settings name no file.

    Raises:
        OSError: when the file cannot be used, or another process uses it.
        ValueError: when the file is something else than a sandbox's.
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


@attrs.frozen
class _Batch:
    changes: dict[RowKey, object]
    done: asyncio.Future[None]


class DiskJournal:
    """The journal of a world that has a file.

    Args:
        world: the world.
        path: the file.
    """

    def __init__(self, world: World, path: Path) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._thread = ThreadPoolExecutor(1, "pinstripe-disk")
        self._file = StoreFile(path)
        self._next: _Batch | None = None
        self._current: _Batch | None = None
        self._writer: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], object] = lambda: None

    async def open(self) -> None:
        """Open the file, restore the world from it and keep what changes from now on."""
        try:
            await self._loop.run_in_executor(self._thread, self._restore)
        except BaseException:
            await self._close()
            raise
        self._world.journal = self
        clock = self._world.settings.clock
        if isinstance(clock, ManualClock):
            self._unwatch = clock.watch(self._note_time)
            self._record_time()

    async def close(self) -> None:
        """Write what is left, and close the file."""
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
        """Take a change; it is written when the loop has time, also without anybody waiting."""
        if self._next is None:
            self._next = _Batch({}, self._loop.create_future())
        self._next.changes[place, account, name] = value
        self._start_writer()

    async def wait_saved(self) -> None:
        """Wait until every change that was taken is written.

        Raises:
            sqlite3.Error: when the file does not take them; they stay for another attempt.
        """
        batch = self._next or self._current
        if batch is not None:
            self._start_writer()
            await asyncio.shield(batch.done)

    def _start_writer(self) -> None:
        if self._writer is None:
            self._writer = self._loop.create_task(self._write(), name="pinstripe-disk")

    async def _write(self) -> None:
        try:
            while self._next is not None:
                batch = self._current = self._next
                self._next = None
                await self._loop.run_in_executor(self._thread, self._file.write, batch.changes)
                batch.done.set_result(None)
        except Exception as error:  # noqa: BLE001 - goes to those who wait
            self._put_back(error)
        finally:
            self._writer = self._current = None

    def _put_back(self, error: Exception) -> None:
        _log.error("The sandbox cannot write to its file: %s", error)
        changes: dict[RowKey, object] = {}
        for batch in (self._current, self._next):
            if batch is not None:
                changes.update(batch.changes)
                batch.done.set_exception(error)
                batch.done.exception()  # nobody may have waited
        self._next = _Batch(changes, self._loop.create_future())

    async def _close(self) -> None:
        await self._loop.run_in_executor(self._thread, self._file.close)
        self._thread.shutdown()

    def _restore(self) -> None:
        self._file.open()
        world, clock = self._world, self._world.settings.clock
        lives = self._file.get_meta(_RUNS, int, 0)
        self._file.write({_RUNS: lives + 1})
        if not world.accounts():
            world.begin_run(lives)
            world.base_url = self._file.get_meta(ADDRESS, str, "")
            for place, account, name, value in self._file.rows():
                world.account(account or None).restore(place, name, value)
        if isinstance(clock, ManualClock):
            clock.advance(max(0.0, self._file.get_meta(_NOW, float, 0.0) - clock()))

    def _note_time(self) -> None:
        if threading.get_ident() == self._loop_thread:
            self._record_time()
        else:
            self._loop.call_soon_threadsafe(self._record_time)

    def _record_time(self) -> None:
        self.record(*_NOW, self._world.settings.clock())


class StoreFile:
    """The SQLite file; all calls come from one thread.

    Args:
        path: where it is, or shall be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file for this process alone.

        Raises:
            OSError: when the file cannot be used, or another process uses it.
            ValueError: when the file is something else than a sandbox's.
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
        """Return what the world consists of, in the order of its birth."""
        assert self._connection is not None
        return self._connection.execute(_ROWS)

    def get_meta(self, key: RowKey, type: type[T], default: T) -> T:
        """Return a value that stands beside the world, a default where there is none yet."""
        assert self._connection is not None
        row = self._connection.execute(_ONE, key).fetchone()
        return default if row is None else msgspec.json.decode(row[0], type=type)

    def write(self, changes: Mapping[RowKey, object]) -> None:
        """Write changes as one transaction.

        Raises:
            sqlite3.Error: when the file does not take them; nothing of them is written then.
        """
        assert self._connection is not None
        puts = [(*key, _encoded(value)) for key, value in changes.items() if value is not None]
        removals = [key for key, value in changes.items() if value is None]
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(_PUT, puts)
            self._connection.executemany(_REMOVE, removals)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._connection is not None:
            self._connection.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        (tables,) = connection.execute(_TABLES).fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (layout,) = connection.execute("PRAGMA user_version").fetchone()
        if tables and (application, layout) != (APPLICATION_ID, LAYOUT):
            raise ValueError(f"store {self._path} is not a file of this version of the sandbox")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            connection.executescript(_CREATE)
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")


def _encoded(value: object) -> bytes:
    return value if isinstance(value, bytes) else msgspec.json.encode(value)
