"""Lists as streams of Arrow, which frame libraries read.

https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html

A library that reads such a stream asks for one batch of rows after the other, in a thread of its
choice, and waits until it has the batch. DuckDB reads in threads of its own while the caller's
thread waits for the result. If the pages came from the event loop of the caller, it would wait for
itself, and nothing in a read could notice that. So the pages always come from the loop thread of
the process, on which the blocking clients run too, and a stream can be read in every thread. An
`AsyncClient` may be used in several event loops; its limits count in each by itself.

The end of a read closes what it has opened on that loop. If a read is given up, a finalizer may be
what notices it, and that must not wait: the connections stay until the client is closed, and the
thread until a blocking client or the process ends.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import islice
from traceback import format_exception_only
from typing import Any, Final, TypeVar

from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._core.checks import check_flag, check_whole_number, kind_of
from pinstripe._core.errors import ConfigurationError, DecodeError
from pinstripe._core.tracebacks import FRAMELESS, UserCodeError, hide_frames, without_frames
from pinstripe._models.record import Listed
from pinstripe._resources.pager import WINDOWS, Pager, reader_of
from pinstripe._resources.unfit import OnUnfit, take_items
from pinstripe._resources.walkers import PageWalker
from pinstripe.export._columns import Column, Kind, columns_of_list
from pinstripe.export._threads import finish_in_thread

_L = TypeVar("_L", bound=Listed)

BATCH: Final = 1_000
"""Objects in a batch of rows: few enough for the memory, many enough for a frame of few chunks."""

_ADVICE = "read the stream in another thread instead, as asyncio.to_thread does"


class ArrowRows:
    """Makes batches of Arrow of objects: decimals as decimal128(38, 18), times in UTC.

    Args:
        columns: The columns of each row.
        argument: The name to give in the error if pyarrow is missing.

    Raises:
        ConfigurationError: pyarrow is missing.
    """

    def __init__(self, columns: Sequence[Column], argument: str) -> None:
        self._columns = columns
        self._arrow = import_arrow("pyarrow", argument)
        self.pool = self._arrow.system_memory_pool()
        self._types = {column.name: _type(self._arrow, column.kind) for column in columns}
        self.schema = self._arrow.schema(list(self._types.items()))

    def batch(self, items: Sequence[Any]) -> Any:
        """Return the rows of some objects, as a `pyarrow.RecordBatch`.

        Args:
            items: The objects.

        Raises:
            DecodeError: A value does not fit into its column.
        """
        arrays = [self._array(column, items) for column in self._columns]
        return self._arrow.record_batch(arrays, schema=self.schema)

    def _array(self, column: Column, items: Sequence[Any]) -> Any:
        values = [column.read(item) for item in items]
        try:
            return self._arrow.array(values, self._types[column.name], memory_pool=self.pool)
        except (self._arrow.ArrowInvalid, OverflowError):
            error = DecodeError(f"a value of the column {column.name} does not fit into it")
        # Raised out here, the error has no context: Arrow's own would show the value.
        error.path = column.name
        raise error

    def capsule(self, batches: Iterator[Any], requested_schema: object) -> object:
        """Return a stream as a capsule of Arrow's C interface.

        Args:
            batches: The batches; the reader takes them one by one.
            requested_schema: A schema that the reader prefers, as a capsule; None for this one.
        """
        reader = self._arrow.RecordBatchReader.from_batches(self.schema, batches)
        return reader.__arrow_c_stream__(requested_schema)


def import_arrow(name: str, argument: str) -> Any:
    """Return a module of pyarrow.

    Args:
        name: Its name.
        argument: The name to give in the error.

    Raises:
        ConfigurationError: pyarrow is missing.
    """
    try:
        return import_module(name)
    except ImportError:
        problem = 'Arrow and Parquet need pyarrow: pip install "pinstripe[parquet]"'
        raise ConfigurationError(argument, problem) from None


def _type(arrow: Any, kind: Kind) -> Any:
    plain = {"integer": "int64", "number": "double", "boolean": "bool", "date": "date32"}
    if kind == "decimal":
        # 38 digits are the most that 128 bits hold; the API has up to 18 places (wei of ether).
        return arrow.decimal128(38, 18)
    if kind == "timestamp":
        return arrow.timestamp("us", tz="UTC")
    return arrow.type_for_alias(plain.get(kind, "string"))


class ArrowStream:
    """A list that frame libraries read as a stream of Arrow; `to_arrow` makes it.

        frame = polars.DataFrame(stream)
        table = pyarrow.table(stream)
        rows = duckdb.sql("select count(*) from stream").fetchall()

    Each read is a walk of its own from the start of the list, and sends nothing before the library
    asks for the first batch. If a read fails, the library raises an error of its own with the text
    of the one of this package, which is kept as `error`.

    Args:
        pager: The list; its objects keep no bodies.
        rows: Makes the batches.
        windows: How many requests may be under way at once.
        bridge: Runs the requests; None for a bridge of each read's own.

    Attributes:
        error: What the latest read ended with; None if it has not failed.
    """

    def __init__(
        self, pager: Pager[Any], rows: ArrowRows, windows: int, bridge: LoopBridge | None
    ) -> None:
        self.error: BaseException | None = None
        self._reader = reader_of(pager)
        self._rows = rows
        self._windows = windows
        self._bridge = bridge
        self._begin()  # refuses a wrong number of windows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._reader.walk.endpoint.template!r})"

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._rows.capsule(self._read(), requested_schema)

    def _begin(self) -> PageWalker[Any]:
        if self._reader.walk.can_be_parallel:
            return self._reader.begin_parallel_walk(self._windows)
        return self._reader.begin_walk()

    def _read(self) -> Generator[Any, None, None]:
        """Yield the batches of one read."""
        self.error = None
        walker = self._begin()
        bridge = self._bridge or LoopBridge(type(self).__name__, _ADVICE)
        items = _items(walker, bridge, self._reader.walk.on_unfit)
        try:
            while batch := list(islice(items, BATCH)):
                yield self._rows.batch(batch)
        except GeneratorExit:
            bridge.post(walker.aclose)
            if bridge is not self._bridge:
                bridge.let_go()
            raise
        except FRAMELESS as error:
            self.error = without_frames(error)
        except UserCodeError as carrier:
            self.error = carrier.error
        except Exception as error:  # noqa: BLE001 -- it is raised below
            self.error = error
        if bridge is self._bridge:
            bridge.post(walker.aclose)
        else:
            # It refuses the loop thread itself, in which the read has opened nothing.
            with suppress(ConfigurationError):
                bridge.close(walker.aclose)
        if self.error is not None:
            # Arrow passes on the text, and of the class that it is an error of input and output.
            raise OSError("".join(format_exception_only(self.error)).strip())


def _items(
    walker: PageWalker[_L], bridge: LoopBridge, on_unfit: OnUnfit | None
) -> Generator[_L, None, None]:
    while (step := bridge.run(walker.next_page)) is not None:
        yield from take_items(walker, step, on_unfit)


def stream_of(
    pager: Pager[Any], rows: ArrowRows, windows: int, bridge: LoopBridge | None
) -> ArrowStream:
    """Return the stream of a list; see `ArrowStream`."""
    return ArrowStream(reader_of(pager).without_bodies(), rows, windows, bridge)


def rows_of(pager: Pager[Any], *, reveal: bool) -> ArrowRows:
    """Return what makes the rows of a list; the first time, this imports pyarrow.

    Args:
        pager: The list.
        reveal: Whether private fields are among the columns.

    Raises:
        ConfigurationError: pyarrow is missing.
    """
    return ArrowRows(columns_of_list(reader_of(pager), reveal=reveal), "to_arrow")


@hide_frames
async def to_arrow(
    pager: Pager[Any], *, reveal: bool = False, windows: int = WINDOWS
) -> ArrowStream:
    """Return a list as a stream of Arrow, for polars, DuckDB, pandas, pyarrow and others.

        stream = await to_arrow(stripe.identity.verification_sessions.list())
        frame = await asyncio.to_thread(polars.DataFrame, stream)

    The columns are those of an export as Parquet; see `pinstripe.export`. A read holds a thousand
    rows at a time, and the pages that are on their way.

    A read waits in the thread that it is made in. A coroutine does it in another thread, as above;
    else it holds up its event loop and warns once. The cell of a notebook can read at once. The
    requests run on the loop thread of the process, as those of a blocking client do, with its own
    connections and limits. Keep the client open until the end of the read.

    Args:
        pager: The list, as `list(...)` returns it. With `skip_unfit`, a read goes on where an
            object does not fit its class.
        reveal: Whether private fields are columns too.
        windows: How many requests may be in flight at once, up to 256, if the list has a filter by
            `created`.

    Raises:
        ConfigurationError: An argument is wrong, or pyarrow is missing.
    """
    if not isinstance(pager, Pager):
        problem = f"must be what a list call returns, not {kind_of(pager)}"
        raise ConfigurationError("pager", problem)
    check_flag("reveal", reveal)
    check_whole_number("windows", windows)
    # In a thread, since the import of pyarrow takes long.
    rows = await finish_in_thread(rows_of, pager, reveal=reveal)
    return stream_of(pager, rows, windows, None)
