"""Runs a sandbox on loopback: in a running event loop, in a thread, or as a process."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from ipaddress import ip_address
from typing import Any, Final, TypeAlias, cast

import msgspec
from aiohttp import web
from yarl import URL

from pinstripe.sandbox._climate import control as climate_control
from pinstripe.sandbox._climate import endpoints as climate
from pinstripe.sandbox._climate import orders
from pinstripe.sandbox._climate.driver import ClimateDriver
from pinstripe.sandbox._control import clock, faults
from pinstripe.sandbox._crypto import control as crypto_control
from pinstripe.sandbox._crypto import endpoints as crypto
from pinstripe.sandbox._crypto.driver import CryptoDriver
from pinstripe.sandbox._files import endpoints as files
from pinstripe.sandbox._forwarding import endpoints as forwarding
from pinstripe.sandbox._http import dispatch
from pinstripe.sandbox._http.app import Application, LoopbackServer
from pinstripe.sandbox._http.routes import RouteTable
from pinstripe.sandbox._identity import control as identity_control
from pinstripe.sandbox._identity import endpoints as identity
from pinstripe.sandbox._identity import steps
from pinstripe.sandbox._identity.driver import IdentityDriver
from pinstripe.sandbox._params.forms import from_json
from pinstripe.sandbox._state.disk import ADDRESS, keep_on_disk
from pinstripe.sandbox._state.kinds import Registry
from pinstripe.sandbox._state.scheduler import run_scheduler
from pinstripe.sandbox._state.settings import Settings
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import EventOrigin, World
from pinstripe.sandbox._webhooks import control as webhook_control
from pinstripe.sandbox._webhooks import delivery, events
from pinstripe.sandbox._webhooks import endpoints as webhook_endpoints
from pinstripe.sandbox._webhooks.delivery import deliver
from pinstripe.sandbox._webhooks.driver import WebhookDriver, Work

API_KEY: Final = "sk_test_pinstripe_sandbox"
RESTRICTED_KEY: Final = "rk_test_pinstripe_sandbox"

_SHUTDOWN_SECONDS = 1.0
_THREAD_SECONDS = 30.0


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the process is asked for


JOBS: Final = {**steps.JOBS, **files.JOBS, **orders.JOBS, **delivery.JOBS}
KINDS: Final = (
    *identity.KINDS,
    *crypto.KINDS,
    *climate.KINDS,
    *events.KINDS,
    *files.KINDS,
    *forwarding.KINDS,
    *webhook_endpoints.KINDS,
    *delivery.KINDS,
)
Service: TypeAlias = Callable[[World], AbstractAsyncContextManager[object]]

# Work in the background, as long as the server runs: entered in this order, left in the other.
SERVICES: Final[tuple[Service, ...]] = (deliver, run_scheduler)
ROUTES: Final = (
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
    *clock.ROUTES,
    *faults.ROUTES,
)


class Server:
    """A sandbox in the running event loop.

    Args:
        settings: how the sandbox behaves.
        host: a loopback address or `localhost`.
        port: TCP port, 0 for a free one.

    Raises:
        ValueError: for a host that other machines could reach.
    """

    def __init__(
        self, settings: Settings | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        check_loopback(host)
        self.world = World(Registry.of(KINDS), settings or Settings(), JOBS)
        self.identity = IdentityDriver(self)
        self.crypto = CryptoDriver(self)
        self.climate = ClimateDriver(self)
        self.webhooks = WebhookDriver(self)
        self._router = RouteTable(ROUTES)
        self._host = host
        self._port = port
        self._runner: web.ServerRunner | None = None
        self._life: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @property
    def url(self) -> str:
        """Address of the sandbox, such as `http://127.0.0.1:12111`.

        Raises:
            RuntimeError: before the start.
        """
        if self._runner is None:
            raise RuntimeError("the sandbox is not running")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Restore what the settings' file keeps, start background work and listen.

        Raises:
            OSError: when the port is taken, or the file cannot be used.
            ValueError: when the file is something else than a sandbox's.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stopping.clear()
        ready: asyncio.Future[None] = self._loop.create_future()
        self._life = self._loop.create_task(self._live(ready), name="pinstripe-sandbox")
        await ready

    async def stop(self) -> None:
        """Stop listening, close all connections and end background work.

        A second call does nothing.
        """
        life, self._life = self._life, None
        if life is not None:
            self._stopping.set()
            await life

    async def _live(self, ready: asyncio.Future[None]) -> None:
        # One task from entering to leaving, whichever tasks start and stop the server: the task
        # groups and cancel scopes of services ask for that.
        try:
            async with AsyncExitStack() as stack:
                for service in (keep_on_disk, *SERVICES):
                    await stack.enter_async_context(service(self.world))
                await stack.enter_async_context(self._listening())
                ready.set_result(None)
                await self._stopping.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncGenerator[None, None]:
        server = LoopbackServer(Application(self.world, self._router))
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
            await runner.cleanup()

    async def _bind(self, runner: web.ServerRunner) -> None:
        before = URL(self.world.base_url).port
        if self._port == 0 and before:
            with contextlib.suppress(OSError):
                await web.TCPSite(runner, self._host, before).start()
                return
        await web.TCPSite(runner, self._host, self._port).start()

    def background(self, work: Work) -> Future[None]:
        """Start work in the event loop of the server, from any thread.

        Args:
            work: a coroutine function that takes the world.

        Raises:
            RuntimeError: when the sandbox is not running.
        """
        if self._loop is None or self._runner is None:
            raise RuntimeError("the sandbox is not running")
        return asyncio.run_coroutine_threadsafe(work(self.world), self._loop)

    def control(
        self, path: str, params: Mapping[str, object], account: str | None, method: str = "POST"
    ) -> Json:
        """Run one of the sandbox's own endpoints, in the thread of the server.

        Args:
            path: path below `/_sandbox/`.
            params: parameters, as a JSON object has them.
            account: the connected account, None for the account of the key.
            method: the HTTP method that the endpoint takes.

        Returns:
            The answer.

        Raises:
            Refusal: when the endpoint says no.
            RuntimeError: when the sandbox is not running.
        """
        if self._loop is None or self._runner is None:
            raise RuntimeError("the sandbox is not running")
        if threading.get_ident() == self._thread:
            return self._control(path, params, account, method)
        done: Future[Json] = Future()
        self._loop.call_soon_threadsafe(_settle, done, self._control, path, params, account, method)
        return done.result(_THREAD_SECONDS)

    def _control(
        self, path: str, params: Mapping[str, object], account: str | None, method: str
    ) -> Json:
        where = f"/_sandbox/{path}"
        match = self._router.match(method, where)
        call = dispatch.prepare(
            match,
            from_json(dict(params)),
            self.world.account(account),
            restricted=False,
            origin=EventOrigin(),
            path=where,
        )
        if inspect.iscoroutinefunction(match.route.handler):
            raise TypeError(f"a driver cannot wait for {where}")
        return _copied(cast("Json", match.route.handler(call)))


class ServerThread:
    """A server with an event loop and a thread of its own, for code that is not async.

    Args:
        server: a server that is not running.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] | None = None

    def start(self) -> None:
        """Start the thread and return when the server listens.

        Raises:
            OSError: when the port is taken.
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
        except Exception as error:  # noqa: BLE001 - goes to the thread that waits
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
) -> None:
    """Run a sandbox until the process is told to stop by SIGINT or SIGTERM.

    Args:
        port: TCP port, 0 for a free one.
        host: a loopback address or `localhost`.
        settings: how the sandbox behaves.
        announce: called once with the line `url=... api_key=... restricted_key=...`.

    Raises:
        OSError: when the port is taken.
        ValueError: for a host that other machines could reach.
    """
    with contextlib.suppress(KeyboardInterrupt):  # SIGINT, where the loop takes no signals
        asyncio.run(_serve(Server(settings, host=host, port=port), announce))


def check_loopback(host: str) -> None:
    """Refuse a host that other machines could reach.

    Raises:
        ValueError: for anything but `localhost` and the loopback addresses.
    """
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"host must be a loopback address or localhost, got {host!r}")


async def _serve(server: Server, announce: Callable[[str], object]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Windows has no such handlers: Ctrl-C cancels this there.
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
    await server.start()
    try:
        announce(f"url={server.url} api_key={API_KEY} restricted_key={RESTRICTED_KEY}")
        await stopped.wait()
    finally:
        await server.stop()


def _copied(value: Json) -> Json:
    return msgspec.json.decode(msgspec.json.encode(value), type=dict[str, Any])


def _settle(done: Future[Json], function: Callable[..., Json], *arguments: object) -> None:
    try:
        done.set_result(function(*arguments))
    except Exception as error:  # noqa: BLE001 - goes to the thread that waits
        done.set_exception(error)
