"""How an export ends: what gets its name and when, and what stays for the next run."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import stat
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pinstripe import ConfigurationError, ConnectionLost
from pinstripe.export import to_file
from pinstripe.export._threads import finish_in_thread
from tests.support.dated import DatedShelf, dated_pager
from tests.support.exported import NEWEST, count, names_in, sixty

pytestmark = pytest.mark.anyio

FORMATS = ("jsonl", "csv", "parquet")


def frames_of(error: BaseException | None) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__ if error else None)]


@pytest.mark.parametrize("error", [LookupError, BrokenPipeError, asyncio.TimeoutError])
async def test_what_on_progress_raises_keeps_its_frames(tmp_path, error) -> None:
    def fail(_: object) -> None:
        raise error

    shelf = DatedShelf(range(NEWEST - 6000, NEWEST, 10))
    with pytest.raises(error) as caught:
        await to_file(dated_pager(shelf), tmp_path / "x.jsonl", on_progress=fail)
    assert frames_of(caught.value)[-1] == "fail"


@pytest.fixture
def longest() -> Iterator[Any]:
    """A function that bounds how long a file of this process can grow, as a full disk does."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextlib.contextmanager
    def lifted() -> Iterator[None]:
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with lifted():
        yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size or soft, hard))


# --- the name -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
async def test_what_appears_meanwhile_is_not_replaced(tmp_path, format) -> None:
    shelf, path = sixty(), tmp_path / f"things.{format}"
    shelf.on_answer = lambda: path.write_text("mine")
    with pytest.raises(FileExistsError) as caught:
        await to_file(dated_pager(shelf), path)
    assert caught.value.filename == str(path)
    assert path.read_text() == "mine"
    path.unlink()
    shelf.on_answer = lambda: None
    assert await to_file(dated_pager(shelf), path, resume=True) == 60
    assert count(path) == 60
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("format", FORMATS)
async def test_what_appears_meanwhile_is_replaced_where_that_is_allowed(tmp_path, format) -> None:
    shelf, path = sixty(), tmp_path / f"things.{format}"
    shelf.on_answer = lambda: path.write_text("mine")
    assert await to_file(dated_pager(shelf), path, overwrite=True) == 60
    assert count(path) == 60
    assert names_in(tmp_path) == [path.name]


async def test_a_link_stays_and_leads_to_the_output(tmp_path) -> None:
    shelf, path, target = sixty(), tmp_path / "things.csv", tmp_path / "real" / "rows"
    target.parent.mkdir()
    path.symlink_to("real/rows")
    assert await to_file(dated_pager(shelf), path) == 60
    assert (path.is_symlink(), count(path)) == (True, 60)
    shelf.asked.clear()
    with pytest.raises(ConfigurationError, match="exists already"):
        await to_file(dated_pager(shelf), path)
    assert shelf.asked == []
    target.write_text("old")
    assert await to_file(dated_pager(shelf), path, overwrite=True) == 60
    assert (path.is_symlink(), target.read_text().count("\n")) == (True, 61)
    assert (names_in(tmp_path), names_in(target.parent)) == (["real", path.name], ["rows"])


@pytest.mark.parametrize("overwrite", [False, True])
async def test_links_in_a_circle_are_refused(tmp_path, overwrite) -> None:
    shelf, path = sixty(), tmp_path / "things.csv"
    path.symlink_to(path)
    with pytest.raises(ConfigurationError, match="output: must be a file"):
        await to_file(dated_pager(shelf), path, overwrite=overwrite)
    assert (shelf.asked, path.is_symlink()) == ([], True)


@pytest.mark.parametrize("format", FORMATS)
async def test_the_output_is_on_the_disk_before_it_has_its_name(
    tmp_path, monkeypatch, format
) -> None:
    path, synced, fsync = tmp_path / f"things.{format}", dict[int, bool](), os.fsync

    def note(file: int) -> None:
        synced[os.fstat(file).st_ino] = path.exists()
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    await to_file(dated_pager(sixty()), path)
    assert synced[path.stat().st_ino] is False


async def test_nobody_else_may_read_what_becomes_parquet(tmp_path, monkeypatch) -> None:
    modes, write = dict[str, int](), pq.ParquetWriter.write_table

    def note(writer: pq.ParquetWriter, *args: Any) -> None:
        modes.update({file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()})
        write(writer, *args)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", note)
    await to_file(dated_pager(sixty()), tmp_path / "things.parquet")
    assert list(modes.values()) == [0o600] * 4  # the part, its mark, its lock and the output


