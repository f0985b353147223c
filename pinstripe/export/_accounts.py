"""Ids of accounts as they come: from an iterable, an async one, or a file with one a line."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe._disk.source import path_of
from pinstripe.export._threads import finish_in_thread

Accounts: TypeAlias = "Iterable[str] | AsyncIterable[str] | str | os.PathLike[str]"
"""Ids of connected accounts; or the path of a file with one a line."""

_LINES_AT_ONCE: Final = 1_000
"""Lines that a thread reads at once."""


def ids_of(accounts: Any) -> Iterable[str] | AsyncIterable[str]:
    """Return the ids that `accounts` gives; a file is read in threads.

    Args:
        accounts: What the caller passed.

    Raises:
        ConfigurationError: It is neither a path nor iterable.
    """
    if isinstance(accounts, (str, os.PathLike)):
        return _read_ids(path_of("accounts", accounts))
    if not isinstance(accounts, (Iterable, AsyncIterable)):
        problem = (
            f"must be ids of accounts, or the path of a file with them, not {kind_of(accounts)}"
        )
        raise ConfigurationError("accounts", problem)
    return cast("Iterable[str]", accounts)


async def _read_ids(path: Path) -> AsyncGenerator[str, None]:
    lines = lines_of(path)
    while batch := await finish_in_thread(list, islice(lines, _LINES_AT_ONCE)):
        for line in batch:
            yield line


def lines_of(path: Path) -> Iterator[str]:
    """Yield the lines of a file that have something in them.

    Args:
        path: The file.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            yield from (line for line in file if line.strip())
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError("accounts", "must be a text file that can be read") from None
