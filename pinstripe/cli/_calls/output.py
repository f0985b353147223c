"""Prints what a call gives, as it comes.

With `--json`, an object is a line of JSON. Else a terminal gets a table or a card, and a file or a
pipe gets plain lines that `cut` and `awk` read: the values of an object of a list, or of the fields
that were asked for, with tabs between them; of another object a line for each field. There nothing
is cut off, and nothing is coloured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
from attrs import frozen

from pinstripe._models.record import shown_fields
from pinstripe.cli._calls.data import cell, chosen, field_at, flat, json_line, plain

_FIRST: Final = ("id", "status", "type")
_LAST: Final = ("created",)
_NOT_SHOWN: Final = ("object", "livemode")


@frozen
class Shape:
    """How objects are printed.

    Attributes:
        as_json: Whether as JSON.
        fields: The fields to print; none for all.
        reveal: Whether private fields are printed too.
    """

    as_json: bool
    fields: tuple[str, ...]
    reveal: bool

    @property
    def on_terminal(self) -> bool:
        """Whether a table or a card is drawn."""
        return sys.stdout.isatty() and not self.as_json


def check_fields(model: Any, fields: Sequence[str], *, reveal: bool) -> None:
    """Refuse fields that a model does not have, or that are private.

    Args:
        model: The class.
        fields: The paths of the fields that are asked for.
        reveal: Whether private fields may be printed.

    Raises:
        UsageError: A field is not there.
    """
    known: Sequence[str] = model.__struct_fields__
    for field in fields:
        name = field.partition(".")[0]
        if name not in known:
            raise click.UsageError(f"--fields: there is no {name!r}; there are: {', '.join(known)}")
        if name not in shown_fields(model) and not reveal:
            raise click.UsageError(f"--fields: {name!r} is private; add --reveal to print it")


class Printer:
    """Prints objects one after the other.

    Args:
        shape: How.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._table: Any = None
        self._columns: Sequence[str] = shape.fields

    def print_object(self, item: Any) -> None:
        """Print an object: a card on a terminal.

        Args:
            item: A model, or plain data.
        """
        shape = self._shape
        data = plain(item, reveal=shape.reveal, mark=shape.on_terminal)
        if shape.as_json:
            write(json_line(chosen(data, shape.fields)))
        elif shape.on_terminal:
            from pinstripe.cli._calls.show import card  # noqa: PLC0415 -- rich, for a terminal only

            card(rows_of(data, shape.fields))
        elif shape.fields:
            write(line_of(data, shape.fields))
        else:
            rows = rows_of(data, ())
            write("".join(f"{name}\t{cell(value)}\n" for name, value in rows))

    def print_page(self, items: Sequence[Any]) -> None:
        """Print the objects of a page: rows of a table on a terminal.

        Args:
            items: The objects.
        """
        shape = self._shape
        page = [plain(item, reveal=shape.reveal) for item in items]
        if shape.as_json:
            write("".join(json_line(chosen(data, shape.fields)) for data in page))
        elif shape.on_terminal:
            if self._table is None:
                from pinstripe.cli._calls.show import Rows  # noqa: PLC0415 -- as above

                self._table = Rows(shape.fields or columns_of(page), page, fit=not shape.fields)
            self._table.show(page)
        else:
            self._columns = names = self._columns or columns_of(page)
            write("".join(line_of(data, names) for data in page))


def line_of(data: Any, names: Sequence[str]) -> str:
    """Return fields as a line with tabs between them.

    Args:
        data: Plain data.
        names: The paths of the fields.
    """
    return "\t".join(cell(field_at(data, name)) for name in names) + "\n"


def rows_of(data: Any, fields: Sequence[str]) -> list[tuple[str, Any]]:
    """Return the rows of a card: the name and the value of each field.

    Args:
        data: Plain data.
        fields: The fields that are asked for; none for all that have a value.
    """
    if fields:
        return [(name, field_at(data, name)) for name in fields]
    return [(name, value) for name, value in flat(data) if name not in _NOT_SHOWN]


def columns_of(page: Sequence[Any]) -> tuple[str, ...]:
    """Return the columns of a table: the fields that are no objects or lists.

    Args:
        page: Objects as plain data.
    """
    names = dict.fromkeys(
        name
        for data in page
        for name, value in data.items()
        if not isinstance(value, (dict, list)) and name not in (*_NOT_SHOWN, *_FIRST, *_LAST)
    )
    known = {name for data in page for name in data}
    first, last = ([name for name in some if name in known] for some in (_FIRST, _LAST))
    return (*first, *names, *last)


def write(text: str | bytes) -> None:
    """Write to standard output at once.

    Args:
        text: What to write.

    Raises:
        BrokenPipeError: Nobody reads any more.
    """
    stream: Any = sys.stdout.buffer if isinstance(text, bytes) else sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # Without this, the end of the process would write again, and fail with another error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise
