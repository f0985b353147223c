"""Cold start: what a fresh process waits for, imports included; the start of Python is left out.

The last table is a watchdog's: the longest time, in a fresh process, from one turn of the event
loop to the next while first calls are made. The time it takes of the CPU leaves out what a busy
machine adds.

What else is installed beside a library can slow it down, so take one environment for each:

    python -m venv /tmp/ours && /tmp/ours/bin/pip install .
    python -m venv /tmp/official && /tmp/official/bin/pip install stripe requests
    python -m venv /tmp/async && /tmp/async/bin/pip install "stripe[async]"
    OUR_PYTHON=/tmp/ours/bin/python OFFICIAL_PYTHON=/tmp/official/bin/python \\
        OFFICIAL_ASYNC_PYTHON=/tmp/async/bin/python python -m benchmarks coldstart

Nothing is returned from what `asyncio.run` runs: from Python 3.11 on it makes the repr of that, to
no end.

The API speaks TLS, for which aiohttp reads the certificates of the system, twice, whenever it is
imported, and the official SDK its own when it first calls; so the answer is timed both ways. The
certificate of the server is one more among those of the system, and `openssl` makes it.

Without these variables all run in the current environment. A contender that cannot be imported
there is left out.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from benchmarks.support.measure import KEY, Cost, median, table
from benchmarks.support.server import fixed_answers

RUNS = 12

_TIMED = """
import os, sys, time
wall, cpu = time.perf_counter(), time.process_time()
{script}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""

_PINSTRIPE = """
import asyncio, pinstripe
async def main():
    async with pinstripe.AsyncClient(sys.argv[1], base_url=sys.argv[2]) as stripe:
        session = await stripe.identity.verification_sessions.retrieve("vs_1")
        assert session.status == "requires_input"
asyncio.run(main())
"""

_BLOCKING = """
import pinstripe
with pinstripe.Client(sys.argv[1], base_url=sys.argv[2]) as stripe:
    session = stripe.identity.verification_sessions.retrieve("vs_1")
assert session.status == "requires_input"
"""

# Replaces what the other scripts print by the longest step.
_STEPS = """
import asyncio, pinstripe
longest = [0.0, 0.0]
async def watch():
    at = [time.perf_counter(), time.thread_time()]
    while True:
        await asyncio.sleep(0)
        now = [time.perf_counter(), time.thread_time()]
        longest[:] = (max(l, n - a) for l, n, a in zip(longest, now, at))
        at = now
async def main():
    async with pinstripe.AsyncClient(sys.argv[1], base_url=sys.argv[2]) as stripe:
        %s
        watching = asyncio.create_task(watch())
        for _ in range(20):
            await stripe.crypto.onramp_quotes.retrieve()
            await stripe.identity.verification_sessions.retrieve("vs_1")
            await stripe.identity.verification_sessions.list()
        watching.cancel()
asyncio.run(main())
wall, cpu = time.perf_counter() - longest[0], time.process_time() - longest[1]
"""

_OFFICIAL = """
import stripe
stripe.ca_bundle_path = os.environ.get("SSL_CERT_FILE") or stripe.ca_bundle_path
client = stripe.StripeClient(sys.argv[1], base_addresses={"api": sys.argv[2]})
session = client.v1.identity.verification_sessions.retrieve("vs_1")
assert session.status == "requires_input"
"""

_OFFICIAL_ASYNC = """
import asyncio, stripe
stripe.ca_bundle_path = os.environ.get("SSL_CERT_FILE") or stripe.ca_bundle_path
async def main():
    client = stripe.StripeClient(
        sys.argv[1], base_addresses={"api": sys.argv[2]}, http_client=stripe.%s()
    )
    session = await client.v1.identity.verification_sessions.retrieve_async("vs_1")
    assert session.status == "requires_input"
asyncio.run(main())
"""

_AIOHTTP = """
import aiohttp, asyncio, json
async def main():
    headers = {"Authorization": f"Bearer {sys.argv[1]}"}
    url = sys.argv[2] + "/v1/identity/verification_sessions/vs_1"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        assert json.loads(await answer.read())["status"] == "requires_input"
asyncio.run(main())
"""


