"""The rate limiter: so many requests a second for each account, each endpoint, and for files.

Each limit is a token bucket that fills by the sandbox's clock and holds the tokens of one second.
A request takes one token from every bucket that concerns it, or from none.

Choices of the sandbox, because the published facts are silent: a request counts if its API key and
path are fine, whatever its answer; the content of a file link, which needs no key, never counts;
reads and writes of files have a bucket each; a 429 carries neither `Retry-After` nor
`Stripe-Should-Retry`.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import Attribute, define, field, frozen

from pinstripe.sandbox._params.errors import Refusal

# Both from https://docs.stripe.com/rate-limits
ENDPOINT_PER_SECOND: Final = 25.0
FILES_PER_SECOND: Final = 20.0

_FILES = "/v1/files"


def _above_zero(instance: object, attribute: Attribute[Any], value: float) -> None:
    del instance
    if not value > 0:
        raise ValueError(f"{attribute.name} must be above zero, got {value!r}")


@frozen
class RateLimits:
    """How many requests a second are accepted.

    Args:
        account: All requests of an account; Stripe has 25 in test mode and 100 in live mode.
        endpoint: Requests of an account to one endpoint.
        files: Reads of files by an account, and as many writes.
    """

    account: float = field(converter=float, validator=_above_zero)
    endpoint: float = field(default=ENDPOINT_PER_SECOND, converter=float, validator=_above_zero)
    files: float = field(default=FILES_PER_SECOND, converter=float, validator=_above_zero)


def as_limits(given: RateLimits | float | None) -> RateLimits | None:
    """Return limits; a bare number is the limit of an account.

    Raises:
        ValueError: For a number that is not above zero.
    """
    return given if given is None or isinstance(given, RateLimits) else RateLimits(given)


@define
class _Bucket:
    tokens: float
    filled: float

    def fill(self, rate: float, now: float) -> float:
        # A bucket holds at least one token: a rate below 1 would let nothing through otherwise.
        room = max(1.0, rate)
        self.tokens = min(room, self.tokens + max(0.0, now - self.filled) * rate)
        self.filled = now
        return self.tokens


class RateLimiter:
    """Counts the requests of all accounts.

    Args:
        limits: The limits; None for no limit.
    """

    def __init__(self, limits: RateLimits | None) -> None:
        self.limits = limits
        self._buckets: dict[tuple[str | None, str], _Bucket] = {}

    def set(self, limits: RateLimits | None) -> None:
        """Start again with other limits and full buckets.

        Args:
            limits: The limits; None for no limit.
        """
        self.limits = limits
        self._buckets.clear()

    def check(self, account: str | None, method: str, path: str, now: float) -> None:
        """Count a request.

        Args:
            account: The id of the account; None for the account of the API key.
            method: The HTTP method.
            path: The path of the endpoint, with its placeholders.
            now: Seconds since the epoch.

        Raises:
            Refusal: 429, if the request is beyond a limit; then it does not count.
        """
        if self.limits is None:
            return
        wanted = [("global-rate", "", self.limits.account)]
        wanted.append(("endpoint-rate", f"{method} {path}", self.limits.endpoint))
        if path.startswith(_FILES):
            kind = "read" if method == "GET" else "write"
            wanted.append(("endpoint-rate", f"files {kind}", self.limits.files))
        buckets: list[_Bucket] = []
        for reason, name, rate in wanted:
            bucket = self._buckets.get((account, name))
            if bucket is None:
                bucket = self._buckets[account, name] = _Bucket(max(1.0, rate), now)
            if bucket.fill(rate, now) < 1.0:
                raise too_many(reason)
            buckets.append(bucket)
        # Only here, when every bucket has a token, is one taken from each.
        for bucket in buckets:
            bucket.tokens -= 1.0


def too_many(reason: str) -> Refusal:
    """Return the refusal of a request that is beyond a rate limit.

    Args:
        reason: The value of `Stripe-Rate-Limited-Reason`.
    """
    headers = {"Stripe-Rate-Limited-Reason": reason}
    text = "Too many requests in a short time. Wait longer after each attempt."
    return Refusal(text, status=429, code="rate_limit", headers=headers)
