"""Rows as bytes, in formats that can be cut between two batches and gone on with.

JSON lines and CSV are written as they are. A Parquet file has its index at its end and cannot be
gone on with, so its rows wait as a stream of Arrow batches and become Parquet at the end.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timezone
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from pinstripe._core.errors import ConfigurationError, DecodeError
from pinstripe.export._columns import Column, Kind
from pinstripe.export._partial import Finish

Format = Literal["jsonl", "csv", "parquet"]

_BATCHES_A_GROUP = 10


class Rows(Protocol):
    """A format."""

    def header(self) -> bytes:
        """Return what stands before all rows."""
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
        """What makes the output of the header and all rows; None where they are the output."""
        ...


class JsonRows:
    """JSON lines: an object a line, decimals as text, times in UTC as ISO 8601."""

    finish = None

    def __init__(self, columns: Sequence[Column]) -> None:
        self._readers = {column.name: _plain_reader(column) for column in columns}
        self._encode = json.JSONEncoder(separators=(",", ":")).encode

    def header(self) -> bytes:
        """See `Rows.header`."""
        return b""

    def encode(self, items: Sequence[Any]) -> bytes:
        """See `Rows.encode`."""
        return "".join(f"{self._line(item)}\n" for item in items).encode()

    def _line(self, item: Any) -> str:
        return self._encode({name: read(item) for name, read in self._readers.items()})


class CsvRows:
    """CSV with a header; an empty cell stands for None, times and decimals as in JSON lines."""

    finish = None

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._readers = [_plain_reader(column) for column in columns]

    def header(self) -> bytes:
        """See `Rows.header`."""
        return _csv([self._names])

    def encode(self, items: Sequence[Any]) -> bytes:
        """See `Rows.encode`."""
        return _csv([[read(item) for read in self._readers] for item in items])


class ParquetRows:
    """Parquet: decimals as decimal128(38, 18), times as microseconds in UTC."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._arrow, self._parquet = _import("pyarrow"), _import("pyarrow.parquet")
        self._pool = self._arrow.system_memory_pool()
        self._types = {column.name: _arrow_type(self._arrow, column.kind) for column in columns}
        self._schema = self._arrow.schema(list(self._types.items()))

    def header(self) -> bytes:
        """See `Rows.header`."""
        return bytes(self._schema.serialize())

    def encode(self, items: Sequence[Any]) -> bytes:
        """See `Rows.encode`."""
        arrays = [self._array(column, items) for column in self._columns]
        batch = self._arrow.record_batch(arrays, schema=self._schema)
        return bytes(batch.serialize(memory_pool=self._pool))

    def _array(self, column: Column, items: Sequence[Any]) -> Any:
        values = [column.read(item) for item in items]
        try:
            return self._arrow.array(values, self._types[column.name], memory_pool=self._pool)
        except (self._arrow.ArrowInvalid, OverflowError):
            error = DecodeError(f"a value of the column {column.name} does not fit into it")
        error.path = column.name
        raise error

    def finish(self, part: IO[bytes], output: IO[bytes]) -> None:
        """See `Rows.finish`."""
        with self._parquet.ParquetWriter(output, self._schema) as writer:
            stream: Any = _import("pyarrow.ipc").open_stream(part, memory_pool=self._pool)
            batches: Iterator[Any] = iter(stream)
            while group := list(islice(batches, _BATCHES_A_GROUP)):
                writer.write_table(self._arrow.Table.from_batches(group, self._schema))
                self._arrow.default_memory_pool().release_unused()  # where the writer works


_ROWS: Mapping[Format, type[JsonRows | CsvRows | ParquetRows]] = {
    "jsonl": JsonRows,
    "csv": CsvRows,
    "parquet": ParquetRows,
}


def format_of(format: str | None, output: Path) -> Format:
    """Return the format that was asked for, or that the name of a file ends with.

    Args:
        format: What was asked for.
        output: The file.

    Raises:
        ConfigurationError: It is none.
    """
    found = output.suffix.removeprefix(".").lower() if format is None else format
    for name in _ROWS:
        if name == found:
            return name
    raise ConfigurationError("format", f"must be one of {', '.join(_ROWS)}, or the file's ending")


def rows_for(format: Format, columns: Sequence[Column]) -> Rows:
    """Return what writes rows in a format.

    Args:
        format: Its name.
        columns: The columns of each row.

    Raises:
        ConfigurationError: A library is missing.
    """
    return _ROWS[format](columns)


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        problem = 'parquet needs pyarrow: pip install "pinstripe[parquet]"'
        raise ConfigurationError("format", problem) from None


def _arrow_type(arrow: Any, kind: Kind) -> Any:
    plain = {"integer": "int64", "number": "double", "boolean": "bool", "date": "date32"}
    if kind == "decimal":
        return arrow.decimal128(38, 18)
    if kind == "timestamp":
        return arrow.timestamp("us", tz="UTC")
    return arrow.type_for_alias(plain.get(kind, "string"))


def _utc(value: datetime) -> str:
    return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


_PLAIN: Mapping[Kind, Callable[[Any], str]] = {
    "timestamp": _utc,
    "date": date.isoformat,
    "decimal": "{:f}".format,
}


def _plain_reader(column: Column) -> Callable[[Any], Any]:
    """Return what reads a column's values as JSON and CSV have them."""
    read, shape = column.read, _PLAIN.get(column.kind)
    if shape is None:
        return read
    return lambda item: None if (value := read(item)) is None else shape(value)


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([str(v).lower() if isinstance(v, bool) else v for v in row] for row in rows)
    return text.getvalue().encode(errors="backslashreplace")
