"""From one call to its attempts: its turn, the deadline, retries, and what is certain at the end.

`_retry` decides; `Pipeline.send` awaits.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from attrs import evolve, frozen

if sys.version_info >= (3, 11):
    from asyncio import timeout as deadline_in
else:
    from async_timeout import timeout as deadline_in

from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._config.hooks import (
    Hooks,
    RequestInfo,
    ResponseInfo,
    RetryInfo,
    WaitInfo,
    tell_request,
    tell_response,
    tell_retry,
    tell_wait,
)
from pinstripe._config.options import RetryPolicy, Timeout
from pinstripe._core.errors import (
    ConfigurationError,
    DeadlineExceeded,
    PinstripeError,
    ResponseError,
    TransportError,
    error_for,
    with_response,
)
from pinstripe._core.redaction import clean_request_id
from pinstripe._http.messages import Request, Response, Sender
from pinstripe._http.retry import Attempts, Budget, decide, parse_retry_after
from pinstripe._limits.gate import AsyncLimiter, QueueKey

_E = TypeVar("_E", bound=PinstripeError)


@frozen(kw_only=True, eq=False, repr=False)
class Clock:
    """Where a pipeline gets time and chance from; tests bring their own.

    Attributes:
        monotonic: Seconds of a clock that never goes back.
        wall: Seconds since the Unix epoch.
        random: A number from 0 up to 1.
        sleep: Waits for some seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Pipeline:
    """Turns calls into attempts.

    Args:
        send: Sends one attempt.
        gates: Gives the gate that bounds requests in flight and requests a second; shared by
            a client and its siblings.
        budget: Bounds the retries; shared likewise.
        headers: Headers of every request, which a call's own replace.
        timeout: The timeouts of a call that has none of its own.
        retry: When to try again.
        hooks: Who is told.
        clock: Time and chance.
    """

    def __init__(
        self,
        send: Sender,
        gates: Callable[[], AsyncLimiter],
        budget: Budget,
        *,
        headers: Mapping[str, str],
        timeout: Timeout,
        retry: RetryPolicy,
        hooks: Hooks,
        clock: Clock,
    ) -> None:
        self._send = send
        self._gates = gates
        self._budget = budget
        self._headers = headers
        self._timeout = timeout
        self._retry = retry
        self._hooks = hooks
        self._clock = clock

    async def send(self, request: Request) -> Response:
        """Send a request, again where that may help, and return the answer of success.

        Args:
            request: What to send.

        Raises:
            PinstripeError: There is none; the error carries the idempotency key, the number of
                attempts and what is certain about the server having acted.
        """
        timeout = request.timeout or self._timeout
        request = request.with_defaults({**self._headers, **request.headers}, timeout)
        total = timeout.total
        if deadline_starts_at_turn.get():
            await self._gates().wait_until_near(queue_key(request))
        deadline = self._clock.monotonic() + total
        attempts = Attempts(deletes=request.method == "DELETE")
        scope = deadline_in(total)  # a third of the cost of `anyio.fail_after`
        try:
            async with scope:
                return await self._until_decided(request, attempts, deadline)
        except PinstripeError as error:
            problem = _complete(error, request, attempts)
        except asyncio.TimeoutError:  # which Python 3.10 does not take for the built-in one
            if not _has_expired(scope):
                raise  # that of a file, or of a transport
            late = DeadlineExceeded(f"no answer within {total:g} s")
            late.outcome = "not_sent"
            problem = _complete(late, request, attempts)
        raise problem

    async def _until_decided(
        self, request: Request, attempts: Attempts, deadline: float
    ) -> Response:
        while True:
            result = await self._attempt(request, attempts, deadline)
            if isinstance(result, Response) and 200 <= result.status < 300:
                self._budget.give_back(retried=attempts.count - attempts.free > 1)
                return result if attempts.count == 1 else evolve(result, attempts=attempts.count)
            retry_after = _retry_after(result, self._clock.wall())
            pause = self._pause(result, attempts, retry_after, deadline)
            if pause is None:
                raise _failure(request, result, retry_after)
            self._tell_retry(request, attempts.count, result, pause)
            await self._clock.sleep(pause)

    def _tell_retry(
        self, request: Request, attempt: int, result: Response | TransportError, pause: float
    ) -> None:
        info = RetryInfo(
            method=request.method,
            path=request.template,
            attempt=attempt,
            pause=pause,
            **_end_of(result),
        )
        tell_retry(self._hooks, info)

    def _pause(
        self,
        result: Response | TransportError,
        attempts: Attempts,
        retry_after: float | None,
        deadline: float,
    ) -> float | None:
        """Return the pause before the next attempt, and take its cost; None where there is none."""
        if attempts.excuse(result):
            return 0.0
        pause = decide(
            self._retry,
            attempts.count - attempts.free,
            result,
            retry_after=retry_after,
            remaining=deadline - self._clock.monotonic(),
            spent=self._budget.spent,
            chance=self._clock.random(),
        )
        if pause is not None:
            self._budget.take()
        return pause

    async def _attempt(
        self, request: Request, attempts: Attempts, deadline: float
    ) -> Response | TransportError:
        gate, sent = self._gates(), self._clock.monotonic()
        lane = gate.queue_of(queue_key(request), sent)
        if not gate.enter(lane, sent):
            await gate.wait(lane, sent, deadline)
            sent = self._tell_wait(request, sent)
        result: Response | TransportError | None = None
        attempts.begin()
        try:
            if self._hooks.watches_requests():
                result = await self._observed(request, attempts.count)
            else:
                result = await self._try(request)
            attempts.end(result)
            return result
        except ConfigurationError:
            attempts.withdraw()
            raise
        finally:
            end, reason = end_and_reason(request, result)
            gate.release(lane, end, reason, sent, self._clock.monotonic())

    def _tell_wait(self, request: Request, since: float) -> float:
        """Report a wait, and return the time of its end."""
        now = self._clock.monotonic()
        info = WaitInfo(method=request.method, path=request.template, duration=now - since)
        tell_wait(self._hooks, info)
        return now

    async def _observed(self, request: Request, attempt: int) -> Response | TransportError:
        """Send a request, and tell those who watch."""
        facts: dict[str, Any] = {
            "method": request.method,
            "path": request.template,
            "attempt": attempt,
        }
        tell_request(self._hooks, RequestInfo(**facts, idempotency_key=request.idempotency_key))
        started = self._clock.monotonic()
        end: dict[str, Any] = {}
        try:
            result = await self._try(request)
            end = _end_of(result)
        except BaseException as error:
            end = {"error": type(error).__name__}
            raise
        finally:
            duration = self._clock.monotonic() - started
            tell_response(self._hooks, ResponseInfo(**facts, **end, duration=duration))
        return result

    async def _try(self, request: Request) -> Response | TransportError:
        try:
            result = await self._send(request)
        except TransportError as error:
            return error
        echo = result.headers.get("Idempotency-Key")
        if echo is not None and echo != request.idempotency_key:
            foreign = ResponseError("the answer is to another request: it has another key")
            raise with_response(foreign, result.status, result.headers, result.body)
        return result


