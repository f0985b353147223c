"""What a notebook shows of quotes: what a unit costs on each network, as a bar and in numbers.

A bar begins at zero, so that its length is the cost; the numbers beside it say by how much a
network is above the cheapest one. Currencies are compared with themselves alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

from pinstripe._models.notebook import cell, column_head, decimal_text, row_head, table, text

_HEADS = [
    *map(column_head, ("network", "cost of one, fees included")),
    *(column_head(name, is_number=True) for name in ("", "dearer by", "receive", "fees", "pay")),
]

# Seen on white and on black.
_CHEAPEST, _OTHERS = "rgba(99,91,255,.95)", "rgba(99,91,255,.6)"

_EXACT_ENOUGH: Final = Context(prec=40)
_LONGEST: Final = 15


def quotes_html(quotes: Any, ranked: Mapping[str, Sequence[Any]]) -> str:
    """Return quotes as HTML, cheapest first.

    Args:
        quotes: The answer.
        ranked: The quotes of each currency, cheapest first; those without a price come last.
    """
    paid = f"{quotes.source_amount:f} {quotes.source_currency}"
    rates = f"{quotes.rate_fetched_at:%Y-%m-%d %H:%M:%S} UTC"
    caption = f"{len(quotes)} quotes for {paid}; rates of {rates}"
    rows = [row for currency in ranked for row in _rows(currency, ranked[currency])]
    notes = [f"Costs, fees and payments in {quotes.source_currency}."]
    return table(rows, _HEADS, caption=caption, notes=notes)


def _rows(currency: str, quotes: Sequence[Any]) -> Iterator[list[str]]:
    costs = [quote.unit_cost for quote in quotes if quote.unit_cost is not None]
    lowest, highest = (costs[0], costs[-1]) if costs else (Fraction(0), Fraction(0))
    title = f'<th colspan="{len(_HEADS)}" scope="rowgroup" style="text-align:left;padding-left:0">'
    yield [f"{title}{text(currency)}</th>"]
    for quote in quotes:
        cost = quote.unit_cost
        above = cost / lowest - 1 if cost is not None and lowest else Fraction(0)
        amounts = quote.destination_amount, quote.total_fees, quote.source_total_amount
        yield [
            row_head(quote.destination_network),
            cell("" if cost is None else _bar(cost, lowest, highest)),
            cell("no price" if cost is None else _number(cost, highest, 6), is_number=True),
            cell(f"+{_number(above * 100, above * 100, 2)} %" if above else "", is_number=True),
            *(cell(text(decimal_text(amount, ",f")), is_number=True) for amount in amounts),
        ]


def _bar(cost: Fraction, lowest: Fraction, highest: Fraction) -> str:
    share = float(100 * cost / highest) if highest else 0.0
    color = _CHEAPEST if cost == lowest else _OTHERS
    style = f"width:{share:.1f}%;height:.8em;margin:.3em 0;background:{color};border-radius:2px"
    return f'<div style="width:11em"><div style="{style}"></div></div>'


def _number(value: Fraction, largest: Fraction, digits: int) -> str:
    """Return a number with as many places as the largest one of its column needs.

    Args:
        value: The number.
        largest: The largest number.
        digits: How many digits that one has.
    """
    top = _decimal(largest).adjusted()
    if abs(top) > _LONGEST:
        return f"{_decimal(value):.{digits - 1}e}"
    return f"{_decimal(value):,.{max(0, digits - 1 - top)}f}"


def _decimal(value: Fraction) -> Decimal:
    return _EXACT_ENOUGH.divide(Decimal(value.numerator), Decimal(value.denominator))
