"""The driver of webhooks: waits for deliveries, lists them, and repeats them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Protocol, TypeAlias, cast

from pinstripe.sandbox._control.driver import without_none
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import World
from pinstripe.sandbox._webhooks.delivery import flush

Work: TypeAlias = Callable[[World], Coroutine[Any, Any, None]]

# The largest page of a list.
_MAX_SHOWN = 100


class Background(Protocol):
    """Runs control routes, and work in the event loop of the server."""

    def control(
        self, path: str, params: Mapping[str, object], account: str | None, method: str = "POST"
    ) -> Json:
        """Run a control route and return its answer; raises Refusal."""
        ...

    def background(self, work: Work) -> Future[None]:
        """Start work in the event loop of the server."""
        ...


class WebhookDriver:
    """Waits for webhook deliveries, lists them, and repeats them.

    Args:
        server: The server, which may run in another thread.
    """

    def __init__(self, server: Background) -> None:
        self._server = server

    async def flush(self) -> None:
        """Start the deliveries that are due, and wait until no attempt is running.

        This does not wait for attempts that are due later, by the clock.

        Raises:
            RuntimeError: If the sandbox is not running.
        """
        await asyncio.wrap_future(self._server.background(flush))

    def wait(self, seconds: float = 30.0) -> None:
        """Do the same as `flush` from blocking code, for a sandbox in another thread.

        Args:
            seconds: The longest time to wait.

        Raises:
            RuntimeError: If the sandbox is not running, or an event loop runs in this thread.
            TimeoutError: If attempts are still running after this time.
        """
        # The server may run in this very loop, which would then wait for itself.
        if _in_event_loop():
            raise RuntimeError("an event loop runs in this thread: use `await flush()` instead")
        flushed = self._server.background(flush)
        try:
            flushed.result(seconds)
        except FutureTimeoutError:
            flushed.cancel()
            text = f"webhook deliveries are still under way after {seconds} seconds"
            raise TimeoutError(text) from None

    def deliveries(
        self, *, event: str | None = None, status: str | None = None, account: str | None = None
    ) -> list[Json]:
        """Return the newest 100 deliveries, newest first.

        Args:
            event: Only the deliveries of this event.
            status: Only the deliveries with this status: `pending`, `sending`, `delivered`,
                `failed` or `dropped`.
            account: The connected account of the events.

        Returns:
            Deliveries, each with its `attempts`: the time of each, and its status or error.
        """
        filters = {"event": event, "status": status, "limit": _MAX_SHOWN}
        found = self._server.control("webhooks/deliveries", without_none(filters), account, "GET")
        return cast("list[Json]", found["data"])

    def resend(self, event: str, *, account: str | None = None) -> Json:
        """Deliver an event again, to every endpoint that now receives it.

        Args:
            event: Id of the event.
            account: The connected account of the event.

        Returns:
            The event as the API shows it.

        Raises:
            Refusal: If the id is unknown.
        """
        return self._server.control("webhooks/resend", {"event": event}, account)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
