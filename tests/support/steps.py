"""Counts the lines of the package that a call runs: its cost, which no machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pinstripe

PACKAGE = str(Path(pinstripe.__file__).parent)


def steps_of(call: Callable[[], object]) -> int:
    """Return how many lines of the package a call runs in this thread.

    Args:
        call: The call; an exception that it raises counts as its end.
    """
    steps = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Exception:  # noqa: BLE001 -- what it costs is asked, not how it ends
        return steps
    finally:
        sys.settrace(before)
    return steps
