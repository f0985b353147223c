"""A shared budget with a real Redis: killed, paused, flushed, slow, and in other processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import pinstripe
from pinstripe import (
    AsyncClient,
    BudgetUnavailable,
    Client,
    ConfigurationError,
    RateLimit,
    Request,
    Response,
    SharedBudget,
)
from pinstripe._limits.budget import LEAST_SHARED_BURST
from tests.support.own_redis import OwnRedis, SlowWay, own_redis
from tests.support.virtual import answer
from tests.support.waiting import settle

SECRET = "hunter2"


class Instant:
    """A transport that answers at once."""

    async def send(self, request: Request) -> Response:
        return answer(200)

    async def aclose(self) -> None:
        pass


def client_of(url: str, *, name: str = "acct:test", **options: Any) -> AsyncClient:
    on_outage = options.pop("on_outage", "share")
    budget = SharedBudget(url, name=name, on_outage=on_outage)
    limit = RateLimit(account=500, shared=budget)
    return AsyncClient("sk_test_a", transport=Instant(), rate_limit=limit, **options)


async def ask(client: AsyncClient, times: int = 1) -> None:
    """Make calls. A busy machine may take too long to answer, so that some are made again."""

    async def ask_once() -> None:
        answered = None
        while answered is None:
            with contextlib.suppress(BudgetUnavailable):
                answered = await client.request("GET", "/v1/x")

    await asyncio.gather(*(ask_once() for _ in range(times)))


async def refusal_of(client: AsyncClient) -> BudgetUnavailable:
    with pytest.raises(BudgetUnavailable) as caught:
        await client.request("GET", "/v1/x")
    return caught.value


@pytest.fixture
def server() -> Iterator[OwnRedis]:
    with own_redis() as found:
        yield found


@pytest.fixture
async def way(server: OwnRedis) -> AsyncIterator[SlowWay]:
    async with SlowWay(server.port).open() as found:
        yield found


# --- Redis in all states ------------------------------------------------------------------------


@pytest.mark.anyio
async def test_clients_share_a_budget_whose_keys_have_one_tag_and_an_end(redis_url) -> None:
    name = str(uuid.uuid4())
    async with client_of(redis_url, name=name) as first, client_of(redis_url, name=name) as second:
        await asyncio.gather(ask(first, 30), ask(second, 30))
        with redis.Redis.from_url(redis_url) as store:
            assert store.zcard(f"pinstripe:{{{name}}}:members") == 2
    with redis.Redis.from_url(redis_url) as store:
        keys = [key.decode() for key in store.keys(f"*{name}*")]
        assert f"pinstripe:{{{name}}}:members" not in keys
        assert all(key.startswith(f"pinstripe:{{{name}}}:") for key in keys)
        assert all(0 < store.ttl(key) <= 3600 for key in keys)


@pytest.mark.anyio
async def test_a_cluster_finds_all_keys_in_one_place() -> None:
    with own_redis("--cluster-enabled", "yes") as server:
        with redis.Redis(port=server.port) as store:
            store.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            while b"cluster_state:ok" not in store.execute_command("CLUSTER", "INFO"):
                await settle()
        async with client_of(server.url) as client:
            await ask(client)


@pytest.mark.anyio
async def test_a_killed_redis_is_told_and_used_again_when_it_is_back(server) -> None:
    async with client_of(server.url, on_outage="refuse") as client:
        await ask(client)
        server.kill()
        error = await refusal_of(client)
        assert "'acct:test'" in str(error)
        assert "ConnectionError" in str(error)
        assert (error.outcome, error.attempts) == ("not_sent", 0)
        server.start()
        await ask(client)


@pytest.mark.anyio
async def test_a_paused_redis_is_told(server) -> None:
    async with client_of(server.url, on_outage="refuse") as client:
        await ask(client)
        server.pause()
        try:
            assert "TimeoutError" in str(await refusal_of(client))
        finally:
            server.resume()
        await ask(client)


@pytest.mark.anyio
async def test_an_old_process_goes_on_without_redis(server) -> None:
    async with client_of(server.url) as client:
        await ask(client)
        # What takes half a minute: to be a member for so long.
        client._shared.limiters()._standing._member_since -= 60
        await ask(client)
        server.kill()
        await ask(client, 50)
        server.start()
        await ask(client, 50)


@pytest.mark.anyio
async def test_lost_keys_and_closed_connections_stop_nobody(server) -> None:
    async with client_of(server.url, on_outage="refuse") as client:
        await ask(client)
        with redis.Redis(port=server.port) as store:
            store.flushall()
            await ask(client)
            store.client_kill_filter(_type="normal", skipme=True)
            await ask(client)


@pytest.mark.anyio
async def test_a_slow_redis_is_used_and_one_that_is_too_slow_is_told(way) -> None:
    async with client_of(way.url, on_outage="refuse") as client:
        way.delay = 0.001
        await ask(client)
        way.delay = 1.0
        await refusal_of(client)
        way.delay = 0.001
        await ask(client)


@pytest.mark.anyio
async def test_what_a_client_holds_at_its_end_goes_back(server) -> None:
    async with client_of(server.url) as client:
        await ask(client)
        limiter = client._shared.limiters()
        queue = limiter.queue_of((None, "GET", "/v1/x"), time.monotonic())
        waiting = asyncio.gather(ask(client, 400), return_exceptions=True)
        while not queue.buckets[0].times():
            await settle()
    await waiting
    with redis.Redis(port=server.port) as store:
        assert store.info("commandstats")["cmdstat_rpush"]["calls"] >= 1


@pytest.mark.anyio
async def test_a_client_closes_although_redis_is_gone(server) -> None:
    async with client_of(server.url) as client:
        await ask(client)
        limiter = client._shared.limiters()
        waiting = asyncio.gather(ask(client, 400), return_exceptions=True)
        while limiter._asking is None:
            await settle()
        await limiter._asking
        server.kill()
    await waiting


@pytest.mark.anyio
async def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    with own_redis("--requirepass", "right") as server:
        url = f"redis://:{SECRET}@127.0.0.1:{server.port}"
        async with client_of(url) as client:
            error = await refusal_of(client)
            assert "AuthenticationError" in str(error)
            assert SECRET not in str(error) + repr(error)
            assert pickle.loads(pickle.dumps(error)).message == error.message


@pytest.mark.anyio
async def test_a_redis_that_is_not_there_is_told_before_anything_is_sent() -> None:
    async with client_of("redis://127.0.0.1:1") as client:
        error = await refusal_of(client)
        assert "nothing was sent" in str(error)
        assert error.attempts == 0


@pytest.mark.anyio
async def test_an_address_that_redis_does_not_take_is_told_without_it() -> None:
    async with client_of(f"redis://:{SECRET}@localhost?socket_timeout={SECRET}") as client:
        error = await refusal_of(client)
        assert "ValueError" in str(error)
        assert SECRET not in str(error)


def test_the_blocking_client_shares_too(redis_url) -> None:
    limit = RateLimit(account=500, shared=SharedBudget(redis_url, name=str(uuid.uuid4())))
    with Client("sk_test_a", transport=Instant(), rate_limit=limit) as client:
        client.request("GET", "/v1/x")


def test_every_event_loop_is_closed_by_itself(redis_url) -> None:
    client = client_of(redis_url, name=str(uuid.uuid4()))

    async def use() -> None:
        await client.warm_up()
        await ask(client)

    async def close() -> None:
        await use()
        await client.aclose()

    async def both() -> None:
        await ask(client)
        await asyncio.to_thread(asyncio.run, close())
        limiter = next(one for _, one in client._shared.limiters._local.by_loop())
        while limiter._leaving is None:
            await settle()
        await limiter._leaving

    asyncio.run(both())


# --- processes ----------------------------------------------------------------------------------

WORKER = """
import asyncio, contextlib, sys
import pinstripe

