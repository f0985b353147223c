from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.cli._quotes.faults import InputError, report
from pinstripe.cli._quotes.queries import (
    COLUMNS,
    LISTS,
    MAX_LINE,
    Query,
    check_lines,
    format_by_content,
    format_by_name,
    read_queries,
)
from pinstripe.crypto import QuotesQuery
from tests.support.cli_process import lines


def read(data: bytes, form: Any = "csv") -> list[Query]:
    return list(read_queries(io.BytesIO(data), form))


def fault(data: bytes, form: Any = "csv") -> str:
    with pytest.raises(InputError) as caught:
        read(data, form)
    return str(caught.value)


def test_the_columns_are_the_parameters_of_the_endpoint() -> None:
    assert set(COLUMNS) == set(QuotesQuery.__annotations__)


def test_csv_with_lists_empty_cells_and_blank_lines() -> None:
    data = (
        b"source_amount, source_currency ,destination_networks\n100,usd,base solana\n\n,eur,\n,,\n"
    )
    assert read(data) == [
        Query(
            2,
            {
                "source_amount": "100",
                "source_currency": "usd",
                "destination_networks": ["base", "solana"],
            },
        ),
        Query(4, {"source_currency": "eur"}),
        Query(5, {}),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_from_spreadsheets(end: str) -> None:
    data = f'\ufeff"source_amount","destination_currencies"{end}"1.50", "btc eth" {end}7,{end}'
    assert read(data.encode()) == [
        Query(2, {"source_amount": "1.50", "destination_currencies": ["btc", "eth"]}),
        Query(3, {"source_amount": "7"}),
    ]


def test_a_last_line_needs_no_end() -> None:
    assert read(b"source_amount\n5") == [Query(2, {"source_amount": "5"})]


def test_json_lines_with_numbers_read_exactly() -> None:
    data = lines(
        '{"source_amount": 100.10, "source_currency": null}',
        "",
        ' { "source_amount" : "7.5" , "destination_networks" : ["base", "solana"] } ',
        '{"source_amount": 12, "destination_currencies": "btc eth"}',
        "{}",
    )
    found = read(data, "jsonl")
    assert found == [
        Query(1, {"source_amount": Decimal("100.10")}),
        Query(3, {"source_amount": "7.5", "destination_networks": ["base", "solana"]}),
        Query(4, {"source_amount": 12, "destination_currencies": ["btc", "eth"]}),
        Query(5, {}),
    ]
    assert str(found[0].params["source_amount"]) == "100.10"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "1:1: there is no query"),
        (b"\n\n", "1:1: there is no query"),
        (b"source_amount\n", "1:1: there is no query"),
        (b"source_amount,colour\n1,red\n", "1:15: unknown column 'colour'; there are source_am"),
        (b"source_amount;source_currency\n", "1:1: unknown column 'source_amount;source_currency'"),
        (b"source_amount,\n", "1:15: unknown column ''"),
        (b"source_amount,source_amount\n1,1\n", "1:15: the column 'source_amount' is there twice"),
        (b"source_amount\n1\n2,3\n", "3:3: the header has 1 cells, this line 2"),
        (b"source_amount,source_currency\n1\n", "2:2: the header has 2 cells, this line 1"),
        (b"source_amount\n1\nabc\n", "3:1: source_amount: must be a decimal number"),
        (b"source_currency,source_amount\nusd,  -5\n", "2:7: source_amount: must be a decimal"),
        (b"source_amount\n1e5\n", "2:1: source_amount: must be a decimal number"),
        (b"source_amount,destination_amount\n1,2\n", "2:3: destination_amount: cannot be used tog"),
        (b"destination_amount\n2\n", "2:1: destination_currencies: must name exactly one"),
        (b"destination_networks\nbase_network\n", "2:1: destination_networks: write 'base'"),
        (b'source_amount\n"1\n2"\n', "2:1: a quote that is not closed in its line"),
        (b'source_amount\n1"2\n', "2:1: a quote that is not closed in its line"),
        (b"source_amount\n1\xff2\n", "2:2: not UTF-8: byte 0xff"),
        ("source_currency\né\udc80".encode(errors="surrogateescape"), "2:2: not UTF-8: byte 0x80"),
        ("source_amount\n1\n".encode("utf-16"), "1:1: not UTF-8: byte 0xff"),
        (b"source_amount\n1\x00\n", "2:2: control character U+0000"),
        (b"source_amount\r1\r", "1:14: control character U+000D"),
        (b"source_amount\n" + b"1" * (MAX_LINE + 1), f"2:1: the line is longer than {MAX_LINE}"),
    ],
)
def test_csv_that_is_refused(data: bytes, message: str) -> None:
    assert fault(data).startswith(message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"source_amount": 1', "2:20: not JSON: "),
        ('{"source_amount": 1} {}', "2:22: not JSON: Extra data"),
        ('{"source_amount": NaN}', "2:1: not JSON that can be read: NaN is not a number"),
        ('{"source_amount": 1e9999999}', "2:1: not JSON that can be read: 1e9999999 is out of"),
        ('{"source_amount": 1e99999999999999999999}', "2:1: not JSON that can be read: "),
        ('{"source_amount": ' + "9" * 5000 + "}", "2:1"),
        # Some versions of Python reach the limit of their stack here, others the end of the line.
        ("[" * 60_000, "2:"),
        ('[{"source_amount": 1}]', "2:1: must be a JSON object, one a line"),
        ("7", "2:1: must be a JSON object, one a line"),
        ('{"source_amount": 1, "colour": 2}', "2:22: unknown column 'colour'"),
        ('{"source_amount": 1, "source_amount": 2}', "2:22: the column 'source_amount' is there t"),
        ('{"source_currency": "usd", "source_amount": true}', "2:45: source_amount: must be a Dec"),
        ('{"source_amount": 1e50}', "2:19: source_amount: must be a decimal number"),
        ('{"source_amount": ""}', "2:19: source_amount: must be a decimal number"),
        ('{"source_amount": {"source_currency": 1}}', "2:19: source_amount: must be a Decimal"),
        ('{"source_currency": 5}', "2:21: source_currency: must be a code"),
        ('{"destination_networks": []}', "2:26: destination_networks: is empty"),
        ('{"destination_networks": ["base", 5]}', "2:26: destination_networks: must hold only"),
        ('{"destination_networks": ""}', "2:26: destination_networks: is empty"),
    ],
)
def test_json_lines_that_are_refused(line: str, message: str) -> None:
    assert fault(lines("{}", line), "jsonl").startswith(message)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("b/c.jsonl", "jsonl"),
        ("c.ndjson", "jsonl"),
        ("-", None),
    ],
)
def test_the_format_by_name(name: str, form: str | None) -> None:
    assert format_by_name(name) == form


