"""Runs a sandbox from the shell: `python -m pinstripe.sandbox --port 12111`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pinstripe.sandbox.clock import ManualClock, system_clock
from pinstripe.sandbox.server import serve
from pinstripe.sandbox.world import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sandbox until the process is told to stop.

    Args:
        arguments: command line without the program, None for that of the process.

    Returns:
        The exit status: 0 after a stop, 2 when the address cannot be used.
    """
    options = _parser().parse_args(arguments)
    clock = system_clock if options.clock is None else ManualClock(options.clock)
    settings = Settings(options.seed, clock, options.redaction_seconds)
    try:
        serve(options.port, host=options.host, settings=settings)
    except (OSError, OverflowError, ValueError) as error:
        sys.stderr.write(f"pinstripe.sandbox: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pinstripe.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=12111, help="TCP port, 0 for a free one")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--seed", type=int, help="makes ids, secrets and prices repeatable")
    parser.add_argument(
        "--clock",
        type=float,
        metavar="SECONDS",
        help="stand still at this time since the epoch, until POST /_sandbox/clock moves it",
    )
    parser.add_argument(
        "--redaction-seconds", type=float, default=1.0, help="time that a redaction takes"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
