"""The fan-out on a real event loop: order, bounds, errors, and nothing left running."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, nullcontext, suppress
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any
from unittest.mock import AsyncMock

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import AsyncClient
from pinstripe._core.errors import ConfigurationError
from pinstripe.bulk import Outcome, Progress, _FanOut, fan_out
from tests.support.clean import PRIVATE, check_clean

pytestmark = pytest.mark.anyio


class Fatal(BaseException):
    """Neither an Exception nor one of Python's own."""


async def double(number: int) -> int:
    return 2 * number


async def picky(number: int) -> int:
    if number % 3 == 0:
        raise ValueError(number)
    return 2 * number


async def forever(_: object) -> None:
    await asyncio.Event().wait()


async def turns(count: int = 25) -> None:
    """Let everything that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


async def stream(inputs: Iterable[int]) -> AsyncGenerator[int, None]:
    for item in inputs:
        await asyncio.sleep(0)
        yield item


class Reader:
    """A long input that counts how much of it was read."""

    def __init__(self, length: int = 1_000_000) -> None:
        self.length = length
        self.read = 0

    def __iter__(self) -> Iterator[int]:
        for item in range(self.length):
            self.read += 1
            yield item


class Gate:
    """A function whose calls wait to be let through, one by one or for good."""

    def __init__(self, crowd: int) -> None:
        self.crowd = crowd
        self.started = 0
        self.inside = 0
        self.peak = 0
        self.full = asyncio.Event()
        self.held: dict[int, asyncio.Event] = {}
        self.is_open = False

    async def __call__(self, item: int) -> int:
        self.started += 1
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        if self.inside == self.crowd:
            self.full.set()
        self.held[item] = asyncio.Event()
        if not self.is_open:
            await self.held[item].wait()
        self.inside -= 1
        return item

    def open(self) -> None:
        self.is_open = True
        for event in self.held.values():
            event.set()


async def collect(outcomes: AsyncIterable[Outcome[Any, Any]]) -> list[Outcome[Any, Any]]:
    return [outcome async for outcome in outcomes]


async def each(outcomes: AsyncIterable[Outcome[Any, Any]], take: Any) -> None:
    async for outcome in outcomes:
        take(outcome)


def plan(function: Any, inputs: Any, **settings: Any) -> _FanOut[Any, Any]:
    defaults = {"concurrency": 32, "ordered": True, "window": None, "on_progress": None}
    return _FanOut(function, inputs, **(defaults | settings))


class TestOutcomes:
    async def test_come_in_the_order_of_the_inputs_however_late_the_first(self) -> None:
        gate = Gate(crowd=4)
        walk = asyncio.create_task(collect(fan_out(gate, range(4))))
        await gate.full.wait()
        for item in (3, 1, 2, 0):
            gate.held[item].set()
            await turns()
        assert [(o.index, o.input, o.value) for o in await walk] == [(n, n, n) for n in range(4)]

    async def test_come_as_they_are_done(self) -> None:
        gate, order = Gate(crowd=4), []
        async with aclosing(fan_out(gate, range(4), ordered=False)) as outcomes:
            for item in (3, 1, 2, 0):
                following = asyncio.create_task(anext(outcomes))
                await gate.full.wait()
                gate.held[item].set()
                order.append((await following).index)
        assert order == [3, 1, 2, 0]

    async def test_an_error_is_the_outcome_of_its_input_alone(self) -> None:
        outcomes = await collect(fan_out(picky, range(5), concurrency=2))
        assert [o.ok for o in outcomes] == [False, True, True, False, True]
        assert [o.value for o in outcomes] == [None, 2, 4, None, 8]
        assert repr(outcomes[3].error) == "ValueError(3)"

    async def test_a_function_that_fails_before_it_awaits(self) -> None:
        def careless(number: int) -> Any:
            raise LookupError(number)

        (outcome,) = await collect(fan_out(careless, [1]))
        assert isinstance(outcome.error, LookupError)

    @pytest.mark.parametrize("kind", [list, iter, stream])
    async def test_of_nothing_are_none(self, kind: Any) -> None:
        assert await collect(fan_out(double, kind([]))) == []

    def test_unwrap(self) -> None:
        assert Outcome(0, "in", "out").unwrap() == "out"
        assert Outcome[str, None](0, "in", None).unwrap() is None
        with pytest.raises(ValueError, match="no"):
            Outcome[str, str](0, "in", error=ValueError("no")).unwrap()

    def test_repr_shows_neither_input_nor_value_nor_message(self) -> None:
        assert repr(Outcome(3, "Jenny Rosen", "Jenny Rosen")) == "Outcome(index=3, error=None)"
        failed = Outcome[str, str](4, "Jenny Rosen", error=ValueError("Jenny Rosen"))
        assert repr(failed) == "Outcome(index=4, error=ValueError)"

    def test_pickle(self) -> None:
        assert pickle.loads(pickle.dumps(Outcome(1, "in", "out"))) == Outcome(1, "in", "out")


class TestInputs:
    @pytest.mark.parametrize("concurrency", [1, 3, 50])
    async def test_async(self, concurrency: int) -> None:
        outcomes = await collect(fan_out(double, stream(range(20)), concurrency=concurrency))
        assert [o.value for o in outcomes] == [2 * n for n in range(20)]

    async def test_an_async_iterator_that_is_no_generator(self) -> None:
        class Count:
            reached = 0

            def __aiter__(self) -> AsyncIterator[int]:
                return self

            async def __anext__(self) -> int:
                self.reached += 1
                if self.reached > 3:
                    raise StopAsyncIteration
                return self.reached

        assert [o.value for o in await collect(fan_out(double, Count()))] == [2, 4, 6]

    async def test_an_async_generator_is_closed_when_the_walk_ends_early(self) -> None:
        closed = False

        async def endless() -> AsyncGenerator[int, None]:
            nonlocal closed
            try:
                while True:
                    yield 1
            finally:
                await asyncio.sleep(0)
                closed = True

        async with aclosing(fan_out(double, endless())) as outcomes:
            await anext(outcomes)
        assert closed

    async def test_are_read_no_further_than_the_window(self) -> None:
        reader, seen = Reader(), 0
        async with aclosing(fan_out(double, reader, concurrency=8, window=20)) as outcomes:
            async for _ in outcomes:
                seen += 1
                if seen == 5:
                    break
        assert seen <= reader.read <= seen + 20

    @pytest.mark.parametrize("ordered", [True, False])
    @pytest.mark.parametrize("asynchronous", [True, False])
    async def test_their_error_comes_after_the_outcomes_of_what_was_read(
        self, ordered: bool, asynchronous: bool
    ) -> None:
        def broken() -> Iterator[int]:
            yield from range(5)
            raise OSError("disk")

        async def slow(number: int) -> int:
            await turns(10 - number)
            return number

        inputs = stream(broken()) if asynchronous else broken()
        seen: list[Outcome[int, int]] = []
        with pytest.raises(OSError, match="disk"):
            await each(fan_out(slow, inputs, concurrency=3, ordered=ordered), seen.append)
        indexes = [outcome.index for outcome in seen]
        assert sorted(indexes) == list(range(5))
        assert indexes == sorted(indexes) or not ordered

    async def test_an_iterable_that_cannot_start(self) -> None:
        class Broken:
            def __iter__(self) -> Iterator[int]:
                raise OSError("disk")

        with pytest.raises(OSError, match="disk"):
            await collect(fan_out(double, Broken()))


class TestBounds:
    @pytest.mark.parametrize("ordered", [True, False])
    async def test_concurrency_is_reached_and_never_exceeded(self, ordered: bool) -> None:
        gate = Gate(crowd=7)
        walk = asyncio.create_task(
            collect(fan_out(gate, range(50), concurrency=7, ordered=ordered))
        )
        await gate.full.wait()
        await turns()
        assert gate.inside == gate.started == 7
        gate.held[3].set()
        await turns()
        assert (gate.inside, gate.started) == (7, 8)
        gate.open()
        assert len(await walk) == 50
        assert gate.peak == 7

    async def test_no_more_workers_than_inputs_of_known_length(self) -> None:
        async def neighbours(_: int) -> int:
            return len(asyncio.all_tasks() - before)

        before = asyncio.all_tasks()
        outcomes = await collect(fan_out(neighbours, [0, 1, 2], concurrency=64))
        assert outcomes[0].value == 3

    async def test_a_length_that_is_too_short_is_only_a_hint(self) -> None:
        class Liar(Reader):
            def __len__(self) -> int:
                return 0

        assert len(await collect(fan_out(double, Liar(9)))) == 9

    async def test_a_slow_head_holds_the_window(self) -> None:
        release, started = asyncio.Event(), []

        async def slow_head(item: int) -> int:
            started.append(item)
            if item == 0:
                await release.wait()
            return item

        reader = Reader(100)
        walk = asyncio.create_task(collect(fan_out(slow_head, reader, concurrency=2, window=6)))
        await turns()
        assert started == list(range(6))
        assert reader.read == 6
        release.set()
        assert [o.value for o in await walk] == list(range(100))

    @pytest.mark.parametrize("ordered", [True, False])
    async def test_a_slow_consumer_holds_the_window(self, ordered: bool) -> None:
        reader = Reader()
        outcomes = fan_out(double, reader, concurrency=3, window=5, ordered=ordered)
        async with aclosing(outcomes):
            for handed_out in range(1, 20):
                await anext(outcomes)
                await turns()
                assert reader.read == handed_out + 5

    async def test_the_window_is_four_times_the_concurrency_unless_told(self) -> None:
        reader = Reader()
        async with aclosing(fan_out(double, reader, concurrency=2)) as outcomes:
            await anext(outcomes)
            await turns()
            assert reader.read == 1 + 8


class TestNothingIsLeft:
    @pytest.mark.parametrize("asynchronous", [True, False])
    async def test_after_break(self, asynchronous: bool) -> None:
        before = asyncio.all_tasks()
        inputs: Any = stream(Reader()) if asynchronous else Reader()
        async for _ in fan_out(double, inputs):
            break
        await turns()
        assert asyncio.all_tasks() == before

    async def test_after_break_under_aclosing_at_once(self) -> None:
        before = asyncio.all_tasks()
        async with aclosing(fan_out(double, Reader())) as outcomes:
            async for _ in outcomes:
                break
        assert asyncio.all_tasks() == before

    async def test_after_the_end(self) -> None:
        before = asyncio.all_tasks()
        await collect(fan_out(double, iter(range(3))))
        assert asyncio.all_tasks() == before

    async def test_when_it_never_began(self) -> None:
        before, reader = asyncio.all_tasks(), Reader()
        await fan_out(double, reader).aclose()
        assert asyncio.all_tasks() == before
        assert reader.read == 0

    async def test_after_an_error_of_the_consumer(self) -> None:
        before = asyncio.all_tasks()

        async def consumer() -> None:
            async with aclosing(fan_out(double, Reader())) as outcomes:
                async for _ in outcomes:
                    raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            await consumer()
        assert asyncio.all_tasks() == before

    async def test_after_an_error_of_a_consumer_without_aclosing(self) -> None:
        before = asyncio.all_tasks()

        async def consumer() -> None:
            async for _ in fan_out(double, Reader()):
                raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            await consumer()
        await turns()
        assert asyncio.all_tasks() == before

    @pytest.mark.parametrize("asynchronous", [True, False])
    async def test_after_the_consumer_was_cancelled(self, asynchronous: bool) -> None:
        before = asyncio.all_tasks()
        inputs: Any = stream(range(50)) if asynchronous else range(50)
        walk = asyncio.create_task(collect(fan_out(forever, inputs)))
        await turns()
        walk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await walk
        assert asyncio.all_tasks() == before

    async def test_the_function_may_await_while_it_cleans_up(self) -> None:
        before, cleaned = asyncio.all_tasks(), []

        async def tidy(item: int) -> None:
            try:
                await forever(item)
            finally:
                await turns()
                cleaned.append(item)

        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_soon(scope.cancel)
            await collect(fan_out(tidy, range(3)))
        assert scope.cancelled_caught
        assert sorted(cleaned) == [0, 1, 2]
        assert asyncio.all_tasks() == before

    async def test_a_consumer_cancelled_twice_still_waits_for_its_workers(self) -> None:
        before, cleaning, done = asyncio.all_tasks(), asyncio.Event(), asyncio.Event()

        async def stubborn(item: int) -> None:
            try:
                await forever(item)
            except asyncio.CancelledError:
                cleaning.set()
                try:
                    await forever(item)
                except asyncio.CancelledError:
                    await done.wait()
                    raise

        walk = asyncio.create_task(collect(fan_out(stubborn, [1])))
        await turns()
        walk.cancel()
        await cleaning.wait()
        walk.cancel()
        await turns()
        assert not walk.done()
        done.set()
        with pytest.raises(asyncio.CancelledError):
            await walk
        assert asyncio.all_tasks() == before

    async def test_an_answer_after_the_end_is_nobodys(self) -> None:
        reports: list[Progress] = []

        async def deaf(item: int) -> int:
            with suppress(asyncio.CancelledError):
                await forever(item)
            return item

        outcomes = fan_out(deaf, range(3), on_progress=reports.append)
        walk = asyncio.create_task(anext(outcomes))
        await turns()
        walk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await walk
        assert reports == []


class TestWhatIsNoException:
    async def test_stops_everything_and_reaches_the_consumer(self) -> None:
        before = asyncio.all_tasks()

        async def fatal(item: int) -> int:
            if item == 40:
                raise Fatal
            return item

        with pytest.raises(Fatal):
            await collect(fan_out(fatal, Reader(), concurrency=4))
        assert asyncio.all_tasks() == before

    async def test_a_cancellation_of_the_functions_own(self) -> None:
        cancelled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        cancelled.cancel()

        async def unlucky(_: int) -> int:
            return await cancelled

        with pytest.raises(asyncio.CancelledError):
            await collect(fan_out(unlucky, range(3)))

    def test_keyboard_interrupt(self) -> None:
        async def interrupted(_: int) -> int:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            asyncio.run(collect(fan_out(interrupted, range(3))))

    @pytest.mark.parametrize("more", [True, False])
    async def test_no_call_is_made_after_it(self, more: bool) -> None:
        called, waiting, failing = [], asyncio.Event(), asyncio.Event()

        async def inputs() -> AsyncGenerator[int, None]:
            yield 0
            waiting.set()
            await failing.wait()
            if more:
                yield 1

        async def fatal(item: int) -> None:
            called.append(item)
            await waiting.wait()
            failing.set()
            raise Fatal

        with pytest.raises(Fatal):
            await collect(fan_out(fatal, inputs(), concurrency=2))
        assert called == [0]


class TestProgress:
    @pytest.mark.parametrize(("inputs", "total"), [(range(7), 7), (iter(range(7)), None)])
    async def test_counts(self, inputs: Iterable[int], total: int | None) -> None:
        reports: list[Progress] = []
        await collect(fan_out(picky, inputs, concurrency=1, on_progress=reports.append))
        failed = [1, 1, 1, 2, 2, 2, 3]
        assert reports == [Progress(n + 1, failed[n], total) for n in range(7)]

    async def test_counts_what_is_done_and_still_waits_for_its_turn(self) -> None:
        gate, reports = Gate(crowd=3), list[Progress]()
        walk = asyncio.create_task(collect(fan_out(gate, range(3), on_progress=reports.append)))
        await gate.full.wait()
        gate.held[2].set()
        await turns()
        assert reports == [Progress(1, 0, 3)]
        gate.open()
        await walk

    async def test_an_error_of_the_callback_reaches_the_consumer_at_once(self) -> None:
        before, seen = asyncio.all_tasks(), list[Outcome[int, int]]()

        def bar(progress: Progress) -> None:
            if progress.done == 4:
                raise RuntimeError("terminal is gone")

        with pytest.raises(RuntimeError, match="terminal is gone"):
            await each(fan_out(double, Reader(), concurrency=2, on_progress=bar), seen.append)
        assert seen == []
        assert asyncio.all_tasks() == before


class TestContext:
    async def test_the_function_sees_the_variables_of_the_consumer(self) -> None:
        user: ContextVar[str] = ContextVar("user", default="nobody")

        async def who(_: int) -> str:
            return user.get()

        outcomes = fan_out(who, range(5), concurrency=2)
        user.set("jenny")
        assert [o.value for o in await collect(outcomes)] == ["jenny"] * 5


class TestBatches:
    async def test_are_all_that_is_ready_and_empty_at_the_end(self) -> None:
        work = plan(double, range(10), concurrency=2, window=4)
        batches = [await work.next_batch()]
        while batches[-1]:
            batches.append(await work.next_batch())
        await work.aclose()
        sizes = [len(batch) for batch in batches]
        assert (sizes[0], max(sizes), sizes[-1]) == (4, 4, 0)
        assert [o.value for batch in batches for o in batch] == [2 * n for n in range(10)]

    async def test_are_not_small_where_outcomes_come_one_by_one(self) -> None:
        async def later(number: int) -> None:
            await turns(number)

        work = plan(later, range(1_000), concurrency=8)
        assert len(await work.next_batch()) >= (4 * 8 - 8) // 3
        await work.aclose()

    async def test_do_not_wait_for_what_does_not_come(self) -> None:
        async def only_one(number: int) -> None:
            if number:
                await forever(number)

        work = plan(only_one, range(1_000), concurrency=8)
        assert [outcome.index for outcome in await work.next_batch()] == [0]
        await work.aclose()

    async def test_are_empty_for_who_waits_when_it_is_closed_and_after(self) -> None:
        before, work = asyncio.all_tasks(), plan(forever, range(3))
        waiting = asyncio.create_task(work.next_batch())
        await turns()
        await work.aclose()
        assert await waiting == []
        assert await work.next_batch() == []
        await work.aclose()
        assert asyncio.all_tasks() == before

    async def test_closed_before_the_first(self) -> None:
        before, work = asyncio.all_tasks(), plan(double, range(3))
        await work.aclose()
        assert await work.next_batch() == []
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("function", "double"),
        ("inputs", "abc"),
        ("inputs", b"abc"),
        ("inputs", 3),
        ("concurrency", 0),
        ("concurrency", True),
        ("concurrency", 2.0),
        ("concurrency", "2"),
        ("window", 31),
        ("window", 0),
        ("window", True),
        ("on_progress", 1),
        ("on_progress", double),
    ],
)
def test_a_wrong_argument_is_named_before_anything_runs(argument: str, wrong: Any) -> None:
    arguments: dict[str, Any] = {"function": double, "inputs": [1], argument: wrong}
    with pytest.raises(ConfigurationError) as caught:
        fan_out(**arguments)
    assert caught.value.argument == argument


class Several:
    """Coroutine functions, and what is like one."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    async def keywords_only(self, *, first: int) -> None:
        self.calls.append(first)

    async def two(self, first: int, second: int) -> None:
        self.calls.append((first, second))

    async def none(self) -> None:
        self.calls.append(None)

    async def one(self, first: int, second: int = 0, *, third: int = 0) -> int:
        return first + second + third

    async def any(self, *items: int, **options: int) -> int:
        return sum(items)

    async def __call__(self, first: int) -> int:
        return first


