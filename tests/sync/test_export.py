"""Exports of the blocking client: the same files, and progress in the caller's thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pinstripe
import pinstripe.export
from pinstripe.export import ExportProgress
from pinstripe.sandbox import Sandbox
from pinstripe.sync import Client, to_file
from tests.concurrency.test_loop_thread import quiet, tasks


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.identity.seed(1250, interval=20)
        yield sandbox


@pytest.fixture
def stripe(sandbox) -> Iterator[Client]:
    with sandbox.sync_client() as stripe:
        yield stripe


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_writes_what_the_asynchronous_one_writes(sandbox, stripe, tmp_path) -> None:
    ours, theirs = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    assert to_file(stripe.identity.verification_sessions.list(), ours) == 1250

    async def main() -> int:
        async with sandbox.client() as client:
            pager = client.identity.verification_sessions.list()
            return await pinstripe.export.to_file(pager, theirs)

    assert asyncio.run(main()) == 1250
    assert ours.read_bytes() == theirs.read_bytes()


def test_reports_progress_in_this_thread(stripe, tmp_path) -> None:
    reports: list[tuple[ExportProgress, int]] = []

    def note(now: ExportProgress) -> None:
        reports.append((now, threading.get_ident()))

    pager = stripe.identity.verification_sessions.list(max_items=500)
    assert to_file(pager, tmp_path / "out.jsonl", on_progress=note) == 500
    assert [(now.items, now.fraction) for now, _ in reports] == [
        (n * 100, n / 5) for n in range(1, 6)
    ]
    assert {thread for _, thread in reports} == {threading.get_ident()}


@pytest.mark.parametrize("error", [LookupError, BrokenPipeError, KeyboardInterrupt])
def test_what_ends_it_early_keeps_what_was_read(stripe, tmp_path, error) -> None:
    path, pager = tmp_path / "out.jsonl", stripe.identity.verification_sessions.list()

    def fail(now: ExportProgress) -> None:
        raise error

    with pytest.raises(error) as caught:
        to_file(pager, path, windows=1, on_progress=fail)
    assert traceback_of(caught.value)[-1] == "fail"
    stripe._bridge.run(quiet)
    assert stripe._bridge.run(tasks) == []
    assert not path.exists()
    assert json.loads((tmp_path / ".out.jsonl.mark").read_text())["items"] >= 100
    with pytest.raises(pinstripe.ConfigurationError, match="begun by an earlier run"):
        to_file(pager, path)
    assert to_file(pager, path, resume=True) == 1250
    assert ids(path) == [session.id for session in pager]
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_api_comes_through_and_hides_the_frames(stripe, tmp_path) -> None:
    pager = stripe.identity.verification_sessions.list(client_reference_id="x" * 10_000)
    with pytest.raises(pinstripe.InvalidRequestError) as caught:
        to_file(pager, tmp_path / "out.jsonl")
    frames = traceback_of(caught.value)
    assert [name for name in frames if name != "wrapper"] == [
        "test_an_error_of_the_api_comes_through_and_hides_the_frames"
    ]


def traceback_of(error: BaseException) -> list[str]:
    names, at = [], error.__traceback__
    while at is not None:
        names.append(at.tb_frame.f_code.co_name)
        at = at.tb_next
    return names


@pytest.mark.parametrize(
    ("settings", "argument"),
    [({"format": "xml"}, "format"), ({"windows": 0}, "windows"), ({"output": 5}, "output")],
)
def test_refuses_what_the_asynchronous_one_refuses(stripe, tmp_path, settings, argument) -> None:
    given: dict[str, Any] = {"output": tmp_path / "out.csv", **settings}
    with pytest.raises(pinstripe.ConfigurationError) as caught:
        to_file(stripe.identity.verification_sessions.list(), **given)
    assert caught.value.argument == argument
    assert list(tmp_path.iterdir()) == []


def test_takes_nothing_but_a_list_of_a_client(sandbox, tmp_path) -> None:
    pager: Any = sandbox.client().identity.verification_sessions.list()
    for wrong in (pager, [], None):
        with pytest.raises(pinstripe.ConfigurationError, match="pager: must be what a list"):
            to_file(wrong, tmp_path / "out.csv")