@pytest.mark.parametrize(
    ("start", "form"),
    [(b"source_amount\n", "csv"), (b'\xef\xbb\xbf \n{"a', "jsonl"), (b"[{", "jsonl"), (b"", "csv")],
)
def test_the_format_by_content(start: bytes, form: str) -> None:
    assert format_by_content(start) == form


def test_queries_are_read_as_they_are_asked_for() -> None:
    file = io.BytesIO(b"source_amount\n" + b"1\n" * 100_000)
    queries = read_queries(file, "csv")
    assert next(queries) == Query(2, {"source_amount": "1"})
    assert file.tell() < 100


codes = st.from_regex(r"[a-z0-9_-]{1,9}", fullmatch=True).filter(
    lambda code: code != "base_network"
)
code_lists = st.lists(codes, min_size=1, max_size=3)
amounts = st.decimals("0.01", "99999999", places=2)
valid_queries = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "source_amount": amounts,
            "source_currency": codes,
            "destination_currencies": code_lists,
            "destination_networks": code_lists,
        },
    ),
    st.fixed_dictionaries(
        {
            "destination_amount": amounts,
            "destination_currencies": st.lists(codes, min_size=1, max_size=1),
            "destination_networks": st.lists(codes, min_size=1, max_size=1),
        }
    ),
)


def as_read(query: dict[str, Any], amount: Any) -> dict[str, Any]:
    return {k: amount(v) if isinstance(v, Decimal) else v for k, v in query.items()}


@given(
    queries=st.lists(valid_queries, min_size=1, max_size=5),
    columns=st.permutations(COLUMNS),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.sampled_from(["", "\ufeff"]),
)
def test_what_is_written_as_csv_is_read(queries, columns, quoting, end, bom) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator=end)
    writer.writerow(columns)
    for query in queries:
        cells = {k: " ".join(v) if k in LISTS else v for k, v in query.items()}
        writer.writerow([cells.get(column, "") for column in columns])
    expected = [Query(n, as_read(query, str)) for n, query in enumerate(queries, start=2)]
    assert read((bom + text.getvalue()).encode()) == expected


