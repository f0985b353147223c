"""`pinstripe trigger`: has a sandbox produce an event."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pinstripe.cli._account import asks_account
from pinstripe.cli._calls.calls import EVENT_TYPES
from pinstripe.cli._calls.options import Words


@asks_account
@click.command()
@click.argument("type", metavar="TYPE", type=Words(EVENT_TYPES))
@click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A parameter of the object, such as metadata[user]=42; can be given several times.",
)
def trigger(*, type: str, overrides: Sequence[str]) -> int:
    """Have a sandbox produce an event of TYPE, and print the id of the event.

    The command makes an object and takes it through its life until the event happens. Then the
    event is in the log, and on its way to every endpoint that wants it.

    The key is read from STRIPE_API_KEY, unless --api-key-file is given, and must be a test key. The
    address of the sandbox is read from PINSTRIPE_BASE_URL, unless --base-url is given.

    The exit status is 0 if there is an event; 1 if the sandbox refuses a step, such as an override;
    2 if the usage or the environment is wrong; 3 if no usable answer came; 130 after Ctrl-C.
    """
    from pinstripe.cli._trigger import run_trigger  # noqa: PLC0415 -- slow, so only if needed

    return run_trigger(type, overrides)
