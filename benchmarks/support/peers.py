"""Faults that Pinstripe and the official SDK meet alike, over two HTTP libraries of the latter."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import stripe

from pinstripe import AsyncClient, RetryPolicy
from tests.support import faulty
from tests.support.clean import KEY
from tests.support.fault_table import CALLS, SHAPES, order, refusal
from tests.support.faulty import Faulty, ok

Call = Callable[[str], Awaitable[Any]]
Contender = Callable[[str, int], AbstractAsyncContextManager[Call]]

# --- the contenders -----------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def pinstripe_client(url: str, attempts: int) -> AsyncIterator[Call]:
    """Yield what calls with Pinstripe, by method."""
    retry = RetryPolicy(max_attempts=attempts, base=0)
    async with AsyncClient(KEY, base_url=url, files_url=url, retry=retry) as client:
        await client.warm_up()
        yield lambda method: CALLS[method](client)


def official_client(kind: Callable[[], Any]) -> Contender:
    """Return the same for the official SDK over one of its HTTP libraries."""

    @contextlib.asynccontextmanager
    async def client(url: str, attempts: int) -> AsyncIterator[Call]:
        http = kind()
        http.INITIAL_DELAY = http.MAX_DELAY = 0
        sdk = stripe.StripeClient(
            KEY, base_addresses={"api": url}, http_client=http, max_network_retries=attempts - 1
        )
        orders = sdk.v1.climate.orders
        params: Any = {"product": "climsku_1", "metric_tons": "12.5"}

        async def call(method: str) -> Any:
            if method == "GET":
                return await orders.retrieve_async("climorder_1")
            return await orders.create_async(params=params)

        yield call
        await http.close_async()

    return client


CONTENDERS: dict[str, Contender] = {
    "pinstripe": pinstripe_client,
    "official, httpx": official_client(stripe.HTTPXClient),
    "official, aiohttp": official_client(stripe.AIOHTTPClient),
}

# --- what is measured of each -------------------------------------------------------------------


async def fails(call: Awaitable[Any]) -> bool:
    """Return whether a call ends in an error."""
    try:
        await call
    except Exception:  # noqa: BLE001 -- the official SDK lets those of its libraries through
        return True
    return False


async def _requests_when_all_is_503(contender: Contender) -> str:
    calls = 1000
    async with Faulty(refusal(503)) as server, contender(server.url, 3) as call:
        for _ in range(calls // 20):
            await asyncio.gather(*(fails(call("POST")) for _ in range(20)))
        return f"{len(server.requests) / calls:.2f}"


async def _requests_of_one_attempt(contender: Contender) -> str:
    async with Faulty(faulty.reset_before) as server, contender(server.url, 1) as call:
        for _ in range(20):
            await fails(call("GET"))
        return f"{len(server.requests) / 20:g}"


async def _retry_after(contender: Contender) -> str:
    results = []
    for header in ("1", "date", "100000", "soon"):
        date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=3), usegmt=True)
        wait = date if header == "date" else header
        async with (
            Faulty(refusal(429, Retry_After=wait), ok(order())) as server,
            contender(server.url, 3) as call,
        ):
            begun = time.monotonic()
            failed = await fails(call("POST"))
            results.append(f"{'!' if failed else ''}{time.monotonic() - begun:.1f}")
    return " / ".join(results)


async def _should_retry(contender: Contender) -> str:
    counts = []
    for said, status in (("true", 400), ("false", 500)):
        answer = refusal(status, Stripe_Should_Retry=said)
        async with Faulty(answer) as server, contender(server.url, 3) as call:
            await fails(call("POST"))
            counts.append(str(len(server.requests)))
    return " / ".join(counts)


async def _recovered(contender: Contender) -> str:
    faults = [faulty.truncated, faulty.truncated_chunked, faulty.reset_in_body, faulty.damaged_gzip]
    recovered = 0
    for fault in faults:
        async with Faulty(fault, ok(order())) as server, contender(server.url, 3) as call:
            server.release.set()
            failed = await fails(call("POST"))
            keys = {request.headers["idempotency-key"] for request in server.requests}
            recovered += not failed and len(server.requests) == 2 and len(keys) == 1
    return f"{recovered} of {len(faults)}"


async def _shapes_refused(contender: Contender) -> str:
    wrong = [row.fault for row in SHAPES if row.error is not None]
    refused = 0
    for fault in wrong:
        async with Faulty(fault) as server, contender(server.url, 1) as call:
            refused += await fails(call("GET"))
    return f"{refused} of {len(wrong)}"


async def _wrong_answers(contender: Contender) -> str:
    poison, wrong = order(id="climorder_1", currency="poison"), 0
    pairs = 250
    async with Faulty(ok(order())) as server, contender(server.url, 1) as call:
        for method in ("GET", "POST"):
            for _ in range(pairs):
                await call(method)
                server.say(faulty.raw_answer(poison))
                wrong += await _is_poison(call(method))
    async with (
        Faulty(faulty.two_answers(order(), faulty.raw_answer(poison))) as server,
        contender(server.url, 1) as call,
    ):
        for method in ("GET", "POST"):
            for _ in range(pairs):
                wrong += await _is_poison(call(method))
    return f"{wrong} of {4 * pairs}"


async def _is_poison(call: Awaitable[Any]) -> bool:
    try:
        return bool((await call).currency == "poison")
    except Exception:  # noqa: BLE001 -- an error is no wrong answer
        return False


async def _followed(contender: Contender) -> str:
    statuses = (301, 302, 303, 307, 308)
    async with Faulty(ok(order())) as trap:
        for status in statuses:
            answer = faulty.redirect(f"{trap.url}/v1/climate/orders", status)
            async with Faulty(answer) as server, contender(server.url, 1) as call:
                for method in ("GET", "POST"):
                    await fails(call(method))
        return f"{len(trap.requests)} of {2 * len(statuses)}"


COMPARED: list[tuple[str, str, str, Callable[[Contender], Awaitable[str]]]] = [
    ("4", "requests a call when all is 503, 1,000 calls", "<= 1.10", _requests_when_all_is_503),
    ("5", "requests of a GET that is reset, no retries", "1", _requests_of_one_attempt),
    ("6", "seconds at Retry-After 1 / date + 3 / 100000 / soon",
     "1-1.5 / 2-3.5 / !0.0 / 0.0", _retry_after),
    ("7", "requests at should-retry true / false", "3 / 1", _should_retry),
    ("8", "cut answers of a POST mended with its key", "all", _recovered),
    ("12", "wrong shapes refused", "all", _shapes_refused),
    ("14", "answers of another call taken for one's own", "0", _wrong_answers),
    ("15", "redirects followed", "0", _followed),
]  # fmt: skip
