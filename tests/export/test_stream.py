"""Exports to pipes, devices and open files: written into, and never replaced."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import stat
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pinstripe import ConfigurationError
from pinstripe._disk.outputs import is_stream
from pinstripe.export import to_file
from tests.support.dated import dated_pager
from tests.support.exported import names_in, sixty

pytestmark = pytest.mark.anyio

DEVICE = Path("/dev/null")


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_named_pipe_gets_the_rows_and_stays(tmp_path, fifo, format, overwrite) -> None:
    link, whole = tmp_path / "link", tmp_path / "whole"
    link.symlink_to(fifo)
    await to_file(dated_pager(sixty()), whole, format=format)
    reading = asyncio.create_task(asyncio.to_thread(fifo.read_bytes))
    assert await to_file(dated_pager(sixty()), link, format=format, overwrite=overwrite) == 60
    rows = await reading
    if format == "parquet":
        assert pq.read_table(io.BytesIO(rows)) == pq.read_table(whole)
    else:
        assert rows == whole.read_bytes()
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert names_in(tmp_path) == ["fifo", "link", "whole"]


async def test_an_open_file_is_written_to_from_where_it_is(tmp_path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as out:
        out.write(b"before\n")
        path = f"/dev/fd/{out.fileno()}"
        assert await to_file(dated_pager(sixty()), path, format="jsonl", overwrite=True) == 60
        out.write(b"after\n")
    first, *rows, last = (tmp_path / "out").read_bytes().splitlines()
    assert (first, len(rows), last) == (b"before", 60, b"after")
    assert names_in(tmp_path) == ["out"]


async def test_a_device_takes_everything(tmp_path) -> None:
    assert await to_file(dated_pager(sixty()), DEVICE, format="csv", overwrite=True) == 60
    assert is_stream(DEVICE)


async def test_nothing_is_sent_while_nobody_reads_and_a_cancellation_ends_the_wait(
    tmp_path, fifo
) -> None:
    shelf = sixty()
    task = asyncio.create_task(to_file(dated_pager(shelf), fifo, format="csv"))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert shelf.asked == []


async def test_resume_is_refused(tmp_path, fifo) -> None:
    shelf = sixty()
    with pytest.raises(ConfigurationError, match="resume: a pipe or a device keeps nothing"):
        await to_file(dated_pager(shelf), fifo, format="csv", resume=True)
    assert shelf.asked == []


async def test_a_reader_that_leaves_ends_the_export(tmp_path, fifo) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    shelf = sixty()
    shelf.on_answer = lambda: os.close(reader) if len(shelf.asked) == 1 else None
    with pytest.raises(BrokenPipeError):
        await to_file(dated_pager(shelf), fifo, format="csv")


async def test_parquet_does_not_go_to_a_terminal() -> None:
    master, slave = pty.openpty()
    shelf = sixty()
    with pytest.raises(ConfigurationError, match="format: parquet is not text"):
        await to_file(dated_pager(shelf), os.ttyname(slave), format="parquet")
    assert shelf.asked == []
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("name", ["part", "mark", "mark.new", "lock"])
@pytest.mark.parametrize("resume", [False, True])
async def test_a_link_in_the_place_of_a_hidden_file_is_not_followed(tmp_path, name, resume) -> None:
    theirs, path = tmp_path / "theirs", tmp_path / "out.csv"
    theirs.write_text("precious")
    (tmp_path / f".out.csv.{name}").symlink_to(theirs)
    try:
        await to_file(dated_pager(sixty()), path, resume=resume, overwrite=not resume)
    except (ConfigurationError, OSError):
        assert not path.exists()
    else:
        assert not path.is_symlink()
        assert path.read_text().count("\n") == 61
    assert theirs.read_text() == "precious"
