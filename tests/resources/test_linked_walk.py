"""Lists whose answers link to the next page: walks, cursors, and links that lead nowhere."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import (
    ConfigurationError,
    Created,
    PaginationError,
    UnfitError,
    response_of,
)
from pinstripe._http.messages import Request, Response
from pinstripe._models.page import LinkedPage
from pinstripe._models.record import Listed, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.linked_walk import start_linked_walk
from pinstripe._resources.pager import Pager, reader_of
from pinstripe._resources.walk import Paging

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@model
class Linked(Listed):
    id: str
    size: int = 0


ENDPOINT = Endpoint("GET", "/v2/things", LinkedPage[Linked])


class Shelf:
    """A list of `/v2`, with `size` objects in a page."""

    def __init__(self, count: int, size: int) -> None:
        self.ids = [f"it_{n}" for n in range(count)]
        self.size = size
        self.asked: list[str] = []
        self.unfit: set[str] = set()

    async def send(self, request: Request) -> Response:
        assert (request.method, request.path) == ("GET", "/v2/things")
        self.asked.append(request.query)
        start = int(request.query.removeprefix("page=")) if "page=" in request.query else 0
        return self.answer(start)

    def answer(self, start: int) -> Response:
        end = start + self.size
        shown = self.ids[start:end]
        return page_of(
            [{"id": id, "size": "big" if id in self.unfit else 1} for id in shown],
            f"/v2/things?page={end}" if end < len(self.ids) else None,
        )


def page_of(data: list[dict[str, Any]], following: str | None) -> Response:
    body = {"data": data, "next_page_url": following, "previous_page_url": None}
    return Response(status=200, headers={}, body=json.dumps(body).encode())


def pager(send: Any, params: dict[str, Any] | None = None, **paging: Any) -> Pager[Linked]:
    start = Paging(paging.get("limit"), paging.get("max_items"), None, None, paging.get("cursor"))
    return Pager(send, start_linked_walk(ENDPOINT, params or {}, start, None))


async def ids_of(items: Any) -> list[str]:
    return [item.id async for item in items]


async def read_into(found: list[str], items: Any) -> None:
    """Keep what was read also where an error ends it."""
    async for item in items:
        found.append(item.id)  # noqa: PERF401 -- as above


async def first_ids(walk: Pager[Linked], count: int) -> list[str]:
    found: list[str] = []
    async for item in walk:
        found.append(item.id)
        if len(found) == count:
            break
    return found


@given(st.integers(0, 23), st.integers(1, 6), st.none() | st.integers(1, 30), st.integers(0, 12))
async def test_a_walk_gives_every_object_once_also_in_two_parts(
    count: int, size: int, most: int | None, stop: int
) -> None:
    shelf = Shelf(count, size)
    expected = shelf.ids if most is None else shelf.ids[:most]
    assert await ids_of(pager(shelf.send, max_items=most)) == expected
    pages = [page async for page in pager(shelf.send).pages()]
    assert [item.id for page in pages for item in page] == shelf.ids
    assert [page.has_more for page in pages] == [True] * (len(pages) - 1) + [False]
    walk = pager(shelf.send)
    before = await first_ids(walk, stop) if stop else []
    cursor = walk.cursor
    assert (cursor is None) == (not before)
    for rest in (
        (pager(shelf.send, cursor=cursor), reader_of(walk).resume_after(before[-1], 0))
        if (before)
        else (walk,)
    ):
        assert before + await ids_of(rest) == shelf.ids
        again = [item.id async for page in rest.pages() for item in page]
        assert before + again == shelf.ids


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 20), st.integers(0, 5))
async def test_objects_that_come_meanwhile_hide_none(
    count: int, size: int, stop: int, new: int
) -> None:
    shelf = Shelf(count, size)
    walk = pager(shelf.send)
    before = await first_ids(walk, stop)
    shelf.ids = [f"new_{n}" for n in range(new)] + shelf.ids
    assert before + await ids_of(pager(shelf.send, cursor=walk.cursor)) == shelf.ids[new:]


async def test_the_filters_are_sent_with_the_first_page_only() -> None:
    shelf = Shelf(3, 2)
    created = Created(gt=NOW)
    assert len(await ids_of(pager(shelf.send, {"created": created, "types": ["a"]}, limit=2))) == 3
    assert shelf.asked == ["types[0]=a&created[gt]=2026-01-01T00%3A00%3A00Z&limit=2", "page=2"]


async def test_awaiting_gives_the_first_page_that_has_something() -> None:
    shelf = Shelf(4, 2)
    walk = pager(shelf.send)
    page = await walk
    assert [item.id for item in page] == ["it_0", "it_1"]
    assert page.has_more
    assert walk.cursor == "page:it_1?"
    rest = await pager(shelf.send, cursor=walk.cursor)
    assert [item.id for item in rest] == ["it_2", "it_3"]
    assert not rest.has_more
    assert response_of(rest).status == response_of(rest.data[0]).status == 200
    empty = await pager(shelf.send, cursor="page:it_3?page=2")
    assert len(empty) == 0
    part = await pager(shelf.send, cursor="page:it_2?page=2")
    assert [item.id for item in part] == ["it_3"]
    assert response_of(part).status == 200


async def test_an_object_that_is_gone_ends_a_walk_that_was_to_resume_behind_it() -> None:
    shelf = Shelf(5, 2)
    walk = pager(shelf.send)
    assert len(await first_ids(walk, 3)) == 3
    shelf.ids.remove("it_2")
    with pytest.raises(PaginationError, match="not in it any more") as caught:
        await ids_of(pager(shelf.send, cursor=walk.cursor))
    assert caught.value.call == "GET /v2/things"


LINKS = {
    "twice": "/v2/things?page=1",
    "another list": "/v2/others?page=2",
    "another host": "https://elsewhere.example/v2/things?page=2",
    "no query": "/v2/things",
    "no text of a query": "/v2/things?page=é",
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
async def test_a_link_that_leads_nowhere_is_an_error_after_the_objects_before_it(link) -> None:
    async def send(request: Request) -> Response:
        return page_of([{"id": "it_1"}], link)

    found: list[str] = []
    walk = pager(send)
    with pytest.raises(PaginationError) as caught:
        await read_into(found, walk)
    assert caught.value.items_read == len(found) <= 2
    with pytest.raises(PaginationError):
        await ids_of(pager(send, cursor="page:it_9?page=1"))


async def test_pages_that_link_in_a_circle_are_not_skipped_forever() -> None:
    async def send(request: Request) -> Response:
        return page_of([{"id": "it_1"}], f"/v2/things?page={'b' if 'a' in request.query else 'a'}")

    with pytest.raises(PaginationError, match="earlier one"):
        await pager(send, cursor="page:it_9?page=b")


async def test_an_empty_page_in_between_ends_nothing() -> None:
    pages = [page_of([{"id": "a"}], "/v2/things?page=1"), page_of([], "/v2/things?page=2")]
    pages.append(page_of([{"id": "b"}], None))

    async def send(request: Request) -> Response:
        return pages[int(request.query[5:]) if request.query.startswith("page=") else 0]

    walk = pager(send)
    assert await ids_of(walk) == ["a", "b"]
    assert await ids_of(pager(send, cursor=walk.cursor)) == []


@pytest.mark.parametrize("index", range(5))
async def test_an_object_that_does_not_fit_takes_no_other_with_it(index: int) -> None:
    shelf = Shelf(5, 2)
    shelf.unfit = {f"it_{index}"}
    walk, found = pager(shelf.send), list[str]()
    with pytest.raises(UnfitError) as caught:
        await read_into(found, walk)
    assert found == shelf.ids[:index]
    assert await ids_of(pager(shelf.send, cursor=caught.value.cursor)) == shelf.ids[index + 1 :]
    left_out: list[UnfitError] = []
    fitting = [id for id in shelf.ids if id not in shelf.unfit]
    assert await ids_of(walk.skip_unfit(left_out.append)) == fitting
    assert [error.id for error in left_out] == [f"it_{index}"]
    resumed = pager(shelf.send, cursor="page:it_0?").skip_unfit(left_out.append)
    again = [item.id async for page in resumed.pages() for item in page]
    assert again == [id for id in fitting if id != "it_0"]


async def test_nothing_is_walked_in_parallel() -> None:
    with pytest.raises(ConfigurationError) as caught:
        pager(Shelf(1, 1).send, {"created": None}).parallel()
    assert caught.value.argument == "parallel"


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        *(("cursor", wrong) for wrong in ("", "starting_after:it_1", "page:it_1", "page:a/b?", 5)),
        *(("cursor", f"page:it_1?{query}") for query in ("a b", "é", "a#b", "x" * 4001)),
        ("limit", 101),
        ("max_items", 0),
    ],
)
def test_a_wrong_argument_is_refused_by_its_name(argument, wrong) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pager(Shelf(1, 1).send, **{argument: wrong})
    assert caught.value.argument == argument


@pytest.mark.parametrize("wrong", [NOW, "2026-01-01", 5])
def test_a_filter_by_time_is_a_range(wrong) -> None:
    with pytest.raises(ConfigurationError, match="must be a Created, not"):
        pager(Shelf(1, 1).send, {"created": wrong}, cursor="page:it_1?page=1")
