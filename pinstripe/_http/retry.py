"""Retries, as pure decisions: whether and when, at whose cost, and what is certain after them."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from pinstripe._config.options import RetryPolicy
from pinstripe._core.errors import (
    APIError,
    CertificateError,
    ConnectError,
    ConnectionLost,
    Outcome,
    PinstripeError,
    TransportError,
)
from pinstripe._http.messages import Response

RETRY_COST = 5
"""What a retry takes from the budget, as in the AWS SDKs' rules of many years."""


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
        return not isinstance(result, CertificateError)
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
    spent: int,
    chance: float,
) -> float | None:
    """Return the pause before the next attempt, in seconds; None where there is to be none.

    Args:
        policy: The limits.
        attempts: How many attempts were made so far, free ones left out.
        result: How the latest ended.
        retry_after: Seconds the server asked to wait.
        remaining: Seconds until the deadline; a pause that would not end before it is no use.
        spent: Tokens of the budget that are in use.
        chance: A random number from 0 up to 1, for full jitter.
    """
    if attempts >= policy.max_attempts or not wants_retry(result):
        return None
    if spent + RETRY_COST > policy.budget:
        return None
    if retry_after is not None and retry_after > policy.max_retry_after:
        return None
    backoff = chance * min(policy.cap, policy.base * 2.0 ** min(attempts - 1, 64))
    pause = backoff if retry_after is None else retry_after + min(backoff, 0.5)
    return pause if pause < remaining else None


class Budget:
    """What retries have cost a client and its siblings lately, so that an outage is not multiplied.

    It counts up, not down, so that siblings with other policies can share it.

    Attributes:
        spent: Tokens in use. A retry takes `RETRY_COST`, which its success gives back; a
            success at the first attempt gives back 1.
    """

    __slots__ = ("spent",)

    def __init__(self, spent: int = 0) -> None:
        self.spent = spent

    def take(self) -> None:
        """Note that a retry is about to be made."""
        self.spent += RETRY_COST

    def give_back(self, *, retried: bool) -> None:
        """Note that a call succeeded.

        Args:
            retried: Whether a retry did it.
        """
        if self.spent:
            self.spent = max(0, self.spent - (RETRY_COST if retried else 1))


class Attempts:
    """What is known of a call from the attempts made so far.

    Attributes:
        deletes: Whether the call has an effect and no key, so that what the API says to a later
            attempt tells nothing of an earlier one.
        count: Requests sent.
        free: How many of them made up for a stale connection; the policy does not count them.
        uncertain: Whether one of them may have had an effect that no answer told of.
    """

    __slots__ = ("_before", "count", "deletes", "free", "uncertain")

    def __init__(self, *, deletes: bool = False) -> None:
        self.deletes = deletes
        self.count = self.free = 0
        self.uncertain = self._before = False

    def begin(self) -> None:
        """Note that an attempt is about to be sent."""
        self.count += 1
        self._before, self.uncertain = self.uncertain, True

    def end(self, result: Response | TransportError) -> None:
        """Note how it ended.

        401, 403 and 429 are given before the API looks for a stored answer, and 409 while there
        is none yet, so they tell nothing of earlier attempts with the same key; other refusals do.
        """
        if isinstance(result, ConnectError):
            self.uncertain = self._before
        elif isinstance(result, Response) and 400 <= result.status < 500:
            early = self.deletes or result.status in (401, 403, 409, 429)
            self.uncertain = self._before if early else False

    def withdraw(self) -> None:
        """Note that the attempt was refused on this side and nothing of it was sent."""
        self.count -= 1
        self.uncertain = self._before

    def excuse(self, result: Response | TransportError) -> bool:
        """Return whether the attempt that ended so may be repeated at once, for free.

        A connection that was kept from an earlier call and turned out to be dead says nothing
        about the server. It is excused once a call: where all connections are dead, the next
        one is no accident.
        """
        if self.free or not isinstance(result, ConnectionLost) or not result.stale:
            return False
        self.free = 1
        return True

    def outcome(self, error: PinstripeError) -> Outcome:
        """Return what is certain when the call ends with `error`."""
        if self.uncertain or error.outcome == "unknown":
            return "unknown"
        return "rejected" if isinstance(error, APIError) else "not_sent"
