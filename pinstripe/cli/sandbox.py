"""`pinstripe sandbox`: the same as `python -m pinstripe.sandbox`."""

from __future__ import annotations

from typing import Any, cast

import click

from pinstripe.cli._account import BadInput
from pinstripe.cli._calls.table import SANDBOX
from pinstripe.cli._words import shown

_TYPES = {"str": str, "int": int, "float": float, "bool": bool}


def _options() -> list[click.Parameter]:
    """Return the options of the sandbox, from the table: the sandbox is slow to import."""
    return [
        click.Option(
            list(flags),
            type=_TYPES[kind],
            is_flag=kind == "bool",
            metavar=metavar,
            default=default,
            multiple=several,
            help=text,
            show_default=default is not None,
        )
        for flags, text, kind, metavar, default, several in SANDBOX
    ]


@click.command()
def sandbox(**options: Any) -> int:
    """Run a sandbox: a server to develop against, for any Stripe client in any language.

    It prints one line, url=... api_key=... restricted_key=..., and runs until Ctrl-C or SIGTERM.
    Give the address to your client as that of the API and of files. Open it in a browser to see
    what is in the sandbox; /_sandbox/ lists the routes that do what people and time do.

    The command reads nothing from the environment.

    The exit status is 0 after a stop; 2 if the address, a file or an option cannot be used.
    """
    # Messages of the server would repeat them as they are.
    for value in options.values():
        several = isinstance(value, tuple)
        for text in cast("tuple[object, ...]", value) if several else (value,):
            if isinstance(text, str) and not text.isprintable():
                raise BadInput(f"{shown(text)} has control characters")
    from pinstripe.sandbox._process import run  # noqa: PLC0415 -- slow, so only if needed

    return run("pinstripe sandbox", options)


sandbox.params += _options()
