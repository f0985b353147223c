"""Who may go: simulated against the sandbox's own limiter in virtual time, and by properties."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import pairwise
from typing import Any

import anyio
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pinstripe import (
    AsyncClient,
    ConfigurationError,
    DeadlineExceeded,
    Pager,
    RateLimit,
    Request,
    RequestOptions,
    Response,
    Timeout,
    WaitInfo,
)
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._config.client import Config
from pinstripe._config.hooks import Hooks
from pinstripe._http.pipeline import end_and_reason, queue_key
from pinstripe._limits.buckets import AdaptiveLimit, TokenBucket
from pinstripe._limits.gate import AsyncLimiter, LoopLimiters
from pinstripe._limits.limiter import EndpointQueue, Limiter
from pinstripe._limits.rates import Rates
from pinstripe._resources import walk as _walk
from pinstripe.bulk import fan_out
from pinstripe.sandbox._traffic.rate_limits import RateLimits
from tests.support import virtual
from tests.support.dated import DATED, DatedShelf
from tests.support.virtual import Crowd, Server, answer, gate, get, keep_busy, now, pipeline

inf, nan = float("inf"), float("nan")

# --- against the sandbox's limiter --------------------------------------------------------------


@pytest.mark.parametrize("tasks", [1, 10, 1000])
def test_a_known_limit_is_used_and_never_passed(tasks) -> None:
    server = Server(RateLimits(25))
    virtual.run(keep_busy(pipeline(server.send, gate(account=25)), tasks, 40))
    assert server.rate(5, 40) >= 0.95 * 25
    assert server.share_refused(0, 40) == 0


@pytest.mark.parametrize("tasks", [10, 1000])
def test_a_limit_that_is_lower_than_known_is_found(tasks) -> None:
    server = Server(RateLimits(40, endpoint=1e9))
    virtual.run(keep_busy(pipeline(server.send, gate(account=50)), tasks, 50))
    assert server.rate(10, 50) >= 0.95 * 40
    assert server.share_refused(10, 50) < 0.005


def test_a_limit_that_falls_to_a_tenth_and_is_raised_again() -> None:
    server = Server(RateLimits(100, endpoint=1e9), fastest=0.05, slowest=0.15)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_at(5, server.limiter.set, RateLimits(10, endpoint=1e9))
        loop.call_at(50, server.limiter.set, RateLimits(100, endpoint=1e9))
        await keep_busy(pipeline(server.send, gate(account=100)), 50, 80)

    virtual.run(main())
    assert server.share_refused(10, 50) <= 0.05
    assert server.rate(10, 50) >= 0.95 * 10
    assert server.share_refused(55, 80) == 0
    assert server.rate(70, 80) >= 0.95 * 100


def test_an_endpoint_at_its_limit_does_not_hold_up_another() -> None:
    server, waits = Server(RateLimits(100)), list[float]()
    rates = {"account": 100, "endpoint": 25, "files": 20}
    pipe = pipeline(server.send, gate(**rates))

    async def ask_elsewhere() -> None:
        while now() < 20:
            started = now()
            await pipe.send(get("/v1/y"))
            waits.append(now() - started)
            await asyncio.sleep(0.1)

    async def main() -> None:
        await asyncio.gather(keep_busy(pipe, 500, 20), ask_elsewhere())

    virtual.run(main())
    assert max(waits) <= server.slowest
    assert server.rate(5, 20) >= 0.95 * 25 + 5
    assert server.share_refused(0, 20) == 0


def test_everybody_gets_a_share_of_what_is_shared() -> None:
    server = Server(RateLimits(50))
    paths = [f"/v1/{name}" for name in "abcd"]
    asked = dict.fromkeys(paths, 0)

    async def send(request: Request) -> Response:
        asked[request.path] += 1
        return await server.send(request)

    many = (get("/v1/a"),) * 20 + tuple(get(path) for path in paths)
    virtual.run(keep_busy(pipeline(send, gate(account=50, endpoint=25)), 240, 20, requests=many))
    assert server.rate(5, 20) >= 0.95 * 50
    assert server.share_refused(0, 20) == 0
    assert asked["/v1/a"] >= 0.95 * 25 * 20
    assert all(asked[path] >= 0.95 * 25 * 20 / 3 for path in paths[1:])


def test_files_and_accounts_have_limits_of_their_own() -> None:
    server = Server(RateLimits(100))
    rates = {"account": 100, "endpoint": 25, "files": 20}
    file = get("/v1/files/{file}")
    wanted = (
        get("/v1/files"),
        file,
        evolve(file, headers={"Stripe-Account": "acct_1"}),
        Request(method="POST", path="/v1/files", template="/v1/files"),
    )
    virtual.run(keep_busy(pipeline(server.send, gate(**rates)), 100, 20, requests=wanted))
    assert server.rate(5, 20) >= 0.95 * 60
    assert server.share_refused(0, 20) == 0


# --- many more calls than may go soon -----------------------------------------------------------


@pytest.mark.parametrize("timeout", [1.0, 30.0])
def test_the_calls_of_a_fan_out_wait_as_long_as_it_takes(timeout) -> None:
    server, door = Server(RateLimits(25)), gate(account=25)
    pipe, request = pipeline(server.send, door), get(timeout=Timeout(timeout))

    async def ask(_: int) -> Response:
        return await pipe.send(request)

    async def main() -> None:
        outcomes = [one async for one in fan_out(ask, range(2000), concurrency=1000)]
        assert [one.error for one in outcomes] == [None] * 2000
        assert 2000 / now() >= 0.95 * 25

    virtual.run(main())
    assert server.share_refused(0, inf) == 0
    assert door._lines == {}


def test_they_wait_for_slow_answers_too() -> None:
    crowd, door = Crowd(5, service=5.0), gate(5)
    pipe, request = pipeline(crowd.send, door), get(timeout=Timeout(30))

    async def ask(_: int) -> Response:
        return await pipe.send(request)

    async def main() -> None:
        outcomes = [one async for one in fan_out(ask, range(100), concurrency=80)]
        assert [one.error for one in outcomes] == [None] * 100
        assert now() < 130

    virtual.run(main())


def test_the_requests_of_a_parallel_walk_wait_too() -> None:
    shelf = DatedShelf(range(1_790_000_000, 1_790_020_000, 10))
    paging = _walk.Paging(20, None, None, None, None)
    walk = _walk.start_walk(DATED, {"created": None}, paging, RequestOptions(timeout=1))
    pager = Pager(pipeline(shelf.send, gate(account=5)).send, walk)

    async def main() -> None:
        assert len([item async for item in pager.parallel(windows=64)]) == 2000
        assert now() >= len(shelf.asked) / 5 - 1

    virtual.run(main())


def test_they_wait_in_lines_of_their_own() -> None:
    server, door = Server(None), gate(account=100, endpoint=10)
    pipe = pipeline(server.send, door)

    async def ask(path: str) -> Response:
        return await pipe.send(get(path, timeout=Timeout(20)))

    async def main() -> None:
        paths = ["/v1/slow"] * 500 + ["/v1/x", "/v1/y"] * 10
        outcomes = fan_out(ask, paths, concurrency=520, ordered=False)
        first = [(await anext(outcomes)).input for _ in range(100)]
        assert sum(path != "/v1/slow" for path in first) == 20
        await outcomes.aclose()

    virtual.run(main())
    assert door._lines == {}


@given(st.integers(0, 2**32), st.booleans())
@settings(deadline=None, max_examples=20)
def test_who_is_cancelled_in_the_line_leaves_the_others(seed, slow) -> None:
    chance, server = random.Random(seed), Server(None)
    door = gate(3) if slow else gate(account=20)
    pipe = pipeline(server.send, door)

    async def patient() -> Response:
        deadline_starts_at_turn.set(True)
        return await pipe.send(get(timeout=Timeout(5)))

    async def main() -> None:
        tasks = [asyncio.create_task(patient()) for _ in range(200)]
        for task in chance.sample(tasks, 120):
            await asyncio.sleep(chance.choice([0, 0, 0.05]))
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        kept = [one for one in done if not isinstance(one, asyncio.CancelledError)]
        assert len(kept) >= 80
        assert {type(one) for one in kept} == {Response}

    virtual.run(main())
    assert door._lines == {}


# --- the number on its way ----------------------------------------------------------------------


@pytest.mark.parametrize("places", [4, 16])
def test_no_more_are_on_their_way_than_answers_come_for(places) -> None:
    server = Crowd(places)
    virtual.run(keep_busy(pipeline(server.send, gate()), 200, 25))
    assert server.rate(5, 25) >= 0.95 * places / server.service
    crowded = 100 * server.service / places
    assert server.latency(5, 25) <= max(0.3 * crowded, 2 * server.service)


def test_what_the_server_refuses_as_too_many_at_once_is_found_out() -> None:
    server = Crowd(50, refuses=True)
    virtual.run(keep_busy(pipeline(server.send, gate()), 200, 25))
    later = server.between(5, 25)
    assert sum(said == 429 for _, said, _ in later) / len(later) < 0.01
    assert server.rate(5, 25) >= 0.7 * 50 / server.service


def test_a_server_that_is_slow_for_all_is_not_taken_for_crowded() -> None:
    server = Crowd(1000)

    async def main() -> None:
        def slow_down() -> None:
            server.service = 0.3

        asyncio.get_running_loop().call_at(3, slow_down)
        await keep_busy(pipeline(server.send, gate()), 100, 15)

    virtual.run(main())
    assert server.rate(0.1, 3) >= 0.95 * 100 / 0.05
    assert server.rate(6, 15) >= 0.95 * 100 / 0.3


@pytest.mark.parametrize(("share", "fell"), [(0.4, False), (1.0, True)])
def test_slow_answers_are_no_crowd_where_few_are_on_their_way(share, fell) -> None:
    door: Limiter[int] = Limiter(10, Rates())
    lane = door.endpoint_queue(None, "GET", "/v1/x", 0.0)
    for at in range(200):
        for _ in range(int(share * 10)):
            door.enter(lane, at)
        door.record_answer(lane, at + (0.1 if at < 100 else 0.9), at)
        for _ in range(int(share * 10)):
            door.leave()
        if door.most(at + 0.9) < 10:
            break
    assert (door.most(at + 0.9) < 10) is fell


# --- one request --------------------------------------------------------------------------------


def limited(door: AsyncLimiter, request: Request, *results: Response) -> None:
    """Have a request meet these answers at a gate, a second apart."""
    for number, result in enumerate(results, start=1):
        lane = door.queue_of(queue_key(request), number)
        assert door.enter(lane, number)
        door.release(lane, *end_and_reason(request, result), number, number + 0.1)


LOCKED = Response(status=429, headers={}, body=b'{"error": {"code": "lock_timeout"}}')


@pytest.mark.parametrize(
    ("refusal", "account", "endpoint", "most"),
    [
        (answer(200), 100, 50, 10),
        (LOCKED, 100, 50, 10),
        (answer(429, "resource-specific"), 100, 50, 10),
        (answer(429, "global-rate"), 70, 50, 10),
        (answer(429), 70, 50, 10),
        (answer(429, "endpoint-rate"), 100, 35, 10),
        (answer(429, "global-concurrency"), 100, 50, 1),
        (answer(429, "endpoint-concurrency"), 100, 50, 1),
    ],
)
def test_what_gives_way_to_which_refusal(refusal, account, endpoint, most) -> None:
    door = gate(10, account=100, endpoint=50)
    limited(door, get(), refusal)
    lane = door.queue_of(queue_key(get()), 1.1)
    assert [meter.rate.at(1.1) for meter in lane.buckets] == [account, endpoint]
    assert door.most(1.1) == most


def test_where_no_rate_is_known_fewer_are_on_their_way() -> None:
    door = gate(10)
    lane = door.queue_of(queue_key(get()), 0)
    for _ in range(10):
        assert door.enter(lane, 0)
    door.release(lane, "refused", "global-rate", 0, 1)
    assert door.most(1) == 7


def test_a_request_without_key_is_not_counted() -> None:
    door = gate(10, account=1, endpoint=1)
    limited(door, get(anonymous=True), *[answer(200)] * 5)
    assert not door.queue_of(queue_key(get(anonymous=True)), 0).buckets


def test_the_time_of_a_stream_says_nothing() -> None:
    class Nothing:
        max_bytes = 0

    door = gate(1)
    stream: Any = Nothing()
    for at in range(100):
        request = get(sink=stream)
        lane = door.queue_of(queue_key(request), at)
        assert door.enter(lane, at)
        door.release(
            lane, *end_and_reason(request, answer(200)), at - (0 if at < 50 else 50), at + 0.1
        )
    assert lane.latency.record(1.0) is None
    assert door.most(100) == 1


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_those_who_wait_go_in_the_order_in_which_they_came() -> None:
    order = list[int]()

    async def main() -> None:
        door = gate(account=10, burst=0)

        async def send(request: Request) -> Response:
            order.append(int(request.headers["N"]))
            return answer(200)

        pipe = pipeline(send, door)
        calls = []
        for number in range(30):
            path = f"/v1/{'ab'[number % 2]}"
            calls.append(asyncio.create_task(pipe.send(get(path, headers={"N": str(number)}))))
            await asyncio.sleep(0.01)
        for number in (7, 8, 20):
            calls[number].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert now() == pytest.approx(2.6, abs=0.01)

    virtual.run(main())
    assert order == [number for number in range(30) if number not in (7, 8, 20)]


@pytest.mark.parametrize("settled", [False, True])
def test_a_turn_that_comes_to_a_cancelled_call_goes_to_the_next(settled) -> None:
    async def main() -> None:
        door = gate(1)
        lane = door.queue_of(queue_key(get()), now())
        assert door.enter(lane, now())
        first, second = (asyncio.create_task(door.wait(lane, now(), inf)) for _ in range(2))
        await settle()
        if settled:  # its turn comes, and it is cancelled before it runs
            door.release(lane, None, None, now(), now())
            first.cancel()
        else:
            first.cancel()
            door.release(lane, None, None, now(), now())
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not door.enter(lane, now())
        assert not door.has_waiters
        door.release(lane, None, None, now(), now())
        assert door.enter(lane, now())

    virtual.run(main())


def test_whoever_may_go_earlier_need_not_wait_for_another_timer() -> None:
    went = list[tuple[str, float]]()

    async def main() -> None:
        pipe = pipeline(Server(None).send, gate(endpoint=1, burst=0))

        async def call(path: str) -> None:
            await pipe.send(get(path, headers={}))
            went.append((path, round(now(), 1)))

        await call("/v1/early")
        await asyncio.sleep(0.5)
        await call("/v1/late")
        await asyncio.gather(call("/v1/late"), call("/v1/early"))

    virtual.run(main())
    assert went == [("/v1/early", 0.0), ("/v1/late", 0.5), ("/v1/early", 1.0), ("/v1/late", 1.5)]


def with_timeout(total: float) -> Request:
    return get(timeout=Timeout(total))


def test_a_wait_that_cannot_end_in_time_is_not_begun() -> None:
    async def main() -> None:
        server = Server(None)
        pipe = pipeline(server.send, gate(account=10, burst=0))
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(pipe.send, get())
            await settle()
            begun = now()
            with pytest.raises(DeadlineExceeded, match="rate limit") as caught:
                await pipe.send(with_timeout(1.9))
            assert now() == begun
            assert (caught.value.outcome, caught.value.attempts) == ("not_sent", 0)
            assert (await pipe.send(with_timeout(2.1))).status == 200

    virtual.run(main())


def test_the_hook_is_told_of_a_wait_and_of_nothing_else() -> None:
    waits = list[WaitInfo]()

    async def main() -> None:
        hooks = Hooks(on_wait=waits.append)
        pipe = pipeline(Server(None).send, gate(account=1, burst=0), hooks)
        for _ in range(2):
            await pipe.send(get())

    virtual.run(main())
    (wait,) = waits
    assert (wait.method, wait.path) == ("GET", "/v1/x")
    assert wait.duration == pytest.approx(1, abs=0.05)


def test_accounts_that_have_been_quiet_are_forgotten() -> None:
    door: Limiter[int] = Limiter(10, Rates(account=10))
    busy = door.endpoint_queue("busy", "GET", "/v1/x", 0)
    for at in range(5000):
        door.endpoint_queue(f"acct_{at}", "GET", "/v1/x", at)
        assert door.enter(busy, at)
        door.leave()
    assert len(door._accounts) <= 1024
    assert door.endpoint_queue("busy", "GET", "/v1/x", 5000) is busy or not busy.waiters


def test_an_account_at_which_somebody_waits_is_kept() -> None:
    door: Limiter[int] = Limiter(1, Rates())
    lane = door.endpoint_queue("busy", "GET", "/v1/x", 0)
    assert door.enter(lane, 0)
    door.enqueue(lane, 1)
    for at in range(3000):
        door.endpoint_queue(f"acct_{at}", "GET", "/v1/x", at)
    assert door.endpoint_queue("busy", "GET", "/v1/x", 3000) is lane


# --- properties ---------------------------------------------------------------------------------

ENDPOINTS = [(None, "/v1/a"), (None, "/v1/b"), (None, "/v1/files"), ("acct_1", "/v1/a")]
RATES = Rates(account=10, endpoint=6, files=3, burst=0.5)


class AtTheGate(RuleBasedStateMachine):
    """Requests come, wait, change their minds, go and end, and some are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.gate: Limiter[int] = Limiter(8, RATES)
        self.now = 1e6
        self.number = 0
        self.waiting: dict[int, EndpointQueue[int]] = {}
        self.inside: list[tuple[EndpointQueue[int], float]] = []
        self.let_in: dict[TokenBucket, list[float]] = {}
        self.latest: dict[int, int] = {}

    def went(self, lane: EndpointQueue[int], number: int) -> None:
        assert number > self.latest.get(id(lane), 0), "it overtook"
        self.latest[id(lane)] = number
        self.inside.append((lane, self.now))
        for meter in lane.buckets:
            self.let_in.setdefault(meter, []).append(self.now)

    def admit(self) -> None:
        for lane, number in self.gate.admit(self.now):
            assert self.waiting.pop(number) is lane
            self.went(lane, number)

    @rule(place=st.sampled_from(ENDPOINTS), count=st.integers(1, 6))
    def come(self, place, count) -> None:
        account, path = place
        lane = self.gate.endpoint_queue(account, "GET", path, self.now)
        for _ in range(count):
            self.number += 1
            if self.gate.enter(lane, self.now):
                self.went(lane, self.number)
            else:
                self.waiting[self.number] = lane
                self.gate.enqueue(lane, self.number)
                self.admit()

    @rule(seconds=st.floats(0, 2))
    def time_passes(self, seconds) -> None:
        end = self.now + seconds
        while (wakes := self.gate.wake_at(self.now)) is not None and wakes <= end:
            self.now = max(self.now, wakes)
            self.admit()
        self.now = end
        self.admit()

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), refused=st.booleans())
    def one_ends(self, data, refused) -> None:
        lane, sent = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        if refused:
            self.gate.record_refusal(lane, "endpoint-rate", self.now, sent)
        else:
            self.gate.record_answer(lane, self.now, sent)
        self.gate.leave()
        self.admit()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def one_waits_no_longer(self, data) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        self.gate.withdraw(self.waiting.pop(number), number)

    @precondition(lambda self: self.inside)
    @rule()
    def the_last_does_not_go_after_all(self) -> None:
        lane, sent = self.inside[-1]
        if sent == self.now:
            self.inside.pop()
            for meter in lane.buckets:
                self.let_in[meter].pop()
            self.gate.return_tokens(lane)
            self.admit()

    @invariant()
    def no_window_holds_more_than_its_rate(self) -> None:
        for meter, times in self.let_in.items():
            most = max(1.0, meter.rate.ceiling * RATES.burst)
            for first, start in enumerate(times):
                for last in range(first, len(times)):
                    allowed = meter.rate.ceiling * (times[last] - start) + most
                    assert last - first + 1 <= allowed + 1e-3

    @invariant()
    def nobody_is_lost(self) -> None:
        assert len(self.inside) <= 8
        assert self.gate.has_waiters == bool(self.waiting)
        if self.waiting and not self.inside:
            assert self.gate.wake_at(self.now) is not None

    def teardown(self) -> None:
        while self.waiting:
            while self.inside:
                self.inside.pop()
                self.gate.leave()
                self.admit()
            self.time_passes(10.0)
        assert not self.gate.has_waiters