@frozen
class _Contender:
    """A script, and the variable that names the interpreter it runs in."""

    script: str
    python: str = "OUR_PYTHON"

    def runs(self, url: str, environ: Mapping[str, str]) -> bool:
        """Run once; return False where a library is not there."""
        try:
            self.run(url, environ)
        except subprocess.CalledProcessError as error:
            if "ImportError" in error.stderr or "ModuleNotFoundError" in error.stderr:
                return False
            raise
        return True

    def run(self, url: str, environ: Mapping[str, str]) -> tuple[float, float]:
        """Return the seconds of wall and CPU time that a fresh process reports."""
        # -I: what is installed, and compiled once, whatever folder and environment this runs in.
        command = [
            os.environ.get(self.python, sys.executable),
            "-I",
            "-c",
            _TIMED.format(script=self.script),
            KEY,
            url,
        ]
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **environ},
        )
        wall, cpu = map(float, done.stdout.split())
        return wall, cpu


_IMPORTS = {
    "import stripe": _Contender("import stripe", "OFFICIAL_PYTHON"),
    "import pinstripe": _Contender("import pinstripe"),
    "from pinstripe import AsyncClient": _Contender("from pinstripe import AsyncClient"),
    "import aiohttp": _Contender("import aiohttp"),
}
_ANSWERS = {
    "official SDK, sync (requests)": _Contender(_OFFICIAL, "OFFICIAL_PYTHON"),
    "pinstripe": _Contender(_PINSTRIPE),
    "pinstripe, blocking": _Contender(_BLOCKING),
    "aiohttp + json.loads": _Contender(_AIOHTTP),
    "official SDK, async (httpx)": _Contender(
        _OFFICIAL_ASYNC % "HTTPXClient", "OFFICIAL_ASYNC_PYTHON"
    ),
    "official SDK, async (aiohttp)": _Contender(
        _OFFICIAL_ASYNC % "AIOHTTPClient", "OFFICIAL_ASYNC_PYTHON"
    ),
}


_LONGEST = {
    "without warm_up()": _Contender(_STEPS % ""),
    "after warm_up()": _Contender(_STEPS % "await stripe.warm_up()"),
}


def _compare(
    contenders: Mapping[str, _Contender], url: str, environ: Mapping[str, str] | None = None
) -> dict[str, Cost]:
    """Run contenders in turns, once more than is counted."""
    times: dict[str, list[tuple[float, float]]] = {
        name: [] for name, contender in contenders.items() if contender.runs(url, environ or {})
    }
    for _ in range(RUNS):
        for name, runs in times.items():
            runs.append(contenders[name].run(url, environ or {}))
    return {name: median(runs, 1) for name, runs in times.items()}


def _make_certificate(folder: Path) -> tuple[str, str]:
    """Return the paths of a certificate with its key, and of what to trust."""
    key, certificate, bundle = (folder / name for name in ("key.pem", "own.pem", "all.pem"))
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    options = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out"]
    subprocess.run([*command.split(), *options, str(certificate)], check=True, capture_output=True)
    system = ssl.get_default_verify_paths().cafile
    trusted = Path(system).read_text(encoding="utf-8") if system else ""
    bundle.write_text(trusted + certificate.read_text(encoding="utf-8"), encoding="utf-8")
    certificate.write_text(
        certificate.read_text(encoding="utf-8") + key.read_text(encoding="utf-8"), encoding="utf-8"
    )
    return str(certificate), str(bundle)


def _over_tls() -> dict[str, Cost]:
    with tempfile.TemporaryDirectory() as folder:
        certificate, bundle = _make_certificate(Path(folder))
        with fixed_answers(certificate) as url:
            return _compare(_ANSWERS, url, {"SSL_CERT_FILE": bundle})


def report() -> str:
    """Return the tables."""
    with fixed_answers() as url:
        imports, answers = _compare(_IMPORTS, url), _compare(_ANSWERS, url)
        steps = _compare(_LONGEST, url)
    first = "First answer in a fresh process, from its first import"
    return "\n".join(
        [
            table("Import in a fresh process", "import stripe", imports),
            table(first, "official SDK, sync (requests)", answers),
            table(first + ", over TLS", "official SDK, sync (requests)", _over_tls()),
            table("The longest step on the event loop", "without warm_up()", steps),
        ]
    )
