"""Rate limits: many quotes, from a sandbox that refuses what comes too fast."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import stripe

from pinstripe import Hooks, RateLimit, ResponseInfo
from pinstripe.sandbox import Sandbox
from pinstripe.sandbox.limits import RateLimits

QUOTES = 500
PER_SECOND = 100.0
IN_FLIGHT = 64

_PATH = "/v1/crypto/onramp/quotes"
_HEADS = f"{'seconds':>10}{'of ideal':>10}{'errors':>8}{'429s':>8}"


def _row(name: str, seconds: float, errors: int, refused: int) -> str:
    ideal = QUOTES / PER_SECOND
    return f"{name:44}{seconds:10.2f}{seconds / ideal:10.2f}{errors:8}{refused:8}"


async def _pinstripe(name: str, sandbox: Sandbox, rate_limit: RateLimit | None) -> str:
    statuses: Counter[int | None] = Counter()

    def count(info: ResponseInfo) -> None:
        statuses[info.status] += 1

    options = {"rate_limit": rate_limit, "hooks": Hooks(on_response=count)}
    async with sandbox.client(**options) as client:
        await client.warm_up()
        started, errors = time.perf_counter(), 0
        quotes = client.crypto.onramp_quotes.retrieve_many([{}] * QUOTES, concurrency=IN_FLIGHT)
        async for outcome in quotes:
            errors += not outcome.ok
        return _row(name, time.perf_counter() - started, errors, statuses[429])


async def _official(name: str, sandbox: Sandbox) -> str:
    http = stripe.AIOHTTPClient()
    client = stripe.StripeClient(
        sandbox.api_key, base_addresses={"api": sandbox.url}, http_client=http
    )
    work = iter(range(QUOTES))

    async def is_refused() -> bool:
        try:
            await client.raw_request_async("get", _PATH)
        except stripe.RateLimitError:
            return True
        return False

    async def worker() -> int:
        return sum([await is_refused() for _ in work])

    started = time.perf_counter()
    errors = sum(await asyncio.gather(*(worker() for _ in range(IN_FLIGHT))))
    seconds = time.perf_counter() - started
    await http.close_async()
    return _row(name, seconds, errors, errors)


def report() -> str:
    """Return the table."""
    rows = []
    limits = RateLimits(account=PER_SECOND, endpoint=PER_SECOND)
    known, twice = RateLimit(account=PER_SECOND), RateLimit(account=2 * PER_SECOND)
    for run in (
        lambda sandbox: _pinstripe("pinstripe, limit known", sandbox, known),
        lambda sandbox: _pinstripe("pinstripe, limit half of what it knows", sandbox, twice),
        lambda sandbox: _pinstripe("pinstripe, rate_limit=None", sandbox, None),
        lambda sandbox: _official("official SDK, its aiohttp client", sandbox),
    ):
        with Sandbox(rate_limit=limits) as sandbox:
            rows.append(asyncio.run(run(sandbox)))
    title = f"\n{QUOTES} quotes at {PER_SECOND:g} a second, {IN_FLIGHT} tasks"
    return "\n".join([title, f"{'':44}{_HEADS}", *rows])
