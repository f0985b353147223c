"""Hooks of the public converter that are gone after a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pinstripe
from pinstripe._models import convert


@contextmanager
def hooks_taken_back() -> Iterator[Any]:
    """Give a public converter without hooks, and put the one from before back at the end."""
    before, natives = pinstripe.converter, convert._natives
    hooks = natives._hooks.copy()
    made = _install(type(before)(natives=natives), [])
    yield made
    _install(before, hooks)


def _install(converter: Any, hooks: list[Any]) -> Any:
    natives: Any = convert._natives
    natives._hooks[:] = hooks
    setattr(convert, "_converter", lambda: converter)  # noqa: B010 -- typed as a function
    vars(pinstripe)["converter"] = converter
    natives._on_change()
    return converter
