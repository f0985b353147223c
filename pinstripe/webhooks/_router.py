"""The router: handlers by the class of the event, each delivery answered, each event handled once.

Choices, and their reasons:

- the handlers of an event run one after the other, in the order in which they were registered,
  and are one unit: the first that fails ends the run and the delivery is refused, so that Stripe
  sends it again and all of them run again;
- a delivery of an event that is being handled at that moment is refused with 409 and not kept
  waiting: a success would be believed, although the handler may still fail, and Stripe asks again
  in any case;
- an async handler that still runs when the lease of its event ends is cancelled, so that no other
  delivery can run it meanwhile; a thread cannot be stopped, so a plain function has to be faster
  than the lease;
- a delivery that is cancelled first waits for the step that its store is in, ten seconds at most,
  and gives its claim back: a claim left behind would refuse every other delivery until its lease
  ends;
- where the store fails after the handlers are done, the delivery is answered as handled: refusing
  it would run them again for certain, while this needs a second delivery;
- `receive_blocking` runs coroutine functions on the one loop thread of the process, where the
  connections of a client or a store outlive the delivery, and plain functions in the thread of
  their request, where a framework keeps its database connection and its request.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from collections.abc import Awaitable, Callable
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
"""What is called with an event: a coroutine function, or a plain one."""

DeliveryResult: TypeAlias = Literal[
    "handled", "ignored", "duplicate", "stale", "invalid", "too_large", "busy", "failed"
]
"""What became of a delivery."""

LEASE_SECONDS: Final = 60.0
"""How long handlers may take by default."""

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
_STORE_SECONDS = 10.0

_log = logging.getLogger("pinstripe.webhooks")


@frozen
class Receipt:
    """What became of a delivery, and how to answer it.

    Attributes:
        ending: `"handled"`, `"ignored"` (no handler wants such an event), `"duplicate"` (it was
            handled before), `"stale"` (a newer event of its object was), `"invalid"` (the
            signature or the body), `"too_large"`, `"busy"` (another delivery of the event is
            being handled) or `"failed"` (a handler or the store; the log tells more).
        event: The event; None where the delivery was not accepted as one.
        error: Why it was not.
    """

    ending: DeliveryResult
    event: Received | None = None
    error: SignatureError | DecodeError | None = None

    @property
    def text(self) -> str:
        """A line for the body of the answer, without anything of the payload."""
        return self.ending if self.error is None else self.error.message

    @property
    def status(self) -> int:
        """The HTTP status of the answer: Stripe sends the event again unless it is 200."""
        return _STATUS[self.ending]


class Router:
    """Hands events to handlers, each event once.

        router = Router(webhook, SQLiteStore("events.db"))

        @router.on(VerificationSessionVerified)
        async def admit(event: VerificationSessionVerified) -> None:
            ...

        receipt = await router.receive(body, headers.get("Stripe-Signature"))

    A handler is called with the events of its classes and of those derived from them: one of
    `Event` gets every event that is not thin. It may be a coroutine function or a plain one,
    which runs in a worker thread. Where it raises, that is logged under `pinstripe.webhooks`,
    and the event will be delivered, and handled, again.

    Args:
        webhook: What verifies the deliveries.
        store: What remembers the events. A `MemoryStore` by default, which knows only of this
            process.
        lease: Seconds that the handlers of an event may take; after that another delivery of it
            runs them.
        skip_older: True to skip an event where a newer one of the same object was handled, told
            by `created`, to the second; it is for handlers that copy the state of objects, since
            a skipped event is never handled.

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
            raise ConfigurationError("lease", "must be seconds above zero")
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
            kinds: The classes of events that it is called with.

        Raises:
            ConfigurationError: One of them is no class of events.
        """
        if not kinds or not all(_is_kind(kind) for kind in kinds):
            raise ConfigurationError("kinds", "must be classes of events, from pinstripe.events")
        return partial(self._register, kinds)

    def _register(self, kinds: tuple[type[Received], ...], handler: _H) -> _H:
        if not callable(handler):
            raise ConfigurationError("handler", "must be a function")
        self._handlers.append((kinds, handler))
        return handler

    async def receive(self, body: bytes, signature: str | None) -> Receipt:
        """Verify a delivery, and run the handlers of its event unless that was done.

        Args:
            body: The body of the request exactly as it came; what is longer than
                `webhook.max_bytes` need not be read to its end.
            signature: The `Stripe-Signature` header; None where there is none.

        Raises:
            ConfigurationError: The body is not bytes, or the signature not text.
        """
        return await self._receive(body, signature, _in_thread)

    @hide_frames
    def receive_blocking(self, body: bytes, signature: str | None) -> Receipt:
        """Do the same where no event loop runs, as under WSGI.

        Coroutine functions run in the event loop of the process's blocking clients, so that an
        `AsyncClient` which only they use keeps its connections; plain functions run in the thread
        of the caller.

        Args:
            body: As for `receive`.
            signature: As for `receive`.

        Raises:
            ConfigurationError: The body is not bytes, the signature not text, or an event loop
                runs in this thread.
        """
        if _loop_runs():
            problem = "an event loop runs in this thread: await Router.receive instead"
            raise ConfigurationError("receive_blocking", problem)
        return ThreadCallbacks(partial(self._receive, body, signature)).run(self._leased())

    async def dispatch(self, event: Received) -> None:
        """Run the handlers of an event, whether or not it was handled before.

        Args:
            event: The event.

        Raises:
            Exception: What the first handler that fails raises.
        """
        for handler in self._handlers_of(event):
            await _call(handler, event, _in_thread)

    def _leased(self) -> LoopThread:
        thread = leases.acquire(self)
        if thread is not self._thread:
            self._thread = thread
            thread.post(ThreadCall(partial(_leave_at_its_end, self.store)).start)
        return thread

    async def _receive(
        self, body: bytes, signature: str | None, call_plain: CallInThread
    ) -> Receipt:
        try:
            event = self.webhook.parse(body, signature)
        except SignatureError as error:
            ending: DeliveryResult = "too_large" if error.reason == "body_too_large" else "invalid"
            return Receipt(ending, error=error.with_traceback(None))
        except DecodeError as error:
            return Receipt("invalid", error=error.with_traceback(None))
        if not self._handlers_of(event):
            return Receipt("ignored", event)
        return await self._handle_once(event, call_plain)

    def _handlers_of(self, event: Received) -> list[Handler[Any]]:
        return [handler for kinds, handler in self._handlers if isinstance(event, kinds)]

    async def _handle_once(self, event: Received, call_plain: CallInThread) -> Receipt:
        try:
            return Receipt(await self._ending(event, call_plain), event)
        except Exception:  # noqa: BLE001 -- whatever it is, Stripe shall send the event again
            _log.exception("event %s (%s) was not handled", event.id, event.type)
            return Receipt("failed", event)

    async def _ending(self, event: Received, call_plain: CallInThread) -> DeliveryResult:
        token = uuid.uuid4().hex
        try:
            claimed = await _store_step(self.store.claim(event.id, token, self._lease))
            if claimed != "claimed":
                return "duplicate" if claimed == "done" else "busy"
            ending = await self._run(event, call_plain)
        except BaseException:
            # A claim whose outcome never came here may have been made all the same.
            await self._finish(event, token, "failed")
            raise
        await self._finish(event, token, ending)
        return ending

    async def _run(self, event: Received, call_plain: CallInThread) -> DeliveryResult:
        if self._skip_older and await self._is_stale(event):
            return "stale"
        with anyio.fail_after(self._lease):
            for handler in self._handlers_of(event):
                await _call(handler, event, call_plain)
        return "handled"

    async def _is_stale(self, event: Received) -> bool:
        subject = _subject(event)
        newest = None if subject is None else await self.store.last_handled(subject)
        return newest is not None and event.created.timestamp() < newest

    async def _finish(self, event: Received, token: str, ending: DeliveryResult) -> None:
        """Tell the store how it ended, also while the delivery is being cancelled."""
        try:
            if ending == "failed":
                await _store_step(self.store.release(event.id, token))
            else:
                await _store_step(self._commit(event, token))
        except Exception:  # noqa: BLE001 -- what the handlers came to stands
            _log.exception("the store failed to end the claim of event %s", event.id)

    async def _commit(self, event: Received, token: str) -> None:
        subject = _subject(event)
        if self._skip_older and subject is not None:
            await self.store.record_handled(subject, event.created.timestamp())
        if not await self.store.commit(event.id, token):
            _log.warning(
                "event %s (%s) was handled, but its lease had ended: it may be handled again;"
                " the handlers need a longer lease",
                event.id,
                event.type,
            )


async def _store_step(step: Awaitable[_T]) -> _T:
    """Wait for a step of the store to its end: none is left half done by a cancelled delivery."""
    return await finish(_in_time(step))


async def _in_time(step: Awaitable[_T]) -> _T:
    with anyio.fail_after(_STORE_SECONDS):
        return await step


async def _in_thread(function: Callable[..., object], /, *args: Any) -> object:
    return await anyio.to_thread.run_sync(function, *args)


async def _leave_at_its_end(store: Store) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        await _store_step(store.close_for_loop())


async def _call(handler: Handler[Any], event: Received, call_plain: CallInThread) -> None:
    call = cast("Any", handler).__call__
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call):
        result = handler(event)
    else:
        result = await call_plain(handler, event)
    if inspect.isawaitable(result):
        await result


def _is_kind(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, (Event, ThinEvent))


def _subject(event: Received) -> str | None:
    """Return the id of the object that an event is about, None where it has none."""
    if isinstance(event, ThinEvent):
        return None if event.related_object is None else event.related_object.id
    about = event.data.object
    id = about.get("id") if isinstance(about, dict) else about.id
    return id if isinstance(id, str) else None


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
