"""The driver of the onramp: what a buyer would do, as methods for tests."""

from __future__ import annotations

from urllib.parse import quote

from pinstripe.sandbox._control.driver import Driver
from pinstripe.sandbox._state.table import Json


class CryptoDriver(Driver):
    """Moves onramp sessions."""

    def advance(self, session: str, status: str) -> Json:
        """Take a session one step further.

        Args:
            session: id of the session.
            status: the status to reach, one step away.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id, or when no single step leads there.
        """
        return self._session(session, "advance", status=status)

    def complete(self, session: str) -> Json:
        """Take a session through all steps that are left until it is fulfilled.

        Args:
            session: id of the session.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id, or a session that is rejected or fulfilled.
        """
        return self._session(session, "complete")

    def _session(self, session: str, step: str, **params: object) -> Json:
        return self._run(f"crypto/onramp_sessions/{quote(session, safe='')}/{step}", **params)
