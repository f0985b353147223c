"""Which handlers an event has, and how each is called.

A handler is registered for classes of events, or for types by their names. An event is of the class
for its type only if its object fits that class; otherwise it is a plain `Event`. So the class that
an event should have decides who is called with it, and not the class that it has.

A handler may ask for the object in a class of the user (`into`). It is called with an `EventOf` of
its own, while other handlers of the event get the event as it came.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Awaitable, Callable, Collection, Generator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import anyio
import anyio.to_thread
import msgspec
from attrs import define, evolve, frozen

from pinstripe._concurrency.callbacks import CallInThread
from pinstripe._config.hooks import Hooks, report
from pinstripe._config.infos import HandledInfo, HandlerInfo
from pinstripe._core.errors import ConfigurationError, DecodeError
from pinstripe._models.convert import check_target, structure, to_dict
from pinstripe._models.kinds import fields_of
from pinstripe._models.record import attach_response
from pinstripe.events import Event, EventData, EventOf, ThinEvent, event_class
from pinstripe.webhooks._leases import Lease
from pinstripe.webhooks._webhook import Received, object_of

_A = TypeVar("_A", bound=Received)
_H = TypeVar("_H", bound=Callable[..., object])

Handler: TypeAlias = Callable[[_A], object]
"""A function that is called with an event: a coroutine function, or a plain one."""

_LEASE_ENDED = "the lease ended before every handler was called"

_TYPE = r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*"


@frozen
class Registered:
    """A handler, and the classes and types of the events that it wants.

    Attributes:
        handler: The handler.
        is_async: Whether it is a coroutine function, or an object with an async `__call__`.
        classes: The classes of the events that it wants.
        types: The types of the events that it wants.
        into: The type that it wants their objects in; None for those of this package.
        event: The event to call it with, whose object is of that type; None to call it with the
            event as it came.
    """

    handler: Handler[Any]
    is_async: bool
    classes: tuple[type[Received], ...] = ()
    types: Collection[str] = ()
    into: Any = None
    event: Event | None = None

    def wants(self, kind: type[Received], type: str) -> bool:
        """Return whether it wants the events of a class, or those of a type."""
        return type in self.types or issubclass(kind, self.classes)

    def __call__(self, event: Received) -> object:
        return self.handler(event if self.event is None else self.event)


def registering(
    registered: list[Registered],
    kinds: Sequence[Any],
    into: Any,
    plain_only: Callable[[], bool],
) -> Callable[[_H], _H]:
    """Return a decorator that registers a handler.

    Args:
        registered: The handlers so far.
        kinds: The classes and types of the events that it wants.
        into: The type that it wants their objects in; None for those of this package.
        plain_only: Returns whether coroutine functions are refused; it is called for them alone.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    check_kinds(kinds)
    types = frozenset(kind for kind in kinds if isinstance(kind, str))
    classes = tuple(kind for kind in kinds if not isinstance(kind, str))
    if into is not None:
        check_target("into", into)
        if classes or any(map(is_thin, types)):
            problem = "is for types such as 'refund.created', whose events have an object"
            raise ConfigurationError("into", problem)

    def register(handler: _H) -> _H:
        if not callable(handler):
            raise ConfigurationError("handler", "must be a function that takes an event")
        is_async = _is_async(handler)
        if is_async and plain_only():
            problem = "must be a plain function, since the store's database is a blocking one"
            raise ConfigurationError("handler", problem)
        registered.append(Registered(handler, is_async, classes, types, into))
        return handler

    return register


def is_thin(type: str) -> bool:
    """Return whether events of a type are thin: these types begin with a version.

    Args:
        type: The type.
    """
    return type.startswith(("v1.", "v2."))


def check_kinds(kinds: Sequence[Any]) -> None:
    """Refuse what is neither a class of events nor the type of one.

    Args:
        kinds: What a handler is registered for.

    Raises:
        ConfigurationError: One of them is neither, or there is none.
    """
    for kind in kinds:
        if isinstance(kind, str):
            # A pattern, or a typing error, would never match: its events would be lost.
            if re.fullmatch(_TYPE, kind) is None:
                problem = f"{kind!r} is no type of events; name each type, or register for Event"
                raise ConfigurationError("kinds", problem)
        elif not isinstance(kind, type) or not issubclass(kind, (Event, ThinEvent)):
            problem = "must be classes from pinstripe.events, or types such as 'file.created'"
            raise ConfigurationError("kinds", problem)
    if not kinds:
        raise ConfigurationError("kinds", "must be at least one class or type of events")


def handlers_of(
    event: Received, registered: Sequence[Registered], *, allow_plain: bool
) -> list[Registered]:
    """Return the handlers of an event, in the order of their registration.

    Args:
        event: The event.
        registered: All handlers.
        allow_plain: Whether a handler of the class for the type of the event, or of that type, may
            get it as a plain `Event`; and one with `into` as it came.

    Raises:
        DecodeError: It may not, and the object of the event does not fit that class, or `into`.
    """
    kind = event_class(event.type) if type(event) is Event else type(event)
    wanted = [each for each in registered if each.wants(kind, event.type)]
    if kind is not type(event) and not allow_plain:
        for each in wanted:
            # A handler of every `Event` gets this one as it is, and one with `into` its own.
            if each.into is None and not each.wants(type(event), ""):
                raise _misfit(event, kind)
    return [
        each if each.into is None else _with_event(each, event, allow_plain=allow_plain)
        for each in wanted
    ]


def _with_event(registered: Registered, event: Received, *, allow_plain: bool) -> Registered:
    """Return a handler with `into` and the event that it is to be called with."""
    try:
        return evolve(registered, event=_typed(event, registered.into))
    except DecodeError:
        if allow_plain:
            return registered
        raise