def queue_key(request: Request) -> QueueKey | None:
    """Return which queue a request waits in; None if it carries no key, so that none counts it."""
    if request.anonymous:
        return None
    return request.headers.get("Stripe-Account"), request.method, request.template


def end_and_reason(
    request: Request, result: Response | TransportError | None
) -> tuple[Literal["answered", "refused"] | None, str | None]:
    """Return how a request ended, as a limiter asks for it, and why it was refused."""
    if not isinstance(result, Response):
        return None, None
    if result.status == 429:
        reason = result.headers.get("Stripe-Rate-Limited-Reason")
        if reason is None and b"lock_timeout" in result.body:
            reason = "lock_timeout"  # another request works on the same object
        return "refused", reason
    # An upload or a download takes as long as it is, which says nothing about the server.
    return None if request.upload or request.sink else "answered", None


def _has_expired(scope: Any) -> bool:
    expired = scope.expired
    return bool(expired() if callable(expired) else expired)  # a plain bool on Python 3.10


def _end_of(result: Response | TransportError) -> dict[str, Any]:
    if isinstance(result, TransportError):
        return {"error": type(result).__name__}
    return {"status": result.status, "request_id": clean_request_id(result.request_id)}


def _retry_after(result: Response | TransportError, now: float) -> float | None:
    if isinstance(result, TransportError):
        return None
    return parse_retry_after(result.headers.get("Retry-After"), now)


def _failure(
    request: Request, result: Response | TransportError, retry_after: float | None
) -> PinstripeError:
    """Return the error that the end of a call without success stands for."""
    if isinstance(result, TransportError):
        return result
    if result.status >= 400:
        return error_for(
            result.status,
            result.headers,
            result.body,
            retry_after=retry_after,
            sent=request.values,
        )
    place = _place(result.headers.get("Location"))
    error = ResponseError(f"the server answered {result.status} and points to {place}")
    return with_response(error, result.status, result.headers, result.body)


def _place(location: str | None) -> str:
    """Return where a redirect points, without the parts of an address that can hold a secret."""
    try:
        parts = urlsplit(location or "nowhere")
    except ValueError:
        return "no valid address"
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()


def _complete(error: _E, request: Request, attempts: Attempts) -> _E:
    """Put into an error what only the pipeline knows of its call."""
    error.attempts = attempts.count
    error.idempotency_key = request.idempotency_key
    error.outcome = attempts.outcome(error)
    return error
