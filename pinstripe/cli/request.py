"""`pinstripe request`: any endpoint of the API, also one that has no command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import click

from pinstripe.cli._account import ENVIRONMENT, account_options
from pinstripe.cli._calls.options import Pair, body_options, output_options, sending_options
from pinstripe.cli._status import HELP as STATUSES

_TEXT = f"""Call an endpoint of the API that has no command, and print its answer.

PATH is such as /v1/customers/cus_1, or has placeholders whose ids are given with --id. The
parameters are given with --set and --body.

A POST or DELETE with a live key asks first; --yes answers. What the answer holds has no types here,
so nothing of it is hidden.

{ENVIRONMENT}

{STATUSES}
"""


def run(**values: Any) -> int:
    """Call an endpoint.

    Args:
        values: What click has read.
    """
    from pinstripe.cli._calls.execute import Job, asked_for, execute  # noqa: PLC0415 -- slow
    from pinstripe.cli._calls.values import read_body, set_values  # noqa: PLC0415 -- as above

    method, path = values["method"], values["path"]
    params = read_body(values["body"]) if values["body"] else {}
    set_values(params, values["sets"])
    asked = asked_for(values)
    job = Job(
        make=partial(_make, values, params, asked),
        method=method,
        title=f"{method} {path}",
        private=bool(params),
    )
    return execute(job, asked)


async def _make(values: Mapping[str, Any], params: Mapping[str, Any], asked: Any, client: Any) -> None:
    from pinstripe.cli._calls.output import Printer  # noqa: PLC0415 -- slow, so only for a call

    response = await client.request(
        values["method"],
        values["path"],
        params or None,
        ids=dict(values["ids"]) or None,
        host=values["host"],
        request_options=asked.options,
    )
    Printer(asked.shape).print_object(response.json())


def _options() -> Sequence[click.Parameter]:
    hosts = click.Choice(["api", "files"])
    shown = [option for option in output_options() if option.name != "reveal"]
    return [
        click.Argument(["method"], type=click.Choice(["GET", "POST", "DELETE"], case_sensitive=False)),
        click.Argument(["path"]),
        click.Option(["ids", "--id"], type=Pair(), multiple=True, help="The id for a placeholder."),
        click.Option(["host", "--host"], type=hosts, default="api", show_default=True, help="Who serves it."),
        *body_options(),
        *sending_options("POST"),
        *shown,
        *account_options(),
    ]


request = click.Command("request", callback=run, params=[*_options()], help=_TEXT)
