"""The router: which handlers an event has, and how each delivery of it is answered.

A delivery passes five steps. The first that decides the result ends it:

    verify     the signature or the body is wrong           -> "invalid", "too_large"
    match      no handler is for this class of event        -> "ignored"
    claim      another delivery has, or had, the event      -> "busy", "duplicate"
    handle     a handler fails, or the lease ends           -> "failed", and the claim is released
    commit     the store remembers the event                -> "handled", or "stale"

Choices, and their reasons:

- The handlers of an event run one after the other, in the order of their registration, and are one
  unit. The first that fails ends the run and the delivery is refused, so that Stripe sends the
  event again and all of them run again.
- If an event is being handled at that moment, another delivery of it is refused with 409 and does
  not wait. Stripe would believe a success although the handler may still fail, and Stripe sends
  the event again in any case.
- If an async handler still runs when the lease of its event ends, it is cancelled, so that no
  other delivery can run it at the same time. A thread cannot be stopped, so a plain function must
  be faster than the lease.
- If a delivery is cancelled, it first waits for the step of the store that is under way, ten
  seconds at most, and then releases its claim. A claim that stayed would refuse every other
  delivery until its lease ends.
- If the store fails after the handlers are done, the delivery is answered as handled. Refusing it
  would run them again for certain; this way they run again only if Stripe delivers it once more.
- `receive_blocking` runs coroutine functions on the loop thread of the process, because the
  connections of a client or a store outlive the delivery there. It runs plain functions in the
  thread of their request, because a framework keeps its database connection and its request there.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast, overload

import anyio
import anyio.to_thread
from attrs import frozen

from pinstripe._concurrency.callbacks import CallInThread, ThreadCallbacks
from pinstripe._concurrency.loop_thread import LoopThread, leases
from pinstripe._concurrency.tasks import finish
from pinstripe._concurrency.thread_call import ThreadCall
from pinstripe._core.checks import is_number
from pinstripe._core.errors import ConfigurationError, DecodeError, SignatureError
from pinstripe._core.tracebacks import hide_frames
from pinstripe.events import Event, ThinEvent
from pinstripe.webhooks._stores import MemoryStore, Store
from pinstripe.webhooks._webhook import Received, Webhook

_A = TypeVar("_A", bound=Received)
_B = TypeVar("_B", bound=Received)
_T = TypeVar("_T")
_H = TypeVar("_H", bound=Callable[..., object])

Handler: TypeAlias = Callable[[_A], object]
"""A function that is called with an event: a coroutine function, or a plain one."""

DeliveryResult: TypeAlias = Literal[
    "handled", "ignored", "duplicate", "stale", "invalid", "too_large", "busy", "failed"
]
"""The result of a delivery; see `Receipt` for what each means."""

LEASE_SECONDS: Final = 60.0
"""How long the handlers of an event may take by default."""

# https://docs.stripe.com/webhooks: Stripe takes 2xx for success, and sends the event again after
# anything else.
_STATUS: Final[dict[DeliveryResult, int]] = {
    "handled": 200,
    "ignored": 200,
    "duplicate": 200,
    "stale": 200,
    "invalid": 400,
    "too_large": 413,
    "busy": 409,
    "failed": 500,
}

# How long one step of a store may take; a cancelled delivery waits this long at most.
_STORE_SECONDS: Final = 10.0

_log = logging.getLogger("pinstripe.webhooks")


@frozen
class Receipt:
    """The result of a delivery, and how to answer it.

    Attributes:
        ending: The result: `"handled"`; `"ignored"`, if no handler is for such an event;
            `"duplicate"`, if the event was handled before; `"stale"`, if a newer event of its
            object was handled before; `"invalid"`, if the signature or the body is wrong;
            `"too_large"`, if the body is longer than allowed; `"busy"`, if another delivery of the
            event is being handled; `"failed"`, if a handler or the store failed, which the log
            explains.
        event: The event; None if the delivery is invalid or too large.
        error: Why the delivery is invalid or too large; None otherwise.
    """

    ending: DeliveryResult
    event: Received | None = None
    error: SignatureError | DecodeError | None = None

    @property
    def text(self) -> str:
        """A line for the body of the answer; it contains nothing of the payload."""
        return self.ending if self.error is None else self.error.message

    @property
    def status(self) -> int:
        """The HTTP status of the answer; unless it is 200, Stripe sends the event again."""
        return _STATUS[self.ending]


class Router:
    """Calls the handlers of each event, once.

        router = Router(webhook, SQLiteStore("events.db"))

        @router.on(VerificationSessionVerified)
        async def admit(event: VerificationSessionVerified) -> None:
            ...

        receipt = await router.receive(body, headers.get("Stripe-Signature"))

    A handler is called with the events of its classes and of the classes derived from them: a
    handler of `Event` gets every event that is not thin. A handler may be a coroutine function, or
    a plain function, which runs in a worker thread. If it raises, the exception is logged under
    `pinstripe.webhooks`, and Stripe delivers the event again.

    Args:
        webhook: Verifies the deliveries.
        store: Remembers the events. A `MemoryStore` by default, which only this process can see.
        lease: Seconds that the handlers of an event may take; after that, another delivery of it
            may run them.
        skip_older: True to skip an event if a newer one of the same object was handled. `created`
            decides, to the second. This is for handlers that copy the state of objects: a skipped
            event is never handled.

    Raises:
        ConfigurationError: An argument is wrong.
    """

    def __init__(
        self,
        webhook: Webhook,
        store: Store | None = None,
        *,
        lease: float = LEASE_SECONDS,
        skip_older: bool = False,
    ) -> None:
        if not isinstance(webhook, Webhook):
            raise ConfigurationError("webhook", "must be a Webhook")
        if not is_number(lease) or not 0 < lease < 1e6:
            raise ConfigurationError("lease", "must be a number of seconds above zero")
        self.webhook = webhook
        self.store = MemoryStore() if store is None else store
        self._lease = lease
        self._skip_older = skip_older
        self._thread: LoopThread | None = None
        self._handlers: list[tuple[tuple[type[Received], ...], Handler[Any]]] = []

    @overload
    def on(self, kind: type[_A], /) -> Callable[[Handler[_A]], Handler[_A]]: ...

    @overload
    def on(
        self, kind: type[_A], other: type[_B], /
    ) -> Callable[[Handler[_A | _B]], Handler[_A | _B]]: ...

    @overload
    def on(self, *kinds: type[Received]) -> Callable[[_H], _H]: ...

    def on(self, *kinds: type[Any]) -> Any:
        """Return a decorator that registers a handler.

        Args:
            kinds: The classes of the events that the handler is called with.

        Raises:
            ConfigurationError: One of them is not a class of events, or the handler is not a
                function.
        """
        known = (Event, ThinEvent)
        if not kinds or not all(isinstance(one, type) and issubclass(one, known) for one in kinds):
            raise ConfigurationError("kinds", "must be classes of events, from pinstripe.events")

        def register(handler: _H) -> _H:
            if not callable(handler):
                raise ConfigurationError("handler", "must be a function that takes an event")
            self._handlers.append((kinds, handler))
            return handler

        return register

    async def receive(self, body: bytes, signature: str | None) -> Receipt:
        """Verify a delivery, and run the handlers of its event unless that was done before.

        Args:
            body: The body of the request exactly as it came. If it is longer than
                `webhook.max_bytes`, the rest need not be read.
            signature: The `Stripe-Signature` header; None if the request has none.

        Raises:
            ConfigurationError: The body is not bytes, or the signature not text.
        """
        return await self._receive(body, signature, _in_thread)

    @hide_frames
    def receive_blocking(self, body: bytes, signature: str | None) -> Receipt:
        """Do the same as `receive` in a thread without an event loop, as under WSGI.

        Coroutine functions run on the event loop of the process's blocking clients, so that an
        `AsyncClient` which only they use keeps its connections. Plain functions run in this
        thread.

        Args:
            body: As for `receive`.
            signature: As for `receive`.

        Raises:
            ConfigurationError: The body is not bytes, the signature not text, or an event loop
                runs in this thread.
        """
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            problem = "an event loop runs in this thread: await Router.receive instead"
            raise ConfigurationError("receive_blocking", problem)
        thread = leases.acquire(self)
        # A new thread: at the first delivery, after a fork, or if the loop was stopped. On each, a
        # task waits for the end of the loop, to close what the store has opened there.
        if thread is not self._thread:
            self._thread = thread
            thread.post(ThreadCall(partial(_close_when_loop_ends, self.store)).start)
        return ThreadCallbacks(partial(self._receive, body, signature)).run(thread)

    async def dispatch(self, event: Received) -> None:
        """Run the handlers of an event, whether or not it was handled before.

        Args:
            event: The event.

        Raises:
            Exception: What the first handler that fails raises.
        """
        for handler in self._handlers_of(event):
            await _call(handler, event, _in_thread)

    def _handlers_of(self, event: Received) -> list[Handler[Any]]:
        return [handler for kinds, handler in self._handlers if isinstance(event, kinds)]

    async def _receive(
        self, body: bytes, signature: str | None, call_plain: CallInThread
    ) -> Receipt:
        try:
            event = self.webhook.parse(body, signature)
        except SignatureError as error:
            result: DeliveryResult = "too_large" if error.reason == "body_too_large" else "invalid"
            return Receipt(result, error=error.with_traceback(None))
        except DecodeError as error:
            return Receipt("invalid", error=error.with_traceback(None))
        # Without a claim: if a handler for it is registered later, the event can still be handled.
        if not self._handlers_of(event):
            return Receipt("ignored", event)
        try:
            return Receipt(await self._handle_once(event, call_plain), event)
        except Exception:  # noqa: BLE001 -- after any failure Stripe must send the event again
            _log.exception("event %s (%s) was not handled; it is refused", event.id, event.type)
            return Receipt("failed", event)

    async def _handle_once(self, event: Received, call_plain: CallInThread) -> DeliveryResult:
        # A delivery owns the event from its claim to the commit or the release. The token names
        # this claim: after the lease another delivery may have a claim of its own, and then
        # neither commit nor release of this one may touch it.
        token = uuid.uuid4().hex
        try:
            claimed = await _store_step(self.store.claim(event.id, token, self._lease))
            if claimed != "claimed":
                return "duplicate" if claimed == "done" else "busy"
            result: DeliveryResult = "stale" if await self._is_stale(event) else "handled"
            if result == "handled":
                with anyio.fail_after(self._lease):
                    for handler in self._handlers_of(event):
                        await _call(handler, event, call_plain)
        except BaseException:
            # If the claim itself failed it is released too: it may have been made, and only the
            # answer was lost.
            await self._end_claim(event, partial(self.store.release, event.id, token))
            raise
        await self._end_claim(event, partial(self._commit, event, token))
        return result

    async def _is_stale(self, event: Received) -> bool:
        subject = _subject(event) if self._skip_older else None
        newest = None if subject is None else await self.store.last_handled(subject)
        return newest is not None and event.created.timestamp() < newest

    async def _commit(self, event: Received, token: str) -> None:
        subject = _subject(event) if self._skip_older else None
        if subject is not None:
            await self.store.record_handled(subject, event.created.timestamp())
        if not await self.store.commit(event.id, token):
            _log.warning(
                "event %s (%s) was handled, but its lease had ended before: it may be handled"
                " again. Give the router a longer lease, or make the handlers faster",
                event.id,
                event.type,
            )

    async def _end_claim(self, event: Received, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await _store_step(step())
        except Exception:  # noqa: BLE001 -- the result of the handlers stays what it is
            _log.exception(
                "the store failed to end the claim of event %s; the claim expires with its lease",
                event.id,
            )


async def _store_step(step: Awaitable[_T]) -> _T:
    """Do a step of the store to its end, so that a cancelled delivery leaves none half done."""

    async def limited() -> _T:
        with anyio.fail_after(_STORE_SECONDS):
            return await step

    return await finish(limited())


async def _close_when_loop_ends(store: Store) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        await _store_step(store.close_for_loop())


async def _in_thread(function: Callable[..., object], /, *args: Any) -> object:
    return await anyio.to_thread.run_sync(function, *args)


async def _call(handler: Handler[Any], event: Received, call_plain: CallInThread) -> None:
    # A handler may also be an object with an async `__call__`, or a plain function that returns an
    # awaitable, such as a wrapped coroutine function.
    call = cast("Any", handler).__call__
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call):
        result = handler(event)
    else:
        result = await call_plain(handler, event)
    if inspect.isawaitable(result):
        await result


def _subject(event: Received) -> str | None:
    """Return the id of the object that an event is about; None if it has none."""
    if isinstance(event, ThinEvent):
        return None if event.related_object is None else event.related_object.id
    # Events of types without a class of their own have plain data, of which anything may be.
    object = event.data.object
    id = object.get("id") if isinstance(object, dict) else object.id
    return id if isinstance(id, str) else None
