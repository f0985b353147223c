"""Exports: a list of the API as a file of JSON lines, CSV or Parquet.

    sessions = stripe.identity.verification_sessions.list(status="verified")
    await pinstripe.export.export(sessions, "sessions.parquet")

The list is walked by windows of `created` where it has that filter. The columns follow from the
model: names of nested fields joined by dots, the same for every export of a resource. Private
fields, such as what a person's document says, are left out unless `reveal` asks for them: a file
travels further than a value in memory does.

The output appears when it is whole. Until then the rows stand in a hidden file beside it, from
which `resume` goes on, whatever ended the run before. A run that may replace an output leaves that
alone until then, and one that goes on with it may replace it too.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

from attrs import define, evolve, field, frozen
from typing_extensions import ParamSpec

from pinstripe._concurrency.tasks import wait_uncancelled
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import FRAMELESS, call_user_code, hide_frames
from pinstripe._models.record import Listed
from pinstripe._resources.pager import WINDOWS, Pager, reader_of
from pinstripe._resources.parallel import bounds_of
from pinstripe._resources.walk import PAGE_SIZE
from pinstripe.export._columns import Column, columns_of
from pinstripe.export._formats import Format, Rows, format_of, rows_for
from pinstripe.export._partial import Checkpoint, PartialFile

BATCH = 1_000
"""Objects that are written at once."""

_NO_FILE = "must be a file in a folder that is there"

_P = ParamSpec("_P")
_T = TypeVar("_T")
_L = TypeVar("_L", bound=Listed)


@frozen
class ExportProgress:
    """How far an export has come.

    Attributes:
        items: Objects read so far, those of earlier runs with them.
        fraction: Which part of the whole that is, by its time or number, from 0 to 1; None where
            neither `created` has a lower bound nor `max_items` is given.
    """

    items: int
    fraction: float | None


@hide_frames
async def to_file(
    pager: Pager[_L],
    output: str | os.PathLike[str],
    *,
    format: Format | None = None,
    reveal: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    windows: int = WINDOWS,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> int:
    """Write all objects of a list to a file, and return how many they are.

    Args:
        pager: The list, as `list(...)` gives it; it goes from the newest object on.
        output: The file, which appears when it is whole.
        format: "jsonl", "csv" or "parquet"; by the ending of the file's name by default. Parquet
            needs pyarrow.
        reveal: Whether private fields are written too.
        resume: Go on from where an unfinished export of the same list stopped; from the start
            where there is none.
        overwrite: Whether the output may replace a file that is there. An unfinished export is
            begun anew, unless `resume` is given too. One that is gone on with keeps this
            permission.
        windows: How many requests may be under way at once, up to 256.
        on_progress: A plain function, called in the event loop after each hundred objects.

    Raises:
        ConfigurationError: An argument is wrong, the output is there already, another run is
            writing it, pyarrow is missing, or what is to be resumed is something else; nothing
            was sent.
        DecodeError: A value does not fit into its column exactly.
        PinstripeError: The list could not be read to its end; `resume` goes on.
        FileExistsError: Another file took the name meanwhile; `resume` with `overwrite` replaces
            it.
        OSError: The file cannot be written; `resume` goes on.
    """
    part = PartialFile(_path(output))
    prepare = partial(
        _prepare, pager, part, format, reveal=reveal, resume=resume, overwrite=overwrite
    )
    return await _and_at_last(_export(prepare, windows, on_progress), part.release)


async def _export(
    prepare: Callable[[], _Run], windows: int, report: Callable[[ExportProgress], object] | None
) -> int:
    # In a thread, since it looks at files, and pyarrow alone takes long to import.
    run = await _finished(prepare)
    items = _items(run.pager, windows)
    if not run.is_published:
        await _finished(run.begin)
        await _and_at_last(run.write_all(items, report), run.end)
    await _finished(run.publish)
    return run.mark.items


def _path(output: str | os.PathLike[str]) -> Path:
    if not isinstance(output, (str, os.PathLike)):
        raise ConfigurationError("output", f"must be a path, not a {type(output).__name__}")
    path = Path(output).absolute()  # which stays the same if the process changes its folder
    if not path.name:
        raise ConfigurationError("output", _NO_FILE)
    return path


def _prepare(
    pager: Pager[Any],
    part: PartialFile,
    format: str | None,
    *,
    reveal: bool,
    resume: bool,
    overwrite: bool,
) -> _Run:
    if not part.output.parent.is_dir() or part.output.is_dir():
        raise ConfigurationError("output", _NO_FILE)
    reader = reader_of(pager)
    if reader.walk.direction == "ending_before":
        raise ConfigurationError("pager", "must go from the newest object on, not backwards")
    form = format_of(format, part.output)
    columns = columns_of(get_args(reader.walk.endpoint.model)[0], reveal=reveal)
    rows = rows_for(form, columns)
    part.claim()  # before anything is decided by what is there
    mark = _mark_of(part, _digest(pager, form, columns), resume=resume, overwrite=overwrite)
    rest = pager if mark.last is None else reader.resume_after(mark.last, mark.items)
    return _Run(reader_of(rest).without_bodies(), part, rows, mark, reader.walk.remaining)


def _mark_of(part: PartialFile, source: str, *, resume: bool, overwrite: bool) -> Checkpoint:
    """Return where a run starts from, if it may."""
    if part.is_there and not (resume or overwrite):
        raise ConfigurationError("output", "was begun by an earlier run: resume, or overwrite")
    mark = part.read_mark(source) if resume and part.is_there else Checkpoint(source)
    mark = evolve(mark, overwrite=overwrite or mark.overwrite)
    if os.path.lexists(part.output) and not (mark.overwrite or mark.output_identity):
        raise ConfigurationError("output", "is there already: give another name, or overwrite")
    return mark


def _digest(pager: Pager[Any], form: Format, columns: Sequence[Column]) -> str:
    """Return what tells one export from another; filters, which may be private, stay unseen."""
    walk = reader_of(pager).walk
    request = walk.request
    names = [column.name for column in columns]
    facts = request.path, request.query, walk.remaining, form, names
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _items(pager: Pager[_L], windows: int) -> AsyncGenerator[_L, None]:
    """Return the walk that serves a list best."""
    return pager.parallel(windows) if "created" in reader_of(pager).walk.params else aiter(pager)


@define(eq=False)
class _Run:
    """An export under way."""

    pager: Pager[Any]
    part: PartialFile
    rows: Rows
    mark: Checkpoint
    max_items: int | None
    _batch: list[Any] = field(factory=list[Any], init=False)

    @property
    def is_published(self) -> bool:
        """Whether an earlier run was killed when it had published the output."""
        return self.mark.output_identity is not None

    def begin(self) -> None:
        """Open the part; one of an export that is not gone on with is done away with."""
        self.part.open(self.mark)

    async def write_all(
        self,
        items: AsyncGenerator[Any, None],
        report: Callable[[ExportProgress], object] | None,
    ) -> None:
        """Write what a walk gives, batch by batch; `end` writes the last one."""
        if self.mark.items == self.max_items:
            return
        async with aclosing(items):
            async for item in items:
                self._batch.append(item)
                if len(self._batch) == BATCH:
                    await _finished(self._flush)
                if report is not None and len(self._batch) % PAGE_SIZE == 0:
                    call_user_code(report, self._progress(item))

    def end(self) -> None:
        """Write what was read last."""
        if self._batch:
            self._flush()

    def _flush(self) -> None:
        """Write the rows that were read since, and the header before the first ones."""
        batch, self._batch = self._batch, []
        head = b"" if self.mark.size else self.rows.header()
        data = head + (self.rows.encode(batch) if batch else b"")
        mark = evolve(
            self.mark, size=self.mark.size + len(data), items=self.mark.items + len(batch)
        )
        if batch:
            newest = _second(batch[0]) if mark.newest is None else mark.newest
            mark = evolve(mark, last=batch[-1].id, newest=newest)
        self.part.write(data, mark)
        self.mark = mark

    def publish(self) -> None:
        """Make the output of the part; an empty list is one too."""
        if not self.part.is_there:
            self._flush()
        self.part.publish(self.rows.finish, self.mark)

    def _progress(self, item: Any) -> ExportProgress:
        items = self.mark.items + len(self._batch)
        if self.max_items is not None:
            return ExportProgress(items, items / self.max_items)
        newest = self.mark.newest or _second(self._batch[0] if self._batch else item)
        oldest, _ = bounds_of(reader_of(self.pager).walk.params.get("created"))
        here = _second(item)
        if newest is None or oldest is None or here is None:
            return ExportProgress(items, None)
        return ExportProgress(items, (newest - here) / max(1, newest - oldest))


def _second(item: Any) -> int | None:
    created = getattr(item, "created", None)
    return int(created.timestamp()) if isinstance(created, datetime) else None


async def _finished(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a function in a thread; a cancellation waits until it has returned.

    What the function raises then is the cause of the cancellation.
    """
    work = partial(function, *args, **kwargs)
    # No task, which the end of an event loop would cancel, while the thread went on.
    running = asyncio.get_running_loop().run_in_executor(None, _telling, work)
    try:
        await wait_uncancelled([running])
    except asyncio.CancelledError as cancelled:
        if (error := running.exception()) is not None:
            raise cancelled from _without_frames(error)
        raise
    return running.result()


async def _and_at_last(work: Awaitable[_T], function: Callable[[], None]) -> _T:
    """Wait for some work, and run a function in a thread after it, as `finally` would.

    But a cancellation that ends the work stays one: an error of the function is its cause.
    """
    try:
        result = await work
    except BaseException as ending:
        try:
            await _finished(function)
        except Exception as error:
            if isinstance(ending, asyncio.CancelledError):
                raise ending from _without_frames(error)
            _without_frames(ending)
            raise
        raise
    await _finished(function)
    return result


def _telling(work: Callable[[], _T]) -> _T:
    """Work in a thread; errors that one that tells all came after are left without frames."""
    try:
        return work()
    except FRAMELESS as error:
        before = error.__context__
        while before is not None:
            before = before.with_traceback(None).__context__
        raise


def _without_frames(error: BaseException) -> BaseException:
    """Return an error to be shown under another one, without what its frames would show."""
    return error.with_traceback(None) if isinstance(error, FRAMELESS) else error
