"""Runs a sandbox on loopback: in a running event loop, in a thread, or as a process."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Any, Final

import msgspec
from aiohttp import web

from pinstripe.sandbox import control, crypto, dispatch, events, identity, verification
from pinstripe.sandbox.app import Application, LoopbackServer
from pinstripe.sandbox.drivers import CryptoDriver, IdentityDriver
from pinstripe.sandbox.forms import from_json
from pinstripe.sandbox.kinds import Registry
from pinstripe.sandbox.routes import Router
from pinstripe.sandbox.store import Json
from pinstripe.sandbox.world import Origin, Settings, World

API_KEY: Final = "sk_test_pinstripe_sandbox"
RESTRICTED_KEY: Final = "rk_test_pinstripe_sandbox"

_SHUTDOWN_SECONDS = 1.0
_THREAD_SECONDS = 30.0


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the process is asked for


DUTIES: Final = {**verification.DUTIES}
KINDS: Final = (*identity.KINDS, *crypto.KINDS, *events.KINDS)
ROUTES: Final = (*identity.ROUTES, *crypto.ROUTES, *events.ROUTES, *control.ROUTES)


class Server:
    """A sandbox in the running event loop.

    Args:
        settings: seed, clock and durations.
        host: a loopback address or `localhost`.
        port: TCP port, 0 for a free one.

    Raises:
        ValueError: for a host that other machines could reach.
    """

    def __init__(
        self, settings: Settings | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        check_loopback(host)
        self.world = World(Registry.of(KINDS), settings or Settings(), DUTIES)
        self.identity = IdentityDriver(self)
        self.crypto = CryptoDriver(self)
        self._router = Router(ROUTES)
        self._host = host
        self._port = port
        self._runner: web.ServerRunner | None = None
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
        """Listen.

        Raises:
            OSError: when the port is taken.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        server = LoopbackServer(Application(self.world, self._router))
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._port = runner.addresses[0][1]
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening and close all connections; a second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def control(self, path: str, params: Mapping[str, object], account: str | None) -> Json:
        """Run one of the sandbox's own endpoints, in the thread of the server.

        Args:
            path: path below `/_sandbox/`.
            params: parameters, as a JSON object has them.
            account: the connected account, None for the account of the key.

        Returns:
            The answer.

        Raises:
            Refusal: when the endpoint says no.
            RuntimeError: when the sandbox is not running.
        """
        if self._loop is None or self._runner is None:
            raise RuntimeError("the sandbox is not running")
        if threading.get_ident() == self._thread:
            return self._control(path, params, account)
        done: Future[Json] = Future()
        self._loop.call_soon_threadsafe(_settle, done, self._control, path, params, account)
        return done.result(_THREAD_SECONDS)

    def _control(self, path: str, params: Mapping[str, object], account: str | None) -> Json:
        where = f"/_sandbox/{path}"
        match = self._router.match("POST", where)
        call = dispatch.prepare(
            match,
            from_json(dict(params)),
            self.world.account(account),
            restricted=False,
            origin=Origin(),
            path=where,
        )
        return _copied(match.route.handler(call))


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
        settings: seed, clock and durations.
        announce: called once with the line `url=... api_key=... restricted_key=...`.

    Raises:
        OSError: when the port is taken.
        ValueError: for a host that other machines could reach.
    """
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
