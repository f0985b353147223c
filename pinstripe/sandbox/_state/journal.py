"""The interface between the state of a sandbox and its store.

The state records each change in a journal, one by one. A sandbox in memory has a `NullJournal`,
a sandbox with a file has the `DiskJournal` of `disk`. A change is addressed by three texts: its
place (what sort of thing changed), its account and its name.
"""

from __future__ import annotations

from typing import Final, Protocol

# The places. Stores on disk hold these texts, so they do not follow a rename.
OBJECT: Final = "object:"
CONTENT: Final = "content"
ANSWER: Final = "answer"
JOB: Final = "duty"


class Journal(Protocol):
    """Receives changes that have to outlive the process."""

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that are not saved yet."""
        ...

    def record(self, place: str, account: str, name: str, value: object) -> None:
        """Record a change.

        Args:
            place: `OBJECT` and the name of a kind, `CONTENT`, `ANSWER` or `JOB`.
            account: The id of the account; "" for the account of the API key.
            name: An id that is unique for this place and account.
            value: Bytes, or a value for JSON; None for a removal.
        """
        ...

    def forget(self, account: str | None) -> None:
        """Record that nothing of an account is left.

        Args:
            account: The id of the account, "" for the account of the API key; None for all.
        """
        ...

    async def wait_saved(self) -> None:
        """Wait until every recorded change is saved."""
        ...


class NullJournal:
    """The journal of a sandbox in memory."""

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that are not saved yet."""
        return False

    def record(self, place: str, account: str, name: str, value: object) -> None:
        """Do nothing."""

    def forget(self, account: str | None) -> None:
        """Do nothing."""

    async def wait_saved(self) -> None:
        """Return at once."""
