"""Fills an account with history: many sessions spread over time, made without events."""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._identity import people
from pinstripe.sandbox._identity.endpoints import new_session
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account

MAX_COUNT: Final = 1_000_000
DEFAULT_INTERVAL: Final = 60

_MIX: Final = ("requires_input", "verified", "processing", "canceled")


def seed_sessions(account: Account, count: int, interval: int, status: str | None = None) -> None:
    """Store verification sessions, the newest of them created now.

    Args:
        account: where they are stored.
        count: how many.
        interval: seconds between two of them.
        status: status of all of them; None for a mix of every status.
    """
    now = account.timestamp()
    for age in range(count - 1, -1, -1):
        created = max(0, now - age * interval)
        _store(account, count - age, created, status or _MIX[age % len(_MIX)])


def _store(account: Account, number: int, created: int, status: str) -> None:
    params = {"type": "document", "client_reference_id": f"seed-{number:07}"}
    value = {**new_session(account, params), "created": created, "status": status}
    if status != "requires_input":
        value.update(client_secret=None, url=None)
    if status == "verified":
        value.update(_verified(account, value))
    account.put(value)


def _verified(account: Account, value: Json) -> Json:
    outputs = people.verified_outputs(account, value, {})
    report = people.report(account, value, outputs, {}, None)
    account.put({**report, "created": value["created"]})
    return {"last_verification_report": report["id"], "verified_outputs": outputs}
