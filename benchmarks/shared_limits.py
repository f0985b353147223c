"""One rate limit for several processes, over a real Redis, beside libraries for that.

Four processes with 32 tasks each share 100 requests a second of a sandbox that refuses what comes
too fast. The first table compares what is used and refused, how often scripts run, and how long
calls wait; the second one ends, freezes and adds a process of Pinstripe.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis

from benchmarks.support.budget_worker import PER_SECOND, TASKS
from pinstripe.sandbox import RateLimits, Sandbox

PROCESSES = 4
WARM_UP = 4.0
SECONDS = 10.0
FROZEN = 10.0

CONTENDERS = ("pinstripe", "throttled-py", "pyrate-limiter", "limits")
_PORT = 16399
_SHARE = PER_SECOND / PROCESSES


@contextlib.contextmanager
def _redis() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(_PORT), "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                assert any("eady to accept" in line for line in server.stdout)
                yield f"redis://127.0.0.1:{_PORT}"
            finally:
                server.kill()


class _Crowd:
    """Processes that share the limit, and the answers that they got."""

    def __init__(self, kind: str, redis_url: str, sandbox: Sandbox) -> None:
        self.answers: list[tuple[float, int, float]] = []
        self.processes: list[subprocess.Popen[str]] = []
        self._arguments = (kind, redis_url, sandbox.url, sandbox.api_key)
        self._redis: Any = redis.Redis.from_url(redis_url)

    def add(self) -> None:
        command = [sys.executable, "-m", "benchmarks.support.budget_worker", *self._arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            at, status, waited = line.split()
            self.answers.append((float(at), int(status), float(waited)))

    def start(self) -> None:
        """Start the processes, and wait until all are at work and the bursts are over."""
        for _ in range(PROCESSES):
            self.add()
        while len(self.answers) < PER_SECOND * PROCESSES / 2:
            assert all(process.poll() is None for process in self.processes)
            time.sleep(0.1)
        time.sleep(WARM_UP)

    def scripts(self) -> int:
        stats = self._redis.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in _SCRIPTS)

    def between(self, start: float, end: float) -> list[tuple[float, int, float]]:
        return [answer for answer in self.answers if start <= answer[0] < end]

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stdout is not None


_SCRIPTS = ("eval", "evalsha")


@contextlib.contextmanager
def _crowd(kind: str) -> Iterator[_Crowd]:
    limits = RateLimits(account=PER_SECOND, endpoint=1e6)
    with Sandbox(rate_limit=limits) as sandbox, _redis() as redis_url:
        crowd = _Crowd(kind, redis_url, sandbox)
        try:
            crowd.start()
            yield crowd
        finally:
            crowd.end()


def _row(kind: str) -> str:
    with _crowd(kind) as crowd:
        start, scripts = time.time(), crowd.scripts()
        time.sleep(SECONDS)
        end, scripts = time.time(), crowd.scripts() - scripts
    answers = crowd.between(start, end)
    statuses = [status for _, status, _ in answers]
    waits = statistics.quantiles([waited for *_, waited in answers], n=100)
    # All tasks wait, but for the few whose requests are on their way.
    ideal = PROCESSES * TASKS / PER_SECOND
    used = statuses.count(200) / (end - start) / PER_SECOND
    refused, each = statuses.count(429) / len(answers), scripts / len(answers)
    return (
        f"{kind:24}{used:8.1%}{refused:10.2%}{each:10.2f}{waits[49]:8.2f}{waits[98] / ideal:12.2f}"
    )


def _kill(crowd: _Crowd) -> None:
    crowd.processes[0].kill()


def _freeze(crowd: _Crowd) -> None:
    process = crowd.processes[0]
    process.send_signal(signal.SIGSTOP)
    threading.Timer(FROZEN, process.send_signal, (signal.SIGCONT,)).start()


def _event(name: str, act: Callable[[_Crowd], None]) -> str:
    """Return what an event costs, in requests of one process's share for a second."""
    with _crowd("pinstripe") as crowd:
        start = time.time()
        act(crowd)
        time.sleep(FROZEN + 4.0)
        end = time.time()
    statuses = [status for _, status, _ in crowd.between(start, end)]
    lost = (end - start) * PER_SECOND - statuses.count(200)
    return f"{name:44}{lost:8.0f}{lost / _SHARE:10.2f}{statuses.count(429):10}"


def report() -> str:
    """Return the tables."""
    if shutil.which("redis-server") is None:
        return "\nshared_limits: this table needs redis-server"
    title = f"\n{PROCESSES} processes of {TASKS} tasks share {PER_SECOND} requests a second"
    heads = f"{'':24}{'used':>8}{'refused':>10}{'scripts':>10}{'median':>8}{'p99/ideal':>12}"
    lines = [title, heads, *map(_row, CONTENDERS)]
    lines += [f"\n{'what it costs, in requests':44}{'lost':>8}{'shares':>10}{'429s':>10}"]
    lines += [
        _event("one process killed", _kill),
        _event(f"one process frozen for {FROZEN:g} s", _freeze),
        _event("one process added", _Crowd.add),
    ]
    return "\n".join(lines)
