"""The rows of the output: JSON lines, or CSV with a row for each network and currency.

    {"line":2,"query_digest":"q_1f...","quotes":{...}}
    {"line":3,"query_digest":"q_9c...","error":{"class":"RateLimitError","code":...,...}}

Every row is one line of UTF-8 that ends with a line feed and starts with the line number of its
query. So a file that was cut off anywhere can be read back up to its last complete row.

The digest of a row is that of its query, of the columns that are kept, and of the options that
change what a row says. With the number of the line it shows that a row belongs to an input; so an
output needs no file beside it, and an input may have grown at its end.

As in exports, times are in UTC as ISO 8601, and the network Base is `base` and not the API's
`base_network`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from attrs import frozen

from pinstripe._core.errors import PinstripeError
from pinstripe._core.redaction import clean_text
from pinstripe._models.convert import to_dict
from pinstripe._resources.onramp_params import WIRE_KEYS
from pinstripe.bulk import Outcome
from pinstripe.cli._quotes.queries import Format, Query
from pinstripe.crypto import Quotes, check_query
from pinstripe.export._formats import csv_lines, guard_formula, iso_in_utc

QuoteOutcome: TypeAlias = Outcome[Query, Quotes]

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_NETWORKS = {key: name for name, key in WIRE_KEYS.items()}


class RowError(Exception):
    """A line of an output file is not a row that this format writes."""


@frozen
class RowFacts:
    """What a resumed run needs to know about a row.

    Attributes:
        line: The line of its query in the input.
        digest: The digest of its query.
        failed: Whether it reports an error.
    """

    line: int
    digest: str
    failed: bool


@frozen
class RowOptions:
    """What changes the rows of an output besides its format.

    Attributes:
        keep: The columns of the input that are passed through; None for none.
        escape_formulas: Whether texts that a spreadsheet would run are guarded.
        sandbox: Whether the quotes are those of the embedded sandbox.
    """

    keep: tuple[str, ...] | None = None
    escape_formulas: bool = False
    sandbox: bool = False

    def digest(self, query: Query) -> str:
        """Return what distinguishes the rows of a query from those of any other.

        Args:
            query: A query of the input.
        """
        kept = None if self.keep is None else query.kept
        facts = [check_query(query.params), kept, self.escape_formulas, self.sandbox]
        # The letter in front keeps a spreadsheet from reading a number.
        return f"q_{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}"


class Rows(Protocol):
    """A format of the output.

    Attributes:
        options: What changes its rows.
        header: What comes before all rows.
        several: Whether a query can have more than one row.
        start: The beginning of every row.
    """

    options: RowOptions
    header: bytes
    several: bool
    start: bytes

    def encode(self, outcome: QuoteOutcome) -> bytes:
        """Return the rows of one query.

        Args:
            outcome: Its quotes or error.

        Raises:
            Exception: The error of an outcome that is not one of Pinstripe's.
        """
        ...

    def decode(self, row: bytes) -> RowFacts:
        """Read a row back.

        Args:
            row: A line without its line feed.

        Raises:
            RowError: It is not a row of this format.
        """
        ...


def error_facts(error: Exception | None) -> dict[str, Any]:
    """Return what a row reports of an error; nothing in it is secret.

    Args:
        error: The error of a call.

    Raises:
        Exception: The error itself if it is not one of Pinstripe's: then it is a fault of this
            program and not a result.
    """
    if not isinstance(error, PinstripeError):
        raise error or TypeError("there is no error")
    return {
        "class": type(error).__name__,
        "code": getattr(error, "code", None),
        "message": error.message,
        "request_id": error.request_id,
        "outcome": error.outcome,
    }


class JsonRows:
    """JSON lines: one for each query."""

    header = b""
    several = False
    start = b'{"line":'

    def __init__(self, options: RowOptions) -> None:
        self.options = options

    def encode(self, outcome: QuoteOutcome) -> bytes:
        """Return the row of one query; see `Rows.encode`."""
        query = outcome.input
        parts = [f'"line":{query.line}', f'"query_digest":"{self.options.digest(query)}"']
        if self.options.keep is not None:
            kept = ",".join(f"{_json(name)}:{value}" for name, value in query.kept.items())
            parts.append(f'"columns":{{{kept}}}')
        if outcome.value is not None:
            parts.append(f'"quotes":{_json(_plain(outcome.value))}')
        else:
            parts.append(f'"error":{_json(error_facts(outcome.error))}')
        return f"{{{','.join(parts)}}}\n".encode()

    def decode(self, row: bytes) -> RowFacts:
        """Read a row back; see `Rows.decode`."""
        try:
            value = json.loads(row)
        except (ValueError, RecursionError):
            value = None
        match value:
            case {"line": int(line), "query_digest": str(digest), "quotes": dict()}:
                return RowFacts(line, digest, failed=False)
            case {"line": int(line), "query_digest": str(digest), "error": dict()}:
                return RowFacts(line, digest, failed=True)
            case _:
                raise RowError("not a JSON object with line, query_digest and quotes or error")


_json = json.JSONEncoder(separators=(",", ":")).encode


def _plain(quotes: Quotes) -> dict[str, Any]:
    plain = to_dict(quotes)
    by_network = plain["destination_network_quotes"]
    return {
        **plain,
        "rate_fetched_at": iso_in_utc(quotes.rate_fetched_at),
        "destination_network_quotes": {_NETWORKS.get(k, k): v for k, v in by_network.items()},
    }


CSV_COLUMNS = (
    "line",
    "destination_network",
    "destination_currency",
    "destination_amount",
    "network_fee_monetary",
    "transaction_fee_monetary",
    "source_total_amount",
    "source_amount",
    "source_currency",
    "rate_fetched_at",
    "error",
    "code",
    "message",
    "request_id",
    "outcome",
    "query_digest",
)
"""The columns of the CSV output; those of the error are empty if there is none.

