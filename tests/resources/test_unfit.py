"""Objects of a page that do not fit their class: no other object goes with them."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from pinstripe import (
    ConfigurationError,
    Created,
    DecodeError,
    Page,
    Pager,
    Request,
    Response,
    UnfitError,
    export,
    response_of,
    sync,
)
from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._models.record import Listed, Private, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.walk import Paging, start_walk
from pinstripe.sync._pager import Pager as SyncPager
from tests.support.clean import check_clean

pytestmark = pytest.mark.anyio

SECRET = "PRIVATE-reference-7720"


@model
class Thing(Listed):
    id: str
    created: datetime
    livemode: bool = False
    metadata: Private[dict[str, str]]


THINGS: Endpoint[Page[Thing]] = Endpoint("GET", "/v1/things", Page[Thing])


class Shelf:
    """A list of 30 objects, newest first; those at the places of `changes` are changed."""

    def __init__(self, changes: dict[int, Any]) -> None:
        self.data: list[Any] = [
            {"id": f"t_{n}", "created": 3000 - 10 * n, "metadata": {}} for n in range(30)
        ]
        for place, change in changes.items():
            self.data[place] = (
                {**self.data[place], **change} if isinstance(change, dict) else change
            )
        self.requests = 0

    async def send(self, request: Request) -> Response:
        self.requests += 1
        asked = dict(parse_qsl(request.query))
        ids = [one.get("id") if isinstance(one, dict) else None for one in self.data]
        rest = self.data
        if (after := asked.get("starting_after")) is not None:
            rest = rest[ids.index(after) + 1 :]
        if (upper := asked.get("created[lte]")) is not None:
            rest = rest[(3000 - int(upper) + 9) // 10 :] if after is None else rest
        more = len(rest) > int(asked["limit"])
        page = rest[: int(asked["limit"])]
        if (before := asked.get("ending_before")) is not None:
            rest = self.data[: ids.index(before)]
            more, page = len(rest) > int(asked["limit"]), rest[-int(asked["limit"]) :]
        body = json.dumps({"object": "list", "data": page, "has_more": more}).encode()
        return Response(status=200, headers={"Request-Id": "req_1"}, body=body, livemode=False)


def pager(shelf: Shelf, created: Created | None = None, **arguments: Any) -> Pager[Thing]:
    names = ("limit", "max_items", "starting_after", "ending_before", "cursor")
    paging = Paging(*(arguments.get(name) for name in names))
    return Pager(shelf.send, start_walk(THINGS, {"created": created}, paging, None))


def ids(*places: int) -> list[str]:
    return [f"t_{place}" for place in places]


BAD = {"metadata": SECRET}
ALL = set(range(30))


async def read_into(read: list[str], walk: Any) -> None:
    async for item in walk:
        read.append(item.id)  # noqa: PERF401 -- kept also where an error ends it


async def read_until(read: list[str], walk: Any) -> UnfitError:
    with pytest.raises(UnfitError) as caught:
        await read_into(read, walk)
    return caught.value


async def test_a_walk_ends_in_front_of_it_and_resumes_behind_it() -> None:
    shelf = Shelf({14: BAD})
    read: list[str] = []
    walk = pager(shelf, limit=10)
    error = await read_until(read, walk)
    assert read == ids(*range(14))
    assert walk.cursor == "starting_after:t_13"
    assert (error.id, error.index, error.path) == ("t_14", 4, "$.data[4].metadata")
    assert [item.id for item in error.items] == ids(10, 11, 12, 13, 15, 16, 17, 18, 19)
    problem = "not a Thing: Expected `object`, got `str` at $.data[4].metadata (t_14)"
    assert str(error) == f"GET /v1/things: {problem} (status 200, request req_1)"
    assert (error.status, error.request_id, error.attempts) == (200, "req_1", 1)
    assert error.__context__ is None
    check_clean(error)
    assert pickle.loads(pickle.dumps(error)).items == ()
    assert error.cursor == "starting_after:t_14"
    rest = [item.id async for item in pager(shelf, limit=10, cursor=error.cursor)]
    assert rest == ids(*range(15, 30))


@pytest.mark.uncounted
@pytest.mark.parametrize("limit", [1, 3, 10, 100])
@pytest.mark.parametrize("places", [(0,), (29,), (9, 10), (0, 1, 2), range(3, 25), range(30)])
@pytest.mark.parametrize("kind", ["serial", "parallel", "pages", "backwards"])
async def test_a_walk_that_skips_leaves_nothing_else_out(kind, places, limit) -> None:
    left_out: list[Any] = []
    shelf = Shelf(dict.fromkeys(places, BAD))
    start = {"starting_after": None, "ending_before": None}
    if kind == "backwards":
        shelf.data.append({"id": "t_30", "created": 1, "metadata": {}})
        start["ending_before"] = "t_30"
    walk = pager(shelf, Created(gte=None), limit=limit, **start)
    walk = walk.skip_unfit(lambda error: left_out.append(error.id))
    if kind == "pages":
        read = [item.id async for page in walk.pages() for item in page]
    else:
        read = [item.id async for item in (walk.parallel(4) if kind == "parallel" else walk)]
    order = -1 if kind == "backwards" else 1
    assert left_out == ids(*places)[::order]
    assert read == ids(*sorted(ALL - set(places)))[::order]
    assert walk.cursor is not None
    assert walk.cursor.endswith(":t_0" if kind == "backwards" else ":t_29")


@pytest.mark.parametrize("kind", ["serial", "parallel", "pages", "backwards"])
async def test_resuming_again_and_again_reads_everything_once(kind) -> None:
    shelf = Shelf(dict.fromkeys((0, 9, 10, 11, 29), BAD))
    cursor, read, named = None, [], []
    if kind == "backwards":
        shelf.data.append({"id": "t_30", "created": 1, "metadata": {}})
        cursor = "ending_before:t_30"
    while True:
        walk = pager(shelf, Created(gte=None), limit=10, cursor=cursor)
        try:
            if kind == "pages":
                async for page in walk.pages():
                    read += [item.id for item in page]
                    assert response_of(page).request_id == "req_1"
            else:
                async for item in walk.parallel(3) if kind == "parallel" else walk:
                    read.append(item.id)
        except UnfitError as error:
            named.append(error.id)
            cursor = error.cursor
        else:
            break
    order = -1 if kind == "backwards" else 1
    assert read == ids(*sorted(ALL - {0, 9, 10, 11, 29}))[::order]
    assert named == ids(0, 9, 10, 11, 29)[::order]


async def test_the_first_page() -> None:
    shelf, left_out = Shelf({1: BAD}), []
    walk = pager(shelf, limit=3)
    with pytest.raises(UnfitError) as caught:
        await walk
    assert [item.id for item in caught.value.items] == ids(0, 2)
    assert walk.cursor is None
    walk = walk.skip_unfit(left_out.append)
    page = await walk
    assert [item.id for item in page] == ids(0, 2)
    assert page.has_more is True
    assert [error.id for error in left_out] == ids(1)
    assert walk.cursor == "starting_after:t_2"


NAMELESS = [None, [], "t_4", {"id": 4}, {"id": "a/b", "metadata": None}, {"id": None}]


@pytest.mark.parametrize("change", NAMELESS)
async def test_an_object_without_an_id_is_named_by_its_place(change) -> None:
    shelf = Shelf({4: change})
    error = await read_until([], pager(shelf, limit=10))
    assert (error.id, error.index, error.cursor) == (None, 4, None)
    assert error.message.endswith("(it has no id)")
    left_out: list[UnfitError] = []
    read = [item.id async for item in pager(shelf, limit=10).skip_unfit(left_out.append)]
    assert read == ids(*sorted(ALL - {4}))
    # Without an id there is no way behind it.
    for walk in (pager(shelf, limit=5), pager(shelf, limit=5).skip_unfit(left_out.append)):
        await read_until([], walk)


@pytest.mark.parametrize("created", [None, "never", [], 10**30])
@pytest.mark.parametrize("place", [0, 4, 9])
async def test_a_parallel_walk_passes_an_object_without_a_time(place, created) -> None:
    left_out: list[UnfitError] = []
    shelf = Shelf({place: {"created": created}})
    walk = pager(shelf, Created(gte=None), limit=10).skip_unfit(left_out.append)
    assert [item.id async for item in walk.parallel(4)] == ids(*sorted(ALL - {place}))
    assert [error.id for error in left_out] == ids(place)


async def test_a_parallel_walk_over_a_page_without_any_time_raises() -> None:
    shelf = Shelf({place: {"created": None} for place in range(10)})
    walk = pager(shelf, Created(gte=None), limit=10).skip_unfit(lambda _: None)
    error = await read_until([], walk.parallel(4))
    assert (error.id, error.cursor) == ("t_0", "starting_after:t_0")


async def test_a_page_of_the_other_mode_is_refused_as_a_whole() -> None:
    for changes in ({1: BAD, 2: {"livemode": True}}, {1: {**BAD, "livemode": True}}):
        with pytest.raises(DecodeError, match="of the other mode") as caught:
            await pager(Shelf(changes)).skip_unfit(lambda _: None)
        assert not isinstance(caught.value, UnfitError)


async def test_a_page_that_does_not_fit_itself_is_refused() -> None:
    async def send(request: Request) -> Response:
        return Response(status=200, headers={}, body=b'{"data": [{}], "has_more": "false"}')

    with pytest.raises(DecodeError) as caught:
        await Pager(send, pager(Shelf({}))._reader.walk)
    assert not isinstance(caught.value, UnfitError)


@pytest.mark.parametrize("report", [None, "f", 5])
async def test_what_reports_is_a_function(report) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pager(Shelf({})).skip_unfit(report)
    assert caught.value.argument == "report"


async def test_an_error_of_the_function_ends_the_walk() -> None:
    def report(error: UnfitError) -> None:
        raise LookupError(error.id)

    with pytest.raises(LookupError, match="t_4"):
        _ = [item async for item in pager(Shelf({4: BAD})).skip_unfit(report)]


async def test_a_whole_page_is_decoded_once(monkeypatch) -> None:
    """Only a page that does not fit is read object by object."""
    from pinstripe._resources import unfit

    reads: list[int] = []
    monkeypatch.setattr(unfit, "_read", lambda *_: reads.append(1))
    assert len([item async for item in pager(Shelf({}))]) == 30
    assert not reads


async def test_an_export_can_go_on(tmp_path) -> None:
    shelf, left_out = Shelf({14: BAD}), []
    output = tmp_path / "things.jsonl"
    with pytest.raises(UnfitError) as caught:
        await export.to_file(pager(shelf, limit=10), output)
    assert caught.value.id == "t_14"
    assert not output.exists()
    skipping = pager(shelf, limit=10).skip_unfit(left_out.append)
    assert await export.to_file(skipping, output, resume=True) == 29
    rows = [json.loads(row)["id"] for row in output.read_text().splitlines()]
    assert rows == ids(*sorted(ALL - {14}))
    assert [error.id for error in left_out] == ids(14)


async def test_an_export_ends_with_the_error_of_the_function(tmp_path) -> None:
    def report(error: UnfitError) -> None:
        raise LookupError(error.id)

    skipping = pager(Shelf({4: BAD})).skip_unfit(report)
    with pytest.raises(LookupError, match="t_4"):
        await export.to_file(skipping, tmp_path / "things.jsonl")


@pytest.fixture
def blocking() -> Iterator[Callable[..., SyncPager[Thing]]]:
    bridge = LoopBridge("Client")

    async def nothing() -> None: ...

    yield lambda *args, **kwargs: SyncPager(pager(*args, **kwargs), bridge)
    bridge.close(nothing)


def test_a_blocking_walk(blocking) -> None:
    shelf, read, left_out = Shelf({14: BAD}), [], []

    def report(error: UnfitError) -> None:
        left_out.append((error.id, threading.current_thread()))

    with pytest.raises(UnfitError) as caught:
        read += [item.id for page in blocking(shelf, limit=10).pages() for item in page]
    assert caught.value.cursor == "starting_after:t_14"
    rest = blocking(shelf, limit=10, cursor=caught.value.cursor)
    assert [item.id for item in rest] == ids(*range(15, 30))
    for walk in (
        lambda one: one,
        lambda one: one.parallel(3),
        lambda one: (item for page in one.pages() for item in page),
    ):
        one = blocking(shelf, Created(gte=None), limit=10).skip_unfit(report)
        assert [item.id for item in walk(one)] == ids(*sorted(ALL - {14}))
    with pytest.raises(UnfitError):
        blocking(Shelf({0: BAD})).first()
    assert len(blocking(Shelf({14: BAD})).skip_unfit(report).first()) == 29
    assert left_out == [("t_14", threading.current_thread())] * 4
    assert repr(one) == "Pager('/v1/things')"


def test_a_blocking_export_reports_in_its_own_thread(blocking, tmp_path) -> None:
    left_out: list[Any] = []

    def report(error: UnfitError) -> None:
        left_out.append((error.id, threading.current_thread()))

    skipping = blocking(Shelf({4: BAD, 9: BAD})).skip_unfit(report)
    assert sync.to_file(skipping, tmp_path / "things.jsonl") == 28
    assert left_out == [(id, threading.current_thread()) for id in ids(4, 9)]
