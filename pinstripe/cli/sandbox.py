"""`pinstripe sandbox`: what `python -m pinstripe.sandbox` does."""

from __future__ import annotations

import click

from pinstripe.sandbox.__main__ import main


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    short_help="Run a server to develop against.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> int:
    """Run a sandbox on this machine until it is stopped; `--help` tells its options."""
    return main(arguments)
