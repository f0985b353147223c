"""`pinstripe quotes`: onramp quotes for a file of queries, or compared with each other."""

from __future__ import annotations

import click

from pinstripe.cli._account import ENVIRONMENT, asks_account
from pinstripe.cli._calls.options import Words
from pinstripe.cli._calls.table import WORDS
from pinstripe.cli._status import HELP as STATUSES
from pinstripe.cli._tree import Lazy, LazyGroup, imported

_COMPARE = f"""Draw what a unit of a currency costs on each network, fees included, cheapest first.

{ENVIRONMENT}

{STATUSES}
"""


@asks_account
@click.command(help=_COMPARE)
@click.option(
    "--source-amount", required=True, metavar="NUMBER", help="The amount to spend, without fees."
)
@click.option(
    "--source-currency",
    type=Words(WORDS["source_currency"]),
    default="usd",
    show_default=True,
    help="The currency of the payment.",
)
@click.option(
    "--currency",
    required=True,
    type=Words(WORDS["destination_currency"]),
    help="The currency to buy, such as usdc.",
)
@click.option("as_json", "--json", is_flag=True, help="Print a line of JSON for each network.")
def compare(*, source_amount: str, source_currency: str, currency: str, as_json: bool) -> int:
    """Draw what a unit of a currency costs on each network."""
    from pinstripe.cli._compare import compare_networks  # noqa: PLC0415 -- slow, so only if needed

    return compare_networks(source_amount, source_currency, currency, as_json=as_json)


quotes = LazyGroup(
    "quotes",
    f"Onramp quotes, for a file of queries or compared with each other.\n\n{ENVIRONMENT}",
    {
        "batch": Lazy(
            "Get quotes for many queries.", imported("pinstripe.cli._quotes.command", "batch")
        ),
        "compare": Lazy("Draw the price on each network.", lambda: compare),
    },
)
