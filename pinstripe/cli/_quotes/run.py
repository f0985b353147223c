"""Asks for quotes, and writes their rows in the order of the queries.

A run has two parts, each with a client of its own. The first asks again for the queries that
failed, if that is wanted, and puts their rows in place of the old ones. The second asks for the
queries that have no rows yet, and appends those.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import click
from attrs import define, frozen

from pinstripe._client import AsyncClient
from pinstripe._config.options import Limits
from pinstripe._disk.append import AppendFile
from pinstripe._disk.outputs import is_stream
from pinstripe.bulk import fan_out
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._failures import CallFailedError
from pinstripe.cli._interrupt import run_interruptible
from pinstripe.cli._progress import progress_bar, progress_console
from pinstripe.cli._quotes.output import (
    Answer,
    Kept,
    Replacement,
    ResumeError,
    find_kept,
    open_output,
    read_answers,
)
from pinstripe.cli._quotes.queries import Query
from pinstripe.cli._quotes.rows import QuoteOutcome, Rows
from pinstripe.cli._quotes.source import Source
from pinstripe.cli._quotes.stop import REFUSED, Settled, StopError
from pinstripe.cli._status import BROKEN_PIPE, INTERRUPTED
from pinstripe.cli._words import place, say
from pinstripe.crypto import Quotes


class _OutputError(Exception):
    """Rows cannot be written; what was written before them is complete."""


@frozen
class Run:
    """One run of the command.

    Attributes:
        path: The output; None for standard output.
        rows: Its format.
        source: The input.
        total: How many queries it has.
        concurrency: How many calls may be in flight at once.
        sandbox: Whether to ask the embedded sandbox.
        resume: Whether to keep what an earlier run wrote.
        retry_failed: Whether to ask again for what failed then.
    """

    path: Path | None
    rows: Rows
    source: Source
    total: int
    concurrency: int
    sandbox: bool
    resume: bool
    retry_failed: bool


@frozen
class _Part:
    """One part of a run.

    Attributes:
        total: How many queries make its progress bar full.
        before: How many of them were done before.
        write: Writes the rows of an outcome.
    """

    total: int
    before: int
    write: Callable[[QuoteOutcome], Awaitable[None]]


@define
class _Done:
    """How many queries have their rows in the output, and how many of them failed."""

    queries: int = 0
    failed: int = 0


def execute(run: Run) -> int:
    """Ask for what is left to do, and report how that ended; return the exit status.

    Args:
        run: What to do.

    Raises:
        BadInput: The output is of another input, or cannot be opened; nothing was sent.
        ClickException: The run has no use, or rows cannot be written.
    """
    done = _Done()
    resumable = run.path is not None and not is_stream(run.path)
    hint = "the same command with --resume does the rest"
    try:
        if run.retry_failed:
            _retry_failed(run, done)
        _ask_rest(run, done)
    except KeyboardInterrupt:
        more = f" {hint.capitalize()}." if resumable else ""
        say(f"Stopped after {done.queries:,} of {run.total:,} queries.{more}")
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except StopError as error:
        so_far = f"{done.queries:,} of {run.total:,} queries are written"
        more = f"; {hint}" if resumable else ""
        raise CallFailedError(f"{error}. Stopped: {so_far}{more}", error.status, {}) from None
    except _OutputError as error:
        so_far = f"{done.queries:,} of {run.total:,} queries are written"
        raise click.ClickException(f"{so_far}, and no more can be: {error}") from None
    again = ": --retry-failed asks again" if resumable else ""
    failed = f", {done.failed:,} failed{again}" if done.failed else ""
    say(f"{run.total:,} queries {place(run.path)}{failed}")
    return 1 if done.failed else 0


def _retry_failed(run: Run, done: _Done) -> None:
    """Ask again for the queries whose rows report an error, and replace these rows."""
    assert run.path is not None
    if not run.path.exists():
        return
    try:
        with run.path.open("rb") as old:
            for answer in read_answers(old, run.rows, run.source.queries()):
                done.queries += 1
                done.failed += answer.failed
    except (OSError, ResumeError) as error:
        raise _other_output(run.path, error) from None
    if not done.failed:
        return
    failed, client = done.failed, _client(run)
    waiting: deque[Answer] = deque()

    def again(old: BinaryIO) -> Iterator[Query]:
        for answer in read_answers(old, run.rows, run.source.queries()):
            if answer.failed:
                waiting.append(answer)
                yield answer.query

    try:
        with run.path.open("rb") as old, Replacement(run.path) as new:

            async def write(outcome: QuoteOutcome) -> None:
                new.replace(waiting.popleft(), run.rows.encode(outcome))
                done.failed -= outcome.ok

            run_interruptible(_ask(client, run, again(old), _Part(failed, 0, write)))
    except OSError as error:
        raise _OutputError(f"{error.strerror}; {run.path} is as it was") from None


def _ask_rest(run: Run, done: _Done) -> None:
    """Ask for the queries that have no rows yet, and append these."""
    kept, queries = Kept(), run.source.queries()
    if run.resume and run.path is not None and run.path.exists():
        try:
            with run.path.open("rb") as old:
                kept, queries = find_kept(old, run.rows, queries)
        except (OSError, ResumeError) as error:
            raise _other_output(run.path, error) from None
    done.queries, done.failed = kept.queries, kept.failed
    # The client comes first: a missing key must not empty the output.
    client = _client(run)
    try:
        output = open_output(run.path, kept)
    except OSError as error:
        raise BadInput(f"the output cannot be opened: {error}") from None

    async def write(outcome: QuoteOutcome) -> None:
        await _write(output, run.rows.encode(outcome))
        done.queries += 1
        done.failed += not outcome.ok

    async def work() -> None:
        if not kept.size:
            await _write(output, run.rows.header)
        await _ask(client, run, queries, _Part(run.total, kept.queries, write))

    with output:
        run_interruptible(work())


def _other_output(path: Path, error: Exception) -> BadInput:
    hint = "give another name, or use --overwrite without --resume"
    return BadInput(f"{path}:{error}; nothing was changed: {hint}")


def _client(run: Run) -> AsyncClient | None:
    """Return a client; None for the sandbox, which makes its own."""
    if run.sandbox:
        return None
    limits = Limits(max_in_flight=run.concurrency)
    return open_client("; with --sandbox no key is needed", limits=limits)


@asynccontextmanager
async def _opened(client: AsyncClient | None, run: Run) -> AsyncGenerator[AsyncClient, None]:
    if client is not None:
        async with client:
            yield client
        return
    from pinstripe.sandbox import Sandbox  # noqa: PLC0415 -- slow, so only when a command needs it

    limits = Limits(max_in_flight=run.concurrency)
    async with Sandbox() as sandbox, sandbox.client(limits=limits) as embedded:
        yield embedded


async def _ask(client: AsyncClient | None, run: Run, queries: Iterator[Query], part: _Part) -> None:
    """Ask for quotes, and write the outcomes in the order of the queries."""
    refusal: Exception | None = None

    async with _opened(client, run) as opened:

        async def ask(query: Query) -> Quotes:
            nonlocal refusal
            if refusal is not None:  # calls that are not sent yet would be refused too
                raise refusal
            try:
                return await opened.crypto.onramp_quotes.retrieve(**query.params)
            except REFUSED as error:
                refusal = error
                raise

        settled = Settled()
        console = progress_console(rows_to_terminal=run.path is None and sys.stdout.isatty())
        with progress_bar("Quotes", part.total, part.before, console) as show:
            outcomes = fan_out(ask, queries, concurrency=run.concurrency, on_progress=show)
            async with aclosing(outcomes):
                async for outcome in outcomes:
                    for ready in settled.add(outcome):
                        await part.write(ready)
            for ready in settled.rest():
                await part.write(ready)


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
