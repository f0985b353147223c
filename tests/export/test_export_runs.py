"""Runs of an export beside and after each other: two at once, killed ones, and ones in vain."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pinstripe import ConfigurationError, ConnectionLost
from pinstripe.export import to_file
from tests.support import warm
from tests.support.dated import DatedShelf, dated_pager
from tests.support.exported import count, names_in, sixty

pytestmark = pytest.mark.anyio

SETTINGS = ({}, {"resume": True}, {"overwrite": True}, {"resume": True, "overwrite": True})
ROOT = Path(__file__).parents[2]


@pytest.fixture
def small_batches(monkeypatch) -> None:
    monkeypatch.setattr("pinstripe.export._export.BATCH", 7)


async def test_a_relative_path_means_what_it_did_at_the_start(tmp_path, monkeypatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    async with held(Path("x.jsonl")) as task:
        monkeypatch.chdir(tmp_path / "elsewhere")
    assert await task == 60
    assert names_in(tmp_path) == ["elsewhere", "x.jsonl"]
    assert names_in(tmp_path / "elsewhere") == []


# --- two at once --------------------------------------------------------------------------------


@asynccontextmanager
async def held(path: Path, **settings: Any) -> AsyncIterator[asyncio.Task[int]]:
    """An export that waits in its fourth request, and continues afterwards."""
    shelf, waits, go = sixty(), asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        if len(shelf.asked) >= 4:
            waits.set()
            await go.wait()

    shelf.wait = wait
    task = asyncio.create_task(to_file(dated_pager(shelf, limit=5), path, windows=1, **settings))
    await waits.wait()
    try:
        yield task
    finally:
        go.set()


async def refused(path: Path, **settings: Any) -> None:
    shelf = sixty()
    with pytest.raises(ConfigurationError, match="is being written by another export") as caught:
        await to_file(dated_pager(shelf), path, **settings)
    assert (caught.value.argument, shelf.asked) == ("output", [])


@pytest.mark.parametrize("first", [{}, {"overwrite": True}])
@pytest.mark.parametrize("second", SETTINGS)
@pytest.mark.usefixtures("small_batches")
async def test_a_second_export_to_an_output_is_refused(tmp_path, first, second) -> None:
    path = tmp_path / "things.csv"
    if first:
        path.write_text("mine")
    async with held(path, **first) as task:
        await refused(path, **second)
    assert await task == 60
    assert count(path) == 60
    assert names_in(tmp_path) == [path.name]


async def test_a_second_export_by_another_way_to_the_folder_is_refused(tmp_path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "real")
    async with held(tmp_path / "real" / "things.csv") as task:
        await refused(tmp_path / "way" / "things.csv")
    assert await task == 60


async def test_exports_to_two_outputs_go_on_beside_each_other(tmp_path) -> None:
    async with held(tmp_path / "a.csv") as task:
        assert await to_file(dated_pager(sixty()), tmp_path / "b.csv") == 60
    assert await task == 60


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancelled_export_lets_the_next_one_write(tmp_path, turns) -> None:
    path = tmp_path / "things.csv"
    task = asyncio.create_task(to_file(dated_pager(sixty()), path))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names_in(tmp_path) == []
    assert await to_file(dated_pager(sixty()), path) == 60


@pytest.mark.usefixtures("small_batches")
async def test_an_export_that_failed_lets_the_next_one_write(tmp_path) -> None:
    shelf, path = sixty(), tmp_path / "things.csv"
    shelf.fail_at = 4
    with pytest.raises(ConnectionLost):
        await to_file(dated_pager(shelf, limit=5), path, windows=1)
    assert names_in(tmp_path) == [".things.csv.mark", ".things.csv.part"]
    assert await to_file(dated_pager(shelf, limit=5), path, resume=True) == 60


# --- killed -------------------------------------------------------------------------------------


def killed(folder: Path, *arguments: str) -> list[Path]:
    """The outputs of runs, each killed before one of the things that it did to its files."""
    words = ("-m", "tests.support.export_killer", folder, *arguments)
    done = warm.run(words, text=True, cwd=ROOT, timeout=60)
    done.check_returncode()
    runs = [line.rpartition(" ") for line in done.stdout.splitlines()]
    assert [end for *_, end in runs] == ["killed"] * (len(runs) - 1) + ["ended"]
    assert len(runs) > 12
    return [Path(path) for path, _, end in runs if end == "killed"]


def is_done(path: Path) -> bool:
    """Whether a run was killed when all that was left to do was to release its lock."""
    return names_in(path.parent) == [f".{path.name}.lock", path.name] and count(path) == 60


@pytest.mark.parametrize("name", ["things.jsonl", "things.csv", "things.parquet"])
async def test_wherever_a_run_is_killed_resume_does_the_rest(tmp_path, name) -> None:
    outputs = killed(tmp_path, name)
    for path in outputs:
        if is_done(path):
            with pytest.raises(ConfigurationError, match="exists already"):
                await to_file(dated_pager(sixty()), path, resume=True)
            continue
        assert await to_file(dated_pager(sixty()), path, resume=True) == 60
        assert count(path) == 60
        assert names_in(path.parent) == [name]
    assert sum(map(is_done, outputs)) <= 1


@pytest.mark.parametrize("name", ["things.csv", "things.parquet"])
async def test_wherever_a_run_that_overwrites_is_killed_resume_does_the_rest(
    tmp_path, name
) -> None:
    for path in killed(tmp_path, name, "overwrite"):
        assert path.read_bytes() == b"mine" or count(path) == 60
        assert await to_file(dated_pager(sixty()), path, resume=True, overwrite=True) == 60
        assert count(path) == 60
        assert names_in(path.parent) == [name]


@pytest.mark.parametrize("name", ["things.csv", "things.parquet"])
async def test_what_took_the_name_after_a_killed_run_is_not_replaced(tmp_path, name) -> None:
    for path in killed(tmp_path, name):
        path.unlink(missing_ok=True)
        path.write_text("mine")
        shelf = sixty()
        with pytest.raises(ConfigurationError, match="exists already"):
            await to_file(dated_pager(shelf), path, resume=True)
        assert (path.read_text(), shelf.asked) == ("mine", [])
        path.unlink()
        assert await to_file(dated_pager(shelf), path, resume=True) == 60
        assert count(path) == 60
        assert names_in(path.parent) == [name]


async def test_an_output_that_was_changed_after_a_killed_run_is_not_replaced(tmp_path) -> None:
    changed = 0
    for path in killed(tmp_path, "things.csv"):
        if not path.exists():
            continue
        with path.open("a") as file:
            file.write("a note\n")
        text = path.read_text()
        with pytest.raises(ConfigurationError, match="exists already"):
            await to_file(dated_pager(sixty()), path, resume=True)
        assert path.read_text() == text
        path.rename(path.with_name("moved"))
        assert await to_file(dated_pager(sixty()), path, resume=True) == 60
        assert (count(path), path.with_name("moved").read_text()) == (60, text)
        changed += 1
    assert changed > 2


async def test_what_a_killed_run_published_is_not_asked_for_again(tmp_path) -> None:
    published = [path for path in killed(tmp_path, "things.csv") if path.exists()]
    assert len(published) > 2
    for path in published[:-1]:
        before, shelf = path.stat(), sixty()
        assert await to_file(dated_pager(shelf), path, resume=True) == 60
        assert shelf.asked == []
        assert os.path.samestat(path.stat(), before)


async def test_what_a_killed_run_published_is_of_its_list_alone(tmp_path) -> None:
    *_, path, _ = (path for path in killed(tmp_path, "things.csv") if path.exists())
    for settings in ({}, {"resume": True}):
        with pytest.raises(ConfigurationError, match=r"earlier run|another list"):
            await to_file(dated_pager(sixty(), max_items=9), path, **settings)
    assert count(path) == 60
    assert await to_file(dated_pager(sixty(), max_items=9), path, overwrite=True) == 9


# --- in vain ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["things.jsonl", "things.csv", "things.parquet"])
@pytest.mark.parametrize("settings", SETTINGS)
async def test_a_run_without_any_object_leaves_nothing(tmp_path, name, settings) -> None:
    shelf, path = sixty(), tmp_path / name
    shelf.fail_at = 1
    with pytest.raises(ConnectionLost):
        await to_file(dated_pager(shelf), path, **settings)
    assert names_in(tmp_path) == []
    assert await to_file(dated_pager(shelf), path) == 60


async def test_an_empty_list_that_does_not_get_its_name_leaves_nothing(tmp_path) -> None:
    shelf, path = DatedShelf([]), tmp_path / "things.csv"
    shelf.on_answer = lambda: path.write_text("mine")
    with pytest.raises(FileExistsError):
        await to_file(dated_pager(shelf), path)
    assert names_in(tmp_path) == [path.name]
    assert path.read_text() == "mine"


@pytest.mark.usefixtures("small_batches")
async def test_a_run_that_goes_on_in_vain_leaves_what_was_there(tmp_path) -> None:
    shelf, path = sixty(), tmp_path / "things.csv"
    for fail_at in (4, 5):
        shelf.fail_at = fail_at
        with pytest.raises(ConnectionLost):
            await to_file(dated_pager(shelf, limit=5), path, windows=1, resume=True)
        assert names_in(tmp_path) == [".things.csv.mark", ".things.csv.part"]
    before = len(shelf.asked)
    assert await to_file(dated_pager(shelf, limit=5), path, windows=1, resume=True) == 60
    assert len(shelf.asked) - before < 12
