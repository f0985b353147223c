"""Faults on demand: requests that are slow, refused, or lost, for tests of those who call.

A fault strikes after key, route and rate limit and before or after the endpoint:

- without effect, the endpoint never runs and nothing is kept under the idempotency key, so that
  another attempt with the same key does what was asked;
- with effect, the endpoint runs and only its answer is lost. A 500 counts as the endpoint's own
  answer and is kept under the key in place of the good one: another attempt gets it again. Other
  5xx count as the words of a proxy, and a cut connection says nothing: another attempt with the
  same key gets the good answer, replayed.

A request meets the oldest fault that matches it, no more than one.
"""

from __future__ import annotations

import random
import re
from fnmatch import translate
from functools import cached_property

import attrs

from pinstripe.sandbox._params.errors import API, Refusal
from pinstripe.sandbox._traffic.rate_limits import too_many


@attrs.define(slots=False)
class Fault:
    """What happens to a request.

    Args:
        latency: seconds of real time before anything happens.
        status: status of the answer, None for the endpoint's own.
        cut: whether the connection is cut instead of an answer.
        effect: whether the endpoint runs, when its answer is not what is sent.
        method: HTTP method that is struck, None for all.
        path: path that is struck, where `*` stands for any text; None for all.
        count: how many requests are still to be struck, None for no end.
        probability: share of the matching requests that is struck.
        hits: how many requests were struck so far.
    """

    latency: float = attrs.field(default=0.0, converter=float)
    status: int | None = None
    cut: bool = False
    effect: bool = False
    method: str | None = None
    path: str | None = None
    count: int | None = None
    probability: float = attrs.field(default=1.0, converter=float)
    hits: int = 0

    @property
    def skips_endpoint(self) -> bool:
        """Whether the endpoint does not run."""
        return not self.effect and (self.cut or self.status is not None)

    def matches(self, method: str, path: str) -> bool:
        """Say whether a request is one of those that are struck."""
        fits = self.method in (None, method) and self.count != 0
        return fits and (self._pattern is None or self._pattern.fullmatch(path) is not None)

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        return None if self.path is None else re.compile(translate(self.path.replace("[", "[[]")))

    def count_hit(self) -> None:
        """Count a request that is struck."""
        self.hits += 1
        if self.count is not None:
            self.count -= 1

    @property
    def replaces_answer(self) -> bool:
        """Whether what the endpoint answers is forgotten, not only kept from the caller."""
        return self.effect and self.status == 500

    def refusal(self) -> Refusal:
        """Return what the caller gets.

        Raises:
            ConnectionCut: where the caller gets nothing.
        """
        if self.cut:
            raise ConnectionCut
        if self.status == 429:
            return too_many("global-rate")
        text = "An error that was asked for by a fault of the sandbox."
        return Refusal(text, status=self.status or 500, type=API)


class ConnectionCut(Exception):
    """The connection of a request is to be cut in place of an answer."""


class Faults:
    """The faults that were asked for, also those that have struck often enough.

    Args:
        seed: source of the chances.
    """

    def __init__(self, seed: int) -> None:
        self.added: list[Fault] = []
        self._random = random.Random(f"{seed}:faults")  # noqa: S311 - has to be repeatable

    def add(self, fault: Fault) -> None:
        """Let a fault wait for requests."""
        self.added.append(fault)

    def clear(self) -> None:
        """Call all faults off."""
        self.added.clear()

    def pick(self, method: str, path: str) -> Fault | None:
        """Return the fault that strikes a request, None for most."""
        for fault in self.added:
            if fault.matches(method, path) and self._random.random() < fault.probability:
                fault.count_hit()
                return fault
        return None
