"""`pinstripe sandbox`: the same as `python -m pinstripe.sandbox`."""

from __future__ import annotations

import click

from pinstripe.cli._account import BadInput
from pinstripe.cli._words import shown


@click.command(
    # The server reads its own options, and shows its own help.
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    short_help="Run a server to develop against.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> int:
    """Run a sandbox on this machine until it is stopped; `--help` lists its options."""
    for argument in arguments:
        # The server's own parser would repeat it as it is.
        if not argument.isprintable():
            raise BadInput(f"{shown(argument)} has control characters")
    from pinstripe.sandbox.__main__ import main  # noqa: PLC0415 -- slow, so only if needed

    return main(arguments)
