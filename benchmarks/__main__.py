"""`python -m benchmarks`: print every table; `python -m benchmarks sandbox`: only some of them."""

from __future__ import annotations

import argparse
import platform
from importlib import import_module

from benchmarks.support.nginx import NoNginx

TABLES = (
    "decode",
    "memory",
    "pipeline",
    "wire",
    "instructions",
    "blocking",
    "coldstart",
    "command_line",
    "faults",
    "chaos",
    "limits",
    "shared_limits",
    "webhooks",
    "adapters",
    "sandbox",
    "walks",
    "exports",
    "parts",
)
ONLY_IF_NAMED = ("growth",)
"""Writes files of the repository."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "tables", nargs="*", metavar="table", help=", ".join(TABLES + ONLY_IF_NAMED)
    )
    chosen = parser.parse_args().tables or list(TABLES)
    unknown = set(chosen) - {*TABLES, *ONLY_IF_NAMED}
    if unknown:
        parser.error(f"no such table: {', '.join(sorted(unknown))}")
    print(f"Python {platform.python_version()}, {platform.machine()}")
    for name in chosen:
        print(_report(name), flush=True)


def _report(name: str) -> str:
    try:
        text: str = import_module(f"benchmarks.{name}").report()
    except NoNginx as problem:
        return f"\n{name}: {problem}"
    return text


if __name__ == "__main__":
    main()
