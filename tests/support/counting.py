"""Which child processes count the lines that they cover.

To begin counting takes a process longer than most of what they do. So only those count that reach
lines which no test reaches in its own process: their environment is that of `counted()`.
"""

from __future__ import annotations

import os

from coverage import Coverage

_COUNTED: dict[str, str] = {}


def keep_for_few() -> None:
    """Take what lets every child count from the environment."""
    name = "COVERAGE_PROCESS_CONFIG"
    if name in os.environ:
        _COUNTED[name] = os.environ.pop(name)


def counted() -> dict[str, str]:
    """Return the environment of a child process that counts."""
    return {**os.environ, **_COUNTED}


def save() -> None:
    """Save what this process covered: on a busy machine xdist does not wait until it ends."""
    if current := Coverage.current():
        current.save()
