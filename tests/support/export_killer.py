"""Kills exports, each before one of the things that it does to its files: python export_killer.py.

Prints a line for each run: its folder, and whether it was killed or came to its end.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pinstripe.export import to_file
from tests.support.dated import DatedShelf, dated_pager

NEWEST = 1_790_000_000
CHANGES = {"open", "os.link", "os.remove", "os.rename"}


def kill_before(number: int, folder: Path) -> None:
    """Have this process killed before it does the n-th thing in a folder."""
    left = [number]

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES and str(arguments[0]).startswith(str(folder)):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def one_run(path: Path, number: int, *, overwrite: bool) -> None:
    path.parent.mkdir()
    if overwrite:
        path.write_text("mine")
    kill_before(number, path.parent)
    shelf = DatedShelf(range(NEWEST - 600, NEWEST, 10))
    asyncio.run(to_file(dated_pager(shelf), path, overwrite=overwrite))


def main(folder: Path, name: str, *, overwrite: bool) -> None:
    """Run in processes of their own, until one is not killed any more."""
    if name.endswith(".parquet"):
        importlib.import_module("pyarrow.parquet")  # slow, and each of them needs it
    status, number = -signal.SIGKILL, 0
    while status == -signal.SIGKILL:
        number += 1
        path = folder / str(number) / name
        if (process := os.fork()) == 0:
            one_run(path, number, overwrite=overwrite)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        sys.stdout.write(f"{path} {'killed' if status else 'ended'}\n")
    sys.exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], overwrite=sys.argv[3:] == ["overwrite"])
