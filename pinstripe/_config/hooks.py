"""Reports how a call proceeds: to the hooks of the caller, and to the logger `pinstripe`.

No report holds a value of the caller: it has the path template in place of the path, and the
status in place of the answer.
"""

import logging
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from attrs import Attribute, asdict, field, frozen

from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.values import Value

_T = TypeVar("_T")

_log = logging.getLogger("pinstripe")


@frozen(kw_only=True, eq=False, repr=False)
class RequestInfo(Value):
    """A request that is about to be sent.

    Attributes:
        method: The HTTP method.
        path: The path with placeholders for its ids.
        attempt: The number of the request within its call, from 1 on.
        idempotency_key: The key of the call; None if it has none.
    """

    method: str
    path: str
    attempt: int
    idempotency_key: str | None


@frozen(kw_only=True, eq=False, repr=False)
class ResponseInfo(Value):
    """How a request ended: with an answer, or without one.

    Attributes:
        method: The HTTP method.
        path: The path with placeholders for its ids.
        attempt: The number of the request within its call, from 1 on.
        duration: Seconds from the start of the request to the end of its answer.
        status: The HTTP status; None if no usable answer came.
        request_id: The `Request-Id` of the answer.
        error: The name of the exception; None if an answer came.
    """

    method: str
    path: str
    attempt: int
    duration: float
    status: int | None = None
    request_id: str | None = None
    error: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class RetryInfo(Value):
    """A request that failed and will be repeated.

    Attributes:
        method: The HTTP method.
        path: The path with placeholders for its ids.
        attempt: The number of the failed request within its call, from 1 on.
        pause: Seconds until the next request.
        status: The HTTP status of its answer; None if no usable answer came.
        request_id: The `Request-Id` of the answer.
        error: The name of the exception; None if an answer came.
    """

    method: str
    path: str
    attempt: int
    pause: float
    status: int | None = None
    request_id: str | None = None
    error: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class WaitInfo(Value):
    """A request that had to wait: for a free slot, or for the rate limit.

    Attributes:
        method: The HTTP method.
        path: The path with placeholders for its ids.
        duration: Seconds that it waited.
    """

    method: str
    path: str
    duration: float


def _plain_function(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if value is None:
        return
    if not callable(value):
        problem = f"must be a function, not {kind_of(value)}"
        raise ConfigurationError(attribute.name, problem)
    # A call of an async one only makes a coroutine, which nobody would await.
    if iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
        raise ConfigurationError(attribute.name, "must be a plain function, not an async one")


@frozen(kw_only=True, eq=False, repr=False)
class Hooks(Value):
    """Functions that are called while a call proceeds.

    They run in the event loop, between two steps of a call, so they must be quick and must not
    wait. If a hook raises an exception, it is logged, and the call proceeds.

    Attributes:
        on_request: Called before each request.
        on_response: Called when a request has ended, with or without an answer.
        on_retry: Called before the pause between two requests of a call.
        on_wait: Called when a request has waited for a free slot or for the rate limit.
    """

    on_request: Callable[[RequestInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_response: Callable[[ResponseInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_retry: Callable[[RetryInfo], object] | None = field(default=None, validator=_plain_function)
    on_wait: Callable[[WaitInfo], object] | None = field(default=None, validator=_plain_function)


def watches_requests(hooks: Hooks) -> bool:
    """Return whether a hook or the log takes reports of single requests."""
    watched = hooks.on_request is not None or hooks.on_response is not None
    return watched or _log.isEnabledFor(logging.DEBUG)


# The module that users import them from; see the end of `options`.
for _class in (RequestInfo, ResponseInfo, RetryInfo, WaitInfo, Hooks):
    _class.__module__ = "pinstripe"


def report_request(hooks: Hooks, info: RequestInfo) -> None:
    """Report that a request is about to be sent.

    Args:
        hooks: The hooks of the client.
        info: The request.
    """
    _call(hooks.on_request, info)


def report_response(hooks: Hooks, info: ResponseInfo) -> None:
    """Report how a request ended.

    Args:
        hooks: The hooks of the client.
        info: How it ended.
    """
    _log.debug(
        "%s %s attempt %d: %s in %.3f s (%s)",
        info.method,
        info.path,
        info.attempt,
        info.status or info.error,
        info.duration,
        info.request_id or "-",
        extra=asdict(info),
    )
    _call(hooks.on_response, info)


def report_retry(hooks: Hooks, info: RetryInfo) -> None:
    """Report that a request failed and will be repeated.

    Args:
        hooks: The hooks of the client.
        info: The failed request.
    """
    _log.info(
        "%s %s attempt %d: %s, again in %.3f s (%s)",
        info.method,
        info.path,
        info.attempt,
        info.status or info.error,
        info.pause,
        info.request_id or "-",
        extra=asdict(info),
    )
    _call(hooks.on_retry, info)


def report_wait(hooks: Hooks, info: WaitInfo) -> None:
    """Report that a request had to wait for its turn.

    Args:
        hooks: The hooks of the client.
        info: The request, and how long it waited.
    """
    _call(hooks.on_wait, info)


def _call(hook: Callable[[_T], object] | None, info: _T) -> None:
    if hook is None:
        return
    try:
        hook(info)
    except Exception:  # noqa: BLE001 -- a fault of a hook must not fail the call
        _log.exception("a hook raised an exception; the call proceeds without it")
