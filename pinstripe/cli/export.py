"""`pinstripe export`: a list of the API to a file, read in parallel, resumable."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from pinstripe._client import AsyncClient
from pinstripe._config.options import Limits
from pinstripe._core.errors import ConfigurationError, PinstripeError, UnfitError
from pinstripe._core.tracebacks import hide_frames
from pinstripe._disk.outputs import is_stream
from pinstripe._resources.pager import WINDOWS, Pager
from pinstripe._resources.walk import Created
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._interrupt import BROKEN_PIPE, INTERRUPTED, run_interruptible
from pinstripe.cli._parts import Output, PartsRun, read_share, run_parts
from pinstripe.cli._progress import export_bar, progress_console
from pinstripe.cli._words import ESCAPE_HELP, place, say, shown
from pinstripe.export import ExportProgress
from pinstripe.export._export import ExportSettings, output_at, write_to
from pinstripe.export._formats import Format, format_of
from pinstripe.export._objects import path_in
from pinstripe.export._plan import MAX_PARTS
from pinstripe.export._stream import standard_output

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

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


_EXAMPLES = "2026-01-31, 2026-01-31T08:00:00Z or 2026-01-31T08:00+02:00"


def _in_utc(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Read the time of an option."""
    try:
        return None if text is None else _read_time(text)
    except (ValueError, OverflowError):
        problem = f"must be a date or a time, such as {_EXAMPLES}, not {shown(text)}"
        raise click.BadParameter(problem) from None


def _read_time(text: str) -> datetime:
    # `fromisoformat` reads more or less of ISO 8601, depending on the version of Python.
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    date, time, offset = found.groups()
    moment = datetime.fromisoformat(f"{date}T{_six_places(time or '00:00')}")
    return (moment - _offset(offset)).replace(tzinfo=timezone.utc)


def _six_places(time: str) -> str:
    whole, point, fraction = time.partition(".")
    return f"{whole}{point}{fraction:0<6}" if point else whole


def _offset(text: str | None) -> timedelta:
    if text in (None, "Z"):
        return timedelta()
    digits = text.replace(":", "")
    hours, minutes = int(digits[1:3]), int(digits[3:] or "0")
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    east = timedelta(hours=hours, minutes=minutes)
    return -east if text.startswith("-") else east


@frozen
class _Run:
    """One run of the command.

    Attributes:
        resource: What to export.
        output: The file, or its address in an object store; None for standard output.
        parameters: Those of the list.
        settings: How it is written.
        windows: How many requests may be in flight at once.
        skip_unfit: Whether it goes on where an object does not fit its class.
    """

    resource: str
    output: Path | str | None
    parameters: Mapping[str, Any]
    settings: ExportSettings
    windows: int
    skip_unfit: bool


@click.command(
    short_help="Write a list of the API to a file.", epilog=f"Resources: {', '.join(RESOURCES)}."
)
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
    callback=_in_utc,
    help=f"Only what was created then or later: {_EXAMPLES}; in UTC if no offset is given.",
)
@click.option(
    "--until", metavar="TIME", callback=_in_utc, help="Only what was created before then."
)
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
    type=click.IntRange(1, MAX_PARTS),
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
    format: Format | None,
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

    The key is read from STRIPE_API_KEY. If PINSTRIPE_BASE_URL is set, the sandbox at that address
    is asked in place of Stripe.

    The exit status is 0 if the output is complete; 1 if the list could not be read, or the file
    not be written, to the end; 2 if the usage or the environment is wrong, and nothing was sent;
    130 after Ctrl-C; 141 if the reader of the output stopped reading.
    """
    parameters: dict[str, Any] = {}
    words: dict[str, Any] = {"true": True, "false": False}
    for text in filters:
        name, equals, value = text.partition("=")
        if not equals or name in _NO_FILTERS:
            raise click.UsageError(f"--filter needs NAME=VALUE with a filter's name, not {name!r}.")
        parameters[name] = words.get(value, value)
    parts = PartsRun(
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
    if parts.is_wanted:
        return run_parts(parts, lambda client: _list(client, resource, parameters))
    if since is not None or until is not None:
        parameters["created"] = Created(gte=since, lt=until)
    if max_items is not None:
        parameters["max_items"] = max_items
    path = None if str(output) == "-" else output
    ending = path_in(output) if isinstance(output, str) else output
    try:
        form = "jsonl" if path is None and format is None else format_of(format, ending)
    except ConfigurationError as error:
        raise BadInput(error.message) from None
    settings = ExportSettings(form, reveal, resume, overwrite, escape_formulas)
    return _execute(_Run(resource, path, parameters, settings, windows, skip_unfit))


def _execute(run: _Run) -> int:
    """Export, and report how that ended; return the exit status."""
    items = left_out = 0

    def note(now: ExportProgress) -> None:
        nonlocal items
        items = now.items

    def leave_out(error: UnfitError) -> None:
        nonlocal left_out
        left_out += 1
        say(f"Left out: {error}")

    # Must be set before pyarrow is imported: the memory pool of its own takes 10 MB more.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    resumable = isinstance(run.output, str) or (
        run.output is not None and not is_stream(run.output)
    )
    client = open_client(limits=Limits(max_in_flight=run.windows))
    try:
        number = run_interruptible(_export(client, run, note, leave_out))
    except KeyboardInterrupt:
        hint = " The same command with --resume does the rest." if resumable else ""
        say(f"Stopped after {items:,} objects.{hint}")
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except ConfigurationError as error:
        raise BadInput(error.message) from None
    except (PinstripeError, OSError) as error:
        hint = "the same command with --resume continues" if resumable else "stopped"
        raise click.ClickException(f"{error}; {hint} after {items:,} objects") from None
    rest = f"; {left_out:,} left out" if left_out else ""
    say(f"{number:,} objects {place(run.output)}{rest}")
    return 0


@hide_frames
async def _export(
    client: AsyncClient,
    run: _Run,
    note: Callable[[ExportProgress], None],
    leave_out: Callable[[UnfitError], None],
) -> int:
    async with client:
        pager = _list(client, run.resource, run.parameters)
        if run.skip_unfit:
            pager = pager.skip_unfit(leave_out)
        to_terminal = run.output is None and sys.stdout.isatty()
        with export_bar(run.resource, progress_console(rows_to_terminal=to_terminal)) as show:

            def on_progress(now: ExportProgress) -> None:
                note(now)
                show(now)

            file = standard_output() if run.output is None else output_at(run.output)
            return await write_to(file, pager, run.settings, run.windows, on_progress)


def _list(client: AsyncClient, resource: str, parameters: Mapping[str, Any]) -> Pager[Any]:
    """Return the list of a resource, if it has all filters that were given."""
    function = attrgetter(f"{resource}.list")(client)
    known = set(inspect.signature(function).parameters) - {"expand", "request_options"}
    for name in parameters:
        if name not in known:
            possible = ", ".join(sorted(known - _NO_FILTERS)) or "none"
            option = "since, until" if name == "created" else name
            raise ConfigurationError(
                option, f"is not a filter of {resource}; its filters are: {possible}"
            )
    pager: Pager[Any] = function(**parameters)
    return pager
