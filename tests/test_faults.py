"""Every fault of the table: how a call ends, what the server saw, and that nothing is left."""

from __future__ import annotations

import tracemalloc

import pytest

from pinstripe import APIError, DecodeError, PinstripeError, response_of
from tests.support.clean import check_clean, nothing_left
from tests.support.fault_table import BODIES, ROWS, SIZES, End, Row, end_of_calls, order
from tests.support.faulty import Faulty, Seen, ok

pytestmark = pytest.mark.anyio


def each(rows: list[Row]) -> pytest.MarkDecorator:
    """Run a test for every row, by every method that it is about."""
    pairs = [(row, method) for row in rows for method in row.methods]
    return pytest.mark.parametrize(
        ("row", "method"), pairs, ids=[f"{row.name}-{method}" for row, method in pairs]
    )


def check_end(row: Row, end: End, sent: list[Seen]) -> None:
    """Assert that a call ended as the row has it, and that its error tells what the server saw."""
    assert len(sent) == row.attempts
    assert len(keys_of(sent)) == 1
    if row.error is None:
        assert end.error is None
        assert end.order is not None
        return
    assert type(end.error) is row.error
    assert isinstance(end.error, PinstripeError)
    check_clean(end.error)
    assert (end.error.outcome, end.error.attempts) == (row.outcome, row.attempts)
    assert keys_of(sent) == {end.error.idempotency_key}
    if isinstance(end.error, DecodeError):
        assert end.error.path == row.path
    if row in BODIES:
        assert isinstance(end.error, APIError)
        assert (end.error.status, end.error.request_id) == (int(row.name[:3]), "req_1")


def keys_of(sent: list[Seen]) -> set[str | None]:
    return {request.headers.get("idempotency-key") for request in sent}


@pytest.mark.uncounted
@each(ROWS)
async def test_a_fault_ends_a_call_as_the_table_has_it_and_harms_no_other(row, method) -> None:
    script = [*[row.fault] * row.attempts, ok(order())]
    async with nothing_left(), Faulty(*script) as server:
        if not row.held:
            server.release.set()
        first, second = await end_of_calls(server.url, method, method, **row.settings)
        *sent, last = server.requests
        check_end(row, first, sent)
        assert second.order is not None
        assert (None in keys_of(sent)) == (method == "GET")
        assert (keys_of(sent) == keys_of([last])) == (method == "GET")


@pytest.mark.uncounted
@each([row for row in ROWS if row.attempts > 1])
async def test_a_fault_that_passes_is_mended_by_another_attempt_with_the_same_key(
    row, method
) -> None:
    async with nothing_left(), Faulty(row.fault, ok(order())) as server:
        server.release.set()
        (end,) = await end_of_calls(server.url, method, **row.settings)
        assert end.order is not None
        assert response_of(end.order).attempts == len(server.requests) == 2
        assert len(keys_of(server.requests)) == 1
        assert (None in keys_of(server.requests)) == (method == "GET")
        first, second = server.requests
        assert (first.target, first.body) == (second.target, second.body)


@each(SIZES)
async def test_memory_is_bounded(row, method) -> None:
    async with Faulty(row.fault) as server:
        tracemalloc.start()
        try:
            (end,) = await end_of_calls(server.url, method, **row.settings)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert type(end.error) is row.error
        assert peak < 32 * 2**20
