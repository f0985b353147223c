"""One run at a time writes a file, and none that died keeps the others out."""

from __future__ import annotations

import errno
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from pinstripe._disk.lock import FileLock
from tests.support.exported import names_in

TAKE = "from pathlib import Path; import sys; from pinstripe._disk.lock import FileLock; "
TAKE += "claim = FileLock(Path(sys.argv[1])); print(claim.acquire(), flush=True); sys.stdin.read()"


def test_one_run_of_a_process_has_it(tmp_path) -> None:
    first, second, other = (FileLock(tmp_path / name) for name in "xxy")
    assert first.acquire()
    assert other.acquire()
    assert not second.acquire()
    second.release()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    for claim in (second, second, other):
        claim.release()
    assert names_in(tmp_path) == []


def test_one_process_has_it_until_it_is_killed(tmp_path) -> None:
    command = [sys.executable, "-c", TAKE, str(tmp_path / "x")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        claim = FileLock(tmp_path / "x")
        assert not claim.acquire()
        other.kill()
    assert names_in(tmp_path) == [".x.lock"]
    assert claim.acquire()
    claim.release()
    assert names_in(tmp_path) == []


def test_where_no_lock_can_stand_there_is_none_to_wait_for(tmp_path) -> None:
    claim = FileLock(tmp_path / ("n" * 252))  # with what the lock adds, too long for a name
    assert claim.acquire()
    claim.release()
    assert names_in(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "nowhere" / "x").acquire()


def test_never_two_at_once_have_it(tmp_path) -> None:
    inside, most, times = list[int](), list[int](), 2000

    def work(number: int) -> int:
        taken = 0
        for _ in range(times):
            claim = FileLock(tmp_path / "x")
            if claim.acquire():
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)
                claim.release()
                taken += 1
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(work, range(4)))
    assert sum(taken) == len(most)
    assert set(most) == {1}
    assert names_in(tmp_path) == []


def test_a_file_system_without_locks_can_be_written_to(tmp_path, monkeypatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    claim = FileLock(tmp_path / "x")
    assert claim.acquire()
    claim.release()
    assert names_in(tmp_path) == []


def test_a_folder_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "no" / "x").acquire()
