"""A process that receives deliveries over a shared store, and may die in the middle of one.

`python webhook_worker.py STORE LOG ID...`: handle the events of these ids, one after the other,
until each is answered with success. An event whose id starts with `die_before` or `die_after`
ends the process with SIGKILL before or after its effect, which is a line in the log.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.webhooks import RedisStore, Router, SQLiteStore, Store, Webhook

LEASE = 3600.0


def store_at(place: str) -> Store:
    return RedisStore(place) if place.startswith("unix:") else SQLiteStore(place)


def append(log: Path, line: str) -> None:
    """Write a line in one piece, which no other process's line comes between."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def router_over(store: Store, log: Path, *, deadly: bool) -> Router:
    router = Router(Webhook(SECRET), store, lease=LEASE)

    @router.on(Event)
    async def handle(event: Event) -> None:
        if deadly and event.id.startswith("die_before"):
            os.kill(os.getpid(), signal.SIGKILL)
        append(log, event.id)
        if deadly and event.id.startswith("die_after"):
            os.kill(os.getpid(), signal.SIGKILL)

    return router


async def deliver(router: Router, id: str) -> int:
    event = StripeEvent()("file.created", event={"id": id})
    return (await router.receive(event.body, event.signature)).status


async def main(place: str, log: str, *ids: str) -> None:
    store = store_at(place)
    router = router_over(store, Path(log), deadly=True)
    for id in ids:
        while await deliver(router, id) != 200:
            await checkpoint()
    await store.close_for_loop()
    if isinstance(store, SQLiteStore):
        store.close()


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
