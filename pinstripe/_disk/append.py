"""Files that grow by whole pieces, such as rows, and never end in half a piece for long.

A piece goes to the system without a buffer in between, so a process that dies between two pieces
leaves whole ones. A full disk can cut a write off in the middle: then the torn piece is taken back
at once. If the whole machine stops, the torn piece stays until the next run opens the file and
cuts it to the size that it knows to be complete.

What goes to a terminal has its control characters escaped, so that no text of others moves the
cursor or changes a title. Anything else gets every byte as it is.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from io import FileIO, RawIOBase
from pathlib import Path

from typing_extensions import Self

from pinstripe._core.redaction import printable_lines
from pinstripe._disk.outputs import open_hidden


class AppendFile:
    """A file that grows by whole pieces.

    Args:
        file: An unbuffered file, at the place of the next piece.
        size: The bytes before that place; None if the file must not be cut.

    Attributes:
        is_regular: Whether it is a plain file. A write to a pipe or a terminal can take as long
            as its reader likes, and cannot be taken back.
        is_terminal: Whether people see what is written.
    """

    def __init__(self, file: RawIOBase, size: int | None) -> None:
        self.is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        self.is_terminal = file.isatty()
        self._file = file
        self._size = size if self.is_regular else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Write all of `data`, or, in a file that can be cut, nothing of it.

        Args:
            data: Whole pieces.

        Raises:
            BrokenPipeError: The reader of a pipe has closed it.
            OSError: It cannot be written.
        """
        if self.is_terminal:
            data = printable_lines(data.decode(errors="replace")).encode()
        rest = memoryview(data)
        try:
            while rest:  # the system may take a part only
                rest = rest[self._file.write(rest) or 0 :]
        except OSError:
            if self._size is not None:
                with suppress(OSError):
                    self._file.truncate(self._size)
                    self._file.seek(self._size)
            raise
        if self._size is not None:
            self._size += len(data)

    def sync(self) -> None:
        """Wait until everything that was written is on the disk.

        Raises:
            OSError: The disk failed.
        """
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_append(path: Path, size: int, *, hidden: bool = False) -> AppendFile:
    """Open a file for appending, and cut off what follows its complete part.

    Only its owner may read a file that is made.

    Args:
        path: The file; it is made if `size` is 0.
        size: The bytes that stay.
        hidden: Whether it is a file beside an output: no link to it is followed, and if `size` is
            0, nothing may have its name.

    Raises:
        OSError: It cannot be opened.
    """
    # Without a part that stays the output may also be a pipe or a device: it is opened for
    # writing only, and no length is set, which such files refuse.
    mode = "r+b" if size else "xb" if hidden else "wb"
    file = FileIO(path, mode, opener=open_hidden if hidden else _open_private)
    if size:
        file.truncate(size)
        file.seek(size)
    return AppendFile(file, size)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
