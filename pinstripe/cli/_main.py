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

# The commands that are no calls: their line in the help, by their heading and name. Each is in the
# module of its name.
_OTHERS = {
    "Any resource": {
        "request": "Call any other endpoint.",
        "watch": "Show the life of an object until it ends.",
        "quotes": "Get quotes for many queries, or compare them.",
        "export": "Write a list of the API to a file.",
    },
    "On this machine": {
        "sandbox": "Run a server to develop against.",
        "trigger": "Have a sandbox produce an event.",
        "listen": "Deliver the events of a test account to an app here.",
        "replay": "Have a router handle the events that it missed.",
        "demo": "Show what Pinstripe does: no key, no network.",
        "completion": "Print what makes a shell complete words.",
    },
}


def command() -> LazyGroup:
    """Return the command `pinstripe`."""
    others = {
        name: Lazy(text, imported(f"pinstripe.cli.{name}", name), section)
        for section, commands in _OTHERS.items()
        for name, text in commands.items()
    }
    lazy = {**commands_below(""), **others}
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
