"""The router: which handlers an event has, and how each delivery of it is answered.

A delivery passes five steps. The first that decides the result ends it:

    verify     the signature or the body is wrong           -> "invalid", "too_large"
    match      no handler is for such an event              -> "ignored"
               its object does not fit a handler's class    -> "failed"
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
- An event whose class has a handler, but whose object does not fit that class, is refused: answered
  with success it would be lost for that handler. It is logged as an error, and Stripe sends it
  again for three days, time enough to mend the handler or to ask for plain events.
- The lease counts from before the claim is asked for, so it ends here before it ends in the store,
  however slow that is. If an async handler still runs then, it is cancelled (see `_leases`), and no
  other handler is started, so that no other delivery can run them at the same time. A thread cannot
  be stopped, so a plain function must be faster than the lease.
- An event is claimed under its id and the name of the router: each of several endpoints that share
  a store handles it. Two routers with the same store and name would take events away from each
  other, so the second is refused.
- If a delivery is cancelled, it first waits for the step of the store that is under way, ten
  seconds at most, and then releases its claim. A claim that stayed would refuse every other
  delivery until its lease ends.
- If a plain store fails after the handlers are done, the delivery is answered as handled. Refusing
  it would run them again for certain; this way they run again only if Stripe delivers it once more.
  With a store in whose transaction the handlers write, nothing has happened then, or everything: it
  is refused, and the next delivery finds out.
- `receive_blocking` runs coroutine functions on the loop thread of the process, because the
  connections of a client or a store outlive the delivery there. It runs plain functions in the
  thread of their request, because a framework keeps its database connection and its request there.
  If all handlers are plain and the store waits for nothing, no other thread has a part in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from inspect import isawaitable
from types import UnionType
from typing import Any, Final, TypeVar, overload

import anyio

from pinstripe._concurrency.callbacks import CallInThread, ThreadCallbacks
from pinstripe._concurrency.loop_thread import LoopThread, leases
from pinstripe._concurrency.thread_call import ThreadCall
from pinstripe._config.hooks import Hooks, next_number
from pinstripe._core.checks import is_number
from pinstripe._core.errors import ConfigurationError, DecodeError, SignatureError
from pinstripe._core.tracebacks import UserCodeError, hide_every_frame, hide_frames
from pinstripe._signature import refusal_by_headers
from pinstripe.events import EventOf
from pinstripe.webhooks._catch_up import CatchesUp
from pinstripe.webhooks._handlers import (
    Handler,
    HandlerCalls,
    Registered,
    handlers_of,
    in_thread,
    registering,
)
from pinstripe.webhooks._names import refuse_same_name
from pinstripe.webhooks._once import Work, handle_once, run_handlers
from pinstripe.webhooks._receipt import Receipt, refused
from pinstripe.webhooks._stores import MemoryStore, Store, store_step
from pinstripe.webhooks._transactions import BlockingTransactions, transactions_of
from pinstripe.webhooks._watched import report_refusal, watched, watches_deliveries
from pinstripe.webhooks._webhook import Received, Webhook, subject_of, wake_waits

_A = TypeVar("_A", bound=Received)
_B = TypeVar("_B", bound=Received)
_T = TypeVar("_T")
_H = TypeVar("_H", bound=Callable[..., object])

LEASE_SECONDS: Final = 60.0
"""How long the handlers of an event may take by default."""

_log = logging.getLogger("pinstripe.webhooks")


class Router(CatchesUp):
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
        name: The name under which the store remembers the events. Give each router another one if
            several share a store; each of them then handles an event once.
        allow_plain: True to call the handlers of a class with a plain `Event` if its object does
            not fit the class. By default such an event is refused with 500, so that it comes
            again, and logged as an error.
        skip_older: True to skip an event if a newer one of the same object was handled. `created`
            decides, to the second. This is for handlers that copy the state of objects: a skipped
            event is never handled.
        hooks: Functions that are called while a delivery proceeds; for OpenTelemetry those of
            `pinstripe.otel.hooks()`.

    Raises:
        ConfigurationError: An argument is wrong, or another router of this process has the same
            store and name.
    """

    def __init__(
        self,
        webhook: Webhook,
        store: Store | None = None,
        *,
        name: str = "",
        lease: float = LEASE_SECONDS,
        allow_plain: bool = False,
        skip_older: bool = False,
        hooks: Hooks | None = None,
    ) -> None:
        if not isinstance(webhook, Webhook):
            raise ConfigurationError("webhook", "must be a Webhook")
        if store is not None and not callable(getattr(store, "claim", None)):
            raise ConfigurationError("store", "must be a store, such as SQLiteStore('events.db')")
        if not isinstance(name, str):
            raise ConfigurationError("name", "must be text")
        if not is_number(lease) or not 0 < lease < 1e6:
            raise ConfigurationError("lease", "must be a number of seconds above zero")
        if hooks is not None and not isinstance(hooks, Hooks):
            raise ConfigurationError("hooks", "must be a Hooks")
        self.webhook = webhook
        self.store = MemoryStore() if store is None else store
        self.name = name
        self._lease = lease
        self._allow_plain = allow_plain
        self._skip_older = skip_older
        self._hooks = hooks or Hooks()
        self._thread: LoopThread | None = None
        self._handlers: list[Registered] = []
        refuse_same_name(self)

    @overload
    def on(self, kind: type[_A], /) -> Callable[[Handler[_A]], Handler[_A]]: ...

    @overload
    def on(
        self, kind: type[_A], other: type[_B], /
    ) -> Callable[[Handler[_A | _B]], Handler[_A | _B]]: ...

    @overload
    def on(self, *kinds: type[Received]) -> Callable[[_H], _H]: ...

    @overload
    def on(
        self, *kinds: str, into: type[_T]
    ) -> Callable[[Handler[EventOf[_T]]], Handler[EventOf[_T]]]: ...

    @overload
    def on(self, *kinds: str, into: UnionType | None = None) -> Callable[[_H], _H]: ...

    def on(self, *kinds: type[Any] | str, into: Any = None) -> Any:
        """Return a decorator that registers a handler.

            @router.on("payment_intent.succeeded", into=PaymentIntent)
            async def paid(event: EventOf[PaymentIntent]) -> None:
                print(event.data.object.amount)

        Args:
            kinds: The classes of the events that the handler is called with, or the types, such as
                `"payment_intent.succeeded"`. An event of a type is of the class for that type, or a
                plain `Event`; a `ThinEvent` if the type is that of a thin one.
            into: A class of yours for the objects of types, as for `AsyncClient.request`. An event
                whose object does not fit is refused, as above.

        Raises:
            ConfigurationError: One of them is neither a class of events nor a type, nothing can
                structure an object into `into`, or the handler is not a function, or not a plain
                one although the store's database is blocking.
        """
        return registering(self._handlers, kinds, into, self._takes_plain_only)

    def _takes_plain_only(self) -> bool:
        return isinstance(transactions_of(self.store), BlockingTransactions)

    def refusal(self, headers: Mapping[str, str], max_bytes: int | None = None) -> Receipt | None:
        """Return how to refuse a request whose body must not be read; None if it may be read.

        An adapter asks before it reads, and closes the connection of a request that is refused:
        its body is compressed, or longer than allowed.

        Args:
            headers: The headers of the request; names are looked up as HTTP writes them, so the
                mapping must find them in upper and lower case.
            max_bytes: How many bytes the framework itself reads at most, if it has a limit.
        """
        limit = self.webhook.max_bytes
        if max_bytes is not None:
            limit = min(limit, max_bytes)
        length, encoding = headers.get("Content-Length"), headers.get("Content-Encoding")
        error = refusal_by_headers(length, encoding, limit)
        return None if error is None else refused(error)

    async def receive(
        self, body: bytes, signature: str | None, *, headers: Mapping[str, str] | None = None
    ) -> Receipt:
        """Verify a delivery, and run the handlers of its event unless that was done before.

        Args:
            body: The body of the request exactly as it came. If it is longer than
                `webhook.max_bytes`, the rest need not be read.
            signature: The `Stripe-Signature` header; None if the request has none.
            headers: All headers of the request, for `delivery_of`.

        Raises:
            ConfigurationError: The body is not bytes, or the signature not text.
        """
        return await self._receive(body, signature, headers, in_thread)

    @hide_frames
    def receive_blocking(
        self, body: bytes, signature: str | None, *, headers: Mapping[str, str] | None = None
    ) -> Receipt:
        """Do the same as `receive` in a thread without an event loop, as under WSGI.

        Coroutine functions run on the event loop of the process's blocking clients, so that an
        `AsyncClient` which only they use keeps its connections. Plain functions run in this
        thread.

        Args:
            body: As for `receive`.
            signature: As for `receive`.
            headers: As for `receive`.

        Raises:
            ConfigurationError: The body is not bytes, the signature not text, or an event loop
                runs in this thread.
        """
        work = partial(self._receive, body, signature, headers)
        if self._needs_loop():
            return self._run_blocking("receive", work)
        _refuse_loop("receive")
        try:
            return copy_context().run(_run_at_once, work(self._call_here, in_loop=False))
        except UserCodeError:
            raise
        except BaseException as error:  # noqa: BLE001 -- the wrapper raises it
            raise UserCodeError(error) from None

    def _needs_loop(self) -> bool:
        """Return whether a handler or the store may wait for something."""
        blocking = type(self.store) is MemoryStore or self._takes_plain_only()
        return not blocking or any(handler.is_async for handler in self._handlers)

    async def _call_here(self, function: Callable[..., object], /, *args: Any) -> object:
        """Call a plain function; what it returns is awaited on the loop thread if it can be."""
        result = function(*args)
        if not isawaitable(result):
            return result

        async def awaited() -> object:
            with anyio.fail_after(self._lease):
                return await result

        return self._loop_thread().run(ThreadCall(awaited))

    def _run_blocking(self, name: str, work: Callable[[CallInThread], Awaitable[_T]]) -> _T:
        _refuse_loop(name)
        return ThreadCallbacks(work).run(self._loop_thread())

    def _loop_thread(self) -> LoopThread:
        thread = leases.acquire(self)
        # A new thread: at the first delivery, after a fork, or if the loop was stopped. On each, a
        # task waits for the end of the loop, to close what the store has opened there.
        if thread is not self._thread:
            self._thread = thread
            thread.post(ThreadCall(partial(_close_when_loop_ends, self.store)).start)
        return thread

    async def dispatch(self, event: Received) -> None:
        """Run the handlers of an event, whether or not it was handled before.

        Args:
            event: The event.

        Raises:
            DecodeError: Its object does not fit the class of a handler; see `allow_plain`.
            Exception: What the first handler that fails raises.
        """
        wake_waits(event)
        calls = HandlerCalls(in_thread, self._hooks, next_number())
        handlers = handlers_of(event, self._handlers, allow_plain=self._allow_plain)
        await run_handlers(self.store, handlers, event, calls)

    async def _receive(
        self,
        body: bytes,
        signature: str | None,
        headers: Mapping[str, str] | None,
        call_plain: CallInThread,
        *,
        in_loop: bool = True,
    ) -> Receipt:
        number = next_number()
        try:
            event = self.webhook.parse(body, signature, headers=headers)
        except (SignatureError, DecodeError) as error:
            return report_refusal(self._hooks, number, refused(error))
        return await self._handle_watched(event, number, call_plain, in_loop=in_loop)

    async def _handle_watched(
        self, event: Received, number: int, call_plain: CallInThread, *, in_loop: bool = True
    ) -> Receipt:
        wake_waits(event)
        calls = HandlerCalls(call_plain, self._hooks, number, in_loop)
        if watches_deliveries(self._hooks):
            return await watched(self._hooks, number, event, partial(self._handle, event, calls))
        return await self._handle(event, calls)

    async def _handle(self, event: Received, calls: HandlerCalls) -> Receipt:
        try:
            handlers = handlers_of(event, self._handlers, allow_plain=self._allow_plain)
        except DecodeError as error:
            _log.error(
                "event %s (%s) is refused: its object does not fit the class of its handler, at %s",
                event.id,
                event.type,
                error.path,
            )
            return Receipt("failed", event, error.with_traceback(None))
        # Without a claim: if a handler for it is registered later, the event can still be handled.
        if not handlers:
            return Receipt("ignored", event)
        try:
            subject = self._subject(event) if self._skip_older else None
            work = Work(event, handlers, calls, self._key(event.id), subject, self._lease)
            result = await handle_once(self.store, work)
        except Exception:  # noqa: BLE001 -- after any failure Stripe must send the event again
            _log.exception("event %s (%s) was not handled; it is refused", event.id, event.type)
            return Receipt("failed", event)
        if result == "busy":
            busy = "event %s (%s) is refused: another delivery of it is being handled"
            _log.warning(busy, event.id, event.type)
        return Receipt(result, event)

    def _key(self, id: str) -> str:
        # No id of Stripe has a colon, so keys of different names are never the same.
        return f"{self.name}:{id}" if self.name else id

    def _subject(self, event: Received) -> str | None:
        """Return the key of an event's object."""
        subject = subject_of(event)
        return None if subject is None else self._key(subject)


def _refuse_loop(name: str) -> None:
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        problem = f"an event loop runs in this thread: await Router.{name} instead"
        raise ConfigurationError(f"{name}_blocking", problem)


@hide_every_frame
def _run_at_once(work: Coroutine[Any, Any, _T]) -> _T:
    """Run what never waits, so that it needs no event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        value: _T = end.value
        return value
    raise RuntimeError("a step waited, and no event loop runs in this thread")


async def _close_when_loop_ends(store: Store) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        await store_step(store, store.close_for_loop())
