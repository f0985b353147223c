"""The scheduled jobs of an account, in the order in which they are due."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec


class JobQueue:
    """Jobs with the time at which each is due.

    Args:
        record: Called with the name of a job and its value when it is added, and with None when
            it is taken.
    """

    def __init__(self, record: Callable[[str, object], object]) -> None:
        # A heap of (due, number, name, object id): jobs with the same due time come in the order
        # in which they were added.
        self._heap: list[tuple[float, int, str, str]] = []
        self._last = 0
        self._record = record

    def add(self, due: float, job: str, id: str) -> None:
        """Add a job.

        Args:
            due: Seconds since the epoch.
            job: The name of the job.
            id: The id of the object, or another text that the job understands.
        """
        self._last += 1
        self._record(str(self._last), (due, job, id))
        heapq.heappush(self._heap, (due, self._last, job, id))

    def next_due(self) -> float | None:
        """Return when the next job is due, in seconds since the epoch; None for never."""
        return self._heap[0][0] if self._heap else None

    def take(self) -> tuple[str, str]:
        """Remove the job that is due next, and return its name and the id of its object."""
        _, number, job, id = heapq.heappop(self._heap)
        self._record(str(number), None)
        return job, id

    def restore(self, name: str, value: bytes) -> None:
        """Put back a job that an earlier run recorded.

        Args:
            name: The name of the record.
            value: Its value as JSON text.
        """
        due, job, id = msgspec.json.decode(value, type=tuple[float, str, str])
        self._last = max(self._last, int(name))
        heapq.heappush(self._heap, (due, int(name), job, id))
