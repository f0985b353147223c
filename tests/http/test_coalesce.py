"""Identical GETs at the same time share one request; each caller can leave alone."""

from __future__ import annotations

import asyncio
import contextvars
import json
import math
import threading
from collections.abc import Awaitable
from typing import Any

import pytest

from pinstripe import (
    AsyncClient,
    ConfigurationError,
    ConnectionLost,
    DeadlineExceeded,
    Hooks,
    NotFoundError,
    RateLimit,
    Request,
    RequestOptions,
    Response,
    RetryPolicy,
    Timeout,
)
from pinstripe.bulk import fan_out
from pinstripe.sandbox import Sandbox
from tests.support.waiting import settle

pytestmark = pytest.mark.anyio

KEY = "sk_test_" + "a" * 24
WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
PATH = "/v1/things"


class Held:
    """A transport whose requests wait to be answered by hand."""

    def __init__(self) -> None:
        self.sent: list[Request] = []
        self.answers: list[asyncio.Future[Response]] = []
        self.cancelled = 0
        self.asked_by: list[str] = []

    async def send(self, request: Request) -> Response:
        self.sent.append(request)
        self.asked_by.append(WHO.get())
        self.answers.append(asyncio.get_running_loop().create_future())
        try:
            return await self.answers[-1]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def aclose(self) -> None:
        return None


def answer(status: int = 200) -> Response:
    body = {"error": {"type": "invalid_request_error"}} if status >= 400 else {"object": "thing"}
    return Response(status=status, headers={"Request-Id": "req_1"}, body=json.dumps(body).encode())


@pytest.fixture
def held() -> Held:
    return Held()


def client(held: Held, **options: Any) -> AsyncClient:
    made = AsyncClient(KEY, transport=held, retry=RetryPolicy(max_attempts=1), **options)
    return made.with_options(coalesce=True)


async def asking(count: int, *arguments: Any, **options: Any) -> list[asyncio.Task[Response]]:
    stripe, held = arguments
    before = len(held.sent)
    tasks = [asyncio.create_task(stripe.request("GET", PATH, **options)) for _ in range(count)]
    await settle()
    assert len(held.sent) <= before + 1
    return tasks


async def test_identical_gets_share_one_request(held) -> None:
    tasks = await asking(5, client(held), held, params={"a": 1})
    assert len(held.sent) == 1
    held.answers[0].set_result(answer())
    assert len({id(await task) for task in tasks}) == 1
    (again,) = await asking(1, client(held), held)
    assert len(held.sent) == 2  # a call that has ended is not shared
    held.answers[1].set_result(answer())
    await again


async def test_nothing_is_shared_by_default(held) -> None:
    plain = client(held).with_options(coalesce=False)
    tasks = [asyncio.create_task(plain.request("GET", PATH)) for _ in range(3)]
    await settle()
    assert len(held.sent) == 3
    for future in held.answers:
        future.set_result(answer())
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", PATH, {}),
        ("DELETE", PATH, {}),
        ("GET", "/v1/others", {}),
        ("GET", PATH, {"params": {"a": 2}}),
        ("GET", PATH, {"host": "files"}),
        ("GET", PATH, {"request_options": RequestOptions(account="acct_2")}),
    ],
)
async def test_what_differs_is_not_shared(held, method, path, options) -> None:
    stripe = client(held)
    tasks = [asyncio.create_task(stripe.request("GET", PATH))]
    tasks += [asyncio.create_task(stripe.request(method, path, **options)) for _ in range(2)]
    await settle()
    assert len(held.sent) == (2 if method == "GET" else 3)
    for future in held.answers:
        future.set_result(answer())
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("ends", ["well", "badly"])
async def test_a_call_after_a_write_shares_nothing_from_before_it(held, ends) -> None:
    stripe = client(held)
    (early,) = await asking(1, stripe, held)
    write = asyncio.create_task(stripe.request("POST", PATH))
    await settle()
    if ends == "well":
        held.answers[1].set_result(answer())
    else:
        held.answers[1].set_exception(ConnectionLost("cut"))
    await asyncio.wait([write])
    assert (write.exception() is None) == (ends == "well")
    late = await asking(2, stripe, held)
    assert len(held.sent) == 3
    for ready in (0, 2):
        held.answers[ready].set_result(answer())
    assert [one.status for one in await asyncio.gather(early, *late)] == [200] * 3


async def test_an_error_reaches_all(held) -> None:
    tasks = await asking(3, client(held), held)
    held.answers[0].set_result(answer(404))
    for task in tasks:
        with pytest.raises(NotFoundError) as caught:
            await task
        assert caught.value.request_id == "req_1"


@pytest.mark.parametrize("leaving", [0, 1])
async def test_a_cancelled_caller_leaves_the_others(held, leaving) -> None:
    tasks = await asking(3, client(held), held)
    tasks[leaving].cancel()
    await settle()
    assert tasks[leaving].cancelled()
    held.answers[0].set_result(answer())
    assert [(await task).status for task in tasks if not task.cancelled()] == [200, 200]
    assert (len(held.sent), held.cancelled) == (1, 0)


