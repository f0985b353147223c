"""`pinstripe sandbox`: the same as `python -m pinstripe.sandbox`."""

from __future__ import annotations

from typing import Any

import click

from pinstripe.cli._account import BadInput
from pinstripe.cli._words import shown


class _Command(click.Command):
    """A command whose options come from the sandbox, which is slow to import."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the sandbox, and that for help."""
        from pinstripe.sandbox._process import OPTIONS  # noqa: PLC0415 -- only if needed

        if not self.params:
            self.params = [
                click.Option(
                    list(option.flags),
                    type=option.type,
                    is_flag=option.type is bool,
                    metavar=option.metavar,
                    default=option.default,
                    multiple=option.many,
                    help=option.help,
                    show_default=option.default is not None,
                )
                for option in OPTIONS
            ]
        return super().get_params(ctx)


@click.command(cls=_Command, short_help="Run a server to develop against.")
def sandbox(**options: Any) -> int:
    """Run a sandbox: a server to develop against, for any Stripe client in any language.

    It prints one line, url=... api_key=... restricted_key=..., and runs until Ctrl-C or SIGTERM.
    Give the address to your client as that of the API and of files. Open it in a browser to see
    what is in the sandbox; /_sandbox/ lists the routes that do what people and time do.

    The exit status is 0 after a stop; 2 if the address, a file or an option cannot be used.
    """
    once = [value for value in options.values() if isinstance(value, str)]
    # Messages of the server would repeat them as they are.
    several = ("allow_host", "reachable_as", "account")
    for text in (*once, *(text for name in several for text in options[name])):
        if not text.isprintable():
            raise BadInput(f"{shown(text)} has control characters")
    from pinstripe.sandbox._process import run  # noqa: PLC0415 -- slow, so only if needed

    return run("pinstripe sandbox", options)