def _typed(event: Received, into: Any) -> Event:
    """Return an event with its object in a class of the user."""
    place = "$.data.object"
    if not isinstance(event, Event):
        problem = DecodeError(f"a thin event has no object at {place}")
        problem.path = place
        raise problem
    try:
        return _with_object(event, structure(object_of(event), into))
    except DecodeError as error:
        path = place + error.path.removeprefix("$")
        problem = DecodeError(error.message.removesuffix(error.path) + path)
        problem.path = path
    raise problem


def _with_object(event: Event, object: Any) -> EventOf[Any]:
    """Return an event with another object in place of its own."""
    fields: dict[str, Any] = {name: getattr(event, name) for name in fields_of(Event)}
    data: Any = EventData(object=None, previous_attributes=event.data.previous_attributes)
    # Not as an argument: a dict, as a TypedDict is one, would become a model.
    msgspec.structs.force_setattr(data, "object", object)
    made: EventOf[Any] = EventOf(**{**fields, "data": data})
    attach_response(getattr(event, "_response", None), made)
    return made


def _misfit(event: Received, kind: type[Received]) -> DecodeError:
    """Return an error that says where the object of an event does not fit."""
    try:
        structure(to_dict(event), kind)
    except DecodeError as error:
        return error.with_traceback(None)
    # It would fit, if only it said what it is.
    unnamed = DecodeError(f"the object does not say that it is that of {kind.__name__}")
    unnamed.path = "$.data.object.object"
    return unnamed


@define(eq=False)
class HandlerCalls:
    """How the handlers of one event are called, and who gets a report of it.

    Attributes:
        call_plain: Calls plain functions.
        hooks: The hooks that get the reports.
        delivery: The number of the delivery, for the reports.
        in_loop: Whether an event loop runs in this thread. If not, nothing here waits.
    """

    call_plain: CallInThread
    hooks: Hooks
    delivery: int
    in_loop: bool = True

    @property
    def clock(self) -> Callable[[], float]:
        """The clock that leases are counted on: that of the event loop, if one runs."""
        return asyncio.get_running_loop().time if self.in_loop else time.monotonic

    async def run(self, handlers: Sequence[Registered], event: Received, deadline: float) -> None:
        """Call handlers one after the other, until one fails or the lease of the event ends.

        Args:
            handlers: The handlers.
            event: The event.
            deadline: When the lease ends, on the clock.

        Raises:
            TimeoutError: The lease has ended.
            Exception: What the first handler that fails raises.
        """
        clock = self.clock
        for handler in handlers:
            # A handler is cancelled where it waits, and it may do all its work before that.
            if clock() >= deadline:
                raise TimeoutError(_LEASE_ENDED)
            with self._reported(handler, event) if self._is_watched else nullcontext():
                await self._call(handler, event, deadline)

    def run_plain(self, handlers: Sequence[Registered], event: Received, deadline: float) -> None:
        """Do the same as `run` in this thread, with handlers that are plain functions.

        Args:
            handlers: The handlers.
            event: The event.
            deadline: When the lease ends, on the monotonic clock.

        Raises:
            TimeoutError: The lease ended before every handler was called.
            ConfigurationError: A handler returned an awaitable.
            Exception: What the first handler that fails raises.
        """
        for handler in handlers:
            if time.monotonic() >= deadline:
                raise TimeoutError(_LEASE_ENDED)
            with self._reported(handler, event) if self._is_watched else nullcontext():
                result = handler(event)
                if inspect.isawaitable(result):
                    if inspect.iscoroutine(result):
                        result.close()  # else Python warns that nobody has awaited it
                    problem = "must be a plain function, and it has returned an awaitable"
                    raise ConfigurationError("handler", problem)

    @property
    def _is_watched(self) -> bool:
        return self.hooks.on_handler is not None or self.hooks.on_handled is not None

    @contextmanager
    def _reported(self, handler: Registered, event: Received) -> Generator[None]:
        facts: dict[str, Any] = {
            "delivery": self.delivery,
            "event_id": event.id,
            "event_type": event.type,
            "handler": _name_of(handler.handler),
        }
        report(self.hooks.on_handler, HandlerInfo(**facts))
        started, error = time.monotonic(), None
        try:
            yield
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            ended = HandledInfo(**facts, duration=time.monotonic() - started, error=error)
            report(self.hooks.on_handled, ended)

    async def _call(self, handler: Registered, event: Received, deadline: float) -> None:
        if handler.is_async:
            with Lease(deadline):
                await cast("Awaitable[object]", handler(event))
        elif not self.in_loop:
            await self.call_plain(handler, event)
        else:
            # A thread cannot be stopped. This scope waits for its end, and `Lease` would not.
            with anyio.CancelScope(deadline=deadline) as lease:
                result = await self.call_plain(handler, event)
                # As a wrapped coroutine function does.
                if inspect.isawaitable(result):
                    await cast("Awaitable[object]", result)
            if lease.cancelled_caught:
                raise TimeoutError(_LEASE_ENDED)


def _is_async(handler: Callable[..., object]) -> bool:
    method = cast("Any", handler).__call__
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(method)


def _name_of(handler: Handler[Any]) -> str:
    """Return the module and the name of a handler, or of the class of one that has no name."""
    named: Any = inspect.unwrap(handler.func if isinstance(handler, partial) else handler)
    if not hasattr(named, "__qualname__"):
        named = cast("Any", type(named))
    return f"{named.__module__}.{named.__qualname__}"


async def in_thread(function: Callable[..., object], /, *args: Any) -> object:
    """Call a plain function in a worker thread.

    Args:
        function: The function.
        args: Its arguments.
    """
    return await anyio.to_thread.run_sync(function, *args)
