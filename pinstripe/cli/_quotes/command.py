"""`pinstripe quotes`: quote queries from a file, results to a file, as many as there are."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import click
from attrs import field, frozen
from rich.console import Console

from pinstripe._client import AsyncClient
from pinstripe._config.options import Limits
from pinstripe._disk.lock import FileLock
from pinstripe.bulk import fan_out
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._interrupt import INTERRUPTED, run_interruptible
from pinstripe.cli._progress import progress_bar
from pinstripe.cli._quotes.output import (
    Kept,
    Output,
    OutputError,
    ResumeError,
    find_kept,
    open_output,
)
from pinstripe.cli._quotes.queries import (
    Format,
    InputError,
    Query,
    format_by_content,
    format_by_name,
    read_queries,
)
from pinstripe.cli._quotes.rows import Rows, rows_for
from pinstripe.crypto import Quotes
from pinstripe.sandbox import Sandbox

_FORMATS = click.Choice(["csv", "jsonl"])
_BROKEN_PIPE = 141
_SNIFFED = 4096


@frozen
class _Run:
    """One run of the command.

    Attributes:
        path: The output; None for standard output.
        rows: Its format.
        queries: What is left to do.
        total: How many queries the input has.
        kept: What stays of an earlier output.
        concurrency: How many calls may be under way at once.
        sandbox: Whether to ask the embedded sandbox.
    """

    path: Path | None
    rows: Rows
    queries: Iterator[Query] = field(repr=False)
    total: int
    kept: Kept
    concurrency: int
    sandbox: bool


@click.command(short_help="Get quotes for many queries.")
@click.argument(
    "queries", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file; it must not exist, unless --resume or --overwrite is given.",
)
@click.option("--resume", is_flag=True, help="Go on from where an earlier run stopped.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace what --output holds; without --resume, begin an unfinished run anew too.",
)
@click.option(
    "--format",
    "output_format",
    type=_FORMATS,
    help="Format of the output; by the name of --output, else jsonl.",
)
@click.option(
    "--input-format", type=_FORMATS, help="Format of QUERIES; by its name, else by its content."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=32,
    show_default=True,
    help="How many calls may be under way at once.",
)
@click.option("--sandbox", is_flag=True, help="Ask the embedded sandbox: no key, no network.")
def quotes(
    *,
    queries: str,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    output_format: Format | None,
    input_format: Format | None,
    concurrency: int,
    sandbox: bool,
) -> int:
    """Get onramp quotes for every query of QUERIES, a file or - for standard input.

    QUERIES is CSV with a header, or JSON lines. The columns are source_amount, source_currency,
    destination_amount, destination_currencies and destination_networks, all of them optional;
    CSV separates lists by spaces, and an empty cell is not given.

    The results come in the order of the queries, each row with the line of its query and either
    the quotes or an error: as JSON lines, or as CSV with a row a network and currency.

    The key is read from STRIPE_API_KEY.

    Nothing is sent before all of QUERIES is found to be right. Ctrl-C leaves whole rows in
    --output, and the same command with --resume does the rest.

    The exit status is 0 where every query has its quotes; 1 where some have an error instead, or
    the output cannot be written any more; 2 where the usage or the input is wrong, and nothing was
    sent; 130 after Ctrl-C; 141 where whoever read the output stopped reading.
    """
    name = "<stdin>" if queries == "-" else queries
    rows = rows_for(output_format or (format_by_name(output.name) if output else None) or "jsonl")
    try:
        with _claimed(output):
            _check_output(queries, output, resume=resume, overwrite=overwrite)
            with _open_input(queries) as file:
                form = input_format or format_by_name(queries) or _sniff(file)
                total = sum(1 for _ in read_queries(file, form))
                file.seek(0)
                kept, rest = _find_kept(output if resume else None, rows, read_queries(file, form))
                return _execute(_Run(output, rows, rest, total, kept, concurrency, sandbox))
    except InputError as error:
        raise BadInput(f"{name}:{error}") from None


@contextmanager
def _claimed(output: Path | None) -> Generator[None]:
    """Keep other runs away from a plain file, before anything is decided by what it holds."""
    found = None if output is None else _stat(output)
    if output is None or (found is not None and not stat.S_ISREG(found.st_mode)):
        yield
        return
    claim = FileLock(Path(os.path.realpath(output)))  # the rows go to where a symbolic link leads
    try:
        taken = claim.acquire()
    except OSError as error:
        raise _unopened(error) from None
    if not taken:
        raise BadInput(f"{output} is being written by another run")
    try:
        yield
    finally:
        claim.release()


def _unopened(error: OSError) -> BadInput:
    return BadInput(f"the output cannot be opened: {error}")


def _check_output(queries: str, output: Path | None, *, resume: bool, overwrite: bool) -> None:
    if output is None and (resume or overwrite):
        raise click.UsageError(f"--{'resume' if resume else 'overwrite'} needs --output.")
    if output is None or (found := _stat(output)) is None:
        return
    if queries != "-" and output.samefile(queries):
        raise click.UsageError("--output is the file of the queries.")
    if resume and not stat.S_ISREG(found.st_mode):
        raise click.UsageError("--resume needs an --output that is a plain file.")
    if found.st_size and not (resume or overwrite):
        raise click.UsageError(f"{output} is there already: use --resume or --overwrite.")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


@contextmanager
def _open_input(path: str) -> Generator[BinaryIO]:
    """Open the input so that it can be read twice: what cannot is copied to a temporary file."""
    with cast("BinaryIO", click.open_file(path, "rb")) as source:
        if path != "-" and source.seekable():
            yield source
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(source, copy)
            copy.seek(0)
            yield copy


def _sniff(file: BinaryIO) -> Format:
    start = file.read(_SNIFFED)
    file.seek(0)
    return format_by_content(start)


def _find_kept(
    output: Path | None, rows: Rows, queries: Iterator[Query]
) -> tuple[Kept, Iterator[Query]]:
    if output is None or _stat(output) is None:
        return Kept(), queries
    try:
        with output.open("rb") as file:
            return find_kept(file, rows, queries)
    except (OSError, ResumeError) as error:
        hint = "give another name, or use --overwrite without --resume"
        raise BadInput(f"{output}:{error}; nothing was changed: {hint}") from None


def _execute(run: _Run) -> int:
    hint = "; with --sandbox no key is needed"
    client = None if run.sandbox else open_client(hint, limits=_pool(run))
    done = _Done(run.kept.queries, run.kept.failed)
    try:
        output = open_output(run.path, run.kept)
    except OSError as error:
        raise _unopened(error) from None
    try:
        with output:
            run_interruptible(_ask_with(client, run, output, done))
    except KeyboardInterrupt:
        hint = "" if run.path is None else " The same command with --resume does the rest."
        click.echo(f"Stopped after {done.queries} of {run.total} queries.{hint}", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return _BROKEN_PIPE
    except OutputError as error:
        problem = f"{done.queries} of {run.total} queries are written, and no more can be: {error}"
        raise click.ClickException(problem) from None
    if done.failed:
        click.echo(f"{done.failed} of {run.total} queries failed.", err=True)
    return 1 if done.failed else 0


class _Done:
    def __init__(self, queries: int, failed: int) -> None:
        self.queries, self.failed = queries, failed


def _pool(run: _Run) -> Limits:
    return Limits(max_in_flight=run.concurrency)


async def _ask_with(client: AsyncClient | None, run: _Run, output: Output, done: _Done) -> None:
    if client is not None:
        async with client:
            await _ask_all(client, run, output, done)
        return
    async with Sandbox() as sandbox, sandbox.client(limits=_pool(run)) as embedded:
        await _ask_all(embedded, run, output, done)


async def _ask_all(client: AsyncClient, run: _Run, output: Output, done: _Done) -> None:
    async def ask(query: Query) -> Quotes:
        return await client.crypto.onramp_quotes.retrieve(**query.params)

    if not run.kept.size:
        await _write(output, run.rows.header)
    with progress_bar("Quotes", run.total, run.kept.queries, _console(run.path)) as show:
        outcomes = fan_out(ask, run.queries, concurrency=run.concurrency, on_progress=show)
        async with aclosing(outcomes):
            async for outcome in outcomes:
                await _write(output, run.rows.encode(outcome))
                done.queries += 1
                done.failed += not outcome.ok


def _console(path: Path | None) -> Console | None:
    """Return where progress is shown: a terminal that the rows do not go to."""
    taken = path is None and sys.stdout.isatty()
    return Console(stderr=True) if sys.stderr.isatty() and not taken else None


async def _write(output: Output, data: bytes) -> None:
    """Write rows; where the reader may take its time, in a thread, so that answers keep coming."""
    if not output.may_wait:
        output.write(data)
        return
    writing = asyncio.ensure_future(asyncio.to_thread(output.write, data))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await writing  # the rows that are on their way come whole
        raise
