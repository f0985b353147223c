"""The sandbox inside a program: `Sandbox`, with its server, its drivers and a client for it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from pinstripe._client import AsyncClient
from pinstripe.sandbox._climate.driver import ClimateDriver
from pinstripe.sandbox._control.fault_driver import FaultDriver, effects
from pinstripe.sandbox._crypto.driver import CryptoDriver
from pinstripe.sandbox._identity.driver import IdentityDriver
from pinstripe.sandbox._server import API_KEY, RESTRICTED_KEY, Server, ServerThread
from pinstripe.sandbox._state.clock import Clock, system_clock
from pinstripe.sandbox._state.settings import Settings
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._traffic.rate_limits import RateLimits
from pinstripe.sandbox._webhooks.driver import WebhookDriver
from pinstripe.sync import Client


class Sandbox:
    """An emulator of the API that lives as long as its `with` block.

    `async with` runs the server in the current event loop, `with` runs it in a thread of its own.
    The drivers work in both, from any thread.

    Args:
        seed: source of all that is random; None draws one.
        clock: gives seconds since the epoch; a `ManualClock` makes time repeatable too.
        port: TCP port on 127.0.0.1, 0 for a free one.
        api_key: the test key that `client` uses; the server takes any test key.
        redaction_seconds: time that a redaction takes, by the clock.
        allow_hosts: names of hosts beside loopback that the sandbox may send webhooks
            and forwarded requests to.
        webhook_seconds: real time that the receiver of a webhook has for its answer.
        forward_seconds: real time that the destination of a forwarded request has for its answer.
        rate_limit: requests a second that an account may make, by the clock, with Stripe's own
            limits for each endpoint and for files; `RateLimits` sets all of them, None none.
        store: SQLite file that outlives the process, made where there is none; None for memory.

    Raises:
        ValueError: for a rate limit that is not above zero; at the start, for a file that is
            something else than a sandbox's.
        OSError: at the start, for a port or file that cannot be used.

    Attributes:
        api_key: the key given, for other clients.
        restricted_key: a restricted key, which may expand what a plain one may not.
        clock: the clock given.
        identity: moves verification sessions.
        crypto: moves onramp sessions.
        climate: moves orders, changes products.
        webhooks: waits for deliveries, shows them, and has them made again.
        faults: has requests fail.
    """

    api_key: str
    restricted_key: str
    clock: Clock
    identity: IdentityDriver
    crypto: CryptoDriver
    climate: ClimateDriver
    webhooks: WebhookDriver
    faults: FaultDriver

    def __init__(
        self,
        *,
        seed: int | None = None,
        clock: Clock | None = None,
        port: int = 0,
        api_key: str = API_KEY,
        redaction_seconds: float = 1.0,
        allow_hosts: Iterable[str] = (),
        webhook_seconds: float = 10.0,
        forward_seconds: float = 55.0,
        rate_limit: RateLimits | float | None = None,
        store: str | Path | None = None,
    ) -> None:
        self.api_key = api_key
        self.restricted_key = RESTRICTED_KEY
        self.clock = clock or system_clock
        settings = Settings(
            seed,
            self.clock,
            redaction_seconds,
            allow_hosts=allow_hosts,
            webhook_seconds=webhook_seconds,
            forward_seconds=forward_seconds,
            rate_limit=rate_limit,
            store=store,
        )
        self._server = Server(settings, port=port)
        self._thread = ServerThread(self._server)
        self.identity = self._server.identity
        self.crypto = self._server.crypto
        self.climate = self._server.climate
        self.webhooks = self._server.webhooks
        self.faults = FaultDriver(self._server)

    @property
    def url(self) -> str:
        """Address of the sandbox, such as `http://127.0.0.1:40123`.

        Raises:
            RuntimeError: outside of the `with` block.
        """
        return self._server.url

    def effects(self, idempotency_key: str | None = None) -> list[Json]:
        """Return what requests really did, whatever they were answered.

        Args:
            idempotency_key: only what was done under this key.

        Returns:
            An object for each endpoint that ran and was not refused, but for GET, oldest first:
            request, idempotency_key, account, method, path, object, id, created.

        Raises:
            RuntimeError: outside of the `with` block.
        """
        return effects(self._server, idempotency_key)

    def client(self, **options: Any) -> AsyncClient:
        """Return a client for this sandbox.

        Args:
            options: options of `AsyncClient`, in place of the usual ones.

        Returns:
            A client that is not open yet: use it with `async with`.

        Raises:
            RuntimeError: outside of the `with` block.
        """
        return AsyncClient(**self._settings(options))

    def sync_client(self, **options: Any) -> Client:
        """Return a blocking client for this sandbox, which then runs under `with`.

        Args:
            options: options of `Client`, in place of the usual ones.

        Returns:
            A client that is not open yet: use it with `with`.

        Raises:
            RuntimeError: outside of the `with` block.
        """
        return Client(**self._settings(options))

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        usual = {"api_key": self.api_key, "base_url": self.url, "files_url": self.url}
        return usual | options

    async def __aenter__(self) -> Sandbox:
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.stop()

    def __enter__(self) -> Sandbox:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.stop()
