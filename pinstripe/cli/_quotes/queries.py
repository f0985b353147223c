"""Quote queries read from CSV or JSON lines, one query a line, each with its place in the file.

    CSV          source_amount,source_currency,destination_networks
                 100.00,usd,base solana
    JSON lines   {"source_amount": 100.00, "destination_networks": ["base", "solana"]}

A file is read line by line and never kept, so its length does not matter. Every fault is an
`InputError` with line and column, both counted from 1, columns in characters. CSV is split here
and not by the standard library's `csv`, which cannot say in which column of a line a cell begins.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from json.decoder import JSONDecoder
from pathlib import PurePath
from typing import Any, BinaryIO, Literal, TypeAlias, cast

from attrs import field, frozen

from pinstripe._core.errors import ConfigurationError
from pinstripe.crypto import QuotesQuery, check_query

Format: TypeAlias = Literal["csv", "jsonl"]

LISTS = ("destination_currencies", "destination_networks")
COLUMNS = ("source_amount", "source_currency", "destination_amount", *LISTS)
"""The parameters of the quotes endpoint."""

MAX_LINE = 64 * 1024
"""Bytes; no query is nearly as long, so a file with a longer line is of another kind."""

_MAX_EXPONENT = 1000
"""Of a decimal number; written out, one with a large exponent could fill the memory."""

_BY_SUFFIX: Mapping[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
# Control characters except the tab, which can be around cells.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# A quoted or a plain cell, and the comma or the end of the line after it.
_CELL = re.compile(r'[ \t]*"((?:[^"]|"")*)"[ \t]*(,|\Z)|([^",]*)(,|\Z)')
_SPACE = re.compile(r"[ \t]*")


class InputError(Exception):
    """A line of the input is not a query; nothing has been sent.

    Args:
        line: The number of the line.
        column: The number of the character in it at which the fault is.
        problem: What is wrong.
    """

    def __init__(self, line: int, column: int, problem: str) -> None:
        super().__init__(f"{line}:{column}: {problem}")
        self.line, self.column, self.problem = line, column, problem


@frozen
class Query:
    """One query.

    Attributes:
        line: Its line in the input.
        params: Its parameters.
    """

    line: int
    params: QuotesQuery


@frozen
class _Value:
    """One value as it is written, and the column at which it starts."""

    column: int
    value: Any = field(repr=False)


def format_by_name(name: str) -> Format | None:
    """Return the format that the ending of a file's name means, or None.

    Args:
        name: The name or path of the file.
    """
    return _BY_SUFFIX.get(PurePath(name).suffix.lower())


def format_by_content(start: bytes) -> Format:
    """Return the format that the first bytes of a file belong to.

    Args:
        start: Some bytes from the start of the file.
    """
    content = start.removeprefix(codecs.BOM_UTF8).lstrip()
    return "jsonl" if content[:1] in (b"{", b"[") else "csv"


def read_queries(file: BinaryIO, form: Format) -> Iterator[Query]:
    """Yield every query of a file, after checking it in full.

    Args:
        file: The file, at its beginning.
        form: Its format.

    Raises:
        InputError: A line is not a query, or there is none.
    """
    read, found = _read_csv if form == "csv" else _read_jsonl, False
    for query in read(_lines(file)):
        found = True
        yield query
    if not found:
        raise InputError(1, 1, "there is no query in the file")


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield every line that is not blank, without its end."""
    number = 0
    while raw := file.readline(MAX_LINE + 1):
        number += 1
        if len(raw) > MAX_LINE:
            raise InputError(number, 1, f"the line is longer than {MAX_LINE} bytes")
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            column = len(raw[: error.start].decode()) + 1
            problem = f"not UTF-8: byte 0x{raw[error.start]:02x}"
            raise InputError(number, column, problem) from None
        if found := _CONTROL.search(text):
            problem = f"control character U+{ord(found[0]):04X}"
            raise InputError(number, found.start() + 1, problem)
        if text.strip():
            yield number, text


def _read_csv(lines: Iterator[tuple[int, str]]) -> Iterator[Query]:
    header: list[str] = []
    for line, text in lines:
        cells = list(_cells(line, text))
        if not header:
            for cell in cells:
                _check_name(line, cell, header)
                header.append(cell.value)
            continue
        if len(cells) != len(header):
            column = cells[len(header)].column if len(cells) > len(header) else len(text) + 1
            problem = f"the header has {len(header)} cells, this line {len(cells)}"
            raise InputError(line, column, problem)
        yield _query(line, {n: c for n, c in zip(header, cells, strict=True) if c.value})


def _cells(line: int, text: str) -> Iterator[_Value]:
    """Yield the cells of a line of CSV; a quoted cell ends in its line."""
    at, end = 0, ","
    while end:
        if (found := _CELL.match(text, at)) is None:
            problem = "a quote that is not closed in its line, or out of place"
            raise InputError(line, at + 1, problem)
        quoted, quoted_end, plain, plain_end = found.groups()
        value = plain if quoted is None else quoted.replace('""', '"')
        yield _Value(_after_space(text, at) + 1, value.strip())
        at, end = found.end(), plain_end if quoted is None else quoted_end


def _after_space(text: str, at: int) -> int:
    """Return the place of the first character from `at` on that is not white space."""
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _check_name(line: int, name: _Value, before: Sequence[str]) -> None:
    if name.value not in COLUMNS:
        known = ", ".join(COLUMNS)
        raise InputError(line, name.column, f"unknown column {name.value!r}; there are {known}")
    if name.value in before:
        raise InputError(line, name.column, f"the column {name.value!r} is there twice")


def _read_jsonl(lines: Iterator[tuple[int, str]]) -> Iterator[Query]:
    for line, text in lines:
        try:
            whole = _DECODER.decode(text)
        except json.JSONDecodeError as error:
            raise InputError(line, error.colno, f"not JSON: {error.msg}") from None
        except (ValueError, RecursionError, InvalidOperation) as error:
            raise InputError(line, 1, f"not JSON that can be read: {error}") from None
        if not isinstance(whole, dict):
            raise InputError(line, 1, "must be a JSON object, one a line")
        # It is read a second time, since the decoder does not say at which column a member is.
        values: dict[str, _Value] = {}
        for name, value in _members(text):
            _check_name(line, name, list(values))
            values[name.value] = value
        yield _query(line, {n: v for n, v in values.items() if v.value is not None})


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if abs(value.adjusted()) > _MAX_EXPONENT:
        raise ValueError(f"{text[:40]} is out of range")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


_DECODER = JSONDecoder(parse_float=_number, parse_constant=_no_constant)


def _members(text: str) -> Iterator[tuple[_Value, _Value]]:
    """Yield the names and values of a JSON object that is known to be valid."""
    at = text.index("{") + 1
    while text[at := _after_space(text, at)] != "}":
        at = _after_space(text, at + (text[at] == ","))
        name, end = _DECODER.raw_decode(text, at)
        start = _after_space(text, text.index(":", end) + 1)
        value, end = _DECODER.raw_decode(text, start)
        yield _Value(at + 1, name), _Value(start + 1, value)
        at = end


def _query(line: int, values: Mapping[str, _Value]) -> Query:
    """Return the query of some values; the value of a list may be text with spaces."""
    params = {
        name: found.value.split() if name in LISTS and isinstance(found.value, str) else found.value
        for name, found in values.items()
    }
    try:
        check_query(params)
    except ConfigurationError as error:
        place = values.get(error.argument.partition("[")[0])
        raise InputError(line, place.column if place else 1, error.message) from None
    return Query(line, cast("QuotesQuery", params))
