"""Options of a client and of one call: frozen values, checked when they are made.

The options of one call are named `request_options` in every method, since `options` is a parameter
of the API itself (what a verification session checks).
"""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from attrs import Attribute, field, frozen
from attrs.validators import optional

from pinstripe._core.checks import (
    check_whole_number,
    is_number,
    kind_of,
    plain_text,
    with_article,
)
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.values import Value
from pinstripe._limits.budget import LEAST_SHARED_BURST, SharedBudget
from pinstripe._limits.rates import Rates

DEFAULT_API_VERSION = "2026-10-28.endive"
"""The version that the models were written for. Stripe answers in it, also if the account has
another one."""

MAX_DOWNLOAD = 1024**3
"""The most bytes of a download, if the caller names no other limit."""

# The lengths are our choice; the characters are those of a header without spaces.
_HEADER_TEXT = r"[\x21-\x7e]{1,255}"

_CONTEXT = r"acct_[A-Za-z0-9_]+(?:/acct_[A-Za-z0-9_]+)*"

# A date, for most versions a name, and the previews that a call opts into.
_API_VERSION = r"(?a)\d{4}-\d{2}-\d{2}(?:\.[a-z]+)?(?:;[\w=.;-]+)?"

_Check: TypeAlias = Callable[[Any, "Attribute[Any]", Any], None]


