"""Reports how calls and deliveries proceed: to the hooks, and to the logger `pinstripe`.

A number pairs the reports of one call, and those of one delivery. They are made in the context of
that call or delivery, in the sense of `contextvars`, so what the first of them sets is there until
the last, for the log and for the handlers too.
"""

import itertools
import logging
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from attrs import Attribute, field, fields, frozen
from msgspec.structs import asdict
from typing_extensions import Self

from pinstripe._config.infos import (
    CallInfo,
    DeliveryInfo,
    HandledInfo,
    HandlerInfo,
    ReceiptInfo,
    RequestInfo,
    ResponseInfo,
    ResultInfo,
    RetryInfo,
    WaitInfo,
)
from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.values import Value

_T = TypeVar("_T")

_log = logging.getLogger("pinstripe")

_numbers = itertools.count(1)


def next_number() -> int:
    """Return the number of a new call or delivery; each of the process has another one."""
    return next(_numbers)


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
    """Functions that are called while a call, or a delivery to a router, proceeds.

    They run in the event loop, between two steps of a call, so they must be quick and must not
    wait. If a hook raises an exception, it is logged, and the call proceeds.

    A begin and its end have the same number: `call` or `delivery`. Both are reported in the same
    context, so a context variable that the first one sets is there for all that is between them.

    ```python
    import logging
    from contextvars import ContextVar
    import pinstripe

    logging.basicConfig(level=logging.INFO, format="%(call)s %(name)s: %(message)s")
    current_call: ContextVar[int | None] = ContextVar("current_call", default=None)


    def add_call(record: logging.LogRecord) -> bool:
        record.call = current_call.get()
        return True


    def begin(info: pinstripe.CallInfo) -> None:
        current_call.set(info.call)  # every line that is logged from here on has the number
        logging.info("%s %s begins", info.method, info.path)


    def end(info: pinstripe.ResultInfo) -> None:
        ended = info.error or info.status
        logging.info("%s in %.3f s, %d requests", ended, info.duration, info.attempts)
        current_call.set(None)


    logging.getLogger().handlers[0].addFilter(add_call)
    with pinstripe.Client(hooks=pinstripe.Hooks(on_call=begin, on_result=end)) as stripe:
        stripe.identity.verification_sessions.create(type="document")
    ```

    `a | b` has the functions of both, those of `a` first.

    Attributes:
        on_call: Called when a call begins.
        on_result: Called when a call has ended, with or without an error.
        on_request: Called before each request.
        on_response: Called when a request has ended, with or without an answer.
        on_retry: Called before the pause between two requests of a call.
        on_wait: Called when a request has waited for a free slot or for the rate limit.
        on_delivery: Called by a router with each delivery, after its verification.
        on_receipt: Called by a router when a delivery has ended.
        on_handler: Called by a router before it calls a handler.
        on_handled: Called by a router when a handler has ended.
    """

    on_call: Callable[[CallInfo], object] | None = field(default=None, validator=_plain_function)
    on_result: Callable[[ResultInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_request: Callable[[RequestInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_response: Callable[[ResponseInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_retry: Callable[[RetryInfo], object] | None = field(default=None, validator=_plain_function)
    on_wait: Callable[[WaitInfo], object] | None = field(default=None, validator=_plain_function)
    on_delivery: Callable[[DeliveryInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_receipt: Callable[[ReceiptInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_handler: Callable[[HandlerInfo], object] | None = field(
        default=None, validator=_plain_function
    )
    on_handled: Callable[[HandledInfo], object] | None = field(
        default=None, validator=_plain_function
    )

    def __or__(self, other: Self) -> Self:
        if not isinstance(other, Hooks):  # what a caller without types gives
            return NotImplemented
        names = [attribute.name for attribute in fields(type(self))]
        both = {
            name: _one_after_the_other(getattr(self, name), getattr(other, name)) for name in names
        }
        return type(self)(**both)


def _one_after_the_other(
    first: Callable[[Any], object] | None, second: Callable[[Any], object] | None
) -> Callable[[Any], object] | None:
    if first is None or second is None:
        return first or second

    def both(info: object) -> None:
        report(first, info)
        report(second, info)

    return both


def watches_calls(hooks: Hooks) -> bool:
    """Return whether a hook takes reports of whole calls."""
    return hooks.on_call is not None or hooks.on_result is not None


def watches_requests(hooks: Hooks) -> bool:
    """Return whether a hook or the log takes reports of single requests."""
    watched = hooks.on_request is not None or hooks.on_response is not None
    return watched or _log.isEnabledFor(logging.DEBUG)


# The module that users import it from; see the end of `options`.
Hooks.__module__ = "pinstripe"


def report(hook: Callable[[_T], object] | None, info: _T) -> None:
    """Call a hook; if it raises an exception, that is logged.

    Args:
        hook: The hook; None if there is none.
        info: What to report.
    """
    if hook is None:
        return
    try:
        hook(info)
    except Exception:  # noqa: BLE001 -- a fault of a hook must not fail the call
        _log.exception("a hook raised an exception; the call proceeds without it")


def report_response(hooks: Hooks, info: ResponseInfo) -> None:
    """Report how a request ended.

    Args:
        hooks: The hooks of the client.
        info: How it ended.
    """
    if _log.isEnabledFor(logging.DEBUG):
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
    report(hooks.on_response, info)


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
    report(hooks.on_retry, info)
