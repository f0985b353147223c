"""`pinstripe request`: any endpoint of the API, also one that has no command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from pinstripe.cli._account import ENVIRONMENT, account_options
from pinstripe.cli._calls.options import Pair, body_options, output_options, sending_options
from pinstripe.cli._status import HELP as STATUSES

_TEXT = f"""Call an endpoint of the API that has no command, and print its answer.

PATH is such as /v1/customers/cus_1, or has placeholders whose ids are given with --id. The
parameters are given with --set and --body.

A POST or DELETE with a live key asks first; --yes answers. What the answer holds has no types here,
so nothing of it is hidden. With --sketch the source of a first attrs class for it is printed
instead, which shows no value of it.

{ENVIRONMENT}

{STATUSES}
"""


def _run(**values: Any) -> int:
    from pinstripe.cli._request import run_request  # noqa: PLC0415 -- slow, so only for a request

    return run_request(values)


def _options() -> Sequence[click.Parameter]:
    methods = click.Choice(["GET", "POST", "DELETE"], case_sensitive=False)
    hosts = click.Choice(["api", "files"])
    host_help = "Which address of the API serves it."
    sketch_help = "Print a first class of this name for the answer, and not the answer."
    shown = [option for option in output_options() if option.name != "reveal"]
    return [
        click.Argument(["method"], type=methods),
        click.Argument(["path"]),
        click.Option(["ids", "--id"], type=Pair(), multiple=True, help="The id for a placeholder."),
        click.Option(["--host"], type=hosts, default="api", show_default=True, help=host_help),
        *body_options(),
        *sending_options("POST"),
        *shown,
        click.Option(["--sketch"], metavar="NAME", help=sketch_help),
        *account_options(),
    ]


request = click.Command("request", callback=_run, params=[*_options()], help=_TEXT)
