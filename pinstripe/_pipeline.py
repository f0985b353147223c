"""From one call to its attempts: slots, the deadline, retries, and what is certain at the end.

`decide` and `Attempts` decide; `Pipeline.send` awaits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TypeVar

import anyio
from attrs import define, evolve, frozen

from pinstripe._config import RetryPolicy, Timeout
from pinstripe._errors import (
    APIError,
    ConfigurationError,
    ConnectError,
    DeadlineExceeded,
    Outcome,
    PinstripeError,
    ResponseError,
    TransportError,
    error_for,
    with_response,
)
from pinstripe._wire import Request, Response, Sender

_E = TypeVar("_E", bound=PinstripeError)


@frozen(kw_only=True)
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
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return the wait that a `Retry-After` header asks for, in seconds.

    Args:
        value: Whole seconds or an HTTP date; anything else counts as not there.
        now: Seconds since the Unix epoch.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
    return max(0.0, (aware - datetime.fromtimestamp(now, timezone.utc)).total_seconds())


def wants_retry(result: Response | TransportError) -> bool:
    """Return whether another attempt could end better.

    https://docs.stripe.com/error-low-level

    Args:
        result: How an attempt ended.
    """
    if isinstance(result, TransportError):
        return True
    said = result.headers.get("Stripe-Should-Retry")
    if said in ("true", "false"):
        return said == "true" and result.status >= 400
    return result.status in (409, 429) or result.status >= 500


def decide(
    policy: RetryPolicy,
    attempts: int,
    result: Response | TransportError,
    *,
    retry_after: float | None,
    remaining: float,
    chance: float,
) -> float | None:
    """Return the pause before the next attempt, in seconds; None where there is to be none.

    Args:
        policy: The limits.
        attempts: How many requests were sent so far.
        result: How the latest ended.
        retry_after: Seconds the server asked to wait.
        remaining: Seconds until the deadline; a pause that would not end before it is no use.
        chance: A random number from 0 up to 1, for full jitter.
    """
    if attempts >= policy.max_attempts or not wants_retry(result):
        return None
    if retry_after is not None and retry_after > policy.max_retry_after:
        return None
    backoff = chance * min(policy.cap, policy.base * 2.0 ** min(attempts - 1, 64))
    pause = backoff if retry_after is None else retry_after + min(backoff, 0.5)
    return pause if pause < remaining else None


@define
class Attempts:
    """What is known of a call from the attempts made so far.

    Attributes:
        count: Requests sent.
        uncertain: Whether one of them may have had an effect that no answer told of.
    """

    count: int = 0
    uncertain: bool = False
    _before: bool = False

    def begin(self) -> None:
        """Note that an attempt is about to be sent."""
        self.count += 1
        self._before, self.uncertain = self.uncertain, True

    def end(self, result: Response | TransportError) -> None:
        """Note how it ended.

        401 and 429 are given before the API looks for a stored answer, so they tell nothing of
        earlier attempts with the same key; other refusals do.
        """
        if isinstance(result, ConnectError):
            self.uncertain = self._before
        elif isinstance(result, Response) and 400 <= result.status < 500:
            early = result.status in (401, 409, 429)
            self.uncertain = self._before if early else False

    def withdraw(self) -> None:
        """Note that the attempt was refused on this side and nothing of it was sent."""
        self.count -= 1
        self.uncertain = self._before

    def outcome(self, error: PinstripeError) -> Outcome:
        """Return what is certain when the call ends with `error`."""
        if self.uncertain or error.outcome == "unknown":
            return "unknown"
        return "rejected" if isinstance(error, APIError) else "not_sent"


class Pipeline:
    """Turns calls into attempts.

    Args:
        send: Sends one attempt.
        slots: Bounds the requests on their way; shared by the clients of a pool.
        headers: Headers of every request, which a call's own replace.
        timeout: The timeouts of a call that has none of its own.
        retry: When to try again.
        clock: Time and chance.
    """

    def __init__(
        self,
        send: Sender,
        slots: anyio.Semaphore,
        *,
        headers: Mapping[str, str],
        timeout: Timeout,
        retry: RetryPolicy,
        clock: Clock,
    ) -> None:
        self._send = send
        self._slots = slots
        self._headers = headers
        self._timeout = timeout
        self._retry = retry
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
        headers = {**self._headers, **request.headers}
        request, total = evolve(request, headers=headers, timeout=timeout), timeout.total
        deadline = self._clock.monotonic() + total
        attempts = Attempts()
        try:
            with anyio.fail_after(total):
                return await self._until_decided(request, attempts, deadline)
        except PinstripeError as error:
            problem = _complete(error, request, attempts)
        except TimeoutError:
            late = DeadlineExceeded(f"no answer within {total:g} s")
            late.outcome = "not_sent"
            problem = _complete(late, request, attempts)
        raise problem

    async def _until_decided(
        self, request: Request, attempts: Attempts, deadline: float
    ) -> Response:
        while True:
            result = await self._attempt(request, attempts)
            retry_after = _retry_after(result, self._clock.wall())
            pause = decide(
                self._retry,
                attempts.count,
                result,
                retry_after=retry_after,
                remaining=deadline - self._clock.monotonic(),
                chance=self._clock.random(),
            )
            if pause is None:
                return _answer(request, result, attempts.count, retry_after)
            await self._clock.sleep(pause)

    async def _attempt(self, request: Request, attempts: Attempts) -> Response | TransportError:
        async with self._slots:
            attempts.begin()
            result: Response | TransportError
            try:
                result = await self._send(request)
            except TransportError as error:
                result = error
            except ConfigurationError:
                attempts.withdraw()
                raise
            attempts.end(result)
            return result


def _retry_after(result: Response | TransportError, now: float) -> float | None:
    if isinstance(result, TransportError):
        return None
    return parse_retry_after(result.headers.get("Retry-After"), now)


def _answer(
    request: Request, result: Response | TransportError, attempts: int, retry_after: float | None
) -> Response:
    """Return a successful answer; raise what any other means."""
    if isinstance(result, TransportError):
        raise result
    if 200 <= result.status < 300:
        return result if attempts == 1 else evolve(result, attempts=attempts)
    if result.status >= 400:
        raise error_for(
            result.status,
            result.headers,
            result.body,
            retry_after=retry_after,
            sent=request.sent,
        )
    place = result.headers.get("Location", "nowhere").partition("?")[0]  # it can repeat the query
    error = ResponseError(f"the server answered {result.status} and points to {place}")
    raise with_response(error, result.status, result.headers, result.body)


def _complete(error: _E, request: Request, attempts: Attempts) -> _E:
    """Put into an error what only the pipeline knows of its call."""
    error.attempts = attempts.count
    error.idempotency_key = request.idempotency_key
    error.outcome = attempts.outcome(error)
    return error
