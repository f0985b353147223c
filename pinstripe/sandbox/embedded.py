"""The sandbox inside a program: `Sandbox`, with its server, its drivers and a client for it."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from pinstripe._client import AsyncClient
from pinstripe.sandbox.clock import Clock, system_clock
from pinstripe.sandbox.drivers import CryptoDriver, IdentityDriver
from pinstripe.sandbox.server import API_KEY, RESTRICTED_KEY, Server, ServerThread
from pinstripe.sandbox.world import Settings


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

    Attributes:
        api_key: the key given, for other clients.
        restricted_key: a restricted key, which may expand what a plain one may not.
        clock: the clock given.
        identity: moves verification sessions.
        crypto: moves onramp sessions.
    """

    api_key: str
    restricted_key: str
    clock: Clock
    identity: IdentityDriver
    crypto: CryptoDriver

    def __init__(
        self,
        *,
        seed: int | None = None,
        clock: Clock | None = None,
        port: int = 0,
        api_key: str = API_KEY,
        redaction_seconds: float = 1.0,
    ) -> None:
        self.api_key = api_key
        self.restricted_key = RESTRICTED_KEY
        self.clock = clock or system_clock
        self._server = Server(Settings(seed, self.clock, redaction_seconds), port=port)
        self._thread = ServerThread(self._server)
        self.identity = self._server.identity
        self.crypto = self._server.crypto

    @property
    def url(self) -> str:
        """Address of the sandbox, such as `http://127.0.0.1:40123`.

        Raises:
            RuntimeError: outside of the `with` block.
        """
        return self._server.url

    def client(self, **options: Any) -> AsyncClient:
        """Return a client for this sandbox.

        Args:
            options: options of `AsyncClient`, in place of the usual ones.

        Returns:
            A client that is not open yet: use it with `async with`.

        Raises:
            RuntimeError: outside of the `with` block.
        """
        usual: dict[str, Any] = {
            "api_key": self.api_key,
            "base_url": self.url,
            "files_url": self.url,
        }
        return AsyncClient(**{**usual, **options})

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
