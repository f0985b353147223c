"""Quote queries read from CSV or JSON lines, one query a line, each with its place in the file.

    CSV          source_amount,source_currency,destination_networks
                 100.00,usd,base solana
    JSON lines   {"source_amount": 100.00, "destination_networks": ["base", "solana"]}

A file is read line by line and never kept, so its length does not matter. Every fault is an
`InputError` with line and column, both counted from 1, columns in characters; the lines after it
are checked too. CSV is split here
and not by the standard library's `csv`, which cannot say in which column of a line a cell begins.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from json.decoder import JSONDecoder
from pathlib import PurePath
from typing import Any, BinaryIO, Literal, TypeAlias, cast

from attrs import field, frozen

from pinstripe._core.errors import ConfigurationError
from pinstripe.cli._quotes.faults import (
    InputError,
    near_column,
    unknown_column,
    wrong_count,
    wrong_value,
)
from pinstripe.cli._words import shown
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


@frozen
class Query:
    """One query.

    Attributes:
        line: Its line in the input.
        params: Its parameters.
        kept: Columns that are no parameters, each value as JSON.
    """

    line: int
    params: QuotesQuery
    kept: Mapping[str, str] = field(factory=dict[str, str], repr=False)


@frozen
class _Line:
    """A line of the input that can be read, and its number."""

    number: int
    text: str


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


def read_queries(file: BinaryIO, form: Format, *, keep: bool = False) -> Iterator[Query]:
    """Yield every query of a file, after checking it in full.

    Args:
        file: The file, at its beginning.
        form: Its format.
        keep: Whether columns that are no parameters are kept.

    Raises:
        InputError: A line is not a query, or there is none.
    """
    for found in check_lines(file, form, keep=keep):
        if isinstance(found, InputError):
            raise found
        yield found


def check_lines(
    file: BinaryIO, form: Format, *, keep: bool = False
) -> Iterator[Query | InputError]:
    """Yield for each line its query, or what is wrong with it; see `read_queries`.

    After a header that is wrong nothing else can be judged, so that is the end.
    """
    read, none = _read_csv if form == "csv" else _read_jsonl, True
    for found in read(_lines(file), keep=keep):
        none = False
        yield found
    if none:
        yield InputError(1, 1, "there is no query in the file")


def _lines(file: BinaryIO) -> Iterator[_Line | InputError]:
    """Yield every line that is not blank, without its end."""
    number = 0
    while raw := file.readline(MAX_LINE + 1):
        number += 1
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if len(raw) > MAX_LINE:
            _skip_line(file, raw)
            yield InputError(number, 1, f"the line is longer than {MAX_LINE} bytes")
            continue
        try:
            text = _text(number, raw.removesuffix(b"\n").removesuffix(b"\r"))
        except InputError as error:
            yield error
        else:
            if text.strip():
                yield _Line(number, text)


def _skip_line(file: BinaryIO, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(MAX_LINE)


def _text(number: int, raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        column = len(raw[: error.start].decode()) + 1
        problem = f"not UTF-8: byte 0x{raw[error.start]:02x}"
        raise InputError(number, column, problem) from None
    if found := _CONTROL.search(text):
        problem = f"control character U+{ord(found[0]):04X}"
        raise InputError(number, found.start() + 1, problem)
    return text


def _read_csv(lines: Iterator[_Line | InputError], *, keep: bool) -> Iterator[Query | InputError]:
    first = next(lines, None)
    if not isinstance(first, _Line):
        yield from () if first is None else (first,)
        return
    header, faults = _header(first, keep=keep)
    if faults:
        yield from faults
        return
    for line in lines:
        yield _result(partial(_csv_query, header), line)


def _result(read: Callable[[_Line], Query], line: _Line | InputError) -> Query | InputError:
    if isinstance(line, InputError):
        return line
    try:
        return read(line)
    except InputError as error:
        return error


def _header(line: _Line, *, keep: bool) -> tuple[list[str], list[InputError]]:
    """Return the names of the columns, and everything that is wrong with them."""
    names: list[str] = []
    faults: list[InputError] = []
    try:
        for cell in _cells(line):
            try:
                _check_name(line.number, cell, names, keep=keep)
            except InputError as error:
                faults.append(error)
            names.append(cell.value)
    except InputError as error:
        faults.append(error)
    if not faults and not set(names) & set(COLUMNS):
        faults.append(InputError(line.number, 1, unknown_column(names[0], COLUMNS, keep=True)))
    return names, faults


def _csv_query(header: Sequence[str], line: _Line) -> Query:
    cells = list(_cells(line))
    if len(cells) != len(header):
        long = len(cells) > len(header)
        column = cells[len(header)].column if long else len(line.text) + 1
        problem = wrong_count(line.text, len(header), len(cells))
        raise InputError(line.number, column, problem)
    named = list(zip(header, cells, strict=True))
    kept = {name: json.dumps(cell.value) for name, cell in named if name not in COLUMNS}
    values = {name: cell for name, cell in named if name in COLUMNS and cell.value}
    return _query(line.number, values, kept)


def _cells(line: _Line) -> Iterator[_Value]:
    """Yield the cells of a line of CSV; a quoted cell ends in its line."""
    text, at, end = line.text, 0, ","
    while end:
        if (found := _CELL.match(text, at)) is None:
            problem = "a quote that is not closed in its line, or out of place"
            raise InputError(line.number, at + 1, f"{problem}: {shown(text[at:])}")
        quoted, quoted_end, plain, plain_end = found.groups()
        value = plain if quoted is None else quoted.replace('""', '"')
        yield _Value(_after_space(text, at) + 1, value.strip())
        at, end = found.end(), plain_end if quoted is None else quoted_end


def _after_space(text: str, at: int) -> int:
    """Return the place of the first character from `at` on that is not white space."""
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _check_name(line: int, name: _Value, before: Collection[str], *, keep: bool) -> None:
    if name.value in before:
        raise InputError(line, name.column, f"the column {shown(name.value)} is there twice")
    if name.value in COLUMNS:
        return
    # A name that is nearly a parameter is refused: kept, its query would be sent without it.
    keep = keep and name.value != "" and name.value.isprintable()
    if not keep or near_column(name.value, COLUMNS) is not None:
        raise InputError(line, name.column, unknown_column(name.value, COLUMNS, keep=keep))


def _read_jsonl(lines: Iterator[_Line | InputError], *, keep: bool) -> Iterator[Query | InputError]:
    for line in lines:
        yield _result(partial(_json_query, keep), line)


def _json_query(keep: bool, line: _Line) -> Query:  # noqa: FBT001 -- bound by `partial`
    number, text = line.number, line.text
    try:
        whole = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg}: {shown(text[error.pos :])}"
        raise InputError(number, error.colno, problem) from None
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise InputError(number, 1, f"not JSON that can be read: {error}") from None
    if not isinstance(whole, dict):
        raise InputError(number, 1, f"must be a JSON object, one a line; it is {shown(text)}")
    # It is read a second time, since the decoder does not say at which column a member is.
    values: dict[str, _Value] = {}
    kept: dict[str, str] = {}
    for name, value, raw in _members(text):
        _check_name(number, name, {*values, *kept}, keep=keep)
        if name.value in COLUMNS:
            values[name.value] = value
        else:
            # Numbers stay as they are written; no character of a text is lost, or seen raw.
            kept[name.value] = json.dumps(value.value) if isinstance(value.value, str) else raw
    return _query(number, {n: v for n, v in values.items() if v.value is not None}, kept)


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if abs(value.adjusted()) > _MAX_EXPONENT:
        raise ValueError(f"{text[:40]} is out of range")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


_DECODER = JSONDecoder(parse_float=_number, parse_constant=_no_constant)


def _members(text: str) -> Iterator[tuple[_Value, _Value, str]]:
    """Yield the names and values of a JSON object that is known to be valid, and their text."""
    at = text.index("{") + 1
    while text[at := _after_space(text, at)] != "}":
        at = _after_space(text, at + (text[at] == ","))
        name, end = _DECODER.raw_decode(text, at)
        start = _after_space(text, text.index(":", end) + 1)
        value, end = _DECODER.raw_decode(text, start)
        yield _Value(at + 1, name), _Value(start + 1, value), text[start:end]
        at = end


def _query(line: int, values: Mapping[str, _Value], kept: Mapping[str, str]) -> Query:
    """Return the query of some values; the value of a list may be text with spaces."""
    params = {
        name: found.value.split() if name in LISTS and isinstance(found.value, str) else found.value
        for name, found in values.items()
    }
    try:
        check_query(params)
    except ConfigurationError as error:
        name = error.argument.partition("[")[0]
        if (place := values.get(name)) is None:
            raise InputError(line, 1, error.message) from None
        problem = wrong_value(error.message, place.value, is_list=name in LISTS)
        raise InputError(line, place.column, problem) from None
    return Query(line, cast("QuotesQuery", params), kept)
