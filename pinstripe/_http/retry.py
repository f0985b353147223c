"""Retries as pure decisions: whether and when, at which cost, and what is certain after them.

What is certain is said with care, since the caller of a POST may act on it. Once an attempt may
have acted, no later answer changes that. The API answers a later attempt from what it stored of
the first one, but such an answer may come from before the API looks there.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from pinstripe._config.hooks import next_number
from pinstripe._config.options import RetryPolicy
from pinstripe._core.errors import ConnectionLost, Outcome, TransportError
from pinstripe._core.refusals import is_refusal
from pinstripe._http.messages import CallProgress, Response

RETRY_COST = 5
"""What a retry costs of the retry budget, as in the AWS SDKs' standard retry mode."""

_SECONDS = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def parse_retry_after(value: str | None, date: str | None, now: float) -> float | None:
    """Return the pause that a `Retry-After` header asks for, in seconds.

    https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3

    Args:
        value: Seconds, also with a fraction, or an HTTP date; anything else counts as no header.
        date: The `Date` of the same answer: a date in `value` is one of the server's clock, from
            which that of this machine may differ.
        now: Seconds since the Unix epoch, for an answer without a `Date`.
    """
    if value is None:
        return None
    if re.fullmatch(_SECONDS, value):
        return min(float(value), sys.float_info.max)  # text of many digits is infinite
    until = _parse_date(value)
    if until is None:
        return None
    answered = _parse_date(date or "") or datetime.fromtimestamp(now, timezone.utc)
    return max(0.0, (until - answered).total_seconds())


def _parse_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
        return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
    # Python 3.10 answers some of what is no date with a TypeError.
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def wants_retry(result: Response | TransportError) -> bool:
    """Return whether another attempt may succeed.

    https://docs.stripe.com/error-low-level

    Args:
        result: How an attempt ended.
    """
    if isinstance(result, TransportError):
        return not result.permanent
    advice = result.headers.get("Stripe-Should-Retry")
    if advice in ("true", "false"):
        return advice == "true" and result.status >= 400
    return result.status in (409, 429) or result.status >= 500


def decide(
    policy: RetryPolicy,
    attempts: int,
    result: Response | TransportError,
    *,
    retry_after: float | None,
    remaining: float,
    spent: int,
    chance: float,
) -> float | None:
    """Return the pause before the next attempt, in seconds; None if no attempt is to follow.

    Args:
        policy: The limits.
        attempts: How many attempts were made so far.
        result: How the latest attempt ended.
        retry_after: Seconds that the server asked to wait.
        remaining: Seconds until the deadline; a pause has to end before it.
        spent: Tokens of the retry budget that are in use.
        chance: A random number from 0 up to 1, for full jitter.
    """
    if attempts >= policy.max_attempts or not wants_retry(result):
        return None
    if spent + RETRY_COST > policy.budget:
        return None
    if retry_after is not None and retry_after > policy.max_retry_after:
        return None
    # Exponential backoff with full jitter; the bound on the exponent keeps the power finite.
    backoff = chance * min(policy.cap, policy.base * 2.0 ** min(attempts - 1, 64))
    # With Retry-After, the jitter comes on top, so that clients do not all return at once.
    pause = backoff if retry_after is None else retry_after + min(backoff, 0.5)
    return pause if pause < remaining else None


class Budget:
    """The retry budget of a client and its siblings, so that retries do not multiply an outage.

    It counts the tokens in use, not those left, so that siblings with different policies can
    share it.

    Args:
        spent: Tokens in use at the start.

    Attributes:
        spent: Tokens in use. A retry spends `RETRY_COST`, and its success refunds it; a success
            at the first attempt refunds 1.
    """

    __slots__ = ("spent",)

    def __init__(self, spent: int = 0) -> None:
        self.spent = spent

    def spend(self) -> None:
        """Note that a retry is about to be made."""
        self.spent += RETRY_COST

    def refund(self, *, retried: bool) -> None:
        """Note that a call succeeded.

        Args:
            retried: Whether a retry succeeded, and not the first attempt.
        """
        self.spent = max(0, self.spent - (RETRY_COST if retried else 1))


class Attempts(CallProgress):
    """What the attempts of one call so far say about its outcome.

    The question is whether the server may have acted. Each attempt that has ended gave one of three
    answers: nothing of it can have left; the API refused it; or it may have acted, since a lost
    connection, a 5xx and the word of a proxy say nothing. The attempt in progress may have acted
    from the moment on at which a byte of it can have left, which the transport reports.

    Attributes:
        count: Requests made.
        free: How many of them replaced one on a stale connection; they cost nothing of the budget.
        waited: Seconds that the call waited before its deadline began.
    """

    waited: float = 0.0
    _call: int | None = None

    def __init__(self) -> None:
        self.count = self.free = 0
        self._may_have_acted = self._refused = False

    def begin(self) -> None:
        """Note that an attempt is about to be sent."""
        self.count += 1
        # A transport that reports nothing may send something at once.
        self.stage, self.failure = "answer", None

    def end(self, result: Response | TransportError) -> None:
        """Note how an attempt ended.

        Args:
            result: The answer, or the error in its place.
        """
        self.stage = "turn"
        if isinstance(result, TransportError):
            self._may_have_acted |= result.outcome != "not_sent"
        elif result.status >= 400 and is_refusal(result.status, result.headers, result.body):
            self._refused = True
        else:
            self._may_have_acted = True

    def withdraw(self) -> None:
        """Note that the attempt was refused on this side, so that nothing of it was sent."""
        self.count -= 1
        self.stage = "turn"

    def excuse(self, result: Response | TransportError) -> bool:
        """Return whether an attempt that ended with `result` may be repeated at once, for free.

        A kept connection that the server has closed meanwhile says nothing about the server. This
        is excused once in a call: if all connections are dead, the next one is no accident.
        """
        if self.free or not isinstance(result, ConnectionLost) or not result.stale:
            return False
        self.free = 1
        return True

    @property
    def call(self) -> int:
        """The number of the call, which gets one with its first report."""
        if self._call is None:
            self._call = next_number()
        return self._call

    @property
    def outcome(self) -> Outcome:
        """What is certain if the call ends now."""
        if self._may_have_acted or self.stage in ("answer", "body"):
            return "unknown"
        return "rejected" if self._refused else "not_sent"
