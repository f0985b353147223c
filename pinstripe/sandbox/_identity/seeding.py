"""Fills an account with a history: many sessions spread over time, without events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pinstripe.sandbox._identity import people
from pinstripe.sandbox._identity.access import no_access
from pinstripe.sandbox._identity.endpoints import new_session
from pinstripe.sandbox._state.world import Account

# A million sessions take about 2 GB of memory.
MAX_COUNT: Final = 1_000_000
DEFAULT_INTERVAL: Final = 60

_MIX: Final = ("requires_input", "verified", "processing", "canceled")


def seed_sessions(
    account: Account, count: int, interval: int, status: str | None = None
) -> Iterator[None]:
    """Store verification sessions that reach back in time; the newest is created now.

    Each step of the iterator stores one.

    Args:
        account: The account that stores them.
        count: The number of sessions.
        interval: Seconds between two of them.
        status: The status of all of them; None for a mix of every status.
    """
    now = account.timestamp()
    # The oldest comes first: objects of the same second are listed in the order of their storing.
    for age in range(count - 1, -1, -1):
        created = max(0, now - age * interval)
        _store(account, count - age, created, status or _MIX[age % len(_MIX)])
        yield


def _store(account: Account, number: int, created: int, status: str) -> None:
    params = {"type": "document", "client_reference_id": f"seed-{number:07}"}
    value = {**new_session(account, params), "created": created, "status": status}
    if status != "requires_input":
        value.update(no_access())
    if status == "verified":
        outputs = people.verified_outputs(value, {})
        report = people.report(account, value, outputs, {}, None)
        account.put({**report, "created": created})
        value.update(last_verification_report=report["id"], verified_outputs=outputs)
    account.put(value)
