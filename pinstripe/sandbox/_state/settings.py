"""The settings of a sandbox, fixed when it starts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from attrs import field, frozen
from attrs.converters import optional

from pinstripe.sandbox._state.clock import Clock, system_clock
from pinstripe.sandbox._traffic.rate_limits import RateLimits, as_limits

ACCOUNT_ID = re.compile(r"acct_[A-Za-z0-9]{1,64}")


def _seed_or_random(seed: int | None) -> int:
    return secrets.randbits(64) if seed is None else seed


def _host_names(hosts: Iterable[str]) -> tuple[str, ...]:
    # A bare string is one name, not a sequence of letters.
    given = (hosts,) if isinstance(hosts, str) else hosts
    return tuple(host.lower() for host in given)


def _account_ids(accounts: Iterable[str]) -> tuple[str, ...]:
    given = (accounts,) if isinstance(accounts, str) else tuple(accounts)
    for account in given:
        if not ACCOUNT_ID.fullmatch(account):
            raise ValueError(f"accounts must hold ids of accounts (acct_...), got {account!r}")
    return given


@frozen
class Settings:
    """How a sandbox behaves.

    Args:
        seed: The seed of everything random; None chooses one.
        clock: A function that returns seconds since the Unix epoch.
        redaction_seconds: How long a redaction takes, by the clock.
        allow_hosts: Names of hosts besides loopback to which the sandbox may send requests.
        webhook_seconds: Real time in which the receiver of a webhook has to answer.
        forward_seconds: Real time in which the destination of a forwarded request has to answer.
        rate_limit: Requests a second of an account, or all limits; None for no limit.
        store: A SQLite file that keeps everything, created if missing; None for memory only.
        reachable_as: Names besides loopback by which requests may address the sandbox. The first
            is in the links that it makes.
        accounts: The ids of the connected accounts, and there are no others; without any, each id
            that a request names is an account.

    Raises:
        ValueError: For a rate limit that is not above zero, or an id that is not one of an account.
    """

    seed: int = field(default=None, converter=_seed_or_random)
    clock: Clock = system_clock
    redaction_seconds: float = 1.0
    allow_hosts: tuple[str, ...] = field(default=(), converter=_host_names)
    webhook_seconds: float = 10.0
    forward_seconds: float = 55.0
    rate_limit: RateLimits | None = field(default=None, converter=as_limits)
    store: Path | None = field(default=None, converter=optional(Path))
    reachable_as: tuple[str, ...] = field(default=(), converter=_host_names)
    accounts: tuple[str, ...] = field(default=(), converter=_account_ids)
