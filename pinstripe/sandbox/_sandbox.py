"""The sandbox inside a program: a server, its drivers, and clients for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from pinstripe._client import AsyncClient
from pinstripe.sandbox._climate.driver import ClimateDriver
from pinstripe.sandbox._control.fault_driver import FaultDriver, effects
from pinstripe.sandbox._crypto.driver import CryptoDriver
from pinstripe.sandbox._http.auth import API_KEY, RESTRICTED_KEY
from pinstripe.sandbox._identity.driver import IdentityDriver
from pinstripe.sandbox._server import Server, ServerThread
from pinstripe.sandbox._state.clock import Clock, system_clock
from pinstripe.sandbox._state.settings import Settings
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._traffic.rate_limits import RateLimits
from pinstripe.sandbox._webhooks.driver import WebhookDriver
from pinstripe.sync import Client


class Sandbox:
    """An emulator of the API that runs while its `with` block is open.

    `async with` runs the server in the current event loop, `with` runs it in a thread of its own.
    The drivers work in both, from any thread.

    Args:
        seed: The source of everything random; None draws one.
        clock: A function that gives seconds since the epoch; a `ManualClock` makes time repeatable
            too.
        port: TCP port on 127.0.0.1, 0 for a free one.
        api_key: The test key that `client` uses; the server accepts any test key.
        redaction_seconds: How long a redaction takes, by the clock.
        allow_hosts: Names of hosts, beside loopback, to which the sandbox may send webhooks and
            forwarded requests.
        webhook_seconds: How long the receiver of a webhook may take to answer, in real time.
        forward_seconds: How long the destination of a forwarded request may take to answer, in real
            time.
        rate_limit: Requests per second that an account may make, by the clock, with Stripe's own
            limits for each endpoint and for files. `RateLimits` sets all of them; None is no limit.
        store: A SQLite file that keeps the state, created if it does not exist; None keeps the
            state in memory.
        accounts: The ids of the connected accounts (`acct_...`); any other gets the API's refusal.
            Without any, each account that a request names is there, as a world of its own.

    Raises:
        ValueError: If a rate limit is not above zero, or an account is no id (`acct_...`); at the
            start, if the file is not the store of a sandbox.
        OSError: At the start, if the port or the file cannot be used.

    Attributes:
        api_key: The key that was given, for other clients.
        restricted_key: A restricted key, which may expand what a plain key may not.
        clock: The clock that was given.
        identity: Moves verification sessions.
        crypto: Moves onramp sessions.
        climate: Moves orders, and changes products.
        webhooks: Waits for deliveries, lists them, and repeats them.
        faults: Makes requests fail.
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
        accounts: Iterable[str] = (),
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
            accounts=accounts,
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
            RuntimeError: If the `with` block is not open.
        """
        return self._server.url

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point the clients of another process at the sandbox.

        Raises:
            RuntimeError: If the `with` block is not open.
        """
        return {"STRIPE_API_KEY": self.api_key, "PINSTRIPE_BASE_URL": self.url}

    def effects(self, idempotency_key: str | None = None) -> list[Json]:
        """Return what requests really changed, even if their answers were lost.

        Args:
            idempotency_key: Only the effects of requests with this key; None for all.

        Returns:
            An object for each POST or DELETE that was carried out, oldest first, with request,
            idempotency_key, account, method, path, object, id and created.

        Raises:
            RuntimeError: If the `with` block is not open.
        """
        return effects(self._server, idempotency_key)

    def seed(
        self,
        kind: str,
        count: int = 1,
        *,
        interval: int = 60,
        status: str | None = None,
        params: Mapping[str, Any] | None = None,
        events: bool = False,
        account: str | None = None,
    ) -> list[str]:
        """Create objects of any kind as if they were made earlier, without deliveries.

        Args:
            kind: What the field `object` of each will be, such as `climate.order`.
            count: The number of objects.
            interval: Seconds between two of them; the newest is created now.
            status: The status of all of them; None for every status of the kind in turn.
            params: Parameters of the call that creates one; `{number}` in a text is its number.
            events: Whether their events are in the log.
            account: The connected account that they belong to; None for the account of the key.

        Returns:
            The ids of the newest hundred, newest first.

        Raises:
            Refusal: If a value is not valid.
            RuntimeError: If the `with` block is not open.
        """
        given = {"status": status, "params": params}
        given = {name: value for name, value in given.items() if value is not None}
        seed = {"kind": kind, "count": count, "interval": interval, "events": events, **given}
        return cast("list[str]", self._server.control("seed", seed, account)["ids"])

    def reset(self, account: str | None = None) -> None:
        """Forget everything, or one account; the clock stays as it is.

        Args:
            account: The connected account; None for everything: all accounts, faults and effects.

        Raises:
            RuntimeError: If the `with` block is not open.
        """
        self._server.control("reset", {}, account)

    def client(self, **options: Any) -> AsyncClient:
        """Return a client for this sandbox.

        Args:
            options: Options of `AsyncClient`, which replace the usual ones.

        Returns:
            A client that is not open yet: use it with `async with`.

        Raises:
            RuntimeError: If the `with` block is not open.
        """
        return AsyncClient(**self._client_options(options))

    def sync_client(self, **options: Any) -> Client:
        """Return a blocking client for this sandbox, which must run in a `with` block.

        Args:
            options: Options of `Client`, which replace the usual ones.

        Returns:
            A client that is not open yet: use it with `with`.

        Raises:
            RuntimeError: If the `with` block is not open.
        """
        return Client(**self._client_options(options))

    def _client_options(self, options: dict[str, Any]) -> dict[str, Any]:
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
