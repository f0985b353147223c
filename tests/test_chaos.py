"""Chaos in small: what it must never show, and that what judges it would see it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from pinstripe import AsyncClient, Client
from pinstripe.sandbox import Sandbox
from tests.support.chaos_run import Record, denied, doubled, run
from tests.support.clean import nothing_left

pytestmark = pytest.mark.anyio


@pytest.mark.uncounted
@pytest.mark.parametrize("client", [AsyncClient, Client])
async def test_nothing_is_lost_doubled_or_left_in_chaos(client: Any) -> None:
    async with nothing_left(), Sandbox(seed=1) as sandbox:
        port = urlsplit(sandbox.url).port
        assert port is not None
        figures = await run(port, sandbox.effects, calls=400, seed=5, client=client)
    assert figures.harmed > 100
    assert figures.effects > 100
    assert figures.succeeded > 200
    for count in (
        "untyped", "wrong", "keyless", "doubled", "missing", "denied", "unfinished",
        "doubled_in_the_end", "tasks", "sockets", "slots",
    ):  # fmt: skip
        assert getattr(figures, count) == 0, figures


def effect(id: str, key: str) -> dict[str, Any]:
    return {"id": id, "idempotency_key": key}


def test_the_judge_sees_what_it_looks_for() -> None:
    done, failed = Record(0, 0, id="a"), Record(2, 0, error="E", outcome="unknown", key="k2")
    rejected = Record(4, 0, error="E", outcome="rejected", key="k4")
    records = [done, failed, rejected]
    fine = [effect("a", "k1"), effect("b", "k2")]
    assert (doubled(records, fine), denied(records, fine)) == (0, 0)
    assert doubled(records, [*fine, effect("c", "k2")]) == 1
    assert doubled(records, [*fine, effect("c", "k3")]) == 1
    assert denied(records, [*fine, effect("d", "k4")]) == 1
