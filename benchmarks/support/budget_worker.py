"""One process of those that share a rate limit: it keeps tasks busy, and prints each answer.

Each line has the time, the status, and the seconds that the call waited for its turn.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from pyrate_limiter import Limiter, Rate, RedisBucket
from redis.asyncio import Redis
from throttled.asyncio import RateLimiterType, Throttled, rate_limiter, store

import pinstripe

TASKS = 32
PER_SECOND = 100
_LONG = 60.0

_Turn: TypeAlias = Callable[[], Awaitable[object]]


async def _no_turn() -> None:
    """Pinstripe waits by itself."""


async def _turn_of(kind: str, redis_url: str) -> _Turn:
    """Return what waits for the turn of one call."""
    if kind == "throttled-py":
        quota = rate_limiter.per_sec(PER_SECOND, burst=PER_SECOND // 2)
        throttle = Throttled(
            key="acct",
            using=RateLimiterType.GCRA.value,
            quota=quota,
            store=store.RedisStore(server=redis_url),
            timeout=_LONG,
        )
        return throttle.limit
    if kind == "pyrate-limiter":
        rates = [Rate(PER_SECOND, 1000)]
        limiter = Limiter(await RedisBucket.init(rates, Redis.from_url(redis_url), "acct"))
        return limiter.try_acquire_async
    if kind == "limits":
        window = MovingWindowRateLimiter(
            RedisStorage(f"async+{redis_url}", implementation="redispy")
        )
        limit = RateLimitItemPerSecond(PER_SECOND)

        async def turn() -> None:
            # It has no wait of its own: this is the one that its documentation shows.
            while not await window.hit(limit, "acct"):
                reset = (await window.get_window_stats(limit, "acct")).reset_time
                await asyncio.sleep(max(0.01, reset - time.time()))

        return turn
    return _no_turn


async def _main(kind: str, redis_url: str, url: str, key: str) -> None:
    shared = pinstripe.SharedBudget(redis_url, name="acct:test")
    rate_limit = pinstripe.RateLimit(account=PER_SECOND, shared=shared)
    went: dict[object, float] = {}

    def note(_: pinstripe.RequestInfo) -> None:
        went[asyncio.current_task()] = time.perf_counter()

    async with pinstripe.AsyncClient(
        key,
        base_url=url,
        timeout=_LONG,
        retry=pinstripe.RetryPolicy(max_attempts=1),
        rate_limit=rate_limit if kind == "pinstripe" else None,
        hooks=pinstripe.Hooks(on_request=note),
    ) as client:
        await client.warm_up()
        turn = await _turn_of(kind, redis_url)

        async def work() -> None:
            while True:
                came = time.perf_counter()
                await turn()
                try:
                    status = (await client.request("GET", "/v1/crypto/onramp/quotes")).status
                except pinstripe.APIError as error:
                    status = error.status
                waited = went[asyncio.current_task()] - came
                print(f"{time.time():.6f} {status} {waited:.6f}", flush=True)

        await asyncio.gather(*(work() for _ in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
