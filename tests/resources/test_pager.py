"""Lists: any walk gives what slicing a Python list gives, with no request too many."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe import (
    ConfigurationError,
    ConnectionLost,
    Created,
    DecodeError,
    Page,
    Pager,
    PaginationError,
    Request,
    RequestOptions,
    Response,
    response_of,
)
from pinstripe._models.record import Listed, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.walk import PAGE_SIZE, Paging, start_walk
from pinstripe._resources.walkers import Walker
from tests.support.waiting import settle

pytestmark = pytest.mark.anyio


@model
class Thing(Listed):
    id: str


THINGS: Endpoint[Page[Thing]] = Endpoint("GET", "/v1/things", Page[Thing])


def page_of(ids: Sequence[str], *, has_more: bool) -> Response:
    data = {"object": "list", "data": [{"id": id} for id in ids], "has_more": has_more}
    return Response(
        status=200, headers={"Request-Id": "req_1"}, body=json.dumps(data).encode(), attempts=2
    )


class Shelf:
    """A list of the API in memory: newest first, with Stripe's two cursors."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = list(ids)
        self.asked: list[dict[str, str]] = []
        self.fail_at: int | None = None

    async def send(self, request: Request) -> Response:
        self.asked.append(dict(parse_qsl(request.query)))
        if self.fail_at == len(self.asked):
            raise ConnectionLost("cut")
        await asyncio.sleep(0)
        return self.answer(**self.asked[-1])

    def answer(
        self, limit: str, starting_after: str | None = None, ending_before: str | None = None
    ) -> Response:
        if ending_before is not None:
            end = self.ids.index(ending_before)
            begin = max(0, end - int(limit))
            return page_of(self.ids[begin:end], has_more=begin > 0)
        begin = self.ids.index(starting_after) + 1 if starting_after else 0
        end = begin + int(limit)
        return page_of(self.ids[begin:end], has_more=end < len(self.ids))


class Scripted:
    """A list that answers with given pages, whatever is asked; the last one again and again."""

    def __init__(self, *pages: Response) -> None:
        self.pages = pages
        self.count = 0

    async def send(self, request: Request) -> Response:
        self.count += 1
        return self.pages[min(self.count, len(self.pages)) - 1]


def pager(send: Any, **arguments: Any) -> Pager[Thing]:
    options = arguments.pop("options", None)
    params = arguments.pop("params", {})
    names = ("limit", "max_items", "starting_after", "ending_before", "cursor")
    paging = Paging(*(arguments.pop(name, None) for name in names))
    assert not arguments
    return Pager(send, start_walk(THINGS, params, paging, options))


async def read_into(read: list[str], items: AsyncIterator[Thing]) -> None:
    """Keep what was read also where an error ends it."""
    async for item in items:
        read.append(item.id)
        await settle()


async def ids_of(items: AsyncIterator[Thing]) -> list[str]:
    return [item.id async for item in items]


async def no_task_is_left() -> None:
    await settle()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    # The runner of these tests waits in a task of its own.
    assert not [task for task in others if "_fetch" in repr(task) or "aclose" in repr(task)]


# --- against a model ----------------------------------------------------------------------------


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[str], dict[str, Any], list[str]]:
    """A list, the arguments of a walk over it, and the items that the walk must give."""
    ids = [f"it_{n}" for n in range(draw(st.integers(0, 24)))]
    arguments: dict[str, Any] = {
        "limit": draw(st.integers(1, 7) | st.none()),
        "max_items": draw(st.integers(1, 30) | st.none()),
    }
    expected = ids
    direction = draw(st.sampled_from(["none", "starting_after", "ending_before", "cursor"]))
    if ids and direction != "none":
        at = draw(st.integers(0, len(ids) - 1))
        backwards = direction == "ending_before" or (direction == "cursor" and draw(st.booleans()))
        expected = ids[:at][::-1] if backwards else ids[at + 1 :]
        way = "ending_before" if backwards else "starting_after"
        arguments[direction] = f"{way}:{ids[at]}" if direction == "cursor" else ids[at]
    return ids, arguments, expected[: arguments["max_items"]]


