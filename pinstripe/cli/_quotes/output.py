"""What a resumed run of `pinstripe quotes` keeps, found out from its output alone.

The output of an export appears when it is complete, and has a checkpoint beside it until then. The
rows of quotes appear in the output itself as they come, since it can also be a pipe, and since a
reader may follow a run of hours. So no second file is needed: each row names the line of its query,
and the output is the checkpoint. A resumed run reads it back, compares it with the input row by
row, and continues after the last query whose rows are certainly all there.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from attrs import evolve, frozen

from pinstripe._disk.append import AppendFile, open_append
from pinstripe.cli._quotes.queries import Query
from pinstripe.cli._quotes.rows import RowError, Rows

_MAX_ROW = 128 * 2**20
"""Bytes; the longest answer that a client reads is shorter, even with every character escaped."""


class ResumeError(Exception):
    """An output file is not the beginning of what this run would write."""


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

    Args:
        file: The output of the run before, at its beginning.
        rows: Its format.
        queries: All queries of the input.

    Raises:
        ResumeError: It is not the beginning of this run's output; nothing of it may be cut off.
        InputError: From `queries`.
    """
    lines = _complete_lines(file, rows)
    size = next(lines, (0, b""))[0] if rows.header else 0
    # `now` grows with each row. `kept` is its value before the first row of the last query: in
    # a format with several rows for a query, nothing shows whether those of the last one are all
    # there, so that query is done again.
    kept = now = Kept(size)
    last: Query | None = None
    for number, (length, line) in enumerate(lines, start=2 if rows.header else 1):
        try:
            facts = rows.decode(line)
        except RowError as error:
            raise ResumeError(f"{number}: {error}") from None
        if not (rows.several and last is not None and facts.line == last.line):
            kept, last = now, _query_of(facts.line, number, queries)
            now = evolve(now, queries=now.queries + 1, failed=now.failed + facts.failed)
        now = evolve(now, size=now.size + length)
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


def _query_of(line: int, number: int, queries: Iterator[Query]) -> Query:
    """Return the next query, which must be the one of a row's line."""
    query = next(queries, None)
    if query is not None and query.line == line:
        return query
    found = (
        "the input has no query left"
        if query is None
        else f"the next query is in line {query.line} of the input"
    )
    problem = f"the row is for line {line}, but {found}: the output belongs to another input"
    raise ResumeError(f"{number}: {problem}")


def open_output(path: Path | None, kept: Kept) -> AppendFile:
    """Open the output for appending to what is kept of it.

    Args:
        path: The file; None for standard output.
        kept: What stays of the file; nothing of one that is to be overwritten.

    Raises:
        OSError: It cannot be opened.
    """
    if path is None:
        # It may be a file that holds more than our rows, so it is never cut.
        return AppendFile(FileIO(sys.stdout.fileno(), "wb", closefd=False), None)
    return open_append(path, kept.size)
