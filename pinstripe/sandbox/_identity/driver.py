"""The driver of Identity: the steps of a person or a reviewer, as methods for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pinstripe.sandbox._control.driver import Driver
from pinstripe.sandbox._state.table import Json


class IdentityDriver(Driver):
    """Moves verification sessions."""

    def submit(self, session: str) -> Json:
        """Let the person submit, so that the session is processing.

        Args:
            session: Id of a session that waits for input.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: If the id is unknown or the session has another status.
        """
        return self._session(session, "submit")

    def verify(
        self,
        session: str,
        *,
        outputs: Mapping[str, Any] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> Json:
        """Let all checks pass; a session that waits for input is submitted first.

        Args:
            session: Id of the session.
            outputs: Values that replace the invented ones in `verified_outputs`.
            document: Values that replace the invented ones in the report's document check.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: If the id or the name of a value is unknown, or the status does not allow it.
        """
        return self._session(session, "verify", outputs=outputs, document=document)

    def fail(self, session: str, code: str, *, reason: str | None = None) -> Json:
        """Let a check fail, or the person give up (`abandoned`, `consent_declined`).

        Args:
            session: Id of the session.
            code: A code of `last_error` that belongs to a check of the session, or to any.
            reason: The text for the person; None for the usual one.

        Returns:
            The session as the API shows it, waiting for input again.

        Raises:
            Refusal: If the id or the code is unknown, the session makes no check that has the code,
                or the status does not allow it.
        """
        return self._session(session, "fail", code=code, reason=reason)

    def finish_redaction(self, session: str) -> Json:
        """Finish a redaction now, before its time.

        Args:
            session: Id of a session whose redaction is in progress.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: If the id is unknown, or no redaction is in progress.
        """
        return self._session(session, "finish_redaction")

    def seed(self, count: int, *, interval: int = 60, status: str | None = None) -> int:
        """Create sessions that reach back in time, without events.

        Args:
            count: The number of sessions.
            interval: Seconds between two of them; the newest is created now.
            status: The status of all of them; None for a mix.

        Returns:
            The number of sessions that were created.

        Raises:
            Refusal: If the count, the interval or the status is not valid.
        """
        answer = self._run("identity/seed", count=count, interval=interval, status=status)
        return int(answer["created"])

    def _session(self, session: str, step: str, **params: object) -> Json:
        path = f"identity/verification_sessions/{quote(session, safe='')}/{step}"
        return self._run(path, **params)