AtTheGate.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestAtTheGate = AtTheGate.TestCase


def test_refusals_of_what_was_sent_before_a_fall_are_one_refusal() -> None:
    level = AdaptiveLimit(100, 1)
    assert level.lower(10, 9.5, 70)
    assert not level.lower(10.3, 9.9, 49)
    assert not level.lower(10.2, 10.1, 49)
    assert level.at(10.0) == 70
    assert level.lower(10.3, 10.1, 49)
    assert level.at(10.3) == 49


def test_a_level_climbs_slowly_and_then_faster_and_no_higher_than_it_was() -> None:
    level = AdaptiveLimit(100, 1)
    level.lower(0, 0, 0)
    climbed = [level.at(at) for at in range(14)]
    assert climbed[0] == 1
    steps = [after - before for before, after in pairwise(climbed)]
    assert steps[:11] == sorted(steps[:11])
    assert climbed[3] < 3
    assert climbed[12:] == [100, 100]


# --- settings -----------------------------------------------------------------------------------


def rates_of(key: str = "sk_test_a", **options: Any) -> Rates:
    return Config(api_key=key, **options).rates


def test_the_default_is_what_stripe_publishes() -> None:
    assert rates_of("sk_live_a") == Rates(account=100, endpoint=25, files=20, burst=0.5)
    test = Rates(account=25, endpoint=25, files=20, burst=0.5)
    assert rates_of("rk_test_a") == rates_of("sk_org_a") == test
    assert rates_of(base_url="https://gateway.example") == test


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:12111", "http://localhost:1", "http://[::1]:80", "https://127.9.9.9"]
)
def test_a_server_on_this_machine_is_not_limited_unless_asked_for(url) -> None:
    assert rates_of(base_url=url) == Rates()
    assert rates_of(base_url=url, rate_limit=RateLimit(account=7)) == Rates(account=7)


