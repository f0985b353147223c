"""Runs that are ended in the middle, and what `--resume` makes of their files."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pinstripe.cli._interrupt import run_interruptible
from pinstripe.sandbox import Sandbox
from tests.support.cli_process import (
    SECONDS,
    GateClock,
    amounts,
    json_rows,
    numbers,
    run,
    same_sandbox,
    start,
)

QUERIES = 600


@contextmanager
def held_run(
    sandbox: Sandbox, gate: GateClock, *arguments: str | Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command and give it when the sandbox has stopped to answer, in the middle."""
    with start(*arguments, sandbox=sandbox) as process:
        try:
            assert gate.held.wait(SECONDS)
            yield process
        finally:
            process.kill()
            gate.open()


@pytest.fixture
def gate() -> GateClock:
    return GateClock(300)


def whole_run(queries: Path, form: str) -> bytes:
    with same_sandbox() as sandbox:
        done = run("quotes", "batch", queries, "--format", form, sandbox=sandbox)
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_resumes_to_the_same_bytes(
    gate: GateClock, tmp_path: Path, form: str, stop: signal.Signals
) -> None:
    queries, out = amounts(tmp_path / "q.csv", QUERIES), tmp_path / f"out.{form}"
    with same_sandbox(gate) as sandbox:
        with held_run(sandbox, gate, "quotes", "batch", queries, "-o", out) as process:
            process.send_signal(stop)
            _, err = process.communicate(timeout=SECONDS)
        part = out.read_bytes()
        if stop is signal.SIGINT:
            assert process.returncode == 130
            assert err.startswith(b"Stopped after ")
            assert err.endswith(b"of 600 queries. The same command with --resume does the rest.\n")
        else:
            assert process.returncode == -signal.SIGKILL
        done = run("quotes", "batch", queries, "-o", out, "--resume", sandbox=sandbox)
    assert (done.returncode, done.stderr) == (0, f"600 queries in {out}\n".encode())
    whole = whole_run(queries, form)
    assert part.endswith(b"\n")
    assert 0 < part.count(b"\n") < whole.count(b"\n")
    assert whole.startswith(part)
    assert out.read_bytes() == whole
    assert sorted(tmp_path.iterdir()) == sorted([queries, out])


def test_the_same_command_with_resume_does_the_rest_of_one_that_overwrites(
    gate: GateClock, tmp_path: Path
) -> None:
    queries, out = amounts(tmp_path / "q.csv", QUERIES), tmp_path / "out.jsonl"
    out.write_bytes(b"mine\n")
    command = ("quotes", "batch", queries, "-o", out, "--overwrite")
    with same_sandbox(gate) as sandbox:
        with held_run(sandbox, gate, *command) as process:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=SECONDS)
        assert err.endswith(b"The same command with --resume does the rest.\n")
        part = out.read_bytes()
        done = run(*command, "--resume", sandbox=sandbox)
    assert (done.returncode, done.stderr) == (0, f"600 queries in {out}\n".encode())
    whole = whole_run(queries, "jsonl")
    assert len(part) < len(whole)
    assert whole.startswith(part)
    assert out.read_bytes() == whole


def test_a_second_run_to_an_output_is_refused(gate: GateClock, tmp_path: Path) -> None:
    queries, out = amounts(tmp_path / "q.csv", QUERIES), tmp_path / "out.jsonl"
    link = tmp_path / "link.jsonl"
    link.symlink_to(out)
    with (
        same_sandbox(gate) as sandbox,
        held_run(sandbox, gate, "quotes", "batch", queries, "-o", out) as process,
    ):
        for words in ([out], [out, "--resume"], [link, "--overwrite"]):
            done = run("quotes", "batch", queries, "-o", *words, sandbox=sandbox)
            problem = f"Error: {words[0]} is being written by another run\n".encode()
            assert (done.returncode, done.stderr) == (2, problem)
        gate.open()
        assert process.wait(SECONDS) == 0
    assert out.read_bytes() == whole_run(queries, "jsonl")
    assert sorted(tmp_path.iterdir()) == sorted([queries, out, link])


def test_the_count_of_a_stopped_run_is_that_of_its_rows(gate: GateClock, tmp_path: Path) -> None:
    queries, out = amounts(tmp_path / "q.csv", QUERIES), tmp_path / "out.jsonl"
    with (
        same_sandbox(gate) as sandbox,
        held_run(sandbox, gate, "quotes", "batch", queries, "-o", out) as process,
    ):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    rows = json_rows(out.read_bytes())
    assert numbers(rows) == list(range(2, len(rows) + 2))
    assert err.startswith(f"Stopped after {len(rows)} of 600 queries.".encode())


def test_ctrl_c_while_a_reader_lets_us_wait_still_writes_whole_rows(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The rows on their way into a full pipe are complete when the reader continues."""
    with start("quotes", "batch", amounts(tmp_path / "q.csv", QUERIES), sandbox=sandbox) as process:
        assert process.stdout is not None
        first = os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=SECONDS)
    rows = json_rows(first + rest)
    assert numbers(rows) == list(range(2, len(rows) + 2))
    assert len(rows) < QUERIES
    assert process.returncode == 130
    assert err.startswith(b"Stopped after ")
    assert b"--resume" not in err


def test_ctrl_c_before_anything_is_sent(tmp_path: Path) -> None:
    source = tmp_path / "q.csv"
    os.mkfifo(source)
    with start("quotes", "batch", source, "--sandbox") as process, source.open("wb") as file:
        file.write(b"\n" * 500_000)  # more than a pipe holds: now the command reads
        file.flush()
        out, err = press_until_it_ends(process)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")


def press_until_it_ends(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Press Ctrl-C again where Python misses it: between its look for signals and a read."""
    for _ in range(SECONDS):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=1)
    raise AssertionError("it continues after Ctrl-C")


def test_ctrl_c_in_the_demo() -> None:
    with start("demo") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"A sandbox")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err.strip()) == (130, b"")


async def interrupted(cleaned_up: list[str]) -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(SECONDS)
    finally:
        await asyncio.sleep(0)
        cleaned_up.append("yes")


def test_ctrl_c_lets_a_coroutine_clean_up() -> None:
    cleaned_up: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_interruptible(interrupted(cleaned_up))
    assert cleaned_up == ["yes"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    async def poke() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0)
        return "done"

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run_interruptible(poke()) == "done"
    finally:
        signal.signal(signal.SIGINT, before)


def test_results_and_errors_come_through() -> None:
    async def answer() -> int:
        return 7

    async def fail() -> None:
        raise ValueError("no")

    assert run_interruptible(answer()) == 7
    with pytest.raises(ValueError, match="no"):
        run_interruptible(fail())
