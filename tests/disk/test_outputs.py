"""What the name of an output leads to, and hidden files that are no links."""

from __future__ import annotations

import os
import pty
import socket
from io import FileIO
from pathlib import Path

import pytest

from pinstripe._disk.append import AppendFile, open_append
from pinstripe._disk.lock import FileLock
from pinstripe._disk.outputs import (
    is_stream,
    open_hidden,
    open_stream,
    own_descriptor,
    target_of,
)


def test_a_link_is_followed_to_its_end(tmp_path: Path) -> None:
    plain, first, second = tmp_path / "plain", tmp_path / "first", tmp_path / "second"
    first.symlink_to("second")
    second.symlink_to(plain)
    assert (target_of(first), target_of(plain)) == (plain, plain)
    assert not is_stream(first)
    second.unlink()
    second.symlink_to("first")
    with pytest.raises(OSError, match="symbolic links"):
        target_of(first)
    assert not is_stream(first)


def test_what_is_written_to_as_it_is(tmp_path: Path) -> None:
    fifo, link, unix = tmp_path / "fifo", tmp_path / "link", tmp_path / "unix"
    os.mkfifo(fifo)
    link.symlink_to("fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(unix))
        assert all(is_stream(path) for path in (fifo, link, unix, Path("/dev/null")))
    assert not is_stream(tmp_path)
    assert not is_stream(tmp_path / "nothing")


def test_a_name_of_an_open_file_is_that_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as out:
        out.write(b"before\n")
        link = tmp_path / "link"
        for name in (f"/dev/fd/{out.fileno()}", f"/proc/self/fd/{out.fileno()}"):
            link.unlink(missing_ok=True)
            link.symlink_to(name)
            assert own_descriptor(link) == out.fileno()
            assert is_stream(link)
            file = open_stream(link)
            assert file is not None
            with file:
                file.write(b"row\n")
        out.write(b"after\n")
    assert (tmp_path / "out").read_bytes() == b"before\nrow\nrow\nafter\n"
    assert own_descriptor(Path("/dev/stdout")) == 1
    assert own_descriptor(tmp_path / "out") is None


def test_a_named_pipe_is_open_when_somebody_reads_it(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert open_stream(fifo) is None
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file = open_stream(fifo)
    assert file is not None
    with file:
        assert os.get_blocking(file.fileno())
        file.write(b"row\n")
    assert os.read(reader, 10) == b"row\n"
    os.close(reader)


@pytest.mark.parametrize("kind", ["link", "dangling link", "fifo"])
def test_a_hidden_file_is_nothing_that_was_planted(tmp_path: Path, kind: str) -> None:
    theirs, path = tmp_path / "theirs", tmp_path / ".out.part"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(theirs)
    if kind == "link":
        theirs.write_bytes(b"precious")
    for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
        with pytest.raises(OSError, match=r"must be a plain file|No such device") as caught:
            open_hidden(path, flags)
        assert caught.value.filename == str(path)
    for size in (0, 3):
        with pytest.raises(OSError, match=r"plain file|exists"):
            open_append(path, size, hidden=True)
    lock = FileLock(tmp_path / "theirs")
    path.rename(tmp_path / ".theirs.lock")
    with pytest.raises(OSError, match="must be a plain file"):
        lock.acquire()
    assert (theirs.read_bytes() if theirs.exists() else None) == (
        b"precious" if kind == "link" else None
    )


def test_a_terminal_gets_no_control_character_and_a_pipe_gets_all() -> None:
    text = "a\x1b]0;title\x07\x9b31mb\r\tü\u202e\n"
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    with AppendFile(FileIO(slave, "wb"), None) as output:
        assert output.is_terminal
        output.write(text.encode())
        shown = os.read(master, 1000)
    os.close(master)
    assert shown.replace(b"\r\n", b"\n").decode() == (
        "a\\x1b]0;title\\x07\\x9b31mb\\r\\tü\\u202e\n"
    )
    reader, writer = os.pipe()
    with AppendFile(FileIO(writer, "wb"), None) as output:
        output.write(text.encode())
    assert os.read(reader, 1000) == text.encode()
    os.close(reader)
