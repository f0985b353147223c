"""When a run has no use: the key is refused, or nobody answers.

A query that fails for itself has a row with its error, and the run goes on. If every query must
fail, the run stops instead of writing the same error hundreds of times: no query gets a row for
it, and a later run with `--resume` asks for all of them. A run stops

- at the first answer 401 or 403: the key is refused, or may not do this;
- after `SILENT` queries in a row without an answer of the API, or at the end if there was none at
  all. An answer of the API has a request id; a proxy, or another server, has none. Whether the
  last few queries belong to such a row shows later, so their rows wait until then.
"""

from __future__ import annotations

from pinstripe._core.errors import (
    AuthenticationError,
    PermissionDeniedError,
    PinstripeError,
    TransportError,
)
from pinstripe.cli._quotes.rows import QuoteOutcome
from pinstripe.cli._status import NO_ANSWER
from pinstripe.cli._status import REFUSED as REFUSES

SILENT = 10
"""Queries in a row, each with its retries: more than a connection that breaks now and then."""

REFUSED = (AuthenticationError, PermissionDeniedError)
"""The errors after which the same key is of no use for other queries."""


class StopError(Exception):
    """The run has no use.

    Args:
        problem: Why.
        cause: The error of a query that shows it.
    """

    def __init__(self, problem: str, cause: Exception | None) -> None:
        super().__init__(f"{problem}: {cause}")
        self.status = REFUSES if isinstance(cause, REFUSED) else NO_ANSWER


class Settled:
    """Hands out the outcomes that become rows, in their order."""

    def __init__(self) -> None:
        self._waiting: list[QuoteOutcome] = []
        self._answered = False

    def add(self, outcome: QuoteOutcome) -> list[QuoteOutcome]:
        """Return the outcomes that become rows now.

        Args:
            outcome: The next outcome.

        Raises:
            StopError: The run has no use; outcomes that wait become no rows.
        """
        error = outcome.error
        if isinstance(error, REFUSED):
            raise StopError("the API refuses the key", error)
        waiting, self._waiting = self._waiting, []
        if not _is_silence(error):
            self._answered = True
            return [*waiting, outcome]
        self._waiting = [*waiting, outcome]
        if len(self._waiting) == SILENT:
            raise StopError(f"{SILENT} queries in a row have no answer of the API", error)
        return []

    def rest(self) -> list[QuoteOutcome]:
        """Return the outcomes that wait at the end of the run.

        Raises:
            StopError: Nobody has answered at all.
        """
        if self._waiting and not self._answered:
            raise StopError("no query has an answer of the API", self._waiting[-1].error)
        return self._waiting


def _is_silence(error: Exception | None) -> bool:
    return isinstance(error, PinstripeError) and (
        isinstance(error, TransportError) or error.request_id is None
    )
