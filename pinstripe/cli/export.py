"""`pinstripe export`: a list of the API to a file, read in parallel, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from pinstripe.cli._account import asks_account
from pinstripe.cli._outputs import Output, read_share
from pinstripe.cli._times import EXAMPLES, Time
from pinstripe.cli._words import ESCAPE_HELP

RESOURCES = (
    "climate.orders",
    "climate.products",
    "climate.suppliers",
    "crypto.onramp_sessions",
    "events",
    "file_links",
    "files",
    "forwarding.requests",
    "identity.verification_reports",
    "identity.verification_sessions",
    "webhook_endpoints",
)
"""What can be exported: the namespaces of a client that have a list, beside those of version 2."""

_WINDOWS = 16
"""Requests in flight by default, as in `Pager.parallel`."""


@asks_account
@click.command(epilog=f"Resources: {', '.join(RESOURCES)}.")
@click.argument("resource", metavar="RESOURCE", type=click.Choice(RESOURCES))
@click.option(
    "-o",
    "--output",
    required=True,
    type=Output(readable=False, allow_dash=True, path_type=Path),
    help="The file, which appears when it is complete, or - for standard output. Through a link, "
    "the file that it leads to is written; a pipe or a device gets the rows as they come. An "
    "address such as s3://bucket/sessions.parquet is written here first, and then uploaded.",
)
@click.option(
    "--format",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    help="Format of the output; by default by the ending of --output, and jsonl for -.",
)
@click.option(
    "--since",
    metavar="TIME",
    type=Time(),
    help=f"Only what was created then or later: {EXAMPLES}; in UTC if no offset is given.",
)
@click.option("--until", metavar="TIME", type=Time(), help="Only what was created before then.")
@click.option(
    "--filter",
    "filters",
    metavar="NAME=VALUE",
    multiple=True,
    help="A filter of the list, such as status=verified; can be given several times.",
)
@click.option("--max-items", type=click.IntRange(1), help="Stop after so many objects.")
@click.option(
    "--windows",
    type=click.IntRange(1, 256),
    default=_WINDOWS,
    show_default=True,
    help="How many requests may be in flight at once.",
)
@click.option("--reveal", is_flag=True, help="Write private fields, such as names, too.")
@click.option("--escape-formulas", is_flag=True, help=ESCAPE_HELP)
@click.option(
    "--skip-unfit",
    is_flag=True,
    help="Go on where an object does not have the form that is documented; say which is left out.",
)
@click.option("--resume", is_flag=True, help="Continue where an earlier run stopped.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace an existing --output; without --resume, also discard an unfinished run.",
)
@click.option(
    "--plan",
    type=click.IntRange(1),
    metavar="N",
    help="Cut the list into up to N parts, of each account, for --part; --output is a folder, "
    "and the format parquet unless --format says another.",
)
@click.option(
    "--accounts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --plan: a file with the id of a connected account in each line.",
)
@click.option(
    "--part",
    "share",
    metavar="I/N",
    callback=read_share,
    help="Write each N-th part of the plan in --output, from the I-th on: 0/64 to 63/64.",
)
@click.option("--join", is_flag=True, help="Check that every part of the plan is written.")
def export(
    *,
    resource: str,
    output: Path | str,
    format: Literal["jsonl", "csv", "parquet"] | None,
    since: datetime | None,
    until: datetime | None,
    filters: Sequence[str],
    max_items: int | None,
    windows: int,
    reveal: bool,
    escape_formulas: bool,
    skip_unfit: bool,
    resume: bool,
    overwrite: bool,
    plan: int | None,
    accounts: Path | None,
    share: tuple[int, int] | None,
    join: bool,
) -> int:
    """Write all objects of RESOURCE to a file of JSON lines, CSV or Parquet, newest first.

    Each field is a column; those of nested objects are named like options.document. Private
    fields are left out unless --reveal is given. A terminal shows the progress, and, with --since
    or --max-items, the time that is left. Times are in UTC as ISO 8601. The texts of a CSV are
    written as they are: a spreadsheet runs one that starts like a formula, unless
    --escape-formulas is given.

    After Ctrl-C or an error, what was read stays beside --output, and the same command with
    --resume does the rest. Until then an existing --output stays as it is, also with --overwrite.

    Many processes write one data set, a folder or an address, in parts: --plan 64 once, then
    --part 0/64 to --part 63/64 anywhere, and --join at the end.

    The key is read from STRIPE_API_KEY, unless --api-key-file is given. If PINSTRIPE_BASE_URL is
    set, the sandbox at that address is asked in place of Stripe.

    The exit status is 0 if the output is complete; 1 if the API refused, or the file could not be
    written to the end; 2 if the usage or the environment is wrong, and nothing was sent; 3 if no
    usable answer came; 130 after Ctrl-C; 141 if the reader of the output stopped reading.
    """
    if join or (plan, share, accounts) != (None, None, None):
        from pinstripe.cli._parts import run_parts  # noqa: PLC0415 -- slow, so only for parts

        return run_parts(
            filters,
            resource=resource,
            url=output,
            plan=plan,
            share=share,
            join=join,
            accounts=accounts,
            since=since,
            until=until,
            format=format,
            reveal=reveal,
            windows=windows,
            skip_unfit=skip_unfit,
        )
    from pinstripe.cli._export import run_export  # noqa: PLC0415 -- slow, so only for an export

    return run_export(
        resource=resource,
        output=output,
        format=format,
        created=(since, until),
        filters=filters,
        max_items=max_items,
        windows=windows,
        reveal=reveal,
        escape_formulas=escape_formulas,
        skip_unfit=skip_unfit,
        resume=resume,
        overwrite=overwrite,
    )
