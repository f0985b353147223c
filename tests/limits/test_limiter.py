"""The limiter: simulated against the sandbox's own limiter in virtual time, and by properties."""

from __future__ import annotations

import asyncio
import random
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
from pinstripe._limits import limiter as limiter_module
from pinstripe._limits.buckets import AdaptiveLimit, TokenBucket
from pinstripe._limits.gate import AsyncLimiter
from pinstripe._limits.limiter import EndpointQueue, Limiter
from pinstripe._limits.loop_limiters import LoopLimiters
from pinstripe._limits.rates import Rates
from pinstripe._resources import walk as _walk
from pinstripe.bulk import fan_out
from pinstripe.sandbox._traffic.rate_limits import RateLimits
from tests.support import virtual
from tests.support.dated import DATED, DatedShelf
from tests.support.virtual import Crowd, Server, answer, get, keep_busy, limiter_of, now, pipeline
from tests.support.waiting import settle

inf, nan = float("inf"), float("nan")

# --- against the sandbox's limiter --------------------------------------------------------------


@pytest.mark.uncounted
@pytest.mark.parametrize("tasks", [1, 10, 1000])
def test_a_known_limit_is_used_and_never_passed(tasks) -> None:
    server = Server(RateLimits(25))
    virtual.run(keep_busy(pipeline(server.send, limiter_of(account=25)), tasks, 40))
    assert server.rate(5, 40) >= 0.95 * 25
    assert server.share_refused(0, 40) == 0


@pytest.mark.uncounted
@pytest.mark.parametrize("tasks", [10, 1000])
def test_a_limit_that_is_lower_than_known_is_found(tasks) -> None:
    server = Server(RateLimits(40, endpoint=1e9))
    virtual.run(keep_busy(pipeline(server.send, limiter_of(account=50)), tasks, 50))
    assert server.rate(10, 50) >= 0.95 * 40
    assert server.share_refused(10, 50) < 0.005


@pytest.mark.uncounted
def test_a_limit_that_falls_to_a_tenth_and_is_raised_again() -> None:
    server = Server(RateLimits(100, endpoint=1e9), fastest=0.05, slowest=0.15)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_at(5, server.limiter.set, RateLimits(10, endpoint=1e9))
        loop.call_at(50, server.limiter.set, RateLimits(100, endpoint=1e9))
        await keep_busy(pipeline(server.send, limiter_of(account=100)), 50, 80)

    virtual.run(main())
    assert server.share_refused(10, 50) <= 0.05
    assert server.rate(10, 50) >= 0.95 * 10
    assert server.share_refused(55, 80) == 0
    assert server.rate(70, 80) >= 0.95 * 100


def test_an_endpoint_at_its_limit_does_not_hold_up_another() -> None:
    server, waits = Server(RateLimits(100)), list[float]()
    rates = {"account": 100, "endpoint": 25, "files": 20}
    pipe = pipeline(server.send, limiter_of(**rates))

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
    virtual.run(
        keep_busy(pipeline(send, limiter_of(account=50, endpoint=25)), 240, 20, requests=many)
    )
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
    virtual.run(keep_busy(pipeline(server.send, limiter_of(**rates)), 100, 20, requests=wanted))
    assert server.rate(5, 20) >= 0.95 * 60
    assert server.share_refused(0, 20) == 0


# --- many more calls than may go soon -----------------------------------------------------------


@pytest.mark.uncounted
@pytest.mark.parametrize("timeout", [1.0, 30.0])
def test_the_calls_of_a_fan_out_wait_as_long_as_it_takes(timeout) -> None:
    server, limiter = Server(RateLimits(25)), limiter_of(account=25)
    pipe, request = pipeline(server.send, limiter), get(timeout=Timeout(timeout))

    async def ask(_: int) -> Response:
        return await pipe.send(request)

    async def main() -> None:
        outcomes = [one async for one in fan_out(ask, range(2000), concurrency=1000)]
        assert [one.error for one in outcomes] == [None] * 2000
        assert 2000 / now() >= 0.95 * 25

    virtual.run(main())
    assert server.share_refused(0, inf) == 0
    assert limiter._waiting_lists == {}


