"""`pinstripe quotes batch`: queries from a file, quotes to a file, as many as there are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from pinstripe.cli._account import asks_account
from pinstripe.cli._words import ESCAPE_HELP

_FORMATS = click.Choice(["csv", "jsonl"])


@asks_account
@click.command()
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
    output_format: Literal["csv", "jsonl"] | None,
    input_format: Literal["csv", "jsonl"] | None,
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

    The key is read from STRIPE_API_KEY, unless --api-key-file is given. If PINSTRIPE_BASE_URL is
    set, the sandbox at that address is asked in place of Stripe.

    The exit status is 0 if every query has its quotes; 1 if some have an error, if the API
    refuses them all, or if the output cannot be written any more; 2 if the usage, the input or the
    environment is wrong, and nothing was sent; 3 if no usable answer comes; 130 after Ctrl-C; 141
    if the reader of the output stopped reading.
    """
    from pinstripe.cli._quotes.batch import run_batch  # noqa: PLC0415 -- slow, so only if needed

    return run_batch(
        queries=queries,
        output=output,
        resume=resume,
        retry_failed=retry_failed,
        overwrite=overwrite,
        output_format=output_format,
        input_format=input_format,
        concurrency=concurrency,
        keep_columns=keep_columns,
        escape_formulas=escape_formulas,
        sandbox=sandbox,
    )
