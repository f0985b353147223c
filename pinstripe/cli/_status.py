"""The exit statuses of every command; `pinstripe.cli` says what they mean."""

from __future__ import annotations

from typing import Final

REFUSED: Final = 1
"""The API refused a call, or some of the work failed."""

USAGE: Final = 2
"""The usage, the input or the environment is wrong, and nothing was sent."""

NO_ANSWER: Final = 3
"""No usable answer came."""

INTERRUPTED: Final = 130
"""Ctrl-C, as shells count it: 128 and the number of SIGINT."""

BROKEN_PIPE: Final = 141
"""The reader of the output has left, counted in the same way for SIGPIPE."""

HELP: Final = (
    "The exit status is 0 if all went well; 1 if the API refused; 2 if the usage, the input or the "
    "environment is wrong, and nothing was sent; 3 if no usable answer came; 130 after Ctrl-C; 141 "
    "if the reader of the output stopped reading."
)
"""What help says of them."""
