"""From one call to its attempts: its turn, its deadline, its retries, and its outcome.

A call goes through these steps:

1. If its deadline starts at its turn (in a fan-out), it first waits until its turn is near.
2. The deadline starts. It covers everything below.
3. An attempt waits until the limiter lets it go, is sent, and gives its slot back.
4. An answer of success ends the call. Otherwise `retry.decide` says whether there is another
   attempt and after which pause; the pause holds no slot.
5. An error gets what only the pipeline knows: the number of attempts, the idempotency key, and what
   is certain about the server having acted.

The modules `retry` and `_limits.limiter` decide; only this one and `_limits.gate` await.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal
from urllib.parse import urlsplit

from attrs import evolve, frozen

from pinstripe._concurrency.deadlines import deadline_in, has_passed
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._config.hooks import (
    Hooks,
    report,
    report_response,
    report_retry,
    watches_requests,
)
from pinstripe._config.infos import RequestInfo, ResponseInfo, RetryInfo, WaitInfo
from pinstripe._config.options import RetryPolicy, Timeout
from pinstripe._core.errors import (
    ConfigurationError,
    DeadlineExceeded,
    PinstripeError,
    ResponseError,
    TransportError,
    with_response,
)
from pinstripe._core.redaction import clean_request_id
from pinstripe._core.refusals import error_for
from pinstripe._http.acting import ACTS_FOR, account_of, settle_account
from pinstripe._http.messages import Request, Response, Sender
from pinstripe._http.retry import Attempts, Budget, decide, parse_retry_after
from pinstripe._limits.gate import AsyncLimiter, QueueKey, client_closed_error

_STILL = {
    "turn": "the call was still waiting for its turn",
    "connection": "there was still no connection",
    "answer": "the server had still not answered",
    "body": "the body of the answer had still not come to its end",
}
"""What a call was waiting for when it ran out of time, by the stage of its progress."""


@frozen(kw_only=True, eq=False, repr=False)
class TimeSource:
    """The source of time and of random numbers; tests bring their own.

    Attributes:
        monotonic: Returns the seconds of a clock that never goes back.
        wall: Returns the seconds since the Unix epoch.
        random: Returns a number from 0 up to 1.
        sleep: Waits for a number of seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Pipeline:
    """Turns a call into attempts.

    Args:
        send: Sends one attempt.
        limiters: Returns the limiter of the running event loop, which bounds requests in flight
            and requests a second; a client and its siblings share it.
        budget: The retry budget; shared in the same way.
        headers: Headers of every request; those of a call replace them. An account of a call
            replaces a context too, and the reverse.
        timeout: The timeout of a call that has none of its own.
        retry: When to try again.
        hooks: The hooks that get reports.
        time_source: Time and random numbers.
        needs_context: Whether the API refuses a call that has no context.
    """

    def __init__(
        self,
        send: Sender,
        limiters: Callable[[], AsyncLimiter],
        budget: Budget,
        *,
        headers: Mapping[str, str],
        timeout: Timeout,
        retry: RetryPolicy,
        hooks: Hooks,
        time_source: TimeSource,
        needs_context: bool = False,
    ) -> None:
        self._send = send
        self._limiters = limiters
        self._budget = budget
        self._headers = headers
        self._timeout = timeout
        self._retry = retry
        self._hooks = hooks
        self._time = time_source
        self._needs_context = needs_context
        self._has_account = needs_context or not headers.keys().isdisjoint(ACTS_FOR)

    async def send(self, request: Request, attempts: Attempts | None = None) -> Response:
        """Send a request, again if that may help, and return the answer of success.

        Args:
            request: What to send.
            attempts: Keeps count of the attempts; for the report of the call.

        Raises:
            PinstripeError: The call failed; the error has the idempotency key, the number of
                attempts and what is certain about the server having acted.
        """
        timeout, attempts = request.timeout or self._timeout, attempts or Attempts()
        headers = {**self._headers, **request.headers}
        if self._has_account:
            settle_account(request, headers, needs_context=self._needs_context)
        request = request.with_defaults(headers, timeout, attempts)
        limiter, total = self._limiters(), timeout.total
        if deadline_starts_at_turn.get():
            since = self._time.monotonic()
            if await limiter.wait_until_near(queue_key(request)):
                attempts.waited = self._time.monotonic() - since
        deadline = self._time.monotonic() + total
        scope = deadline_in(total)
        try:
            async with scope:
                if limiter.closed:  # while the call waited
                    raise client_closed_error()
                limiter.calls.add(scope)
                try:
                    return await self._until_decided(request, attempts, limiter, deadline)
                finally:
                    limiter.calls.discard(scope)
        except PinstripeError as error:
            problem = error
        except asyncio.TimeoutError:
            if not has_passed(scope):
                raise  # the timeout is one of a file or of a transport
            problem = self._cut_short(request, attempts, limiter, total)
        if not isinstance(problem, ConfigurationError):
            problem.call = request.call
        problem.attempts = attempts.count
        problem.idempotency_key = request.idempotency_key
        problem.outcome = attempts.outcome
        # Raised here, so that the error has no context.
        raise problem

    def _cut_short(
        self, request: Request, attempts: Attempts, limiter: AsyncLimiter, total: float
    ) -> PinstripeError:
        """Return the error of a call that its deadline, or the end of the client, interrupted."""
        if limiter.closed:
            return client_closed_error()
        if attempts.failure is not None:
            return _failure(request, attempts.failure, self._retry_after(attempts.failure))
        return DeadlineExceeded(f"no answer within {total:g} s: {_STILL[attempts.stage]}")

    def _retry_after(self, result: Response) -> float | None:
        headers = result.headers
        return parse_retry_after(headers.get("Retry-After"), headers.get("Date"), self._time.wall())

    async def _until_decided(
        self, request: Request, attempts: Attempts, limiter: AsyncLimiter, deadline: float
    ) -> Response:
        most = self._retry.max_attempts
        while True:
            result = await self._attempt(request, attempts, limiter, deadline)
            if isinstance(result, Response) and 200 <= result.status < 300:
                if self._budget.spent:
                    self._budget.refund(retried=attempts.count - attempts.free > 1)
                return result if attempts.count == 1 else evolve(result, attempts=attempts.count)
            retry_after = self._retry_after(result) if isinstance(result, Response) else None
            # An attempt on a stale connection is repeated at once and costs no budget.
            is_free = attempts.count < most and attempts.excuse(result)
            pause = (
                0.0
                if is_free
                else decide(
                    self._retry,
                    attempts.count,
                    result,
                    retry_after=retry_after,
                    remaining=deadline - self._time.monotonic(),
                    spent=self._budget.spent,
                    chance=self._time.random(),
                )
            )
            if pause is None:
                raise _failure(request, result, retry_after)
            if not is_free:
                self._budget.spend()
            self._report_retry(request, attempts, result, pause)
            await self._time.sleep(pause)

    async def _attempt(
        self, request: Request, attempts: Attempts, limiter: AsyncLimiter, deadline: float
    ) -> Response | TransportError:
        """Wait for the limiter, send a request once, and return how that ended."""
        sent = self._time.monotonic()
        queue = limiter.queue_of(queue_key(request), sent)
        must_wait = not limiter.try_acquire(queue, sent)
        if must_wait:
            await limiter.wait(queue, sent, deadline)
        # From here on the request has a slot, which `release` gives back in any case: a hook can
        # raise anything.
        result: Response | TransportError | None = None
        try:
            if must_wait or attempts.waited:
                since, sent = sent, self._time.monotonic()
                self._report_wait(request, attempts, sent - since)
            attempts.begin()
            if watches_requests(self._hooks):
                result = await self._send_watched(request, attempts)
            else:
                result = await self._send_once(request)
            attempts.end(result)
            return result
        except ConfigurationError:
            attempts.withdraw()
            raise
        finally:
            end, reason = end_and_reason(request, result)
            limiter.release(queue, end, reason, sent, self._time.monotonic())

    def _report_retry(
        self, request: Request, attempts: Attempts, result: Response | TransportError, pause: float
    ) -> None:
        status, request_id, error = end_of_request(result)
        info = RetryInfo(
            call=attempts.call,
            method=request.method,
            path=request.template,
            attempt=attempts.count,
            pause=pause,
            status=status,
            request_id=request_id,
            error=error,
        )
        report_retry(self._hooks, info)

    def _report_wait(self, request: Request, attempts: Attempts, duration: float) -> None:
        info = WaitInfo(
            call=attempts.call,
            method=request.method,
            path=request.template,
            duration=duration + attempts.waited,
        )
        attempts.waited = 0.0  # a later attempt waits anew
        report(self._hooks.on_wait, info)

    async def _send_watched(
        self, request: Request, attempts: Attempts
    ) -> Response | TransportError:
        """Send a request once, and report its start and its end."""
        call, method, path = attempts.call, request.method, request.template
        key, attempt = request.idempotency_key, attempts.count
        begin = RequestInfo(
            call=call, method=method, path=path, attempt=attempt, idempotency_key=key
        )
        report(self._hooks.on_request, begin)
        started = self._time.monotonic()
        status = request_id = problem = None
        try:
            result = await self._send_once(request)
            status, request_id, problem = end_of_request(result)
        except BaseException as error:
            problem = type(error).__name__
            raise
        finally:
            end = ResponseInfo(
                call=call,
                method=method,
                path=path,
                attempt=attempt,
                duration=self._time.monotonic() - started,
                status=status,
                request_id=request_id,
                error=problem,
            )
            report_response(self._hooks, end)
        return result

    async def _send_once(self, request: Request) -> Response | TransportError:
        """Send a request once; an error of the network is returned, since it may be retried."""
        try:
            result = await self._send(request)
        except TransportError as error:
            return error
        # The API repeats the key in its answer; another key means that answers were mixed up.
        echo = result.headers.get("Idempotency-Key")
        if echo is not None and echo != request.idempotency_key:
            foreign = ResponseError("the answer belongs to another request: its key is another one")
            raise with_response(foreign, result.status, result.headers, result.body)
        return result


