"""How a sandbox behaves, set when it is started."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

import attrs

from pinstripe.sandbox._state.clock import Clock, system_clock
from pinstripe.sandbox._traffic.rate_limits import RateLimits, as_limits


def _drawn(seed: int | None) -> int:
    return secrets.randbits(64) if seed is None else seed


def _names(hosts: Iterable[str]) -> tuple[str, ...]:
    given = (hosts,) if isinstance(hosts, str) else hosts
    return tuple(host.lower() for host in given)


@attrs.frozen
class Settings:
    """How a world behaves.

    Args:
        seed: source of all that is random; None draws one.
        clock: gives seconds since the Unix epoch.
        redaction_seconds: time that a redaction takes, by the clock.
        allow_hosts: names of hosts beside loopback that the sandbox may call by itself.
        webhook_seconds: real time that the receiver of a webhook has for its answer.
        forward_seconds: real time that the destination of a forwarded request has.
        rate_limit: requests a second that an account may make, or all limits; None for no limit.
        store: SQLite file that keeps everything, made where there is none; None for memory only.

    Raises:
        ValueError: for a rate limit that is not above zero.
    """

    seed: int = attrs.field(default=None, converter=_drawn)
    clock: Clock = system_clock
    redaction_seconds: float = 1.0
    allow_hosts: tuple[str, ...] = attrs.field(default=(), converter=_names)
    webhook_seconds: float = 10.0
    forward_seconds: float = 55.0
    rate_limit: RateLimits | None = attrs.field(default=None, converter=as_limits)
    store: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
