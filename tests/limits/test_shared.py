"""A budget that processes share, in virtual time: the real script in a real Redis."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe import BudgetUnavailable, DeadlineExceeded, Timeout
from pinstripe._limits.shared import HOLD, LATE, MEMORY, Answer, Standing
from pinstripe.bulk import fan_out
from pinstripe.sandbox._traffic.rate_limits import RateLimits
from tests.support import virtual
from tests.support.shared import Process, VirtualRedis, most_in_a_second, open_server
from tests.support.virtual import Server, get, now

inf = float("inf")
FULL = 150
"""The requests of one second at 100 a second, and those of a burst of half a second."""


@pytest.fixture
def store(redis_url: str) -> Iterator[VirtualRedis]:
    found = VirtualRedis(redis_url)
    yield found
    found.close()


def run_crowd(
    store: VirtualRedis, server: Server, seconds: float, act: Any = None, **sizes: Any
) -> list[Process]:
    """Let processes be busy, and act on them; return them."""
    count, tasks = sizes.pop("processes", 4), sizes.pop("tasks", 16)
    options = {"account": 100, **sizes}

    async def main() -> list[Process]:
        processes = [Process(store, server, **options) for _ in range(count)]
        for process in processes:
            process.start(tasks, get())
        if act is not None:
            await act(processes)
        await asyncio.sleep(seconds - now())
        for process in processes:
            process.kill()
        await asyncio.sleep(2)  # what was on its way comes to its end
        return processes

    return virtual.run(main())


def waits(processes: list[Process], start: float) -> list[float]:
    return sorted(wait for one in processes for at, wait in one.waits if at >= start)


# --- all is well --------------------------------------------------------------------------------


@pytest.mark.uncounted
def test_four_processes_use_the_limit_and_few_scripts(store) -> None:
    server = open_server()
    processes = run_crowd(store, server, 12, tasks=32)
    assert server.rate(2, 12) >= 0.97 * 100
    assert server.share_refused(0, 12) == 0
    assert store.scripts / len(server.log) <= 0.2
    found = waits(processes, 4)
    assert found[int(0.99 * len(found))] <= 1.3 * 4 * 32 / 100


@pytest.mark.uncounted
def test_sixty_four_processes_use_the_limit_in_order(store) -> None:
    server = open_server()
    processes = run_crowd(store, server, 9, processes=64, tasks=2)
    assert server.rate(2, 9) >= 0.97 * 100
    assert most_in_a_second(server) <= FULL
    found = waits(processes, 4)
    assert found[int(0.99 * len(found))] <= 1.3 * 64 * 2 / 100


def test_one_task_asks_once_for_each_request(store) -> None:
    server = open_server()
    run_crowd(store, server, 6, processes=1, tasks=1)
    assert store.scripts <= 1.1 * len(server.log)


def test_a_process_that_ends_or_comes_costs_no_more_than_its_share(store) -> None:
    server = open_server()

    async def act(processes: list[Process]) -> None:
        await asyncio.sleep(3)
        processes[0].kill()
        await asyncio.sleep(3)
        processes.append(Process(store, server, account=100))
        processes[-1].start(16, get())

    run_crowd(store, server, 10, act)
    assert server.rate(2, 10) * 8 >= 8 * 100 - 2 * 25
    assert server.share_refused(0, 10) == 0


def test_an_endpoint_at_its_limit_holds_up_no_other(store) -> None:
    server = Server(RateLimits(100, endpoint=25))

    async def act(processes: list[Process]) -> None:
        await asyncio.sleep(2)
        processes[0].start(1, get("/v1/y"))
        processes[0].waits.clear()

    processes = run_crowd(store, server, 6, act, processes=2, endpoint=25)
    assert server.rate(2, 6) >= 0.95 * 25 + 5
    assert server.share_refused(0, 6) == 0
    assert min(waits(processes, 2.5)) <= 2 * server.slowest


def test_files_and_accounts_have_meters_of_their_own(store) -> None:
    server = Server(RateLimits(100, files=20))

    async def act(processes: list[Process]) -> None:
        processes[0].start(8, get("/v1/files"))
        processes[1].start(8, get("/v1/files/{file}"))
        processes[1].start(8, get("/v1/x", headers={"Stripe-Account": "acct_1"}))

    run_crowd(store, server, 6, act, processes=2, tasks=0, endpoint=25, files=20)
    assert server.rate(2, 6) == pytest.approx(45, rel=0.05)
    assert server.share_refused(0, 6) == 0


def test_what_one_process_learns_slows_all(store) -> None:
    server = open_server()

    async def act(_: list[Process]) -> None:
        await asyncio.sleep(2)
        server.limiter.set(RateLimits(60, endpoint=1e9))

    run_crowd(store, server, 14, act)
    assert server.rate(6, 14) >= 0.9 * 60
    assert server.share_refused(6, 14) <= 0.05


def test_a_fan_out_waits_as_long_as_it_takes(store) -> None:
    server = open_server()

    async def main() -> None:
        process = Process(store, server, account=50)

        async def ask(_: int) -> Any:
            return await process.pipe.send(get(timeout=Timeout(1)))

        outcomes = [one async for one in fan_out(ask, range(300), concurrency=200)]
        assert [one.error for one in outcomes] == [None] * 300
        assert now() <= 300 / 50 + 1.5
        await process.limiter.close()

    virtual.run(main())
    assert store.scripts <= 0.3 * 300


# --- slots that are not used --------------------------------------------------------------------


def test_a_slot_that_would_come_too_late_is_not_reserved(store) -> None:
    server = open_server()

    async def main() -> None:
        process, other = (Process(store, server, account=2, burst=0.5) for _ in range(2))
        await process.pipe.send(get())
        await asyncio.sleep(HOLD)
        await process.pipe.send(get())
        granted = store.granted
        for _ in range(2):  # the second time, it is known without a question
            with pytest.raises(DeadlineExceeded, match="before its deadline") as caught:
                await other.pipe.send(get(timeout=Timeout(0.2)))
            assert caught.value.outcome == "not_sent"
        assert store.granted == granted
        await asyncio.gather(process.limiter.close(), other.limiter.close())

    virtual.run(main())


def test_slots_that_are_not_used_go_back_and_to_others(store) -> None:
    server = open_server()

    async def main() -> None:
        first, second = (Process(store, server, account=20) for _ in range(2))
        await asyncio.gather(*(first.pipe.send(get()) for _ in range(30)))
        first.start(6, get())
        await asyncio.sleep(0.01)
        first.kill_tasks()
        await asyncio.sleep(0.01)
        assert store.client.exists(*store.client.keys(f"{store.prefix}returned:*"))
        before = now()
        await asyncio.gather(*(second.pipe.send(get()) for _ in range(4)))
        assert now() - before <= 6 / 20
        await asyncio.gather(first.limiter.close(), second.limiter.close())

    virtual.run(main())


def test_a_client_that_closes_gives_its_slots_back(store) -> None:
    async def main() -> None:
        process = Process(store, open_server(), account=20)
        await process.pipe.send(get())
        process.start(10, get())
        await asyncio.sleep(HOLD)
        await process.close()
        assert store.client.keys(f"{store.prefix}returned:*")

    virtual.run(main())


def test_a_slot_is_not_used_long_after_its_time(store) -> None:
    async def main() -> None:
        process = Process(store, open_server(), account=100)
        limiter = process.limiter
        queue = limiter.queue_of((None, "GET", "/v1/x"), now())
        await process.pipe.send(get())
        process.start(1, get())
        await asyncio.sleep(HOLD)
        process.kill_tasks()
        grants = queue.buckets[0]
        answer = Answer(
            is_new=False,
            members=1,
            batch=1,
            slots=(("1", 0.0),),
            earliest=None,
            again=0.0,
            hold=0.0,
            calm=False,
        )
        grants.record_answer(answer, now(), now())
        assert grants.ready_at(now() + LATE - 0.001) < inf
        assert grants.ready_at(now() + LATE) == inf
        await limiter.close()

    virtual.run(main())


# --- outages ------------------------------------------------------------------------------------

RATE = 20
MOST = 30
"""The requests of one second at `RATE`, and those of a burst of half a second."""

TROUBLES = ("down", "silent", "slow")
OLD = MEMORY + 2.0
"""Seconds after which processes have a share."""


class Sink(Server):
    """Takes every request, and remembers when it was sent."""

    async def send(self, request: Any) -> Any:
        self.log.append((now(), 200))
        await asyncio.sleep(self.chance.uniform(self.fastest, self.slowest))
        return virtual.answer(200)


def run_trouble(store: VirtualRedis, act: Any, seconds: float, **sizes: Any) -> Any:
    server = Sink(None)
    options = {"account": RATE, "processes": 3, "tasks": 6, **sizes}
    processes = run_crowd(store, server, seconds, act, **options)
    assert most_in_a_second(server) <= MOST
    return server, processes


@pytest.mark.uncounted
@pytest.mark.parametrize("trouble", TROUBLES)
def test_in_an_outage_each_process_goes_on_with_its_share(store, trouble) -> None:
    async def act(_: list[Process]) -> None:
        await asyncio.sleep(OLD)
        setattr(store, trouble, True)
        await asyncio.sleep(8)
        setattr(store, trouble, False)

    server, processes = run_trouble(store, act, OLD + 13)
    assert not any(one.errors for one in processes)
    assert max(waits(processes, 0)) <= 3 * 6 / RATE + 2
    # An outage costs less than a second, and its end as much.
    assert server.rate(OLD + 1, OLD + 8) >= 0.95 * RATE
    assert server.rate(OLD + 9, OLD + 13) >= 0.95 * RATE


@pytest.mark.parametrize("act", [VirtualRedis.lose_keys, VirtualRedis.fail_over])
def test_a_redis_that_has_forgotten_costs_less_than_a_second(store, act) -> None:
    async def forget(_: list[Process]) -> None:
        await asyncio.sleep(5)
        act(store)

    server, processes = run_trouble(store, forget, 12)
    assert not any(one.errors for one in processes)
    assert server.rate(2, 12) * 10 >= 9 * RATE


@pytest.mark.parametrize("trouble", TROUBLES)
def test_refuse_refuses_until_redis_is_back(store, trouble) -> None:
    async def act(_: list[Process]) -> None:
        await asyncio.sleep(OLD)
        setattr(store, trouble, True)
        await asyncio.sleep(3)
        setattr(store, trouble, False)

    server, processes = run_trouble(store, act, OLD + 8, on_outage="refuse")
    assert server.rate(OLD + 1, OLD + 3) == 0
    assert server.rate(OLD + 4, OLD + 8) >= 0.95 * RATE
    errors = [error for one in processes for _, error in one.errors]
    assert {type(error) for error in errors} == {BudgetUnavailable}
    assert all(error.outcome == "not_sent" and error.attempts == 0 for error in errors)


def test_a_redis_that_forgets_again_and_again_hands_out_no_more(store) -> None:
    async def forget(_: list[Process]) -> None:
        await asyncio.sleep(3)
        for _ in range(12):
            store.lose_keys()
            await asyncio.sleep(0.1)

    run_trouble(store, forget, 8, processes=8)


def test_a_share_begins_when_no_slot_is_left_and_ends_with_the_hold() -> None:
    def said(hold: float, *, is_new: bool = False) -> Answer:
        return Answer(
            is_new=is_new,
            members=2,
            batch=1,
            slots=(),
            earliest=None,
            again=0.0,
            hold=hold,
            calm=False,
        )

    standing = Standing("share")
    standing.record_answer(said(0.0, is_new=True), 0.0, 0.1)
    standing.record_answer(said(0.0), 40.0, 40.1)
    for at in (41.0, 41.25, 41.5, 41.75, 42.0):
        standing.record_failure(at, at + 0.2)
    assert not standing.shares(41.2 + HOLD - 0.01)
    assert standing.shares(42.2)
    assert not standing.shares(42.0 + HOLD)  # the latest failure allows no more
    standing.record_answer(said(0.6), 42.3, 42.35)
    assert standing.shares(42.3 + 0.59)
    assert not standing.shares(42.3 + 0.6)
    # In the next outage, others may hold slots again.
    standing.record_failure(42.5, 42.6)
    assert not standing.shares(42.7)
    assert standing.shares(42.6 + HOLD) is False
    # It had no answer for too long: others may have forgotten it.
    standing.record_answer(said(0.0), 50.0, 50.1)
    standing.record_failure(90.0, 90.2)
    assert not standing.has_share


def test_a_new_process_has_no_share(store) -> None:
    async def act(processes: list[Process]) -> None:
        await asyncio.sleep(OLD)
        processes.append(Process(store, processes[0]._server, account=RATE))
        processes[-1].start(2, get())
        await asyncio.sleep(2)
        store.silent = True
        await asyncio.sleep(4)
        store.silent = False

    _, processes = run_trouble(store, act, OLD + 9)
    assert [bool(one.errors) for one in processes] == [False, False, False, True]


def test_more_processes_than_requests_in_a_second_have_no_share(store) -> None:
    async def act(_: list[Process]) -> None:
        await asyncio.sleep(OLD + 20)
        store.silent = True

    _, processes = run_trouble(store, act, OLD + 24, processes=8, tasks=1, account=4)
    assert all(one.errors for one in processes)


def test_after_silence_an_old_process_need_not_wait(store) -> None:
    async def act(processes: list[Process]) -> None:
        await asyncio.sleep(OLD)
        for process in processes:
            process.kill_tasks()
        await asyncio.sleep(5)
        before = now()
        await asyncio.gather(*(processes[0].pipe.send(get()) for _ in range(3)))
        assert now() - before <= 0.1

    run_trouble(store, act, OLD + 6)


def test_a_process_that_waits_for_nothing_stops_to_ask(store) -> None:
    async def act(processes: list[Process]) -> None:
        await asyncio.sleep(1)
        store.down = True
        await asyncio.sleep(1)
        for process in processes:
            process.kill_tasks()
        await asyncio.sleep(6)
        assert not any(process.limiter._ask_timer for process in processes)
        store.down = False
        await processes[0].pipe.send(get())

    run_trouble(store, act, 12)


@pytest.mark.uncounted
def test_a_process_that_stopped_does_not_take_that_for_an_outage(store) -> None:
    async def act(processes: list[Process]) -> None:
        await asyncio.sleep(3)
        processes[0].meters.stall = 3.0
        await asyncio.sleep(4)
        assert not processes[0].limiter._standing.failing
        processes[0].meters.stall = 30.0
        await asyncio.sleep(61)
        assert processes[0].limiter._standing.failing

    run_trouble(store, act, 69, on_outage="refuse")


@given(
    st.integers(0, 2**32),
    st.lists(
        st.tuples(
            st.sampled_from([*TROUBLES, "back", "keys", "failover", "kill", "burst", "pause"]),
            st.floats(0.01, 1.5),
        ),
        max_size=12,
    ),
)
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_second_has_more_than_the_limit_and_its_burst(redis_url, seed, events) -> None:
    store, server, chance = VirtualRedis(redis_url), Sink(None, 0.2, 0.4), random.Random(seed)

    def end_trouble(_: Any) -> None:
        store.down = store.silent = store.slow = False

    acts: dict[str, Any] = {
        "back": end_trouble,
        "keys": lambda _: store.lose_keys(),
        "failover": lambda _: store.fail_over(),
        "kill": lambda processes: processes[0].kill_tasks(),
        "pause": lambda processes: [process.kill_tasks() for process in processes],
        "burst": lambda processes: [process.start(20, get()) for process in processes],
    }

    async def act(processes: list[Process]) -> None:
        for process in processes:
            process.meters.delay = chance.uniform(0.0005, 0.03)
        await asyncio.sleep(OLD)
        for event, pause in events:
            if event in TROUBLES:
                setattr(store, event, True)
            else:
                acts[event](processes)
            await asyncio.sleep(pause)
        end_trouble(None)
        await asyncio.sleep(3)
        for process in processes:
            await process.pipe.send(get())

    run_crowd(store, server, OLD + 25, act, processes=4, tasks=1)
    store.close()
    assert most_in_a_second(server) <= FULL


def test_many_accounts_ask_in_few_round_trips(store) -> None:
    server = Server(RateLimits(100))

    async def main() -> None:
        process = Process(store, server, account=100)
        accounts = [{"Stripe-Account": f"acct_{number}"} for number in range(250)]
        for _ in range(2):
            calls = (process.pipe.send(get(headers=account)) for account in accounts)
            await asyncio.gather(*calls)
        await process.limiter.close()
        await process.limiter.close()

    virtual.run(main())
    assert len(server.log) == 500
    assert server.share_refused(0, inf) == 0