def requests_needed(items: int, arguments: dict[str, Any]) -> int:
    size = arguments["limit"] or PAGE_SIZE
    return max(1, -(-items // size))


@given(walks())
@settings(deadline=None)
def test_a_walk_gives_what_slicing_gives(walk) -> None:
    ids, arguments, expected = walk

    async def run() -> None:
        shelf = Shelf(ids)
        things = pager(shelf.send, **arguments)
        assert await ids_of(aiter(things)) == expected
        assert len(shelf.asked) == requests_needed(len(expected), arguments)
        assert sum(int(asked["limit"]) for asked in shelf.asked) <= max(
            arguments["max_items"] or 10**6, 1
        )
        if expected:
            assert things.cursor is not None
            assert things.cursor.partition(":")[2] == expected[-1]
        await no_task_is_left()

    asyncio.run(run())


@given(walks())
@settings(deadline=None)
def test_pages_hold_the_same_in_the_order_of_the_api(walk) -> None:
    ids, arguments, expected = walk
    arguments["max_items"] = None
    whole = [id for id in ids if id in expected or arguments["max_items"] is None]

    async def run() -> list[list[str]]:
        things = pager(Shelf(ids).send, **arguments)
        return [[thing.id for thing in page] async for page in things.pages()]

    pages = asyncio.run(run())
    assert len(pages) >= 1
    for page in pages:
        assert page == [id for id in whole if id in page]
    backwards = "ending_before" in str(arguments.get("cursor")) or "ending_before" in arguments
    ordered = [id for page in pages for id in (page[::-1] if backwards else page)]
    assert ordered[: len(expected)] == expected


@given(walks(), st.data())
@settings(deadline=None)
def test_a_cursor_goes_on_from_every_place(walk, data) -> None:
    ids, arguments, expected = walk
    stop = data.draw(st.integers(0, len(expected)))

    async def run() -> None:
        first = pager(Shelf(ids).send, **arguments)
        read: list[str] = []
        async with aclosing(aiter(first)) as items:
            while len(read) < stop:
                read.append((await anext(items)).id)
        cursor = json.loads(json.dumps(first.cursor))
        rest = {"limit": arguments["limit"], "cursor": cursor}
        if arguments["max_items"] is not None:
            if stop == arguments["max_items"]:
                return
            rest["max_items"] = arguments["max_items"] - stop
        read += await ids_of(aiter(pager(Shelf(ids).send, **rest)))
        assert read == expected

    asyncio.run(run())


@given(walks(), st.integers(1, 6))
@settings(deadline=None)
def test_a_cursor_goes_on_after_an_error(walk, fail_at) -> None:
    ids, arguments, expected = walk
    arguments["max_items"] = None
    shelf = Shelf(ids)
    shelf.fail_at = fail_at

    async def run() -> None:
        things = pager(shelf.send, **arguments)
        read: list[str] = []
        try:
            await read_into(read, aiter(things))
        except ConnectionLost:
            assert len(shelf.asked) == fail_at
            again = pager(shelf.send, limit=arguments["limit"], cursor=things.cursor)
            read += await ids_of(aiter(again))
        assert read[: len(expected)] == expected
        assert len(set(read)) == len(read)

    asyncio.run(run())


async def iterated(things: Pager[Thing]) -> None:
    async with aclosing(aiter(things)) as items:
        for _ in range(await shown(things)):
            await anext(items)


async def paged(things: Pager[Thing]) -> None:
    async with aclosing(things.pages()) as pages:
        await anext(pages)


async def shown(things: Pager[Thing]) -> int:
    return len(await things)


@given(walks())
@settings(deadline=None)
def test_the_first_page_leaves_the_same_cursor_however_it_is_read(walk) -> None:
    ids, arguments, _ = walk

    async def cursor_after(read: Callable[[Pager[Thing]], Any]) -> str | None:
        things = pager(Shelf(ids).send, **arguments)
        await read(things)
        return things.cursor

    async def run() -> None:
        cursor = await cursor_after(shown)
        assert cursor == await cursor_after(iterated) == await cursor_after(paged)

    asyncio.run(run())


@given(walks())
@settings(deadline=None)
def test_shown_page_by_page_from_stored_cursors_a_list_is_whole(walk) -> None:
    ids, arguments, expected = walk
    arguments["max_items"] = None
    backwards = "ending_before" in str(arguments.get("cursor")) or "ending_before" in arguments

    async def run() -> None:
        read: list[str] = []
        things = pager(Shelf(ids).send, **arguments)
        for _ in range(len(ids) + 1):
            page = await things
            read += [thing.id for thing in (page.data[::-1] if backwards else page.data)]
            if not page.has_more:
                break
            things = pager(Shelf(ids).send, limit=arguments["limit"], cursor=things.cursor)
        assert read[: len(expected)] == expected
        assert len(set(read)) == len(read)

    asyncio.run(run())


# --- requests -----------------------------------------------------------------------------------

IDS = [f"it_{n}" for n in range(10)]


async def test_awaiting_gives_the_first_page_for_one_request() -> None:
    shelf = Shelf(IDS)
    things = pager(shelf.send, limit=4)
    page = await things
    assert [thing.id for thing in page] == IDS[:4]
    assert (len(page), page.has_more, things.cursor) == (4, True, "starting_after:it_3")
    await no_task_is_left()
    assert shelf.asked == [{"limit": "4"}]
    assert [thing.id for thing in await things] == IDS[:4]


async def test_awaiting_backwards_keeps_the_order_of_the_api() -> None:
    page = await pager(Shelf(IDS).send, limit=3, ending_before="it_5")
    assert [thing.id for thing in page] == ["it_2", "it_3", "it_4"]


async def test_a_first_page_that_fails_leaves_the_cursor_at_the_start() -> None:
    shelf = Shelf(IDS)
    shelf.fail_at = 2
    things = pager(shelf.send, limit=4, starting_after="it_1")
    await things
    with pytest.raises(ConnectionLost):
        await things
    assert things.cursor == "starting_after:it_1"


async def test_the_first_page_is_no_longer_than_the_walk() -> None:
    shelf = Shelf(IDS)
    await pager(shelf.send, max_items=3)
    assert shelf.asked == [{"limit": "3"}]


async def test_filters_and_options_go_with_every_request() -> None:
    seen: list[Request] = []
    shelf = Shelf(IDS)

    async def send(request: Request) -> Response:
        seen.append(request)
        asked = dict(parse_qsl(request.query))
        return shelf.answer(asked["limit"], asked.get("starting_after"))

    created = Created(gte=datetime(2026, 1, 1, tzinfo=timezone.utc))
    options = RequestOptions(account="acct_1", timeout=3)
    things = pager(
        send, limit=5, params={"status": "verified", "created": created}, options=options
    )
    assert await ids_of(aiter(things)) == IDS
    for request in seen:
        assert request.query.startswith("status=verified&created[gte]=1767225600&limit=5")
        assert request.headers == {"Stripe-Account": "acct_1"}
        assert request.timeout == options.timeout
        assert request.template == "/v1/things"


@pytest.mark.parametrize("way", ["await", "iterate", "pages"])
async def test_the_first_request_is_checked_and_sent_as_one(monkeypatch, way) -> None:
    built: list[Request] = []
    build = Endpoint.request

    def count(*args: Any) -> Request:
        built.append(build(*args))
        return built[-1]

    monkeypatch.setattr(Endpoint, "request", count)
    sent: list[Request] = []
    shelf = Shelf(IDS)

    async def send(request: Request) -> Response:
        sent.append(request)
        return await shelf.send(request)

    things = pager(send)
    assert len(built) == 1
    if way == "await":
        await things
    else:
        _ = [thing async for thing in (aiter(things) if way == "iterate" else things.pages())]
    assert [id(request) for request in sent] == [id(request) for request in built]


async def test_each_iteration_is_a_walk_of_its_own() -> None:
    things = pager(Shelf(IDS).send, limit=3)
    assert await ids_of(aiter(things)) == await ids_of(aiter(things)) == IDS


async def test_items_know_the_answer_that_held_them() -> None:
    pages = [page_of(["it_0", "it_1"], has_more=True), page_of(["it_2"], has_more=False)]
    things = [thing async for thing in pager(Scripted(*pages).send)]
    assert [response_of(thing) for thing in things] == [pages[0], pages[0], pages[1]]
    page = await pager(Scripted(*pages).send)
    assert response_of(page) is pages[0]
    assert response_of(page.data[1]) is pages[0]
    with pytest.raises(ConfigurationError, match="was not itself returned"):
        response_of(Thing(id="it_0"))
    assert repr(page).count("it_0") == 0


async def test_a_page_that_is_none_is_kept_by_the_error() -> None:
    answer = Response(status=200, headers={"Request-Id": "req_9"}, body=b'{"data": 5}', attempts=2)
    with pytest.raises(DecodeError) as caught:
        await pager(Scripted(answer).send)
    error = caught.value
    assert error.path == "$.data"
    assert (error.body, error.status, error.attempts) == (answer.body, 200, 2)
    assert error.request_id == "req_9"


# --- one page ahead -----------------------------------------------------------------------------


class Held(Shelf):
    """A shelf whose requests wait until they are released, one by one."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(ids)
        self.gates: list[anyio.Event] = []
        self.cancelled = 0

    async def send(self, request: Request) -> Response:
        self.asked.append(dict(parse_qsl(request.query)))
        self.gates.append(gate := anyio.Event())
        try:
            await gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.answer(**self.asked[-1])

    async def release(self, number: int) -> None:
        await settle()
        self.gates[number].set()


async def test_the_next_page_is_asked_for_while_this_one_is_used() -> None:
    shelf = Held(IDS)
    items = aiter(pager(shelf.send, limit=4))
    first = asyncio.ensure_future(anext(items))
    await shelf.release(0)
    assert (await first).id == "it_0"
    await settle()
    assert [asked.get("starting_after") for asked in shelf.asked] == [None, "it_3"]
    for expected in ("it_1", "it_2", "it_3"):
        assert (await anext(items)).id == expected
    assert len(shelf.asked) == 2  # and no further ahead than one page
    fifth = asyncio.ensure_future(anext(items))
    await shelf.release(1)
    assert (await fifth).id == "it_4"
    await items.aclose()
    await no_task_is_left()


async def test_nothing_is_asked_for_beyond_max_items() -> None:
    shelf = Shelf(IDS)
    assert await ids_of(aiter(pager(shelf.send, limit=2, max_items=5))) == IDS[:5]
    assert [asked["limit"] for asked in shelf.asked] == ["2", "2", "1"]
    shelf = Shelf(IDS)
    assert await ids_of(aiter(pager(shelf.send, limit=5, max_items=5))) == IDS[:5]
    assert len(shelf.asked) == 1


async def test_a_server_that_gives_more_than_asked_does_not_exceed_max_items() -> None:
    generous = Scripted(page_of(IDS, has_more=True))
    assert await ids_of(aiter(pager(generous.send, max_items=3))) == IDS[:3]
    assert generous.count == 1


async def start_and_hold(shelf: Held) -> AsyncIterator[Thing]:
    items = aiter(pager(shelf.send, limit=4))
    first = asyncio.ensure_future(anext(items))
    await shelf.release(0)
    await first
    await settle()
    assert len(shelf.gates) == 2
    return items


async def test_break_leaves_no_task() -> None:
    shelf = Held(IDS)

    async def use() -> None:
        items = await start_and_hold(shelf)
        async for _ in items:
            break

    await use()
    await no_task_is_left()
    assert shelf.cancelled == 1


async def test_aclose_leaves_no_task_at_once() -> None:
    shelf = Held(IDS)
    items = await start_and_hold(shelf)
    await items.aclose()
    assert shelf.cancelled == 1
    with pytest.raises(StopAsyncIteration):
        await anext(items)


async def test_an_error_of_the_caller_leaves_no_task() -> None:
    shelf = Held(IDS)
    items = await start_and_hold(shelf)
    with pytest.raises(KeyError):
        async with aclosing(items):
            raise KeyError
    assert shelf.cancelled == 1


@pytest.mark.parametrize("way", ["task", "scope"])
async def test_cancelling_the_walk_cancels_the_request_ahead(way) -> None:
    shelf = Held(IDS)
    waiting = anyio.Event()

    async def walk() -> None:
        items = await start_and_hold(shelf)
        async with aclosing(items):
            waiting.set()
            await anyio.sleep_forever()

    if way == "task":
        task = asyncio.create_task(walk())
        await waiting.wait()
        task.cancel()
        await asyncio.wait([task])
    else:
        async with anyio.create_task_group() as group:
            group.start_soon(walk)
            await waiting.wait()
            group.cancel_scope.cancel()
    assert shelf.cancelled == 1
    await no_task_is_left()


async def test_cancelling_while_the_page_ahead_is_awaited() -> None:
    shelf = Held(IDS)
    items = await start_and_hold(shelf)
    task = asyncio.create_task(ids_of(items))
    await settle()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert shelf.cancelled == 1


@pytest.mark.parametrize("scope", [False, True])
@pytest.mark.parametrize("late", [False, True])
async def test_an_error_ahead_that_nobody_asks_for_is_not_reported(scope, late) -> None:
    loop, reported = asyncio.get_running_loop(), []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    shelf = Shelf(IDS)
    ended: list[str] = []

    async def send(request: Request) -> Response:
        if len(shelf.asked) == 0 or not late:
            shelf.fail_at = 2
            return await shelf.send(request)
        try:
            await anyio.sleep_forever()
        finally:
            for _ in range(5):  # closing takes a while, and fails
                await asyncio.sleep(0)
            ended.append("late")
            raise ConnectionLost("cut")

    items = aiter(pager(send, limit=4))
    await anext(items)
    await settle()
    with anyio.CancelScope() as cancelled:
        if scope:
            cancelled.cancel()
        await items.aclose()
    assert ended == ["late"] * late  # nothing is left running when aclose returns
    del items
    gc.collect()  # asyncio reports when the task goes
    await settle()
    loop.set_exception_handler(before)
    assert reported == []


async def test_an_error_comes_where_its_page_would_have_come() -> None:
    shelf = Shelf(IDS)
    shelf.fail_at = 2
    things = pager(shelf.send, limit=4)
    read: list[str] = []
    with pytest.raises(ConnectionLost):
        await read_into(read, aiter(things))
    assert read == IDS[:4]
    assert things.cursor == "starting_after:it_3"


async def test_a_walker_that_is_over_gives_nothing() -> None:
    walk = start_walk(THINGS, {}, Paging(None, None, None, None, None), None)
    walker = Walker(Shelf(IDS).send, walk)
    step = await walker.next_page()
    assert step is not None
    assert [item.id for item in step[1]] == IDS
    assert await walker.next_page() is None
    await walker.aclose()
    closed = Walker(Shelf(IDS).send, walk)
    await closed.aclose()
    assert await closed.next_page() is None


# --- lists that cannot end ----------------------------------------------------------------------

A, B = ["it_0", "it_1"], ["it_2", "it_3"]
ENDLESS: dict[str, tuple[list[Response], int, str | None]] = {
    "the same page": ([page_of(A, has_more=True)], 2, "starting_after:it_1"),
    "the same page, at its end": (
        [page_of(A, has_more=True), page_of(A, has_more=False)],
        2,
        "starting_after:it_1",
    ),
    "a cycle": (
        [page_of(A, has_more=True), page_of(B, has_more=True), page_of(A, has_more=True)],
        4,
        "starting_after:it_3",
    ),
    "empty with more": ([page_of([], has_more=True)], 0, None),
    "empty with more, later": (
        [page_of(A, has_more=True), page_of([], has_more=True)],
        2,
        "starting_after:it_1",
    ),
}


@pytest.mark.parametrize(("pages", "read", "cursor"), ENDLESS.values(), ids=ENDLESS.keys())
@pytest.mark.parametrize("by", ["items", "pages"])
async def test_an_endless_list_is_an_error_that_keeps_the_place(pages, read, cursor, by) -> None:
    script = Scripted(*pages)
    things = pager(script.send)
    items: list[str] = []

    async def of_pages() -> AsyncIterator[Thing]:
        async for page in things.pages():
            for thing in page:
                yield thing

    with pytest.raises(PaginationError) as caught:
        await read_into(items, aiter(things) if by == "items" else of_pages())
    error = caught.value
    assert len(items) == error.items_read == read
    assert error.cursor == things.cursor == cursor
    assert script.count <= len(pages) + 1
    assert (error.status, error.body, error.attempts) == (200, pages[-1].body, 2)
    assert error.request_id == "req_1"
    assert "/v1/things cannot be read to its end" in str(error)
    await no_task_is_left()


async def test_a_page_that_ends_where_the_walk_started_is_endless() -> None:
    script = Scripted(page_of(A, has_more=True))
    with pytest.raises(PaginationError) as caught:
        await ids_of(aiter(pager(script.send, starting_after="it_1")))
    assert (caught.value.items_read, caught.value.cursor) == (0, "starting_after:it_1")
    assert script.count == 1


async def test_backwards_a_cycle_is_found_by_the_first_object_of_a_page() -> None:
    script = Scripted(page_of(A, has_more=True))
    with pytest.raises(PaginationError) as caught:
        await ids_of(aiter(pager(script.send, ending_before="it_9")))
    assert (caught.value.items_read, caught.value.cursor) == (2, "ending_before:it_0")


async def test_an_empty_list_is_no_error() -> None:
    things = pager(Scripted(page_of([], has_more=False)).send)
    assert await ids_of(aiter(things)) == []
    assert [len(page) async for page in things.pages()] == [0]
    assert len(await things) == 0
    assert things.cursor is None


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 2.0}, "limit"),
        ({"limit": "5"}, "limit"),
        ({"limit": True}, "limit"),
        ({"max_items": 0}, "max_items"),
        ({"max_items": 1.5}, "max_items"),
        ({"max_items": False}, "max_items"),
        ({"starting_after": ".."}, "starting_after"),
        ({"starting_after": ""}, "starting_after"),
        ({"ending_before": "a b"}, "ending_before"),
        ({"ending_before": 5}, "ending_before"),
        ({"starting_after": "a", "ending_before": "b"}, "ending_before"),
        ({"starting_after": "a", "cursor": "starting_after:b"}, "cursor"),
        ({"ending_before": "a", "cursor": "starting_after:b"}, "cursor"),
        ({"cursor": "it_1"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "sideways:it_1"}, "cursor"),
        ({"cursor": "starting_after:"}, "cursor"),
        ({"cursor": "starting_after:a&limit=1"}, "cursor"),
        ({"cursor": 5}, "cursor"),
        ({"params": {"created": datetime(2026, 1, 1)}}, "created"),  # noqa: DTZ001
        ({"params": {"expand": "data.x"}}, "expand"),
        ({"options": RequestOptions(idempotency_key="k")}, "idempotency_key"),
    ],
)
async def test_what_is_wrong_is_refused_before_the_first_await(arguments, argument) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pager(None, **arguments)
    assert caught.value.argument == argument


async def test_a_fresh_pager_stands_where_it_starts() -> None:
    send: Callable[..., Any] = Shelf(IDS).send
    assert pager(send).cursor is None
    assert pager(send, starting_after="it_1").cursor == "starting_after:it_1"
    assert pager(send, ending_before="it_1").cursor == "ending_before:it_1"
    assert pager(send, cursor="ending_before:it_1").cursor == "ending_before:it_1"


def test_the_repr_of_a_pager_names_the_list_and_no_filter() -> None:
    one = pager(Shelf([]).send, params={"client_reference_id": "PRIVATE"}, starting_after="t_9")
    assert repr(one) == "Pager('/v1/things')"
