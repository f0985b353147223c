"""Sources: the content of an upload, read piece by piece from any offset.

Each read runs in a thread. Cancelling a call does not stop the read that its thread is in. So a
source has a lock, and remembers that it was closed: a read or an `open` that comes late sees that,
and leaves no file open.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final, TypeAlias, cast

from anyio.to_thread import run_sync

from pinstripe._concurrency.tasks import finish
from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError

PIECE: Final = 256 * 1024
"""Bytes read or written at once: little memory, yet enough work for each switch to a thread."""

FileContent: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
"""What can be uploaded: the path of a file, its bytes, or a binary file object that can seek."""


def path_of(argument: str, value: Any) -> Path:
    """Return a path that the caller passed.

    Args:
        argument: The name to give in the error.
        value: Text, an enumeration of text, or an `os.PathLike`.

    Raises:
        ConfigurationError: It is not a path, or cannot be the name of a file.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigurationError(argument, f"must be a path, not {kind_of(value)}")
    try:
        name = os.fsencode(cast("str", value))
    except (TypeError, ValueError):
        name = b"\0"
    if b"\0" in name:
        raise ConfigurationError(argument, "has a character that no path can have")
    return Path(os.fsdecode(name))


class Source:
    """The content of an upload, read by one thread at a time.

    A retry sends the content again, so it is read by offset and never used up.

    Args:
        file: A path, bytes, or a binary file object, which is read from its present position. What
            can still be changed, such as a `bytearray`, is copied.

    Attributes:
        size: Bytes to send; known after `open`.
    """

    def __init__(self, file: FileContent) -> None:
        self.size = 0
        self._file = _content_of(file)
        self._lock = Lock()
        self._start = 0
        self._stream: IO[bytes] | None = None
        self._closed = False

    async def read(self, offset: int) -> bytes:
        """Return the next piece from an offset on; b"" at the end.

        Args:
            offset: Bytes from the start of what is sent.

        Raises:
            ConfigurationError: The file has become shorter since it was opened.
            OSError: The file cannot be read.
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
        """Find out how much there is to send; a path is opened, and stays open until `close`."""
        with self._lock:
            if isinstance(self._file, bytes):
                self.size = len(self._file)
            elif not self._closed:
                self._stream = stream = _stream_of(self._file)
                self._start = stream.tell()
                # Not every `seek` returns the new position.
                stream.seek(0, os.SEEK_END)
                self.size = stream.tell() - self._start

    def close(self) -> None:
        """Close the file if `open` opened it; a file object of the caller stays open."""
        with self._lock:
            self._closed = True
            if self._stream is not None and self._stream is not self._file:
                self._stream.close()

    def _read(self, offset: int, count: int) -> bytes:
        with self._lock:
            if self._closed or self._stream is None:
                return b""
            self._stream.seek(self._start + offset)
            return self._stream.read(count)


@asynccontextmanager
async def opened(file: FileContent) -> AsyncGenerator[Source, None]:
    """Open the content of an upload for the time of a block.

    Args:
        file: A path, bytes or a binary file object.

    Raises:
        ConfigurationError: It is something else, or a retry could not read it again.
        OSError: The file cannot be opened.
    """
    source = Source(file)
    try:
        await run_sync(source.open)
        yield source
    finally:
        await finish(run_sync(source.close))


def _content_of(file: Any) -> Path | bytes | IO[bytes]:
    """Return a path, bytes or a file object; anything else is refused."""
    if isinstance(file, (str, os.PathLike)):
        return path_of("file", file)
    if isinstance(file, (bytes, bytearray, memoryview)):
        try:
            return bytes(cast("bytes", file))
        except ValueError:
            raise ConfigurationError("file", "is a memoryview that was released") from None
    if not all(callable(getattr(file, name, None)) for name in ("read", "seek", "tell")):
        problem = "must be a path, bytes or a binary file object that can seek"
        raise ConfigurationError("file", f"{problem}, not {kind_of(file)}")
    if iscoroutinefunction(file.read):
        problem = "must be a plain file object, not an async one; of an UploadFile, pass its file"
        raise ConfigurationError("file", problem)
    if getattr(file, "closed", False) is True:
        raise ConfigurationError("file", "is closed")
    return cast("IO[bytes]", file)


def _stream_of(file: Path | IO[bytes]) -> IO[bytes]:
    if not isinstance(file, Path):
        _check_stream(file)
        return file
    # Opening a pipe waits for a writer, possibly without end. A folder is left to `open`, whose
    # error says what it is.
    kind = file.stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise ConfigurationError("file", "must be a regular file, neither a pipe nor a device")
    return file.open("rb")


def _check_stream(file: IO[bytes]) -> None:
    """Refuse a file object that cannot be read again from its present position, as bytes."""
    # Before Python 3.11, a SpooledTemporaryFile can seek, and does not say so.
    seekable = getattr(file, "seekable", None)
    if seekable is not None and not seekable():
        problem = "cannot seek, so a second attempt could not send it; read it into bytes"
        raise ConfigurationError("file", problem)
    readable = getattr(file, "readable", None)
    if readable is not None and not readable():
        raise ConfigurationError("file", "must be open for reading, such as open(path, 'rb')")
    # Reading nothing shows what the wrapper of a file reads.
    is_binary = isinstance(file, (io.RawIOBase, io.BufferedIOBase))
    piece: Any = b"" if is_binary else file.read(0)
    if not isinstance(piece, bytes):
        raise ConfigurationError("file", "must be open in binary mode, such as open(path, 'rb')")
