"""Long work in short slices, so that no call holds the others up.

The event loop runs everything of a sandbox: what takes seconds in one piece stops it for seconds.
So a handler of long work is a generator. Each `yield` ends a step, which is short, and what the
generator returns is the answer. After some steps the others have their turn; they may see the work
half done. A sandbox with a file saves the steps before it goes on: an answer waits for everything
that is not saved yet, so this must never become much.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Generator
from typing import Final, TypeAlias

from pinstripe.sandbox._state.journal import Journal
from pinstripe.sandbox._state.table import Json

Steps: TypeAlias = Generator[None, None, Json]

# A request needs several turns of the loop from its head to its answer, and none should be felt.
SLICE_SECONDS: Final = 0.002


async def run_in_slices(steps: Steps, journal: Journal) -> Json:
    """Run long work and let the others have their turns, and return its answer.

    Args:
        steps: The work.
        journal: Where the work records its changes.
    """
    while (answer := _run(steps, SLICE_SECONDS)) is None:
        await asyncio.sleep(0)
        if journal.unsaved:
            await journal.wait_saved()
    return answer


def run_in_one_piece(steps: Steps) -> Json:
    """Run long work for a caller that cannot wait, and return its answer."""
    answer = _run(steps, math.inf)
    assert answer is not None, "the work ends before an endless time does"
    return answer


def _run(steps: Steps, seconds: float) -> Json | None:
    """Run steps for some time; return the answer if that was the end of the work."""
    end = time.perf_counter() + seconds
    try:
        while time.perf_counter() < end:
            next(steps)
    except StopIteration as last:
        answer: Json = last.value
        return answer
    return None
