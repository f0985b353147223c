"""Calls that queue for the rate limit start their deadline when their turn is near.

A fan-out or a parallel walk makes more calls than the rate limit lets through at once. If all their
deadlines started together, the calls at the end of the queue would fail before they were sent.
"""

from __future__ import annotations

from contextvars import ContextVar

deadline_starts_at_turn: ContextVar[bool] = ContextVar("pinstripe_patient", default=False)
"""True in the tasks of a fan-out or a parallel walk."""