def test_what_is_asked_for() -> None:
    assert rates_of(rate_limit=None) == Rates()
    chosen = RateLimit(account=500, endpoint=inf, burst=0)
    assert rates_of(rate_limit=chosen) == Rates(account=500, endpoint=inf, files=20, burst=0)


@pytest.mark.parametrize("bad", [0, -1, nan, "25", True])
@pytest.mark.parametrize("argument", ["account", "endpoint", "files"])
def test_a_rate_is_a_number_above_zero(argument, bad) -> None:
    with pytest.raises(ConfigurationError, match=f"{argument}: must be a number above 0"):
        RateLimit(**{argument: bad})


def test_other_bad_limits() -> None:
    with pytest.raises(ConfigurationError, match="burst: must be"):
        RateLimit(burst=-1)
    number: Any = 25
    with pytest.raises(ConfigurationError, match="rate_limit: must be a RateLimit, not a int"):
        AsyncClient("sk_test_a", rate_limit=number)


class Instant:
    """A transport that answers at once."""

    async def send(self, request: Request) -> Response:
        return answer(200)

    async def aclose(self) -> None:
        pass


@pytest.mark.anyio
async def test_siblings_share_a_limit() -> None:
    limit = RateLimit(account=200, endpoint=inf, burst=0)
    async with AsyncClient("sk_test_a", transport=Instant(), rate_limit=limit) as client:
        sibling = client.with_options(timeout=7)
        started = time.monotonic()
        for _ in range(10):
            await client.request("GET", "/v1/x")
            await sibling.request("GET", "/v1/y")
        assert time.monotonic() - started >= 19 / 200


@pytest.mark.anyio
async def test_a_client_without_limit_does_not_wait() -> None:
    waits = list[WaitInfo]()
    hooks = Hooks(on_wait=waits.append)
    async with AsyncClient(
        "sk_test_a", transport=Instant(), rate_limit=None, hooks=hooks
    ) as client:
        for _ in range(200):
            await client.request("GET", "/v1/x")
    assert waits == []


def test_every_event_loop_has_a_gate_of_its_own() -> None:
    gates = LoopLimiters(1, Rates())

    async def enter() -> bool:
        assert gates() is gates()
        return gates().enter(EndpointQueue(), 0.0)

    assert [virtual.run(enter()) for _ in range(3)] == [True] * 3
