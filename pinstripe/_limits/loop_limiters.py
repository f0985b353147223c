"""The limiters of a client: one for each event loop that uses it."""

from __future__ import annotations

from contextlib import suppress

from pinstripe._concurrency.loop_local import LoopLocal, running_loop
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.forks import no_fork
from pinstripe._limits.gate import AsyncLimiter
from pinstripe._limits.rates import Rates


class LoopLimiters:
    """The limiters of a client and its siblings: one for each event loop.

    Args:
        max_in_flight: The most requests in flight at once.
        rates: The limits of requests a second.
    """

    def __init__(self, max_in_flight: int, rates: Rates) -> None:
        self._max_in_flight = max_in_flight
        self._rates = rates
        self._local: LoopLocal[AsyncLimiter] = LoopLocal()
        self._closed = False

    async def close(self) -> None:
        """End the calls of every event loop, and refuse all that come later."""
        self._closed = True
        for loop, other in self._local.by_loop():
            if loop is not running_loop():
                with suppress(RuntimeError):  # the loop is closed, and its calls with it
                    loop.call_soon_threadsafe(other.end_calls)
        limiter = self._local.get()
        if limiter is not None:
            await limiter.close()

    def __call__(self) -> AsyncLimiter:
        """Return the limiter of this event loop.

        Raises:
            ConfigurationError: The client is closed, or no event loop of asyncio is running.
        """
        if self._closed:
            raise ConfigurationError("client", "is closed")
        limiter = self._local.get()
        if limiter is None:
            limiter = self._new_limiter()
            self._local.set(limiter)
        return limiter

    def _new_limiter(self) -> AsyncLimiter:
        budget = self._rates.shared
        if budget is None:
            return AsyncLimiter(self._max_in_flight, self._rates)
        # Only those who share a budget pay for the import.
        with no_fork():
            from pinstripe._limits.redis_meters import RedisMeters  # noqa: PLC0415
            from pinstripe._limits.shared_gate import SharedLimiter  # noqa: PLC0415

        return SharedLimiter(self._max_in_flight, self._rates, budget, RedisMeters(budget))
