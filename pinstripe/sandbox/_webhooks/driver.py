"""The driver for webhooks: waits for deliveries, shows them, and has them made again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Protocol, TypeAlias, cast

from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import World
from pinstripe.sandbox._webhooks.delivery import flush

Work: TypeAlias = Callable[[World], Coroutine[Any, Any, None]]

_MAX_SHOWN = 100


class Background(Protocol):
    """Runs the sandbox's own endpoints, and work in the event loop of the server."""

    def control(
        self, path: str, params: Mapping[str, object], account: str | None, method: str = "POST"
    ) -> Json:
        """Run one of the sandbox's own endpoints; raises Refusal."""
        ...

    def background(self, work: Work) -> Future[None]:
        """Start work in the event loop of the server."""
        ...


class WebhookDriver:
    """Waits for webhook deliveries, shows them, and has them made again."""

    def __init__(self, server: Background) -> None:
        self._server = server

    async def flush(self) -> None:
        """Start the deliveries that are due, and return when none is under way.

        Attempts that are due later, by the clock, are not waited for.

        Raises:
            RuntimeError: when the sandbox is not running.
        """
        await asyncio.wrap_future(self._server.background(flush))

    def wait(self, seconds: float = 30.0) -> None:
        """Do the same from code that is not async, for a sandbox that runs in another thread.

        Args:
            seconds: how long to wait at most.

        Raises:
            RuntimeError: when the sandbox is not running, or runs in this very thread.
            TimeoutError: when deliveries are still under way then.
        """
        if _in_event_loop():
            raise RuntimeError("await flush() where an event loop runs")
        flushed = self._server.background(flush)
        try:
            flushed.result(seconds)
        except FutureTimeoutError:
            flushed.cancel()
            raise TimeoutError(f"deliveries are under way after {seconds} seconds") from None

    def deliveries(
        self, *, event: str | None = None, status: str | None = None, account: str | None = None
    ) -> list[Json]:
        """Return the deliveries, newest first, at most 100.

        Args:
            event: only those of an event.
            status: only those that are `pending`, `sending`, `delivered`, `failed` or `dropped`.
            account: the connected account whose events they are of.

        Returns:
            Deliveries, each with its `attempts`: when, with which status or error.
        """
        asked = {"event": event, "status": status, "limit": _MAX_SHOWN}
        given = {name: value for name, value in asked.items() if value is not None}
        found = self._server.control("webhooks/deliveries", given, account, "GET")
        return cast("list[Json]", found["data"])

    def resend(self, event: str, *, account: str | None = None) -> Json:
        """Deliver an event once more, to every endpoint that it is for now.

        Args:
            event: id of the event.
            account: the connected account whose event it is.

        Returns:
            The event as the API shows it.

        Raises:
            Refusal: for an unknown id.
        """
        return self._server.control("webhooks/resend", {"event": event}, account)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
