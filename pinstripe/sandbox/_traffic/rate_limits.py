"""The rate limiter: so many requests a second for each account, each endpoint, and for files.

Buckets of tokens that fill by the sandbox's clock, each as large as one second's worth. Choices
where the published facts are silent: a request counts when its key and path are fine, whatever
its answer, and the content of a file link, which needs no key, never does; reads and writes of
files have a bucket each; a 429 carries neither `Retry-After` nor `Stripe-Should-Retry`.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from pinstripe.sandbox._params.errors import Refusal

ENDPOINT_PER_SECOND: Final = 25.0
FILES_PER_SECOND: Final = 20.0

_FILES = "/v1/files"


def _above_zero(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    del instance
    if not value > 0:
        raise ValueError(f"{attribute.name} must be above zero, got {value!r}")


@attrs.frozen
class RateLimits:
    """How many requests a second are let through.

    Args:
        account: all requests of an account; Stripe has 25 in test mode and 100 in live mode.
        endpoint: requests of an account to one endpoint.
        files: reads, and writes, of files by an account.
    """

    account: float = attrs.field(converter=float, validator=_above_zero)
    endpoint: float = attrs.field(
        default=ENDPOINT_PER_SECOND, converter=float, validator=_above_zero
    )
    files: float = attrs.field(default=FILES_PER_SECOND, converter=float, validator=_above_zero)


def as_limits(given: RateLimits | float | None) -> RateLimits | None:
    """Read a bare number as the limit of an account.

    Raises:
        ValueError: for a number that is not above zero.
    """
    return given if given is None or isinstance(given, RateLimits) else RateLimits(given)


@attrs.define
class _Bucket:
    tokens: float
    filled: float

    def fill(self, rate: float, now: float) -> float:
        room = max(1.0, rate)
        self.tokens = min(room, self.tokens + max(0.0, now - self.filled) * rate)
        self.filled = now
        return self.tokens


class RateLimiter:
    """Counts the requests of all accounts.

    Args:
        limits: what is let through, None for everything.
    """

    def __init__(self, limits: RateLimits | None) -> None:
        self.limits = limits
        self._buckets: dict[tuple[str | None, str], _Bucket] = {}

    def set(self, limits: RateLimits | None) -> None:
        """Begin anew with other limits, None for none."""
        self.limits = limits
        self._buckets.clear()

    def check(self, account: str | None, method: str, path: str, now: float) -> None:
        """Count a request.

        Args:
            account: id of the account, None for that of the key.
            method: the HTTP method.
            path: path of the endpoint, with its placeholders.
            now: seconds since the epoch.

        Raises:
            Refusal: 429, when it is one too many; it does not count then.
        """
        if self.limits is None:
            return
        wanted = [("global-rate", "", self.limits.account)]
        wanted.append(("endpoint-rate", f"{method} {path}", self.limits.endpoint))
        if path.startswith(_FILES):
            kind = "read" if method == "GET" else "write"
            wanted.append(("endpoint-rate", f"files {kind}", self.limits.files))
        buckets = [self._full_enough(account, *want, now) for want in wanted]
        for bucket in buckets:
            bucket.tokens -= 1.0

    def _full_enough(
        self, account: str | None, reason: str, name: str, rate: float, now: float
    ) -> _Bucket:
        bucket = self._buckets.get((account, name))
        if bucket is None:
            bucket = self._buckets[account, name] = _Bucket(max(1.0, rate), now)
        if bucket.fill(rate, now) < 1.0:
            raise too_many(reason)
        return bucket


def too_many(reason: str) -> Refusal:
    """Return the refusal of a request that is one too many.

    Args:
        reason: value of `Stripe-Rate-Limited-Reason`.
    """
    headers = {"Stripe-Rate-Limited-Reason": reason}
    text = "Too many requests were made too quickly. Wait longer after each attempt."
    return Refusal(text, status=429, code="rate_limit", headers=headers)
