"""Exports: time and memory by the number of objects, to each format, each in a fresh process.

The sandbox serves one table, a generated list the other, which can be of any length.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.support.lists import long_list
from benchmarks.support.measure import KEY
from benchmarks.support.sandbox_process import ask, running
from pinstripe.sandbox._server import API_KEY

SESSIONS = 100_000
GROWTH = tuple(int(n) for n in os.environ.get("EXPORT_SIZES", "1000,10000,100000").split(","))
"""EXPORT_SIZES=1000,10000,100000,1000000 for all of it, which takes three minutes."""

_SCRIPT = """
import asyncio, resource, sys, time
import pinstripe
from pinstripe.export import to_file

async def main(key, url, path):
    async with pinstripe.AsyncClient(key, base_url=url) as stripe:
        start = time.perf_counter()
        count = await to_file(stripe.identity.verification_sessions.list(), path)
        print(count, time.perf_counter() - start)

asyncio.run(main(*sys.argv[1:]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _export(key: str, url: str, format: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sessions.{format}"
        command = [sys.executable, "-c", _SCRIPT, key, url, str(path)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    count, seconds, memory = int(out[0]), float(out[1]), int(out[2]) / 1024
    speed = f"{count / seconds:14,.0f}{memory:12.0f}"
    return f"{f'{count:,} sessions to {format}':44}{seconds:10.1f}{speed}"


def report() -> str:
    """Return the tables."""
    heads = f"{'':44}{'seconds':>10}{'objects/s':>14}{'peak MB':>12}"
    with running() as server:
        ask(server, "POST", f"/_sandbox/identity/seed?count={SESSIONS}")
        url = f"http://127.0.0.1:{server.port}"
        rows = [_export(API_KEY, url, format) for format in ("jsonl", "csv", "parquet")]
    lines = ["\nExports from the sandbox", heads, *rows, "\nExports of a generated list", heads]
    for length in GROWTH:
        with long_list(length) as url:
            lines += [_export(KEY, url, format) for format in ("jsonl", "parquet")]
    return "\n".join(lines)