def queue_key(request: Request) -> QueueKey | None:
    """Return the key of the queue in which a request waits; None if it carries no API key.

    Args:
        request: The request with all of its headers.
    """
    if request.anonymous:
        return None
    return account_of(request.headers), request.method, request.template


def end_and_reason(
    request: Request, result: Response | TransportError | None
) -> tuple[Literal["answered", "refused"] | None, str | None]:
    """Return how a request ended, in the words of the limiter, and why it was refused.

    Args:
        request: The request.
        result: How it ended; None if it raised another error or was cancelled.
    """
    if not isinstance(result, Response):
        return None, None
    if result.status == 429:
        reason = result.headers.get("Stripe-Rate-Limited-Reason")
        if reason is None and b"lock_timeout" in result.body:
            reason = "lock_timeout"  # another request works on the same object
        return "refused", reason
    # The latency of an upload or a download depends on its size, and says nothing about the server.
    return None if request.upload or request.sink else "answered", None


def end_of_request(
    result: Response | TransportError,
) -> tuple[int | None, str | None, str | None]:
    """Return how a request ended: the status, the request id, and the name of the error.

    Args:
        result: The answer, or the error in its place.
    """
    if isinstance(result, TransportError):
        return None, None, type(result).__name__
    return result.status, clean_request_id(result.request_id), None


def _failure(
    request: Request, result: Response | TransportError, retry_after: float | None
) -> PinstripeError:
    """Return the error of a call whose last attempt ended with `result`."""
    if isinstance(result, TransportError):
        return result
    if result.status >= 400:
        return error_for(
            result.status,
            result.headers,
            result.body,
            retry_after=retry_after,
            sent=request.private_values,
        )
    target = _redirect_target(result.headers.get("Location"))
    error = ResponseError(f"the server answered {result.status} and points to {target}")
    return with_response(error, result.status, result.headers, result.body)


def _redirect_target(location: str | None) -> str:
    """Return the target of a redirect without the parts of an address that can hold a secret."""
    try:
        parts = urlsplit(location or "nowhere")
    except ValueError:
        return "no valid address"
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()
