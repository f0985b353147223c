"""`pinstripe export` in parts: plan once, write each part in any process, join at the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from pinstripe._client import AsyncClient
from pinstripe._config.options import Limits
from pinstripe._core.errors import (
    ConfigurationError,
    IncompleteError,
    PinstripeError,
    UnfitError,
)
from pinstripe.bulk import fan_out
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._export import filters_of, list_of
from pinstripe.cli._failures import failure_of
from pinstripe.cli._interrupt import run_interruptible
from pinstripe.cli._status import INTERRUPTED
from pinstripe.cli._words import say
from pinstripe.export import Part, PartReceipt, join, plan, write_part
from pinstripe.export._formats import Format
from pinstripe.export._part import Plan
from pinstripe.export._plan import latest_plan
from pinstripe.export._threads import finish_in_thread

_PARTS_AT_ONCE = 4

# Options that a plan has, for all its parts, and those that no export in parts has.
_OF_PLAN = ("accounts", "since", "until", "filters", "format", "reveal")
_OF_FILE = ("max_items", "resume", "overwrite", "escape_formulas")


@frozen
class PartsRun:
    """One run of the command for an export in parts.

    Attributes:
        resource: What to export.
        url: The data set.
        plan: Into how many windows each account is cut, if the run plans.
        share: Which parts the run writes: each n-th from a first one.
        join: Whether the run checks and lists what is written.
        accounts: The file with the accounts.
        since: As for `plan`.
        until: As for `plan`.
        format: As for `plan`.
        reveal: As for `plan`.
        windows: How many requests may be in flight at once.
        skip_unfit: Whether to go on where an object does not fit its class.
    """

    resource: str
    url: Path | str
    plan: int | None
    share: tuple[int, int] | None
    join: bool
    accounts: Path | None
    since: datetime | None
    until: datetime | None
    format: Format | None
    reveal: bool
    windows: int
    skip_unfit: bool


def run_parts(filters: Sequence[str], **settings: Any) -> int:
    """Plan, write or join, and return the exit status.

    Args:
        filters: As of the command.
        settings: The attributes of a `PartsRun`.

    Raises:
        UsageError: The options do not go together.
        BadInput: An argument or the environment is wrong; nothing was sent.
        CallFailedError: Something failed.
    """
    run, parameters = PartsRun(**settings), filters_of(filters)
    _check_usage(run)
    try:
        return run_interruptible(_work(run, parameters))
    except KeyboardInterrupt:
        say("Stopped. The same command does the rest.")
        return INTERRUPTED
    except ConfigurationError as error:
        raise BadInput(error.message) from None
    except IncompleteError as error:
        for name, missing in error.errors.items():
            say(f"{name}: {getattr(missing, 'strerror', missing)}")
        raise failure_of(error) from None
    except (PinstripeError, OSError) as error:
        raise failure_of(error) from None


def _check_usage(run: PartsRun) -> None:
    steps = [run.plan is not None, run.share is not None, run.join]
    if sum(steps) != 1:
        raise click.UsageError("an export in parts has one of --plan, --part and --join at a time.")
    if str(run.url) == "-":
        raise click.UsageError("--output must be a folder or an address for an export in parts.")
    context = click.get_current_context()
    refused = _OF_FILE if run.plan is not None else (*_OF_FILE, *_OF_PLAN)
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in refused and source is click.core.ParameterSource.COMMANDLINE:
            option = parameter.opts[0]
            where = "--plan has it for all parts" if parameter.name in _OF_PLAN else "is for a file"
            raise click.UsageError(f"{option} does not go with this step: {where}.")


def _work(run: PartsRun, parameters: Mapping[str, Any]) -> Coroutine[Any, Any, int]:
    if run.join:
        return _join(run)
    client = open_client(limits=Limits(max_in_flight=run.windows))
    return _plan(client, run, parameters) if run.share is None else _write(client, run, *run.share)


async def _plan(client: AsyncClient, run: PartsRun, parameters: Mapping[str, Any]) -> int:
    async with client:
        made = await plan(
            list_of(client, run.resource, parameters),
            run.url,
            parts=run.plan or 1,
            accounts=run.accounts,
            since=run.since,
            until=run.until,
            format=run.format or "parquet",
            reveal=run.reveal,
        )
    say(f"{made.parts:,} parts planned in {run.url}, up to {made.until:%Y-%m-%dT%H:%M:%SZ}")
    return 0


async def _write(client: AsyncClient, run: PartsRun, first: int, every: int) -> int:
    """Write each n-th part of the latest plan, and report those that fail at the end."""
    made = await _latest_plan(run)
    report = _say_left_out if run.skip_unfit else None

    async def write(part: Part) -> PartReceipt:
        return await write_part(client, part, skip_unfit=report)

    rows = parts = 0
    failed: list[str] = []
    async with client:
        share = _each(made, first, every)
        async for outcome in fan_out(write, share, concurrency=_PARTS_AT_ONCE, ordered=False):
            if isinstance(outcome.error, ConfigurationError):
                raise outcome.error
            if outcome.error is not None:
                failed.append(f"{outcome.input.name}: {outcome.error}")
            else:
                rows, parts = rows + outcome.unwrap().rows, parts + 1
    for line in failed:
        say(line)
    say(f"{rows:,} objects in {parts:,} parts in {run.url}")
    if failed:
        raise click.ClickException(f"{len(failed):,} parts failed; the same command writes them")
    return 0


async def _each(made: Plan, first: int, every: int) -> AsyncGenerator[Part, None]:
    number = 0
    async for part in made:
        if number % every == first:
            yield part
        number += 1


async def _join(run: PartsRun) -> int:
    manifest = await join(await _latest_plan(run))
    accounts = f" of {manifest.accounts:,} accounts" if manifest.accounts > 1 else ""
    say(f"{manifest.rows:,} objects{accounts} in {manifest.parts:,} parts in {run.url}: complete")
    return 0


async def _latest_plan(run: PartsRun) -> Plan:
    made = await finish_in_thread(latest_plan, run.url)
    if made.resource != run.resource:
        raise ConfigurationError("output", f"has a plan of {made.resource}, not of {run.resource}")
    return made


def _say_left_out(error: UnfitError) -> None:
    say(f"Left out: {error}")
