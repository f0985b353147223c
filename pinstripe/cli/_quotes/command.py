"""`pinstripe quotes`: queries from a file, quotes to a file, as many as there are.

A run has four steps: lock the output, check the whole input, find out what an earlier run left to
do, and ask. Nothing is sent, and no output is changed, before the first three are done. The input
is read twice, so memory does not grow with it.
"""

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
from attrs import define, field, frozen

from pinstripe._client import AsyncClient
from pinstripe._config.options import Limits
from pinstripe._disk.append import AppendFile
from pinstripe._disk.lock import FileLock
from pinstripe.bulk import fan_out
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._interrupt import INTERRUPTED, run_interruptible
from pinstripe.cli._progress import progress_bar, progress_console
from pinstripe.cli._quotes.output import Kept, ResumeError, find_kept, open_output
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

_FORMATS = click.Choice(["csv", "jsonl"])
_SNIFFED = 4096

_BROKEN_PIPE = 141
"""The exit status of a program that SIGPIPE ends, as shells count it: 128 and its number."""


class _OutputError(Exception):
    """Rows cannot be written; what was written before them is complete."""


@frozen
class _Run:
    """One run of the command.

    Attributes:
        path: The output; None for standard output.
        rows: Its format.
        queries: What is left to do.
        total: How many queries the input has.
        kept: What stays of an earlier output.
        concurrency: How many calls may be in flight at once.
        sandbox: Whether to ask the embedded sandbox.
    """

    path: Path | None
    rows: Rows
    queries: Iterator[Query] = field(repr=False)
    total: int
    kept: Kept
    concurrency: int
    sandbox: bool


