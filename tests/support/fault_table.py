"""Every fault that one call can meet, and how the call has to end.

`Row.error` and `Row.attempts` are for a fault that stays; one that is worth another attempt takes
all three of `POLICY`, any other exactly one. `end_of_calls` is where calls are driven.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import frozen

from pinstripe import (
    APIError,
    AsyncClient,
    AuthenticationError,
    ConflictError,
    ConnectionLost,
    DeadlineExceeded,
    DecodeError,
    IdempotencyError,
    InvalidRequestError,
    Limits,
    NotFoundError,
    PermissionDeniedError,
    PinstripeError,
    RateLimitError,
    ResponseError,
    ResponseTooLarge,
    RetryPolicy,
    ServerError,
)
from pinstripe.climate import Order
from tests.support import faulty
from tests.support.clean import KEY, PRIVATE
from tests.support.faulty import Behaviour, ok, raw

POLICY = RetryPolicy(max_attempts=3, base=0)
DEADLINE = 0.2
"""Seconds that a call has where the server would never answer."""

FIELDS: dict[str, Any] = {
    "id": "climorder_1",
    "object": "climate.order",
    "amount_fees": 150,
    "amount_subtotal": 5000,
    "amount_total": 5150,
    "beneficiary": None,
    "canceled_at": None,
    "cancellation_reason": None,
    "certificate": None,
    "confirmed_at": None,
    "created": 1790510912,
    "currency": "usd",
    "delayed_at": None,
    "delivered_at": None,
    "delivery_details": [],
    "expected_delivery_year": 2031,
    "livemode": False,
    "metadata": {},
    "metric_tons": "12.5",
    "product": "climsku_1",
    "product_substituted_at": None,
    "status": "confirmed",
}


def order(**changes: Any) -> bytes:
    """The order that every call of the table is about, as JSON."""
    return json.dumps({**FIELDS, **changes}).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in FIELDS.items() if key != name}).encode()


def refusal(status: int, code: str | None = None, kind: str = "api_error", **headers: str) -> Any:
    """The API's own refusal: its error envelope, and a request id."""
    error = {"type": kind, "code": code, "message": "no"}
    return ok(json.dumps({"error": error}).encode(), status, **{"Request_Id": "req_1", **headers})


