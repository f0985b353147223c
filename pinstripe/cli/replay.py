"""`pinstripe replay`: the events that a router has missed, handled by the router itself.

The command imports the router, as a server imports an app, so that the same handlers run under the
same claims. It does not send the events to a URL: the app would see them under a signature of
today, and only the router knows what was handled.
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

import click

from pinstripe._client import AsyncClient
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._core.tracebacks import hide_frames
from pinstripe.cli._account import BadInput, open_client
from pinstripe.cli._interrupt import INTERRUPTED, run_interruptible
from pinstripe.cli._progress import export_bar, progress_console
from pinstripe.cli._times import TIME_EXAMPLES, in_utc
from pinstripe.cli._words import say
from pinstripe.export import ExportProgress
from pinstripe.webhooks import CatchUpReport, Router

_IDS_SHOWN = 10


@click.command(short_help="Have a router handle the events that it missed.")
@click.argument("router", metavar="MODULE:ROUTER")
@click.option(
    "--since",
    metavar="TIME",
    callback=in_utc,
    help=f"Begin with the events of then: {TIME_EXAMPLES}; in UTC if no offset is given.",
)
@click.option(
    "--until",
    metavar="TIME",
    callback=in_utc,
    help="End before then; by default at the end of the log.",
)
@click.option(
    "--after", metavar="ID", help="Begin after this event, in place of --since: resume a run."
)
@click.option(
    "--undelivered-only",
    is_flag=True,
    help="Only events that at least one endpoint of the account has not accepted.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="How many events may be handled at once; above 1 not strictly oldest first.",
)
def replay(*, router: str, since: datetime | None, **settings: Any) -> int:
    """Handle every event of the account's log that the router has not handled, oldest first.

    ROUTER is the name of a router in MODULE, which is imported from the current folder, as in
    app:router. Its store says which events were handled, and must be one that outlives a process.
    The events go to the handlers of the router under the claims of deliveries, so that none is
    handled twice while deliveries arrive. The API keeps events for 30 days.

    The key is read from STRIPE_API_KEY. If PINSTRIPE_BASE_URL is set, the sandbox at that address
    is asked in place of Stripe.

    The exit status is 0 if nothing is left to do; 1 if events failed or were handled by somebody
    else all the time, or the log could not be read to the end; 2 if the usage or the environment
    is wrong, and nothing was sent; 130 after Ctrl-C. The last line says how to resume.
    """
    loaded, report = _load(router), CatchUpReport()
    client = open_client()

    def note(now: CatchUpReport) -> None:
        nonlocal report
        report = now

    try:
        report = run_interruptible(_replay(client, loaded, {"since": since, **settings}, note))
    except KeyboardInterrupt:
        say(f"Stopped: {_summary(report)}")
        return INTERRUPTED
    except ConfigurationError as error:
        raise BadInput(error.message) from None
    except PinstripeError as error:
        raise click.ClickException(f"{error}; {_summary(report)}") from None
    say(_summary(report))
    return 0 if report.is_complete else 1


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
