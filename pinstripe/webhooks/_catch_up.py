"""Missed events: those of the account's log go through the handlers and the claims of deliveries.

The log has every event of 30 days. An event that the store remembers is a duplicate and is not
handled again, so a run may read the same part of the log as often as it likes, beside deliveries
and other runs. Decisions:

- Oldest first means: with one event at a time, each is handled before the next is claimed. If an
  event is busy, the run waits for the end of that claim and asks again. A claim ends with its lease
  at the latest, so the wait does too. An event is still busy after that only if another delivery
  took it meanwhile.
- The handlers of an event that fails are not called again in the same run. The position to resume
  from stays before the first such event: what was handled behind it is a duplicate next time.
- A store in memory is refused: in a new process it would let everything be handled again.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import anyio
from attrs import evolve, frozen

from pinstripe._concurrency.callbacks import CallInThread
from pinstripe._config.hooks import next_number
from pinstripe._core.checks import check_flag, check_id, check_whole_number, kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import call_user_code, hide_frames
from pinstripe._http.encoding import timestamp
from pinstripe.bulk import fan_out
from pinstripe.events import Event, Events, EventType, event_class
from pinstripe.webhooks._event_log import EventLog, Logged
from pinstripe.webhooks._handlers import Registered, in_thread, is_thin
from pinstripe.webhooks._receipt import DeliveryResult, Receipt
from pinstripe.webhooks._stores import MemoryStore, Store
from pinstripe.webhooks._webhook import Received, Webhook

if TYPE_CHECKING:
    from pinstripe._client import AsyncClient
    from pinstripe.sync import Client

_T = TypeVar("_T")

# https://docs.stripe.com/api/events/list
_LOG_SECONDS: Final = 30 * 86_400
_MAX_TYPES: Final = 20

# A caller computes `since` a moment before it is checked.
_MARGIN_SECONDS: Final = 60

_IDS_KEPT: Final = 1_000

# Seconds between two claims of a busy event: short at first, as most handlers are fast.
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 5.0

_KNOWN_TYPES: Final[tuple[str, ...]] = get_args(get_args(EventType)[0])

_log = logging.getLogger("pinstripe.webhooks")


@frozen(kw_only=True)
class CatchUpReport:
    """What a run of `Router.catch_up` has done so far, or in the whole.

    Attributes:
        handled: How many events were handled.
        duplicate: How many were handled before: by a delivery, or by another run.
        stale: How many were skipped for a newer event of their object; see `skip_older`.
        ignored: How many have no handler.
        busy: How many were being handled by somebody else all the time that the run waited.
        failed: How many failed: a handler or the store did, or the event cannot be read or does
            not fit the class of a handler. The log says why.
        left: The ids of the events that are busy or failed, in the order of the log; the first
            1,000.
        after: The id of the event up to which nothing is left to do. A run with `after=` this id
            does the rest, with what was busy or failed; None if it must begin with `since` again.
        reached: When the last event happened.
    """

    handled: int = 0
    duplicate: int = 0
    stale: int = 0
    ignored: int = 0
    busy: int = 0
    failed: int = 0
    left: tuple[str, ...] = ()
    after: str | None = None
    reached: datetime | None = None

    @property
    def total(self) -> int:
        """How many events were read."""
        return self.handled + self.duplicate + self.stale + self.ignored + self.busy + self.failed

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do: no event is busy or failed."""
        return not (self.busy or self.failed)

    def _with(self, entry: Logged, ending: DeliveryResult) -> CatchUpReport:
        changes: dict[str, Any] = {ending: getattr(self, ending) + 1}
        if entry.event is not None:
            changes["reached"] = entry.event.created
        if ending in ("busy", "failed"):
            if entry.id is not None and len(self.left) < _IDS_KEPT:
                changes["left"] = (*self.left, entry.id)
        elif self.is_complete:
            changes["after"] = entry.id
        return evolve(self, **changes)


