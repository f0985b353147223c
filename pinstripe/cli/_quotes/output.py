"""The output: complete rows only, and where a resumed run goes on.

Rows go to the system query by query, each query's in one write without a buffer in between, so
that whatever ends the process leaves whole rows. Where a write itself is cut off (a full disk, a
crash of the machine), the torn rest is taken back at once or, at the latest, by `--resume`.
"""

from __future__ import annotations

import itertools
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO, RawIOBase
from pathlib import Path
from typing import BinaryIO

from attrs import evolve, frozen

from pinstripe.cli._quotes.queries import Query
from pinstripe.cli._quotes.rows import RowError, Rows

_MAX_ROW = 128 * 2**20
"""Bytes; the longest answer that a client reads, every character of it escaped, is shorter."""


class ResumeError(Exception):
    """An output file is not the start of what this run would write."""


class OutputError(Exception):
    """Rows cannot be written; what was written before them is whole."""


@frozen
class Kept:
    """What a resumed run keeps of its output file.

    Attributes:
        size: The bytes that stay; what follows them is done again.
        queries: How many queries these bytes answer.
        failed: How many of them with an error.
    """

    size: int = 0
    queries: int = 0
    failed: int = 0


def find_kept(file: BinaryIO, rows: Rows, queries: Iterator[Query]) -> tuple[Kept, Iterator[Query]]:
    """Return what to keep of an output file, and the queries that are left to do.

    A last line without its end is not kept, nor, in a format where a query has several rows, the
    rows of the last query: whether they are all there cannot be seen.

    Args:
        file: The output of the run before, at its start.
        rows: Its format.
        queries: All queries of the input.

    Raises:
        ResumeError: It is not the start of this run's output; nothing of it may be cut off.
        InputError: From `queries`.
    """
    lines = _complete_lines(file, rows)
    size = next(lines, (0, b""))[0] if rows.header else 0
    kept = now = Kept(size)
    last: Query | None = None
    for number, (length, line) in enumerate(lines, start=2 if rows.header else 1):
        try:
            facts = rows.decode(line)
        except RowError as error:
            raise ResumeError(f"{number}: {error}") from None
        if not (rows.several and last is not None and facts.line == last.line):
            kept, last = now, _expect(facts.line, number, queries)
            now = evolve(now, queries=now.queries + 1, failed=now.failed + facts.failed)
        now = evolve(now, size=now.size + length)
    if rows.several and last is not None:
        return kept, itertools.chain([last], queries)
    return now, queries


def _complete_lines(file: BinaryIO, rows: Rows) -> Iterator[tuple[int, bytes]]:
    """Yield the length and content of each line that has its end, the first one checked."""
    expected = rows.header or rows.start
    while line := file.readline(_MAX_ROW):
        if expected and not (line.startswith(expected) or expected.startswith(line)):
            raise ResumeError("1: not a file that this command wrote in this format")
        expected = b""
        if not line.endswith(b"\n"):
            return
        yield len(line), line[:-1]


def _expect(line: int, number: int, queries: Iterator[Query]) -> Query:
    query = next(queries, None)
    if query is None or query.line != line:
        place = "the input ends" if query is None else f"line {query.line} of the input"
        raise ResumeError(f"{number}: the row is for line {line}, where {place} was to come")
    return query


class Output:
    """Where rows go.

    Args:
        file: An unbuffered file, at the place of the next row.
        size: Where that is; None in a file that is not ours to cut.
    """

    def __init__(self, file: RawIOBase, size: int | None = None) -> None:
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        self._file, self._size = file, size if regular else None
        self.may_wait = not regular
        """Whether a write takes as long as a reader on the other side likes."""

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Write all of `data`, or, in a file that can be cut, none of it.

        Args:
            data: Whole rows.

        Raises:
            BrokenPipeError: Nobody reads any more.
            OutputError: It cannot be written.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except BrokenPipeError:
            raise
        except OSError as error:
            self._take_back()
            raise OutputError(error.strerror) from None
        if self._size is not None:
            self._size += len(data)

    def _take_back(self) -> None:
        if self._size is not None:
            with suppress(OSError):
                self._file.truncate(self._size)
                self._file.seek(self._size)


def open_output(path: Path | None, kept: Kept) -> Output:
    """Open the output behind what is kept of it.

    Args:
        path: The file; None for standard output.
        kept: What stays of the file; nothing of one that is to be overwritten.

    Raises:
        OSError: It cannot be opened.
    """
    file = _open_raw(path, kept)
    return Output(file, None if path is None else kept.size)


def _open_raw(path: Path | None, kept: Kept) -> FileIO:
    if path is None:
        return FileIO(sys.stdout.fileno(), "wb", closefd=False)
    if not kept.size:
        return FileIO(path, "wb")
    file = FileIO(path, "r+b")
    file.truncate(kept.size)
    file.seek(kept.size)
    return file
