"""Exports: time and memory by the number of objects, to each format, each in a fresh process.

The sandbox serves one table, a generated list the other, which can be of any length.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from attrs import frozen

from benchmarks.support.lists import long_list
from benchmarks.support.measure import KEY
from benchmarks.support.sandbox_process import ask, running
from pinstripe.sandbox._server import API_KEY

SESSIONS = 100_000
GROWTH = tuple(int(n) for n in os.environ.get("EXPORT_SIZES", "1000,10000,100000").split(","))
"""EXPORT_SIZES=1000,10000,100000,1000000 for all of it, which takes three minutes."""

_SCRIPT = """
import asyncio, sys, time
from pathlib import Path
import pinstripe
from pinstripe.export import to_file

async def main(key, url, path):
    async with pinstripe.AsyncClient(key, base_url=url) as stripe:
        start = time.perf_counter()
        count = await to_file(stripe.identity.verification_sessions.list(), path)
        print(count, time.perf_counter() - start)

asyncio.run(main(*sys.argv[1:]))
# The most that this program had: `getrusage` also counts the process that has started it.
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


@frozen
class Export:
    """What an export took: the time of its own, and the memory of its whole process."""

    count: int
    seconds: float
    megabytes: float


def export(key: str, url: str, format: str) -> Export:
    """Export all sessions in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sessions.{format}"
        command = [sys.executable, "-c", _SCRIPT, key, url, str(path)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return Export(int(out[0]), float(out[1]), int(out[2]) / 1024)


def _row(key: str, url: str, format: str) -> str:
    done = export(key, url, format)
    speed = f"{done.count / done.seconds:14,.0f}{done.megabytes:12.0f}"
    return f"{f'{done.count:,} sessions to {format}':44}{done.seconds:10.1f}{speed}"


def report() -> str:
    """Return the tables."""
    heads = f"{'':44}{'seconds':>10}{'objects/s':>14}{'peak MB':>12}"
    with running() as server:
        ask(server, "POST", f"/_sandbox/identity/seed?count={SESSIONS}")
        url = f"http://127.0.0.1:{server.port}"
        rows = [_row(API_KEY, url, format) for format in ("jsonl", "csv", "parquet")]
    lines = ["\nExports from the sandbox", heads, *rows, "\nExports of a generated list", heads]
    for length in GROWTH:
        with long_list(length) as url:
            lines += [_row(KEY, url, format) for format in ("jsonl", "parquet")]
    return "\n".join(lines)
