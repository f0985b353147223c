"""What the tests of exports have in common: a list of sixty objects, and a look at files."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from tests.support.dated import DatedShelf

NEWEST = 1_790_000_000


def sixty() -> DatedShelf:
    return DatedShelf(range(NEWEST - 600, NEWEST, 10))


def count(path: Path) -> int:
    if path.suffix == ".parquet":
        return pq.read_metadata(path).num_rows
    return len(path.read_text().splitlines()) - (path.suffix == ".csv")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