Columns of the input that are kept come after them.
"""


class CsvRows:
    """CSV: for each query a row for each network and currency, or one that reports the error.

    A query without a single quote has one row without a destination.
    """

    several = True
    start = b""

    def __init__(self, options: RowOptions) -> None:
        self.options = options
        self.header = self._lines([[*CSV_COLUMNS, *(options.keep or ())]])

    def encode(self, outcome: QuoteOutcome) -> bytes:
        """Return the rows of one query; see `Rows.encode`."""
        query = outcome.input
        line = {"line": query.line, "query_digest": self.options.digest(query)}
        if outcome.value is None:
            facts = error_facts(outcome.error)
            rows: Iterable[Mapping[str, Any]] = [{**line, **facts, "error": facts["class"]}]
        else:
            rows = ({**line, **row} for row in _quote_rows(outcome.value))
        kept = [_kept_cell(query.kept.get(name)) for name in self.options.keep or ()]
        return self._lines([*(_cell(row.get(name)) for name in CSV_COLUMNS), *kept] for row in rows)

    def decode(self, row: bytes) -> RowFacts:
        """Read a row back; see `Rows.decode`."""
        try:
            cells = next(csv.reader([row.decode()], strict=True))
            columns = [*CSV_COLUMNS, *(self.options.keep or ())]
            facts = dict(zip(CSV_COLUMNS, cells, strict=False))
            if len(cells) == len(columns):
                return RowFacts(int(facts["line"]), facts["query_digest"], bool(facts["error"]))
            problem = f"has {len(cells)} cells in place of {len(columns)}"
        except (ValueError, csv.Error, StopIteration):
            problem = "does not start with a number"
        raise RowError(f"not a row of this output: it {problem}")

    def _lines(self, rows: Iterable[Sequence[str]]) -> bytes:
        if self.options.escape_formulas:
            rows = ([_guard(cell) for cell in row] for row in rows)
        return csv_lines(rows)


def _quote_rows(quotes: Quotes) -> Iterable[dict[str, Any]]:
    common = {
        "source_amount": quotes.source_amount,
        "source_currency": quotes.source_currency,
        "rate_fetched_at": iso_in_utc(quotes.rate_fetched_at),
    }
    rows = [
        {
            **common,
            "destination_network": quote.destination_network,
            "destination_currency": quote.destination_currency,
            "destination_amount": quote.destination_amount,
            "network_fee_monetary": quote.fees.network_fee_monetary,
            "transaction_fee_monetary": quote.fees.transaction_fee_monetary,
            "source_total_amount": quote.source_total_amount,
        }
        for quote in quotes
    ]
    return rows or [common]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # Text is of the server: control characters would end the row, and escape codes would reach a
    # terminal.
    return f"{value:f}" if isinstance(value, Decimal) else clean_text(str(value))


def _kept_cell(value: str | None) -> str:
    """Return the cell of a kept value: a text as it is, anything else as JSON."""
    text = "null" if value is None else value
    return json.loads(text) if text.startswith('"') else text if text != "null" else ""


def _guard(cell: str) -> str:
    return cell if _NUMBER.fullmatch(cell) else guard_formula(cell)


def rows_for(form: Format, options: RowOptions) -> Rows:
    """Return the rows of a format.

    Args:
        form: Its name.
        options: What changes them.
    """
    return CsvRows(options) if form == "csv" else JsonRows(options)
