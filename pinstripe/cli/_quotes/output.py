"""What a later run of `pinstripe quotes batch` keeps, found out from its output alone.

The output of an export appears when it is complete, and has a checkpoint beside it until then. The
rows of quotes appear in the output itself as they come, since it can also be a pipe, and since a
reader may follow a run of hours. So no second file is needed: each row has the line and the digest
of its query, and the output is the checkpoint. A later run reads it back and compares it with the
input row by row:

- `--resume` continues after the last query whose rows are certainly all there;
- `--retry-failed` first asks again for the queries that have an error. Their new rows take the
  place of the old ones in a copy, `.out.csv.part`, which then takes the name of the output. If the
  run ends early, the rest of the old rows is copied, so that no answer is lost; if it is killed,
  the output is as it was.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from attrs import evolve, frozen
from typing_extensions import Self

from pinstripe._disk.append import AppendFile, open_append
from pinstripe._disk.destination import publish
from pinstripe._disk.outputs import open_descriptor, own_descriptor, target_of
from pinstripe.cli._quotes.queries import Query
from pinstripe.cli._quotes.rows import RowError, RowFacts, Rows

_MAX_ROW = 128 * 2**20
"""Bytes; the longest answer that a client reads is shorter, even with every character escaped."""


class ResumeError(Exception):
    """An output file is not the beginning of what this run would write."""


@frozen
class Answer:
    """The rows of one query in an output.

    Attributes:
        query: The query.
        failed: Whether they report an error.
        start: The bytes before them.
        end: The bytes up to their end.
    """

    query: Query
    failed: bool
    start: int
    end: int


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


def read_answers(file: BinaryIO, rows: Rows, queries: Iterator[Query]) -> Iterator[Answer]:
    """Yield the rows of an output file, query by query.

    In a format with several rows for a query, nothing shows whether those of the last one are all
    there, unless it failed.

    Args:
        file: The output of an earlier run, at its beginning.
        rows: Its format.
        queries: All queries of the input; those that have no row yet are left in it.

    Raises:
        ResumeError: It is not the beginning of this run's output; nothing of it may be cut off.
        InputError: From `queries`.
    """
    lines = _complete_lines(file, rows)
    place = next(lines, (0, b""))[0] if rows.header else 0
    answer: Answer | None = None
    for number, (length, line) in enumerate(lines, start=2 if rows.header else 1):
        try:
            facts = rows.decode(line)
        except RowError as error:
            raise ResumeError(f"{number}: {error}") from None
        if rows.several and answer is not None and facts.line == answer.query.line:
            query = answer.query
            answer = evolve(answer, end=place + length)
        else:
            if answer is not None:
                yield answer
            query = _query_of(facts, number, queries)
            answer = Answer(query, facts.failed, place, place + length)
        if facts.digest != rows.options.digest(query):
            raise _other_input(number, f"the row is of another query than line {query.line}")
        place += length
    if answer is not None:
        yield answer


def find_kept(file: BinaryIO, rows: Rows, queries: Iterator[Query]) -> tuple[Kept, Iterator[Query]]:
    """Return what to keep of an output file, and the queries that are left to do.

    Args:
        file: The output of the run before, at its beginning.
        rows: Its format.
        queries: All queries of the input.

    Raises:
        ResumeError: It is not the beginning of this run's output; nothing of it may be cut off.
        InputError: From `queries`.
    """
    size = len(rows.header) if file.read(len(rows.header)) == rows.header else 0
    file.seek(0)
    # `now` grows with each query. `kept` is its value before the last one.
    kept = now = Kept(size)
    last: Query | None = None
    for answer in read_answers(file, rows, queries):
        kept, last = now, answer.query
        now = Kept(answer.end, now.queries + 1, now.failed + answer.failed)
    if rows.several and last is not None:
        return kept, itertools.chain([last], queries)
    return now, queries


def _complete_lines(file: BinaryIO, rows: Rows) -> Iterator[tuple[int, bytes]]:
    """Yield the length and content of each line that has its end; the first one is checked."""
    expected = rows.header or rows.start
    while line := file.readline(_MAX_ROW):
        # A run that was stopped early can have left a part of the header.
        if expected and not (line.startswith(expected) or expected.startswith(line)):
            raise ResumeError("1: not a file that this command wrote in this format")
        expected = b""
        if not line.endswith(b"\n"):
            return
        yield len(line), line[:-1]


def _query_of(facts: RowFacts, number: int, queries: Iterator[Query]) -> Query:
    """Return the next query, which must be the one of a row's line."""
    query = next(queries, None)
    if query is not None and query.line == facts.line:
        return query
    found = (
        "the input has no query left"
        if query is None
        else f"the next query is in line {query.line} of the input"
    )
    raise _other_input(number, f"the row is for line {facts.line}, but {found}")


def _other_input(number: int, problem: str) -> ResumeError:
    return ResumeError(f"{number}: {problem}: the output belongs to another input or other options")


class Replacement:
    """A copy of an output in which new rows take the place of old ones.

    Leaving the block copies the old rows that are left, and gives the copy the name of the output;
    an error while rows are written leaves the output as it was.

    Args:
        path: The output, or a link to it, which stays.

    Raises:
        OSError: It cannot be copied.
    """

    def __init__(self, path: Path) -> None:
        self._path = path = target_of(path)
        self._part = path.with_name(f".{path.name}.part")
        self._part.unlink(missing_ok=True)  # a killed run may have left one
        self._old = path.open("rb")
        self._new = open_append(self._part, 0, hidden=True)
        self._place = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._old, self._new:
                if not isinstance(error, OSError):
                    self._copy_to(os.fstat(self._old.fileno()).st_size)
            if not isinstance(error, OSError):
                shutil.copymode(self._path, self._part)
                publish(self._part, self._path, overwrite=True)
        finally:
            self._part.unlink(missing_ok=True)

    def replace(self, answer: Answer, data: bytes) -> None:
        """Write the new rows of a query, after all old ones that come before them.

        Args:
            answer: The old rows; those of a later call come after them.
            data: The new rows.

        Raises:
            OSError: They cannot be written.
        """
        self._copy_to(answer.start)
        self._new.write(data)
        self._place = answer.end

    def _copy_to(self, end: int) -> None:
        self._old.seek(self._place)
        while self._place < end and (piece := self._old.read(min(2**18, end - self._place))):
            self._new.write(piece)
            self._place += len(piece)


def open_output(path: Path | None, kept: Kept) -> AppendFile:
    """Open the output for appending to what is kept of it.

    Args:
        path: The file; None for standard output.
        kept: What stays of the file; nothing of one that is to be overwritten.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = sys.stdout.fileno() if path is None else own_descriptor(path)
    if descriptor is not None:
        # It may be a file that holds more than our rows, so it is never cut.
        return AppendFile(open_descriptor(descriptor), None)
    assert path is not None
    return open_append(path, kept.size)
