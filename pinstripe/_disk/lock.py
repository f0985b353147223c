"""The right to write a file, which one run at a time has, of this process and of all others.

The run holds a lock of the system on a hidden file beside the one that it writes. The system frees
the lock of a process that dies, once those it forked off are gone too, so that what such a run
leaves keeps nobody out.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_NO_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
"""Why there can be no lock beside a file that can perhaps be written all the same."""


class FileLock:
    """The right to write a file.

    Args:
        path: The file, in a folder that is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.lock")
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Take it, and return whether that went well: no other run has it.

        Raises:
            OSError: The folder is not there, or the like.
        """
        while self._file is None:
            try:
                file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", 0)
            except OSError as error:
                if error.errno not in _NO_PLACE:
                    raise
                return not os.path.lexists(self._path)  # one of another user is a lock too
            if not _locked(file):
                file.close()
                return False
            if self._is_named(file):
                self._file = file
            else:  # its run ended, and took the name away, before this one had the lock
                file.close()
        return True

    def release(self) -> None:
        """Let another run have it; nothing happens where it was not taken."""
        file, self._file = self._file, None
        if file is None:
            return
        if sys.platform == "win32":  # it removes no file that is open, here or in another run
            file.close()
        with suppress(OSError):  # a file that stays keeps nobody out
            self._path.unlink()
        file.close()

    def _is_named(self, file: IO[bytes]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def _locked(file: IO[bytes]) -> bool:
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks: as good as it gets there
        return True
    return True
