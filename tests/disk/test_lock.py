"""Locks: one run at a time writes a file, and a run that was killed keeps nobody out."""

from __future__ import annotations

import errno
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from pinstripe._disk.lock import FileLock
from tests.support.exported import names_in

ACQUIRE = "from pathlib import Path; import sys; from pinstripe._disk.lock import FileLock; "
ACQUIRE += "lock = FileLock(Path(sys.argv[1])); print(lock.acquire(), flush=True); sys.stdin.read()"


def test_one_run_of_a_process_has_it(tmp_path) -> None:
    first, second, other = (FileLock(tmp_path / name) for name in "xxy")
    assert first.acquire()
    assert other.acquire()
    assert not second.acquire()
    second.release()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    for lock in (second, second, other):
        lock.release()
    assert names_in(tmp_path) == []


def test_one_process_has_it_until_it_is_killed(tmp_path) -> None:
    command = [sys.executable, "-c", ACQUIRE, str(tmp_path / "x")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        lock = FileLock(tmp_path / "x")
        assert not lock.acquire()
        other.kill()
    assert names_in(tmp_path) == [".x.lock"]
    assert lock.acquire()
    lock.release()
    assert names_in(tmp_path) == []


def test_without_a_place_for_a_lock_file_there_is_no_lock_to_wait_for(tmp_path) -> None:
    lock = FileLock(tmp_path / ("n" * 252))  # with what the lock adds, too long for a name
    assert lock.acquire()
    lock.release()
    assert names_in(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "nowhere" / "x").acquire()


def test_never_two_at_once_have_it(tmp_path) -> None:
    inside, most, times = list[int](), list[int](), 2000

    def work(number: int) -> int:
        taken = 0
        for _ in range(times):
            lock = FileLock(tmp_path / "x")
            if lock.acquire():
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)
                lock.release()
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
    lock = FileLock(tmp_path / "x")
    assert lock.acquire()
    lock.release()
    assert names_in(tmp_path) == []


def test_a_folder_that_does_not_exist_is_an_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "no" / "x").acquire()
