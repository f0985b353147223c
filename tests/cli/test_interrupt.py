"""Runs that are ended in the middle, and what `--resume` makes of their files."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

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
from tests.support.warm import Child

QUERIES = 200

Command = Callable[..., int]
Captured = pytest.CaptureFixture[bytes]


@contextmanager
def held_run(sandbox: Sandbox, gate: GateClock, *arguments: str | Path) -> Iterator[Child]:
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
    return GateClock(QUERIES // 2)


@pytest.fixture
def asked_by_us(gate: GateClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox behind the gate, which the commands of this process ask too."""
    with same_sandbox(gate) as sandbox:
        monkeypatch.setenv("STRIPE_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PINSTRIPE_BASE_URL", sandbox.url)
        yield sandbox


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """The output of a run that nothing stops, by its format."""

    @cache
    def whole_run(form: str) -> bytes:
        queries = amounts(tmp_path_factory.mktemp("whole") / "q.csv", QUERIES)
        with same_sandbox() as sandbox:
            done = run("quotes", "batch", queries, "--format", form, sandbox=sandbox)
        assert done.returncode == 0
        return done.stdout

    return whole_run


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_resumes_to_the_same_bytes(
    *,
    form: str,
    stop: signal.Signals,
    asked_by_us: Sandbox,
    gate: GateClock,
    pinstripe: Command,
    whole_run: Callable[[str], bytes],
    tmp_path: Path,
    capfdbinary: Captured,
) -> None:
    queries, out = amounts(tmp_path / "q.csv", QUERIES), tmp_path / f"out.{form}"
    with held_run(asked_by_us, gate, "quotes", "batch", queries, "-o", out) as process:
        process.send_signal(stop)
        _, err = process.communicate(timeout=SECONDS)
    part = out.read_bytes()
    if stop is signal.SIGINT:
        assert process.returncode == 130
        assert err.startswith(b"Stopped after ")
        assert err.endswith(b"of 200 queries. The same command with --resume does the rest.\n")
    else:
        assert process.returncode == -signal.SIGKILL
    assert pinstripe("quotes", "batch", queries, "-o", out, "--resume") == 0
    assert capfdbinary.readouterr().err == f"200 queries in {out}\n".encode()
    whole = whole_run(form)
    assert part.endswith(b"\n")
    assert 0 < part.count(b"\n") < whole.count(b"\n")
    assert whole.startswith(part)
    assert out.read_bytes() == whole
    assert sorted(tmp_path.iterdir()) == sorted([queries, out])


def test_the_same_command_with_resume_does_the_rest_of_one_that_overwrites(
    *,
    asked_by_us: Sandbox,
    gate: GateClock,
    pinstripe: Command,
    whole_run: Callable[[str], bytes],
    tmp_path: Path,
    capfdbinary: Captured,
) -> None:
    queries, out = amounts(tmp_path / "q.csv", QUERIES), tmp_path / "out.jsonl"
    out.write_bytes(b"mine\n")
    command = ("quotes", "batch", queries, "-o", out, "--overwrite")
    with held_run(asked_by_us, gate, *command) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    assert err.endswith(b"The same command with --resume does the rest.\n")
    part = out.read_bytes()
    assert pinstripe(*command, "--resume") == 0
    assert capfdbinary.readouterr().err == f"200 queries in {out}\n".encode()
    whole = whole_run("jsonl")
    assert len(part) < len(whole)
    assert whole.startswith(part)
    assert out.read_bytes() == whole


def test_a_second_run_to_an_output_is_refused(
    *,
    asked_by_us: Sandbox,
    gate: GateClock,
    pinstripe: Command,
    whole_run: Callable[[str], bytes],
    tmp_path: Path,
    capfdbinary: Captured,
) -> None:
    queries, out = amounts(tmp_path / "q.csv", QUERIES), tmp_path / "out.jsonl"
    link = tmp_path / "link.jsonl"
    link.symlink_to(out)
    with held_run(asked_by_us, gate, "quotes", "batch", queries, "-o", out) as process:
        for words in ([out], [out, "--resume"], [link, "--overwrite"]):
            assert pinstripe("quotes", "batch", queries, "-o", *words) == 2
            problem = f"Error: {words[0]} is being written by another run\n".encode()
            assert capfdbinary.readouterr().err == problem
        gate.open()
        assert process.wait(SECONDS) == 0
    assert out.read_bytes() == whole_run("jsonl")
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
    assert err.startswith(f"Stopped after {len(rows)} of 200 queries.".encode())


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
        press_until_it_stops_to_read(process, file)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")


def press_until_it_stops_to_read(process: Child, pipe: IO[bytes]) -> None:
    """Press Ctrl-C again where Python misses it: between its look for signals and a read.

    Once it has noticed, another one would meet an interpreter that is about to end.
    """
    reader = select.poll()
    reader.register(pipe, 0)  # what is told without being asked for: nobody reads any more
    for _ in range(SECONDS):
        process.send_signal(signal.SIGINT)
        if reader.poll(1000):
            return
    raise AssertionError("it continues after Ctrl-C")


@pytest.mark.parametrize("line", [b"A sandbox", b"One verification", b"250 sessions", b"An order"])
def test_ctrl_c_in_the_demo(line: bytes) -> None:
    with start("demo") as process:
        assert process.stdout is not None
        assert any(shown.startswith(line) for shown in process.stdout)
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