def test_they_wait_for_slow_answers_too() -> None:
    crowd, limiter = Crowd(5, service=5.0), limiter_of(5)
    pipe, request = pipeline(crowd.send, limiter), get(timeout=Timeout(30))

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
    pager = Pager(pipeline(shelf.send, limiter_of(account=5)).send, walk)

    async def main() -> None:
        assert len([item async for item in pager.parallel(windows=64)]) == 2000
        assert now() >= len(shelf.asked) / 5 - 1

    virtual.run(main())


def test_each_endpoint_has_a_waiting_list_of_its_own() -> None:
    server, limiter = Server(None), limiter_of(account=100, endpoint=10)
    pipe = pipeline(server.send, limiter)

    async def ask(path: str) -> Response:
        return await pipe.send(get(path, timeout=Timeout(20)))

    async def main() -> None:
        paths = ["/v1/slow"] * 500 + ["/v1/x", "/v1/y"] * 10
        outcomes = fan_out(ask, paths, concurrency=520, ordered=False)
        first = [(await anext(outcomes)).input for _ in range(100)]
        assert sum(path != "/v1/slow" for path in first) == 20
        await outcomes.aclose()

    virtual.run(main())
    assert limiter._waiting_lists == {}


@given(st.integers(0, 2**32), st.booleans())
@settings(deadline=None, max_examples=20)
def test_a_call_cancelled_in_the_waiting_list_leaves_the_others(seed, slow) -> None:
    chance, server = random.Random(seed), Server(None)
    limiter = limiter_of(3) if slow else limiter_of(account=20)
    pipe = pipeline(server.send, limiter)

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
    assert limiter._waiting_lists == {}


# --- the number in flight -----------------------------------------------------------------------


@pytest.mark.uncounted
@pytest.mark.parametrize("places", [4, 16])
def test_no_more_are_in_flight_than_the_server_answers_at_once(places) -> None:
    server = Crowd(places)
    virtual.run(keep_busy(pipeline(server.send, limiter_of()), 200, 25))
    assert server.rate(5, 25) >= 0.95 * places / server.service
    crowded = 100 * server.service / places
    assert server.latency(5, 25) <= max(0.3 * crowded, 2 * server.service)


@pytest.mark.uncounted
def test_the_number_that_the_server_allows_at_once_is_found() -> None:
    server = Crowd(50, refuses=True)
    virtual.run(keep_busy(pipeline(server.send, limiter_of()), 200, 25))
    later = server.between(5, 25)
    assert sum(said == 429 for _, said, _ in later) / len(later) < 0.01
    assert server.rate(5, 25) >= 0.7 * 50 / server.service


@pytest.mark.uncounted
def test_a_server_that_became_slow_is_not_taken_for_overloaded() -> None:
    server = Crowd(1000)

    async def main() -> None:
        def slow_down() -> None:
            server.service = 0.3

        asyncio.get_running_loop().call_at(3, slow_down)
        await keep_busy(pipeline(server.send, limiter_of()), 100, 15)

    virtual.run(main())
    assert server.rate(0.1, 3) >= 0.95 * 100 / 0.05
    assert server.rate(6, 15) >= 0.95 * 100 / 0.3


@pytest.mark.parametrize(("share", "fell"), [(0.4, False), (1.0, True)])
def test_slow_answers_cut_nothing_if_few_are_in_flight(share, fell) -> None:
    limiter: Limiter[int] = Limiter(10, Rates())
    queue = limiter.endpoint_queue(None, "GET", "/v1/x", 0.0)
    for at in range(200):
        for _ in range(int(share * 10)):
            limiter.try_acquire(queue, at)
        limiter.record_answer(queue, at + (0.1 if at < 100 else 0.9), at)
        for _ in range(int(share * 10)):
            limiter.release_slot()
        if limiter.max_in_flight(at + 0.9) < 10:
            break
    assert (limiter.max_in_flight(at + 0.9) < 10) is fell


