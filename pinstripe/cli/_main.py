"""The command `pinstripe` with its subcommands, and the exit status that each end gives."""

from __future__ import annotations

import click

from pinstripe._version import __version__
from pinstripe.cli._interrupt import INTERRUPTED
from pinstripe.cli._quotes.command import quotes
from pinstripe.cli.demo import demo
from pinstripe.cli.export import export
from pinstripe.cli.listen import listen
from pinstripe.cli.sandbox import sandbox
from pinstripe.cli.trigger import trigger


@click.group()
@click.version_option(__version__, message="%(prog)s %(version)s")
def pinstripe() -> None:
    """Stripe Identity and crypto onramp from the command line."""


pinstripe.add_command(quotes)
pinstripe.add_command(export)
pinstripe.add_command(demo)
pinstripe.add_command(sandbox)
pinstripe.add_command(listen)
pinstripe.add_command(trigger)


def run() -> int:
    """Run the command line of the process and return its exit status."""
    try:
        status = pinstripe.main(prog_name="pinstripe", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return int(status or 0)