def at_least(minimum: float, *, above: bool = False) -> _Check:
    """Return an attrs validator for a number with a lower bound.

    Args:
        minimum: The lower bound.
        above: Whether the value must be above the bound, and not equal to it.
    """

    def check(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
        if not is_number(value) or not (value > minimum if above else value >= minimum):
            bound = f"{'above' if above else 'of at least'} {minimum:g}"
            raise ConfigurationError(attribute.name, f"must be a number {bound}, not {value!r}")

    return check


def _whole_number(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    check_whole_number(attribute.name, value)


def _text(validator: _Check) -> Any:
    """Return a field for text that may be left out; an enumeration becomes its value."""
    return field(default=None, converter=plain_text, validator=validator)


def instance_of(kind: type) -> _Check:
    """Return an attrs validator for an instance of a class.

    Args:
        kind: The class.
    """

    def check(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
        if not isinstance(value, kind):
            problem = f"must be {with_article(kind.__name__)}, not {kind_of(value)}"
            raise ConfigurationError(attribute.name, problem)

    return check


def header_text(argument: str, value: str) -> str:
    """Return `value` if it can be sent as a header.

    Args:
        argument: The name to give in the error.
        value: 1 to 255 printable ASCII characters without a space.

    Raises:
        ConfigurationError: It cannot.
    """
    if not isinstance(value, str) or not re.fullmatch(_HEADER_TEXT, value):
        raise ConfigurationError(argument, "must be 1 to 255 printable ASCII characters, no spaces")
    return value


def optional_header(_: Any, attribute: "Attribute[Any]", value: str | None) -> None:
    """Refuse a value, unless it is None, that cannot be sent as a header; an attrs validator."""
    if value is not None:
        header_text(attribute.name, value)


def check_context(settings: Any, attribute: "Attribute[Any]", value: str | None) -> None:
    """Refuse what is no path of accounts, or stands beside an account; an attrs validator."""
    if value is None:
        return
    if not isinstance(value, str) or not re.fullmatch(_CONTEXT, value):
        problem = "must be a path of accounts, such as 'acct_A' or 'acct_A/acct_B'"
        raise ConfigurationError(attribute.name, problem)
    header_text(attribute.name, value)
    if settings.account is not None:
        raise ConfigurationError(attribute.name, "cannot be used together with account")


def check_version(_: Any, attribute: "Attribute[Any]", value: str | None) -> None:
    """Refuse what is neither None nor a version of the API; an attrs validator."""
    if value is not None and not (isinstance(value, str) and re.fullmatch(_API_VERSION, value)):
        problem = f"must look like {DEFAULT_API_VERSION!r}, not {value!r}"
        raise ConfigurationError(attribute.name, problem)


@frozen(eq=False, repr=False)
class Timeout(Value):
    """How long a call may take, in seconds.

    Attributes:
        total: The deadline of the whole call: the wait for a free slot, all attempts, and the
            pauses between them.
        connect: How long one attempt may take to open a connection: the lookup of the host name,
            a proxy's CONNECT and TLS included.
    """

    total: float = field(default=30.0, validator=at_least(0, above=True))
    connect: float = field(default=10.0, kw_only=True, validator=at_least(0, above=True))


def as_timeout(value: Timeout | float) -> Timeout:
    """Return a timeout; a number is its total in seconds."""
    if isinstance(value, Timeout):
        return value
    if not is_number(value) or not value > 0:
        problem = f"must be a Timeout, or seconds above 0, not {value!r}"
        raise ConfigurationError("timeout", problem)
    return Timeout(value)


def _as_optional_timeout(value: Timeout | float | None) -> Timeout | None:
    return None if value is None else as_timeout(value)


@frozen(kw_only=True, eq=False, repr=False)
class RetryPolicy(Value):
    """When a failed request is repeated, and after which pause.

    Attributes:
        max_attempts: The most requests of one call; with 1, a call makes exactly one.
        base: Seconds; the first pause is a random time up to it, and it doubles each time.
        cap: Seconds; the upper bound of these pauses.
        max_retry_after: Seconds; if the server asks for a longer wait than this, the call fails
            at once and the error's `retry_after` has that time.
        budget: Tokens for the retries of a client and all its siblings, so that they do not
            multiply an outage. A retry spends 5, and its success refunds them; any other success
            refunds 1. If too few are left, a call fails at its first error. With 500, a
            thousand calls to a server that is down cost 1,100 requests. Infinity removes the
            bound. Once in a call, a retry is free and comes at once: if a kept connection dies
            before it brings any of the answer, as one does that the server has closed.
    """

    max_attempts: int = field(default=3, validator=_whole_number)
    base: float = field(default=0.5, validator=at_least(0))
    cap: float = field(default=5.0, validator=at_least(0))
    max_retry_after: float = field(default=60.0, validator=at_least(0))
    budget: float = field(default=500, validator=at_least(0))


PUBLISHED_RATES = {
    "live": Rates(account=100, endpoint=25, files=20),
    "test": Rates(account=25, endpoint=25, files=20),
}
"""Stripe's limits by the mode of the key: https://docs.stripe.com/rate-limits"""


def _check_shared(limit: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if value is None:
        return
    instance_of(SharedBudget)(limit, attribute, value)
    # A turn that is handed out needs some time in which it can be used.
    if limit.burst < LEAST_SHARED_BURST:
        problem = f"must be at least {LEAST_SHARED_BURST:g} with a shared budget"
        raise ConfigurationError("burst", f"{problem}, not {limit.burst!r}")


_RATE = optional(at_least(0, above=True))


@frozen(kw_only=True, eq=False, repr=False)
class RateLimit(Value):
    """How many requests a second are sent at most; further calls wait, within their deadline.

    If the API refuses a request as one too many, the client slows down, and then goes faster again
    step by step. A rate that is None is the one that Stripe publishes for the kind of key, or no
    limit if `base_url` is on this machine. Infinity is no limit either.

    https://docs.stripe.com/rate-limits

    Attributes:
        account: All requests for an account; 100 with a live key, and 25 with a test key.
        endpoint: The requests to one endpoint; 25.
        files: The reads of files, and as many writes; 20.
        burst: Seconds; after a pause, the requests of so many seconds are sent at once; at
            least 0.4 with a shared budget.
        shared: The budget that several processes share; None if each event loop has the limits
            for itself.
    """

    account: float | None = field(default=None, validator=_RATE)
    endpoint: float | None = field(default=None, validator=_RATE)
    files: float | None = field(default=None, validator=_RATE)
    burst: float = field(default=0.5, validator=at_least(0))
    shared: SharedBudget | None = field(default=None, validator=_check_shared)


DEFAULT_RATE_LIMIT = RateLimit()
"""What a client has if it is given none: every rate as Stripe publishes it."""


@frozen(kw_only=True, eq=False, repr=False)
class Limits(Value):
    """The bounds of a client: its connections and its answers.

    Attributes:
        max_in_flight: The most requests in flight at once; further calls wait for a free slot,
            within their deadline. The client lowers this by itself while more requests only make
            answers slower, or while the API refuses some.
        keepalive: Seconds for which an idle connection is kept.
        max_response_bytes: The longest body that is read into memory, after decompression.
    """

    max_in_flight: int = field(default=100, validator=_whole_number)
    keepalive: float = field(default=30.0, validator=at_least(0, above=True))
    max_response_bytes: int = field(default=16 * 2**20, validator=_whole_number)


@frozen(kw_only=True, eq=False, repr=False)
class RequestOptions(Value):
    """Options of a single call; an option that is None is as the client has it.

    Attributes:
        idempotency_key: The key of a POST, up to 255 characters; None for a new one for each
            call.
        account: The connected account to act for (`acct_...`), in place of the client's account
            or context.
        context: The path of accounts to act for, in place of the client's; see `AsyncClient`.
        timeout: A `Timeout`, or the total in seconds.
        api_version: Another version of the API, such as `"2026-10-28.endive"`.
    """

    idempotency_key: str | None = _text(optional_header)
    account: str | None = _text(optional_header)
    context: str | None = _text(check_context)
    timeout: Timeout | None = field(default=None, converter=_as_optional_timeout)
    api_version: str | None = _text(check_version)


# The module that users import them from. It is set after attrs has made the classes, since attrs
# evaluates its code among the names of the module.
for _class in (Timeout, RetryPolicy, RateLimit, Limits, RequestOptions):
    _class.__module__ = "pinstripe"
