"""Who counts the lines that are covered: counting doubles the time that Python takes.

- Of the child processes, those that reach lines which no test reaches in its own process: their
  environment is that of `counted()`.
- Of the processes of xdist, one counts what imports reach while it collects the tests: all import
  the same.
- No test that draws its examples: what only a drawn one reaches is not covered in every run. Nor a
  test that is marked `uncounted`, since it repeats for long what others reach, or forbids what
  coverage does.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from coverage import Coverage
from hypothesis import is_hypothesis_test

_COUNTED: dict[str, str] = {}


def keep_for_few() -> None:
    """Take what lets every child count from the environment."""
    name = "COVERAGE_PROCESS_CONFIG"
    if name in os.environ:
        _COUNTED[name] = os.environ.pop(name)


def counted() -> dict[str, str]:
    """Return the environment of a child process that counts."""
    return {**os.environ, **_COUNTED}


def counts(item: pytest.Item) -> bool:
    """Return whether a test counts."""
    draws = is_hypothesis_test(getattr(item, "obj", None))
    return not draws and item.get_closest_marker("uncounted") is None


def imports_are_counted() -> bool:
    """Return whether this process counts while it collects the tests."""
    return os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"


@contextmanager
def paused() -> Iterator[None]:
    """Count nothing that this thread does in the block, or threads that are started in it."""
    own, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        threading.settrace(of_threads)
        sys.settrace(own)


def save() -> None:
    """Save what this process covered: on a busy machine xdist does not wait until it ends."""
    if current := Coverage.current():
        current.save()
