"""What the commands say: messages with nothing in them that a terminal would act on."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

ESCAPE_HELP = (
    "Put an apostrophe before each text of a CSV that starts with = + - @, a tab or a carriage "
    "return, so that no spreadsheet runs it; numbers stay as they are."
)
"""The help of --escape-formulas, which two commands have."""

_SHORT = 40
"""Characters of a value that a message shows: enough to find it in a file."""


def say(text: str) -> None:
    """Write a line to standard error.

    Args:
        text: The line; names and texts of others in it are escaped.
    """
    _write(f"{text}\n")


def show_error(error: click.ClickException) -> None:
    """Write what click says of an error to standard error, and escape what was typed.

    Args:
        error: The error that ends the command.
    """
    words = io.StringIO()
    error.show(words)
    _write(words.getvalue())


def _write(text: str) -> None:
    # Help and completion import this module, and write nothing with it.
    from pinstripe._core.redaction import printable_lines  # noqa: PLC0415 -- as above

    try:
        click.echo(printable_lines(text), nl=False, err=True)
    except OSError:
        # Nobody reads any more. The exit status tells the rest; without this, the end of the
        # process would write again, and fail with another one.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def place(output: Path | str | None) -> str:
    """Return where rows went, as the summary of a run says it.

    Args:
        output: The file, or the address of one; None for standard output.
    """
    return "to standard output" if output is None else f"in {output}"


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, escaped, and not too long.

    Args:
        value: Anything that was read from a file.
    """
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…")
