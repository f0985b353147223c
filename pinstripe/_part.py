"""A file that grows over several runs, and is complete up to a mark whatever ends a run.

Rows go into a hidden file beside the output. After each batch a second file, replaced as a whole,
says how long the first one is and which object it reaches to. What was written after the mark is
cut off by the next run. Only their owner may read the two files, and what is made of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from attrs import asdict, frozen

from pinstripe._disk import publish
from pinstripe._errors import ConfigurationError

Finish = Callable[[IO[bytes], IO[bytes]], None]
"""Reads a part, and writes the output that it becomes."""


@frozen
class Mark:
    """How far an export has come.

    Attributes:
        source: A digest of what is exported, and how.
        size: The bytes of the part that are complete.
        items: How many objects are in them.
        last: The id of the last one.
        newest: The second in which the first one was created; None where objects have none.
        overwrite: Whether the output may replace another file.
    """

    source: str
    size: int = 0
    items: int = 0
    last: str | None = None
    newest: int | None = None
    overwrite: bool = False


class Part:
    """The unfinished output of an export.

    Args:
        output: Where the whole goes.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self._path = output.with_name(f".{output.name}.part")
        self._whole = output.with_name(f".{output.name}.whole")
        self._mark_path = output.with_name(f".{output.name}.mark")
        self._file = -1

    @property
    def is_there(self) -> bool:
        """Whether an earlier run left one."""
        return self._mark_path.exists()

    def read_mark(self, source: str) -> Mark:
        """Return how far an earlier run came.

        Args:
            source: The digest that it must have.

        Raises:
            ConfigurationError: It exported something else, or its files are damaged.
            OSError: They cannot be read.
        """
        try:
            mark = Mark(**json.loads(self._mark_path.read_bytes()))
            whole = self._path.stat().st_size >= mark.size
        except (ValueError, TypeError, FileNotFoundError):
            whole, mark = False, Mark(source)
        if not whole:
            raise _unfit("is damaged")
        if mark.source != source:
            raise _unfit("is of another list, filter, format or set of columns")
        return mark

    def open(self, size: int) -> None:
        """Open the part, cut to the bytes that stay.

        Args:
            size: How many.

        Raises:
            OSError: It cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._path, flags, 0o600)
        os.ftruncate(self._file, size)

    def write(self, data: bytes, mark: Mark) -> None:
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
        fresh = self._mark_path.with_name(self._mark_path.name + ".new")
        with open(fresh, "w", encoding="utf-8", opener=_private) as file:
            json.dump(asdict(mark), file)
        fresh.replace(self._mark_path)

    def close(self) -> None:
        """Close the part; it stays for another run."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def publish(self, finish: Finish | None, *, overwrite: bool) -> None:
        """Make the output of the part, which is closed, and remove that.

        Args:
            finish: What makes it; None where the part is the output as it stands.
            overwrite: Whether it may replace another file.

        Raises:
            FileExistsError: Another file has taken the name of the output.
            OSError: It cannot be written; the part stays for another run.
        """
        try:
            whole = self._path if finish is None else self._finished(finish)
            publish(whole, self._output, overwrite=overwrite)
        finally:
            _remove(self._whole)
        self.remove()

    def _finished(self, finish: Finish) -> Path:
        _remove(self._whole)  # a killed run may have left one
        with self._path.open("rb") as part, open(self._whole, "xb", opener=_private) as whole:
            finish(part, whole)
        return self._whole

    def remove(self) -> None:
        """Remove what is left of both files."""
        _remove(self._mark_path)
        _remove(self._path)


def _unfit(fault: str) -> ConfigurationError:
    problem = f"the unfinished export {fault}: give another name, or overwrite without resume"
    return ConfigurationError("resume", problem)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