async def test_the_last_caller_that_leaves_cancels_the_request(held) -> None:
    stripe = client(held)
    tasks = await asking(2, stripe, held)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert held.cancelled == 1
    (fresh,) = await asking(1, stripe, held)
    held.answers[1].set_result(answer())
    assert (await fresh).status == 200


async def test_a_call_during_the_cancellation_gets_a_request_of_its_own(held) -> None:
    stripe = client(held)
    (first,) = await asking(1, stripe, held)
    first.cancel()
    second = asyncio.create_task(stripe.request("GET", PATH))
    await settle()
    assert (len(held.sent), held.cancelled) == (2, 1)
    held.answers[1].set_result(answer())
    assert (await second).status == 200


async def test_each_has_a_deadline_of_its_own(held) -> None:
    stripe = client(held)
    (patient,) = await asking(1, stripe, held)
    hasty = RequestOptions(timeout=0.02)
    with pytest.raises(DeadlineExceeded, match=r"within 0\.02 s") as caught:
        await stripe.request("GET", PATH, request_options=hasty)
    assert caught.value.outcome == "unknown"
    assert (len(held.sent), held.cancelled) == (1, 0)
    held.answers[0].set_result(answer())
    assert (await patient).status == 200


async def test_the_call_itself_says_what_its_deadline_found(held) -> None:
    stripe = client(held, timeout=0.02)
    with pytest.raises(DeadlineExceeded) as caught:
        await stripe.request("GET", PATH)
    assert caught.value.attempts == 1


async def test_any_number_may_wait_for_their_turn_in_a_fan_out() -> None:
    limit, count = RateLimit(account=20, endpoint=math.inf, burst=0), 60

    def ask(number: int) -> Awaitable[object]:
        # Every second call waits for one that another caller started.
        source_amount = str(100 + number // 2)
        return stripe.crypto.onramp_quotes.retrieve(source_amount=source_amount)

    async with Sandbox() as sandbox, sandbox.client(rate_limit=limit, timeout=1) as plain:
        await plain.warm_up()
        stripe = plain.with_options(coalesce=True)
        outcomes = [outcome async for outcome in fan_out(ask, range(count), concurrency=count)]
    assert [outcome.error for outcome in outcomes] == [None] * count


async def test_a_caller_with_time_left_shares_a_new_request(held) -> None:
    stripe = client(held)
    hasty = RequestOptions(timeout=Timeout(0.02))
    (first,) = await asking(1, stripe, held, request_options=hasty)
    (second,) = await asking(1, stripe, held)
    with pytest.raises(DeadlineExceeded):
        await first
    await settle()
    assert (len(held.sent), held.cancelled) == (2, 1)
    held.answers[1].set_result(answer())
    assert (await second).status == 200


async def test_the_request_runs_in_the_context_of_the_first(held) -> None:
    stripe = client(held)

    async def ask(who: str) -> Response:
        WHO.set(who)
        return await stripe.request("GET", PATH)

    tasks = [asyncio.create_task(ask(who)) for who in ("first", "second")]
    await settle()
    held.answers[0].set_result(answer())
    await asyncio.gather(*tasks)
    assert held.asked_by == ["first"]


async def test_an_error_that_nobody_waits_for_is_not_reported(held) -> None:
    loop, reported = asyncio.get_running_loop(), list[Any]()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    (task,) = await asking(1, client(held), held)
    held.answers[0].set_exception(ConnectionLost("cut"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    loop.set_exception_handler(None)
    assert reported == []


def test_a_client_works_in_one_event_loop_after_the_other(held) -> None:
    stripe = client(held)

    async def once() -> int:
        tasks = await asking(2, stripe, held)
        held.answers[-1].set_result(answer())
        return sum([(await task).status for task in tasks])

    async def leave() -> None:
        await asking(1, stripe, held)

    assert asyncio.run(once()) == 400
    asyncio.run(leave())
    assert asyncio.run(once()) == 400


def test_the_blocking_client_takes_it_too() -> None:
    seen, barrier, sent = list[str](), threading.Barrier(8), list[object]()
    hooks = Hooks(on_request=sent.append)
    with Sandbox(seed=1) as sandbox, sandbox.sync_client(hooks=hooks) as plain:
        stripe = plain.with_options(coalesce=True)

        def ask() -> None:
            barrier.wait()
            seen.append(stripe.crypto.onramp_quotes.retrieve(source_amount="100").id)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(seen) == 8
    assert len(sent) < 8


def test_only_a_bool_is_taken(held) -> None:
    wrong: Any = "yes"
    with pytest.raises(ConfigurationError, match="coalesce"):
        AsyncClient(KEY, transport=held).with_options(coalesce=wrong)
