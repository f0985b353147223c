"""The progress bar of many calls at once."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from pinstripe.bulk import Progress


@contextmanager
def progress_bar(
    title: str, total: int, done: int, console: Console | None
) -> Generator[Callable[[Progress], None]]:
    """Show a bar while the block runs; what it gives is the `on_progress` of a fan-out.

    Args:
        title: What stands before the bar.
        total: How many calls make it full.
        done: How many of them are done before the fan-out starts.
        console: Where it is shown; None shows nothing.
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
