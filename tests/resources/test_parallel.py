"""Parallel walks: the same objects in the same order as a serial walk, many requests at a time."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, suppress
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe import (
    ConfigurationError,
    ConnectionLost,
    Created,
    Pager,
    PaginationError,
    RequestOptions,
    Response,
)
from pinstripe._resources.pager import reader_of
from pinstripe._resources.parallel import PAGES_HELD
from pinstripe._resources.walk import Paging, start_walk
from pinstripe.sandbox import Sandbox
from tests.support.dated import DATED, Dated, DatedShelf, dated_pager, number_of

pytestmark = pytest.mark.anyio

NEWEST = 1_790_000_000


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, timezone.utc)


async def ids_of(items: AsyncGenerator[Dated, None]) -> list[str]:
    return [item.id async for item in items]


async def read_into(read: list[str], items: AsyncGenerator[Dated, None]) -> None:
    """Keep what was read also where an error ends it."""
    async for item in items:
        read += [item.id]


async def no_task_is_left() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if "_fetch_for" in repr(task)]


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


# --- against the serial walk --------------------------------------------------------------------

GAPS = st.one_of(
    st.just(0),  # ties
    st.integers(0, 3),  # dense
    st.integers(1, 200),
    st.sampled_from([86_400, 10_000_000]),  # empty spans
)


@st.composite
def lists(draw: st.DrawFn) -> list[int]:
    """Seconds of creation: spells of one density each, and bursts within one second."""
    seconds, second = list[int](), NEWEST
    for _ in range(draw(st.integers(0, 5))):
        gap, length = draw(GAPS), draw(st.integers(1, 40))
        for _ in range(length):
            second -= gap
            seconds.append(second)
        second -= draw(GAPS)
    return seconds


@st.composite
def ranges(draw: st.DrawFn, seconds: list[int]) -> Created | datetime | None:
    edges = st.sampled_from(seconds or [NEWEST]).flatmap(
        lambda second: st.sampled_from([None, at(second), at(second - 1), at(second + 1)])
    )
    if draw(st.integers(0, 9)) == 0:
        return draw(edges)
    return Created(gt=draw(edges), gte=draw(edges), lt=draw(edges), lte=draw(edges))


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[int], dict[str, Any], int]:
    """A list, the arguments of a walk over it, and how many windows."""
    seconds = draw(lists())
    arguments: dict[str, Any] = {
        "limit": draw(st.integers(1, 12)),
        "max_items": draw(st.none() | st.integers(1, 80)),
        "created": draw(st.none() | ranges(seconds)),
    }
    if seconds and draw(st.booleans()):
        arguments["starting_after"] = f"it_{draw(st.integers(0, len(seconds) - 1))}"
    return seconds, arguments, draw(st.integers(1, 9))


def in_any_order(shelf: DatedShelf, chance: random.Random) -> None:
    async def wait() -> None:
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)

    shelf.wait = wait


def with_creations(shelf: DatedShelf, chance: random.Random) -> None:
    """Make objects while the list is walked, also in the second of the newest one."""

    def create() -> None:
        for _ in range(chance.choice([0, 0, 1, 3])):
            newest = max(shelf.seconds, default=NEWEST)
            shelf.seconds.append(newest + chance.choice([0, 0, 1, 60]))

    shelf.on_answer = create


@given(walks(), st.integers(0, 2**32), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_parallel_walk_gives_what_the_serial_walk_gives(walk, seed, creations) -> None:
    seconds, arguments, windows = walk

    async def main() -> None:
        expected = await ids_of(aiter(dated_pager(DatedShelf(seconds), **arguments)))
        shelf, chance = DatedShelf(seconds), random.Random(seed)
        in_any_order(shelf, chance)
        if creations:  # after the first answer: they are newer than the start of the walk
            with_creations(shelf, chance)
        things = dated_pager(shelf, **arguments)
        assert await ids_of(things.parallel(windows)) == expected
        assert shelf.most <= windows
        if expected:
            assert things.cursor == f"starting_after:{expected[-1]}"
        await no_task_is_left()

    run(main())


@given(walks(), st.integers(0, 2**32), st.integers(1, 30), st.booleans())
@settings(deadline=None, max_examples=40)
def test_after_an_error_the_cursor_goes_on(walk, seed, fail_at, serially) -> None:
    seconds, arguments, windows = walk
    arguments["max_items"] = None

    async def main() -> None:
        expected = await ids_of(aiter(dated_pager(DatedShelf(seconds), **arguments)))
        shelf = DatedShelf(seconds)
        in_any_order(shelf, random.Random(seed))
        shelf.fail_at = fail_at
        things, read = dated_pager(shelf, **arguments), list[str]()
        try:
            await read_into(read, things.parallel(windows))
        except ConnectionLost:
            rest = {"limit": 5, "created": arguments["created"], "cursor": things.cursor}
            if things.cursor is None:
                del rest["cursor"]
            again = dated_pager(shelf, **rest)
            read += await ids_of(aiter(again) if serially else again.parallel(windows))
        assert read == expected
        await no_task_is_left()

    run(main())


@given(walks(), st.data())
@settings(deadline=None, max_examples=40)
def test_the_cursor_goes_on_from_every_place(walk, data) -> None:
    seconds, arguments, windows = walk
    arguments["max_items"] = None

    async def main() -> None:
        expected = await ids_of(aiter(dated_pager(DatedShelf(seconds), **arguments)))
        stop = data.draw(st.integers(0, len(expected)))
        things, read = dated_pager(DatedShelf(seconds), **arguments), list[str]()
        async with aclosing(things.parallel(windows)) as items:
            while len(read) < stop:
                read.append((await anext(items)).id)
        await no_task_is_left()
        if things.cursor is not None:
            arguments.pop("starting_after", None)
            arguments["cursor"] = things.cursor
        read += await ids_of(dated_pager(DatedShelf(seconds), **arguments).parallel(windows))
        assert read == expected

    run(main())


# --- how many requests, and how many at once ----------------------------------------------------


async def rounds_of(shelf: DatedShelf, items: AsyncGenerator[Dated, None]) -> int:
    """Walk a list whose requests are answered all at once, and return how often that was."""
    gates, rounds = list[asyncio.Future[None]](), 0

    async def wait() -> None:
        gates.append(asyncio.get_running_loop().create_future())
        await gates[-1]

    shelf.wait = wait
    walk = asyncio.create_task(ids_of(items))
    while not walk.done():
        for _ in range(60):
            await asyncio.sleep(0)
        rounds += bool(gates)
        while gates:
            gates.pop(0).set_result(None)
    assert [number_of(id) for id in walk.result()] == list(reversed(range(len(shelf.seconds))))
    return rounds


def steady(chance: random.Random, second: float) -> float:
    return second - chance.expovariate(1 / 60)


def by_day(chance: random.Random, second: float) -> float:
    second -= chance.expovariate(1 / 30)
    return second if second % 86_400 < 28_800 else second - 57_600


@pytest.mark.parametrize(("step", "least"), [(steady, 10), (by_day, 6)])
async def test_sixteen_windows_take_little_more_than_a_sixteenth_of_the_time(step, least) -> None:
    chance, second, seconds = random.Random(7), float(NEWEST), list[int]()
    for _ in range(2000):
        second = step(chance, second)
        seconds.append(int(second))
    shelf = DatedShelf(seconds)
    rounds = await rounds_of(shelf, dated_pager(shelf, limit=10).parallel())
    assert 200 / rounds >= least
    assert len(shelf.asked) <= 270
    assert shelf.most == 16


async def test_towards_the_end_those_who_are_free_take_over_halves() -> None:
    shelf = DatedShelf(range(NEWEST - 20_000, NEWEST, 10))
    created = Created(gte=at(NEWEST - 20_000))
    pager = dated_pager(shelf, limit=10, created=created)
    assert 200 / await rounds_of(shelf, pager.parallel(windows=64)) >= 30
    assert len(shelf.asked) <= 270


async def test_what_is_asked_for_leaves_while_pages_that_stand_ready_are_taken() -> None:
    shelf = DatedShelf(range(NEWEST - 20_000, NEWEST, 10))
    items = dated_pager(shelf, limit=5).parallel(windows=3)
    await anext(items)
    for _ in range(200):
        await asyncio.sleep(0)
    asked = len(shelf.asked)
    for _ in range(25):
        await anext(items)
    assert len(shelf.asked) > asked + 1
    await items.aclose()


async def test_a_burst_in_one_second_is_walked_by_cursor_alone() -> None:
    shelf = DatedShelf([NEWEST] * 100)
    assert await rounds_of(shelf, dated_pager(shelf, limit=10).parallel()) == 10
    assert len(shelf.asked) == 10


async def test_no_more_pages_are_held_than_said_while_nobody_takes_any() -> None:
    shelf = DatedShelf(range(NEWEST - 20_000, NEWEST, 10))
    items = dated_pager(shelf, limit=5).parallel(windows=3)
    assert [(await anext(items)).id] == ["it_1999"]
    for _ in range(200):
        await asyncio.sleep(0)
    held = 3 * PAGES_HELD  # some answers more hold nothing of their window
    assert held / 2 <= len(shelf.asked) - 1 <= 1.5 * held
    assert (shelf.most, shelf.under_way) == (3, 0)
    await items.aclose()


async def test_max_items_bounds_what_is_asked_for() -> None:
    shelf = DatedShelf(range(NEWEST - 20_000, NEWEST, 10))
    read = await ids_of(dated_pager(shelf, limit=5, max_items=12).parallel())
    assert read == ["it_" + str(n) for n in range(1999, 1987, -1)]
    assert len(shelf.asked) <= 5


async def test_the_filters_and_options_go_with_every_request() -> None:
    seen, shelf = list[Any](), DatedShelf(range(NEWEST - 2000, NEWEST, 10))

    async def send(request: Any) -> Response:
        seen.append(request)
        return await shelf.send(request)

    params = {"created": Created(gt=at(NEWEST - 1500)), "status": "verified"}
    options = RequestOptions(account="acct_1")
    walk = start_walk(DATED, params, Paging(5, None, None, None, None), options)
    assert len(await ids_of(Pager(send, walk).parallel())) == 149
    for request, asked in zip(seen, shelf.asked, strict=True):
        assert asked["created[gt]"] == str(NEWEST - 1500)
        assert asked["status"] == "verified"
        assert request.headers == {"Stripe-Account": "acct_1"}
    assert any("created[lte]" in asked for asked in shelf.asked)


# --- leaving early ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["close", "break", "cancel"])
async def test_nothing_is_left_running(way) -> None:
    shelf = DatedShelf(range(NEWEST - 20_000, NEWEST, 10))
    held = asyncio.Event()

    async def wait() -> None:
        if len(shelf.asked) > 5:
            held.set()
            await asyncio.Event().wait()

    shelf.wait = wait
    items = dated_pager(shelf, limit=5).parallel()

    async def use(items: AsyncGenerator[Dated, None]) -> None:
        async for _ in items:
            if way != "cancel":
                await held.wait()
                break
        if way == "close":
            await items.aclose()

    task = asyncio.create_task(use(items))
    if way == "cancel":
        await held.wait()
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    del items
    gc.collect()
    await no_task_is_left()
    assert shelf.under_way == 0


async def test_a_cancellation_from_within_a_request_reaches_the_caller() -> None:
    shelf = DatedShelf([NEWEST, NEWEST - 1])

    async def wait() -> None:
        raise asyncio.CancelledError

    shelf.wait = wait
    with pytest.raises(asyncio.CancelledError):
        await ids_of(dated_pager(shelf).parallel())


async def test_an_error_in_a_window_that_turns_out_empty_does_not_matter() -> None:
    shelf = DatedShelf([*range(NEWEST - 5, NEWEST), NEWEST - 10**7])
    shelf.fail_at = 3

    async def wait() -> None:
        for _ in range(10 * (len(shelf.asked) > 2)):  # the second request is answered first
            await asyncio.sleep(0)

    shelf.wait = wait
    assert len(await ids_of(dated_pager(shelf, limit=4).parallel())) == 6


async def test_a_walker_that_was_closed_gives_nothing() -> None:
    walker = reader_of(dated_pager(DatedShelf([NEWEST]))).begin_parallel_walk(4)
    assert not walker.is_fetching
    await walker.aclose()
    assert await walker.next_page() is None


# --- what cannot be walked ----------------------------------------------------------------------


class Scripted(DatedShelf):
    """Answers the n-th request with the n-th of some pages; the last one again and again."""

    def __init__(self, *pages: tuple[list[tuple[str, int]], bool]) -> None:
        super().__init__([])
        self.pages = pages

    def answer(self, asked: dict[str, str]) -> Response:
        data, has_more = self.pages[min(len(self.asked), len(self.pages)) - 1]
        page = DATED.model(
            data=tuple(Dated(id=id, created=at(second)) for id, second in data), has_more=has_more
        )
        items = ",".join(
            f'{{"id":"{item.id}","created":{int(item.created.timestamp())}}}' for item in page
        )
        body = f'{{"data":[{items}],"has_more":{str(has_more).lower()}}}'
        return Response(status=200, headers={"Request-Id": "req_1"}, body=body.encode())


A, B = [("it_9", NEWEST), ("it_8", NEWEST)], [("it_7", NEWEST), ("it_6", NEWEST)]
ENDLESS = {
    "empty with more": ([([], True)], "an empty page", 0),
    "the same page": ([(A, True)], "ends where an earlier one did", 2),
    "the same page, at its end": ([(A, True), (A, False)], "ends where an earlier", 2),
    "a cycle": ([(A, True), (B, True), (A, True)], "ends where an earlier one did", 4),
    "oldest first": ([([("it_1", NEWEST - 5), ("it_2", NEWEST)], False)], "newest first", 0),
    "newer later": ([(A, True), ([("it_1", NEWEST + 1)], False)], "newest first", 2),
}


@pytest.mark.parametrize(("pages", "problem", "read"), ENDLESS.values(), ids=ENDLESS.keys())
async def test_an_endless_list_is_an_error_that_keeps_the_place(pages, problem, read) -> None:
    things, items = dated_pager(Scripted(*pages)), list[str]()
    with pytest.raises(PaginationError, match=problem) as caught:
        await read_into(items, things.parallel())
    assert caught.value.items_read == len(items) == read
    assert caught.value.cursor == things.cursor
    assert caught.value.request_id == "req_1"


@pytest.mark.parametrize("windows", [0, -1, 257, 2.5, "4", True])
def test_a_wrong_number_of_windows_is_refused(windows) -> None:
    with pytest.raises(ConfigurationError, match="windows"):
        dated_pager(DatedShelf([])).parallel(windows)


def test_a_walk_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not backwards"):
        dated_pager(DatedShelf([]), ending_before="it_1").parallel()
    walk = start_walk(DATED, {}, Paging(None, None, None, None, None), None)
    with pytest.raises(ConfigurationError, match="no windows of created"):
        Pager(DatedShelf([]).send, walk).parallel()


# --- the API's lists ----------------------------------------------------------------------------


async def test_lists_of_the_sandbox_are_walked_alike() -> None:
    async with Sandbox(seed=3) as sandbox, sandbox.client() as stripe:
        sandbox.identity.seed(230, interval=20)
        for pager in (
            stripe.identity.verification_sessions.list(limit=10),
            stripe.identity.verification_reports.list(limit=10),
            stripe.crypto.onramp_sessions.list(),
            stripe.forwarding.requests.list(),
            stripe.events.list(),
            stripe.files.list(),
            stripe.file_links.list(),
        ):
            serial = [item.id async for item in pager]
            assert [item.id async for item in pager.parallel()] == serial
        with pytest.raises(ConfigurationError, match="no windows of created"):
            stripe.climate.orders.list().parallel()


def test_the_blocking_pager_walks_in_parallel_too() -> None:
    with Sandbox(seed=3) as sandbox, sandbox.sync_client() as stripe:
        sandbox.identity.seed(120, interval=20)
        pager = stripe.identity.verification_sessions.list(limit=10)
        serial = [session.id for session in pager]
        assert [session.id for session in pager.parallel(windows=4)] == serial
        items = pager.parallel()
        head = [session.id for session in islice(items, 25)]
        items.close()
        assert pager.cursor == f"starting_after:{head[-1]}"
        rest = stripe.identity.verification_sessions.list(limit=10, cursor=pager.cursor)
        assert head + [session.id for session in rest.parallel()] == serial
        with pytest.raises(ConfigurationError, match="windows"):
            pager.parallel(windows=0)
