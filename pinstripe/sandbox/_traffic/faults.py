"""Faults on demand: requests that are slow, refused or lost, for tests of clients.

A fault takes effect after the checks of API key, route and rate limit. A request gets the oldest
fault that matches it, and no other. There are two families:

- Without effect, the endpoint never runs and nothing is kept under the idempotency key. Another
  attempt with the same key does what was asked. The status can be any error of the API, with the
  code, the type, the message and the parameter that it is to have.
- With effect, the endpoint runs and only its answer is lost. What another attempt with the same
  key gets depends on the status. A 500 counts as the endpoint's own answer: it is kept under the
  key in place of the good answer, and is replayed. Another 5xx counts as the answer of a proxy, and
  a cut connection says nothing: the good answer is kept, and is replayed.
"""

from __future__ import annotations

import random
import re
from fnmatch import translate
from functools import cached_property

from attrs import define, field

from pinstripe.sandbox._params.errors import API, INVALID_REQUEST, Refusal
from pinstripe.sandbox._traffic.rate_limits import too_many


# Without slots, since `cached_property` needs a `__dict__`.
@define(slots=False)
class Fault:
    """What happens to a request.

    Args:
        latency: Seconds of real time before anything happens.
        status: The status of the answer; None for the endpoint's own answer.
        code: The error code of the answer.
        type: The error type of the answer; None for the usual one of the status.
        message: The message of the answer; None for one that names the sandbox.
        param: The parameter that the answer names.
        cut: Whether the connection is cut in place of an answer.
        effect: Whether the endpoint runs, although its answer is not sent.
        method: The HTTP method of matching requests; None for all.
        path: The path of matching requests, with `*` for any text; None for all.
        count: How many more requests get the fault; None for no end.
        probability: The share of matching requests that get the fault.
        hits: How many requests got the fault so far.
        id: Its name, given when it is added.
    """

    latency: float = field(default=0.0, converter=float)
    status: int | None = None
    code: str | None = None
    type: str | None = None
    message: str | None = None
    param: str | None = None
    cut: bool = False
    effect: bool = False
    method: str | None = None
    path: str | None = None
    count: int | None = None
    probability: float = field(default=1.0, converter=float)
    hits: int = 0
    id: str = ""

    @property
    def skips_endpoint(self) -> bool:
        """Whether the endpoint does not run."""
        return not self.effect and (self.cut or self.status is not None)

    @property
    def replaces_answer(self) -> bool:
        """Whether the answer of the endpoint is lost for later attempts, too."""
        return self.effect and self.status == 500

    def matches(self, method: str, path: str) -> bool:
        """Return whether a request can get this fault."""
        fits = self.method in (None, method) and self.count != 0
        return fits and (self._pattern is None or self._pattern.fullmatch(path) is not None)

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        # Only `*` is special in the path: a bracket would start a set of characters.
        return None if self.path is None else re.compile(translate(self.path.replace("[", "[[]")))

    def count_hit(self) -> None:
        """Count a request that gets the fault."""
        self.hits += 1
        if self.count is not None:
            self.count -= 1

    def refusal(self) -> Refusal:
        """Return the error that the caller gets.

        Raises:
            ConnectionCut: If the caller gets nothing.
        """
        if self.cut:
            raise ConnectionCut
        status = self.status or 500
        if status == 429 and self.code is None:
            return too_many("global-rate")
        return Refusal(
            self.message or "A fault that was added to the sandbox caused this error.",
            status=status,
            type=self.type or (API if status >= 500 else INVALID_REQUEST),
            code=self.code,
            param=self.param,
        )


class ConnectionCut(Exception):
    """The connection of a request is to be cut in place of an answer."""


class Faults:
    """The faults that were added, including those that have no requests left.

    Args:
        seed: The seed of the probabilities.
    """

    def __init__(self, seed: int) -> None:
        self.added: list[Fault] = []
        self._last = 0
        self._random = random.Random(f"{seed}:faults")  # noqa: S311 -- has to be repeatable

    def add(self, fault: Fault) -> None:
        """Add a fault for coming requests, and give it its id."""
        self._last += 1
        fault.id = f"fault_{self._last}"
        self.added.append(fault)

    def remove(self, id: str) -> bool:
        """Remove a fault, and return whether it was there."""
        before = len(self.added)
        self.added = [fault for fault in self.added if fault.id != id]
        return len(self.added) < before

    def clear(self) -> None:
        """Remove all faults."""
        self.added.clear()

    def pick(self, method: str, path: str) -> Fault | None:
        """Choose the fault for a request and count the hit.

        Returns:
            The oldest fault that matches and whose probability allows it; None for most requests.
        """
        for fault in self.added:
            if fault.matches(method, path) and self._random.random() < fault.probability:
                fault.count_hit()
                return fault
        return None