@given(
    queries=st.lists(valid_queries, min_size=1, max_size=5),
    separators=st.sampled_from([(",", ":"), (" , ", "\t: "), (", ", ": ")]),
    exact=st.booleans(),
)
def test_what_is_written_as_json_is_read(queries, separators, exact) -> None:
    texts = []
    for query in queries:
        text = json.dumps(as_read(query, lambda d: f"#{d}#"), separators=separators)
        texts.append(text.replace('"#', "").replace('#"', "") if exact else text.replace("#", ""))
    expected = [
        Query(n, as_read(query, Decimal if exact else str)) for n, query in enumerate(queries, 1)
    ]
    found = read(lines(*texts), "jsonl")
    assert found == expected
    assert [str(q.params.get("source_amount")) for q in found] == [
        str(q.params.get("source_amount")) for q in expected
    ]


soup = st.lists(
    st.sampled_from(
        [
            *COLUMNS,
            *(",", '"', "\n", "\r\n", " ", "\t", "{", "}", "[", "]", ":", '"source_amount":'),
            *("1.5", "usd", "\\", "\x00", "é", "null", "1e9", '"x"', "\ufeff"),
        ]
    ),
    max_size=30,
).map("".join)


@given(
    data=st.one_of(st.binary(max_size=200), soup.map(str.encode)),
    form=st.sampled_from(["csv", "jsonl"]),
)
def test_no_input_breaks_the_reader(data: bytes, form: Any) -> None:
    found: InputError | None = None
    try:
        assert read(data, form)
    except InputError as error:
        found = error
    if found is not None:
        rows = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        assert 1 <= found.line <= len(rows)
        assert 1 <= found.column <= len(rows[found.line - 1].decode(errors="replace")) + 1
        assert "\n" not in str(found)


# --- everything that is wrong, with its value and what would be right ----------------------------


def faults(data: bytes, form: Any = "csv", *, keep: bool = False) -> list[str]:
    found = check_lines(io.BytesIO(data), form, keep=keep)
    return [str(fault) for fault in found if isinstance(fault, InputError)]


def test_every_line_that_is_wrong_is_found() -> None:
    data = lines("source_amount,source_currency", "x,usd", "1,usd", "1", "1,$", "\x00", "2,eur")
    assert [fault.partition(" ")[0] for fault in faults(data + b"\xff\n-1,usd\n")] == [
        *("2:1:", "4:2:", "5:3:", "6:1:", "8:1:", "9:1:")
    ]
    data = lines('{"source_amount": "x"}', "{}", "[", '{"colour": 1}', '{"source_amount": 0}')
    assert [fault.partition(" ")[0] for fault in faults(data, "jsonl")] == [
        *("1:19:", "3:2:", "4:2:", "5:19:")
    ]


def test_the_line_after_one_that_is_too_long_is_the_next_one() -> None:
    data = b"source_amount\n" + b"1" * (3 * MAX_LINE) + b"\nx\n5\n" + b"2" * (MAX_LINE + 1)
    assert [fault.partition(": ")[0] for fault in faults(data)] == ["2:1", "3:1", "5:1"]


def test_every_name_of_a_header_that_is_wrong_is_found_and_no_line_is_judged() -> None:
    found = faults(b"a,source_amount,b,source_amount\nx,y,z,1\n")
    assert [fault.partition(" ")[0] for fault in found] == ["1:1:", "1:17:", "1:19:"]
    assert faults(b'"source_amount\n1\n') == [
        "1:1: a quote that is not closed in its line, or out of place: '\"source_amount'"
    ]
    assert faults(b"\xff\n1\n") == ["1:1: not UTF-8: byte 0xff"]


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"source_amount;source_currency\n1;usd\n", "must separate the columns, here semicolons"),
        (
            b"source_amount\tsource_currency\n1\tusd\n",
            "must separate the columns, here tabs",
        ),
        (b"source_amount|source_currency\n1|usd\n", "must separate the columns, here bars"),
        (b"source_amount,source_currency\n1;usd\n", "must separate the cells, here semicolons"),
        (b"source_amuont\n1\n", "Is it source_amount?"),
        (b"Source Amount\n1\n", "Is it source_amount?"),
        (b"destination_network\nbase\n", "Is it destination_networks?"),
        (b"colour\nred\n", "--keep-columns passes other columns through"),
        (b'destination_networks\n"base,solana"\n', "Spaces separate the values of a list"),
        (b"destination_networks\nbase;solana\n", "Spaces separate the values of a list"),
        (b"destination_networks\nbase|solana\n", "Spaces separate the values of a list"),
        (b"destination_networks,source_amount\nbase,solana,5\n", "Quote a cell that has a comma"),
        (b'source_amount\n"1,50"\n', "Write digits and a point alone, such as 1234.50"),
        (b"source_amount\n$5\n", "Write digits and a point alone, such as 1234.50"),
        (b"source_amount\n1 000.50\n", "Write digits and a point alone, such as 1234.50"),
        ("source_amount\n5 €\n".encode(), "Write digits and a point alone, such as 1234.50"),
    ],
)
def test_what_would_be_right_is_told(data: bytes, hint: str) -> None:
    (found,) = faults(data)
    assert hint in found


