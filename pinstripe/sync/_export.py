"""Exports without await: the loop writes the file, the caller waits and is told how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pinstripe._concurrency.loop_local import LoopAffinity
from pinstripe._concurrency.tasks import cancel_and_wait, join, start
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import call_user_code, hide_frames
from pinstripe._resources import pager as _pager
from pinstripe.sync._pager import Pager

if TYPE_CHECKING:
    import os

    from pinstripe.export import ExportProgress
    from pinstripe.export._formats import Format


class _Export:
    """An export under way."""

    def __init__(
        self, pager: _pager.Pager[Any], output: str | os.PathLike[str], settings: dict[str, Any]
    ) -> None:
        self._pager = pager
        self._output = output
        self._settings = settings
        self._task: asyncio.Task[int] | None = None
        self._reports: list[ExportProgress] = []
        self._news = asyncio.Event()
        self._home = LoopAffinity("export", "leave it to that one")

    async def next_reports(self) -> list[ExportProgress]:
        """Wait for news of it and return them; none at its end."""
        self._home.bind()
        if self._task is None:
            self._task = start(self._begin)
            self._task.add_done_callback(lambda _: self._news.set())
        await self._news.wait()
        if not self._task.done():
            self._news.clear()
        reports, self._reports = self._reports, []
        return reports

    async def _begin(self) -> int:
        from pinstripe.export import to_file  # noqa: PLC0415 -- slow, so only when needed

        if self._settings["on_progress"] is not None:
            self._settings["on_progress"] = self._note
        return await to_file(self._pager, self._output, **self._settings)

    def _note(self, now: ExportProgress) -> None:
        self._reports.append(now)
        self._news.set()

    async def result(self) -> int:
        """Return how many objects were written, or raise what ended it."""
        assert self._task is not None
        return await join(self._task)

    async def aclose(self) -> None:
        """Stop it where it still runs; what was read is written."""
        if self._task is not None and not self._task.done() and not self._home.is_elsewhere():
            await cancel_and_wait([self._task])


def _ignore(_: ExportProgress) -> None:
    return


@hide_frames
def to_file(
    pager: Pager[Any],
    output: str | os.PathLike[str],
    *,
    format: Format | None = None,
    reveal: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    windows: int = _pager.WINDOWS,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> int:
    """Write all objects of a list to a file, and return how many they are.

        export(stripe.identity.verification_sessions.list(), "sessions.parquet")

    See `pinstripe.export` for what is in the file.

    Args:
        pager: The list, as `list(...)` of a `Client` gives it; it goes from the newest object on.
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
        on_progress: Called in this thread for each hundred objects.

    Raises:
        ConfigurationError: An argument is wrong, the output is there already, another run is
            writing it, pyarrow is missing, or what is to be resumed is something else; nothing
            was sent.
        DecodeError: A value does not fit into its column exactly.
        PinstripeError: The list could not be read to its end; `resume` goes on.
        FileExistsError: Another file took the name meanwhile; `resume` with `overwrite` replaces
            it.
        OSError: The file cannot be written; `resume` goes on.
        Exception: What `on_progress` raised; `resume` goes on.
    """
    if not isinstance(pager, Pager):
        raise ConfigurationError("pager", "must be what a list of a Client gives")
    settings: dict[str, Any] = {
        "format": format,
        "reveal": reveal,
        "resume": resume,
        "overwrite": overwrite,
        "windows": windows,
        "on_progress": on_progress,
    }
    report = on_progress or _ignore
    crossing = pager._bridge  # noqa: SLF001 -- own
    work = _Export(pager._twin, output, settings)  # noqa: SLF001 -- own
    try:
        while reports := crossing.run(work.next_reports):
            for now in reports:
                call_user_code(report, now)
        return crossing.run(work.result)
    except BaseException:
        crossing.run(work.aclose)
        raise
