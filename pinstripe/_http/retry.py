"""Retries as pure decisions: whether and when, at which cost, and what is certain after them."""

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
"""What a retry costs of the retry budget, as in the AWS SDKs' standard retry mode."""


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return the pause that a `Retry-After` header asks for, in seconds.

    https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3

    Args:
        value: Whole seconds or an HTTP date; anything else counts as no header.
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
    """Return whether another attempt may succeed.

    https://docs.stripe.com/error-low-level

    Args:
        result: How an attempt ended.
    """
    if isinstance(result, TransportError):
        return not isinstance(result, CertificateError)
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
        attempts: How many attempts were made so far, without free ones.
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


class Attempts:
    """What the attempts of one call so far say about its outcome.

    The question is whether the server may have acted. `uncertain` is the answer so far:

    - before an attempt is sent: what the earlier attempts have left it at, at first False;
    - while an attempt is on its way: True, since the call can be cancelled at any moment;
    - after an attempt: as before it, if the server has not seen the request or refused it without
      a look at earlier ones; False, if its refusal also covers the earlier attempts; else True,
      since a lost connection, a 5xx or a late answer says nothing.

    Args:
        deletes: Whether the call is a DELETE: it has an effect and no idempotency key, so a
            refusal of a later attempt says nothing about an earlier one.

    Attributes:
        deletes: As above.
        count: Requests sent.
        free: How many of them replaced one on a stale connection; the policy does not count them.
        uncertain: Whether one of them may have had an effect that no answer confirmed.
    """

    __slots__ = ("_uncertain_before", "count", "deletes", "free", "uncertain")

    def __init__(self, *, deletes: bool = False) -> None:
        self.deletes = deletes
        self.count = self.free = 0
        self.uncertain = self._uncertain_before = False

    def begin(self) -> None:
        """Note that an attempt is about to be sent."""
        self.count += 1
        self._uncertain_before, self.uncertain = self.uncertain, True

    def end(self, result: Response | TransportError) -> None:
        """Note how an attempt ended.

        Args:
            result: The answer, or the error in its place.
        """
        if isinstance(result, ConnectError):
            self.uncertain = self._uncertain_before
        elif isinstance(result, Response) and 400 <= result.status < 500:
            # The API refuses with 401, 403 and 429 before it looks for the stored answer to the
            # idempotency key, and with 409 while there is none yet. Any other refusal is the
            # answer to every attempt with this key.
            early = self.deletes or result.status in (401, 403, 409, 429)
            self.uncertain = self._uncertain_before if early else False

    def withdraw(self) -> None:
        """Note that the attempt was refused on this side, so that nothing of it was sent."""
        self.count -= 1
        self.uncertain = self._uncertain_before

    def excuse(self, result: Response | TransportError) -> bool:
        """Return whether an attempt that ended with `result` may be repeated at once, for free.

        A kept connection that the server has closed meanwhile says nothing about the server. This
        is excused once in a call: if all connections are dead, the next one is no accident.
        """
        if self.free or not isinstance(result, ConnectionLost) or not result.stale:
            return False
        self.free = 1
        return True

    def outcome(self, error: PinstripeError) -> Outcome:
        """Return what is certain if the call ends with `error`.

        An `APIError` is an answer, so the server has seen the call; without one, and without an
        uncertain attempt, nothing that can have an effect was sent.
        """
        if self.uncertain or error.outcome == "unknown":
            return "unknown"
        return "rejected" if isinstance(error, APIError) else "not_sent"
