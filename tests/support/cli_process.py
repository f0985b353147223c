"""Runs the real command, and sandboxes whose answers are the same in every run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pinstripe.sandbox import ManualClock, Sandbox
from tests.support import warm
from tests.support.counting import counted

WORDS = ("-W", "error", "-m", "pinstripe.cli")
COMMAND = (sys.executable, *WORDS)
SECONDS = 60


class GateClock:
    """A stopped clock, which after some calls holds the whole server until it opens."""

    def __init__(self, calls: int) -> None:
        self._left = calls
        self._open = threading.Event()
        self.held = threading.Event()

    def __call__(self) -> float:
        self._left -= 1
        if self._left < 0 and not self._open.is_set():
            self.held.set()
            self._open.wait(SECONDS)
        return ManualClock().now

    def hold_after(self, calls: int) -> None:
        self._left = calls

    def open(self) -> None:
        self._open.set()


def same_sandbox(clock: Any = None) -> Sandbox:
    return Sandbox(seed=7, clock=clock or ManualClock())


def environment(sandbox: Sandbox | None) -> dict[str, str]:
    env = {k: v for k, v in counted().items() if k not in ("STRIPE_API_KEY", "PINSTRIPE_BASE_URL")}
    if sandbox is not None:
        env.update(STRIPE_API_KEY=sandbox.api_key, PINSTRIPE_BASE_URL=sandbox.url)
    return env


def start(*arguments: str | Path, sandbox: Sandbox | None = None, **options: Any) -> warm.Child:
    usual: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": environment(sandbox),
    }
    return warm.start([*WORDS, *arguments], **{**usual, **options})


def run(
    *arguments: str | Path, sandbox: Sandbox | None = None, stdin: bytes = b"", **options: Any
) -> subprocess.CompletedProcess[bytes]:
    with start(*arguments, sandbox=sandbox, stdin=subprocess.PIPE, **options) as process:
        out, err = process.communicate(stdin, SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def read_terminal(ours: int) -> bytes:
    """Return what a process writes to a terminal, until nobody has the other side open."""
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # Linux reports so that the other side is closed
        pass
    return shown


def json_rows(data: bytes) -> list[dict[str, Any]]:
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def amounts(path: Path, count: int) -> Path:
    """Write `count` queries, one amount each, from line 2 on."""
    path.write_text("source_amount\n" + "".join(f"{n}.00\n" for n in range(1, count + 1)))
    return path


def lines(*queries: str) -> bytes:
    return "".join(f"{query}\n" for query in queries).encode()


def numbers(rows: Sequence[dict[str, Any]]) -> list[int]:
    return [row["line"] for row in rows]
