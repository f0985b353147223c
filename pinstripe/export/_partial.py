"""A file that grows over several runs, and is complete up to a mark whatever ends a run.

Rows go into a hidden file beside the output. After each batch a second file, replaced as a whole,
says how long the first one is and which object it reaches to. What was written after the mark is
cut off by the next run. Before the output gets its name, the mark also says what file that will
be: a run after one that was killed then knows its own output from somebody else's. Only their
owner may read the two files, and what is made of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from attrs import asdict, evolve, frozen

from pinstripe._core.errors import ConfigurationError
from pinstripe._disk.destination import publish
from pinstripe._disk.lock import FileLock

Finish = Callable[[IO[bytes], IO[bytes]], None]
"""Reads a part, and writes the output that it becomes."""


@frozen
class Checkpoint:
    """How far an export has come.

    Attributes:
        source: A digest of what is exported, and how.
        size: The bytes of the part that are complete.
        items: How many objects are in them.
        last: The id of the last one.
        newest: The second in which the first one was created; None where objects have none.
        overwrite: Whether the output may replace another file.
        whole: What tells the file that is to be the output from any other; None before.
    """

    source: str
    size: int = 0
    items: int = 0
    last: str | None = None
    newest: int | None = None
    overwrite: bool = False
    output_identity: str | None = None


class PartialFile:
    """The unfinished output of an export, which one run at a time may write.

    Args:
        output: Where the whole goes.

    Attributes:
        output: The same.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self._claim = FileLock(output)
        self._empty = False
        self._path = output.with_name(f".{output.name}.part")
        self._whole = output.with_name(f".{output.name}.whole")
        self._mark_path = output.with_name(f".{output.name}.mark")
        self._fresh_mark = output.with_name(f".{output.name}.mark.new")
        self._file = -1

    @property
    def is_there(self) -> bool:
        """Whether an earlier run left one."""
        return self._mark_path.exists()

    def claim(self) -> None:
        """Keep other runs away until `release`; what they left may be looked at from then on.

        Raises:
            ConfigurationError: Another run is writing it.
            OSError: No file can be made beside the output.
        """
        if not self._claim.acquire():
            raise ConfigurationError("output", "is being written by another export")

    def release(self) -> None:
        """End the run; the part stays for another one, but not without any object in it."""
        try:
            self._close()
            if self._empty:
                self._remove()
        finally:
            self._claim.release()

    def read_mark(self, source: str) -> Checkpoint:
        """Return how far an earlier run came; it has a `whole` where that is the output already.

        Args:
            source: The digest that it must have.

        Raises:
            ConfigurationError: It exported something else, or its files are damaged.
            OSError: They cannot be read.
        """
        try:
            mark = Checkpoint(**json.loads(self._mark_path.read_bytes()))
        except (ValueError, TypeError):
            raise _unfit("is damaged") from None
        if mark.source != source:
            raise _unfit("is of another list, filter, format or set of columns")
        if mark.output_identity is not None and mark.output_identity == _identity(self.output):
            return mark
        part = _stat(self._path)
        if mark.output_identity is not None and (part is None or part.st_nlink > 1):
            return Checkpoint(
                source
            )  # the output was there, and somebody changed it or took it away
        if part is None or part.st_size < mark.size:
            raise _unfit("is damaged")
        return evolve(mark, output_identity=None)

    def open(self, mark: Checkpoint) -> None:
        """Open the part, cut to the bytes that stay.

        Args:
            mark: How far they reach; where that is nowhere, what is there is done away with.

        Raises:
            OSError: It cannot be opened.
        """
        self._empty = not mark.items
        if not mark.size:
            self._remove()
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._path, flags, 0o600)
        os.ftruncate(self._file, mark.size)

    def write(self, data: bytes, mark: Checkpoint) -> None:
        """Write rows, and then how far that is.

        Args:
            data: The rows.
            mark: Where they reach to.

        Raises:
            OSError: They cannot be written; the next run cuts off what was.
        """
        os.lseek(self._file, mark.size - len(data), os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)
        self._write_mark(mark)
        self._empty = self._empty and not mark.items

    def _write_mark(self, mark: Checkpoint) -> None:
        with open(self._fresh_mark, "w", encoding="utf-8", opener=_private) as file:
            json.dump(asdict(mark), file)
        self._fresh_mark.replace(self._mark_path)

    def publish(self, finish: Finish | None, mark: Checkpoint) -> None:
        """Make the output of the part, unless an earlier run did, and remove that.

        Args:
            finish: What makes it; None where the part is the output as it stands.
            mark: How far the part reaches, and whether its output may replace another file.

        Raises:
            FileExistsError: Another file has taken the name of the output.
            OSError: It cannot be written; the part stays for another run.
        """
        self._close()
        try:
            if mark.output_identity is None:
                whole = self._path if finish is None else self._finished(finish)
                self._write_mark(evolve(mark, output_identity=_identity(whole)))
                publish(whole, self.output, overwrite=mark.overwrite)
        finally:
            _remove(self._whole)
        _remove(self._path)
        _remove(self._mark_path)  # last: until then it says whose the output is

    def _finished(self, finish: Finish) -> Path:
        _remove(self._whole)  # a killed run may have left one
        with self._path.open("rb") as part, open(self._whole, "xb", opener=_private) as whole:
            finish(part, whole)
        return self._whole

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _remove(self) -> None:
        for path in (self._mark_path, self._fresh_mark, self._path, self._whole):
            _remove(path)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _identity(path: Path) -> str | None:
    """Return what a file keeps when it gets another name, and no other file has."""
    found = _stat(path)
    return None if found is None else f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _unfit(fault: str) -> ConfigurationError:
    problem = f"the unfinished export {fault}: give another name, or overwrite without resume"
    return ConfigurationError("resume", problem)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
