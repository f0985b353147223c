from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe._core.errors import APIError, ConnectionLost
from pinstripe._core.refusals import error_for
from pinstripe.bulk import Outcome
from pinstripe.cli._quotes.output import (
    Kept,
    Replacement,
    ResumeError,
    find_kept,
    open_output,
    read_answers,
)
from pinstripe.cli._quotes.queries import Query
from pinstripe.cli._quotes.rows import (
    CSV_COLUMNS,
    QuoteOutcome,
    RowError,
    RowFacts,
    RowOptions,
    Rows,
    rows_for,
)
from pinstripe.crypto import OnrampQuote, OnrampQuoteFees, Quotes

PLAIN = RowOptions()
JSON, CSV = rows_for("jsonl", PLAIN), rows_for("csv", PLAIN)
DIGEST = PLAIN.digest(Query(7, {}))


def quote(network: str, currency: str, amount: str) -> OnrampQuote:
    return OnrampQuote(
        destination_amount=Decimal(amount),
        destination_currency=currency,
        destination_network=network,
        fees=OnrampQuoteFees(
            network_fee_monetary=Decimal("0.10"), transaction_fee_monetary=Decimal("2.49")
        ),
        source_total_amount=Decimal("102.59"),
    )


def answer(*quotes: OnrampQuote) -> Quotes:
    by_network: dict[str, Any] = {"stellar": None}
    for each in quotes:
        by_network.setdefault(each.destination_network, []).append(each)
    return Quotes(
        id="ab" * 32,
        destination_network_quotes=by_network,
        livemode=False,
        rate_fetched_at=datetime(2026, 11, 23, tzinfo=timezone.utc),
        source_amount=Decimal("100.00"),
        source_currency="usd",
    )


def refusal() -> APIError:
    said = "Too fast, key sk_test_51HxSECRET\n=1+1"
    body = {"error": {"type": "api_error", "message": said, "code": "rate_limit"}}
    return error_for(429, {"Request-Id": "req_1"}, json.dumps(body).encode())


TWO = answer(quote("base", "eth", "0.000000000000000001"), quote("solana", "usdc", "1E+2"))


def outcome(line: int, value: Quotes | Exception) -> QuoteOutcome:
    query = Query(line, {})
    if isinstance(value, Exception):
        return Outcome(line, query, error=value)
    return Outcome(line, query, value)


def test_a_json_row_holds_the_whole_answer() -> None:
    row = JSON.encode(outcome(7, TWO))
    value = json.loads(row)
    assert row.endswith(b"}\n")
    assert value["line"] == 7
    assert set(value) == {"line", "query_digest", "quotes"}
    assert value["quotes"]["rate_fetched_at"] == "2026-11-23T00:00:00Z"
    assert value["quotes"]["source_amount"] == "100.00"
    assert value["quotes"]["destination_network_quotes"]["stellar"] is None
    base = value["quotes"]["destination_network_quotes"]["base"][0]
    assert base["destination_amount"] == "0.000000000000000001"
    assert JSON.decode(row[:-1]) == RowFacts(7, DIGEST, failed=False)


def test_a_json_row_of_an_error_tells_its_facts_and_no_secret() -> None:
    row = JSON.encode(outcome(7, refusal()))
    assert json.loads(row) == {
        "line": 7,
        "query_digest": DIGEST,
        "error": {
            "class": "RateLimitError",
            "code": "rate_limit",
            "message": "Too fast, key [secret] =1+1",
            "request_id": "req_1",
            "outcome": "rejected",
        },
    }
    assert JSON.decode(row[:-1]) == RowFacts(7, DIGEST, failed=True)


def cells(data: bytes) -> list[dict[str, str]]:
    return [
        dict(zip(CSV_COLUMNS, row, strict=True)) for row in csv.reader(io.StringIO(data.decode()))
    ]


