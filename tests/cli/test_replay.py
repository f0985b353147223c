"""`pinstripe replay`: a router that is imported handles what it missed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pinstripe.cli._replay import _fraction, _summary
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import CatchUpReport
from tests.support.cli_process import SECONDS, start

APP = """
    import signal
    from pinstripe.events import Event
    from pinstripe.webhooks import MemoryStore, Router, SQLiteStore, Webhook

    webhook = Webhook("whsec_1")
    forgetful = Router(webhook, MemoryStore())
    router = Router(webhook, SQLiteStore("events.db"))
    failing, handled = [], []

    @router.on(Event)
    def handle(event: Event) -> None:
        if event.id in failing:
            raise ValueError("not now")
        handled.append(event.id)

    class stopped:
        router = Router(webhook, router.store, name="stopped")

    @stopped.router.on(Event)
    async def stop(event: Event) -> None:
        signal.raise_signal(signal.SIGINT)
"""

Command = Callable[..., int]
WEEK = (datetime.now(timezone.utc) - timedelta(days=7)).date().isoformat()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        sandbox.seed("event", 12)
        yield sandbox


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the app's module in it."""
    (tmp_path / "replay_shop.py").write_text(dedent(APP))
    (tmp_path / "replay_broken.py").write_text("import json\nraise ValueError('no settings')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    shop = sys.modules.pop("replay_shop", None)
    if shop is not None:
        shop.router.store.close()


def happened(sandbox: Sandbox) -> list[str]:
    """The ids of the events, oldest first."""
    with sandbox.sync_client() as stripe:
        return [event.id for event in stripe.events.list()][::-1]


def test_what_was_missed_is_handled_and_a_failure_is_told(
    sandbox: Sandbox, folder: Path, pinstripe: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = happened(sandbox)
    assert pinstripe("replay", "replay_shop:router", "--since", WEEK) == 0
    summary = f"12 events: 12 handled. Resume with --after {ids[-1]}.\n"
    assert capsys.readouterr() == ("", summary)
    shop: Any = sys.modules["replay_shop"]
    assert shop.handled == ids

    with sandbox.sync_client() as stripe:
        for _ in range(3):
            stripe.identity.verification_sessions.create(type="document")
    new = happened(sandbox)[12:]
    shop.failing.append(new[1])
    assert pinstripe("replay", "replay_shop:router", "--after", ids[-1]) == 1
    summary = f"Left to do: {new[1]}. Resume with --after {new[0]}.\n"
    assert capsys.readouterr().err.endswith(f"3 events: 2 handled, 1 failed. {summary}")

    shop.failing.clear()
    options = ("--after", new[0], "--concurrency", "2")
    assert pinstripe("replay", "replay_shop:router", *options) == 0
    assert capsys.readouterr().err.startswith("2 events: 1 handled, 1 duplicate. Resume")
    undelivered = ("--undelivered-only", "--until", "2100-01-01")
    assert pinstripe("replay", "replay_shop:router", "--since", WEEK, *undelivered) == 0
    assert capsys.readouterr().err == "0 events.\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["replay_shop"], "MODULE:ROUTER must be like app:router, not replay_shop"),
        (["replay_shop:missing"], "replay_shop has no Router with the name missing"),
        (["replay_shop:webhook"], "replay_shop has no Router with the name webhook"),
        (["no_such_module:router"], "ModuleNotFoundError: No module named 'no_such_module'"),
        (["replay_broken:router"], "ValueError: no settings ("),
        (["replay_shop:router"], "since: must be given"),
        (["replay_shop:router", "--since", "2020-01-01"], "since: is more than 30 days ago"),
        (["replay_shop:router", "--since", "today"], "must be a date or a time"),
        (["replay_shop:forgetful", "--since", WEEK], "store: a MemoryStore does not know"),
    ],
)
@pytest.mark.usefixtures("sandbox", "folder")
def test_what_is_refused(
    pinstripe: Command,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    problem: str,
) -> None:
    assert pinstripe("replay", *words) == 2
    assert problem in capsys.readouterr().err


def test_a_log_that_cannot_be_read(
    sandbox: Sandbox, folder: Path, pinstripe: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pinstripe("replay", "replay_shop:router", "--after", "evt_unknown") == 1
    told = capsys.readouterr().err
    assert "No such event: 'evt_unknown'" in told
    assert "; 0 events.\n" in told


def test_ctrl_c(
    sandbox: Sandbox, folder: Path, pinstripe: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pinstripe("replay", "replay_shop:stopped.router", "--since", WEEK) == 130
    assert capsys.readouterr().err.startswith("Stopped: ")


def test_the_command_itself_finds_the_module(sandbox: Sandbox, folder: Path) -> None:
    words = ("replay", "replay_shop:router", "--since", WEEK)
    with start(*words, sandbox=sandbox, cwd=folder) as process:
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (0, b"")
    assert err.startswith(b"12 events: 12 handled.")


def test_the_summary_names_ten_events_at_most() -> None:
    left = tuple(f"evt_{number}" for number in range(12))
    text = _summary(CatchUpReport(handled=2_000, busy=2, failed=10, left=left))
    assert text.startswith("2,012 events: 2,000 handled, 2 busy, 10 failed. Left to do: evt_0, ")
    assert text.endswith("evt_9, ….")


def test_the_part_that_is_done() -> None:
    since = datetime(2026, 1, 1, tzinfo=timezone.utc)
    until, reached = since + timedelta(days=4), since + timedelta(days=1)
    assert _fraction(CatchUpReport(reached=reached), since, until) == 0.25
    assert _fraction(CatchUpReport(reached=reached), None, until) is None
    assert _fraction(CatchUpReport(), since, until) is None
    assert _fraction(CatchUpReport(reached=until), since, since) == 1
