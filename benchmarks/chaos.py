"""Chaos in full: 20,000 calls, a third of their requests harmed, before a sandbox of its own.

Half of them are made by `AsyncClient`, half by `Client` from 32 threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import attrs

from benchmarks.support.sandbox_process import ledger, running
from pinstripe import AsyncClient, Client
from tests.support.chaos_run import SETTINGS, AnyClient, Figures, run

CALLS = 20_000


def _lines(figures: Figures) -> list[str]:
    values = attrs.asdict(figures, recurse=False)
    values["errors"] = ", ".join(f"{n} {name}" for name, n in figures.errors.most_common())
    values["late"] = f"{figures.late * 1000:.0f} ms"
    values["stalled"] = f"{figures.stalled * 1000:.0f} ms"
    values["memory"] = ", ".join(f"{used / 2**20:.0f}" for used in figures.memory) + " MiB"
    return [f"{name.replace('_', ' '):24}{value}" for name, value in values.items()]


def _table(client: Callable[..., AnyClient], name: str) -> str:
    begun, calls = time.perf_counter(), CALLS // 2
    with running() as server:
        figures = asyncio.run(run(server.port, ledger(server), calls=calls, seed=1, client=client))
    seconds = time.perf_counter() - begun
    limit = SETTINGS["timeout"]
    title = f"\nChaos, {name}: {calls} calls with a deadline of {limit} s, in {seconds:.0f} s"
    return "\n".join([title, *_lines(figures)])


def report() -> str:
    """Return the figures."""
    return "\n".join((_table(AsyncClient, "AsyncClient"), _table(Client, "Client")))