def test_a_value_is_shown_short_and_escaped() -> None:
    (found,) = faults("source_amount\n\x9b31m\u202e".encode() + b"x" * 500 + b"\n")
    assert found.endswith("; it is '\\x9b31m\\u202e" + "x" * 34 + "…'")
    (found,) = faults(lines('{"source_amount": ["' + "x" * 500 + '"]}'), "jsonl")
    assert found.endswith('xxx…"')
    assert len(found) < 160
    (found,) = faults("\x9b2J;\u202e\n1\n".encode())
    assert found.isprintable()


def test_a_report_has_the_first_twenty_and_a_count() -> None:
    wrong = [InputError(n, 1, "is wrong") for n in range(2, 1502)]
    assert report("q.csv", []) is None
    assert report("q.csv", wrong[:1]) == "q.csv:2:1: is wrong"
    told = report("q.csv", wrong)
    assert told is not None
    first, *middle, last = told.splitlines()
    assert first == "1,500 faults in q.csv, nothing was sent:"
    assert middle == [f"q.csv:{n}:1: is wrong" for n in range(2, 22)]
    assert last == "... and 1,480 more"
    told = report("q.csv", wrong[:20])
    assert told is not None
    assert told.splitlines()[-1] == "q.csv:21:1: is wrong"


# --- columns that are passed through ------------------------------------------------------------


def test_other_columns_are_kept_if_that_is_asked_for() -> None:
    data = 'ref,source_amount,note\nA-1,5,"x, ""y"""\n,6,ü\n'.encode()
    assert [query.kept for query in read_queries(io.BytesIO(data), "csv", keep=True)] == [
        {"ref": '"A-1"', "note": '"x, \\"y\\""'},
        {"ref": '""', "note": '"\\u00fc"'},
    ]
    data = lines('{"ref": 1.50, "source_amount": 5}', '{"n": null, "o": {"a": [1e3, "\\u001b"]}}')
    assert [query.kept for query in read_queries(io.BytesIO(data), "jsonl", keep=True)] == [
        {"ref": "1.50"},
        {"n": "null", "o": '{"a": [1e3, "\\u001b"]}'},
    ]


@pytest.mark.parametrize(
    ("data", "form", "problem"),
    [
        (b"source_amout,ref\n5,x\n", "csv", "1:1: unknown column 'source_amout'; there are"),
        (b"source_currency,Source-Amount\nusd,5\n", "csv", "1:17: unknown column 'Source-Amount'"),
        (b"ref,note\nx,y\n", "csv", "1:1: unknown column 'ref'; there are"),
        (b"ref;source_amount\nx;5\n", "csv", "1:1: unknown column 'ref;source_amount'; there are"),
        (b"source_amount,\n5,x\n", "csv", "1:15: unknown column ''; there are"),
        (b"source_amount,a,a\n5,x,y\n", "csv", "1:17: the column 'a' is there twice"),
        (b'{"source_amout": 5}\n', "jsonl", "1:2: unknown column 'source_amout'; there are"),
        (b'{"a": 5, "a": 6}\n', "jsonl", "1:10: the column 'a' is there twice"),
        (b'{"a\\nb": 5}\n', "jsonl", "1:2: unknown column 'a\\nb'; there are"),
    ],
)
def test_a_column_that_is_nearly_a_parameter_is_not_kept(
    data: bytes, form: Any, problem: str
) -> None:
    assert [fault[: len(problem)] for fault in faults(data, form, keep=True)] == [problem]
