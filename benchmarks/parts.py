"""Exports in parts: many accounts on two Dask workers, one of them killed, beside one process.

PARTS_ACCOUNTS=200 for the whole of it, which takes some minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

import distributed

import pinstripe
import pinstripe.dask
from benchmarks.support.lists import NEWEST, long_list
from benchmarks.support.measure import KEY
from pinstripe.export import Plan
from pinstripe.export._part import time_of

ACCOUNTS = int(os.environ.get("PARTS_ACCOUNTS", "40"))
EACH = 5_000
TURNS = 3
"""How often one process and two workers are timed in turn, for the median of each."""

GROWTH = tuple(int(n) for n in os.environ.get("PARTS_GROWTH", "1,100,1000").split(","))
"""PARTS_GROWTH=1,100,1000,4096,10000 for all of it."""

UNTIL = time_of(NEWEST + 1)

_SCRIPT = """
import asyncio, sys, time
from pathlib import Path
import pinstripe
from pinstripe.bulk import fan_out
from pinstripe.export import join, plan, write_part
from benchmarks.parts import UNTIL

async def main(key, url, folder, parts, accounts):
    async with pinstripe.AsyncClient(key, base_url=url) as stripe:
        sessions = stripe.identity.verification_sessions.list()
        ids = (f"acct_{n}" for n in range(int(accounts))) if int(accounts) else None
        start = time.perf_counter()
        made = await plan(
            sessions, folder, parts=int(parts), accounts=ids, until=UNTIL, format="jsonl"
        )
        planned = time.perf_counter()
        write = lambda part: write_part(stripe, part)
        async for outcome in fan_out(write, made, concurrency=8, ordered=False):
            outcome.unwrap()
        written = time.perf_counter()
        rows = (await join(made)).rows
        joined = time.perf_counter()
        print(rows, made.parts, planned - start, written - planned, joined - written)

asyncio.run(main(*sys.argv[1:]))
# What getrusage gives would count the process that this one was forked from.
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


def _one_process(url: str, folder: Path, parts: int, accounts: int) -> list[float]:
    command = [sys.executable, "-c", _SCRIPT, KEY, url, str(folder), str(parts), str(accounts)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def _lines(folder: Path, account: str) -> Iterator[bytes]:
    """The rows of an account, in the order of a single export."""
    paths = (folder / f"account={account}").glob("part-*.jsonl")
    for path in sorted(paths, key=lambda path: -int(path.name.split("-")[1])):
        yield from path.read_bytes().splitlines()


def _digest(folder: Path) -> tuple[str, int, int]:
    """The digest of all rows, their number, and the number of different ids."""
    total, ids, digest = 0, set[str](), hashlib.sha256()
    for n in range(ACCOUNTS):
        for line in _lines(folder, f"acct_{n}"):
            digest.update(line)
            ids.add(json.loads(line)["id"])
            total += 1
    return digest.hexdigest()[:12], total, len(ids)


def _kill_half_way(cluster: distributed.LocalCluster, folder: Path, files: int) -> None:
    with distributed.Client(cluster, set_as_default=False) as dask:
        (pid, *_) = dask.run(os.getpid).values()
    while len(list(folder.glob("account=*/part-*"))) < files // 2:
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _on_dask(folder: Path, *, kill: bool) -> float:
    """Return the seconds of a run on two workers, with servers of its own."""
    os.environ["STRIPE_API_KEY"] = KEY
    with (
        long_list(EACH, failures=20 if kill else 0) as url,
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0"
        ) as cluster,
        pinstripe.Client(KEY, base_url=url) as client,
    ):
        sessions = client.identity.verification_sessions.list()

        def planned(folder: Path, first: int, accounts: int) -> Plan:
            ids = (f"acct_{n}" for n in range(first, first + accounts))
            return pinstripe.sync.plan(
                sessions, folder, parts=1, accounts=ids, until=UNTIL, format="jsonl"
            )

        # What the workers import and connect for their first parts is not timed.
        warm = planned(folder.with_name(f"{folder.name}-warm"), 1_000_000, 8)
        pinstripe.dask.run(warm, {"base_url": url}, scheduler=cluster)
        made = planned(folder, 0, ACCOUNTS)
        if kill:
            arguments = (cluster, folder, made.parts)
            threading.Thread(target=_kill_half_way, args=arguments, daemon=True).start()
        start = time.perf_counter()
        try:
            pinstripe.dask.run(made, {"base_url": url}, scheduler=cluster)
        except pinstripe.IncompleteError as error:
            # The broken account is reported at the end, and is all that the second run reads.
            if [name.partition("/")[0] for name in error.errors] != ["account=acct_1"]:
                raise
            pinstripe.dask.run(made, {"base_url": url}, scheduler=cluster)
        return time.perf_counter() - start


def _row(name: str, folder: Path, seconds: float) -> str:
    digest, rows, ids = _digest(folder)
    return f"{name:44}{seconds:10.1f}{rows / seconds:14,.0f}{rows:12,}{ids:12,}{digest:>14}"


def report() -> str:
    """Return the tables."""
    titles = ("seconds", "objects/s", "objects", "ids", "digest")
    heads = "".join(f"{t:>{w}}" for t, w in zip(titles, (10, 14, 12, 12, 14), strict=True))
    lines = [f"\n{ACCOUNTS} accounts of {EACH:,} sessions", f"{'':44}{heads}"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one, two = list[float](), list[float]()
        for turn in map(str, range(TURNS)):
            with long_list(EACH) as url:
                one.append(_one_process(url, folder / "one" / turn, 1, ACCOUNTS)[3])
            two.append(_on_dask(folder / "two" / turn, kill=False))
        lines += [
            _row("one process", folder / "one" / "0", median(one)),
            _row("2 Dask workers", folder / "two" / "0", median(two)),
            _row(
                "2 workers, one killed, an account broken",
                folder / "killed",
                _on_dask(folder / "killed", kill=True),
            ),
        ]
        titles = ("plan", "write", "join", "seconds", "peak MB")
        heads = "".join(f"{title:>10}" for title in titles)
        lines += ["\nGrowth, one process, seconds", f"{'':44}{heads}"]
        with long_list(10) as short, long_list(40_960) as long:
            for n in GROWTH:
                figures = {f"{n:,} accounts": _one_process(short, folder / f"a{n}", 1, n)}
                if n <= 4_096:
                    figures[f"{n:,} parts"] = _one_process(long, folder / f"p{n}", n, 0)
                for title, (_, _, plan, write, join, peak) in figures.items():
                    times = f"{plan:10.2f}{write:10.2f}{join:10.2f}{plan + write + join:10.2f}"
                    lines.append(f"{title:44}{times}{peak / 1024:10.0f}")
    return "\n".join(lines)
