"""Objects encoded as rows, in formats that can be cut between two batches and resumed.

JSON lines and CSV are written as they are. A Parquet file has its index at its end, so an
unfinished one can be neither read nor continued: its rows wait as a stream of Arrow batches, and
become Parquet at the end.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timezone
from itertools import islice
from pathlib import PurePath
from typing import IO, Any, Literal, Protocol, TypeAlias

from pinstripe._core.errors import ConfigurationError
from pinstripe.export._arrow import ArrowRows, import_arrow
from pinstripe.export._columns import Column, Kind
from pinstripe.export._partial import Finish

Format: TypeAlias = Literal["jsonl", "csv", "parquet"]

# Arrow batches in a row group of Parquet: 10,000 objects. Readers work group by group, and a group
# is in memory while it is written.
_BATCHES_A_GROUP = 10

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class RowEncoder(Protocol):
    """Makes the rows of a file in one format."""

    def header(self) -> bytes:
        """Return what comes before all rows."""
        ...

    def encode(self, items: Sequence[Any]) -> bytes:
        """Return the rows of some objects.

        Args:
            items: The objects.

        Raises:
            DecodeError: A value does not fit into its column.
        """
        ...

    @property
    def finish(self) -> Finish | None:
        """Makes the output from the header and all rows; None if they are the output."""
        ...


class JsonEncoder:
    """JSON lines: an object a line, decimals as text, times in UTC as ISO 8601."""

    finish = None

    def __init__(self, columns: Sequence[Column]) -> None:
        self._readers = {column.name: _text_reader(column) for column in columns}
        self._encode = json.JSONEncoder(separators=(",", ":")).encode

    def header(self) -> bytes:
        """See `RowEncoder.header`."""
        return b""

    def encode(self, items: Sequence[Any]) -> bytes:
        """See `RowEncoder.encode`."""
        rows = ({name: read(item) for name, read in self._readers.items()} for item in items)
        return "".join(f"{self._encode(row)}\n" for row in rows).encode()


class CsvEncoder:
    """CSV with a header; an empty cell is None, times and decimals as in JSON lines."""

    finish = None

    def __init__(self, columns: Sequence[Column], *, escape_formulas: bool = False) -> None:
        self._names = [column.name for column in columns]
        self._readers = [
            _guarded(column.read)
            if escape_formulas and column.kind == "text"
            else _text_reader(column)
            for column in columns
        ]

    def header(self) -> bytes:
        """See `RowEncoder.header`."""
        return csv_lines([self._names])

    def encode(self, items: Sequence[Any]) -> bytes:
        """See `RowEncoder.encode`."""
        return csv_lines([read(item) for read in self._readers] for item in items)


class ParquetEncoder:
    """Parquet: decimals as decimal128(38, 18), times as microseconds in UTC."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._rows = ArrowRows(columns, "format")
        self._arrow = import_arrow("pyarrow", "format")
        self._parquet = import_arrow("pyarrow.parquet", "format")

    def header(self) -> bytes:
        """See `RowEncoder.header`."""
        return bytes(self._rows.schema.serialize())

    def encode(self, items: Sequence[Any]) -> bytes:
        """See `RowEncoder.encode`."""
        return bytes(self._rows.batch(items).serialize(memory_pool=self._rows.pool))

    def finish(self, part: IO[bytes], output: IO[bytes]) -> None:
        """See `RowEncoder.finish`."""
        schema = self._rows.schema
        with self._parquet.ParquetWriter(output, schema) as writer:
            stream: Any = self._arrow.ipc.open_stream(part, memory_pool=self._rows.pool)
            batches: Iterator[Any] = iter(stream)
            while group := list(islice(batches, _BATCHES_A_GROUP)):
                writer.write_table(self._arrow.Table.from_batches(group, schema))
                # The writer takes its memory from the default pool, which keeps what it frees.
                self._arrow.default_memory_pool().release_unused()


_ENCODERS: Mapping[Format, type[JsonEncoder | CsvEncoder | ParquetEncoder]] = {
    "jsonl": JsonEncoder,
    "csv": CsvEncoder,
    "parquet": ParquetEncoder,
}


def format_of(format: str | None, output: PurePath) -> Format:
    """Return the format that the caller gave, or that the name of the file ends with.

    Args:
        format: The one that the caller gave.
        output: The file.

    Raises:
        ConfigurationError: It is unknown.
    """
    found = output.suffix.removeprefix(".").lower() if format is None else format
    for name in _ENCODERS:
        if name == found:
            return name
    known = ", ".join(_ENCODERS)
    raise ConfigurationError("format", f"must be one of {known}, or the ending of the file's name")


def encoder_for(
    format: Format, columns: Sequence[Column], *, escape_formulas: bool = False
) -> RowEncoder:
    """Return the encoder of a format.

    Args:
        format: Its name.
        columns: The columns of each row.
        escape_formulas: Whether texts that a spreadsheet would run are guarded.

    Raises:
        ConfigurationError: A library is missing, or only CSV can be guarded.
    """
    if not escape_formulas:
        return _ENCODERS[format](columns)
    if format != "csv":
        problem = f"is for csv alone: a spreadsheet runs no text of {format}"
        raise ConfigurationError("escape_formulas", problem)
    return CsvEncoder(columns, escape_formulas=True)


def guard_formula(text: str) -> str:
    """Return a text with an apostrophe in front if a spreadsheet would run it.

    https://owasp.org/www-community/attacks/CSV_Injection

    Args:
        text: A cell of text; numbers need no guard.
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _guarded(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda item: None if (value := read(item)) is None else guard_formula(value)


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as lines of CSV.

    Args:
        rows: The cells of each row; None is an empty cell, and booleans are in lower case.
    """
    # Before Python 3.13 a carriage return is quoted only if it ends the lines. So they end with
    # one here, which is then left out.
    text = _LineFeeds()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([str(v).lower() if isinstance(v, bool) else v for v in row] for row in rows)
    # A lone surrogate, which JSON can hold and UTF-8 cannot, becomes its escape sequence.
    return text.getvalue().encode(errors="backslashreplace")


class _LineFeeds(io.StringIO):
    """Takes whole lines that end with both characters, and keeps the line feed."""

    def write(self, line: str, /) -> int:
        return super().write(f"{line[:-2]}\n")


def iso_in_utc(value: datetime) -> str:
    """Return a time as text, such as 2026-01-31T08:00:00Z.

    Args:
        value: A time with its zone.
    """
    return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


_AS_TEXT: Mapping[Kind, Callable[[Any], str]] = {
    "timestamp": iso_in_utc,
    "date": date.isoformat,
    "decimal": "{:f}".format,
}


def _text_reader(column: Column) -> Callable[[Any], Any]:
    """Return a function that reads a column's values as JSON and CSV have them."""
    read, as_text = column.read, _AS_TEXT.get(column.kind)
    if as_text is None:
        return read
    return lambda item: None if (value := read(item)) is None else as_text(value)
