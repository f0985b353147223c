"""`pinstripe replay`: the events that a router has missed, handled by the router itself."""

from __future__ import annotations

from typing import Any

import click

from pinstripe.cli._account import asks_account
from pinstripe.cli._times import EXAMPLES, Time


@asks_account
@click.command()
@click.argument("router", metavar="MODULE:ROUTER")
@click.option(
    "--since",
    metavar="TIME",
    type=Time(),
    help=f"Begin with the events of then: {EXAMPLES}; in UTC if no offset is given.",
)
@click.option(
    "--until",
    metavar="TIME",
    type=Time(),
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
def replay(*, router: str, **settings: Any) -> int:
    """Handle every event of the account's log that the router has not handled, oldest first.

    ROUTER is the name of a router in MODULE, which is imported from the current folder, as in
    app:router. Its store says which events were handled, and must be one that outlives a process.
    The events go to the handlers of the router under the claims of deliveries, so that none is
    handled twice while deliveries arrive. The API keeps events for 30 days.

    The key is read from STRIPE_API_KEY, unless --api-key-file is given. If PINSTRIPE_BASE_URL is
    set, the sandbox at that address is asked in place of Stripe.

    The exit status is 0 if nothing is left to do; 1 if events failed or were handled by somebody
    else all the time, or the API refused to show the log; 2 if the usage or the environment is
    wrong, and nothing was sent; 3 if no usable answer came; 130 after Ctrl-C. The last line says
    how to resume.
    """
    from pinstripe.cli._replay import run_replay  # noqa: PLC0415 -- slow, so only for a replay

    return run_replay(router, **settings)
