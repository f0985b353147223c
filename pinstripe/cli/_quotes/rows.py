"""The rows of the output: JSON lines, or CSV with a row for each network and currency.

    {"line":2,"quotes":{...}}
    {"line":3,"error":{"class":"RateLimitError","code":...,"message":...,...}}

Every row is one line of UTF-8 that ends with a line feed and starts with the line number of its
query. So a file that was cut off anywhere can be read back up to its last complete row.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from attrs import frozen

from pinstripe._core.errors import PinstripeError
from pinstripe._core.redaction import clean_text
from pinstripe._models.convert import to_dict
from pinstripe.bulk import Outcome
from pinstripe.cli._quotes.queries import Format, Query
from pinstripe.crypto import Quotes
from pinstripe.export._formats import csv_lines

QuoteOutcome: TypeAlias = Outcome[Query, Quotes]


class RowError(Exception):
    """A line of an output file is not a row that this format writes."""


@frozen
class RowFacts:
    """What a resumed run needs to know about a row.

    Attributes:
        line: The line of its query in the input.
        failed: Whether it reports an error.
    """

    line: int
    failed: bool


class Rows(Protocol):
    """A format of the output.

    Attributes:
        header: What comes before all rows.
        several: Whether a query can have more than one row.
        start: The beginning of every row.
    """

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

    def encode(self, outcome: QuoteOutcome) -> bytes:
        """Return the row of one query; see `Rows.encode`."""
        row: dict[str, Any] = {"line": outcome.input.line}
        if outcome.value is not None:
            row["quotes"] = to_dict(outcome.value)
        else:
            row["error"] = error_facts(outcome.error)
        return json.dumps(row, separators=(",", ":")).encode() + b"\n"

    def decode(self, row: bytes) -> RowFacts:
        """Read a row back; see `Rows.decode`."""
        try:
            value = json.loads(row)
        except (ValueError, RecursionError):
            value = None
        match value:
            case {"line": int(line), "quotes": dict()}:
                return RowFacts(line, failed=False)
            case {"line": int(line), "error": dict()}:
                return RowFacts(line, failed=True)
            case _:
                raise RowError("not a JSON object with line and quotes or error")


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
)
"""The columns of the CSV output; those of the error are empty if there is none."""


class CsvRows:
    """CSV: for each query a row for each network and currency, or one that reports the error.

    A query without a single quote has one row without a destination.
    """

    several = True
    start = b""

    def __init__(self) -> None:
        self.header = csv_lines([CSV_COLUMNS])

    def encode(self, outcome: QuoteOutcome) -> bytes:
        """Return the rows of one query; see `Rows.encode`."""
        line = {"line": outcome.input.line}
        if outcome.value is None:
            facts = error_facts(outcome.error)
            rows: Iterable[Mapping[str, Any]] = [{**line, **facts, "error": facts["class"]}]
        else:
            rows = ({**line, **row} for row in _quote_rows(outcome.value))
        return csv_lines([_cell(row.get(name)) for name in CSV_COLUMNS] for row in rows)

    def decode(self, row: bytes) -> RowFacts:
        """Read a row back; see `Rows.decode`."""
        try:
            cells = next(csv.reader([row.decode()], strict=True))
            facts = dict(zip(CSV_COLUMNS, cells, strict=True))
            return RowFacts(int(facts["line"]), failed=bool(facts["error"]))
        except (ValueError, csv.Error, StopIteration):
            raise RowError(
                f"not a row of {len(CSV_COLUMNS)} cells that starts with a number"
            ) from None


def _quote_rows(quotes: Quotes) -> Iterable[dict[str, Any]]:
    common = {
        "source_amount": quotes.source_amount,
        "source_currency": quotes.source_currency,
        "rate_fetched_at": quotes.rate_fetched_at.isoformat(),
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


def rows_for(form: Format) -> Rows:
    """Return the rows of a format.

    Args:
        form: Its name.
    """
    return CsvRows() if form == "csv" else JsonRows()
