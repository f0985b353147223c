"""Writes a list of the API to a file."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
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
from pinstripe._resources.pager import Pager
from pinstripe._resources.walk import Created
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._failures import failure_of
from pinstripe.cli._interrupt import run_interruptible
from pinstripe.cli._progress import export_bar, progress_console
from pinstripe.cli._status import BROKEN_PIPE, INTERRUPTED
from pinstripe.cli._words import place, say
from pinstripe.export import ExportProgress
from pinstripe.export._export import ExportSettings, output_at, write_to
from pinstripe.export._formats import Format, format_of
from pinstripe.export._objects import path_in
from pinstripe.export._stream import standard_output

# Parameters of a list that are no filter, and those that have an option of their own.
_PAGING = {"limit", "max_items", "starting_after", "ending_before", "cursor"}
_NO_FILTERS = {*_PAGING, "created", "expand", "request_options"}


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


def run_export(
    *,
    resource: str,
    output: Path | str,
    format: Format | None,
    created: tuple[datetime | None, datetime | None],
    filters: Sequence[str],
    max_items: int | None,
    windows: int,
    reveal: bool,
    escape_formulas: bool,
    skip_unfit: bool,
    resume: bool,
    overwrite: bool,
) -> int:
    """Export, and return the exit status.

    Args:
        resource: As of the command.
        output: As of the command.
        format: As of the command.
        created: The first moment, and the first one that is too late.
        filters: As of the command.
        max_items: As of the command.
        windows: As of the command.
        reveal: As of the command.
        escape_formulas: As of the command.
        skip_unfit: As of the command.
        resume: As of the command.
        overwrite: As of the command.

    Raises:
        UsageError: A filter cannot be read.
        BadInput: An argument or the environment is wrong; nothing was sent.
        CallFailedError: The list could not be read, or the file not be written, to the end.
    """
    parameters = filters_of(filters)
    since, until = created
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
        raise failure_of(error, f"{error}; {hint} after {items:,} objects") from None
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
        pager = list_of(client, run.resource, run.parameters)
        if run.skip_unfit:
            pager = pager.skip_unfit(leave_out)
        to_terminal = run.output is None and sys.stdout.isatty()
        with export_bar(run.resource, progress_console(rows_to_terminal=to_terminal)) as show:

            def on_progress(now: ExportProgress) -> None:
                note(now)
                show(now)

            file = standard_output() if run.output is None else output_at(run.output)
            return await write_to(file, pager, run.settings, run.windows, on_progress)


def filters_of(texts: Sequence[str]) -> dict[str, Any]:
    """Return the filters that are typed as `NAME=VALUE`.

    Args:
        texts: What was typed.

    Raises:
        UsageError: One of them cannot be read.
    """
    filters: dict[str, Any] = {}
    words: dict[str, Any] = {"true": True, "false": False}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name in _NO_FILTERS:
            raise click.UsageError(f"--filter needs NAME=VALUE with a filter's name, not {name!r}.")
        filters[name] = words.get(value, value)
    return filters


def list_of(client: AsyncClient, resource: str, parameters: Mapping[str, Any]) -> Pager[Any]:
    """Return the list of a resource, if it has all filters that were given.

    Args:
        client: The client.
        resource: As of the command.
        parameters: Those of the list.

    Raises:
        ConfigurationError: It does not have one of them.
    """
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
