"""What is waited for to its end, also where the caller was cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyio import CancelScope


def shielded() -> CancelScope:
    """Return a scope that one around the caller, which was cancelled, does not cut short.

    A cancelled task group or scope of anyio interrupts every wait inside it, those of clean-up
    too.
    """
    from anyio import CancelScope  # noqa: PLC0415 -- 30 ms of a first call, so only when needed

    return CancelScope(shield=True)
