"""Draws what a unit of a currency costs on each network, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import click
from attrs import define
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pinstripe._client import AsyncClient
from pinstripe._core.errors import ConfigurationError
from pinstripe.cli._calls.calls import word
from pinstripe.cli._calls.data import json_line, plain
from pinstripe.cli._calls.execute import Job, asked_for, execute
from pinstripe.cli._calls.output import write
from pinstripe.crypto import OnrampQuote

_EIGHTHS = " ▏▎▍▌▋▊▉"
_OTHER_COLUMNS = 64
"""The width of everything beside the bars."""


def compare_networks(
    source_amount: str, source_currency: str, currency: str, *, as_json: bool
) -> int:
    """Print the networks by the cost of a unit, and return the exit status.

    Args:
        source_amount: The amount to spend.
        source_currency: The currency of the payment.
        currency: The currency to buy.
        as_json: Whether each network is a line of JSON.
    """
    job = _Comparison(
        asked=asked_for({"as_json": as_json}),
        title="quotes compare",
        source_amount=source_amount,
        source_currency=source_currency,
        currency=currency,
    )
    return execute(job)


@define(kw_only=True)
class _Comparison(Job):
    source_amount: str
    source_currency: str
    currency: str

    async def make(self, client: AsyncClient) -> None:
        answer = await client.crypto.onramp_quotes.retrieve(
            source_amount=self.source_amount,
            source_currency=self.source_currency,
            destination_currencies=[self.currency],
        )
        costs = [(one.unit_cost, one) for one in answer.filter(currency=self.currency)]
        ranked = sorted(
            [(cost, one) for cost, one in costs if cost is not None],
            key=lambda pair: (pair[0], pair[1].destination_network),
        )
        if self.asked.shape.as_json:
            write("".join(json_line(_facts(cost, one)) for cost, one in ranked))
        elif ranked:
            _draw(ranked, f"{self.source_amount} {self.source_currency}", self.currency)
        else:
            raise click.ClickException(f"no network has {self.currency} for this amount")

    def explain(self, error: ConfigurationError) -> str:
        name = "currency" if error.argument.startswith("destination") else word(error.argument)
        return f"--{name}: {error.message.partition(': ')[2]}"


def _facts(cost: Fraction, quote: OnrampQuote) -> dict[str, object]:
    return {
        "network": quote.destination_network,
        "unit_cost": f"{float(cost):.10g}",
        "destination_amount": plain(quote.destination_amount, reveal=False),
        "total": plain(quote.source_total_amount, reveal=False),
        "fees": plain(quote.total_fees, reveal=False),
    }


def _draw(ranked: Sequence[tuple[Fraction, OnrampQuote]], paid: str, currency: str) -> None:
    console = Console(highlight=False)
    width = max(8, console.width - _OTHER_COLUMNS)
    cheapest, dearest = ranked[0][0], ranked[-1][0]
    table = Table(box=None, pad_edge=False, title=escape(f"{paid} to {currency}"))
    table.add_column("network", no_wrap=True)
    table.add_column("", no_wrap=True)
    for heading in ("a unit costs", "more", "you get", "of it fees"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cost, quote in ranked:
        style = "green" if cost == cheapest else "yellow"
        more = float(cost / cheapest - 1) * 100 if cheapest else 0.0
        table.add_row(
            escape(quote.destination_network),
            f"[{style}]{bar(float(cost / dearest) if dearest else 0.0, width)}[/]",
            f"{float(cost):,.6g}",
            f"{more:.2f} %" if more else "",
            f"{quote.destination_amount:,.6g}",
            f"{quote.total_fees:,f}",
        )
    console.print(table)


def bar(share: float, width: int) -> str:
    """Return a bar, drawn to an eighth of a character.

    Args:
        share: Its length, from 0 to 1.
        width: The characters of a bar of length 1.
    """
    whole, eighths = divmod(round(share * width * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()
