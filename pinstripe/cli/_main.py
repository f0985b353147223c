"""The command `pinstripe` with its subcommands, and the exit status of each way to end."""

from __future__ import annotations

import sys

import click

from pinstripe._version import __version__
from pinstripe.cli._account import ENVIRONMENT
from pinstripe.cli._calls.commands import commands_below, find_elsewhere
from pinstripe.cli._status import HELP as STATUSES
from pinstripe.cli._status import INTERRUPTED
from pinstripe.cli._tree import Lazy, LazyGroup, imported

_TEXT = f"""Stripe Identity, crypto onramp, Climate and more from the command line.

Every call of the client is a command, such as `pinstripe identity verification-sessions list`.

{ENVIRONMENT} `demo` and `sandbox` need neither a key nor a network.

{STATUSES}
"""

_TOOLS = {
    "request": Lazy("Call any other endpoint.", imported("pinstripe.cli.request", "request")),
    "watch": Lazy("Show the life of an object until it ends.", imported("pinstripe.cli.watch", "watch")),
    "quotes": Lazy("Quotes: for many queries, or compared.", imported("pinstripe.cli.quotes", "quotes")),
    "export": Lazy("Write a list of the API to a file.", imported("pinstripe.cli.export", "export")),
}
_LOCAL = {
    "sandbox": Lazy("Run a server to develop against.", imported("pinstripe.cli.sandbox", "sandbox")),
    "trigger": Lazy("Have a sandbox produce an event.", imported("pinstripe.cli.trigger", "trigger")),
    "listen": Lazy(
        "Deliver the events of a test account to an app here.",
        imported("pinstripe.cli.listen", "listen"),
    ),
    "demo": Lazy("Show what Pinstripe does: no key, no network.", imported("pinstripe.cli.demo", "demo")),
    "completion": Lazy(
        "Print what makes a shell complete words.",
        imported("pinstripe.cli.completion", "completion"),
    ),
}


def command() -> LazyGroup:
    """Return the command `pinstripe`."""
    lazy = {
        **commands_below(""),
        **{name: one._replace(section="Any resource") for name, one in _TOOLS.items()},
        **{name: one._replace(section="On this machine") for name, one in _LOCAL.items()},
    }
    made = LazyGroup("pinstripe", _TEXT, lazy, find_elsewhere)
    return click.version_option(__version__, message="%(prog)s %(version)s")(made)


def run() -> int:
    """Run the command line of the process, and return its exit status."""
    try:
        status = command().main(prog_name="pinstripe", standalone_mode=False)
    except click.ClickException as error:
        _report(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return int(status or 0)


def _report(error: click.ClickException) -> None:
    # What errors need is imported when there is one: help and completion have none.
    if "--json" in sys.argv:
        from pinstripe.cli._failures import as_json  # noqa: PLC0415 -- as above
        from pinstripe.cli._words import say  # noqa: PLC0415 -- as above

        say(as_json(error))
    else:
        from pinstripe.cli._words import show_error  # noqa: PLC0415 -- as above

        show_error(error)
