"""Processes that receive deliveries over one database, and are killed at any moment.

`python -m tests.support.database_killer KIND URL SETTINGS EVENTS KILLS SEED`: four processes get
three deliveries of each event, in any order, and repeat each until it is answered with success. In
between they are killed so many times with SIGKILL, and another process takes over what is left. It
prints how many were killed at which kind of moment, and how often each result was answered.

Every second kill comes from outside, at any moment. The others come at a step: at the n-th
delivery, or before or behind the n-th statement or commit, counted from its start. After each
kill every lease is ended, also those of deliveries that go on: their work must be rolled back. A
process ends when all its reports were read, so that no kill comes too late.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import selectors
import signal
import sys
from collections import Counter, deque
from typing import Any

from attrs import define, field
from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.webhooks import DjangoStore, Router, SQLAlchemyStore, Webhook
from tests.support.databases import Database

LEASE = 3600.0
PROCESSES = 4
STEPS = 150
"""How many steps a process takes at most before it is killed at one; each delivery is one."""


@define
class Fuse:
    """Kills this process at a step; never if it has none left at the start."""

    left: int

    def step(self, *_: Any, **__: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, engine: Any) -> None:
        """Count the statements and commits of an engine."""
        for name in ("before_cursor_execute", "after_cursor_execute", "commit", "checkin"):
            event.listen(engine, name, self.step)

    def around(self, execute: Any, *args: Any) -> Any:
        """Count a statement of Django."""
        self.step()
        result = execute(*args)
        self.step()
        return result


def router_of(database: Database, kind: str, fuse: Fuse) -> Router:
    if kind == "async":
        engine = create_async_engine(database.async_url())
        fuse.watch(engine.sync_engine)
        store: Any = SQLAlchemyStore(engine)
    elif kind == "blocking":
        blocking = create_engine(database.url)
        fuse.watch(blocking)
        store = SQLAlchemyStore(blocking)
    else:
        store = DjangoStore(database.alias())
    router = Router(Webhook(SECRET), store, lease=LEASE)

    async def write(event: Event) -> None:
        await database.write_effect_async(store, event.id)

    def write_blocking(event: Event) -> None:
        if kind == "django":
            from django.db import connections, transaction

            transaction.on_commit(fuse.step, using=database.alias())
            with connections[database.alias()].execute_wrapper(fuse.around):
                database.write_effect(store, event.id)
        else:
            database.write_effect(store, event.id)

    router.on(Event)(write if kind == "async" else write_blocking)
    return router


async def work(router: Router, fuse: Fuse, ids: dict[int, str], report: int) -> None:
    """Make each delivery until it is answered with success, and report each answer."""
    make, waiting = StripeEvent(), deque(ids.items())
    while waiting:
        index, id = waiting.popleft()
        fuse.step()
        signed = make("file.created", event={"id": id})
        receipt = await router.receive(signed.body, signed.signature)
        if receipt.status != 200:
            waiting.append((index, id))
        os.write(report, f"{index} {receipt.ending}\n".encode())


@define
class Worker:
    """A process, and the deliveries that it has not reported yet."""

    left: dict[int, str]
    pid: int = 0
    reports: Any = None
    end: int = 0
    has_fuse: bool = False
    is_shot: bool = False

    def start(self, database: Database, kind: str, steps: int) -> None:
        readable, writable = os.pipe()
        ended, self.end = os.pipe()
        self.has_fuse, self.is_shot = steps > 0, False
        self.pid = os.fork()
        if self.pid == 0:
            logging.disable()
            fuse = Fuse(steps)
            asyncio.run(work(router_of(database, kind, fuse), fuse, self.left, writable))
            os.read(ended, 1)
            os._exit(0)
        os.close(writable)
        os.close(ended)
        # Without a buffer: a line in it would wake nobody who waits for the pipe.
        self.reports = os.fdopen(readable, "rb", buffering=0)
        self.let_end()

    def let_end(self) -> None:
        """Let the process end if nothing is left to do."""
        if not self.left:
            os.write(self.end, b".")


@define
class Run:
    """All processes, and what has become of them."""

    database: Database
    kind: str
    draw: random.Random
    fuses: int
    shots: list[int]
    counts: Counter[str] = field(factory=Counter)
    answers: int = 0
    waiting: selectors.DefaultSelector = field(factory=selectors.DefaultSelector)

    def main(self, workers: list[Worker]) -> None:
        for worker in workers:
            self.start(worker)
        while self.waiting.get_map():
            for key, _ in self.waiting.select():
                line = key.data.reports.readline()
                self.note(key.data, *line.decode().split()) if line else self.bury(key.data)

    def start(self, worker: Worker) -> None:
        steps = (
            self.draw.randint(1, min(STEPS, len(worker.left))) if self.fuses and worker.left else 0
        )
        self.fuses -= steps > 0
        worker.start(self.database, self.kind, steps)
        self.waiting.register(worker.reports, selectors.EVENT_READ, worker)

    def note(self, worker: Worker, index: str, ending: str) -> None:
        self.counts[ending] += 1
        if ending in ("handled", "duplicate"):
            del worker.left[int(index)]
        self.answers += 1
        if self.shots and self.answers >= self.shots[0] and not worker.is_shot:
            worker.is_shot = True
            self.shots.pop(0)
            os.kill(worker.pid, signal.SIGKILL)
        elif not worker.is_shot:
            worker.let_end()

    def bury(self, worker: Worker) -> None:
        self.waiting.unregister(worker.reports)
        worker.reports.close()
        os.close(worker.end)
        status = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        if status == 0:
            return
        assert status == -signal.SIGKILL, status
        self.counts["killed from outside" if worker.is_shot else "killed at a step"] += 1
        self.fuses += worker.has_fuse and worker.is_shot  # that fuse was not used
        self.database.run("UPDATE pinstripe_events SET ends = 0 WHERE NOT done")
        self.start(worker)


def main(kind: str, url: str, settings: str, *numbers: int) -> None:
    events, kills, seed = numbers
    draw = random.Random(seed)
    address = make_url(url)
    database = Database(address, json.loads(settings), create_engine(address, poolclass=NullPool))
    if kind == "django":
        database.alias()
    deliveries = [f"evt_{number}" for number in range(events)] * 3
    draw.shuffle(deliveries)
    shares = [dict(enumerate(deliveries[number::PROCESSES])) for number in range(PROCESSES)]
    # Early enough for each process to have deliveries left.
    shots = sorted(draw.sample(range(len(deliveries) // 2), kills - kills // 2))
    run = Run(database, kind, draw, kills // 2, shots)
    run.main([Worker(share) for share in shares])
    sys.stdout.write(json.dumps(run.counts))


if __name__ == "__main__":
    kind, url, settings, *numbers = sys.argv[1:]
    main(kind, url, settings, *map(int, numbers))
