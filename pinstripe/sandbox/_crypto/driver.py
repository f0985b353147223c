"""The driver of the onramp: the steps that a buyer takes, as methods for tests."""

from __future__ import annotations

from urllib.parse import quote

from pinstripe.sandbox._control.driver import Driver
from pinstripe.sandbox._state.table import Json


class CryptoDriver(Driver):
    """Moves onramp sessions."""

    def advance(self, session: str, status: str) -> Json:
        """Move a session by one step.

        Args:
            session: Id of the session.
            status: The status to reach, which must be one step away.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: If the id is unknown, or if no single step leads to the status.
        """
        return self._session(session, "advance", status=status)

    def complete(self, session: str) -> Json:
        """Move a session through all remaining steps until it is fulfilled.

        Args:
            session: Id of the session.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: If the id is unknown, or if the session is rejected or already fulfilled.
        """
        return self._session(session, "complete")

    def _session(self, session: str, step: str, **params: object) -> Json:
        return self._run(f"crypto/onramp_sessions/{quote(session, safe='')}/{step}", **params)
