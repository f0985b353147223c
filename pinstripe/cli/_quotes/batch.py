"""A run of `pinstripe quotes batch`, from its options on.

A run has four steps: lock the output, check the whole input, find out what an earlier run left to
do, and ask. Nothing is sent, and no output is changed, before the first three are done. The input
is read twice, so memory does not grow with it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click

from pinstripe._disk.lock import FileLock
from pinstripe._disk.outputs import is_stream
from pinstripe.cli._account import BadInput
from pinstripe.cli._quotes.queries import Format, format_by_name
from pinstripe.cli._quotes.rows import RowOptions, rows_for
from pinstripe.cli._quotes.run import Run, execute
from pinstripe.cli._quotes.source import open_source


def run_batch(
    *,
    queries: str,
    output: Path | None,
    resume: bool,
    retry_failed: bool,
    overwrite: bool,
    output_format: Format | None,
    input_format: Format | None,
    concurrency: int,
    keep_columns: bool,
    escape_formulas: bool,
    sandbox: bool,
) -> int:
    """Run, and return the exit status.

    Args:
        queries: As of the command.
        output: As of the command.
        resume: As of the command.
        retry_failed: As of the command.
        overwrite: As of the command.
        output_format: As of the command.
        input_format: As of the command.
        concurrency: As of the command.
        keep_columns: As of the command.
        escape_formulas: As of the command.
        sandbox: As of the command.

    Raises:
        UsageError: Options do not fit together, or the output is there already.
        BadInput: The input, the output or the environment is wrong; nothing was sent.
        ClickException: The run has no use, or rows cannot be written.
    """
    if str(output) == "-":
        if resume or retry_failed:
            raise click.UsageError("--resume needs an --output that is a plain file.")
        output, overwrite = None, False
    form = output_format or (format_by_name(output.name) if output else None) or "jsonl"
    if escape_formulas and form != "csv":
        raise click.UsageError("--escape-formulas is for CSV: no spreadsheet runs JSON lines.")
    resume = resume or retry_failed
    with _locked(output):
        _check_output(queries, output, resume=resume, overwrite=overwrite)
        with open_source(queries, input_format, keep=keep_columns) as source:
            checked = source.check(form)
            kept = checked.columns if keep_columns else None
            rows = rows_for(form, RowOptions(kept, escape_formulas, sandbox))
            run = Run(
                path=output,
                rows=rows,
                source=source,
                total=checked.total,
                concurrency=concurrency,
                sandbox=sandbox,
                resume=resume,
                retry_failed=retry_failed,
            )
            return execute(run)


@contextmanager
def _locked(output: Path | None) -> Generator[None]:
    """Keep other runs away from a plain file, before its content decides anything."""
    if output is None or is_stream(output):
        yield
        return
    # A link leads to the file of the rows, and the lock is beside that.
    lock = FileLock(Path(os.path.realpath(output)))
    try:
        acquired = lock.acquire()
    except OSError as error:
        raise BadInput(f"the output cannot be opened: {error}") from None
    if not acquired:
        raise BadInput(f"{output} is being written by another run")
    try:
        yield
    finally:
        lock.release()


def _check_output(queries: str, output: Path | None, *, resume: bool, overwrite: bool) -> None:
    if output is None and (resume or overwrite):
        raise click.UsageError(f"--{'resume' if resume else 'overwrite'} needs --output.")
    if output is None or (found := _stat(output)) is None:
        return
    if queries != "-" and output.samefile(queries):
        raise click.UsageError("--output is the file of the queries.")
    if is_stream(output):
        if resume:
            raise click.UsageError("--resume needs an --output that is a plain file.")
        return
    if found.st_size and not (resume or overwrite):
        raise click.UsageError(f"{output} exists already: use --resume or --overwrite.")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