class Instant:
    async def send(self, request):
        return pinstripe.Response(status=200, headers={}, body=b"")
    async def aclose(self):
        pass

async def main():
    budget = pinstripe.SharedBudget(sys.argv[1], name="acct:test")
    limit = pinstripe.RateLimit(account=100, shared=budget)
    async with pinstripe.AsyncClient("sk_test_a", transport=Instant(), rate_limit=limit) as client:
        while True:
            with contextlib.suppress(pinstripe.BudgetUnavailable):
                await client.request("GET", "/v1/x")
                print(flush=True)

asyncio.run(main())
"""


def test_processes_outlive_one_that_is_killed_or_frozen(server) -> None:
    command = [sys.executable, "-c", WORKER, server.url]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]

    def at_work(worker: subprocess.Popen[bytes]) -> None:
        assert worker.stdout is not None
        for _ in range(5):
            assert worker.stdout.readline()

    try:
        for worker in workers:
            at_work(worker)
        os.kill(workers[0].pid, signal.SIGSTOP)
        at_work(workers[1])
        os.kill(workers[0].pid, signal.SIGCONT)
        at_work(workers[0])
        workers[0].kill()
        at_work(workers[1])
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: SharedBudget("localhost", name="x"), "url"),
        (lambda: SharedBudget(None, name="x"), "url"),  # type: ignore[arg-type]
        (lambda: SharedBudget(f"redis://:{SECRET}@localhost:x", name="x"), "url"),
        (lambda: SharedBudget("redis://localhost", name=""), "name"),
        (lambda: SharedBudget("redis://localhost", name="{x}"), "name"),
        (lambda: SharedBudget("redis://localhost", name=1), "name"),  # type: ignore[arg-type]
        (
            lambda: SharedBudget("redis://x", name="x", on_outage="wait"),  # type: ignore[arg-type]
            "on_outage",
        ),
        (lambda: RateLimit(shared="redis://localhost"), "shared"),  # type: ignore[arg-type]
        (lambda: RateLimit(burst=0.39, shared=SharedBudget("redis://x", name="x")), "burst"),
    ],
)
def test_bad_settings_are_refused_by_name(make, argument) -> None:
    with pytest.raises(ConfigurationError, match=f"^{argument}: ") as caught:
        make()
    assert SECRET not in str(caught.value)


def test_the_password_is_not_shown() -> None:
    budget = SharedBudget(f"redis://:{SECRET}@localhost", name="acct:live")
    assert repr(budget) == "SharedBudget(name='acct:live', on_outage='share')"
    assert SECRET not in repr(RateLimit(burst=LEAST_SHARED_BURST, shared=budget))
    assert SECRET not in repr(AsyncClient("sk_test_a", rate_limit=RateLimit(shared=budget)))


def test_without_the_package_it_is_refused() -> None:
    script = """
import sys
sys.modules["redis"] = None
import pinstripe
try:
    pinstripe.SharedBudget("redis://localhost", name="x")
except pinstripe.ConfigurationError as error:
    assert "pinstripe[redis]" in str(error)
else:
    raise SystemExit("it was not refused")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_without_a_budget_nothing_of_it_is_imported() -> None:
    script = """
import asyncio, sys
import pinstripe

class Instant:
    async def send(self, request):
        return pinstripe.Response(status=200, headers={}, body=b"")
    async def aclose(self):
        pass

async def main():
    async with pinstripe.AsyncClient("sk_test_a", transport=Instant()) as client:
        await client.request("GET", "/v1/x")

asyncio.run(main())
assert not {"redis", "pinstripe._limits.shared"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_the_budget_is_public() -> None:
    assert pinstripe.SharedBudget is SharedBudget
