"""Exports: stable columns, exact values, and files that are complete or can be resumed."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import evolve

from pinstripe import (
    ConfigurationError,
    ConnectionLost,
    Created,
    DecodeError,
    crypto,
    events,
    files,
    from_dict,
    response_of,
)
from pinstripe._models.record import Listed, Private, Record, model
from pinstripe._resources.pager import reader_of
from pinstripe.export import ExportProgress, to_file
from pinstripe.export._columns import columns_of
from pinstripe.export._formats import encoder_for
from pinstripe.identity import VerificationSession
from pinstripe.sandbox import Sandbox
from tests.support.dated import DatedShelf, dated_pager

pytestmark = pytest.mark.anyio

NEWEST = 1_790_000_000
FORMATS = ("jsonl", "csv", "parquet")


@model
class Inner(Record):
    shown: str | None = None
    hidden: Private[str] = "secret"


@model
class Whole(Listed):
    id: str
    created: datetime
    kind: Literal["a", "b"] | str = "a"
    count: int | None = None
    rate: float | None = None
    live: bool = False
    amount: Decimal | None = None
    born: date | None = None
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    other: str | VerificationSession | None = None
    notes: Private[Mapping[str, str]] = {}


MADE = Whole(
    id="w_1",
    created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
    count=2**60,
    rate=0.5,
    live=True,
    amount=Decimal("12345678901234567890.123456789012345678"),
    born=date(2000, 2, 29),
    inner=Inner(shown='a "quoted",\nword'),
    inners=(Inner(shown="x"),),
    other=VerificationSession(
        id="vs_1",
        created=datetime.now(timezone.utc),
        livemode=False,
        status="verified",
        type="document",
        metadata={},
    ),
    notes={"k": "ü"},
)
BARE = Whole(id="w_2", created=MADE.created, other="vs_2")


def read(format: str, data: bytes, path: Path) -> list[dict[str, Any]]:
    if format == "jsonl":
        return [json.loads(line) for line in data.splitlines()]
    if format == "csv":
        return list(csv.DictReader(data.decode().splitlines(keepends=True)))
    finish = encoder_for("parquet", columns_of(Whole, reveal=True)).finish
    assert finish is not None
    with (path / "x.parquet").open("wb") as output:
        finish(io.BytesIO(data), output)
    rows: list[dict[str, Any]] = pq.read_table(path / "x.parquet").to_pylist()
    return rows


def encoded(format: Any, path: Path) -> list[dict[str, Any]]:
    encoder = encoder_for(format, columns_of(Whole, reveal=True))
    return read(format, encoder.header() + encoder.encode([MADE]) + encoder.encode([BARE]), path)


# --- columns ------------------------------------------------------------------------------------


def test_the_columns_of_a_model() -> None:
    kinds = {column.name: column.kind for column in columns_of(Whole, reveal=True)}
    assert kinds == {
        "id": "text",
        "created": "timestamp",
        "kind": "text",
        "count": "integer",
        "rate": "number",
        "live": "boolean",
        "amount": "decimal",
        "born": "date",
        "inner.shown": "text",
        "inner.hidden": "text",
        "inners": "json",
        "other": "text",
        "notes": "json",
    }


def test_private_fields_are_left_out_unless_asked_for() -> None:
    columns = {column.name: column for column in columns_of(Whole, reveal=False)}
    assert not {"inner.hidden", "notes"} & set(columns)
    assert columns["inners"].read(MADE) == '[{"shown":"x"}]'
    revealed = {column.name: column for column in columns_of(Whole, reveal=True)}
    assert revealed["inners"].read(MADE) == '[{"shown":"x","hidden":"secret"}]'
    names = {column.name for column in columns_of(VerificationSession, reveal=False)}
    assert "status" in names
    assert not any(name.startswith(("verified_outputs", "client_", "metadata")) for name in names)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (VerificationSession, {"last_error.code": "text", "verified_outputs.dob.year": "integer"}),
        (crypto.OnrampSession, {"transaction_details.destination_amount": "decimal"}),
        (events.Event, {"data.object": "json", "request.id": "text"}),
        (files.File, {"expires_at": "timestamp", "links.data": "json"}),
    ],
)
def test_columns_of_the_api(kind, names) -> None:
    kinds = {column.name: column.kind for column in columns_of(kind, reveal=True)}
    assert names.items() <= kinds.items()


# --- formats ------------------------------------------------------------------------------------


def test_json_lines_are_exact(tmp_path) -> None:
    made, bare = encoded("jsonl", tmp_path)
    assert made["amount"] == "12345678901234567890.123456789012345678"
    assert (made["created"], made["born"]) == ("2026-01-02T03:04:05Z", "2000-02-29")
    assert (made["count"], made["rate"], made["live"]) == (2**60, 0.5, True)
    assert (made["inner.shown"], made["other"]) == ('a "quoted",\nword', "vs_1")
    assert json.loads(made["notes"]) == {"k": "ü"}
    assert bare["amount"] is bare["inner.shown"] is None
    assert bare["other"] == "vs_2"


def test_csv_is_exact(tmp_path) -> None:
    made, bare = encoded("csv", tmp_path)
    assert made["amount"] == "12345678901234567890.123456789012345678"
    assert (made["count"], made["live"], bare["live"]) == (str(2**60), "true", "false")
    assert made["inner.shown"] == 'a "quoted",\nword'
    assert bare["amount"] == bare["inner.shown"] == ""


def test_parquet_is_exact(tmp_path) -> None:
    made, bare = encoded("parquet", tmp_path)
    assert made["amount"] == MADE.amount
    assert (made["created"], made["born"], made["count"]) == (MADE.created, MADE.born, 2**60)
    assert bare["amount"] is bare["inner.shown"] is None
    schema = pq.read_schema(tmp_path / "x.parquet")
    assert schema.field("amount").type == pa.decimal128(38, 18)
    assert schema.field("created").type == pa.timestamp("us", tz="UTC")
    assert schema.field("live").type == pa.bool_()


@pytest.mark.parametrize("change", [{"amount": Decimal("1e-19")}, {"count": 2**70}])
def test_a_value_that_parquet_would_round_is_an_error(change) -> None:
    facts = {"id": "w", "created": MADE.created, **change}
    encoder = encoder_for("parquet", columns_of(Whole, reveal=True))
    with pytest.raises(DecodeError, match="does not fit") as caught:
        encoder.encode([Whole(**facts)])
    assert caught.value.path == next(iter(change))


# --- from the API to a file ---------------------------------------------------------------------


def content(path: Path) -> Any:
    return pq.read_table(path).to_pylist() if path.suffix == ".parquet" else path.read_bytes()


@pytest.fixture
def small_batches(monkeypatch) -> None:
    monkeypatch.setattr("pinstripe.export._export.BATCH", 7)


@pytest.mark.parametrize("format", FORMATS)
async def test_a_whole_export(tmp_path, format) -> None:
    path, reports = tmp_path / f"things.{format}", list[ExportProgress]()
    async with Sandbox(seed=3) as sandbox, sandbox.client() as stripe:
        sandbox.identity.seed(2300, interval=20)
        pager = stripe.identity.verification_sessions.list()
        assert await to_file(pager, path, on_progress=reports.append) == 2300
        ids = [session.id async for session in pager]
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o077 == 0
    if format == "jsonl":
        assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ids
    elif format == "csv":
        with path.open() as file:
            assert [row["id"] for row in csv.DictReader(file)] == ids
    else:
        assert pq.read_table(path)["id"].to_pylist() == ids
    assert reports[-1].items == 2300
    assert [now.items for now in reports] == sorted(now.items for now in reports)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("fail_at", [1, 2, 5, 9])
@pytest.mark.usefixtures("small_batches")
async def test_after_an_error_resume_does_the_rest(tmp_path, format, fail_at) -> None:
    shelf = DatedShelf(range(NEWEST - 600, NEWEST, 10))
    whole, path = tmp_path / f"whole.{format}", tmp_path / f"things.{format}"
    await to_file(dated_pager(shelf, limit=5), whole)
    shelf.fail_at = len(shelf.asked) + fail_at
    with pytest.raises(ConnectionLost):
        await to_file(dated_pager(shelf, limit=5), path, windows=2)
    assert not path.exists()
    if fail_at > 1:
        with pytest.raises(ConfigurationError, match="begun by an earlier run"):
            await to_file(dated_pager(shelf, limit=5), path)
    asked = len(shelf.asked)
    assert await to_file(dated_pager(shelf, limit=5), path, windows=2, resume=True) == 60
    assert content(path) == content(whole)
    assert len(shelf.asked) - asked < 20
    assert sorted(tmp_path.iterdir()) == sorted([path, whole])


@pytest.mark.usefixtures("small_batches")
async def test_a_cancelled_export_keeps_what_was_read(tmp_path) -> None:
    shelf, path = DatedShelf(range(NEWEST - 600, NEWEST, 10)), tmp_path / "things.jsonl"
    seen = asyncio.Event()

    async def wait() -> None:
        if len(shelf.asked) > 4:
            seen.set()
            await asyncio.Event().wait()

    shelf.wait = wait
    task = asyncio.create_task(to_file(dated_pager(shelf, limit=5), path, windows=1))
    await seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    items = json.loads((tmp_path / ".things.jsonl.mark").read_text())["items"]
    assert 7 <= items <= 20
    assert len((tmp_path / ".things.jsonl.part").read_text().splitlines()) == items
    shelf.wait = lambda: asyncio.sleep(0)
    assert await to_file(dated_pager(shelf, limit=5), path, resume=True) == 60
    assert len(path.read_text().splitlines()) == 60


@pytest.mark.usefixtures("small_batches")
async def test_what_a_killed_run_wrote_behind_its_mark_is_cut_off(tmp_path) -> None:
    shelf, path = DatedShelf(range(NEWEST - 600, NEWEST, 10)), tmp_path / "things.csv"
    shelf.fail_at = 6
    with pytest.raises(ConnectionLost):
        await to_file(dated_pager(shelf, limit=5), path, windows=1)
    with (tmp_path / ".things.csv.part").open("ab") as file:
        file.write(b"it_3,2026-0")
    assert await to_file(dated_pager(shelf, limit=5), path, resume=True) == 60
    assert [row["id"] for row in csv.DictReader(path.read_text().splitlines())] == [
        f"it_{n}" for n in reversed(range(60))
    ]


@pytest.mark.usefixtures("small_batches")
async def test_resume_refuses_another_export_and_damaged_files(tmp_path) -> None:
    shelf, path = DatedShelf(range(NEWEST - 600, NEWEST, 10)), tmp_path / "things.csv"
    shelf.fail_at = 4
    with pytest.raises(ConnectionLost):
        await to_file(dated_pager(shelf, limit=5), path)
    created = Created(gte=datetime.fromtimestamp(NEWEST - 100, timezone.utc))
    for pager, format in (
        (dated_pager(shelf, limit=5, created=created), None),
        (dated_pager(shelf, limit=5, max_items=9), None),
        (dated_pager(shelf, limit=5), "jsonl"),
    ):
        with pytest.raises(ConfigurationError, match="another list"):
            await to_file(pager, path, format=format, resume=True)
    (tmp_path / ".things.csv.part").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="damaged"):
        await to_file(dated_pager(shelf, limit=5), path, resume=True)
    assert await to_file(dated_pager(shelf, limit=5), path, overwrite=True) == 60


@pytest.mark.parametrize("format", FORMATS)
async def test_an_empty_list_is_a_file_too(tmp_path, format) -> None:
    path = tmp_path / f"things.{format}"
    assert await to_file(dated_pager(DatedShelf([])), path) == 0
    assert content(path) == {"jsonl": b"", "csv": b"id,created\n", "parquet": []}[format]


@pytest.mark.usefixtures("small_batches")
async def test_max_items_counts_over_all_runs(tmp_path) -> None:
    shelf, path = DatedShelf(range(NEWEST - 600, NEWEST, 10)), tmp_path / "things.jsonl"
    shelf.fail_at = 4
    with pytest.raises(ConnectionLost):
        await to_file(dated_pager(shelf, limit=5, max_items=23), path, windows=1)
    reports = list[ExportProgress]()
    pager = dated_pager(shelf, limit=5, max_items=23)
    assert await to_file(pager, path, resume=True, on_progress=reports.append) == 23
    assert len(path.read_text().splitlines()) == 23


async def test_an_export_whose_last_step_failed_is_finished_without_asking(tmp_path) -> None:
    shelf, path = DatedShelf([NEWEST, NEWEST - 9]), tmp_path / "things.jsonl"

    def sabotage() -> None:
        path.mkdir(exist_ok=True)

    shelf.on_answer = sabotage
    with pytest.raises(OSError, match="things"):
        await to_file(dated_pager(shelf, max_items=2), path)
    path.rmdir()
    asked = len(shelf.asked)
    assert await to_file(dated_pager(shelf, max_items=2), path, resume=True) == 2
    assert len(shelf.asked) == asked


async def test_a_walk_without_bodies_keeps_what_else_is_known_of_an_answer() -> None:
    async with Sandbox(seed=3) as sandbox, sandbox.client() as stripe:
        sandbox.identity.seed(3)
        pager = stripe.identity.verification_sessions.list()
        lean = reader_of(pager).without_bodies()
        for items in (lean, lean.parallel()):
            found = [session async for session in items]
            assert [response_of(session).body for session in found] == [b""] * 3
            assert response_of(found[0]).status == 200
            assert response_of(found[0]).request_id
        assert b"vs_" in response_of(await pager).body


async def test_a_list_without_the_filter_is_walked_serially(tmp_path) -> None:
    async with Sandbox(seed=3) as sandbox, sandbox.client() as stripe:
        count = await to_file(stripe.climate.products.list(), tmp_path / "products.parquet")
    assert count == pq.read_metadata(tmp_path / "products.parquet").num_rows > 0


@pytest.mark.parametrize("given", [True, False])
async def test_progress_tells_a_part_where_the_end_is_known(tmp_path, given) -> None:
    shelf, reports = DatedShelf(range(NEWEST - 4000, NEWEST, 10)), list[ExportProgress]()
    created = Created(gte=datetime.fromtimestamp(NEWEST - 4000, timezone.utc)) if given else None
    pager = dated_pager(shelf, created=created)
    await to_file(pager, tmp_path / "x.csv", on_progress=reports.append)
    parts = [now.fraction for now in reports]
    assert [now.items for now in reports] == [100, 200, 300, 400]
    assert parts == ([pytest.approx(n / 4, abs=0.01) for n in range(1, 5)] if given else [None] * 4)
    reports.clear()
    pager = dated_pager(shelf, max_items=200)
    await to_file(pager, tmp_path / "y.csv", on_progress=reports.append)
    assert [now.fraction for now in reports] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("name", "settings", "argument"),
    [
        ("things.txt", {}, "format"),
        ("things.csv", {"format": "xml"}, "format"),
        ("nowhere/things.csv", {}, "output"),
        (".", {"format": "csv"}, "output"),
        ("there.csv", {}, "output"),
        ("there.csv", {"resume": True}, "output"),
        ("things.csv", {"windows": 0}, "windows"),
    ],
)
async def test_wrong_arguments_are_refused_before_anything_is_sent(
    tmp_path, name, settings, argument
) -> None:
    (tmp_path / "there.csv").write_text("mine")
    shelf = DatedShelf([NEWEST])
    with pytest.raises(ConfigurationError) as caught:
        await to_file(dated_pager(shelf), tmp_path / name, **settings)
    assert (caught.value.argument, shelf.asked) == (argument, [])
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]


async def test_a_wrong_output_and_a_backward_walk_are_refused(tmp_path) -> None:
    for output in (None, "", ".", "/"):
        wrong: Any = output
        with pytest.raises(ConfigurationError, match="output: must be a"):
            await to_file(dated_pager(DatedShelf([])), wrong, format="csv")
    with pytest.raises(ConfigurationError, match="not backwards"):
        await to_file(dated_pager(DatedShelf([]), ending_before="it_1"), tmp_path / "x.csv")


def test_base_is_called_as_in_arguments() -> None:
    columns = {column.name: column for column in columns_of(crypto.OnrampSession, reveal=True)}
    data = {
        "id": "cos_1",
        "created": 1,
        "livemode": False,
        "status": "initialized",
        "client_secret": "cos_1_secret_1",
        "transaction_details": {"wallet_addresses": {"base_network": "0x1", "newer": "0x2"}},
        "metadata": {"base_network": "mine"},
    }
    session = from_dict(crypto.OnrampSession, data)
    wallets = columns["transaction_details.wallet_addresses"].read(session)
    assert json.loads(wallets) == {"base": "0x1", "newer": "0x2"}
    # What the caller wrote stays as it is.
    assert json.loads(columns["metadata"].read(session)) == {"base_network": "mine"}


def test_a_carriage_return_stays_in_its_cell() -> None:
    """Before Python 3.13 its library writes one without quotes, which ends the row."""
    encoder = encoder_for("csv", columns_of(Whole, reveal=True))
    data = encoder.header() + encoder.encode([evolve(MADE, kind="a\rb"), BARE])
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert [row["kind"] for row in rows] == ["a\rb", "a"]
    assert b"\r\n" not in data


def test_formulas_are_guarded_in_texts_alone() -> None:
    odd = evolve(MADE, kind="=1", amount=Decimal(-5), count=-5, inner=Inner(shown="-1", hidden="+"))
    columns = columns_of(Whole, reveal=True)
    for escape, expected in ((False, ["=1", "-1", "+"]), (True, ["'=1", "'-1", "'+"])):
        encoder = encoder_for("csv", columns, escape_formulas=escape)
        data = encoder.header() + encoder.encode([odd])
        (row,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
        assert [row["kind"], row["inner.shown"], row["inner.hidden"]] == expected
        assert (row["amount"], row["count"]) == ("-5", "-5")
    for format in ("jsonl", "parquet"):
        with pytest.raises(ConfigurationError, match="escape_formulas: is for csv alone"):
            encoder_for(format, columns, escape_formulas=True)


@pytest.mark.usefixtures("small_batches")
async def test_an_export_with_guarded_formulas_is_another_one(tmp_path) -> None:
    shelf, path = DatedShelf(range(NEWEST - 300, NEWEST, 10)), tmp_path / "things.csv"
    shelf.fail_at = 2
    with pytest.raises(ConnectionLost):
        await to_file(dated_pager(shelf, limit=10), path)
    shelf.fail_at = None
    with pytest.raises(ConfigurationError, match="resume: "):
        await to_file(dated_pager(shelf, limit=10), path, resume=True, escape_formulas=True)


async def test_parquet_without_its_library_says_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r'pip install "pinstripe\[parquet\]"'):
        await to_file(dated_pager(DatedShelf([])), tmp_path / "things.parquet")
