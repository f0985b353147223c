"""How dense a list is, by a few probes, and where to cut it into parts of about equal size.

A probe asks for one page of the objects at or before a second. The page covers the seconds down to
its oldest object, and shows how many objects a second has there. The probes go back from the newest
second in growing steps until nothing is older, and are then put where most objects are estimated.
Between two pages the list is taken to be as dense as they are on average, so a burst that no page
has met makes its part larger; nothing is lost by that.

Nothing here awaits: `Density.next_second` says what to ask for, until it is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from attrs import define, field, frozen

from pinstripe.export._part import Window

MAX_PROBES: Final = 24
"""The most pages that a window is probed with: three seconds at 100 ms each."""

_EARLIEST: Final = 1_262_304_000
"""2010-01-01, before the first object of the API: older seconds are not probed."""

_STEP: Final = 4
"""By how much the age of each probe grows on the way back, which finds the end of ten million
objects in nine steps."""


@frozen
class Probe:
    """The seconds that one page covers.

    Attributes:
        at: The newest one.
        end: The oldest one.
        count: The objects in them.
    """

    at: int
    end: int
    count: int

    @property
    def density(self) -> float:
        """The objects of a second."""
        return self.count / (self.at - self.end + 1)


@define
class Density:
    """The density of a window, as far as it is known.

    Attributes:
        window: The window.
        parts: How many parts it is to be cut into.
    """

    window: Window
    parts: int
    _probes: list[Probe] = field(factory=list[Probe])

    def next_second(self) -> int | None:
        """Return the second to ask for the page at or before it; None if enough is known."""
        if not self._probes:
            return self.window.until - 1
        if self.is_one_page or len(self._probes) >= MAX_PROBES:
            return None
        if not self._is_bounded:
            return self._step_back()
        newer, older, count = max(self._gaps(), key=lambda gap: gap[2], default=(0, 0, 0.0))
        if count <= self.objects / self.parts / 2:
            return None
        return (newer + older) // 2

    def _step_back(self) -> int:
        first = self._probes[0]
        age = (first.at - first.end + 1) * int(_STEP ** len(self._probes))
        return max(min(first.at - age, self._probes[-1].end - 1), self._oldest)

    @property
    def _oldest(self) -> int:
        # A list with objects that are older than any of the API's is not cut below this second.
        return max(self.window.since, min(_EARLIEST, self.window.until - 1))

    def record(self, at: int, seconds: Sequence[int], *, has_more: bool) -> None:
        """Record the page that was asked for.

        Args:
            at: The second that it was asked for.
            seconds: When its objects were created, newest first.
            has_more: Whether there are older objects in the window.
        """
        end = seconds[-1] if has_more and seconds and at > self._oldest else self.window.since
        self._probes.append(Probe(at, max(min(end, at), self.window.since), len(seconds)))
        self._probes.sort(key=lambda probe: -probe.at)

    def _gaps(self) -> Iterator[tuple[int, int, float]]:
        """Yield the seconds between two pages, newest first: newest, oldest, estimated objects."""
        for newer, older in pairwise(self._probes):
            if newer.end - older.at > 1:
                seconds = newer.end - 1 - older.at
                yield newer.end - 1, older.at + 1, seconds * (newer.density + older.density) / 2

    def _pieces(self) -> list[tuple[int, int, float]]:
        """Return all of the window, newest first: newest second, oldest second, objects."""
        pieces = list(self._gaps())
        # A page reaches below the next probe where the list is thin; it counts down to there.
        below = [probe.at for probe in self._probes[1:]]
        for probe, at in zip(self._probes, [*below, self.window.since - 1], strict=True):
            end = max(probe.end, at + 1)
            pieces.append((probe.at, end, probe.density * (probe.at - end + 1)))
        return sorted(pieces, reverse=True)

    @property
    def objects(self) -> float:
        """How many objects the window has, by estimate."""
        return sum(count for _, _, count in self._pieces())

    @property
    def _is_bounded(self) -> bool:
        return bool(self._probes) and self._probes[-1].end <= self.window.since

    @property
    def is_one_page(self) -> bool:
        """Whether one page had all objects of the window."""
        return self._is_bounded and len(self._probes) == 1

    def cut(self, parts: int) -> list[Window]:
        """Return windows that cover the whole window, oldest first, of about as many objects each.

        Args:
            parts: How many, at most; there are fewer where one second has the objects of several.
        """
        wanted, edges, before = self.objects / parts, list[int](), 0.0
        for newest, oldest, count in self._pieces():
            while wanted and len(edges) < parts - 1 and before + count > wanted * (len(edges) + 1):
                share = (wanted * (len(edges) + 1) - before) / count
                edges.append(newest + 1 - round(share * (newest - oldest + 1)))
            before += count
        inner = sorted({edge for edge in edges if self.window.since < edge < self.window.until})
        row = [self.window.since, *inner, self.window.until]
        return [Window(since=a, until=b) for a, b in pairwise(row)]
