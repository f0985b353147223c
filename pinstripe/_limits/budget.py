"""The budget that several processes share: where it is kept, its name, and what an outage means."""

import re
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from pinstripe._core.checks import plain_text
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.values import Value

OnOutage: TypeAlias = Literal["share", "refuse"]
"""What a call does while Redis cannot be reached."""

LEAST_SHARED_BURST = 0.4
"""Seconds; half of that is time to use a turn, so that a busy process does not lose it."""

# Not a brace: the name is the hash tag of the keys, which a Redis Cluster finds by its braces.
_NAME = r"[A-Za-z0-9_.:/-]{1,100}"


def _has_port(url: str) -> bool:
    try:
        urlsplit(url).port  # noqa: B018 -- what it raises is the answer
    except ValueError:
        return False
    return True


def _check_url(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if not isinstance(value, str) or not value.startswith(("redis://", "rediss://", "unix://")):
        problem = "must start with redis://, rediss:// or unix://"
    elif not _has_port(value):
        problem = "must have a whole number of at most 65535 as its port, or none"
    elif find_spec("redis") is None:
        problem = 'Redis needs: python -m pip install "pinstripe[redis]"'
    else:
        return
    raise ConfigurationError(attribute.name, problem)


def _check_name(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(_NAME, value):
        problem = "must be 1 to 100 letters, digits or any of _ . : / -"
        raise ConfigurationError(attribute.name, f"{problem}, such as 'acct:live'")


def _check_outage(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if value not in get_args(OnOutage):
        raise ConfigurationError(attribute.name, f"must be 'share' or 'refuse', not {value!r}")


@frozen(eq=False, repr=False)
class SharedBudget(Value):
    """One rate limit for all processes that use the same Redis and the same name.

    Give all of them the same `RateLimit`. Redis must not evict keys (policy `noeviction`), and it
    must answer within 0.2 seconds. It needs `pinstripe[redis]`.

    Attributes:
        url: The address of Redis: `redis://`, `rediss://` (TLS) or `unix://`. A password in it is
            never shown.
        name: What the processes share: one name for each account and mode, such as `"acct:live"`.
        on_outage: What calls do while Redis cannot be reached. They wait less than a second to
            find out. With `"share"`, each process then goes on with its part of every limit: one
            divided by the number of processes that Redis last told it of. With `"refuse"`, calls
            fail with `BudgetUnavailable`. So do, with `"share"`, calls of a process that has no
            part yet: it has used the budget for less than 30 seconds, or not within the last 30.
    """

    url: str = field(repr=False, converter=plain_text, validator=_check_url)
    name: str = field(kw_only=True, converter=plain_text, validator=_check_name)
    on_outage: OnOutage = field(
        kw_only=True, default="share", converter=plain_text, validator=_check_outage
    )


SharedBudget.__module__ = "pinstripe"