class CatchesUp(ABC):
    """The part of a router that handles what was not delivered."""

    webhook: Webhook
    store: Store
    _lease: float
    _handlers: list[Registered]

    @abstractmethod
    async def _handle_watched(
        self, event: Received, number: int, call_plain: CallInThread
    ) -> Receipt: ...

    @abstractmethod
    def _run_blocking(self, name: str, work: Callable[[CallInThread], Awaitable[_T]]) -> _T: ...

    @hide_frames
    async def catch_up(
        self,
        stripe: AsyncClient,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        undelivered_only: bool = False,
        concurrency: int = 1,
        on_progress: Callable[[CatchUpReport], object] | None = None,
    ) -> CatchUpReport:
        """Handle the events of the account's log that the store does not know as handled.

            since = datetime.now(timezone.utc) - timedelta(days=3)
            report = await router.catch_up(stripe, since=since)

        They go to the handlers oldest first, under the same claims as deliveries. So deliveries
        may arrive and other runs may read the log meanwhile, and no event is handled twice. Events
        of types that no handler is for are not asked for, unless there are more than 20 types.

        Thin events are not in this log. The log of a connected account is another one: give a
        client with its `account`. The log has the events in the account's default version of the
        API, while a delivery has the version of its endpoint.

        https://docs.stripe.com/webhooks/process-undelivered-events

        Args:
            stripe: The client of the account, with a key that may read events.
            since: Begin with the events of this second, at most 30 days ago.
            until: End before the events of this second; at the end of the log by default.
            after: Begin after the event with this id, in place of `since`: the `after` of an
                earlier report.
            undelivered_only: True to ask only for events that at least one endpoint of the account
                has not accepted. That is faster, and right if the store was not yet in use when
                others were delivered.
            concurrency: How many events may be handled at once. Above 1, an event may be handled
                before an older one.
            on_progress: A plain function that is called with the report after each event, in the
                order of the log. If it raises, the run ends.

        Returns:
            What was done, with the events that failed: they do not stop the run.

        Raises:
            ConfigurationError: An argument is wrong, the store is a `MemoryStore`, or the router
                has no handler of events in this log; nothing was sent.
            PinstripeError: The log could not be read to the end. A run with the same `since`, or
                with the `after` of the last report of `on_progress`, does the rest.
            Exception: What `on_progress` raised.
        """
        if not isinstance(getattr(stripe, "events", None), Events):
            raise ConfigurationError("stripe", "must be an AsyncClient")
        given = since, until, after
        log = self._log_of(stripe.events, *given, undelivered_only=undelivered_only)
        _check_running(concurrency, on_progress)

        async def tell(report: CatchUpReport) -> None:
            if on_progress is not None:
                call_user_code(on_progress, report)

        return await self._catch_up(log, concurrency, tell, in_thread)

    @hide_frames
    def catch_up_blocking(
        self,
        stripe: Client,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        undelivered_only: bool = False,
        concurrency: int = 1,
        on_progress: Callable[[CatchUpReport], object] | None = None,
    ) -> CatchUpReport:
        """Do the same as `catch_up` in a thread without an event loop.

        Coroutine functions run as for `receive_blocking`. Plain functions and `on_progress` run in
        this thread, one at a time.

        Args:
            stripe: The `pinstripe.Client` of the account.
            since: As for `catch_up`.
            until: As for `catch_up`.
            after: As for `catch_up`.
            undelivered_only: As for `catch_up`.
            concurrency: As for `catch_up`.
            on_progress: As for `catch_up`.

        Returns:
            What was done, with the events that failed: they do not stop the run.

        Raises:
            ConfigurationError: As for `catch_up`, or an event loop runs in this thread.
            PinstripeError: As for `catch_up`.
            Exception: What `on_progress` raised.
        """
        # The blocking client leaves its calls to an asynchronous one, on the loop of the process.
        events = getattr(getattr(stripe, "events", None), "_async", None)
        if not isinstance(events, Events):
            raise ConfigurationError("stripe", "must be a pinstripe.Client")
        log = self._log_of(events, since, until, after, undelivered_only=undelivered_only)
        _check_running(concurrency, on_progress)

        async def work(call_plain: CallInThread) -> CatchUpReport:
            turn = anyio.Lock()

            async def call_in_turn(function: Callable[..., object], /, *args: Any) -> object:
                async with turn:
                    return await call_plain(function, *args)

            async def tell(report: CatchUpReport) -> None:
                if on_progress is not None:
                    await call_in_turn(call_user_code, on_progress, report)

            return await self._catch_up(log, concurrency, tell, call_in_turn)

        return self._run_blocking("catch_up", work)

    def _log_of(
        self,
        events: Events,
        since: datetime | None,
        until: datetime | None,
        after: str | None,
        *,
        undelivered_only: bool,
    ) -> EventLog:
        """Return the part of the log that a run reads, or refuse the argument that is wrong."""
        if isinstance(self.store, MemoryStore):
            problem = "a MemoryStore does not know what earlier processes have handled; give the"
            raise ConfigurationError(
                "store", f"{problem} router one that does, such as SQLiteStore('events.db')"
            )
        if since is None and after is None:
            raise ConfigurationError("since", "must be given, unless `after` is")
        begin, end = _second("since", since), _second("until", until)
        if begin is not None and begin < self.webhook.clock() - _LOG_SECONDS - _MARGIN_SECONDS:
            problem = "is more than 30 days ago; the API keeps no event for longer"
            raise ConfigurationError("since", problem)
        if begin is not None and end is not None and end <= begin:
            raise ConfigurationError("until", "must be later than since")
        types = _types_of(self._handlers)
        filters: dict[str, Any] = {} if types is None else {"types": types}
        if check_flag("undelivered_only", undelivered_only):
            filters["delivery_success"] = False
        after = None if after is None else check_id("after", after)
        return EventLog(events, begin or 0, end, after, filters)

    async def _catch_up(
        self,
        log: EventLog,
        concurrency: int,
        tell: Callable[[CatchUpReport], Awaitable[None]],
        call_plain: CallInThread,
    ) -> CatchUpReport:
        report = CatchUpReport(after=log.after)
        handle = partial(self._handle_entry, call_plain)
        async with aclosing(fan_out(handle, log.entries(), concurrency=concurrency)) as outcomes:
            async for outcome in outcomes:
                report = report._with(outcome.input, outcome.unwrap())  # noqa: SLF001 -- ours
                await tell(report)
        return report

    async def _handle_entry(self, call_plain: CallInThread, entry: Logged) -> DeliveryResult:
        """Handle an entry of the log; if another claim of it runs, wait for the end of that one."""
        if entry.event is None:
            _log.error("event %s of the log cannot be read, at %s", entry.id, entry.path)
            return "failed"
        ending = await self._take(entry.event, call_plain)
        pause = _FIRST_PAUSE
        # One pause longer than the lease, so that the claim of a process that died has expired.
        longest = min(_LONGEST_PAUSE, self._lease / 10)
        deadline = anyio.current_time() + self._lease + longest
        while ending == "busy" and anyio.current_time() < deadline:
            await anyio.sleep(pause)
            pause = min(2 * pause, longest)
            ending = await self._take(entry.event, call_plain)
        return ending

    async def _take(self, event: Received, call_plain: CallInThread) -> DeliveryResult:
        return (await self._handle_watched(event, next_number(), call_plain)).ending


def _check_running(concurrency: int, on_progress: Callable[[CatchUpReport], object] | None) -> None:
    check_whole_number("concurrency", concurrency, maximum=1_000)
    plain = callable(on_progress) and not iscoroutinefunction(on_progress)
    if on_progress is not None and not plain:
        raise ConfigurationError("on_progress", "must be a plain function")


def _second(argument: str, value: datetime | None) -> int | None:
    """Return the first whole second that is not before a time."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise ConfigurationError(argument, f"must be a datetime, not {kind_of(value)}")
    return timestamp(argument, value, "up")


def _types_of(handlers: Sequence[Registered]) -> list[str] | None:
    """Return the types of the log's events that have a handler; None to ask for all types."""
    if any(each.wants(Event, "") for each in handlers):
        return None
    types = {
        type
        for type in _KNOWN_TYPES
        if any(each.wants(event_class(type), type) for each in handlers)
    }
    # The types of thin events start with a version; they have a log of their own.
    types |= {type for each in handlers for type in each.types if not is_thin(type)}
    if not types:
        raise ConfigurationError("router", "has no handler of events that are in this log")
    return sorted(types) if len(types) <= _MAX_TYPES else None
