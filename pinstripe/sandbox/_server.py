"""Runs a sandbox: in a running event loop, in a thread, or as a process.

Here all products come together: their kinds of objects, routes, scheduled jobs and drivers.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final, TypeAlias, cast

import msgspec
from aiohttp import web
from yarl import URL

from pinstripe.sandbox._climate import control as climate_control
from pinstripe.sandbox._climate import endpoints as climate
from pinstripe.sandbox._climate import orders
from pinstripe.sandbox._climate.driver import ClimateDriver
from pinstripe.sandbox._control import clock, faults, reset, seeding, watching
from pinstripe.sandbox._crypto import control as crypto_control
from pinstripe.sandbox._crypto import endpoints as crypto
from pinstripe.sandbox._crypto.driver import CryptoDriver
from pinstripe.sandbox._files import endpoints as files
from pinstripe.sandbox._forwarding import endpoints as forwarding
from pinstripe.sandbox._http import dispatch
from pinstripe.sandbox._http.app import Application, LoopbackServer
from pinstripe.sandbox._http.auth import API_KEY, RESTRICTED_KEY
from pinstripe.sandbox._http.routes import RouteTable
from pinstripe.sandbox._http.slices import Steps, run_in_one_piece, run_in_slices
from pinstripe.sandbox._identity import control as identity_control
from pinstripe.sandbox._identity import endpoints as identity
from pinstripe.sandbox._identity import steps
from pinstripe.sandbox._identity.driver import IdentityDriver
from pinstripe.sandbox._pages import console, onramp, rendering, verification
from pinstripe.sandbox._pages.index import index_route
from pinstripe.sandbox._params.forms import from_json
from pinstripe.sandbox._state.disk import ADDRESS, keep_on_disk
from pinstripe.sandbox._state.kinds import Registry
from pinstripe.sandbox._state.origin import NO_REQUEST
from pinstripe.sandbox._state.scheduler import run_scheduler
from pinstripe.sandbox._state.settings import Settings
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import World
from pinstripe.sandbox._v2 import destinations, thin_events
from pinstripe.sandbox._webhooks import control as webhook_control
from pinstripe.sandbox._webhooks import delivery, events
from pinstripe.sandbox._webhooks import endpoints as webhook_endpoints
from pinstripe.sandbox._webhooks.driver import WebhookDriver, Work

# How long a stop waits for answers that are being written.
_SHUTDOWN_SECONDS = 1.0
# How long one thread waits for another. Only a sandbox that hangs takes this long.
_THREAD_SECONDS = 30.0


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- this line is the output of the process


JOBS: Final = {**steps.JOBS, **files.JOBS, **orders.JOBS, **delivery.JOBS}
KINDS: Final = (
    *identity.KINDS,
    *crypto.KINDS,
    *climate.KINDS,
    *events.KINDS,
    *files.KINDS,
    *forwarding.KINDS,
    *webhook_endpoints.KINDS,
    *destinations.KINDS,
    *delivery.KINDS,
)
Service: TypeAlias = Callable[[World], AbstractAsyncContextManager[object]]
"""Background work, which runs while its context manager is open."""

# Started in this order, and stopped in the reverse order.
SERVICES: Final[tuple[Service, ...]] = (delivery.deliver, run_scheduler)
_ROUTES: Final = (
    *identity.ROUTES,
    *identity_control.ROUTES,
    *crypto.ROUTES,
    *crypto_control.ROUTES,
    *climate.ROUTES,
    *climate_control.ROUTES,
    *events.ROUTES,
    *files.ROUTES,
    *forwarding.ROUTES,
    *webhook_endpoints.ROUTES,
    *webhook_control.ROUTES,
    *destinations.ROUTES,
    *thin_events.ROUTES,
    *clock.ROUTES,
    *faults.ROUTES,
    *reset.ROUTES,
    *watching.ROUTES,
    *console.ROUTES,
    *rendering.ROUTES,
    *verification.ROUTES,
    *onramp.ROUTES,
)
_SEEDED: Final = (*_ROUTES, seeding.seed_route(RouteTable(_ROUTES)))
ROUTES: Final = (*_SEEDED, index_route(_SEEDED))
# A table of routes and a registry never change, so all sandboxes of a process share them.
_TABLE: Final = RouteTable(ROUTES)
_REGISTRY: Final = Registry.of(KINDS)


class Server:
    """A sandbox in the running event loop.

    Args:
        settings: How the sandbox behaves.
        host: The address to listen at. Anybody who reaches it can use the sandbox.
        port: TCP port, 0 for a free one.
    """

    def __init__(
        self, settings: Settings | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.world = World(_REGISTRY, settings or Settings(), JOBS)
        self.identity = IdentityDriver(self)
        self.crypto = CryptoDriver(self)
        self.climate = ClimateDriver(self)
        self.webhooks = WebhookDriver(self)
        self._host = host
        self._port = port
        self._runner: web.ServerRunner | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @property
    def url(self) -> str:
        """Address of the sandbox, such as `http://127.0.0.1:12111`.

        Raises:
            RuntimeError: If the sandbox is not running.
        """
        if self._runner is None:
            raise RuntimeError("the sandbox is not running")
        names = self.world.settings.reachable_as
        # A server that listens at every address of the machine is at loopback, too.
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- not listened at here
        host = names[0] if names else everywhere.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    async def start(self) -> None:
        """Load the state from the file in the settings, start background work, and listen.

        Raises:
            OSError: If the port is taken, or the file cannot be used.
            ValueError: If the file is not the store of a sandbox.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stopping.clear()
        ready: asyncio.Future[None] = self._loop.create_future()
        self._task = self._loop.create_task(self._run(ready), name="pinstripe-sandbox")
        await ready

    async def stop(self) -> None:
        """Stop listening, close all connections, and end background work.

        A second call does nothing.
        """
        task, self._task = self._task, None
        if task is not None:
            self._stopping.set()
            await task

    async def _run(self, ready: asyncio.Future[None]) -> None:
        # `start` and `stop` may be called in different tasks, but the task groups and cancel scopes
        # of services must be entered and left in the same task. So one task does both.
        try:
            async with AsyncExitStack() as stack:
                for service in (keep_on_disk, *SERVICES):
                    await stack.enter_async_context(service(self.world))
                await stack.enter_async_context(self._listening())
                ready.set_result(None)
                await self._stopping.wait()
        except Exception as error:
            # An error before the start is raised by `start`, a later one by `stop`.
            if ready.done():
                raise
            ready.set_exception(error)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncGenerator[None, None]:
        server = LoopbackServer(Application(self.world, _TABLE))
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await self._bind(runner)
            self._port = runner.addresses[0][1]
            self._runner = runner
            self.world.base_url = self.url
            self.world.journal.record(*ADDRESS, self.url)
            yield
        finally:
            self._runner = None
            # Streams would go on until the patience of the runner ends.
            self.world.feed.close()
            await runner.cleanup()

    async def _bind(self, runner: web.ServerRunner) -> None:
        # The stored objects have addresses of this server in them. If any port will do, the port of
        # the last run keeps them valid.
        before = URL(self.world.base_url).port
        if self._port == 0 and before:
            with contextlib.suppress(OSError):
                await web.TCPSite(runner, self._host, before).start()
                return
        await web.TCPSite(runner, self._host, self._port).start()

    def background(self, work: Work) -> Future[None]:
        """Start work in the event loop of the server, from any thread.

        Args:
            work: A coroutine function that takes the world.

        Raises:
            RuntimeError: If the sandbox is not running.
        """
        if self._loop is None or self._runner is None:
            raise RuntimeError("the sandbox is not running")
        return asyncio.run_coroutine_threadsafe(work(self.world), self._loop)

    def control(
        self, path: str, params: Mapping[str, object], account: str | None, method: str = "POST"
    ) -> Json:
        """Run a control route in the thread of the server, from any thread.

        Args:
            path: The path below `/_sandbox/`.
            params: The parameters, as in a JSON object.
            account: The connected account, None for the account of the key.
            method: The HTTP method of the route.

        Returns:
            The answer.

        Raises:
            Refusal: If the route refuses the call.
            RuntimeError: If the sandbox is not running.
        """
        if self._loop is None or self._runner is None:
            raise RuntimeError("the sandbox is not running")
        if threading.get_ident() == self._thread:
            reply = self._control(path, params, account, method)
            answer = run_in_one_piece(reply) if isinstance(reply, Generator) else reply
        else:
            waiting = self._control_in_turn(path, params, account, method)
            answer = asyncio.run_coroutine_threadsafe(waiting, self._loop).result()
        # A copy through JSON: the caller may change it, and it may share objects with the state.
        return msgspec.json.decode(msgspec.json.encode(answer), type=dict[str, Any])

    async def _control_in_turn(
        self, path: str, params: Mapping[str, object], account: str | None, method: str
    ) -> Json:
        reply = self._control(path, params, account, method)
        if isinstance(reply, Generator):
            return await run_in_slices(reply, self.world.journal)
        return reply

    def _control(
        self, path: str, params: Mapping[str, object], account: str | None, method: str
    ) -> Json | Steps:
        full_path = f"/_sandbox/{path}"
        match = _TABLE.match(method, full_path)
        call = dispatch.prepare(
            match,
            from_json(dict(params)),
            self.world.account(account),
            restricted=False,
            origin=NO_REQUEST,
            path=full_path,
        )
        if inspect.iscoroutinefunction(match.route.handler):
            raise TypeError(f"a driver cannot wait for {full_path}")
        return cast("Json | Steps", match.route.handler(call))