def given_cells(row: dict[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if cell}


def test_csv_has_a_row_a_network_and_currency() -> None:
    found = cells(CSV.encode(outcome(7, TWO)))
    common = {
        "line": "7",
        "query_digest": DIGEST,
        "network_fee_monetary": "0.10",
        "transaction_fee_monetary": "2.49",
        "source_total_amount": "102.59",
        "source_amount": "100.00",
        "source_currency": "usd",
        "rate_fetched_at": "2026-11-23T00:00:00Z",
    }
    assert [given_cells(row) for row in found] == [
        {
            **common,
            "destination_network": "base",
            "destination_currency": "eth",
            "destination_amount": "0.000000000000000001",
        },
        {
            **common,
            "destination_network": "solana",
            "destination_currency": "usdc",
            "destination_amount": "100",
        },
    ]


def test_csv_has_a_row_for_an_answer_without_a_quote() -> None:
    (row,) = cells(CSV.encode(outcome(7, answer())))
    assert set(given_cells(row)) == {
        *("line", "query_digest", "source_amount", "source_currency", "rate_fetched_at")
    }


def test_csv_of_an_error() -> None:
    (row,) = cells(CSV.encode(outcome(7, refusal())))
    assert given_cells(row) == {
        "line": "7",
        "query_digest": DIGEST,
        "error": "RateLimitError",
        "code": "rate_limit",
        "message": "Too fast, key [secret] =1+1",
        "request_id": "req_1",
        "outcome": "rejected",
    }


def test_an_error_without_a_code_or_request() -> None:
    (row,) = cells(CSV.encode(outcome(7, ConnectionLost("gone"))))
    assert given_cells(row) == {
        "line": "7",
        "query_digest": DIGEST,
        "error": "ConnectionLost",
        "message": "gone",
        "outcome": "unknown",
    }


@pytest.mark.parametrize("network", ["a\nb", "a\x85b\u2028", "\ud800"])
def test_whatever_a_server_says_a_row_is_one_line(network: str) -> None:
    for rows in (JSON, CSV):
        data = rows.encode(outcome(7, answer(quote(network, "eth", "1"))))
        assert data.count(b"\n") == 1
        assert len(data.decode().splitlines()) == 1
        assert rows.decode(data[:-1]).line == 7


@pytest.mark.parametrize("rows", [JSON, CSV])
def test_a_fault_of_the_program_is_no_result(rows: Rows) -> None:
    with pytest.raises(KeyError):
        rows.encode(outcome(7, KeyError("bug")))


@pytest.mark.parametrize(
    ("rows", "row"),
    [
        (JSON, b""),
        (JSON, b"[" * 60_000),
        (JSON, b"\xff"),
        (JSON, b'{"line":"7","query_digest":"q","quotes":{}}'),
        (JSON, b'{"line":7}'),
        (JSON, b'{"line":7,"quotes":{}}'),
        (JSON, b'{"line":7,"query_digest":"q","error":null}'),
        (CSV, b""),
        (CSV, b"\xff"),
        (CSV, b"7,8"),
        (CSV, b"seven" + b"," * (len(CSV_COLUMNS) - 1)),
        (CSV, b'"7' + b"," * (len(CSV_COLUMNS) - 1)),
    ],
)
def test_what_is_no_row(rows: Rows, row: bytes) -> None:
    with pytest.raises(RowError):
        rows.decode(row)


# The output of five queries, one of them failed, as an uninterrupted run would write it.
RESULTS = {2: TWO, 3: refusal(), 5: answer(), 6: TWO, 90: TWO}


def whole(rows: Rows) -> bytes:
    return rows.header + b"".join(rows.encode(outcome(n, value)) for n, value in RESULTS.items())


def resumed(rows: Rows, data: bytes) -> tuple[Kept, bytes]:
    """Return what is kept of an output, and the file after the rest is done."""
    kept, rest = find_kept(io.BytesIO(data), rows, iter([Query(n, {}) for n in RESULTS]))
    new = b"".join(rows.encode(outcome(q.line, RESULTS[q.line])) for q in rest)
    return kept, data[: kept.size] + (b"" if kept.size else rows.header) + new


@pytest.mark.parametrize("rows", [JSON, CSV])
@given(data=st.data())
def test_an_output_cut_anywhere_resumes_to_the_same(rows: Rows, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(whole(rows))))
    kept, result = resumed(rows, whole(rows)[:cut])
    assert result == whole(rows)
    assert kept.size <= cut


@pytest.mark.uncounted
@pytest.mark.parametrize("rows", [JSON, CSV])
def test_an_output_cut_at_every_byte_resumes_to_the_same(rows: Rows) -> None:
    assert {resumed(rows, whole(rows)[:n])[1] for n in range(len(whole(rows)) + 1)} == {whole(rows)}


