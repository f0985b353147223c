"""The command line: whole processes, from their start to their end, beside what they cannot avoid.

Help, the version and a completion are beside the import of click and rich; a `retrieve` is beside a
script of aiohttp alone that makes the same request. A process cannot be timed from the inside from
its start on, so its CPU time is what the system counts for it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from attrs import frozen

from benchmarks.support.measure import KEY, Cost, median, table
from benchmarks.support.server import fixed_answers

RUNS = 15

_AIOHTTP = """
import aiohttp, asyncio, json, os
async def main():
    headers = {"Authorization": f"Bearer {os.environ['STRIPE_API_KEY']}"}
    url = os.environ["PINSTRIPE_BASE_URL"] + "/v1/identity/verification_sessions/vs_1"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        print(json.loads(await answer.read())["status"])
asyncio.run(main())
"""


@frozen
class _Process:
    """A command of Python, and what it finds in its environment."""

    arguments: Sequence[str]
    environ: Mapping[str, str] = {}

    def run(self, environ: Mapping[str, str]) -> tuple[float, float]:
        """Return the seconds of wall and CPU time of one run."""
        before, start = _cpu(), time.perf_counter()
        subprocess.run(
            [os.environ.get("OUR_PYTHON", sys.executable), *self.arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **environ, **self.environ},
            timeout=60,
        )
        return time.perf_counter() - start, _cpu() - before


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _command(*words: str) -> _Process:
    return _Process(("-m", "pinstripe.cli", *words))


def _completion(typed: str) -> _Process:
    words = typed.split(" ")
    environ = {
        "_PINSTRIPE_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    return _Process(("-m", "pinstripe.cli"), environ)


_WORDS = {
    "import click, rich": _Process(("-c", "import click, rich")),
    "pinstripe --version": _command("--version"),
    "pinstripe --help": _command("--help"),
    "completion of a command": _completion("pinstripe ident"),
    "completion of a status": _completion(
        "pinstripe identity verification-sessions list --status ver"
    ),
    "completion of an option of the sandbox": _completion("pinstripe sandbox --re"),
}
_CALLS = {
    "aiohttp + json.loads": _Process(("-c", _AIOHTTP)),
    "pinstripe ... retrieve vs_1": _command(
        *("identity", "verification-sessions", "retrieve", "vs_1", "--fields", "status")
    ),
}


def _compare(processes: Mapping[str, _Process], url: str) -> dict[str, Cost]:
    """Run processes in turns, once more than is counted."""
    environ = {"STRIPE_API_KEY": KEY, "PINSTRIPE_BASE_URL": url}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    for number in range(RUNS + 1):
        for name, process in processes.items():
            spent = process.run(environ)
            if number:
                times[name].append(spent)
    return {name: median(runs, 1) for name, runs in times.items()}


def report() -> str:
    """Return the tables."""
    with fixed_answers() as url:
        words, calls = _compare(_WORDS, url), _compare(_CALLS, url)
    return "\n".join(
        [
            table("Help and completion, whole processes", "import click, rich", words),
            table("One call, whole processes", "aiohttp + json.loads", calls),
        ]
    )
