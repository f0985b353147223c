"""Cold start: what a fresh process waits for, imports included; the start of Python is left out.

What else is installed beside a library can slow it down, so take one environment for each:

    python -m venv /tmp/ours && /tmp/ours/bin/pip install .
    python -m venv /tmp/official && /tmp/official/bin/pip install stripe requests
    OUR_PYTHON=/tmp/ours/bin/python OFFICIAL_PYTHON=/tmp/official/bin/python \\
        python -m benchmarks coldstart

Without these variables all run in the current environment. A contender that cannot be imported
there is left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from attrs import frozen

from benchmarks.measure import KEY, Cost, median, table
from benchmarks.server import fixed_answers

RUNS = 12

_TIMED = """
import sys, time
wall, cpu = time.perf_counter(), time.process_time()
{script}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""

_PINSTRIPE = """
import asyncio, pinstripe
async def main():
    async with pinstripe.AsyncClient(sys.argv[1], base_url=sys.argv[2]) as stripe:
        return await stripe.identity.verification_sessions.retrieve("vs_1")
assert asyncio.run(main()).status == "requires_input"
"""

_BLOCKING = """
import pinstripe
with pinstripe.Client(sys.argv[1], base_url=sys.argv[2]) as stripe:
    session = stripe.identity.verification_sessions.retrieve("vs_1")
assert session.status == "requires_input"
"""

_OFFICIAL = """
import stripe
client = stripe.StripeClient(sys.argv[1], base_addresses={"api": sys.argv[2]})
session = client.v1.identity.verification_sessions.retrieve("vs_1")
assert session.status == "requires_input"
"""

_OFFICIAL_ASYNC = """
import asyncio, stripe
async def main():
    client = stripe.StripeClient(
        sys.argv[1], base_addresses={"api": sys.argv[2]}, http_client=stripe.%s()
    )
    return await client.v1.identity.verification_sessions.retrieve_async("vs_1")
assert asyncio.run(main()).status == "requires_input"
"""

_AIOHTTP = """
import aiohttp, asyncio, json
async def main():
    headers = {"Authorization": f"Bearer {sys.argv[1]}"}
    url = sys.argv[2] + "/v1/identity/verification_sessions/vs_1"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return json.loads(await answer.read())
assert asyncio.run(main())["status"] == "requires_input"
"""


@frozen
class _Contender:
    """A script, and the interpreter it runs in."""

    script: str
    official: bool = False

    def runs(self, url: str) -> bool:
        """Run once; return False where a library is not there."""
        try:
            self.run(url)
        except subprocess.CalledProcessError as error:
            if "ImportError" in error.stderr or "ModuleNotFoundError" in error.stderr:
                return False
            raise
        return True

    def run(self, url: str) -> tuple[float, float]:
        """Return the seconds of wall and CPU time that a fresh process reports."""
        python = os.environ.get("OFFICIAL_PYTHON" if self.official else "OUR_PYTHON")
        command = [python or sys.executable, "-c", _TIMED.format(script=self.script), KEY, url]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        wall, cpu = map(float, done.stdout.split())
        return wall, cpu


_IMPORTS = {
    "import stripe": _Contender("import stripe", official=True),
    "import pinstripe": _Contender("import pinstripe"),
    "from pinstripe import AsyncClient": _Contender("from pinstripe import AsyncClient"),
    "import aiohttp": _Contender("import aiohttp"),
}
_ANSWERS = {
    "official SDK, sync (requests)": _Contender(_OFFICIAL, official=True),
    "pinstripe": _Contender(_PINSTRIPE),
    "pinstripe, blocking": _Contender(_BLOCKING),
    "aiohttp + json.loads": _Contender(_AIOHTTP),
    "official SDK, async (httpx)": _Contender(_OFFICIAL_ASYNC % "HTTPXClient", official=True),
    "official SDK, async (aiohttp)": _Contender(_OFFICIAL_ASYNC % "AIOHTTPClient", official=True),
}


def _compare(contenders: Mapping[str, _Contender], url: str) -> dict[str, Cost]:
    """Run contenders in turns, once more than is counted."""
    times: dict[str, list[tuple[float, float]]] = {
        name: [] for name, contender in contenders.items() if contender.runs(url)
    }
    for _ in range(RUNS):
        for name, runs in times.items():
            runs.append(contenders[name].run(url))
    return {name: median(runs, 1) for name, runs in times.items()}


def report() -> str:
    """Return the tables."""
    with fixed_answers() as url:
        imports, answers = _compare(_IMPORTS, url), _compare(_ANSWERS, url)
    first = "First answer in a fresh process, from its first import"
    return "\n".join(
        [
            table("Import in a fresh process", "import stripe", imports),
            table(first, "official SDK, sync (requests)", answers),
        ]
    )