SEVERAL = Several()


@pytest.mark.parametrize(
    "function",
    [
        SEVERAL.keywords_only,
        SEVERAL.two,
        SEVERAL.none,
        partial(SEVERAL.one, 1, 2),
        partial(SEVERAL.two, first=1),
        AsyncClient("sk_test_a").crypto.onramp_quotes.retrieve,
        AsyncClient("sk_test_a").identity.verification_sessions.create,
        partial(AsyncClient("sk_test_a").events.retrieve, "evt_1"),
    ],
)
def test_a_function_that_cannot_take_an_input_is_refused_before_anything_runs(function) -> None:
    with pytest.raises(ConfigurationError, match="function: must take the input as its one") as it:
        fan_out(function, [1, 2])
    assert it.value.argument == "function"
    assert SEVERAL.calls == []


@pytest.mark.parametrize(
    "function",
    [
        SEVERAL,
        SEVERAL.one,
        SEVERAL.any,
        partial(SEVERAL.one, second=0),
        lambda item: SEVERAL.one(item, 0),
        AsyncMock(side_effect=SEVERAL.one),
        AsyncMock(SEVERAL.one, side_effect=SEVERAL.one),
    ],
)
async def test_every_function_that_can_take_an_input_is_called(function) -> None:
    outcomes = await collect(fan_out(function, [1, 2]))
    assert [outcome.unwrap() for outcome in outcomes] == [1, 2]


