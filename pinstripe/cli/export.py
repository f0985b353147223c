"""`pinstripe export`: a list of the API to a file, by windows of time, resumable."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
from attrs import frozen
from rich.console import Console

from pinstripe._client import AsyncClient
from pinstripe._config.options import Limits
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._resources.pager import WINDOWS, Pager
from pinstripe._resources.walk import Created
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._interrupt import INTERRUPTED, run_interruptible
from pinstripe.cli._progress import export_bar
from pinstripe.export import ExportProgress
from pinstripe.export import to_file as export_list
from pinstripe.export._formats import Format

_RESOURCES = (
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
_PAGING = {"limit", "max_items", "starting_after", "ending_before", "cursor"}
_NO_FILTERS = {*_PAGING, "created", "expand", "request_options"}
_DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@frozen
class _Run:
    resource: str
    output: Path
    filters: Mapping[str, Any]
    settings: Mapping[str, Any]
    windows: int


@click.command(
    short_help="Write a list of the API to a file.", epilog=f"Resources: {', '.join(_RESOURCES)}."
)
@click.argument("resource", metavar="RESOURCE", type=click.Choice(_RESOURCES))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; it appears when it is whole.",
)
@click.option(
    "--format",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    help="Format of the output; by the name of --output otherwise.",
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
    help="How many requests may be under way at once.",
)
@click.option("--reveal", is_flag=True, help="Write private fields, such as names, too.")
@click.option("--resume", is_flag=True, help="Go on from where an earlier run stopped.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace what --output holds; without --resume, begin an unfinished run anew too.",
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
    fields are left out unless --reveal is given.

    The key is read from STRIPE_API_KEY. A terminal shows how far it is, and, with --since or
    --max-items, how long the rest takes.

    Ctrl-C, or an error, leaves what was read beside --output, and the same command with --resume
    does the rest. Until it is done, --output stays as it was, with --overwrite too.

    The exit status is 0 where the output is whole; 1 where the list could not be read, or the
    file not be written, to the end; 2 where the usage is wrong, and nothing was sent; 130 after
    Ctrl-C.
    """
    named = {**_named(filters), **_created(since, until)}
    settings = {"format": format, "reveal": reveal, "resume": resume, "overwrite": overwrite}
    if max_items is not None:
        named["max_items"] = max_items
    return _execute(_Run(resource, output, named, settings, windows))


def _named(filters: Sequence[str]) -> dict[str, Any]:
    words: dict[str, Any] = {"true": True, "false": False}
    pairs = [text.partition("=") for text in filters]
    for name, equals, _ in pairs:
        if not equals or name in _NO_FILTERS:
            raise click.UsageError(f"--filter needs NAME=VALUE with a filter's name, not {name!r}.")
    return {name: words.get(value, value) for name, _, value in pairs}


def _created(since: datetime | None, until: datetime | None) -> dict[str, Any]:
    if since is None and until is None:
        return {}
    return {"created": Created(gte=_in_utc(since), lt=_in_utc(until))}


def _in_utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=timezone.utc)


def _execute(run: _Run) -> int:
    items = [0]
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # pyarrow's own takes 10 MB more
    client = open_client(limits=Limits(max_in_flight=run.windows))
    try:
        number = run_interruptible(_export(client, run, items))
    except KeyboardInterrupt:
        hint = "The same command with --resume does the rest."
        click.echo(f"Stopped after {items[0]:,} objects. {hint}", err=True)
        return INTERRUPTED
    except ConfigurationError as error:
        raise BadInput(error.message) from None
    except (PinstripeError, OSError) as error:
        problem = f"{error}; the same command with --resume goes on after {items[0]:,} objects"
        raise click.ClickException(problem) from None
    click.echo(f"{number:,} objects in {run.output}", err=True)
    return 0


async def _export(client: AsyncClient, run: _Run, items: list[int]) -> int:
    async with client:
        pager = _list(client, run)
        with export_bar(run.resource, _console()) as show:

            def on_progress(now: ExportProgress) -> None:
                items[0] = now.items
                show(now)

            return await export_list(
                pager, run.output, windows=run.windows, on_progress=on_progress, **run.settings
            )


def _list(client: AsyncClient, run: _Run) -> Pager[Any]:
    function = attrgetter(f"{run.resource}.list")(client)
    known = set(inspect.signature(function).parameters) - {"expand", "request_options"}
    for name in run.filters:
        if name not in known:
            possible = ", ".join(sorted(known - _NO_FILTERS)) or "none"
            option = "since, until" if name == "created" else name
            raise ConfigurationError(option, f"is no filter of {run.resource}; it has: {possible}")
    pager: Pager[Any] = function(**run.filters)
    return pager


def _console() -> Console | None:
    return Console(stderr=True) if sys.stderr.isatty() else None
