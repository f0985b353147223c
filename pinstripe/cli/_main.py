"""The command `pinstripe` with its subcommands, and the exit status of each way to end."""

from __future__ import annotations

import click

from pinstripe._version import __version__
from pinstripe.cli._interrupt import INTERRUPTED
from pinstripe.cli._quotes.command import quotes
from pinstripe.cli._words import show_error
from pinstripe.cli.demo import demo
from pinstripe.cli.export import export
from pinstripe.cli.listen import listen
from pinstripe.cli.replay import replay
from pinstripe.cli.sandbox import sandbox
from pinstripe.cli.trigger import trigger


@click.group()
@click.version_option(__version__, message="%(prog)s %(version)s")
def pinstripe() -> None:
    """Stripe Identity, crypto onramp and Climate from the command line.

    `demo` and `sandbox` need neither a key nor a network. The other commands read the key from
    STRIPE_API_KEY. If PINSTRIPE_BASE_URL is set, they ask the sandbox at that address in place of
    Stripe.

    The exit status is 0 if all went well; 1 if some of it failed; 2 if the usage, the input or the
    environment is wrong; 130 after Ctrl-C.
    """


for _command in (quotes, export, demo, sandbox, listen, trigger, replay):
    pinstripe.add_command(_command)


def run() -> int:
    """Run the command line of the process, and return its exit status."""
    try:
        status = pinstripe.main(prog_name="pinstripe", standalone_mode=False)
    except click.ClickException as error:
        show_error(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return int(status or 0)
