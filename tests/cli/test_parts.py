"""`pinstripe export` in parts, a process for each, as an indexed job runs it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pinstripe.sandbox import Sandbox
from tests.support.cli_process import GateClock, run, same_sandbox, start
from tests.support.nonsense import http, nonsense
from tests.support.parts import Platform

Command = Callable[..., int]
Captured = pytest.CaptureFixture[bytes]
SESSIONS = "identity.verification_sessions"


def ids(paths: list[Path]) -> list[str]:
    return [json.loads(line)["id"] for path in paths for line in path.read_text().splitlines()]


def test_a_process_for_each_part_and_some_twice(tmp_path: Path) -> None:
    with same_sandbox() as sandbox:
        sandbox.identity.seed(700, interval=86_400)
        folder, one = tmp_path / "set", tmp_path / "one.jsonl"
        export = ("export", SESSIONS, "-o", folder)
        done = run(*export, "--plan", "3", "--format", "jsonl", sandbox=sandbox)
        assert b"3 parts planned in" in done.stderr, done.stderr
        jobs = [start(*export, "--part", f"{n}/3", sandbox=sandbox) for n in (0, 1, 2, 0)]
        ends = []
        for job in jobs:
            with job:
                ends.append((job.communicate()[1], job.returncode))
        # Two that write one part at the same time: one may be refused, and the other writes it.
        for said, status in ends:
            assert status == 0 or b"is being written by another export" in said, said
        again = run(*export, "--part", "1/3", sandbox=sandbox)
        assert again.returncode == 0, again.stderr
        done = run(*export, "--join")  # without a key
        assert done.stderr == f"700 objects in 3 parts in {folder}: complete\n".encode()
        assert run("export", SESSIONS, "-o", one, sandbox=sandbox).returncode == 0
    newest_first = sorted(folder.glob("part-*"), key=lambda p: -int(p.name.split("-")[1]))
    assert b"".join(path.read_bytes() for path in newest_first) == one.read_bytes()
    assert len(set(ids(newest_first))) == 700


def test_accounts_of_a_file(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    (tmp_path / "accounts").write_text("acct_1\nacct_2\n")
    export = ("export", SESSIONS, "-o", tmp_path / "set")
    plan = ("--plan", "1", "--format", "jsonl", "--accounts", tmp_path / "accounts")
    assert pinstripe(*export, *plan) == 0
    assert pinstripe(*export, "--join") == 1
    said = capfdbinary.readouterr().err
    assert b"2 parts of 2 are missing, such as account=acct_1/part-0-" in said
    sandbox.faults.add(status=403, path="/v1/identity/verification_sessions")
    assert pinstripe(*export, "--part", "0/1") == 1
    said = capfdbinary.readouterr().err
    assert b"account=acct_" in said
    assert b"parts failed; the same command writes them" in said
    sandbox.faults.clear()
    assert pinstripe(*export, "--part", "0/1", "--skip-unfit") == 0
    capfdbinary.readouterr()
    assert pinstripe(*export, "--join") == 0
    assert b"0 objects of 2 accounts in 2 parts" in capfdbinary.readouterr().err


def test_what_the_api_refuses_and_what_does_not_fit(
    pinstripe: Command,
    tmp_path: Path,
    capfdbinary: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    export = ("export", SESSIONS, "-o", tmp_path)
    platform = Platform({None: 3})
    platform.unfit = {1}
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    with nonsense(http("{}", "403 Forbidden")) as server:
        monkeypatch.setenv("PINSTRIPE_BASE_URL", server.url)
        assert pinstripe(*export, "--plan", "2") == 1
    assert b"GET /v1/identity/verification_sessions" in capfdbinary.readouterr().err
    with nonsense(http(platform.page(None, {"limit": "100"}))) as server:
        monkeypatch.setenv("PINSTRIPE_BASE_URL", server.url)
        assert pinstripe(*export, "--plan", "1", "--format", "jsonl") == 2  # it is of parquet
        assert pinstripe(*export, "--plan", "1") == 0
        assert pinstripe(*export, "--part", "0/1", "--skip-unfit") == 0
    said = capfdbinary.readouterr().err
    assert b"Left out: " in said
    assert b"2 objects in 1 parts" in said


@pytest.mark.parametrize(
    "case",
    [
        (("--plan", "2", "--join"), b"one of --plan, --part and --join at a time"),
        (("--accounts", __file__), b"one of --plan, --part and --join at a time"),
        (("--part", "3/3"), b"must be like 0/64 to 63/64, not '3/3'"),
        (("--part", "x"), b"must be like 0/64 to 63/64"),
        (("--part", "0/1", "--since", "2026-01-01"), b"--since does not go with this step: --plan"),
        (("--plan", "1", "--overwrite"), b"--overwrite does not go with this step: is for a file"),
        (("--join",), b"url: has no plan"),
        (("--plan", "1", "--format", "csv", "--filter", "color=red"), b"color: is not a filter"),
        (("--plan", "1", "--until", "2200-01-01"), b"until: is in the future"),
    ],
)
def test_usage_that_is_refused(
    sandbox: Sandbox,
    pinstripe: Command,
    tmp_path: Path,
    capfdbinary: Captured,
    case: tuple[tuple[str, ...], bytes],
) -> None:
    options, problem = case
    assert pinstripe("export", SESSIONS, "-o", tmp_path, *options) == 2
    assert problem in capfdbinary.readouterr().err


def test_outputs_that_are_refused(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    for output, problem in [
        ("-", b"--output must be a folder"),
        ("file://host/x", b"output: must be like file:///folder/name"),
        ("ftp://host/x", b"url: must be a path or an address that begins with file://, s3://"),
    ]:
        assert pinstripe("export", SESSIONS, "-o", output, "--join") == 2
        assert problem in capfdbinary.readouterr().err
    assert pinstripe("export", SESSIONS, "-o", f"file://{tmp_path}/set", "--plan", "1") == 0
    assert pinstripe("export", "events", "-o", tmp_path / "set", "--join") == 2
    said = capfdbinary.readouterr().err
    assert f"output: has a plan of {SESSIONS}, not of events".encode() in said
    (tmp_path / "set" / "_pinstripe" / "dataset.json").write_text("[]")
    assert pinstripe("export", SESSIONS, "-o", tmp_path / "set", "--part", "0/1") == 2


def test_ctrl_c_leaves_the_rest_to_the_same_command(tmp_path: Path) -> None:
    clock = GateClock(10**9)
    with same_sandbox(clock) as sandbox:
        sandbox.identity.seed(300, interval=60)
        export = ("export", SESSIONS, "-o", tmp_path / "set")
        assert run(*export, "--plan", "1", sandbox=sandbox).returncode == 0
        clock.hold_after(1)
        with start(*export, "--part", "0/1", sandbox=sandbox) as process:
            assert clock.held.wait(60)
            os.kill(process.pid, signal.SIGINT)
            assert process.stderr is not None
            said = process.stderr.readline()
            clock.open()
            assert process.wait() == 130, said
        assert said == b"Stopped. The same command does the rest.\n"
        assert run(*export, "--part", "0/1", sandbox=sandbox).returncode == 0
        assert run(*export, "--join").returncode == 0
