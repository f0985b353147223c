"""What a person sees in a terminal, and what a pipe gets."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinstripe.sandbox import ManualClock, Sandbox
from tests.support.cli_process import COMMAND, SECONDS, WORDS, environment, run, start
from tests.support.terminal import Seen, in_terminal
from tests.support.warm import Child

SESSIONS = ("identity", "verification-sessions")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(seed=7, clock=ManualClock()) as sandbox:
        sandbox.identity.seed(130)
        yield sandbox


def shown(sandbox: Sandbox, *words: str | Path, columns: int = 80, answer: bytes = b"") -> Seen:
    words = (*WORDS, *words)
    return in_terminal(words, environment(sandbox), columns=columns, answer=answer)


def plain(seen: Seen) -> list[str]:
    return [CONTROL.sub("", line).rstrip() for line in seen.lines]


@pytest.mark.parametrize("columns", [80, 200])
def test_a_list_is_a_table_as_wide_as_the_terminal(shared: Sandbox, columns: int) -> None:
    seen = shown(shared, *SESSIONS, "list", columns=columns)
    assert seen.status == 0
    lines = plain(seen)
    assert all(len(line) <= columns for line in lines)
    head, *rows, note = lines
    names = head.split()
    assert names[:2] == ["id", "status"]
    assert names[-1] == "created"
    assert ("last_verification_report" in names) == (columns == 200)
    assert len(rows) == 100
    with shared.sync_client() as stripe:
        ids = [one.id for one in stripe.identity.verification_sessions.list(max_items=100)]
    assert [row.split()[0] for row in rows] == ids, "no id is cut off"
    assert note == "The first 100 are shown; --max-items or --json gives more."
    assert "\x1b[32mverified" in seen.text


def test_an_object_is_a_card_that_says_what_is_hidden(shared: Sandbox) -> None:
    with shared.sync_client() as stripe:
        session = stripe.identity.verification_sessions.create(
            type="document", options={"document": {"require_live_capture": True}}
        )
    seen = shown(shared, *SESSIONS, "retrieve", session.id)
    lines = plain(seen)
    assert any(re.fullmatch(rf"id +{session.id}", line) for line in lines)
    assert any(re.fullmatch(r"url +hidden; --reveal shows it", line) for line in lines)
    assert any(re.fullmatch(r"options.document.require_live_capture +true", one) for one in lines)
    assert "secret_" not in seen.text
    assert "secret_" in shown(shared, *SESSIONS, "retrieve", session.id, "--reveal").text


@pytest.mark.parametrize(("answer", "status"), [(b"y\n", 0), (b"n\n", 2), (b"\x04", 130)])
def test_it_asks_before_what_cannot_be_undone(shared: Sandbox, answer: bytes, status: int) -> None:
    with shared.sync_client() as stripe:
        session = stripe.identity.verification_sessions.create(type="document")
        seen = shown(shared, *SESSIONS, "cancel", session.id, answer=answer)
        assert seen.status == status
        question = f"cancel {session.id}: this cannot be undone. Do it? [y/N]: "
        assert f"identity verification-sessions {question}" in seen.text
        after = stripe.identity.verification_sessions.retrieve(session.id)
    assert after.status == ("canceled" if status == 0 else "requires_input")


def test_a_pipe_gets_no_control_sequences_and_whole_lines(shared: Sandbox) -> None:
    done = run(*SESSIONS, "list", sandbox=shared)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\x1b" not in done.stdout
    assert done.stdout.count(b"\n") >= 130


def test_head_ends_a_list(shared: Sandbox) -> None:
    words = " ".join([*COMMAND, *SESSIONS, "list", "--json"])
    script = f"{words} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(shared),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert json.loads(done.stdout)["object"] == "identity.verification_session"
    assert done.stderr == b""
    # All of it may have fitted into the pipe.
    assert done.returncode in (0, 141)


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq here")
def test_jq_reads_it(shared: Sandbox) -> None:
    words = " ".join([*COMMAND, *SESSIONS, "list", "--json", "--max-items", "120"])
    done = subprocess.run(
        ["bash", "-c", f"{words} | jq -r .status | sort | uniq -c"],
        env=environment(shared),
        capture_output=True,
        timeout=SECONDS,
        check=True,
    )
    counts = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert sum(counts) == 120


def test_quotes_are_compared_as_bars(shared: Sandbox) -> None:
    words = ("quotes", "compare", "--source-amount", "100", "--currency", "usdc")
    narrow, wide = (plain(shown(shared, *words, columns=columns)) for columns in (80, 200))
    assert all(len(line) <= 80 for line in narrow)
    bars = [max(line.count("█") for line in lines) for lines in (narrow, wide)]
    assert 8 <= bars[0] < bars[1]
    assert narrow[0].strip() == "100 usd to usdc"


@pytest.mark.parametrize("words", [("events", "tail"), ("watch", *SESSIONS, "vs_wait")])
def test_ctrl_c_ends_what_follows(shared: Sandbox, words: tuple[str, ...]) -> None:
    with shared.sync_client() as stripe:
        session = stripe.identity.verification_sessions.create(type="document")
    words = tuple(session.id if word == "vs_wait" else word for word in words)
    with start(*words, sandbox=shared) as process:
        assert process.stdout is not None
        assert session.id.encode() in iter_until(process, session.id.encode())
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130


def iter_until(process: Child, text: bytes) -> bytes:
    """Read lines until one has a text, and return that."""
    assert process.stdout is not None
    return next(line for line in process.stdout if text in line)
