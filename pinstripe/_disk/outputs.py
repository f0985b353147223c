"""Where an output is written: into what its name leads to, never in its place.

- A name of something that the process has open, such as `/dev/stdout`, is that open file.
- A pipe, a device or a terminal is written to as it is.
- A symbolic link leads to a plain file, or to the place of one: the link stays.

The hidden files of a run are beside the file, in a folder where others may be able to make files.
`open_hidden` opens them, and follows no link that somebody has put in their place.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from io import FileIO
from pathlib import Path
from typing import Final

_MAX_LINKS: Final = 40
"""Links in a row that are followed; Linux follows as many."""

# Windows has neither of them, and makes links for administrators only.
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_IS_LINK: Final = (errno.ELOOP, errno.EMLINK)


def target_of(path: Path) -> Path:
    """Return the file that a symbolic link leads to, there or not; any other path as it is.

    Args:
        path: An absolute path.

    Raises:
        OSError: The links go round in a circle.
    """
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def own_descriptor(path: Path) -> int | None:
    """Return the descriptor that a path names, such as 1 for `/dev/stdout`; None for any other.

    Args:
        path: The path.
    """
    pattern = rf"/(?:dev|proc/{os.getpid()})/fd/([0-9]{{1,9}})"
    for _ in range(_MAX_LINKS):
        folder = os.path.realpath(path.parent)
        found = re.fullmatch(pattern, f"{folder}/{path.name}")
        if found is not None:
            return int(found[1])
        if not path.is_symlink():
            return None
        path = Path(folder) / path.readlink()
    return None


def is_stream(path: Path) -> bool:
    """Return whether a path leads to something that can only be written to as it is.

    Args:
        path: The path; a file that does not exist yet will be a plain one.
    """
    if own_descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_stream(path: Path) -> FileIO | None:
    """Open a stream for writing, at its end; None for a named pipe that nobody reads yet.

    Args:
        path: A path of which `is_stream` is true.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = own_descriptor(path)
    if descriptor is not None:
        return open_descriptor(descriptor)
    # Without O_NONBLOCK this would wait for a reader, and nothing could stop the wait.
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    try:
        file = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(path.stat().st_mode):
            return None
        raise
    if os.name == "posix":
        os.set_blocking(file, True)
    return FileIO(file, "wb")


def open_descriptor(descriptor: int) -> FileIO:
    """Return a file that writes where a descriptor does, and can be closed for itself.

    Args:
        descriptor: Such as 1 for standard output.

    Raises:
        OSError: It is closed.
    """
    return FileIO(os.dup(descriptor), "wb")


def open_hidden(path: str | os.PathLike[str], flags: int) -> int:
    """Open a plain file by its own name, and return its descriptor; an `opener` for `open`.

    Only its owner may read a file that is made.

    Args:
        path: The file.
        flags: Those of `os.open`.

    Raises:
        OSError: There is a link, a pipe or a device, or it cannot be opened.
    """
    try:
        file = os.open(path, flags | _NO_LINK, 0o600)
    except OSError as error:
        if error.errno in _IS_LINK:
            raise _not_plain(path) from None
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _not_plain(path)
    return file


def _not_plain(path: str | os.PathLike[str]) -> OSError:
    problem = "must be a plain file, and is a link, a pipe or a device: remove it"
    return OSError(errno.ELOOP, problem, os.fspath(path))
