"""Has a router handle the events that it missed.

The router is imported, as a server imports an app, so that the same handlers run under the same
claims. The events are not sent to a URL: the app would see them under a signature of today, and
only the router knows what was handled.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from operator import attrgetter
from typing import Any

from pinstripe._client import AsyncClient
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._core.tracebacks import hide_frames
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._failures import failure_of
from pinstripe.cli._interrupt import run_interruptible
from pinstripe.cli._progress import export_bar, progress_console
from pinstripe.cli._status import INTERRUPTED, REFUSED
from pinstripe.cli._words import say
from pinstripe.export import ExportProgress
from pinstripe.webhooks import CatchUpReport, Router

_IDS_SHOWN = 10


def run_replay(router: str, **settings: Any) -> int:
    """Replay, and return the exit status.

    Args:
        router: As of the command.
        settings: The other options of the command, as of `Router.catch_up`.

    Raises:
        BadInput: The usage or the environment is wrong.
        CallFailedError: The log could not be read to its end.
    """
    loaded, report = _load(router), CatchUpReport()
    client = open_client()

    def note(now: CatchUpReport) -> None:
        nonlocal report
        report = now

    try:
        report = run_interruptible(_replay(client, loaded, settings, note))
    except KeyboardInterrupt:
        say(f"Stopped: {_summary(report)}")
        return INTERRUPTED
    except ConfigurationError as error:
        raise BadInput(error.message) from None
    except PinstripeError as error:
        raise failure_of(error, f"{error}; {_summary(report)}") from None
    say(_summary(report))
    return 0 if report.is_complete else REFUSED


def _load(text: str) -> Router:
    """Import the router that is named."""
    module, _, name = text.partition(":")
    if not module or not name:
        raise BadInput(f"MODULE:ROUTER must be like app:router, not {text}")
    # A command that is installed starts without the current folder on the path.
    sys.path.insert(0, "")
    try:
        found = import_module(module)
    except Exception as error:  # noqa: BLE001 -- the module's own code raised it
        place = traceback.extract_tb(error.__traceback__)[-1]
        at = f" ({place.filename}:{place.lineno})" if place.filename.endswith(".py") else ""
        problem = f"{type(error).__name__}: {error}{at}"
        raise BadInput(f"{module} cannot be imported: {problem}") from None
    router: object = None
    with suppress(AttributeError):
        router = attrgetter(name)(found)
    if not isinstance(router, Router):
        raise BadInput(f"{module} has no Router with the name {name}")
    return router


@hide_frames
async def _replay(
    client: AsyncClient,
    router: Router,
    settings: dict[str, Any],
    note: Callable[[CatchUpReport], None],
) -> CatchUpReport:
    async with client:
        try:
            with export_bar("events", progress_console()) as show:

                def on_progress(now: CatchUpReport) -> None:
                    note(now)
                    fraction = _fraction(now, settings["since"], settings["until"])
                    show(ExportProgress(now.total, fraction))

                return await router.catch_up(client, on_progress=on_progress, **settings)
        finally:
            await router.store.close_for_loop()


def _fraction(
    report: CatchUpReport, since: datetime | None, until: datetime | None
) -> float | None:
    """Return which part of its time a run has done; None if it has no known start."""
    if since is None or report.reached is None:
        return None
    end = time.time() if until is None else until.timestamp()
    whole = max(1.0, end - since.timestamp())
    return min(1.0, (report.reached - since).total_seconds() / whole)


def _summary(report: CatchUpReport) -> str:
    """Return what a run has done, and how to do the rest."""
    names = ("handled", "duplicate", "stale", "ignored", "busy", "failed")
    counts = [f"{count:,} {name}" for name in names if (count := getattr(report, name))]
    text = f"{report.total:,} events{': ' if counts else ''}{', '.join(counts)}."
    if report.left:
        more = ", …" if report.busy + report.failed > _IDS_SHOWN else ""
        text += f" Left to do: {', '.join(report.left[:_IDS_SHOWN])}{more}."
    return f"{text} Resume with --after {report.after}." if report.after else text
