"""Files of this machine: read piece by piece, and written whole or not at all.

Every step that can wait for a disk runs in a thread. A call that is cancelled does not stop the
step that its thread is in, so each file has a lock and remembers that it was given up: a step
that comes late finds that, and leaves nothing behind.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Lock
from typing import IO, Any

from anyio.to_thread import run_sync

from pinstripe._concurrency.tasks import finish
from pinstripe._core.errors import ConfigurationError

PIECE = 256 * 1024
"""Bytes read or written at once: few enough for the memory, many enough for a change of thread."""

FileContent = str | os.PathLike[str] | bytes | IO[bytes]
"""What can be sent: the path of a file, its bytes, or a binary file object that can seek."""


class Source:
    """What is sent, read from any place in it, by one thread at a time.

    Args:
        file: A path, bytes, or a binary file object, which is read from where it stands.

    Attributes:
        size: Bytes to send.
    """

    def __init__(self, file: FileContent) -> None:
        _check_kind(file)
        self.size = 0
        self._file = file
        self._lock = Lock()
        self._start = 0
        self._stream: IO[bytes] | None = None
        self._given_up = False

    async def read(self, offset: int) -> bytes:
        """Return the next piece from an offset on; b"" at the end.

        Raises:
            ConfigurationError: There is less than there was when it was opened.
            OSError: It cannot be read.
        """
        count = min(PIECE, self.size - offset)
        if count <= 0:
            return b""
        if isinstance(self._file, bytes):
            return self._file[offset : offset + count]
        piece: Any = await run_sync(self._read, offset, count)
        if not isinstance(piece, bytes) or not piece:
            raise ConfigurationError("file", "became shorter, or no longer gives bytes")
        return piece

    def open(self) -> None:
        """Find out how much there is to send; a path is opened and stays so until `close`."""
        with self._lock:
            if isinstance(self._file, bytes):
                self.size = len(self._file)
            elif not self._given_up:
                self._stream = stream = _stream_of(self._file)
                self._start = stream.tell()
                self.size = stream.seek(0, os.SEEK_END) - self._start

    def close(self) -> None:
        """Close what was opened here."""
        with self._lock:
            self._given_up = True
            if self._stream is not None and self._stream is not self._file:
                self._stream.close()

    def _read(self, offset: int, count: int) -> bytes:
        with self._lock:
            if self._given_up or self._stream is None:
                return b""
            self._stream.seek(self._start + offset)
            return self._stream.read(count)


@asynccontextmanager
async def opened(file: FileContent) -> AsyncGenerator[Source, None]:
    """Open what is to be sent, and close it at the end where it was not open before.

    Args:
        file: A path, bytes or a binary file object.

    Raises:
        ConfigurationError: It is something else, or could not be read again for another attempt.
        OSError: It cannot be opened.
    """
    source = Source(file)
    try:
        await run_sync(source.open)
        yield source
    finally:
        await finish(run_sync(source.close))


def _check_kind(file: Any) -> None:
    if isinstance(file, (str, bytes, os.PathLike)):
        return
    if isinstance(file, io.TextIOBase):
        raise ConfigurationError("file", "must be open in binary mode, such as open(path, 'rb')")
    if not all(hasattr(file, name) for name in ("read", "seek", "tell", "seekable")):
        kinds = "must be a path, bytes or a binary file object"
        raise ConfigurationError("file", f"{kinds}, not a {type(file).__name__}")
    if getattr(file, "closed", False):
        raise ConfigurationError("file", "is closed")


def _stream_of(file: str | os.PathLike[str] | IO[bytes]) -> IO[bytes]:
    if not isinstance(file, (str, os.PathLike)):
        if not file.seekable():
            problem = "cannot seek, so a second attempt could not send it; read it into bytes"
            raise ConfigurationError("file", problem)
        return file
    kind = Path(file).stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # opening a pipe could wait for ever
        raise ConfigurationError("file", "must be a regular file, neither a pipe nor a device")
    return Path(file).open("rb")