async def test_a_wrapper_that_adds_an_argument_is_called_as_it_says() -> None:
    @wraps(SEVERAL.two)
    async def with_a_connection(item: int) -> int:
        return await SEVERAL.one(item, 10)

    outcomes = await collect(fan_out(with_a_connection, [1, 2]))
    assert [outcome.unwrap() for outcome in outcomes] == [11, 12]


@pytest.mark.parametrize("function", [str, print, lambda *items: items])
async def test_a_function_that_returns_nothing_to_await_ends_the_fan_out(function) -> None:
    with pytest.raises(ConfigurationError, match="function: must take the input") as it:
        await collect(fan_out(function, [PRIVATE, PRIVATE]))
    check_clean(it.value)


async def test_a_type_error_inside_of_a_function_is_an_outcome() -> None:
    async def add(item: Any) -> Any:
        return item + 1

    outcomes = await collect(fan_out(add, [1, "a"]))
    assert outcomes[0].unwrap() == 2
    assert isinstance(outcomes[1].error, TypeError)


@given(
    delays=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40),
    concurrency=st.integers(1, 9),
    slack=st.none() | st.integers(0, 9),
    ordered=st.booleans(),
    asynchronous=st.booleans(),
    broken=st.booleans(),
)
def test_agrees_with_one_call_after_another(
    *,
    delays: list[tuple[int, bool]],
    concurrency: int,
    slack: int | None,
    ordered: bool,
    asynchronous: bool,
    broken: bool,
) -> None:
    def inputs() -> Iterator[int]:
        yield from range(len(delays))
        if broken:
            raise OSError("disk")

    async def function(index: int) -> int:
        delay, fails = delays[index]
        await turns(delay)
        if fails:
            raise ValueError
        return -index

    async def walk() -> None:
        source: Any = stream(inputs()) if asynchronous else inputs()
        window = None if slack is None else concurrency + slack
        outcomes = fan_out(
            function, source, concurrency=concurrency, window=window, ordered=ordered
        )
        with pytest.raises(OSError, match="disk") if broken else nullcontext():
            await each(outcomes, seen.append)
        assert len(asyncio.all_tasks()) == 1

    seen: list[Outcome[int, int]] = []
    asyncio.run(walk())
    found = [(o.index, o.input, o.value, o.ok) for o in seen]
    expected = [(n, n, None if bad else -n, not bad) for n, (_, bad) in enumerate(delays)]
    assert (found if ordered else sorted(found)) == expected
