"""Who has more calls to make than may go soon, and would rather wait than have them fail."""

from __future__ import annotations

from contextvars import ContextVar

deadline_starts_at_turn: ContextVar[bool] = ContextVar("pinstripe_patient", default=False)
"""True in the tasks of a fan-out or a parallel walk.

The time of their calls begins when their turn is near.
"""
