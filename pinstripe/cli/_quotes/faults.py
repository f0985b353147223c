"""What is wrong with lines of the input: where it is, the value there, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from pinstripe.cli._words import shown

SHOWN_FAULTS = 20
"""Wrong lines that are reported one by one; the others are counted."""

_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_OTHER_SEPARATORS = re.compile(r"[,;|/+&]")
# An amount as people write it: with a currency, groups of digits or a comma in place of the point.
_WRITTEN_AMOUNT = re.compile(r"(?!-?[0-9.]+\Z)[^0-9]{0,4}[0-9][0-9 ,.'_\xa0]*[^0-9]{0,4}")


class InputError(Exception):
    """A line of the input is not a query; nothing has been sent.

    Args:
        line: The number of the line.
        column: The number of the character in it at which the fault is.
        problem: What is wrong.
    """

    def __init__(self, line: int, column: int, problem: str) -> None:
        super().__init__(f"{line}:{column}: {problem}")
        self.line, self.column, self.problem = line, column, problem


def report(name: str, faults: Iterable[InputError]) -> str | None:
    """Return what is wrong with an input, the first faults in full; None if nothing is.

    Args:
        name: The name of the input.
        faults: All faults; they are counted, and not kept.
    """
    first: list[str] = []
    count = 0
    for fault in faults:
        count += 1
        if len(first) < SHOWN_FAULTS:
            first.append(f"{name}:{fault}")
    if count <= 1:
        return first[0] if first else None
    more = f"\n... and {count - len(first):,} more" if count > len(first) else ""
    return f"{count:,} faults in {name}, nothing was sent:\n" + "\n".join(first) + more


def unknown_column(name: str, known: Sequence[str], *, keep: bool) -> str:
    """Return what to say of a column that is no parameter.

    Args:
        name: Its name.
        known: The parameters.
        keep: Whether other columns are kept.
    """
    problem = f"unknown column {shown(name)}; there are {', '.join(known)}"
    for delimiter, plural in _DELIMITERS.items():
        if delimiter in name:
            return f"{problem}. Commas must separate the columns, here {plural} seem to"
    if (near := near_column(name, known)) is not None:
        return f"{problem}. Is it {near}?"
    return problem if keep else f"{problem}. --keep-columns passes other columns through"


def near_column(name: str, known: Sequence[str]) -> str | None:
    """Return the parameter that a name is most likely meant to be, or None.

    Args:
        name: The name of a column.
        known: The parameters.
    """
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    return next(iter(get_close_matches(plain, known, n=1, cutoff=0.85)), None)


def wrong_count(text: str, expected: int, found: int) -> str:
    """Return what to say of a line with too many or too few cells.

    Args:
        text: The line.
        expected: The cells of the header.
        found: The cells of the line.
    """
    problem = f"the header has {expected} cells, this line {found}: {shown(text)}"
    if found > expected:
        return f"{problem}. Quote a cell that has a comma; spaces separate the values of a list"
    for delimiter, plural in _DELIMITERS.items():
        if delimiter in text:
            return f"{problem}. Commas must separate the cells, here {plural} seem to"
    return problem


def wrong_value(problem: str, value: Any, *, is_list: bool) -> str:
    """Return what to say of a value that a parameter cannot have.

    Args:
        problem: Why it cannot.
        value: The value as it is written.
        is_list: Whether the parameter takes several values.
    """
    text = f"{problem}; it is {shown(value)}"
    if not isinstance(value, str):
        return text
    if is_list and _OTHER_SEPARATORS.search(value):
        return f"{text}. Spaces separate the values of a list"
    if "decimal number" in problem and _WRITTEN_AMOUNT.fullmatch(value):
        return f"{text}. Write digits and a point alone, such as 1234.50"
    return text
