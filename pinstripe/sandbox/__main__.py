"""Runs a sandbox from the shell: `python -m pinstripe.sandbox --port 12111`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pinstripe.sandbox._server import serve
from pinstripe.sandbox._state.clock import ManualClock, system_clock
from pinstripe.sandbox._state.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sandbox until the process receives a signal to stop.

    Args:
        arguments: The command line without the program; None for the one of the process.

    Returns:
        The exit status: 0 after a stop, 2 if the address, the file or an option cannot be used.
    """
    options = _parser().parse_args(arguments)
    clock = system_clock if options.clock is None else ManualClock(options.clock)
    try:
        settings = Settings(
            options.seed,
            clock,
            options.redaction_seconds,
            allow_hosts=options.allow_host,
            rate_limit=options.rate_limit,
            store=options.store,
            accounts=options.account,
        )
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
        help="stop the clock at this time since the epoch; POST /_sandbox/clock moves it",
    )
    parser.add_argument(
        "--redaction-seconds", type=float, default=1.0, help="how long a redaction takes"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host beside loopback to which webhooks may be sent; can be repeated",
    )
    parser.add_argument(
        "--rate-limit",
        type=float,
        metavar="NUMBER",
        help="requests per second that an account may make (Stripe: 25 in test mode)",
    )
    parser.add_argument(
        "--store", metavar="FILE", help="SQLite file that keeps the state between runs"
    )
    parser.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="ID",
        help="a connected account (acct_...), can be repeated; other accounts are refused then",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
