"""One client in several event loops at once, in loops of other libraries, and after their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

import pinstripe
from pinstripe import AsyncClient, ConfigurationError, Created, Limits, Request, Response
from pinstripe.bulk import fan_out
from pinstripe.export import to_file
from pinstripe.sandbox import Sandbox
from tests.http.test_transport import KEY, ONCE
from tests.support import faulty
from tests.support.faulty import Behaviour, Faulty, ok
from tests.support.holding import WAIT

BARRIER = 6


@pytest.fixture
def portals() -> Iterator[list[BlockingPortal]]:
    """Two event loops, each in a thread of its own."""
    with start_blocking_portal() as first, start_blocking_portal() as second:
        yield [first, second]


@contextlib.contextmanager
def serving(*script: Behaviour) -> Iterator[Faulty]:
    """Run a server in an event loop of its own."""
    with start_blocking_portal() as portal:
        server = portal.call(lambda: _made(*script))
        with portal.wrap_async_context_manager(server):
            yield server


async def _made(*script: Behaviour) -> Faulty:
    return Faulty(*script)


def client_of(server: Faulty, **settings: Any) -> AsyncClient:
    return AsyncClient(KEY, base_url=server.url, files_url=server.url, retry=ONCE, **settings)


# --- several event loops at once -------------------------------------------------------------


def test_each_event_loop_keeps_its_own_connections(portals) -> None:
    with serving(ok()) as server:
        client = client_of(server)
        for _ in range(3):
            for portal in portals:
                assert portal.call(client.request, "GET", "/v1/things").status == 200
        assert (server.accepted, len(server.requests)) == (2, 6)
        portals[0].call(client.aclose)


def test_first_calls_of_many_event_loops_in_the_same_moment() -> None:
    barrier = threading.Barrier(BARRIER)

    async def work(client: AsyncClient) -> list[str]:
        create = client.identity.verification_sessions.create
        barrier.wait(WAIT)
        made = [await create(type="document") for _ in range(3)]
        made += await asyncio.gather(*(create(type="document") for _ in range(3)))
        return [session.id for session in made]

    with Sandbox() as sandbox, ThreadPoolExecutor(BARRIER) as pool:
        for _ in range(3):
            client = sandbox.client()
            done = [pool.submit(asyncio.run, work(client)) for _ in range(BARRIER)]
            ids = [id for one in done for id in one.result()]
            assert len(set(ids)) == 6 * BARRIER
            asyncio.run(client.aclose())


def test_slots_are_counted_in_each_event_loop_by_itself(portals) -> None:
    with serving(faulty.hang, ok()) as server:
        client = client_of(server, limits=Limits(max_in_flight=1))
        first = portals[0].start_task_soon(client.request, "POST", "/v1/things")
        server_got(server, 1)
        assert portals[1].call(client.request, "GET", "/v1/things").status == 200
        first.cancel()
        portals[1].call(client.aclose)


def server_got(server: Faulty, count: int) -> None:
    """Wait until a server has got so many requests."""
    got = threading.Event()
    while len(server.requests) < count:
        got.wait(0.001)


def test_the_end_of_a_client_ends_its_calls_in_every_event_loop(portals) -> None:
    with serving(faulty.hang) as server:
        client = client_of(server)
        call = portals[0].start_task_soon(client.request, "POST", "/v1/things")
        server_got(server, 1)
        portals[1].call(client.aclose)
        error = call.exception(WAIT)
        assert isinstance(error, pinstripe.PinstripeError)
        for portal in portals:
            with pytest.raises(pinstripe.PinstripeError, match="closed"):
                portal.call(client.request, "GET", "/v1/things")
        assert len(server.requests) == 1


def test_a_write_in_one_event_loop_closes_the_shared_reads_of_another(portals) -> None:
    """A read that starts after a write has ended sees what it did, whichever loop wrote."""

    class Held:
        """A transport whose GETs wait."""

        def __init__(self) -> None:
            self.reads: list[Request] = []
            self.came = threading.Semaphore(0)
            self.go = threading.Event()

        async def send(self, request: Request) -> Response:
            if request.method == "GET":
                self.reads.append(request)
                self.came.release()
                await asyncio.to_thread(self.go.wait, WAIT)
            return Response(status=200, headers={}, body=b"{}")

        async def aclose(self) -> None:
            return None

    held = Held()
    client = AsyncClient(KEY, transport=held).with_options(coalesce=True)
    reads: list[Future[Response]] = []

    def read() -> None:
        reads.append(portals[0].start_task_soon(client.request, "GET", "/v1/things"))

    read()
    assert held.came.acquire(timeout=WAIT)
    portals[1].call(client.request, "POST", "/v1/things")
    read()
    assert held.came.acquire(timeout=WAIT)
    held.go.set()
    assert [one.result(WAIT).status for one in reads] == [200, 200]
    assert len(held.reads) == 2


# --- event loops that ended ------------------------------------------------------------------


def test_event_loops_that_were_never_closed_do_not_pile_up() -> None:
    with serving(ok()) as server:
        client, loops = client_of(server), []
        for _ in range(30):
            loop = asyncio.new_event_loop()
            loops.append(loop)
            assert loop.run_until_complete(client.request("GET", "/v1/things")).status == 200
        # The latest of them still have their connections.
        for loop in loops[-10:]:
            loop.run_until_complete(client.request("GET", "/v1/things"))
        assert server.accepted == 30
        assert len(client._shared.transport._local.by_loop()) <= 17  # type: ignore[attr-defined]
        for loop in loops:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(others_end())
            loop.close()
        asyncio.run(client.aclose())


async def others_end() -> None:
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


# --- other libraries -------------------------------------------------------------------------


async def every(items: Any) -> list[Any]:
    return [item async for item in items]


async def wait_for(page: Any) -> Any:
    return await page


def calls(client: AsyncClient, folder: Path) -> dict[str, Callable[[], Coroutine[Any, Any, Any]]]:
    sessions = client.identity.verification_sessions
    sharing = client.with_options(coalesce=True).identity.verification_sessions
    since = Created(gte=datetime(2026, 1, 1, tzinfo=timezone.utc))
    return {
        "create": lambda: sessions.create(type="document"),
        "retrieve": lambda: sessions.retrieve("vs_1"),
        "shared": lambda: sharing.retrieve("vs_1"),
        "page": lambda: wait_for(sessions.list()),
        "walk": lambda: every(sessions.list()),
        "parallel": lambda: every(sessions.list(created=since).parallel()),
        "request": lambda: client.request("GET", "/v1/things"),
        "fan_out": lambda: every(fan_out(sessions.retrieve, ["vs_1"])),
        "upload": lambda: client.files.create(
            file=b"%PDF-1.4", filename="a.pdf", purpose="identity_document"
        ),
        "read": lambda: client.files.read("file_1"),
        "download": lambda: client.files.download("file_1", folder / "a"),
        "export": lambda: to_file(sessions.list(), folder / "a.jsonl"),
        "warm_up": client.warm_up,
        "aclose": client.aclose,
    }


@pytest.mark.parametrize("name", calls(AsyncClient(KEY), Path()))
def test_without_asyncio_a_call_says_what_is_missing(name, tmp_path) -> None:
    """As in trio, whose tasks are steps of coroutines too."""
    call = calls(AsyncClient(KEY), tmp_path)[name]()
    with pytest.raises(ConfigurationError, match="needs an event loop of asyncio"):
        call.send(None)
    assert list(tmp_path.iterdir()) == []


SNIFFIO = """
from contextvars import ContextVar
from threading import local

