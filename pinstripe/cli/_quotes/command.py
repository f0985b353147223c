"""`pinstripe quotes batch`: queries from a file, quotes to a file, as many as there are.

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
from pinstripe.cli._words import ESCAPE_HELP

_FORMATS = click.Choice(["csv", "jsonl"])


@click.command(short_help="Get quotes for many queries.")
@click.argument(
    "queries", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, readable=False, allow_dash=True, path_type=Path),
    help="Write to this file; it must not exist, unless --resume or --overwrite is given. "
    "Standard output if it is - or not given.",
)
@click.option("--resume", is_flag=True, help="Continue where an earlier run stopped.")
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Like --resume, and first ask again for the queries that failed: their new rows take the "
    "place of the old ones.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace an existing --output; without --resume, also discard an unfinished run.",
)
@click.option(
    "--format",
    "output_format",
    type=_FORMATS,
    help="Format of the output; by default by the ending of --output, or else jsonl.",
)
@click.option(
    "--input-format",
    type=_FORMATS,
    help="Format of QUERIES; by default by the ending of its name, or else by its content.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=32,
    show_default=True,
    help="How many calls may be in flight at once.",
)
@click.option(
    "--keep-columns",
    is_flag=True,
    help="Pass columns of QUERIES that are no parameters through: in CSV behind the others, in "
    "JSON lines as columns.",
)
@click.option("--escape-formulas", is_flag=True, help=ESCAPE_HELP)
@click.option("--sandbox", is_flag=True, help="Ask an embedded sandbox: no key, no network.")
def batch(
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
    """Get onramp quotes for every query of QUERIES, a file or - for standard input.

    QUERIES is CSV with a header, or JSON lines. The columns are source_amount, source_currency,
    destination_amount, destination_currencies and destination_networks, all of them optional. In
    CSV, spaces separate the values of a list, and an empty cell is not sent.

    The results come in the order of the queries. Each row has the line of its query, and either
    the quotes or an error: as JSON lines, or as CSV with a row for each network and currency. Times
    are in UTC as ISO 8601. The texts of a CSV are written as they are: a spreadsheet runs one that
    starts like a formula, unless --escape-formulas is given.

    All of QUERIES is checked before anything is sent. Ctrl-C leaves complete rows in --output, and
    the same command with --resume does the rest; so it does if the API refuses the key, or if ten
    queries in a row have no answer, which both stop the run. An output of another input, or of
    other options, is not resumed; the input may have grown at its end.

    The key is read from STRIPE_API_KEY. If PINSTRIPE_BASE_URL is set, the sandbox at that address
    is asked in place of Stripe.

    The exit status is 0 if every query has its quotes; 1 if some have an error, if the run has no
    use, or if the output cannot be written any more; 2 if the usage, the input or the environment
    is wrong, and nothing was sent; 130 after Ctrl-C; 141 if the reader of the output stopped
    reading.
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
