"""The rate limiter: as many requests as promised, and a 429 that says why."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.sandbox import ManualClock, RateLimits, Sandbox, Server, Settings
from pinstripe.sandbox.__main__ import main
from pinstripe.sandbox._traffic.rate_limits import RateLimiter
from tests.support.sandbox_api import ONRAMP, SESSIONS, Api, refusal_of

CONTROL = "/_sandbox/rate_limit"


def let_through(
    limiter: RateLimiter, path: str, tries: int, now: float, method: str = "GET"
) -> int:
    return sum(
        refusal_of(lambda: limiter.check(None, method, path, now)) is None for _ in range(tries)
    )


def test_without_limits_everything_is_let_through() -> None:
    assert let_through(RateLimiter(None), "/v1/a", 1000, 0.0) == 1000


def test_an_account_has_its_second_and_it_comes_back() -> None:
    limiter = RateLimiter(RateLimits(10, endpoint=6))
    assert let_through(limiter, "/v1/a", 20, 0.0) == 6
    assert let_through(limiter, "/v1/b", 20, 0.0) == 4
    refusal = refusal_of(lambda: limiter.check(None, "GET", "/v1/c", 0.0))
    assert refusal is not None
    assert refusal.headers == {"Stripe-Rate-Limited-Reason": "global-rate"}
    assert refusal_of(lambda: limiter.check("acct_1", "GET", "/v1/a", 0.0)) is None
    assert let_through(limiter, "/v1/a", 20, 0.5) == 3
    assert let_through(limiter, "/v1/a", 20, 60.0) == 6


def test_files_have_a_limit_for_reading_and_one_for_writing() -> None:
    limiter = RateLimiter(RateLimits(1000, endpoint=1000))
    reads = [let_through(limiter, path, 15, 0.0) for path in ("/v1/files", "/v1/files/{file}")]
    assert reads == [15, 5]
    assert let_through(limiter, "/v1/files", 30, 0.0, "POST") == 20
    assert let_through(limiter, "/v1/file_links", 30, 0.0, "POST") == 30


def test_a_limit_below_one_lets_one_through_now_and_then() -> None:
    limiter = RateLimiter(RateLimits(0.5))
    assert [let_through(limiter, "/v1/a", 3, now) for now in (0.0, 1.0, 2.0, 2.5)] == [1, 0, 1, 0]


@given(
    st.integers(1, 30),
    st.lists(st.floats(0, 3), min_size=1, max_size=80),
)
def test_no_span_of_time_sees_more_than_its_share(rate: int, steps: list[float]) -> None:
    limiter, now, taken = RateLimiter(RateLimits(rate, endpoint=rate)), 0.0, list[float]()
    for step in steps:
        now += step
        taken += [now] * let_through(limiter, "/v1/a", 3, now)
    for index, start in enumerate(taken):
        for count, end in enumerate(taken[index:], start=1):
            assert count <= rate + (end - start) * rate + 1e-6


@pytest.mark.parametrize("wrong", [0, -1, float("nan")])
def test_limits_are_above_zero(wrong: float) -> None:
    with pytest.raises(ValueError, match="account must be above zero"):
        Sandbox(rate_limit=wrong)
    with pytest.raises(ValueError, match="files must be above zero"):
        RateLimits(25, files=wrong)


def test_the_shell_refuses_what_the_constructor_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rate-limit", "0"]) == 2
    assert "must be above zero" in capsys.readouterr().err


@pytest.mark.anyio
async def test_a_server_limits_by_its_clock() -> None:
    clock = ManualClock()
    server = Server(Settings(clock=clock, rate_limit=5))
    await server.start()
    async with aiohttp.ClientSession(server.url) as http:
        api = Api(http)
        replies = await asyncio.gather(*[api("GET", SESSIONS) for _ in range(8)])
        assert sorted(reply.status for reply in replies) == [200] * 5 + [429] * 3
        reply = await api("POST", ONRAMP, Idempotency_Key="k")
        assert (reply.status, reply.error["type"]) == (429, "invalid_request_error")
        assert reply.error["code"] == "rate_limit"
        assert reply.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
        assert "Retry-After" not in reply.headers
        assert (await api("GET", SESSIONS, Stripe_Account="acct_1")).status == 200
        assert (await api("GET", CONTROL)).status == 200
        clock.advance(0.2)
        again = await api("POST", ONRAMP, Idempotency_Key="k")
        assert again.status == 200
        assert "Idempotent-Replayed" not in again.headers
    await server.stop()


@pytest.mark.anyio
async def test_limits_are_set_while_the_sandbox_runs(api: Api) -> None:
    nothing: dict[str, Any] = {"account": None, "endpoint": None, "files": None}
    assert await api.ok("GET", CONTROL) == nothing
    assert await api.ok("POST", CONTROL, {"account": "2", "files": "7.5"}) == {
        "account": 2.0,
        "endpoint": 25.0,
        "files": 7.5,
    }
    statuses = [(await api("GET", SESSIONS)).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await api("POST", CONTROL, {"endpoint": "2"})).error["param"] == "account"
    assert (await api("POST", CONTROL, {"account": "0"})).status == 400
    assert await api.ok("POST", CONTROL) == nothing
    assert (await api("GET", SESSIONS)).status == 200


@pytest.mark.anyio
async def test_an_endpoint_that_is_asked_too_often_says_so(api: Api) -> None:
    await api.ok("POST", CONTROL, {"account": "100"})
    replies = await asyncio.gather(*[api("GET", SESSIONS) for _ in range(26)])
    (refused,) = [reply for reply in replies if reply.status == 429]
    assert refused.headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
