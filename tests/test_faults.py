"""Every fault of the table: how a call ends, what the server saw, and that nothing is left."""

from __future__ import annotations

import ssl
import tracemalloc
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme
from attrs import frozen
from clean import check_clean, nothing_left
from fault_table import DEADLINE, POLICY, ROWS, SIZES, End, Row, end_of_calls, order
from faulty import Faulty, Seen, ok, redirect

from pinstripe import TLS, CertificateError, DecodeError, PinstripeError, ResponseError, response_of

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


def keys_of(sent: list[Seen]) -> set[str | None]:
    return {request.headers.get("idempotency-key") for request in sent}


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
        if row.held:
            assert DEADLINE <= first.seconds < DEADLINE + 2


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


# --- TLS ----------------------------------------------------------------------------------------


@frozen
class Authority:
    """A certificate authority of the tests, and the file that makes it trusted."""

    root: trustme.CA
    file: Path

    def show(self, name: str, **arguments: Any) -> ssl.SSLContext:
        """Return a server's side of TLS with a certificate for a name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.root.issue_cert(name, **arguments).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    root, file = trustme.CA(), tmp_path_factory.mktemp("authority") / "root.pem"
    root.cert_pem.write_to_path(str(file))
    return Authority(root, file)


LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("name", "arguments", "trusted"),
    [
        ("127.0.0.1", {}, False),
        ("other.example", {}, True),
        ("127.0.0.1", {"not_after": LONG_AGO}, True),
    ],
    ids=["unknown issuer", "wrong name", "expired"],
)
async def test_a_bad_certificate_costs_one_handshake_and_no_request(
    authority, method, name, arguments, trusted
) -> None:
    tls = TLS(ca_file=authority.file) if trusted else None
    shown = authority.show(name, **arguments)
    async with nothing_left(), Faulty(ok(order()), tls=shown) as server:
        (end,) = await end_of_calls(server.url, method, retry=POLICY, tls=tls)
        assert type(end.error) is CertificateError
        assert isinstance(end.error, CertificateError)
        check_clean(end.error)
        assert (end.error.outcome, end.error.attempts) == ("not_sent", 1)
        assert (end.error.idempotency_key is None) == (method == "GET")
        assert (server.handshakes, server.requests) == (1, [])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_good_certificate_does_and_no_redirect_leads_out_of_tls(authority, method) -> None:
    async with nothing_left(), Faulty(ok(order())) as trap:
        shown, out = authority.show("127.0.0.1"), redirect(f"{trap.url}/v1/x", 307)
        async with Faulty(ok(order()), out, tls=shown) as server:
            tls = TLS(ca_file=authority.file)
            first, second = await end_of_calls(server.url, method, method, tls=tls)
            assert first.order is not None
            assert type(second.error) is ResponseError
        assert trap.accepted == 0
