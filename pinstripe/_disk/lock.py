"""A lock that lets one run at a time write a file, over all processes of this machine.

The run holds a lock of the operating system on a hidden file beside the one that it writes. If the
process dies, the system frees the lock, once the processes that it forked are gone too. So a run
that was killed keeps nobody out.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from pinstripe._disk.outputs import open_hidden

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_LOCK_FILE_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
"""Errors after which there is no lock file, while the output itself can perhaps be written."""


class FileLock:
    """The right to write a file.

    Args:
        path: The file, in a folder that exists.
    """

    # `release` removes the lock file, so that none is left behind. Another run may have opened the
    # file just before that, and then locks a file that has no name any more, while a third run
    # makes a new one and locks that. So a lock counts only if the locked file still has the name;
    # otherwise `acquire` tries again.

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.lock")
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Acquire the lock if no other run has it, and return whether it was acquired.

        Raises:
            OSError: The folder does not exist or cannot be used, or something that is no plain
                file has the name of the lock file.
        """
        while self._file is None:
            try:
                file = os.fdopen(open_hidden(self._path, os.O_RDWR | os.O_CREAT), "r+b", 0)
            except OSError as error:
                if error.errno not in _LOCK_FILE_REFUSED:
                    raise
                # A lock file that another user made is a lock too. If there is none, no run can
                # have a lock here, and this one writes without.
                return not os.path.lexists(self._path)
            if not _locked(file):
                file.close()
                return False
            if self._is_named(file):
                self._file = file
            else:
                file.close()
        return True

    def release(self) -> None:
        """Release the lock; nothing happens if it was not acquired."""
        file, self._file = self._file, None
        if file is None:
            return
        if sys.platform == "win32":  # it removes no file that is open, here or in another run
            file.close()
        with suppress(OSError):  # a lock file that stays keeps nobody out
            self._path.unlink()
        file.close()

    def _is_named(self, file: IO[bytes]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.lstat())
        except FileNotFoundError:
            return False


def _locked(file: IO[bytes]) -> bool:
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        # A file system without locks: the run is better off without one than refused.
        return True
    return True