# --- one request --------------------------------------------------------------------------------


def limited(limiter: AsyncLimiter, request: Request, *results: Response) -> None:
    """Send a request through a limiter, and again each second; it gets these answers."""
    for number, result in enumerate(results, start=1):
        queue = limiter.queue_of(queue_key(request), number)
        assert limiter.try_acquire(queue, number)
        limiter.release(queue, *end_and_reason(request, result), number, number + 0.1)


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
def test_which_limit_falls_after_which_refusal(refusal, account, endpoint, most) -> None:
    limiter = limiter_of(10, account=100, endpoint=50)
    limited(limiter, get(), refusal)
    queue = limiter.queue_of(queue_key(get()), 1.1)
    assert [bucket.rate.at(1.1) for bucket in queue.buckets] == [account, endpoint]
    assert limiter.max_in_flight(1.1) == most


def test_if_no_rate_is_known_fewer_are_in_flight() -> None:
    limiter = limiter_of(10)
    queue = limiter.queue_of(queue_key(get()), 0)
    for _ in range(10):
        assert limiter.try_acquire(queue, 0)
    limiter.release(queue, "refused", "global-rate", 0, 1)
    assert limiter.max_in_flight(1) == 7


def test_a_request_without_key_is_not_counted() -> None:
    limiter = limiter_of(10, account=1, endpoint=1)
    limited(limiter, get(anonymous=True), *[answer(200)] * 5)
    assert not limiter.queue_of(queue_key(get(anonymous=True)), 0).buckets


def test_the_time_of_a_stream_says_nothing() -> None:
    class Nothing:
        max_bytes = 0

    limiter = limiter_of(1)
    stream: Any = Nothing()
    for at in range(100):
        request = get(sink=stream)
        queue = limiter.queue_of(queue_key(request), at)
        assert limiter.try_acquire(queue, at)
        limiter.release(
            queue, *end_and_reason(request, answer(200)), at - (0 if at < 50 else 50), at + 0.1
        )
    assert queue.latency.record(1.0) is None
    assert limiter.max_in_flight(100) == 1


def test_waiting_requests_go_in_order_of_arrival() -> None:
    order = list[int]()

    async def main() -> None:
        limiter = limiter_of(account=10, burst=0)

        async def send(request: Request) -> Response:
            order.append(int(request.headers["N"]))
            return answer(200)

        pipe = pipeline(send, limiter)
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
def test_the_turn_of_a_cancelled_call_goes_to_the_next(settled) -> None:
    async def main() -> None:
        limiter = limiter_of(1)
        queue = limiter.queue_of(queue_key(get()), now())
        assert limiter.try_acquire(queue, now())
        first, second = (asyncio.create_task(limiter.wait(queue, now(), inf)) for _ in range(2))
        await settle()
        if settled:  # its turn comes, and it is cancelled before it runs
            limiter.release(queue, None, None, now(), now())
            first.cancel()
        else:
            first.cancel()
            limiter.release(queue, None, None, now(), now())
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not limiter.try_acquire(queue, now())
        assert not limiter.has_waiters
        limiter.release(queue, None, None, now(), now())
        assert limiter.try_acquire(queue, now())

    virtual.run(main())


def test_a_request_that_may_go_earlier_does_not_wait_for_a_later_timer() -> None:
    went = list[tuple[str, float]]()

    async def main() -> None:
        pipe = pipeline(Server(None).send, limiter_of(endpoint=1, burst=0))

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


def test_a_wait_that_cannot_end_in_time_is_not_started() -> None:
    async def main() -> None:
        server = Server(None)
        pipe = pipeline(server.send, limiter_of(account=10, burst=0))
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


def test_the_hook_gets_a_wait_and_nothing_else() -> None:
    waits = list[WaitInfo]()

    async def main() -> None:
        hooks = Hooks(on_wait=waits.append)
        pipe = pipeline(Server(None).send, limiter_of(account=1, burst=0), hooks)
        for _ in range(2):
            await pipe.send(get())

    virtual.run(main())
    (wait,) = waits
    assert (wait.method, wait.path) == ("GET", "/v1/x")
    assert wait.duration == pytest.approx(1, abs=0.05)


