"""Instructions of one call, counted by valgrind: the same on a quiet machine and on a busy one.

Each contender calls one nginx from a process of its own, with 32 in flight, once with few calls and
once with many. The difference holds neither the start of Python nor what only a first call does.
The server is not counted.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from itertools import repeat

from benchmarks.support.nginx import fixed_answers
from benchmarks.support.questions import PAGE, QUESTIONS, QUOTES, Question, answers
from benchmarks.wire import BODY, JSON, ORJSON, OURS, SESSION, contenders

FEW, MANY = 96, 288
IN_FLIGHT = 32

CONTENDERS = (OURS, SESSION, BODY, JSON, ORJSON)

TARGETS = {QUOTES: 490, PAGE: 2200}
"""How many thousand instructions a call of Pinstripe may take."""


def report() -> str:
    """Return the table."""
    if shutil.which("valgrind") is None:
        return "\ninstructions: this table needs valgrind: apt-get install valgrind"
    lines = ["\nThousands of instructions a call, 32 in flight; ratios to Pinstripe"]
    with fixed_answers(answers()) as url:
        for question in QUESTIONS:
            counted = {name: _counted(url, question, name) for name in CONTENDERS}
            target = TARGETS.get(question)
            lines.append(f"\nGET {question.name}" + (f" (asked: {target})" if target else ""))
            lines += [
                f"{name:40}{count / 1e3:10.1f}{count / counted[OURS]:8.2f}"
                for name, count in counted.items()
            ]
    return "\n".join(lines)


def _counted(url: str, question: Question, contender: str) -> float:
    few, many = (_run(url, question, contender, calls) for calls in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def _run(url: str, question: Question, contender: str, calls: int) -> int:
    """Return how many instructions a process takes that makes so many calls."""
    counter = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    words = ["-m", "benchmarks.instructions", url, question.name, contender, str(calls)]
    done = subprocess.run(
        [*counter, sys.executable, *words],
        check=True,
        capture_output=True,
        text=True,
        # The order of sets and dicts is the same in every run.
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


async def _call(url: str, question: Question, contender: str, calls: int) -> None:
    # Under valgrind this process is slow, which a client takes for a slow server: it would lower
    # the number of requests in flight, unless far more are allowed.
    async with contenders(url, question, 4 * IN_FLIGHT) as known:
        call, left = known[contender], repeat(None, calls)

        async def worker() -> None:
            for _ in left:
                await call()

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    address, name, chosen, number = sys.argv[1:]
    wanted = next(question for question in QUESTIONS if question.name == name)
    asyncio.run(_call(address, wanted, chosen, int(number)))
