"""Files of this machine: read piece by piece, and written whole or not at all.

Every step that can wait for a disk runs in a thread. A call that is cancelled does not stop the
step that its thread is in, so each file has a lock and remembers that it was given up: a step
that comes late finds that, and leaves nothing behind.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO, Any

from anyio.to_thread import run_sync
from typing_extensions import Self

from pinstripe._errors import ConfigurationError
from pinstripe._shielded import finish

PIECE = 256 * 1024
"""Bytes read or written at once: few enough for the memory, many enough for a change of thread."""

FileContent = str | os.PathLike[str] | bytes | IO[bytes]
"""What can be sent: the path of a file, its bytes, or a binary file object that can seek."""

_LONGEST_NAME = 100


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


class Destination:
    """A file that appears under its name when it is whole: a sink of an answer.

    Until then it grows under a temporary name in the same folder; leaving the `async with` block
    removes what was not committed. What is committed is on the disk before it gets its name, so
    that the name never stands for half a file, after a loss of power neither. Only its owner
    may read it, since most of what is downloaded is nobody else's business.

    Args:
        path: Where the file goes.
        max_bytes: Bytes it may have.
        overwrite: Whether it may replace another one.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int, overwrite: bool) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise ConfigurationError("destination", f"must be a path, not a {type(path).__name__}")
        if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes < 1:
            problem = f"must be a whole number of at least 1, not {max_bytes!r}"
            raise ConfigurationError("max_bytes", problem)
        self.path = Path(path)
        self.max_bytes = max_bytes
        self.started = False
        self._overwrite = overwrite
        self._lock = Lock()
        self._pending = bytearray()
        self._stream: IO[bytes] | None = None
        self._given_up = False

    async def __aenter__(self) -> Self:
        await run_sync(self._check)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await finish(run_sync(self._give_up))

    async def start(self) -> None:
        """Begin anew; what came of an earlier attempt is dropped.

        Raises:
            OSError: No file can be made in the folder.
        """
        self.started = True
        self._pending.clear()
        await run_sync(self._renew)

    async def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            OSError: It cannot be written.
        """
        self._pending += piece
        if len(self._pending) >= PIECE:
            await self._flush()

    async def commit(self) -> Path:
        """Give the file its name, and return the path.

        Raises:
            FileExistsError: Another file has taken the name.
            OSError: It cannot be written.
        """
        await self._flush()
        await run_sync(self._publish)
        return self.path

    async def _flush(self) -> None:
        data, self._pending = self._pending, bytearray()
        await run_sync(self._write, data)

    def _check(self) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(folder))
        if self.path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self.path))
        if not self._overwrite and os.path.lexists(self.path):
            raise _taken(self.path)

    def _renew(self) -> None:
        with self._lock:
            self._remove()
            if not self._given_up:
                self._stream = tempfile.NamedTemporaryFile(  # noqa: SIM115 -- closed in _remove
                    prefix=f".{self.path.name[:_LONGEST_NAME]}.",
                    suffix=".part",
                    dir=self.path.parent,
                    delete=False,
                )

    def _write(self, data: bytearray) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.write(data)

    def _publish(self) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.close()
                publish(Path(self._stream.name), self.path, overwrite=self._overwrite)

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            self._remove()

    def _remove(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(OSError):  # a full disk, which was told before
                stream.close()
            Path(stream.name).unlink(missing_ok=True)


def publish(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Give a file that is whole its name, once it is on the disk; then the name is there too.

    Args:
        temporary: The file; where it still has this name afterwards, the caller removes that.
        path: Its name, in the same folder.
        overwrite: Whether it may replace another one.

    Raises:
        FileExistsError: Another file has taken the name.
        OSError: It cannot be written.
    """
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    if not overwrite:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise _taken(path) from None
        except OSError:  # a file system without hard links: take the name, then replace it
            path.touch(mode=0o600, exist_ok=False)
            temporary.replace(path)
    else:
        temporary.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that."""
    if os.name != "posix":
        return
    with suppress(OSError):  # the file is whole and has its name: no reason to fail
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _taken(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


async def make_folder(path: str | os.PathLike[str]) -> Path:
    """Return a folder, made where it is not there.

    Args:
        path: The folder; only its owner may look into one that is made.

    Raises:
        ConfigurationError: It is no path.
        OSError: It cannot be made.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigurationError("folder", f"must be a path, not a {type(path).__name__}")
    folder = Path(path)
    await run_sync(lambda: folder.mkdir(mode=0o700, parents=True, exist_ok=True))
    return folder