@pytest.mark.parametrize(("rows", "queries", "failed"), [(JSON, 5, 1), (CSV, 4, 1)])
def test_what_is_kept_is_counted(rows: Rows, queries: int, failed: int) -> None:
    kept, _ = resumed(rows, whole(rows))
    assert (kept.queries, kept.failed) == (queries, failed)


@pytest.mark.parametrize("rows", [JSON, CSV])
@given(
    at=st.floats(0, 1, exclude_max=True),
    removed=st.integers(0, 30),
    new=st.one_of(st.binary(max_size=9), st.sampled_from([b"\n", b'"', b",", b"2,", b"{}\n"])),
)
def test_a_damaged_output_is_refused_or_resumes(
    rows: Rows, at: float, removed: int, new: bytes
) -> None:
    data = whole(rows)
    place = int(at * len(data))
    data = data[:place] + new + data[place + removed :]
    try:
        kept, _ = resumed(rows, data)
    except ResumeError:
        return
    assert data[: kept.size].endswith(b"\n") or not kept.size


@pytest.mark.parametrize(
    ("rows", "data", "message"),
    [
        (JSON, b"my precious notes", "1: not a file that this command wrote"),
        (JSON, b"my precious\nnotes", "1: not a file that this command wrote"),
        (CSV, b"my precious notes", "1: not a file that this command wrote"),
        (CSV, b"line,other\n", "1: not a file that this command wrote"),
        (JSON, whole(CSV), "1: not a file that this command wrote"),
        (CSV, whole(JSON), "1: not a file that this command wrote"),
        (CSV, CSV.header + b"2,3\n", "2: not a row of this output: it has 2 cells in place of 16"),
        (JSON, whole(JSON) + b"{}\n", "6: not a JSON object with line"),
        (
            JSON,
            JSON.encode(outcome(3, TWO)),
            "1: the row is for line 3, but the next query is in line 2 of the input",
        ),
        (
            JSON,
            whole(JSON) + JSON.encode(outcome(91, TWO)),
            "6: the row is for line 91, but the input has no query left",
        ),
        (
            JSON,
            JSON.encode(outcome(2, TWO)) * 2,
            "2: the row is for line 2, but the next query is in line 3 of the input",
        ),
        (
            CSV,
            b"".join([CSV.header, *(CSV.encode(outcome(n, answer())) for n in (2, 3, 2))]),
            "4: the row is for line 2, but the next query is in line 5 of the input",
        ),
    ],
)
def test_a_file_that_is_no_earlier_output_is_refused(rows: Rows, data: bytes, message: str) -> None:
    with pytest.raises(ResumeError) as caught:
        resumed(rows, data)
    assert str(caught.value).startswith(message)


def test_opening_keeps_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"one row\ntorn")
    with open_output(path, Kept(size=8)) as output:
        output.write(b"next\n")
        assert output.is_regular
    assert path.read_bytes() == b"one row\nnext\n"
    with open_output(path, Kept()) as output:
        output.write(b"new\n")
    assert path.read_bytes() == b"new\n"


# --- which input an output belongs to, and what else is in a row ---------------------------------


def test_a_digest_is_of_the_query_as_it_is_sent_and_of_the_options() -> None:
    query = Query(2, {"source_amount": "5.00", "destination_networks": ["base"]})
    same = Query(9, {"destination_networks": ["base"], "source_amount": Decimal("5.00")})
    assert PLAIN.digest(query) == PLAIN.digest(same)
    kept = RowOptions(keep=("a",))
    others = [
        PLAIN.digest(Query(2, {"source_amount": "5.01", "destination_networks": ["base"]})),
        PLAIN.digest(Query(2, {"destination_amount": "5.00"} | dict(NEEDED))),
        PLAIN.digest(Query(2, {})),
        kept.digest(query),
        kept.digest(Query(2, query.params, {"a": '"x"'})),
        RowOptions(escape_formulas=True).digest(query),
        RowOptions(sandbox=True).digest(query),
    ]
    assert len({PLAIN.digest(query), *others}) == len(others) + 1


NEEDED: Any = {"destination_networks": ["base"], "destination_currencies": ["eth"]}


