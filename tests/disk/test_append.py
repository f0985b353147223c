"""Files that grow by whole pieces."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from pinstripe._disk.append import AppendFile, open_append


class ShortFile(io.FileIO):
    """A file on a disk with room for so many bytes, which takes a few at a time."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(path, "w+b")
        self.room = room

    def write(self, data: Any) -> int:
        size = super().write(bytes(data)[: min(3, self.room)])
        if data and not size:
            raise OSError(28, "No space left on device")
        self.room -= size
        return size


def test_short_writes_are_continued(tmp_path: Path) -> None:
    with AppendFile(ShortFile(tmp_path / "out", 100), 0) as output:
        output.write(b"one row\n")
        output.write(b"another row\n")
    assert (tmp_path / "out").read_bytes() == b"one row\nanother row\n"


def test_a_full_disk_leaves_whole_rows(tmp_path: Path) -> None:
    file = ShortFile(tmp_path / "out", 12)
    with AppendFile(file, 0) as output:
        output.write(b"one row\n")
        with pytest.raises(OSError, match="No space left on device"):
            output.write(b"another row\n")
        file.room = 100
        output.write(b"last\n")
    assert (tmp_path / "out").read_bytes() == b"one row\nlast\n"


def test_a_file_that_is_not_ours_is_not_cut(tmp_path: Path) -> None:
    with (
        AppendFile(ShortFile(tmp_path / "out", 4), None) as output,
        pytest.raises(OSError, match="No space"),
    ):
        output.write(b"one row\n")
    assert (tmp_path / "out").read_bytes() == b"one "


def test_opening_cuts_off_what_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"one row\ntorn")
    with open_append(path, 8) as output:
        output.write(b"next\n")
        output.sync()
    assert path.read_bytes() == b"one row\nnext\n"


def test_opening_makes_a_file_for_its_owner_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out"
    open_append(path, 0).close()
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"", 0o600)
    with pytest.raises(FileNotFoundError):
        open_append(tmp_path / "gone", 8)
    assert not (tmp_path / "gone").exists()


def test_a_pipe_is_not_a_plain_file() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with AppendFile(io.FileIO(writer, "wb"), 0) as output:
        assert not output.is_regular
        with pytest.raises(BrokenPipeError):
            output.write(b"row\n")