class AsyncLibraryNotFoundError(RuntimeError): ...

class _Local(local):
    name = None

thread_local = _Local()
current_async_library_cvar = ContextVar("current_async_library_cvar", default=None)

def current_async_library():
    found = thread_local.name or current_async_library_cvar.get()
    if found is None:
        raise AsyncLibraryNotFoundError
    return found
"""
"""What anyio uses of sniffio 1.3, which it prefers to its own look if it is installed."""


@pytest.mark.parametrize(
    "run",
    [
        "anyio.run(main)",
        "with start_blocking_portal() as portal: portal.call(main)",  # Starlette's TestClient
        "with get_runner(): runner.run_test(main, {})",  # pytest's plugin of anyio
    ],
)
def test_warming_up_and_calls_where_sniffio_names_the_library(run, tmp_path) -> None:
    (tmp_path / "sniffio.py").write_text(SNIFFIO)
    script = f"""
import asyncio, contextlib, sys
import anyio, pinstripe, sniffio
from anyio.from_thread import start_blocking_portal
from anyio.pytest_plugin import get_runner as runner_of

@contextlib.contextmanager
def get_runner():
    global runner
    with runner_of("asyncio", {{}}) as runner:
        yield

async def main(**_):
    assert sniffio.current_async_library() == "asyncio"
    async with pinstripe.AsyncClient() as stripe:
        await stripe.warm_up()
        await stripe.events.list()
    await anyio.to_thread.run_sync(block)  # as Starlette calls a plain endpoint
    await asyncio.to_thread(block)
    print("done")

def block():
    with pinstripe.Client() as stripe:
        stripe.warm_up()
        stripe.events.list().first()

{run}
"""
    with Sandbox() as sandbox:
        found = {"STRIPE_API_KEY": KEY, "PINSTRIPE_BASE_URL": sandbox.url}
        path = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            env={**os.environ, **found, **path},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("done\n", "")
