"""The input of a run: checked as a whole first, and then read query by query."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import click
from attrs import field, frozen

from pinstripe.cli._account import BadInput
from pinstripe.cli._quotes.faults import InputError, report
from pinstripe.cli._quotes.queries import (
    Format,
    Query,
    check_lines,
    format_by_content,
    format_by_name,
    read_queries,
)
from pinstripe.cli._quotes.rows import CSV_COLUMNS
from pinstripe.cli._words import shown

_SNIFFED = 4096


@frozen
class Checked:
    """What is known of an input that has no fault.

    Attributes:
        total: How many queries it has.
        columns: Its columns that are no parameters, in the order in which they come.
    """

    total: int
    columns: tuple[str, ...]


@frozen
class Source:
    """The queries of a file, which can be read several times.

    Attributes:
        name: The name of the file in messages.
        file: The file.
        form: Its format.
        keep: Whether columns that are no parameters are kept.
    """

    name: str
    file: BinaryIO = field(repr=False)
    form: Format
    keep: bool

    def queries(self) -> Iterator[Query]:
        """Yield every query, from the first one on; an earlier iteration must have ended."""
        self.file.seek(0)
        return read_queries(self.file, self.form, keep=self.keep)

    def check(self, output: Format) -> Checked:
        """Check every line.

        Args:
            output: The format of the rows that kept columns must fit into.

        Raises:
            BadInput: Lines are wrong: the first of them, and how many they are.
        """
        total, columns = 0, dict[str, None]()

        def faults() -> Iterator[InputError]:
            nonlocal total
            for found in check_lines(self.file, self.form, keep=self.keep):
                if isinstance(found, InputError):
                    yield found
                    continue
                total += 1
                columns.update(dict.fromkeys(found.kept))
                if output == "csv":
                    yield from _broken_cells(found)

        self.file.seek(0)
        if (problem := report(self.name, faults())) is not None:
            raise BadInput(problem)
        own = [name for name in columns if name in CSV_COLUMNS]
        if own and output == "csv":
            names = ", ".join(own)
            raise BadInput(f"{self.name}: the output has its own columns {names}: rename yours")
        return Checked(total, tuple(columns))


def _broken_cells(query: Query) -> Iterator[InputError]:
    for name, value in query.kept.items():
        if value.startswith('"') and "\n" in json.loads(value):
            problem = f"the line break in {shown(name)} fits into no row of CSV: use --format jsonl"
            yield InputError(query.line, 1, problem)
            return


@contextmanager
def open_source(path: str, form: Format | None, *, keep: bool) -> Generator[Source]:
    """Open an input for the time of a block; a pipe is copied to a temporary file.

    Args:
        path: Its path, or - for standard input.
        form: Its format; None to find out.
        keep: Whether columns that are no parameters are kept.
    """
    name = "<stdin>" if path == "-" else path
    with _seekable(path) as file:
        form = form or format_by_name(path)
        yield Source(name, file, form or format_by_content(file.read(_SNIFFED)), keep)


@contextmanager
def _seekable(path: str) -> Generator[BinaryIO]:
    with cast("BinaryIO", click.open_file(path, "rb")) as source:
        # Standard input is copied even if it can seek: its beginning may be read already.
        if path != "-" and source.seekable():
            yield source
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(source, copy)
            copy.seek(0)
            yield copy
