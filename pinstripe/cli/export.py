"""`pinstripe export`: a list of the API to a file, read in parallel, resumable."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from pinstripe._client import AsyncClient
from pinstripe._config.options import Limits
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._resources.pager import WINDOWS, Pager
from pinstripe._resources.walk import Created
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._interrupt import INTERRUPTED, run_interruptible
from pinstripe.cli._progress import export_bar, progress_console
from pinstripe.export import ExportProgress, to_file
from pinstripe.export._formats import Format

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
"""What can be exported: the namespaces of a client that have a list."""

# Parameters of a list that are no filter, and those that have an option of their own.
_PAGING = {"limit", "max_items", "starting_after", "ending_before", "cursor"}
_NO_FILTERS = {*_PAGING, "created", "expand", "request_options"}
_DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@frozen
class _Run:
    """One run of the command.

    Attributes:
        resource: What to export.
        output: The file.
        parameters: Those of the list.
        settings: Those of `to_file`.
        windows: How many requests may be in flight at once.
    """

    resource: str
    output: Path
    parameters: Mapping[str, Any]
    settings: Mapping[str, Any]
    windows: int


@click.command(
    short_help="Write a list of the API to a file.", epilog=f"Resources: {', '.join(RESOURCES)}."
)
@click.argument("resource", metavar="RESOURCE", type=click.Choice(RESOURCES))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; it appears when it is complete.",
)
@click.option(
    "--format",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    help="Format of the output; by default by the ending of --output.",
)
@click.option(
    "--since",
    metavar="TIME",
    type=_DATE,
    help="Only what was created then or later, in UTC: 2026-01-31 or 2026-01-31T08:00:00.",
)
@click.option("--until", metavar="TIME", type=_DATE, help="Only what was created before then.")
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
    default=WINDOWS,
    show_default=True,
    help="How many requests may be in flight at once.",
)
@click.option("--reveal", is_flag=True, help="Write private fields, such as names, too.")
@click.option("--resume", is_flag=True, help="Continue where an earlier run stopped.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace an existing --output; without --resume, also discard an unfinished run.",
)
def export(
    *,
    resource: str,
    output: Path,
    format: Format | None,
    since: datetime | None,
    until: datetime | None,
    filters: Sequence[str],
    max_items: int | None,
    windows: int,
    reveal: bool,
    resume: bool,
    overwrite: bool,
) -> int:
    """Write all objects of RESOURCE to a file of JSON lines, CSV or Parquet, newest first.

    Each field is a column; those of nested objects are named like options.document. Private
    fields are left out unless --reveal is given. A terminal shows the progress, and, with --since
    or --max-items, the time that is left.

    After Ctrl-C or an error, what was read stays beside --output, and the same command with
    --resume does the rest. Until then an existing --output stays as it is, also with --overwrite.

    The key is read from STRIPE_API_KEY. If PINSTRIPE_BASE_URL is set, the sandbox at that address
    is asked in place of Stripe.

    The exit status is 0 if the output is complete; 1 if the list could not be read, or the file
    not be written, to the end; 2 if the usage or the environment is wrong, and nothing was sent;
    130 after Ctrl-C.
    """
    parameters: dict[str, Any] = {}
    words: dict[str, Any] = {"true": True, "false": False}
    for text in filters:
        name, equals, value = text.partition("=")
        if not equals or name in _NO_FILTERS:
            raise click.UsageError(f"--filter needs NAME=VALUE with a filter's name, not {name!r}.")
        parameters[name] = words.get(value, value)
    if since is not None or until is not None:
        parameters["created"] = Created(gte=_in_utc(since), lt=_in_utc(until))
    if max_items is not None:
        parameters["max_items"] = max_items
    settings = {"format": format, "reveal": reveal, "resume": resume, "overwrite": overwrite}
    return _execute(_Run(resource, output, parameters, settings, windows))


def _in_utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=timezone.utc)


def _execute(run: _Run) -> int:
    """Export, and report how that ended; return the exit status."""
    items = 0

    def note(now: ExportProgress) -> None:
        nonlocal items
        items = now.items

    # Must be set before pyarrow is imported: the memory pool of its own takes 10 MB more.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    client = open_client(limits=Limits(max_in_flight=run.windows))
    try:
        number = run_interruptible(_export(client, run, note))
    except KeyboardInterrupt:
        hint = "The same command with --resume does the rest."
        click.echo(f"Stopped after {items:,} objects. {hint}", err=True)
        return INTERRUPTED
    except ConfigurationError as error:
        raise BadInput(error.message) from None
    except (PinstripeError, OSError) as error:
        problem = f"{error}; the same command with --resume continues after {items:,} objects"
        raise click.ClickException(problem) from None
    click.echo(f"{number:,} objects in {run.output}", err=True)
    return 0


async def _export(client: AsyncClient, run: _Run, note: Callable[[ExportProgress], None]) -> int:
    async with client:
        pager = _list(client, run)
        with export_bar(run.resource, progress_console()) as show:

            def on_progress(now: ExportProgress) -> None:
                note(now)
                show(now)

            return await to_file(
                pager, run.output, windows=run.windows, on_progress=on_progress, **run.settings
            )


def _list(client: AsyncClient, run: _Run) -> Pager[Any]:
    """Return the list of a resource, if it has all filters that were given."""
    function = attrgetter(f"{run.resource}.list")(client)
    known = set(inspect.signature(function).parameters) - {"expand", "request_options"}
    for name in run.parameters:
        if name not in known:
            possible = ", ".join(sorted(known - _NO_FILTERS)) or "none"
            option = "since, until" if name == "created" else name
            raise ConfigurationError(
                option, f"is not a filter of {run.resource}; its filters are: {possible}"
            )
    pager: Pager[Any] = function(**run.parameters)
    return pager
