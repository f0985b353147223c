"""`pinstripe export`: a list to a file, and what becomes of a run that is stopped."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pinstripe.cli.export import RESOURCES
from pinstripe.sandbox import Sandbox
from tests.support.cli_process import SECONDS, GateClock, environment, run, same_sandbox, start

Command = Callable[..., int]
Captured = pytest.CaptureFixture[bytes]
SESSIONS = "identity.verification_sessions"


def test_a_list_goes_to_a_file(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    sandbox.identity.seed(250, interval=86_400)
    out = tmp_path / "sessions.csv"
    assert pinstripe("export", SESSIONS, "-o", out, "--filter", "status=verified") == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {row["status"] for row in rows} == {"verified"}
    assert "client_secret" not in rows[0]
    assert capfdbinary.readouterr().err == f"{len(rows)} objects in {out}\n".encode()
    assert pinstripe("export", SESSIONS, "-o", out) == 2
    assert b"overwrite" in capfdbinary.readouterr().err
    assert pinstripe("export", SESSIONS, "-o", out, "--overwrite", "--reveal") == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 250
    assert rows[0]["client_secret"] or rows[1]["client_secret"]


def test_dates_and_a_number_bound_it(sandbox: Sandbox, pinstripe: Command, tmp_path: Path) -> None:
    sandbox.identity.seed(250, interval=86_400)
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert pinstripe("export", SESSIONS, "-o", whole) == 0
    times = [json.loads(line)["created"] for line in whole.read_text().splitlines()]
    since, until = times[200][:10], times[100][:10]
    dates = ("--since", since, "--until", until)
    assert pinstripe("export", SESSIONS, "-o", out, *dates) == 0
    found = [json.loads(line)["created"] for line in out.read_text().splitlines()]
    assert found == [time for time in times if since <= time < until]
    assert pinstripe("export", SESSIONS, "-o", out, "--max-items", "7", "--overwrite") == 0
    assert len(out.read_text().splitlines()) == 7


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_list_can_be_exported(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, resource: str
) -> None:
    assert pinstripe("export", resource, "-o", tmp_path / "out.jsonl") == 0
    assert (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--filter", "status"), "NAME=VALUE"),
        (("--filter", "limit=5"), "NAME=VALUE"),
        (("--filter", "colour=red"), "client_reference_id, related_customer"),
        (("--format", "xml"), "xml"),
    ],
)
@pytest.mark.usefixtures("sandbox")
def test_usage_that_is_wrong(
    pinstripe: Command,
    tmp_path: Path,
    capfdbinary: Captured,
    arguments: tuple[str, ...],
    problem: str,
) -> None:
    assert pinstripe("export", SESSIONS, "-o", tmp_path / "out.csv", *arguments) == 2
    assert problem in capfdbinary.readouterr().err.decode()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"STRIPE_API_KEY": ""}, b"STRIPE_API_KEY is not set"),
        ({"STRIPE_API_KEY": "pk_test_1"}, b"STRIPE_API_KEY is a publishable key"),
        ({"PINSTRIPE_BASE_URL": "nowhere"}, b"base_url: must be an address"),
    ],
)
def test_an_account_that_cannot_be_asked_reads_as_in_other_commands(
    tmp_path: Path, setting: dict[str, str], problem: bytes
) -> None:
    env = {**environment(None), "STRIPE_API_KEY": "sk_test_1", **setting}
    ours = run("export", SESSIONS, "-o", tmp_path / "out.csv", env=env)
    theirs = run("listen", "--forward-to", "http://127.0.0.1:1/hooks", env=env)
    assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr)
    assert ours.returncode == 2
    assert ours.stderr.startswith(b"Error: " + problem)
    assert list(tmp_path.iterdir()) == []


def test_a_list_without_dates_refuses_them(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    out = tmp_path / "out.csv"
    assert pinstripe("export", "climate.products", "-o", out, "--since", "2026-01-01") == 2
    assert (
        b"since, until: is not a filter of climate.products; its filters are: none"
        in capfdbinary.readouterr().err
    )


def test_an_error_of_the_api_says_how_to_go_on(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    out = tmp_path / "out.csv"
    assert pinstripe("export", SESSIONS, "-o", out, "--filter", "status=odd") == 1
    assert b"--resume continues after 0 objects" in capfdbinary.readouterr().err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_resumes_to_the_same_bytes(
    tmp_path: Path, stop: signal.Signals
) -> None:
    gate, whole, out = GateClock(10**9), tmp_path / "whole.csv", tmp_path / "out.csv"
    with same_sandbox(gate) as sandbox:
        sandbox.identity.seed(9000)
        assert run("export", SESSIONS, "-o", whole, sandbox=sandbox).returncode == 0
        gate.hold_after(50)
        with start("export", SESSIONS, "-o", out, sandbox=sandbox) as process:
            assert gate.held.wait(SECONDS)
            process.send_signal(stop)
            _, err = process.communicate(timeout=SECONDS)
            gate.open()
        assert not out.exists()
        if stop is signal.SIGINT:
            assert process.returncode == 130
            assert b"The same command with --resume does the rest." in err
        done = run("export", SESSIONS, "-o", out, "--resume", sandbox=sandbox)
        assert (done.returncode, done.stderr) == (0, f"9,000 objects in {out}\n".encode())
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(tmp_path.iterdir()) == [out, whole]


def test_the_same_command_with_resume_does_the_rest_of_one_that_overwrites(tmp_path: Path) -> None:
    gate, out = GateClock(10**9), tmp_path / "out.csv"
    out.write_text("mine")
    command = ("export", SESSIONS, "-o", out, "--overwrite")
    with same_sandbox(gate) as sandbox:
        sandbox.identity.seed(9000)
        gate.hold_after(50)
        with start(*command, sandbox=sandbox) as process:
            assert gate.held.wait(SECONDS)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SECONDS)
            gate.open()
        assert process.returncode == 130
        assert out.read_text() == "mine"
        done = run(*command, "--resume", sandbox=sandbox)
        assert (done.returncode, done.stderr) == (0, f"9,000 objects in {out}\n".encode())
    assert list(tmp_path.iterdir()) == [out]


def test_a_second_run_to_an_output_is_refused(tmp_path: Path) -> None:
    gate, out = GateClock(10**9), tmp_path / "out.csv"
    command = ("export", SESSIONS, "-o", out)
    with same_sandbox(gate) as sandbox:
        sandbox.identity.seed(9000)
        gate.hold_after(50)
        with start(*command, sandbox=sandbox) as process:
            assert gate.held.wait(SECONDS)
            for words in ((), ("--resume",), ("--overwrite",)):
                done = run(*command, *words, sandbox=sandbox)
                problem = b"Error: output: is being written by another export\n"
                assert (done.returncode, done.stderr) == (2, problem)
            gate.open()
            process.communicate(timeout=SECONDS)
        assert process.returncode == 0
    assert len(out.read_text().splitlines()) == 9001
    assert list(tmp_path.iterdir()) == [out]


def test_a_run_that_reached_nobody_can_be_run_again(
    pinstripe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    monkeypatch.setenv("PINSTRIPE_BASE_URL", "http://127.0.0.1:1")  # where nobody answers
    for _ in range(2):
        assert pinstripe("export", SESSIONS, "-o", tmp_path / "out.csv") == 1
        assert list(tmp_path.iterdir()) == []


def test_a_terminal_shows_how_far_it_is(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with same_sandbox() as sandbox:
        sandbox.identity.seed(1000, interval=86_400)
        arguments = ("-o", tmp_path / "out.csv", "--since", "2000-01-01")
        with start("export", SESSIONS, *arguments, sandbox=sandbox, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            try:
                while piece := os.read(ours, 4096):
                    shown += piece
            except OSError:  # Linux reports so that the other side is closed
                pass
            assert process.wait(SECONDS) == 0
    os.close(ours)
    assert b"1,000 objects, " in shown
    assert b" a second" in shown
    assert re.search(rb"a second (\x1b\[\S+?m)*0:00:\d\d", shown)