class ServerThread:
    """A server with its own event loop and thread, for blocking code.

    Args:
        server: A server that is not running.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] | None = None

    def start(self) -> None:
        """Start the thread, and wait until the server listens.

        Raises:
            OSError: If the port is taken, or the file in the settings cannot be used.
            ValueError: If the file is not the store of a sandbox.
        """
        ready: Future[Callable[[], object]] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(ready)), name="pinstripe-sandbox", daemon=True
        )
        self._thread.start()
        self._stop = ready.result(_THREAD_SECONDS)

    def stop(self) -> None:
        """Stop the server and end the thread; a second call does nothing."""
        stop, self._stop = self._stop, None
        if stop is not None and self._thread is not None:
            stop()
            self._thread.join(_THREAD_SECONDS)

    async def _main(self, ready: Future[Callable[[], object]]) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._server.start()
        except Exception as error:  # noqa: BLE001 -- the waiting thread raises it
            ready.set_exception(error)
            return
        ready.set_result(lambda: loop.call_soon_threadsafe(stopped.set))
        await stopped.wait()
        await self._server.stop()


def serve(
    port: int,
    *,
    host: str = "127.0.0.1",
    settings: Settings | None = None,
    announce: Callable[[str], object] = _print,
    prepare: Callable[[Server], object] = lambda _: None,
) -> None:
    """Run a sandbox until the process receives SIGINT or SIGTERM.

    Args:
        port: TCP port, 0 for a free one.
        host: The address to listen at. Anybody who reaches it can use the sandbox.
        settings: How the sandbox behaves.
        announce: Called once with the line `url=... api_key=... restricted_key=...`.
        prepare: Called with the running server before that; may raise ValueError.

    Raises:
        OSError: If the port is taken, or the file in the settings cannot be used.
        ValueError: If the file is not the store of a sandbox.
    """
    # On Windows the loop handles no signals, and Ctrl-C raises KeyboardInterrupt here.
    with contextlib.suppress(KeyboardInterrupt), _short_collections():
        asyncio.run(_serve(Server(settings, host=host, port=port), announce, prepare))


@contextlib.contextmanager
def _short_collections() -> Generator[None, None, None]:
    """Keep the pauses of the garbage collector short, however many objects the process holds.

    A full collection looks at every object, and holds up all calls meanwhile: half a second for
    200,000 sessions. The state of a sandbox has no cycles, so what survived one full collection is
    left out of the next ones.
    """

    def leave_out(phase: str, info: Mapping[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            gc.freeze()

    gc.callbacks.append(leave_out)
    try:
        yield
    finally:
        gc.callbacks.remove(leave_out)
        gc.unfreeze()


async def _serve(
    server: Server,
    announce: Callable[[str], object],
    prepare: Callable[[Server], object],
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Windows has no such handlers: there Ctrl-C cancels this task.
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
    await server.start()
    try:
        prepare(server)
        announce(f"url={server.url} api_key={API_KEY} restricted_key={RESTRICTED_KEY}")
        await stopped.wait()
    finally:
        await server.stop()