@define
class _Done:
    """How many queries have their rows in the output, and how many of them failed."""

    queries: int
    failed: int


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
@click.option("--resume", is_flag=True, help="Continue where an earlier run stopped.")
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
@click.option("--sandbox", is_flag=True, help="Ask an embedded sandbox: no key, no network.")
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
    destination_amount, destination_currencies and destination_networks, all of them optional. In
    CSV, spaces separate the values of a list, and an empty cell is not sent.

    The results come in the order of the queries. Each row has the line of its query, and either
    the quotes or an error: as JSON lines, or as CSV with a row for each network and currency.

    All of QUERIES is checked before anything is sent. Ctrl-C leaves complete rows in --output, and
    the same command with --resume does the rest.

    The key is read from STRIPE_API_KEY. If PINSTRIPE_BASE_URL is set, the sandbox at that address
    is asked in place of Stripe.

    The exit status is 0 if every query has its quotes; 1 if some have an error, or if the output
    cannot be written any more; 2 if the usage, the input or the environment is wrong, and nothing
    was sent; 130 after Ctrl-C; 141 if the reader of the output stopped reading.
    """
    name = "<stdin>" if queries == "-" else queries
    rows = rows_for(output_format or (format_by_name(output.name) if output else None) or "jsonl")
    try:
        with _locked(output):
            _check_output(queries, output, resume=resume, overwrite=overwrite)
            with _open_input(queries) as file:
                form = input_format or format_by_name(queries)
                if form is None:
                    form = format_by_content(file.read(_SNIFFED))
                    file.seek(0)
                total = sum(1 for _ in read_queries(file, form))
                file.seek(0)
                kept, rest = _find_kept(output if resume else None, rows, read_queries(file, form))
                return _execute(_Run(output, rows, rest, total, kept, concurrency, sandbox))
    except InputError as error:
        raise BadInput(f"{name}:{error}") from None


@contextmanager
def _locked(output: Path | None) -> Generator[None]:
    """Keep other runs away from a plain file, before its content decides anything."""
    found = None if output is None else _stat(output)
    if output is None or (found is not None and not stat.S_ISREG(found.st_mode)):
        yield
        return
    lock = FileLock(Path(os.path.realpath(output)))  # a symbolic link leads to the file of the rows
    try:
        acquired = lock.acquire()
    except OSError as error:
        raise _cannot_open(error) from None
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
    if resume and not stat.S_ISREG(found.st_mode):
        raise click.UsageError("--resume needs an --output that is a plain file.")
    if found.st_size and not (resume or overwrite):
        raise click.UsageError(f"{output} exists already: use --resume or --overwrite.")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _cannot_open(error: OSError) -> BadInput:
    return BadInput(f"the output cannot be opened: {error}")


@contextmanager
def _open_input(path: str) -> Generator[BinaryIO]:
    """Open the input so that it can be read twice; a pipe is copied to a temporary file."""
    with cast("BinaryIO", click.open_file(path, "rb")) as source:
        # Standard input is copied even if it can seek: its beginning may be read already.
        if path != "-" and source.seekable():
            yield source
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(source, copy)
            copy.seek(0)
            yield copy


def _find_kept(
    output: Path | None, rows: Rows, queries: Iterator[Query]
) -> tuple[Kept, Iterator[Query]]:
    """Return what stays of the output of an earlier run, and the queries that are left to do."""
    if output is None or _stat(output) is None:
        return Kept(), queries
    try:
        with output.open("rb") as file:
            return find_kept(file, rows, queries)
    except (OSError, ResumeError) as error:
        hint = "give another name, or use --overwrite without --resume"
        raise BadInput(f"{output}:{error}; nothing was changed: {hint}") from None


def _execute(run: _Run) -> int:
    """Ask all queries, and report how that ended; return the exit status."""
    hint = "; with --sandbox no key is needed"
    limits = Limits(max_in_flight=run.concurrency)
    # The client comes first: a missing key must not empty the output.
    client = None if run.sandbox else open_client(hint, limits=limits)
    done = _Done(run.kept.queries, run.kept.failed)
    try:
        output = open_output(run.path, run.kept)
    except OSError as error:
        raise _cannot_open(error) from None
    try:
        with output:
            run_interruptible(_ask(client, run, output, done))
    except KeyboardInterrupt:
        hint = "" if run.path is None else " The same command with --resume does the rest."
        click.echo(f"Stopped after {done.queries} of {run.total} queries.{hint}", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return _BROKEN_PIPE
    except _OutputError as error:
        problem = f"{done.queries} of {run.total} queries are written, and no more can be: {error}"
        raise click.ClickException(problem) from None
    if done.failed:
        click.echo(f"{done.failed} of {run.total} queries failed.", err=True)
    return 1 if done.failed else 0


async def _ask(client: AsyncClient | None, run: _Run, output: AppendFile, done: _Done) -> None:
    if client is not None:
        async with client:
            await _ask_all(client, run, output, done)
        return
    from pinstripe.sandbox import Sandbox  # noqa: PLC0415 -- slow, so only when a command needs it

    limits = Limits(max_in_flight=run.concurrency)
    async with Sandbox() as sandbox, sandbox.client(limits=limits) as embedded:
        await _ask_all(embedded, run, output, done)


async def _ask_all(client: AsyncClient, run: _Run, output: AppendFile, done: _Done) -> None:
    async def ask(query: Query) -> Quotes:
        return await client.crypto.onramp_quotes.retrieve(**query.params)

    if not run.kept.size:
        await _write(output, run.rows.header)
    console = progress_console(rows_to_terminal=run.path is None and sys.stdout.isatty())
    with progress_bar("Quotes", run.total, run.kept.queries, console) as show:
        outcomes = fan_out(ask, run.queries, concurrency=run.concurrency, on_progress=show)
        async with aclosing(outcomes):
            async for outcome in outcomes:
                await _write(output, run.rows.encode(outcome))
                done.queries += 1
                done.failed += not outcome.ok


async def _write(output: AppendFile, data: bytes) -> None:
    """Write rows: to a plain file at once, anywhere else in a thread.

    The reader of a pipe may take its time, and answers must keep coming meanwhile. The write to a
    plain file is shorter than the change to a thread.
    """
    try:
        if output.is_regular:
            output.write(data)
            return
        writing = asyncio.ensure_future(asyncio.to_thread(output.write, data))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing  # a reader gets complete rows, also after Ctrl-C
            raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _OutputError(error.strerror) from None
