"""A list read to its end, and its rows written batch by batch.

The list is read in the event loop of the caller, and everything that waits for a disk runs in a
thread. What earlier runs left beside the output decides at which object an export starts:

- nothing: at the first object;
- an unfinished export: after the last object of its checkpoint, with `resume`;
- a finished output whose run was killed while it cleaned up: at the cleaning up, with `resume`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, evolve, field, frozen

from pinstripe._core.checks import check_flag, check_whole_number, kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import call_user_code, hide_frames
from pinstripe._disk.outputs import is_stream, target_of
from pinstripe._disk.source import path_of
from pinstripe._models.record import Identified
from pinstripe._resources.pager import WINDOWS, Pager, reader_of
from pinstripe._resources.parallel import bounds_of
from pinstripe._resources.walk import PAGE_SIZE
from pinstripe.export._columns import columns_of_list
from pinstripe.export._formats import Format, RowEncoder, encoder_for, format_of
from pinstripe.export._objects import is_address, local_path, path_in, uploaded_file
from pinstripe.export._partial import NO_FILE, Checkpoint, PartialFile
from pinstripe.export._stream import StreamFile, stream_at
from pinstripe.export._threads import finish_in_thread, then_clean_up

BATCH = 1_000
"""Objects that are encoded and written together: few enough for the memory, many enough for a
change of thread and a sync of the disk."""

_READER_INTERVAL = 0.05
"""Seconds between two looks whether somebody reads a named pipe."""

_L = TypeVar("_L", bound=Identified)


@frozen
class ExportProgress:
    """How far an export has come.

    Attributes:
        items: Objects read so far, including those of earlier runs.
        fraction: Which part of the whole that is, by its time or number, from 0 to 1; None if
            neither `created` has a lower bound nor `max_items` is given.
    """

    items: int
    fraction: float | None


@frozen
class ExportSettings:
    """How an export is written; see `to_file`."""

    format: Format
    reveal: bool
    resume: bool
    overwrite: bool
    escape_formulas: bool


@hide_frames
async def to_file(
    pager: Pager[_L],
    output: str | os.PathLike[str],
    *,
    format: Format | None = None,
    reveal: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    escape_formulas: bool = False,
    windows: int = WINDOWS,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> int:
    """Write all objects of a list to a file, and return their number.

    See `pinstripe.export` for what is in the file.

    Args:
        pager: The list, as `list(...)` returns it; it must walk from newer objects to older ones.
            With `skip_unfit`, the export goes on where an object does not fit its class.
        output: The file, which appears when it is complete, or an address in an object store, such
            as `s3://bucket/sessions.parquet`. What is no plain file, such as a pipe or a device, is
            written to as the rows come.
        format: "jsonl", "csv" or "parquet"; by the ending of the file's name by default. Parquet
            needs pyarrow.
        reveal: Whether private fields are written too.
        resume: Whether to resume an unfinished export of the same list; without one, the export
            starts at the first object.
        overwrite: Whether the output may replace an existing file. Without `resume`, this also
            discards an unfinished export. A resumed export keeps this permission.
        escape_formulas: Whether texts of a CSV that a spreadsheet would run get an apostrophe in
            front.
        windows: How many requests may be in flight at once, up to 256.
        on_progress: A plain function, called in the event loop after each hundred objects.

    Raises:
        ConfigurationError: An argument is wrong, the output exists already, another run is
            writing it, pyarrow is missing, or the unfinished export is of something else; nothing
            was sent.
        DecodeError: A value does not fit into its column exactly.
        UnfitError: An object does not fit its class; to go on without it, `resume` with a list that
            has `skip_unfit`.
        PinstripeError: The list could not be read to its end; `resume` does the rest.
        FileExistsError: Another file took the name during the export; `resume` with `overwrite`
            replaces it.
        OSError: The file cannot be written; `resume` does the rest.
    """
    if not isinstance(pager, Pager):
        problem = f"must be what a list call returns, not {kind_of(pager)}"
        raise ConfigurationError("pager", problem)
    flags = {
        "reveal": reveal,
        "resume": resume,
        "overwrite": overwrite,
        "escape_formulas": escape_formulas,
    }
    for name, flag in flags.items():
        check_flag(name, flag)
    check_whole_number("windows", windows)
    if on_progress is not None and not callable(on_progress):
        raise ConfigurationError("on_progress", "must be a plain function")
    place = _place(output)
    # By the name as it is given, also if that is a link.
    form = format_of(format, place if isinstance(place, Path) else path_in(place))
    settings = ExportSettings(form, reveal, resume, overwrite, escape_formulas)
    file = await finish_in_thread(output_at, place)
    return await write_to(file, pager, settings, windows, on_progress)


async def write_to(
    file: PartialFile | StreamFile,
    pager: Pager[Any],
    settings: ExportSettings,
    windows: int,
    on_progress: Callable[[ExportProgress], object] | None,
) -> int:
    """Write all objects of a list to an output, and return their number; see `to_file`."""

    async def export() -> int:
        # In a thread, since it looks at files and since the import of pyarrow takes long.
        run = await finish_in_thread(_prepare, pager, file, settings)
        # `parallel` checks `windows`, so it comes before the files of an earlier run are discarded.
        is_parallel = reader_of(run.pager).walk.can_be_parallel
        items = run.pager.parallel(windows) if is_parallel else aiter(run.pager)
        if run.checkpoint.output_identity is None:
            finish = run.encoder.finish
            # Nothing reports that somebody begins to read a named pipe.
            while not await finish_in_thread(file.open, run.checkpoint, finish):  # noqa: ASYNC110
                await asyncio.sleep(_READER_INTERVAL)
            await then_clean_up(run.write_all(items, on_progress), run.write_rest)
        await finish_in_thread(run.publish)
        return run.checkpoint.items

    return await then_clean_up(export(), file.release)


def _place(output: str | os.PathLike[str]) -> Path | str:
    if is_address(output):
        return str(output)
    # It stays the same if the process changes its folder.
    path = (local_path("output", output) or path_of("output", output)).absolute()
    if not path.name:
        raise ConfigurationError("output", NO_FILE)
    return path


def output_at(place: Path | str) -> PartialFile | StreamFile:
    """Return the output that a path or an address leads to.

    Args:
        place: The path; or, as text, the address in an object store.

    Raises:
        ConfigurationError: It leads nowhere.
        OSError: What waits for the upload cannot be kept on this machine.
    """
    if isinstance(place, str):
        return uploaded_file(place)
    path = place.absolute()
    if is_stream(path):
        return stream_at(path)
    try:
        return PartialFile(target_of(path))
    except OSError:
        raise ConfigurationError("output", NO_FILE) from None


def _prepare(
    pager: Pager[Any], file: PartialFile | StreamFile, settings: ExportSettings
) -> _Export:
    """Check the arguments, lock the output, and decide at which object to start."""
    reader = reader_of(pager)
    if reader.walk.direction == "ending_before":
        raise ConfigurationError("pager", "must go from the newest object on, not backwards")
    form = settings.format
    columns = columns_of_list(reader, reveal=settings.reveal)
    encoder = encoder_for(form, columns, escape_formulas=settings.escape_formulas)

    # What two runs of one export have in common. The checkpoint has a digest of it, since filters
    # can be private.
    request = reader.walk.request
    names = [column.name for column in columns]
    limit, escaped = reader.walk.remaining, settings.escape_formulas
    facts = request.path, request.query, limit, form, names, escaped
    source = hashlib.sha256(repr(facts).encode()).hexdigest()
    checkpoint = file.begin(source, resume=settings.resume, overwrite=settings.overwrite)

    rest = reader
    if checkpoint.last is not None:
        rest = reader_of(reader.resume_after(checkpoint.last, checkpoint.items))
    pager = rest.without_bodies()
    report = reader.walk.on_unfit
    if report is not None:
        pager = pager.skip_unfit(lambda error: call_user_code(report, error))
    return _Export(pager, file, encoder, checkpoint, reader.walk.remaining)


@define(eq=False)
class _Export:
    """An export under way.

    Attributes:
        pager: The objects that are left to read.
        file: Its unfinished output.
        encoder: Its format.
        checkpoint: How far it is written.
        max_items: How many objects all runs write at most; None for all.
    """

    pager: Pager[Any]
    file: PartialFile | StreamFile
    encoder: RowEncoder
    checkpoint: Checkpoint
    max_items: int | None
    _batch: list[Any] = field(factory=list[Any], init=False)

    async def write_all(
        self,
        items: AsyncGenerator[Any, None],
        report: Callable[[ExportProgress], object] | None,
    ) -> None:
        """Write full batches of objects; `write_rest` writes the last batch."""
        if self.checkpoint.items == self.max_items:
            return
        async with aclosing(items):
            async for item in items:
                self._batch.append(item)
                if len(self._batch) == BATCH:
                    await finish_in_thread(self._write_batch)
                if report is not None and len(self._batch) % PAGE_SIZE == 0:
                    call_user_code(report, self._progress(item))

    def write_rest(self) -> None:
        """Write what was read last, also after an error or a cancellation."""
        if self._batch:
            self._write_batch()

    def publish(self) -> None:
        """Make the output; an empty list gives a file too."""
        if not self.file.exists:
            self._write_batch()
        self.file.publish(self.encoder.finish, self.checkpoint)

    def _write_batch(self) -> None:
        """Write the objects that were read since the last batch, and a header before the first."""
        batch, self._batch = self._batch, []
        data = b"" if self.checkpoint.size else self.encoder.header()
        if batch:
            data += self.encoder.encode(batch)
        checkpoint = evolve(
            self.checkpoint,
            size=self.checkpoint.size + len(data),
            items=self.checkpoint.items + len(batch),
        )
        if batch:
            newest = checkpoint.newest
            newest = _second(batch[0]) if newest is None else newest
            checkpoint = evolve(checkpoint, last=batch[-1].id, newest=newest)
        self.file.write(data, checkpoint)
        self.checkpoint = checkpoint

    def _progress(self, item: Any) -> ExportProgress:
        """Return how far the export is when `item` is the last object read."""
        items = self.checkpoint.items + len(self._batch)
        if self.max_items is not None:
            return ExportProgress(items, items / self.max_items)
        # Without a number, the time is the measure: the walk goes from the newest object down to
        # the lower bound of `created`.
        newest = self.checkpoint.newest or _second(self._batch[0] if self._batch else item)
        oldest, _ = bounds_of(reader_of(self.pager).walk.params.get("created"))
        here = _second(item)
        if newest is None or oldest is None or here is None:
            return ExportProgress(items, None)
        return ExportProgress(items, (newest - here) / max(1, newest - oldest))


def _second(item: Any) -> int | None:
    """Return the second in which an object was created, if it has such a time."""
    created = getattr(item, "created", None)
    return int(created.timestamp()) if isinstance(created, datetime) else None