@pytest.mark.parametrize("rows", [JSON, CSV])
def test_the_output_of_another_input_with_the_same_lines_is_refused(rows: Rows) -> None:
    theirs = [Query(n, {"source_amount": n}) for n in RESULTS]
    with pytest.raises(ResumeError, match="the row is of another query than line 2"):
        find_kept(io.BytesIO(whole(rows)), rows, iter(theirs))
    ours = [Query(2, {}), Query(3, {}), *theirs[2:]]  # a row after others
    with pytest.raises(ResumeError, match="the row is of another query than line 5"):
        find_kept(io.BytesIO(whole(rows)), rows, iter(ours))


def kept_columns(form: Any, query: Query, *, escape: bool = False) -> Any:
    rows = rows_for(form, RowOptions(("ref", "n"), escape))
    data = rows.header + rows.encode(Outcome(0, query, answer()))
    assert rows.decode(data[len(rows.header) : -1]).line == 2
    if form == "jsonl":
        return json.loads(data, parse_float=str)["columns"]
    (row,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    return {name: row[name] for name in ("ref", "n")}


@pytest.mark.parametrize(
    ("values", "in_json", "in_csv"),
    [
        ({"ref": '"a, \\"b\\""', "n": "1.50"}, {"ref": 'a, "b"', "n": "1.50"}, ('a, "b"', "1.50")),
        ({"ref": "null", "n": "true"}, {"ref": None, "n": True}, ("", "true")),
        ({"n": '{"a":1}'}, {"n": {"a": 1}}, ("", '{"a":1}')),
        ({"ref": '"a\\rb"', "n": '"null"'}, {"ref": "a\rb", "n": "null"}, ("a\rb", "null")),
    ],
)
def test_columns_are_passed_through(
    values: dict[str, str], in_json: dict[str, Any], in_csv: tuple[str, str]
) -> None:
    query = Query(2, {}, values)
    assert kept_columns("jsonl", query) == in_json
    assert tuple(kept_columns("csv", query).values()) == in_csv


def test_formulas_are_guarded_and_numbers_are_not() -> None:
    for ref, n, guarded in (
        ("=1+1", "-5", ("'=1+1", "-5")),
        ("@x", "-5.25", ("'@x", "-5.25")),
        ("+1", "-5-5", ("'+1", "'-5-5")),
        ("\t=1", "5", ("'\t=1", "5")),
    ):
        query = Query(2, {}, {"ref": json.dumps(ref), "n": json.dumps(n)})
        assert tuple(kept_columns("csv", query).values()) == (ref, n)
        assert tuple(kept_columns("csv", query, escape=True).values()) == guarded


@pytest.mark.parametrize("rows", [JSON, CSV])
@pytest.mark.parametrize("retried", [[3], [2, 3, 90], [90], []])
def test_new_rows_take_the_place_of_old_ones(
    tmp_path: Path, rows: Rows, retried: list[int]
) -> None:
    path = tmp_path / "out"
    path.write_bytes(whole(rows) + b"torn")
    path.chmod(0o640)
    new = {**RESULTS, **dict.fromkeys(retried, answer(quote("base", "eth", "7")))}
    expected = rows.header + b"".join(rows.encode(outcome(n, new[n])) for n in RESULTS) + b"torn"
    with path.open("rb") as old, Replacement(path) as copy:
        for found in read_answers(old, rows, iter([Query(n, {}) for n in RESULTS])):
            line = found.query.line
            assert found.failed is (line == 3)
            if line in retried:
                copy.replace(found, rows.encode(outcome(line, new[line])))
        assert path.read_bytes() == whole(rows) + b"torn"
    assert path.read_bytes() == expected
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_replacement_that_ends_early_loses_no_row(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "out"
    path.write_bytes(whole(JSON))
    (tmp_path / ".out.part").symlink_to(path)  # left, or planted: it is not followed
    row = JSON.encode(outcome(3, TWO))

    def begin_and_fail() -> None:
        with path.open("rb") as old, Replacement(path) as copy:
            _, failed, *_ = read_answers(old, JSON, iter([Query(n, {}) for n in RESULTS]))
            copy.replace(failed, row)
            raise error

    with pytest.raises(type(error)):
        begin_and_fail()
    assert (row in path.read_bytes()) is not isinstance(error, OSError)
    assert len(path.read_bytes().splitlines()) == len(RESULTS)
    assert list(tmp_path.iterdir()) == [path]