def test_accounts_that_have_been_quiet_are_forgotten() -> None:
    limiter: Limiter[int] = Limiter(10, Rates(account=10))
    busy = limiter.endpoint_queue("busy", "GET", "/v1/x", 0)
    for at in range(5000):
        limiter.endpoint_queue(f"acct_{at}", "GET", "/v1/x", at)
        assert limiter.try_acquire(busy, at)
        limiter.release_slot()
    assert len(limiter._accounts) <= 1024
    assert limiter.endpoint_queue("busy", "GET", "/v1/x", 5000) is busy or not busy.waiters


@pytest.mark.parametrize("busy", [True, False])
def test_a_new_account_costs_the_same_however_many_there_are(monkeypatch, busy) -> None:
    looked_at = list[float]()
    is_idle = limiter_module._Account.is_idle

    def counted(account: Any, now: float) -> bool:
        looked_at.append(now)
        return is_idle(account, now) and not busy

    monkeypatch.setattr(limiter_module._Account, "is_idle", counted)
    limiter: Limiter[int] = Limiter(10, Rates(account=10))
    for number in range(4096):
        limiter.endpoint_queue(f"acct_{number}", "GET", "/v1/x", 0)
    assert len(looked_at) <= 2 * (4096 - 1024)
    assert len(limiter._accounts) == (4096 if busy else 1024)


def test_idle_accounts_are_forgotten_once_more_are_added_than_there_is_room_for() -> None:
    limiter: Limiter[int] = Limiter(10, Rates(account=10, burst=0))
    for number in range(3000):
        assert limiter.try_acquire(limiter.endpoint_queue(f"a{number}", "GET", "/v1/x", 0), 0)
        limiter.release_slot()
    assert len(limiter._accounts) == 3000
    for number in range(3000):
        limiter.endpoint_queue(f"b{number}", "GET", "/v1/x", 100)
    assert len(limiter._accounts) <= 1025


def test_an_account_with_waiting_requests_is_kept() -> None:
    limiter: Limiter[int] = Limiter(1, Rates())
    queue = limiter.endpoint_queue("busy", "GET", "/v1/x", 0)
    assert limiter.try_acquire(queue, 0)
    limiter.enqueue(queue, 1)
    for at in range(3000):
        limiter.endpoint_queue(f"acct_{at}", "GET", "/v1/x", at)
    assert limiter.endpoint_queue("busy", "GET", "/v1/x", 3000) is queue


# --- properties ---------------------------------------------------------------------------------

ENDPOINTS = [(None, "/v1/a"), (None, "/v1/b"), (None, "/v1/files"), ("acct_1", "/v1/a")]
RATES = Rates(account=10, endpoint=6, files=3, burst=0.5)


