"""Runs a sandbox from the shell: `python -m pinstripe.sandbox --port 12111`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from pinstripe.sandbox._process import ABOUT, OPTIONS, run

_NAME = "pinstripe.sandbox"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sandbox until the process receives a signal to stop.

    Args:
        arguments: The command line without the program; None for the one of the process.

    Returns:
        The exit status: 0 after a stop, 2 if the address, a file or an option cannot be used.
    """
    parser = argparse.ArgumentParser(prog=_NAME, description=ABOUT)
    for option in OPTIONS:
        how: dict[str, Any] = {"action": "store_true"}
        if option.type is not bool:
            how = {"type": option.type, "metavar": option.metavar, "default": option.default}
        if option.many:
            how |= {"action": "append", "default": []}
        parser.add_argument(*option.flags, help=option.help, **how)
    return run(_NAME, vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
