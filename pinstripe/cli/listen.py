"""`pinstripe listen`: the events of a test account, delivered to an app on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pinstripe.cli._account import asks_account


@asks_account
@click.command()
@click.option(
    "--forward-to", required=True, metavar="URL", help="The address that events are sent to."
)
@click.option(
    "--events",
    default="",
    metavar="TYPES",
    help="Types of events, separated by commas; * matches any text. All types by default.",
)
@click.option(
    "--secret",
    envvar="STRIPE_WEBHOOK_SECRET",
    help="Sign with this whsec_ secret; by default the value of STRIPE_WEBHOOK_SECRET, or else a "
    "new secret, which is printed.",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="Allow a host other than this machine; can be given several times.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.01, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks at the log.",
)
def listen(
    *, forward_to: str, events: str, secret: str | None, allow_host: Sequence[str], interval: float
) -> int:
    """Deliver every event that happens from now on, signed, to an app on this machine.

    Each attempt prints a line: the time, the type and id of the event, and the status of the
    answer. An event whose answer is not 2xx is sent twice more.

    The key is read from STRIPE_API_KEY, unless --api-key-file is given, and must be a test key. If
    PINSTRIPE_BASE_URL is set, the sandbox at that address is asked in place of Stripe.

    The command runs until Ctrl-C. The exit status is 130 then; 1 if the API refuses to show the
    events; 2 if the usage or the environment is wrong, and nothing was sent; 3 if its answers
    cannot be used.
    """
    from pinstripe.cli._listen import run_listen  # noqa: PLC0415 -- slow, so only if needed

    return run_listen(
        forward_to=forward_to,
        events=events,
        secret=secret,
        allow_host=allow_host,
        interval=interval,
    )
