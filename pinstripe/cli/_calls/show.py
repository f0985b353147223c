"""Tables and cards for a terminal, as wide as it is.

The widths of a table come from its first page, so its rows can be printed as they come. Columns are
taken while they fit, those first that say most; an id is never cut off, since it is what the next
command needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pinstripe.cli._calls.data import HIDDEN, cell, field_at

_GAP = 2
_WIDEST = 44
_IMPORTANT: Final = ("id", "status", "type", "created")
_GOOD: Final = {"verified", "delivered", "confirmed", "fulfillment_complete", "enabled", "redacted"}
_BAD: Final = {"canceled", "rejected", "requires_input", "product_unavailable", "disabled"}


class Rows:
    """A table that is printed page by page.

    Args:
        names: The columns, in their order.
        page: The first objects, as plain data; they are not printed yet.
        fit: Whether columns that do not fit are left out.
    """

    def __init__(self, names: Sequence[str], page: Sequence[Any], *, fit: bool) -> None:
        self._console = Console(highlight=False)
        widths = {
            name: min(_WIDEST, max([len(name), *(len(cell(field_at(one, name))) for one in page)]))
            for name in names
        }
        self._widths = fitting(widths, self._console.width) if fit else widths
        self._is_first = True

    def show(self, page: Sequence[Any]) -> None:
        """Print rows.

        Args:
            page: The objects, as plain data.
        """
        table = Table(box=None, show_header=self._is_first, padding=(0, _GAP, 0, 0), pad_edge=False)
        for name, width in self._widths.items():
            table.add_column(
                name, width=width, no_wrap=True, overflow="ellipsis", header_style="bold"
            )
        for data in page:
            table.add_row(*(_styled(name, field_at(data, name)) for name in self._widths))
        if page:
            self._console.print(table)
            self._is_first = False


def fitting(widths: dict[str, int], total: int) -> dict[str, int]:
    """Return the columns that fit side by side, in their order.

    Args:
        widths: The width of each column.
        total: The width of the terminal.
    """
    taken: set[str] = set()
    by_importance = [name for name in _IMPORTANT if name in widths]
    for name in [*by_importance, *widths]:
        width = widths[name] + _GAP
        if name not in taken and (not taken or width <= total):
            taken.add(name)
            total -= width
    return {name: width for name, width in widths.items() if name in taken}


def card(rows: Sequence[tuple[str, Any]]) -> None:
    """Print an object: a field a line; long values are wrapped.

    Args:
        rows: The name and the value of each field.
    """
    table = Table.grid(padding=(0, _GAP, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, _styled(name, value))
    Console(highlight=False).print(table)


def _styled(name: str, value: Any) -> Text:
    if value is HIDDEN:
        return Text("hidden; --reveal shows it", style="dim")
    style = ""
    if name.rpartition(".")[2] == "status":
        style = "green" if value in _GOOD else "red" if value in _BAD else "yellow"
    return Text(cell(value), style=style)
