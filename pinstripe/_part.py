"""A file that grows over several runs, and is complete up to a mark whatever ends a run.

Rows go into a hidden file beside the output. After each batch a second file, replaced as a whole,
says how long the first one is and which object it reaches to. What was written after the mark is
cut off by the next run. Only their owner may read the two files.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from attrs import asdict, frozen

from pinstripe._errors import ConfigurationError


@frozen
class Mark:
    """How far an export has come.

    Attributes:
        source: A digest of what is exported, and how.
        size: The bytes of the part that are complete.
        items: How many objects are in them.
        last: The id of the last one.
        newest: The second in which the first one was created; None where objects have none.
    """

    source: str
    size: int = 0
    items: int = 0
    last: str | None = None
    newest: int | None = None


class Part:
    """The unfinished output of an export.

    Args:
        output: Where the whole goes.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f".{output.name}.part")
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
            whole = self.path.stat().st_size >= mark.size
        except (ValueError, TypeError, FileNotFoundError):
            whole, mark = False, Mark(source)
        if not whole:
            problem = "the unfinished export is damaged; overwrite it"
            raise ConfigurationError("resume", problem)
        if mark.source != source:
            problem = "the unfinished export is of another list, filter, format or set of columns"
            raise ConfigurationError("resume", problem)
        return mark

    def open(self, size: int) -> None:
        """Open the part, cut to the bytes that stay.

        Args:
            size: How many.

        Raises:
            OSError: It cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.open(self.path, flags, 0o600)
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

    def remove(self) -> None:
        """Remove what is left of both files."""
        for path in (self._mark_path, self.path):
            with suppress(FileNotFoundError):
                path.unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
