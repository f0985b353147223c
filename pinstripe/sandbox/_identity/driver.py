"""The driver of Identity: what a person or a reviewer would do, as methods for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pinstripe.sandbox._control.driver import Driver
from pinstripe.sandbox._state.table import Json


class IdentityDriver(Driver):
    """Moves verification sessions."""

    def submit(self, session: str) -> Json:
        """Let the end user submit: the session is processing.

        Args:
            session: id of a session that waits for input.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id or another status.
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
            session: id of the session.
            outputs: values in place of the invented ones in `verified_outputs`.
            document: values in place of the invented ones in the report's document check.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id, an unknown name of a value, or a wrong status.
        """
        return self._session(session, "verify", outputs=outputs, document=document)

    def fail(self, session: str, code: str, *, reason: str | None = None) -> Json:
        """Let a check fail, or the end user give up (`abandoned`, `consent_declined`).

        Args:
            session: id of the session.
            code: a code of `last_error`.
            reason: text for the end user in place of the usual one.

        Returns:
            The session as the API shows it, waiting for input again.

        Raises:
            Refusal: for an unknown id or code, or a wrong status.
        """
        return self._session(session, "fail", code=code, reason=reason)

    def finish_redaction(self, session: str) -> Json:
        """Finish a redaction now, whatever the clock says.

        Args:
            session: id of a session whose redaction is going on.

        Returns:
            The session as the API shows it.

        Raises:
            Refusal: for an unknown id, or when no redaction is going on.
        """
        return self._session(session, "finish_redaction")

    def seed(self, count: int, *, interval: int = 60, status: str | None = None) -> int:
        """Create sessions that reach back in time, without events.

        Args:
            count: how many.
            interval: seconds between two of them; the newest is created now.
            status: status of all of them; None for a mix.

        Returns:
            How many were created.

        Raises:
            Refusal: for a count, interval or status that is not acceptable.
        """
        answer = self._run("identity/seed", count=count, interval=interval, status=status)
        return int(answer["created"])

    def _session(self, session: str, step: str, **params: object) -> Json:
        path = f"identity/verification_sessions/{quote(session, safe='')}/{step}"
        return self._run(path, **params)
