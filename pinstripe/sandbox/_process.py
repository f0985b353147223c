"""The sandbox as a process: its options, in one table for both command lines, and its run.

`python -m pinstripe.sandbox` needs nothing but the package, so its parser is `argparse`;
`pinstripe sandbox` is a command of click like its siblings. Both read this table.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeGuard, cast

from attrs import frozen

from pinstripe.sandbox._http.outbound import is_loopback_host
from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._server import Server, serve
from pinstripe.sandbox._state.clock import ManualClock, system_clock
from pinstripe.sandbox._state.settings import Settings

ABOUT: Final = "Run a sandbox: a server to develop against, for any Stripe client in any language."


@frozen
class Option:
    """An option of the command.

    Attributes:
        name: Its long name, without the hyphens.
        help: What it does.
        type: Reads its value; bool for an option without one.
        metavar: How its value is called.
        default: Its value if it is not given.
        many: Whether it can be given several times.
        short: Its short name, such as -v.
    """

    name: str
    help: str
    type: Callable[[str], Any] = str
    metavar: str | None = None
    default: Any = None
    many: bool = False
    short: str | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """How the option is written."""
        return (*([self.short] if self.short else []), f"--{self.name}")


OPTIONS: Final = (
    Option("port", "TCP port, 0 for a free one.", int, "NUMBER", 12111),
    Option(
        "host",
        "Address to listen at, such as 0.0.0.0 in a container. Everybody who reaches it can use the"
        " sandbox.",
        metavar="ADDRESS",
        default="127.0.0.1",
    ),
    Option(
        "reachable-as",
        "A name besides localhost that requests may address, such as the name of a service; can be"
        " given several times. The first is in the links that the sandbox makes.",
        metavar="NAME",
        many=True,
    ),
    Option("seed", "Make ids, secrets and prices repeatable.", int, "NUMBER"),
    Option(
        "seed-file",
        "A JSON list of what to create at the start; each element is an object with the parameters"
        " of POST /_sandbox/seed, and an account if it is not for that of the key.",
        metavar="FILE",
    ),
    Option(
        "clock",
        "Stop the clock at this time since the epoch; POST /_sandbox/clock moves it.",
        float,
        "SECONDS",
    ),
    Option("redaction-seconds", "How long a redaction takes.", float, "SECONDS", 1.0),
    Option(
        "allow-host",
        "A host beside loopback to which the sandbox may send webhooks and forwarded requests; can"
        " be given several times.",
        metavar="NAME",
        many=True,
    ),
    Option(
        "rate-limit",
        "Requests per second that an account may make (Stripe: 25 in test mode).",
        float,
        "NUMBER",
    ),
    Option("store", "SQLite file that keeps the state between runs.", metavar="FILE"),
    Option(
        "account",
        "A connected account (acct_...); can be given several times. Any other account is refused"
        " then; without this option, each account that a request names is there.",
        metavar="ID",
        many=True,
    ),
    Option("verbose", "Write a line to standard error for each request.", bool, short="-v"),
)


def run(name: str, options: Mapping[str, Any]) -> int:
    """Run a sandbox until the process receives a signal to stop.

    Args:
        name: The name of the command, for messages.
        options: The value of each option in the table, by its name with underscores.

    Returns:
        The exit status: 0 after a stop, 2 if the address, a file or an option cannot be used.
    """
    stop, host = options["clock"], options["host"]
    try:
        settings = Settings(
            options["seed"],
            system_clock if stop is None else ManualClock(stop),
            options["redaction_seconds"],
            allow_hosts=options["allow_host"],
            rate_limit=options["rate_limit"],
            store=options["store"],
            reachable_as=options["reachable_as"],
            accounts=options["account"],
        )
        seeds = _read_seeds(options["seed_file"])
        if options["verbose"]:
            _log_requests()
        if not is_loopback_host(host):
            sys.stderr.write(f"{name}: warning: {_exposed(host, settings)}\n")
        serve(options["port"], host=host, settings=settings, prepare=lambda s: _seed(s, seeds))
    except (OSError, OverflowError, ValueError, Refusal) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 2
    return 0


def _exposed(host: str, settings: Settings) -> str:
    hosts = "".join(f" and {name}" for name in settings.allow_hosts)
    return (
        f"everybody who reaches {host} can read and change all of this sandbox with any test key:"
        " the data of people, the secrets of webhooks, uploaded files, its clock and its faults."
        f" They can also have it send requests to services on this machine's loopback{hosts}. Use"
        " it in a network that only you reach."
    )


def _log_requests() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("pinstripe.sandbox.requests")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def _read_seeds(path: str | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    try:
        seeds = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"seed file {path} is not JSON: {error}") from None
    if not _is_list_of_objects(seeds):
        raise ValueError(f"seed file {path} must be a list of objects")
    return seeds


def _is_list_of_objects(value: object) -> TypeGuard[list[dict[str, Any]]]:
    elements = cast("list[object]", value) if isinstance(value, list) else [None]
    return all(isinstance(each, dict) for each in elements)


def _seed(server: Server, seeds: list[dict[str, Any]]) -> None:
    """Create what a seed file asks for; raises Refusal."""
    for number, seed in enumerate(seeds):
        account = seed.pop("account", None)
        known = server.world.settings.accounts
        if known and account not in (None, *known):
            raise ValueError(f"seed file, element {number}: {account!r} is not in --account")
        try:
            server.control("seed", seed, account)
        except Refusal as refusal:
            raise ValueError(f"seed file, element {number}: {refusal}") from None
