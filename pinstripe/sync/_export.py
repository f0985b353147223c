"""Exports without await: the event loop writes the file, the caller's thread hears of progress.

The export is one task on the loop. The caller's thread waits there until the task has reports or
has ended, comes back with the reports, calls `on_progress` with each, and goes to wait again. The
task does not wait for `on_progress`. Whatever ends the wait early, such as Ctrl-C or an error of
`on_progress`, cancels the task, which then writes the objects that it has read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from pinstripe._concurrency.loop_local import LoopAffinity
from pinstripe._concurrency.tasks import cancel_and_wait, join, start
from pinstripe._core.errors import ConfigurationError, UnfitError
from pinstripe._core.forks import no_fork
from pinstripe._core.tracebacks import call_user_code, hide_frames
from pinstripe._resources.pager import WINDOWS, reader_of
from pinstripe._resources.pager import Pager as AsyncPager
from pinstripe.sync._pager import Pager

if TYPE_CHECKING:
    import os

    from pinstripe.export import ExportProgress
    from pinstripe.export._formats import Format


class _ExportTask:
    """An export under way; all its methods run on the loop."""

    def __init__(
        self, pager: AsyncPager[Any], output: str | os.PathLike[str], settings: dict[str, Any]
    ) -> None:
        self._pager = pager
        self._output = output
        self._settings = settings
        self._task: asyncio.Task[int] | None = None
        self._reports: list[ExportProgress | UnfitError] = []
        self._changed = asyncio.Event()
        self._home = LoopAffinity("export", "leave it to that one")

    async def next_reports(self) -> list[ExportProgress | UnfitError]:
        """Wait for reports and return them; none if the export has ended."""
        self._home.bind()
        if self._task is None:
            self._task = start(self._write)
            self._task.add_done_callback(lambda _: self._changed.set())
        await self._changed.wait()
        # After its end the event stays set: no later wait may hang.
        if not self._task.done():
            self._changed.clear()
        reports, self._reports = self._reports, []
        return reports

    async def _write(self) -> int:
        with no_fork():
            from pinstripe.export import to_file  # noqa: PLC0415 -- slow, so only when needed

        if self._settings["on_progress"] is not None:
            self._settings["on_progress"] = self._add_report
        pager = self._pager
        if reader_of(pager).walk.on_unfit is not None:
            pager = pager.skip_unfit(self._add_report)
        return await to_file(pager, self._output, **self._settings)

    def _add_report(self, report: ExportProgress | UnfitError) -> None:
        self._reports.append(report)
        self._changed.set()

    async def result(self) -> int:
        """Return how many objects were written, or raise the error that ended it."""
        assert self._task is not None
        return await join(self._task)

    async def aclose(self) -> None:
        """Stop the export if it still runs; the objects that were read are written."""
        if self._task is not None and not self._task.done() and not self._home.is_elsewhere():
            await cancel_and_wait([self._task])


@hide_frames
def to_file(
    pager: Pager[Any],
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
    """Write all objects of a list to a file, and return how many they are.

        to_file(stripe.identity.verification_sessions.list(), "sessions.parquet")

    See `pinstripe.export` for what is in the file.

    Args:
        pager: The list, as `list(...)` of a `Client` gives it, from the newest object on. With
            `skip_unfit`, the export goes on where an object does not fit its class.
        output: The file, which appears when it is complete, or an address in an object store, such
            as `s3://bucket/sessions.parquet`. What is no plain file, such as a pipe or a device, is
            written to as the rows come.
        format: "jsonl", "csv" or "parquet"; by default the ending of the file's name decides.
            Parquet needs pyarrow.
        reveal: Whether to write private fields too.
        resume: Continue an unfinished export of the same list. If there is none, start from the
            beginning.
        overwrite: Whether the output may replace an existing file. Without `resume`, an unfinished
            export is discarded and started again. A resumed export keeps this permission.
        escape_formulas: Whether texts of a CSV that a spreadsheet would run get an apostrophe in
            front.
        windows: How many requests may be under way at once, up to 256.
        on_progress: Called in this thread for each hundred objects.

    Raises:
        ConfigurationError: An argument is wrong, the output exists already, another run is
            writing it, pyarrow is missing, or the export to resume is of another list; nothing
            was sent.
        DecodeError: A value does not fit into its column exactly.
        UnfitError: An object does not fit its class; to go on without it, `resume` with a list that
            has `skip_unfit`.
        PinstripeError: The list could not be read to its end; `resume` continues.
        FileExistsError: Another file took the name meanwhile; `resume` with `overwrite` replaces
            it.
        OSError: The file cannot be written; `resume` continues.
        Exception: `on_progress` raised it; `resume` continues.
    """
    if not isinstance(pager, Pager):
        problem = "must be what a list of a Client gives; for an AsyncClient use pinstripe.export"
        raise ConfigurationError("pager", problem)
    if on_progress is not None and not callable(on_progress):
        raise ConfigurationError("on_progress", "must be a function")
    settings: dict[str, Any] = {
        "format": format,
        "reveal": reveal,
        "resume": resume,
        "overwrite": overwrite,
        "escape_formulas": escape_formulas,
        "windows": windows,
        "on_progress": on_progress,
    }
    on_unfit = reader_of(pager._async).walk.on_unfit  # noqa: SLF001 -- of this wing
    bridge = pager._bridge  # noqa: SLF001 -- of this wing
    export = _ExportTask(pager._async, output, settings)  # noqa: SLF001 -- of this wing
    try:
        while reports := bridge.run(export.next_reports):
            for report in reports:
                callback = on_unfit if isinstance(report, UnfitError) else on_progress
                call_user_code(cast("Callable[[object], object]", callback), report)
        return bridge.run(export.result)
    except BaseException:
        bridge.run(export.aclose)
        raise
