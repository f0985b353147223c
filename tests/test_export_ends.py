"""How an export ends: what gets its name and when, and what stays for the next run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from dated import DatedShelf, dated_pager

from pinstripe import ConfigurationError
from pinstripe.export import export

pytestmark = pytest.mark.anyio

NEWEST = 1_790_000_000
FORMATS = ("jsonl", "csv", "parquet")


def sixty() -> DatedShelf:
    return DatedShelf(range(NEWEST - 600, NEWEST, 10))


def count(path: Path) -> int:
    if path.suffix == ".parquet":
        return pq.read_metadata(path).num_rows
    return len(path.read_text().splitlines()) - (path.suffix == ".csv")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
        await export(dated_pager(shelf), path)
    assert caught.value.filename == str(path)
    assert path.read_text() == "mine"
    path.unlink()
    shelf.on_answer = lambda: None
    assert await export(dated_pager(shelf), path, resume=True) == 60
    assert count(path) == 60
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("format", FORMATS)
async def test_what_appears_meanwhile_is_replaced_where_that_is_allowed(tmp_path, format) -> None:
    shelf, path = sixty(), tmp_path / f"things.{format}"
    shelf.on_answer = lambda: path.write_text("mine")
    assert await export(dated_pager(shelf), path, overwrite=True) == 60
    assert count(path) == 60
    assert names_in(tmp_path) == [path.name]


async def test_a_name_that_leads_nowhere_is_taken_too(tmp_path) -> None:
    shelf, path = sixty(), tmp_path / "things.csv"
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match="is there already"):
        await export(dated_pager(shelf), path)
    assert shelf.asked == []
    assert await export(dated_pager(shelf), path, overwrite=True) == 60
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("format", FORMATS)
async def test_the_output_is_on_the_disk_before_it_has_its_name(
    tmp_path, monkeypatch, format
) -> None:
    path, synced, fsync = tmp_path / f"things.{format}", dict[int, bool](), os.fsync

    def note(file: int) -> None:
        synced[os.fstat(file).st_ino] = path.exists()
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    await export(dated_pager(sixty()), path)
    assert synced[path.stat().st_ino] is False


async def test_nobody_else_may_read_what_becomes_parquet(tmp_path, monkeypatch) -> None:
    modes, write = dict[str, int](), pq.ParquetWriter.write_table

    def note(writer: pq.ParquetWriter, *args: Any) -> None:
        modes.update({file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()})
        write(writer, *args)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", note)
    await export(dated_pager(sixty()), tmp_path / "things.parquet")
    assert list(modes.values()) == [0o600] * 3  # the part, its mark and the output


async def test_half_a_parquet_file_does_not_stay(tmp_path, monkeypatch, longest) -> None:
    shelf, path, write = sixty(), tmp_path / "things.parquet", pq.ParquetWriter.write_table

    def fill_disk(*args: Any) -> None:
        longest(10)
        write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", fill_disk)
        with pytest.raises(OSError, match="too large"):
            await export(dated_pager(shelf), path)
    longest(None)
    assert names_in(tmp_path) == [".things.parquet.mark", ".things.parquet.part"]
    assert await export(dated_pager(shelf), path, resume=True) == 60
    assert names_in(tmp_path) == [path.name]
