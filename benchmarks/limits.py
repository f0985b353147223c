"""Rate limits: many quotes, from a sandbox that refuses what comes too fast.

The first table asks for a fixed number; the second keeps 1, 10 and 1,000 tasks busy and tells
how much of the limit is used, once the client has had time to find it out.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter

import stripe

from pinstripe import AsyncClient, Hooks, RateLimit, RateLimitError, ResponseInfo
from pinstripe.sandbox import Sandbox
from pinstripe.sandbox._traffic.rate_limits import RateLimits

QUOTES = 500
PER_SECOND = 100.0
IN_FLIGHT = 64

TASKS = (1, 10, 1000)
WARM_UP = 6.0
SECONDS = 20.0

_LIMITS = RateLimits(account=PER_SECOND, endpoint=PER_SECOND)
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


async def _busy(sandbox: Sandbox, tasks: int, rate_limit: RateLimit) -> str:
    """Keep tasks busy, and return the share of the limit that they used, and of refusals."""
    answers: list[tuple[float, int | None]] = []
    started = time.monotonic()

    def note(info: ResponseInfo) -> None:
        answers.append((time.monotonic() - started, info.status))

    async def work(client: AsyncClient) -> None:
        while True:
            with contextlib.suppress(RateLimitError):
                await client.crypto.onramp_quotes.retrieve()

    async with sandbox.client(rate_limit=rate_limit, hooks=Hooks(on_response=note)) as client:
        working = [asyncio.create_task(work(client)) for _ in range(tasks)]
        await asyncio.wait(working, timeout=SECONDS)
        for task in working:
            task.cancel()
        await asyncio.wait(working)
    statuses = [status for at, status in answers if WARM_UP <= at < SECONDS]
    used = statuses.count(200) / (SECONDS - WARM_UP) / PER_SECOND
    return f"{tasks:44,}{used:10.1%}{statuses.count(429) / len(statuses):10.2%}"


def _use(name: str, rate_limit: RateLimit) -> str:
    """Return the table of how much of the limit is used, and how much is refused."""
    title = f"\n{name}: tasks, after {WARM_UP:g} s, for {SECONDS - WARM_UP:g} s"
    lines = [title, f"{'':44}{'used':>10}{'refused':>10}"]
    for tasks in TASKS:
        with Sandbox(rate_limit=_LIMITS) as sandbox:
            lines.append(asyncio.run(_busy(sandbox, tasks, rate_limit)))
    return "\n".join(lines)


def report() -> str:
    """Return the table."""
    rows = []
    known, twice = RateLimit(account=PER_SECOND), RateLimit(account=2 * PER_SECOND)
    for run in (
        lambda sandbox: _pinstripe("pinstripe, limit known", sandbox, known),
        lambda sandbox: _pinstripe("pinstripe, limit half of what it knows", sandbox, twice),
        lambda sandbox: _pinstripe("pinstripe, rate_limit=None", sandbox, None),
        lambda sandbox: _official("official SDK, its aiohttp client", sandbox),
    ):
        with Sandbox(rate_limit=_LIMITS) as sandbox:
            rows.append(asyncio.run(run(sandbox)))
    title = f"\n{QUOTES} quotes at {PER_SECOND:g} a second, {IN_FLIGHT} tasks"
    uses = [_use("Limit known", known), _use("Limit half of what it knows", twice)]
    return "\n".join([title, f"{'':44}{_HEADS}", *rows, *uses])
