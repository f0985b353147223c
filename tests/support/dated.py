"""A list of dated objects in memory, with the two cursors and the `created` filter of the API."""

from __future__ import annotations

import asyncio
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from pinstripe import ConnectionLost, Page, Pager, Request, Response
from pinstripe._models.record import Listed, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.walk import Paging, start_walk

_NAMES = ("limit", "max_items", "starting_after", "ending_before", "cursor")


@model
class Dated(Listed):
    id: str
    created: datetime


DATED: Endpoint[Page[Dated]] = Endpoint("GET", "/v1/dated", Page[Dated])


class DatedShelf:
    """Objects by their second of creation, newest first; `it_n` is the n-th that was created."""

    def __init__(self, seconds: Sequence[int]) -> None:
        self.seconds = sorted(seconds)  # by number: of the object that was created first, and so on
        self.asked: list[dict[str, str]] = []
        self.fail_at: int | None = None
        self.under_way = self.most = 0
        self.wait: Callable[[], object] = lambda: asyncio.sleep(0)
        self.on_answer: Callable[[], object] = lambda: None

    async def send(self, request: Request) -> Response:
        self.asked.append(dict(parse_qsl(request.query)))
        asked, number = self.asked[-1], len(self.asked)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.wait()
        finally:
            self.under_way -= 1
        if self.fail_at == number:
            raise ConnectionLost("cut")
        answer = self.answer(asked)
        self.on_answer()
        return answer

    def answer(self, asked: dict[str, str]) -> Response:
        begin, end = 0, len(self.seconds)
        for name, value in asked.items():
            bound = int(value) if name.startswith("created") else 0
            if name in ("created", "created[gte]"):
                begin = max(begin, bisect_left(self.seconds, bound))
            if name in ("created", "created[lte]"):
                end = min(end, bisect_right(self.seconds, bound))
            if name == "created[gt]":
                begin = max(begin, bisect_right(self.seconds, bound))
            if name == "created[lt]":
                end = min(end, bisect_left(self.seconds, bound))
            if name == "starting_after":
                end = min(end, number_of(value))
            if name == "ending_before":
                begin = max(begin, number_of(value) + 1)
        if "ending_before" in asked:
            first, last = min(end, begin + int(asked["limit"])), begin
            has_more = first < end
        else:
            first, last = end, max(begin, end - int(asked["limit"]))
            has_more = last > begin
        data = [self.show(n) for n in range(first - 1, last - 1, -1)]
        page = {"object": "list", "data": data, "has_more": has_more}
        return Response(status=200, headers={}, body=json.dumps(page).encode())

    def show(self, number: int) -> Any:
        return {"id": f"it_{number}", "created": self.seconds[number]}


def number_of(cursor: str) -> int:
    found = re.search(r"it_(\d+)$", cursor)
    assert found is not None
    return int(found[1])


def dated_pager(shelf: DatedShelf, **arguments: object) -> Pager[Dated]:
    paging = Paging(*(arguments.pop(name, None) for name in _NAMES))  # type: ignore[arg-type]
    return Pager(shelf.send, start_walk(DATED, {"created": None, **arguments}, paging, None))
