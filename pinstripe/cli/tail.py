"""`pinstripe events tail`: the log of events as it grows."""

from __future__ import annotations

import click

from pinstripe.cli._account import ENVIRONMENT, asks_account

_TEXT = f"""Print the last events, and then every event that happens, oldest first.

A line has the time, the type and id of the event, and the id and status of its object.

{ENVIRONMENT}

The command runs until Ctrl-C. The exit status is 130 then; 1 if the API refuses to show the events;
2 if the usage or the environment is wrong; 141 if the reader of the output stopped reading.
"""


@asks_account
@click.command(help=_TEXT)
@click.option(
    "--events",
    default="",
    metavar="TYPES",
    help="Types of events, separated by commas; * matches any text. All types by default.",
)
@click.option(
    "--last",
    type=click.IntRange(0, 99),
    default=10,
    show_default=True,
    help="How many events of the past to begin with.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.01, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks at the log.",
)
@click.option("as_json", "--json", is_flag=True, help="Print each event as a line of JSON.")
@click.option("--reveal", is_flag=True, help="Print private fields in JSON, such as names, too.")
def tail(*, events: str, last: int, interval: float, as_json: bool, reveal: bool) -> int:
    """Print the log of events as it grows."""
    from pinstripe.cli._tail import follow  # noqa: PLC0415 -- slow, so only if needed

    return follow(events, last, interval, as_json=as_json, reveal=reveal)