class LimiterMachine(RuleBasedStateMachine):
    """Requests arrive, wait, are cancelled, go and end, and some are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.limiter: Limiter[int] = Limiter(8, RATES)
        self.now = 1e6
        self.number = 0
        self.waiting: dict[int, EndpointQueue[int]] = {}
        self.in_flight: list[tuple[EndpointQueue[int], float]] = []
        self.let_in: dict[TokenBucket, list[float]] = {}
        self.latest: dict[int, int] = {}

    def went(self, queue: EndpointQueue[int], number: int) -> None:
        assert number > self.latest.get(id(queue), 0), "it overtook"
        self.latest[id(queue)] = number
        self.in_flight.append((queue, self.now))
        for bucket in queue.buckets:
            self.let_in.setdefault(bucket, []).append(self.now)

    def admit(self) -> None:
        for queue, number in self.limiter.admit(self.now):
            assert self.waiting.pop(number) is queue
            self.went(queue, number)

    @rule(place=st.sampled_from(ENDPOINTS), count=st.integers(1, 6))
    def come(self, place, count) -> None:
        account, path = place
        queue = self.limiter.endpoint_queue(account, "GET", path, self.now)
        for _ in range(count):
            self.number += 1
            if self.limiter.try_acquire(queue, self.now):
                self.went(queue, self.number)
            else:
                self.waiting[self.number] = queue
                self.limiter.enqueue(queue, self.number)
                self.admit()

    @rule(seconds=st.floats(0, 2))
    def time_passes(self, seconds) -> None:
        end = self.now + seconds
        while (wakes := self.limiter.wake_at(self.now)) is not None and wakes <= end:
            self.now = max(self.now, wakes)
            self.admit()
        self.now = end
        self.admit()

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), refused=st.booleans())
    def one_ends(self, data, refused) -> None:
        queue, sent = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        if refused:
            self.limiter.record_refusal(queue, "endpoint-rate", self.now, sent)
        else:
            self.limiter.record_answer(queue, self.now, sent)
        self.limiter.release_slot()
        self.admit()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def one_waits_no_longer(self, data) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        self.limiter.withdraw(self.waiting.pop(number), number)

    @precondition(lambda self: self.in_flight)
    @rule()
    def the_last_does_not_go_after_all(self) -> None:
        queue, sent = self.in_flight[-1]
        if sent == self.now:
            self.in_flight.pop()
            for bucket in queue.buckets:
                self.let_in[bucket].pop()
            self.limiter.return_tokens(queue)
            self.admit()

    @invariant()
    def no_window_holds_more_than_its_rate(self) -> None:
        for bucket, times in self.let_in.items():
            most = max(1.0, bucket.rate.ceiling * RATES.burst)
            for first, start in enumerate(times):
                for last in range(first, len(times)):
                    allowed = bucket.rate.ceiling * (times[last] - start) + most
                    assert last - first + 1 <= allowed + 1e-3

    @invariant()
    def nobody_is_lost(self) -> None:
        assert len(self.in_flight) <= 8
        assert self.limiter.has_waiters == bool(self.waiting)
        if self.waiting and not self.in_flight:
            assert self.limiter.wake_at(self.now) is not None

    def teardown(self) -> None:
        while self.waiting:
            while self.in_flight:
                self.in_flight.pop()
                self.limiter.release_slot()
                self.admit()
            self.time_passes(10.0)
        assert not self.limiter.has_waiters


LimiterMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestLimiterMachine = LimiterMachine.TestCase


def test_refusals_of_what_was_sent_before_a_fall_are_one_refusal() -> None:
    level = AdaptiveLimit(100, 1)
    assert level.lower(10, 9.5, 70)
    assert not level.lower(10.3, 9.9, 49)
    assert not level.lower(10.2, 10.1, 49)
    assert level.at(10.0) == 70
    assert level.lower(10.3, 10.1, 49)
    assert level.at(10.3) == 49


def test_a_limit_climbs_slowly_and_then_faster_and_not_above_its_ceiling() -> None:
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
    with pytest.raises(ConfigurationError, match="rate_limit: must be a RateLimit, not an int"):
        AsyncClient("sk_test_a", rate_limit=number)


class Instant:
    """A transport that answers at once."""

    async def send(self, request: Request) -> Response:
        return answer(200)

    async def aclose(self) -> None:
        pass


@pytest.mark.anyio
async def test_siblings_share_a_limit() -> None:
    limit = RateLimit(account=0.001, endpoint=inf, burst=0)
    async with AsyncClient("sk_test_a", transport=Instant(), rate_limit=limit) as client:
        sibling = client.with_options(timeout=7)
        await client.request("GET", "/v1/x")
        with pytest.raises(DeadlineExceeded, match="rate limit"):
            await sibling.request("GET", "/v1/y")


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


def test_every_event_loop_has_a_limiter_of_its_own() -> None:
    limiters = LoopLimiters(1, Rates())

    async def enter() -> bool:
        assert limiters() is limiters()
        return limiters().try_acquire(EndpointQueue(), 0.0)

    assert [virtual.run(enter()) for _ in range(3)] == [True] * 3
