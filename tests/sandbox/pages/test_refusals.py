"""The table of errors: each row really produces its error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from attrs import evolve

from pinstripe.sandbox._pages.refusable import Refusable, Step
from pinstripe.sandbox._pages.refusals import REFUSALS, refusals
from tests.support.sandbox_api import Api

pytestmark = pytest.mark.anyio


def name_of(row: Refusable) -> str:
    return f"{row.area}: {row.status} {row.code}"


@pytest.mark.parametrize("row", REFUSALS, ids=name_of)
async def test_each_row_produces_its_error(api: Api, row: Refusable) -> None:
    reply = await walk(api, row.steps)
    assert reply.status == row.status, reply.body
    if row.status == 200:
        assert reply.body["last_error"]["code"] == row.code
        return
    assert (reply.error.get("code"), reply.error["type"]) == (row.code, row.type)
    faults = (await api.ok("GET", "/_sandbox/faults"))["faults"]
    # A fault that a row adds has struck its last request, and will strike no other.
    assert [each["count"] for each in faults] == ([0] if row.by_fault else [])


async def walk(api: Api, steps: Iterable[Step]) -> Any:
    reply, id = None, ""
    for step in steps:
        given = {name: text.replace("{id}", id) for name, text in step.params.items()}
        headers = {name.replace("-", "_"): text for name, text in step.headers.items()}
        send = evolve(api, key="rk_test_any")
        path = step.path.replace("{id}", id)
        if step.method == "GET":
            reply = await send("GET", f"{path}?{urlencode(given)}", **headers)
        else:
            reply = await send(step.method, path, given, **headers)
        id = reply.body.get("id") or next(iter(reply.body.get("data", [])), {}).get("id", "")
    return reply


def test_no_error_is_there_twice_and_every_status_is_there() -> None:
    names = [name_of(row) for row in REFUSALS]
    assert len(set(names)) == len(names)
    statuses = {row.status for row in REFUSALS}
    assert statuses == {200, 400, 401, 402, 403, 404, 409, 424, 429, 500, 502, 503, 504}


def test_the_console_gets_the_table_as_plain_data() -> None:
    (row,) = [row for row in refusals() if row["code"] == "lock_timeout"]
    assert (row["by_fault"], row["steps"][0]["path"]) == (True, "/_sandbox/faults")
    (row,) = [row for row in refusals() if row["code"] == "resource_missing"]
    assert (row["by_fault"], row["status"]) == (False, 404)
