"""The progress bars of many calls at once, and of an export."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from pinstripe.bulk import Progress
from pinstripe.export import ExportProgress


def progress_console(*, rows_to_terminal: bool = False) -> Console | None:
    """Return standard error as the place of a progress bar; None if it is no terminal.

    Args:
        rows_to_terminal: Whether results go to the same terminal, which a bar would garble.
    """
    return Console(stderr=True) if sys.stderr.isatty() and not rows_to_terminal else None


@contextmanager
def progress_bar(
    title: str, total: int, done: int, console: Console | None
) -> Generator[Callable[[Progress], None]]:
    """Show a bar while the block runs, and yield the `on_progress` of a fan-out.

    Args:
        title: The text before the bar.
        total: How many calls make it full.
        done: How many of them are done before the fan-out starts.
        console: Shows it; None shows nothing.
    """
    if console is None:  # rich 13.9 prints an empty line for a bar that is switched off
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}", style="red"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(title, total=total, completed=done, failed="")

        def show(now: Progress) -> None:
            failed = f"{now.failed:,} failed" if now.failed else ""
            bar.update(task, completed=done + now.done, failed=failed)

        yield show


@contextmanager
def export_bar(title: str, console: Console | None) -> Generator[Callable[[ExportProgress], None]]:
    """Show a bar while the block runs, and yield the `on_progress` of an export.

    Args:
        title: The text before the bar.
        console: Shows it; None shows nothing.
    """
    if console is None:
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[items]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(title, total=None, items="")
        started, items_before = time.monotonic(), -1

        def show(now: ExportProgress) -> None:
            nonlocal items_before
            # A resumed export starts above zero: only what came since counts for the speed.
            if items_before < 0:
                items_before = now.items
            rate = (now.items - items_before) / max(0.001, time.monotonic() - started)
            text = f"{now.items:,} objects, {rate:,.0f} a second"
            total = None if now.fraction is None else 1.0
            bar.update(task, completed=now.fraction or 0, total=total, items=text)

        yield show