async def test_half_a_parquet_file_does_not_stay(tmp_path, monkeypatch, longest) -> None:
    shelf, path, write = sixty(), tmp_path / "things.parquet", pq.ParquetWriter.write_table

    def fill_disk(*args: Any) -> None:
        longest(10)
        write(*args)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", fill_disk)
        with pytest.raises(OSError, match="too large") as caught:
            await to_file(dated_pager(shelf), path)
    longest(None)
    first = caught.value.__context__
    assert isinstance(first, OSError)
    assert frames_of(first) == []  # those have rows
    assert names_in(tmp_path) == [".things.parquet.mark", ".things.parquet.part"]
    assert await to_file(dated_pager(shelf), path, resume=True) == 60
    assert names_in(tmp_path) == [path.name]


async def test_the_name_is_on_the_disk_at_the_end(tmp_path, monkeypatch) -> None:
    path, synced, fsync = tmp_path / "things.csv", list[int](), os.fsync

    def note(file: int) -> None:
        synced.extend([os.fstat(file).st_ino] if path.exists() else [])
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    for overwrite in (False, True):
        synced.clear()
        await to_file(dated_pager(sixty()), path, overwrite=overwrite)
        assert synced[-1] == tmp_path.stat().st_ino


async def test_a_folder_that_cannot_be_synced_is_as_good(tmp_path, monkeypatch) -> None:
    path, fsync = tmp_path / "things.csv", os.fsync

    def refuse(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(file)

    monkeypatch.setattr(os, "fsync", refuse)
    assert await to_file(dated_pager(sixty()), path) == 60
    assert names_in(tmp_path) == [path.name]


# --- going on with a run that may replace the output --------------------------------------------


@pytest.fixture
def small_batches(monkeypatch) -> None:
    monkeypatch.setattr("pinstripe.export._export.BATCH", 7)


async def cut_off(shelf: DatedShelf, path: Path, **settings: bool) -> None:
    """Begin an export of twelve requests whose fourth one fails."""
    shelf.fail_at = len(shelf.asked) + 4
    with pytest.raises(ConnectionLost):
        await to_file(dated_pager(shelf, limit=5), path, windows=1, **settings)
    shelf.fail_at = None


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("again", [{}, {"overwrite": True}])
@pytest.mark.usefixtures("small_batches")
async def test_resume_goes_on_with_a_run_that_may_overwrite(tmp_path, format, again) -> None:
    shelf, path = sixty(), tmp_path / f"things.{format}"
    path.write_text("mine")
    for settings in ({}, {"resume": True, **again}):
        before = len(shelf.asked)
        await cut_off(shelf, path, **(settings or {"overwrite": True}))
        assert path.read_text() == "mine"
        assert len(shelf.asked) == before + 4
    before = len(shelf.asked)
    assert await to_file(dated_pager(shelf, limit=5), path, resume=True, windows=1, **again) == 60
    assert len(shelf.asked) - before == 6
    assert count(path) == 60
    assert names_in(tmp_path) == [path.name]


@pytest.mark.usefixtures("small_batches")
async def test_resume_that_may_overwrite_allows_it_to_a_run_that_might_not(tmp_path) -> None:
    shelf, path = sixty(), tmp_path / "things.csv"
    await cut_off(shelf, path)
    path.write_text("mine")
    asked = len(shelf.asked)
    with pytest.raises(ConfigurationError, match="exists already"):
        await to_file(dated_pager(shelf, limit=5), path, resume=True)
    assert len(shelf.asked) == asked
    await cut_off(shelf, path, resume=True, overwrite=True)
    assert path.read_text() == "mine"
    assert await to_file(dated_pager(shelf, limit=5), path, resume=True) == 60
    assert count(path) == 60


async def test_resume_that_may_overwrite_begins_where_nothing_was_begun(tmp_path) -> None:
    path = tmp_path / "things.csv"
    path.write_text("mine")
    assert await to_file(dated_pager(sixty()), path, resume=True, overwrite=True) == 60
    assert count(path) == 60


@pytest.mark.usefixtures("small_batches")
async def test_overwrite_alone_begins_anew(tmp_path) -> None:
    shelf, path = sixty(), tmp_path / "things.csv"
    await cut_off(shelf, path, overwrite=True)
    before = len(shelf.asked)
    assert await to_file(dated_pager(shelf, limit=5), path, windows=1, overwrite=True) == 60
    assert len(shelf.asked) - before == 12


@pytest.mark.usefixtures("small_batches")
async def test_resume_that_may_overwrite_keeps_what_it_cannot_go_on_with(tmp_path) -> None:
    shelf, path = sixty(), tmp_path / "things.csv"
    await cut_off(shelf, path, overwrite=True)
    left = names_in(tmp_path)
    other = dated_pager(shelf, limit=5, max_items=9)
    with pytest.raises(ConfigurationError, match=r"another list.*overwrite without resume"):
        await to_file(other, path, resume=True, overwrite=True)
    assert names_in(tmp_path) == left


# --- a cancellation, and what fails on the way out ----------------------------------------------


@pytest.fixture
async def unheard() -> AsyncIterator[list[dict[str, Any]]]:
    """What the event loop is left with, such as errors that nobody asked for."""
    loop, found = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


async def cancelled_in_thread(error: Exception, times: int) -> asyncio.CancelledError:
    """The end of a task that was cancelled, with all that it began, while its thread worked."""
    before = asyncio.all_tasks()
    begun, go, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()
    ended: list[asyncio.CancelledError] = []

    def work(private: str) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert go.wait(30)
        raise error

    async def main() -> None:
        # Caught inside: Python 3.10 makes a new cancellation where a task is awaited.
        try:
            await finish_in_thread(work, "CANARY")
        except asyncio.CancelledError as cancelled:
            assert go.is_set()
            ended.append(cancelled)

    task = asyncio.create_task(main())
    await begun.wait()
    for _ in range(times):
        for begun_since in asyncio.all_tasks() - before:
            begun_since.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    go.set()
    await task
    return ended.pop()


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancellation_waits_for_the_thread_and_tells_its_error(unheard, times) -> None:
    error = OSError(28, "No space left on device")
    cancelled = await cancelled_in_thread(error, times)
    assert cancelled.__cause__ is error
    assert frames_of(error) == []
    gc.collect()
    assert unheard == []


async def test_a_fault_of_the_program_under_a_cancellation_keeps_its_frames(unheard) -> None:
    cancelled = await cancelled_in_thread(KeyError("bug"), 1)
    assert frames_of(cancelled.__cause__)[-1] == "work"


async def test_a_cancelled_export_that_cannot_write_what_it_read(
    tmp_path, longest, unheard
) -> None:
    shelf, path, stopped = sixty(), tmp_path / "things.csv", list[BaseException]()
    seen = asyncio.Event()

    async def wait() -> None:
        if len(shelf.asked) > 4:
            seen.set()
            await asyncio.Event().wait()

    async def main() -> None:
        try:
            await to_file(dated_pager(shelf, limit=5), path, windows=1)
        except BaseException as error:  # noqa: BLE001 -- looked at below
            stopped.append(error)

    shelf.wait = wait
    task = asyncio.create_task(main())
    await seen.wait()
    longest(10)
    task.cancel()
    await task
    longest(None)
    assert isinstance(stopped[0], asyncio.CancelledError)
    assert isinstance(stopped[0].__cause__, OSError)
    assert frames_of(stopped[0].__cause__) == []
    assert frames_of(stopped[0]) == ["main", "wrapper"]
    gc.collect()
    assert unheard == []
    shelf.wait = lambda: asyncio.sleep(0)
    assert await to_file(dated_pager(shelf), path, overwrite=True) == 60


@pytest.mark.usefixtures("small_batches")
async def test_an_export_whose_list_and_disk_fail_at_once(tmp_path, longest) -> None:
    shelf, path = sixty(), tmp_path / "things.csv"
    shelf.on_answer = lambda: longest(10) if len(shelf.asked) == 1 else None
    shelf.fail_at = 2
    with pytest.raises(OSError, match="too large") as caught:
        await to_file(dated_pager(shelf, limit=5), path, windows=1)
    longest(None)
    assert isinstance(caught.value.__context__, ConnectionLost)
    assert frames_of(caught.value.__context__) == []