@frozen
class Row:
    """A fault and how a call ends that meets nothing else.

    Attributes:
        name: What it is called in a report.
        fault: What the server does.
        error: What is raised; None where the right order is returned.
        attempts: Requests that are sent.
        outcome: What the error of a POST says of the server having acted.
        path: Where a `DecodeError` found the first wrong thing.
        held: Whether the server goes on until the client gives up.
        methods: The methods that it is a fault for.
    """

    name: str
    fault: Behaviour
    error: type[PinstripeError] | None
    attempts: int = 1
    outcome: str = "unknown"
    path: str | None = None
    held: bool = False
    methods: Sequence[str] = ("GET", "POST")

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the client that meets it: one slot, so that a lost one would show."""
        timeout = DEADLINE if self.held else 30.0
        return {"retry": POLICY, "limits": Limits(max_in_flight=1), "timeout": timeout}


def _lost(name: str) -> Row:
    return Row(name.replace("_", " "), getattr(faulty, name), ConnectionLost, 3)


def _held(name: str) -> Row:
    return Row(name.replace("_", " "), getattr(faulty, name), DeadlineExceeded, held=True)


def _shape(name: str, body: bytes, path: str = "$") -> Row:
    return Row(name, ok(body), DecodeError, path=path)


def _said(name: str, answer: Behaviour, error: type[APIError], attempts: int) -> Row:
    """An answer that refuses, and by which nothing was done."""
    return Row(name, answer, error, attempts, "rejected")


def _elsewhere(status: int) -> Row:
    return Row(str(status), ok(b"", status, Location="https://elsewhere.example"), ResponseError)


def _not_whole(status: int) -> Row:
    return Row(str(status), ok(order(), status), ResponseError)


_MIB = 2**20
_FAR = "Fri, 31 Dec 2100 23:59:59 GMT"

CONNECTIONS = [
    *map(
        _lost,
        (
            "reset_before",
            "eof_before",
            "reset_in_headers",
            "eof_in_headers",
            "reset_in_body",
            "truncated",
            "truncated_chunked",
            "broken_chunk",
            "garbage",
            "bad_length",
            "length_and_chunks",
            "long_header",
            "many_headers",
            "endless_headers",
            "damaged_gzip",
            "not_gzip",
            "late_broken_chunk",
            "many_interim_answers",
        ),
    ),
    *(
        Row(name, faulty.then_end(answer), ConnectionLost, 3)
        for name, answer in {
            "no length": b"HTTP/1.0 200 OK\r\n\r\n" + order(),
            "no length, cut": b"HTTP/1.0 200 OK\r\n\r\n" + order()[:-9],
            "no chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + order(),
            "gzip without its end": faulty.cut_encoding(order(), "gzip"),
            "deflate without its end": faulty.cut_encoding(order(), "deflate"),
            "gzip in chunks without its end": faulty.cut_encoding(order(), "gzip", chunked=True),
        }.items()
    ),
    *map(_held, ("hang", "slow_headers", "slow_body")),
    Row("early hints", faulty.early_hints(order()), None),
    Row("two answers in one packet", faulty.two_answers(order(), b"poison"), None),
    Row("a few interim answers", faulty.interim_answers(order(), 7), None),
    *(
        Row(f"{encoding} {name}", answer(order(), encoding), None)
        for encoding in ("gzip", "deflate")
        for name, answer in {"with a length": faulty.encoded, "in chunks": faulty.chunked}.items()
    ),
    Row("deflate without a header", faulty.raw_deflate(order()), None),
    Row("gzip of several members", faulty.members(order()), None),
    Row("gzip with more behind it", faulty.members(order(), b"more"), ConnectionLost, 3),
]
SIZES = [
    Row("endless body", faulty.endless_body, ResponseTooLarge),
    Row("endless body of a 500", faulty.endless_after(b"", 500), ServerError, 3),
    Row("endless JSON", faulty.endless_after(order()), ResponseTooLarge),
    Row("endless chunks", faulty.endless_chunks, ResponseTooLarge),
    Row("gzip bomb", faulty.gzip_bomb(1024 * _MIB), ResponseTooLarge),
    Row("gzip bomb of a 500", faulty.gzip_bomb(1024 * _MIB, 500), ServerError, 3),
    Row("gzip in gzip", faulty.double_gzip, ResponseError),
]
SHAPES = [
    _shape("empty", b""),
    _shape("html", b"<html><h1>It works</h1></html>"),
    _shape("not JSON", order()[:-1]),
    _shape("more than JSON", order() + b"x"),
    _shape("null", b"null"),
    _shape("list", b"[]"),
    _shape("text", b'"x"'),
    _shape("number", b"42"),
    _shape("NaN", order(amount_fees=float("nan"))),
    _shape("bad UTF-8", order().replace(b"confirmed", b"\xff\xfe")),
    _shape("UTF-16", order().decode().encode("utf-16")),
    _shape("lone surrogate", order(currency="\ud800")),
    _shape("100,000 brackets", b"[" * 100_000),
    _shape("an error with 200", b'{"error": {"message": "no"}}'),
    _shape("another object", order(object="charge"), "$.object"),
    _shape("no id", without("id")),
    _shape("no status", without("status")),
    _shape("id is null", order(id=None), "$.id"),
    _shape("amount is null", order(amount_total=None), "$.amount_total"),
    _shape("created is text", order(created=PRIVATE), "$.created"),
    _shape("tons are a list", order(metric_tons=[]), "$.metric_tons"),
    _shape("details are null", order(delivery_details=None), "$.delivery_details"),
    _shape("of live mode", order(livemode=True), "$.livemode"),
    Row("another order", ok(order(id="x")), DecodeError, path="$.id", methods=["GET"]),
    Row("the answer to another key", ok(order(), Idempotency_Key="other"), ResponseError),
    Row("a new field", ok(order(brand_new={"a": [1]})), None),
]
WORDS = [
    Row("500", refusal(500), ServerError, 3),
    Row("503, wait 0", refusal(503, Retry_After="0"), ServerError, 3),
    Row("503, wait too long", refusal(503, Retry_After="100000"), ServerError),
    Row("500, do not retry", refusal(500, Stripe_Should_Retry="false"), ServerError),
    Row("html 502", faulty.html(502), ServerError, 3),
    _said("429", refusal(429), RateLimitError, 3),
    _said("429, wait too long", refusal(429, Retry_After="100000"), RateLimitError, 1),
    _said("429, wait for a far date", refusal(429, Retry_After=_FAR), RateLimitError, 1),
    _said("429, wait for nonsense", refusal(429, Retry_After="soon"), RateLimitError, 3),
    _said("429, wait -1", refusal(429, Retry_After="-1"), RateLimitError, 3),
    _said(
        "429, retry, wait too long",
        refusal(429, Stripe_Should_Retry="true", Retry_After="100000"),
        RateLimitError,
        1,
    ),
    _said("429, lock timeout", refusal(429, "lock_timeout"), RateLimitError, 3),
    _said("409", refusal(409), ConflictError, 3),
    _said("409, lock timeout", refusal(409, "lock_timeout"), ConflictError, 3),
    Row("409, key in use", refusal(409, "idempotency_key_in_use"), IdempotencyError, 3),
    _said("400, key reused", refusal(400, kind="idempotency_error"), IdempotencyError, 1),
    _said("400", refusal(400), InvalidRequestError, 1),
    _said("400, retry", refusal(400, Stripe_Should_Retry="true"), InvalidRequestError, 3),
    _said("401", refusal(401), AuthenticationError, 1),
    _said("403", refusal(403), PermissionDeniedError, 1),
    _said("404", refusal(404), NotFoundError, 1),
    *map(_not_whole, (202, 203, 205, 206)),
    Row("204", raw(b"HTTP/1.1 204 No Content\r\nX-Y: z\r\n\r\n"), ResponseError),
    Row("html 404", faulty.html(404), NotFoundError),
    Row("html 429", faulty.html(429), RateLimitError, 3),
    Row("407", faulty.html(407), InvalidRequestError),
    *map(_elsewhere, (300, 301, 302, 303, 304, 307, 308)),
]
BODIES = [
    Row(f"{status}, {name}", fault(status), error, attempts)
    for status, (error, attempts) in {
        401: (AuthenticationError, 1),
        402: (InvalidRequestError, 1),
        429: (RateLimitError, 3),
        503: (ServerError, 3),
    }.items()
    for name, fault in {
        "body cut": faulty.failure_cut,
        "body reset": faulty.failure_reset,
        "no length, and cut": faulty.failure_unframed,
        "chunks cut": faulty.failure_chunks_cut,
        "broken chunk": faulty.failure_broken_chunk,
        "gzip cut": faulty.failure_gzip_cut,
        "not gzip": faulty.failure_not_gzip,
        "encoded as br": faulty.failure_br,
    }.items()
]
"""Failures whose status came, and whose body did not come as it should."""

ROWS = [*CONNECTIONS, *SIZES, *SHAPES, *WORDS, *BODIES]


async def _retrieve(client: AsyncClient) -> Order:
    return await client.climate.orders.retrieve("climorder_1")


async def _create(client: AsyncClient) -> Order:
    return await client.climate.orders.create(product="climsku_1", metric_tons="12.5")


CALLS: dict[str, Callable[[AsyncClient], Awaitable[Order]]] = {"GET": _retrieve, "POST": _create}


@frozen
class End:
    """How a call ended: with an order or an error, after some seconds."""

    order: Order | None
    error: Exception | None
    seconds: float


async def end_of_calls(url: str, *methods: str, **settings: Any) -> list[End]:
    """Make calls one after the other with one client, and tell how each ended."""
    async with AsyncClient(KEY, base_url=url, files_url=url, **settings) as client:
        await client.warm_up()
        return [await _end_of(CALLS[method](client)) for method in methods]


async def _end_of(call: Awaitable[Order]) -> End:
    begun = time.monotonic()
    try:
        order = await call
    except Exception as error:  # noqa: BLE001 -- which ones come is what is asked
        return End(None, error, time.monotonic() - begun)
    return End(order, None, time.monotonic() - begun)
