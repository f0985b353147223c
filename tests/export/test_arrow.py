"""Lists as streams of Arrow: what readers get, when it is asked for, and how a read ends."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pinstripe.sync
from pinstripe import (
    ConfigurationError,
    ConnectionLost,
    DecodeError,
    Pager,
    Request,
    Response,
    UnfitError,
)
from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._concurrency.loop_thread import leases
from pinstripe.export import ArrowStream, _arrow, to_arrow
from pinstripe.sandbox import Sandbox
from pinstripe.sync import Pager as BlockingPager
from tests.support.dated import DatedShelf, dated_pager
from tests.support.exported import NEWEST, sixty

pytestmark = pytest.mark.anyio


def with_polars(stream: ArrowStream) -> list[str]:
    polars = pytest.importorskip("polars")
    return list(polars.DataFrame(stream)["id"])


def with_duckdb(stream: ArrowStream) -> list[str]:
    duckdb = pytest.importorskip("duckdb")
    return [id for (id,) in duckdb.sql("select id from stream").fetchall()]


def with_pandas(stream: ArrowStream) -> list[str]:
    pandas = pytest.importorskip("pandas", minversion="3")
    return list(pandas.DataFrame.from_arrow(stream)["id"])


def with_pyarrow(stream: ArrowStream) -> list[str]:
    ids: list[str] = pa.table(stream)["id"].to_pylist()
    return ids


READERS = [with_polars, with_duckdb, with_pandas, with_pyarrow]
Reader = Callable[[ArrowStream], list[str]]
IDS = [f"it_{n}" for n in reversed(range(60))]


async def nothing() -> None:
    pass


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_arrow, "BATCH", 7)


@pytest.fixture(autouse=True)
def loop_thread_is_given_back(loop_thread_ends: None) -> None:
    """A read that is given up leaves the thread running."""


# --- what readers get ---------------------------------------------------------------------------


@pytest.mark.parametrize("read", READERS)
@pytest.mark.usefixtures("small_batches")
async def test_a_reader_gets_every_object_in_order(read: Reader) -> None:
    stream = await to_arrow(dated_pager(sixty(), limit=5))
    assert await asyncio.to_thread(read, stream) == IDS
    # A second read is a walk of its own.
    assert await asyncio.to_thread(read, stream) == IDS
    assert stream.error is None
    assert not leases._holders


@pytest.mark.parametrize("reveal", [True, False])
def test_the_columns_and_values_are_those_of_an_export(sandbox: Sandbox, tmp_path, reveal) -> None:
    path = tmp_path / "sessions.parquet"
    with sandbox.sync_client() as stripe:
        sessions = stripe.identity.verification_sessions
        sessions.create(type="document", metadata={"k": "CANARY"}, return_url="https://a.example")
        sessions.create(type="id_number", client_reference_id="CANARY")
        stream = pinstripe.sync.to_arrow(sessions.list(), reveal=reveal)
        pinstripe.sync.to_file(sessions.list(), path, reveal=reveal)
        table = pa.table(stream)
        assert table == pq.read_table(path)
        assert table.num_rows == 2
        assert ("CANARY" in str(table.to_pylist())) == reveal


def test_a_list_without_objects_has_columns_too(sandbox: Sandbox) -> None:
    with sandbox.sync_client() as stripe:
        table = pa.table(pinstripe.sync.to_arrow(stripe.climate.orders.list()))
    assert table.num_rows == 0
    assert table.schema.field("metric_tons").type == pa.decimal128(38, 18)


async def test_a_reader_may_ask_for_other_types() -> None:
    stream = await to_arrow(dated_pager(sixty()))
    wanted = pa.schema([("id", pa.large_string()), ("created", pa.timestamp("us", tz="UTC"))])
    table = await asyncio.to_thread(pa.table, stream, schema=wanted)
    assert table.schema == wanted


async def test_the_list_decides_how_far_a_read_goes() -> None:
    stream = await to_arrow(dated_pager(sixty(), limit=4, max_items=9))
    assert await asyncio.to_thread(with_pyarrow, stream) == IDS[:9]


# --- when it is asked for -----------------------------------------------------------------------


@pytest.mark.usefixtures("small_batches")
async def test_pages_are_asked_for_as_the_reader_goes() -> None:
    shelf = DatedShelf(range(NEWEST - 3000, NEWEST))
    shelf_of_all = len(range(0, 3000, 5))
    stream = await to_arrow(dated_pager(shelf, limit=5), windows=1)
    assert shelf.asked == []
    reader = pa.RecordBatchReader.from_stream(stream)
    assert shelf.asked == []
    batch = await asyncio.to_thread(reader.read_next_batch)
    assert batch.num_rows == 7
    assert 2 <= len(shelf.asked) < shelf_of_all / 10


@pytest.mark.parametrize("blocks", [True, False])
async def test_a_coroutine_that_reads_itself_is_warned(blocks) -> None:
    stream = await to_arrow(dated_pager(sixty()))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if blocks:
            assert with_pyarrow(stream) == IDS
        else:
            assert await asyncio.to_thread(with_pyarrow, stream) == IDS
    assert [warning.category for warning in caught] == [RuntimeWarning] * blocks
    if blocks:
        assert "read the stream in another thread" in str(caught[0].message)
        assert caught[0].filename == __file__


def test_the_loop_thread_itself_cannot_read() -> None:
    bridge = LoopBridge("test")

    async def read() -> BaseException | None:
        stream = await to_arrow(dated_pager(sixty()))
        with pytest.raises(OSError, match=r"pinstripe\.ConfigurationError: client: would wait"):
            with_pyarrow(stream)
        return stream.error

    assert isinstance(bridge.run(read), ConfigurationError)
    bridge.close(nothing)


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", READERS)
@pytest.mark.usefixtures("small_batches")
async def test_an_error_in_the_middle_reaches_the_reader_and_is_kept(read: Reader) -> None:
    shelf = sixty()
    stream = await to_arrow(dated_pager(shelf, limit=5), windows=1)
    shelf.fail_at = 6
    with pytest.raises(Exception, match=r"pinstripe\.ConnectionLost: cut") as caught:
        await asyncio.to_thread(read, stream)
    assert not isinstance(caught.value, ConnectionLost)
    assert isinstance(stream.error, ConnectionLost)
    assert not leases._holders
    shelf.fail_at = None
    assert await asyncio.to_thread(read, stream) == IDS
    assert stream.error is None


def odd() -> Pager[Any]:
    """A list of three objects, walked backwards, of which the second does not fit."""

    async def send(request: Request) -> Response:
        data = [{"id": f"it_{n}", "created": n if n != 2 else "CANARY"} for n in (3, 2, 1)]
        page = {"object": "list", "data": data, "has_more": False}
        return Response(status=200, headers={}, body=json.dumps(page).encode())

    shelf = DatedShelf([])
    shelf.send = send  # type: ignore[method-assign]
    return dated_pager(shelf, ending_before="it_0")


async def test_an_object_that_does_not_fit_ends_a_read_or_is_skipped() -> None:
    stream = await to_arrow(odd())
    with pytest.raises(OSError, match=r"pinstripe\.UnfitError") as caught:
        await asyncio.to_thread(with_pyarrow, stream)
    assert "CANARY" not in str(caught.value)
    assert isinstance(stream.error, UnfitError)
    left_out: list[UnfitError] = []
    stream = await to_arrow(odd().skip_unfit(left_out.append))
    assert await asyncio.to_thread(with_pyarrow, stream) == ["it_1", "it_3"]
    assert [error.id for error in left_out] == ["it_2"]


async def test_an_error_of_the_users_function_is_kept_as_it_is() -> None:
    def fail(_: UnfitError) -> None:
        raise KeyError("mine")

    stream = await to_arrow(odd().skip_unfit(fail))
    with pytest.raises(OSError, match="IOError: KeyError: 'mine'"):
        await asyncio.to_thread(with_pyarrow, stream)
    assert isinstance(stream.error, KeyError)


def test_a_value_that_does_not_fit_its_column_is_not_shown(sandbox: Sandbox) -> None:
    with sandbox.sync_client() as stripe:
        product = next(iter(stripe.climate.products.list()))
        stripe.climate.orders.create(product=product.id, metric_tons="1.5", currency="usd")
        stream = pinstripe.sync.to_arrow(stripe.climate.orders.list())
        rows = stream._rows
        rows._types["amount_total"] = pa.int8()
        with pytest.raises(OSError, match="a value of the column amount_total") as caught:
            pa.table(stream)
        assert isinstance(stream.error, DecodeError)
        assert stream.error.path == "amount_total"
        assert stream.error.__context__ is None
        assert "out of bounds" not in str(caught.value)


def test_a_closed_client_ends_a_read(sandbox: Sandbox) -> None:
    with sandbox.sync_client() as stripe:
        stream = pinstripe.sync.to_arrow(stripe.climate.products.list())
    with pytest.raises(OSError, match=r"pinstripe\.ConfigurationError: client: is closed"):
        pa.table(stream)


async def test_the_end_of_an_async_client_ends_a_read(sandbox: Sandbox) -> None:
    async with sandbox.client() as stripe:
        stream = await to_arrow(stripe.climate.products.list())
        assert len(await asyncio.to_thread(with_pyarrow, stream)) > 2
    with pytest.raises(OSError, match=r"pinstripe\.ConfigurationError: client: is closed"):
        await asyncio.to_thread(with_pyarrow, stream)


@pytest.mark.usefixtures("sigint_reaches_us")
def test_an_interrupted_read_keeps_the_interruption() -> None:
    shelf = sixty()

    async def wait() -> None:
        # To the main thread, which waits: in another one it would wake nobody.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        await asyncio.Event().wait()

    shelf.wait = wait
    bridge = LoopBridge("test")
    stream = pinstripe.sync.to_arrow(BlockingPager(dated_pager(shelf), bridge), windows=1)
    with pytest.raises(OSError, match="IOError: KeyboardInterrupt"):
        pa.table(stream)
    assert isinstance(stream.error, KeyboardInterrupt)
    bridge.close(nothing)


# --- reads that are given up --------------------------------------------------------------------


@pytest.mark.parametrize("is_blocking", [True, False])
@pytest.mark.usefixtures("small_batches")
async def test_a_read_that_is_given_up_stops_its_requests(is_blocking) -> None:
    shelf, held, ended = sixty(), threading.Event(), threading.Event()

    async def wait() -> None:
        if len(shelf.asked) > 4:
            held.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    shelf.wait = wait
    pager = dated_pager(shelf, limit=5)
    bridge = LoopBridge("test")
    if is_blocking:
        stream = pinstripe.sync.to_arrow(BlockingPager(pager, bridge), windows=1)
    else:
        stream = await to_arrow(pager, windows=1)
    reader = pa.RecordBatchReader.from_stream(stream)
    assert (await asyncio.to_thread(reader.read_next_batch)).num_rows == 7
    assert await asyncio.to_thread(held.wait, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del reader
        gc.collect()
    assert await asyncio.to_thread(ended.wait, 60)
    assert stream.error is None
    await asyncio.to_thread(bridge.close, nothing)


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"pager": []}, "pager"),
        ({"reveal": 1}, "reveal"),
        ({"windows": 0}, "windows"),
        ({"windows": 257}, "windows"),
        ({"windows": "4"}, "windows"),
    ],
)
async def test_a_wrong_argument_is_refused_by_its_name(arguments, argument) -> None:
    shelf = sixty()
    with pytest.raises(ConfigurationError) as caught:
        await to_arrow(**{"pager": dated_pager(shelf), **arguments})
    assert caught.value.argument == argument
    blocking = BlockingPager(dated_pager(shelf), LoopBridge("test"))
    with pytest.raises(ConfigurationError) as caught:
        pinstripe.sync.to_arrow(**{"pager": blocking, **arguments})
    assert caught.value.argument == argument
    assert shelf.asked == []


async def test_without_pyarrow_the_error_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r'pip install "pinstripe\[parquet\]"') as caught:
        await to_arrow(dated_pager(sixty()))
    assert caught.value.argument == "to_arrow"


async def test_a_stream_shows_which_list_it_is_of() -> None:
    assert repr(await to_arrow(dated_pager(sixty()))) == "ArrowStream('/v1/dated')"
