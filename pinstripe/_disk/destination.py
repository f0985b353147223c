"""Destinations: files that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO, Final

from anyio.to_thread import run_sync
from typing_extensions import Self

from pinstripe._concurrency.tasks import finish
from pinstripe._core.checks import check_flag, check_whole_number
from pinstripe._disk.outputs import is_stream, open_hidden, target_of
from pinstripe._disk.source import PIECE, path_of

_LONGEST_NAME: Final = 100
"""Characters of the name that its temporary file keeps: with all, that name could be too long."""


class Destination:
    """A file that a response is written to; use it as `async with`, and `commit` at the end.

    Until then the file grows under a temporary name in the same folder. Leaving the block removes
    it, unless it was committed. A committed file is on the disk before it gets its name, so the
    name never belongs to half a file, even after a loss of power. Only its owner may read it,
    since most downloads are private.

    Args:
        path: The name of the file. With `overwrite`, a symbolic link stays, and the file that it
            leads to is replaced.
        max_bytes: Bytes it may have.
        overwrite: Whether it may replace another file; a pipe or a device is refused.

    Attributes:
        started: Whether a transport has begun to write to it.
    """

    # Each step runs in a thread. Cancelling a call does not stop the step that its thread is in,
    # so the steps share a lock, and `_closed` makes those that come late do nothing.

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int, overwrite: bool) -> None:
        self.path = path_of("destination", path)
        self.max_bytes = check_whole_number("max_bytes", max_bytes)
        self.started = False
        self._target = self.path
        self._overwrite = check_flag("overwrite", overwrite)
        self._lock = Lock()
        self._pending = bytearray()
        self._stream: IO[bytes] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        await run_sync(self._check)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await finish(run_sync(self._close))

    async def start(self) -> None:
        """Start an empty file; the bytes of an earlier attempt are dropped.

        Raises:
            OSError: No file can be created in the folder.
        """
        self.started = True
        self._pending.clear()
        await run_sync(self._open_temporary)

    async def write(self, piece: bytes) -> None:
        """Add the next piece.

        Args:
            piece: Bytes; small ones are collected, so that not each of them needs a thread.

        Raises:
            OSError: The file cannot be written.
        """
        self._pending += piece
        if len(self._pending) >= PIECE:
            await self._flush()

    async def commit(self) -> Path:
        """Give the complete file its name, and return the path.

        Raises:
            FileExistsError: Another file has taken the name.
            OSError: The file cannot be written.
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
            raise _exists_error(self.path)
        if is_stream(self.path):
            problem = "must be a plain file, neither a pipe nor a device"
            raise OSError(errno.EINVAL, problem, str(self.path))
        self._target = target_of(self.path)

    def _open_temporary(self) -> None:
        with self._lock:
            self._remove_temporary()
            if not self._closed:
                self._stream = tempfile.NamedTemporaryFile(  # noqa: SIM115 -- closed below
                    prefix=f".{self._target.name[:_LONGEST_NAME]}.",
                    suffix=".part",
                    dir=self._target.parent,
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
                publish(Path(self._stream.name), self._target, overwrite=self._overwrite)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            self._remove_temporary()

    def _remove_temporary(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(OSError):  # a full disk, which `write` or `commit` has reported
                stream.close()
            Path(stream.name).unlink(missing_ok=True)


def publish(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Give a complete file its name; when this returns, both are on the disk.

    Args:
        temporary: The file. If it still has this name afterwards, the caller removes that name.
        path: The new name, in the same folder.
        overwrite: Whether it may replace another file.

    Raises:
        FileExistsError: Another file has taken the name.
        OSError: The file cannot be written.
    """
    # First the content, so that the name never belongs to half a file.
    with open(temporary, "rb+", opener=open_hidden) as file:
        os.fsync(file.fileno())
    # A hard link fails if the name is taken, in one step. Without hard links the name is taken by
    # an empty file, which is then replaced.
    if overwrite:
        temporary.replace(path)
    else:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise _exists_error(path) from None
        except OSError:
            path.touch(mode=0o600, exist_ok=False)
            temporary.replace(path)
    # At last the name, on systems that can write a folder to the disk. If that fails, the file is
    # still complete and has its name.
    if os.name == "posix":
        with suppress(OSError):
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file whose name never belongs to half of it; an older one is replaced.

    Args:
        path: The file, in a folder that exists.
        write: Writes the content.

    Raises:
        OSError: It cannot be written.
    """
    prefix = f".{path.name[:_LONGEST_NAME]}."
    descriptor, name = tempfile.mkstemp(prefix=prefix, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
        publish(temporary, path, overwrite=True)
    finally:
        temporary.unlink(missing_ok=True)


def _exists_error(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


async def make_folder(path: str | os.PathLike[str]) -> Path:
    """Return a folder, and create it if it does not exist.

    Args:
        path: The folder; only its owner may look into one that is created.

    Raises:
        ConfigurationError: It is not a path.
        OSError: The folder cannot be created.
    """
    folder = path_of("folder", path)
    await run_sync(lambda: folder.mkdir(mode=0o700, parents=True, exist_ok=True))
    return folder
