"""A process that catches up with the log of a sandbox, and may die in the middle of an event.

`python catch_up_worker.py STORE LOG DIE_AT`: handle what was missed in the last two days. Each
effect is a line in the log. The first handling of a tenth of the events fails, in whichever process
it is. The handler of event number DIE_AT of this process ends it with SIGKILL before its effect.
The last line of the output is how many were handled, duplicate, busy and failed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import anyio

from pinstripe import AsyncClient
from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET
from pinstripe.webhooks import Router, SQLiteStore, Webhook
from tests.support.webhook_worker import append

# Longer than a busy machine holds a process up between a claim and its commit.
LEASE = 5.0


def fails_first(id: str) -> bool:
    return zlib.crc32(id.encode()) % 10 == 0


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def router_over(store: SQLiteStore, log: Path, die_at: int = 0) -> Router:
    router = Router(Webhook(SECRET), store, lease=LEASE)
    failures, count = log.with_suffix(".failed"), 0

    @router.on(Event)
    async def handle(event: Event) -> None:
        nonlocal count
        count += 1
        if count == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        tried = failures.read_text().split() if failures.exists() else []
        if fails_first(event.id) and event.id not in tried:
            append(failures, event.id)
            raise ValueError("not at the first time")
        append(log, event.id)
        if count == 1:
            tell("began")

    return router


async def main(place: str, log: str, die_at: str) -> None:
    store = SQLiteStore(place)
    router = router_over(store, Path(log), int(die_at))
    async with AsyncClient() as stripe:
        since = datetime.now(timezone.utc) - timedelta(days=2)
        report = await router.catch_up(stripe, since=since)
    store.close()
    tell(json.dumps([report.handled, report.duplicate, report.busy, report.failed]))


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
