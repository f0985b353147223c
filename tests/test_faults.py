"""Every fault of the table: how a call ends, what the server saw, and that nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import fault_table
import pytest
from clean import check_clean
from fault_table import DEADLINE, ROWS, End, Row, end_of_calls, order
from faulty import Faulty, ok

from pinstripe import DecodeError, PinstripeError

pytestmark = pytest.mark.anyio

OPEN = Path("/proc/self/fd")
EACH = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
BOTH = pytest.mark.parametrize("method", ["GET", "POST"])


def sockets() -> set[str]:
    """The open sockets of this process, where the system tells."""
    found = set()
    for descriptor in OPEN.iterdir() if OPEN.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # the one that reads the folder
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Every task and every socket that began inside is gone in the end."""
    tasks, before = asyncio.all_tasks(), sockets()
    yield
    with anyio.fail_after(10):
        while asyncio.all_tasks() - tasks or sockets() - before:  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0)


def check_error(row: Row, end: End, server: Faulty) -> None:
    """Assert that a call ended as the row has it, and that its error tells what the server saw."""
    error = end.error
    assert type(error) is row.error
    assert isinstance(error, PinstripeError)
    check_clean(error)
    assert error.outcome == row.outcome
    assert error.attempts == len(server.requests) == row.attempts
    assert {error.idempotency_key} == keys_of(server)
    if isinstance(error, DecodeError):
        assert error.path == row.path


def keys_of(server: Faulty) -> set[str | None]:
    return {request.headers.get("idempotency-key") for request in server.requests}


@EACH
@BOTH
async def test_a_fault_that_stays(row, method) -> None:
    async with nothing_left(), Faulty(row.fault) as server:
        if not row.held:
            server.release.set()
        (end,) = await end_of_calls(server.url, method, **row.settings)
        if row.error is None:
            assert end.order is not None
            assert (end.error, len(server.requests)) == (None, row.attempts)
        else:
            check_error(row, end, server)
        assert len(keys_of(server)) == 1
        assert (None in keys_of(server)) == (method == "GET")
        if row.held:
            assert DEADLINE <= end.seconds < DEADLINE + 2


@EACH
@BOTH
async def test_a_fault_that_passes(row, method) -> None:
    async with nothing_left(), Faulty(row.fault, ok(order())) as server:
        if not row.held:
            server.release.set()
        first, second = await end_of_calls(server.url, method, method, **row.settings)
        recovers = row.error is None or row.attempts > 1
        assert (first.error is None) == recovers
        assert (type(first.error) if first.error else None) == (None if recovers else row.error)
        assert second.order is not None
        assert second.order.id == "climorder_1"
        assert len(server.requests) == (3 if row.attempts > 1 else 2)
        first_key, *others = (r.headers.get("idempotency-key") for r in server.requests)
        assert (first_key in others) == (method == "GET" or row.attempts > 1)


@pytest.mark.parametrize("row", fault_table.SIZES, ids=[row.name for row in fault_table.SIZES])
async def test_memory_is_bounded(row) -> None:
    async with Faulty(row.fault) as server:
        tracemalloc.start()
        try:
            (end,) = await end_of_calls(server.url, "GET", **row.settings)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert type(end.error) is row.error
        assert peak < 32 * 2**20
