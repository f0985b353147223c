"""An export to what is no plain file: a pipe, a device, or standard output.

Rows go into it as they come, batch by batch. It cannot be replaced and nothing of it can be taken
back, so there are no files beside it, no lock, and nothing that a later run could resume.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import IO

from pinstripe._core.errors import ConfigurationError
from pinstripe._disk.append import AppendFile
from pinstripe._disk.outputs import open_descriptor, open_stream
from pinstripe._disk.source import PIECE
from pinstripe.export._partial import Checkpoint, Finish


class StreamFile:
    """The output of an export that is written to as it is; see `PartialFile` for its methods.

    Args:
        output: Its path.
        open_file: Opens it for writing; None from it is tried again.

    Attributes:
        output: The same path.
        exists: Whether this run has written to it.
    """

    def __init__(self, output: Path, open_file: Callable[[], FileIO | None]) -> None:
        self.output = output
        self.exists = False
        self._open_file = open_file
        self._file: AppendFile | None = None
        self._rows: IO[bytes] | None = None

    def begin(self, source: str, *, resume: bool, overwrite: bool) -> Checkpoint:
        """Return the start; several runs may write to one stream, and none replaces it."""
        if resume:
            problem = "a pipe or a device keeps nothing of an earlier run: give the name of a file"
            raise ConfigurationError("resume", problem)
        return Checkpoint(source, overwrite=overwrite)

    def release(self) -> None:
        """Close the stream."""
        for file in (self._rows, self._file):
            if file is not None:
                file.close()

    def open(self, checkpoint: Checkpoint, finish: Finish | None) -> bool:
        """Open the stream, and return whether it is open: a named pipe waits for its reader."""
        file = self._open_file()
        if file is None:
            return False
        self._file = AppendFile(file, None)
        if finish is not None:
            if self._file.is_terminal:
                raise ConfigurationError("format", "parquet is not text: give the name of a file")
            # The index at the end of Parquet needs all rows: they wait in a file without a name.
            self._rows = tempfile.TemporaryFile()  # noqa: SIM115 -- `release` closes it
        return True

    def write(self, data: bytes, checkpoint: Checkpoint) -> None:
        """Write rows."""
        assert self._file is not None
        self.exists = True
        if self._rows is not None:
            self._rows.write(data)
        else:
            self._file.write(data)

    def publish(self, finish: Finish | None, checkpoint: Checkpoint) -> None:
        """Write what waits for the end, and close the stream."""
        assert self._file is not None
        if finish is not None and self._rows is not None:
            self._rows.seek(0)
            with tempfile.TemporaryFile() as whole:
                finish(self._rows, whole)
                whole.seek(0)
                while piece := whole.read(PIECE):
                    self._file.write(piece)
        self._file.close()


def stream_at(path: Path) -> StreamFile:
    """Return the stream at a path of which `is_stream` is true."""
    return StreamFile(path, lambda: open_stream(path))


def standard_output() -> StreamFile:
    """Return standard output."""
    return StreamFile(Path("-"), lambda: open_descriptor(1))
