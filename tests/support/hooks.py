"""Hooks of the public converter that are gone after a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pinstripe


@contextmanager
def hooks_taken_back() -> Iterator[Any]:
    """Give the public converter, and take back the hooks that are registered meanwhile."""
    converter: Any = pinstripe.converter
    before, natives = converter.copy(), converter._natives
    hooks = natives._hooks.copy()
    yield converter
    for name in ("_structure_func", "_unstructure_func", "_union_struct_registry"):
        setattr(converter, name, getattr(before, name))
    natives._hooks[:] = hooks
    natives._on_change()
