"""What can be watched of a call while it runs: hooks of the caller's own, and the log `pinstripe`.

Neither is told a value of the caller: a path stands as its template, an answer as its status.
"""

import logging
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from attrs import Attribute, asdict, field, frozen

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
        attempt: Which request of its call it is, from 1 on.
        idempotency_key: The key of the call; None where it has none.
    """

    method: str
    path: str
    attempt: int
    idempotency_key: str | None


@frozen(kw_only=True, eq=False, repr=False)
class ResponseInfo(Value):
    """How a request ended: in an answer, or without one.

    Attributes:
        method: The HTTP method.
        path: The path with placeholders for its ids.
        attempt: Which request of its call it is, from 1 on.
        duration: Seconds from the start of the request to the end of its answer.
        status: The HTTP status; None where no usable answer came.
        request_id: The `Request-Id` of the answer.
        error: The name of the exception that came in place of an answer.
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
    """A request that failed and will be followed by another one.

    Attributes:
        method: The HTTP method.
        path: The path with placeholders for its ids.
        attempt: Which request of its call failed, from 1 on.
        pause: Seconds until the next one.
        status: The HTTP status of its answer; None where no usable answer came.
        request_id: The `Request-Id` of the answer.
        error: The name of the exception that came in place of an answer.
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
    """A request that had to wait for its turn: for a free slot, or for the rate limit.

    Attributes:
        method: The HTTP method.
        path: The path with placeholders for its ids.
        duration: Seconds it waited.
    """

    method: str
    path: str
    duration: float


def _plain_function(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if value is None:
        return
    if not callable(value):
        raise ConfigurationError(
            attribute.name, f"must be a function, not a {type(value).__name__}"
        )
    if iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
        raise ConfigurationError(attribute.name, "must be a plain function, not an async one")


@frozen(kw_only=True, eq=False, repr=False)
class Hooks(Value):
    """Functions that are told how calls go.

    They run in the event loop, between two steps of a call, so they must be quick and must not
    wait. One that raises is logged and changes nothing.

    Attributes:
        on_request: Called before each request.
        on_response: Called when a request has ended, well or not.
        on_retry: Called before the pause between two requests of a call.
        on_wait: Called when a request has waited for a free slot of the pool or the rate limit.
    """

    on_request: Callable[[RequestInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_response: Callable[[ResponseInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_retry: Callable[[RetryInfo], object] | None = field(default=None, validator=_plain_function)
    on_wait: Callable[[WaitInfo], object] | None = field(default=None, validator=_plain_function)

    def watches_requests(self) -> bool:
        """Return whether anybody wants to know of single requests."""
        watched = self.on_request is not None or self.on_response is not None
        return watched or _log.isEnabledFor(logging.DEBUG)


# The module that users import them from; see the end of `options`.
for _class in (RequestInfo, ResponseInfo, RetryInfo, WaitInfo, Hooks):
    _class.__module__ = "pinstripe"


def tell_request(hooks: Hooks, info: RequestInfo) -> None:
    """Report that a request is about to be sent.

    Args:
        hooks: Who to tell.
        info: The request.
    """
    _call(hooks.on_request, info)


def tell_response(hooks: Hooks, info: ResponseInfo) -> None:
    """Report how a request ended.

    Args:
        hooks: Who to tell.
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
        extra=_extra(info),
    )
    _call(hooks.on_response, info)


def tell_retry(hooks: Hooks, info: RetryInfo) -> None:
    """Report that a call goes on after a failure.

    Args:
        hooks: Who to tell.
        info: What failed.
    """
    _log.info(
        "%s %s attempt %d: %s, again in %.3f s (%s)",
        info.method,
        info.path,
        info.attempt,
        info.status or info.error,
        info.pause,
        info.request_id or "-",
        extra=_extra(info),
    )
    _call(hooks.on_retry, info)


def tell_wait(hooks: Hooks, info: WaitInfo) -> None:
    """Report that a request had to wait for its turn.

    Args:
        hooks: Who to tell.
        info: How long.
    """
    _call(hooks.on_wait, info)


def _extra(info: ResponseInfo | RetryInfo) -> dict[str, Any]:
    return asdict(info)


def _call(hook: Callable[[_T], object] | None, info: _T) -> None:
    if hook is None:
        return
    try:
        hook(info)
    except Exception:  # noqa: BLE001 -- whatever it is, the call goes on
        _log.exception("a hook raised, and the call goes on without it")
