"""Rates and the number on its way: simulated against the sandbox's own limiter, and by properties."""

from __future__ import annotations

import pytest
import virtual
from virtual import Server, gate, get, keep_busy, pipeline

from pinstripe.sandbox.limits import RateLimits


@pytest.mark.parametrize("tasks", [1, 10, 1000])
def test_a_known_limit_is_used_and_kept(tasks) -> None:
    server = Server(RateLimits(25))
    virtual.run(keep_busy(pipeline(server.send, gate(account=25)), tasks, 120))
    print(server.rate(10, 120), server.share_refused(0, 120), server.share_refused(10, 120))
    assert server.rate(10, 120) >= 0.95 * 25
    assert server.share_refused(10, 120) < 0.005


@pytest.mark.parametrize("tasks", [10, 1000])
def test_a_limit_lower_than_known(tasks) -> None:
    server = Server(RateLimits(80, endpoint=1e9))
    virtual.run(keep_busy(pipeline(server.send, gate(account=100)), tasks, 120))
    print(server.rate(10, 120), server.share_refused(0, 120), server.share_refused(10, 120))
    assert server.rate(10, 120) >= 0.95 * 80
    assert server.share_refused(10, 120) < 0.005


@pytest.mark.parametrize("tasks", [20, 1000])
def test_row21(tasks) -> None:
    server = Server(RateLimits(100, endpoint=1e9), 0.05, 0.15)

    async def main():
        import asyncio

        loop = asyncio.get_running_loop()
        loop.call_at(20, server.limiter.set, RateLimits(10, endpoint=1e9))
        loop.call_at(80, server.limiter.set, RateLimits(100, endpoint=1e9))
        await keep_busy(pipeline(server.send, gate(account=100)), tasks, 120)

    virtual.run(main())
    for a, b in ((0, 20), (20, 25), (25, 80), (80, 110), (100, 110), (110, 120)):
        print(a, b, server.rate(a, b), server.share_refused(a, b))
    assert 0
