"""Files that appear only when they are whole."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO

from anyio.to_thread import run_sync
from typing_extensions import Self

from pinstripe._concurrency.tasks import finish
from pinstripe._core.checks import check_whole_number
from pinstripe._core.errors import ConfigurationError
from pinstripe._disk.source import PIECE

_LONGEST_NAME = 100


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
        self.path = Path(path)
        self.max_bytes = check_whole_number("max_bytes", max_bytes)
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
