"""The seam between the state of a sandbox and what keeps it: changes are told, one by one."""

from __future__ import annotations

from typing import Final, Protocol

OBJECT: Final = "object:"
CONTENT: Final = "content"
ANSWER: Final = "answer"
JOB: Final = "duty"


class Journal(Protocol):
    """Where changes go that shall outlive the process."""

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that are not safe yet."""
        ...

    def record(self, place: str, account: str, name: str, value: object) -> None:
        """Take a change.

        Args:
            place: `object` and a kind, `content`, `answer` or `duty`.
            account: id of the account, "" for that of the key.
            name: what tells it from others in its place.
            value: bytes, or what JSON can hold; None where it is gone.
        """
        ...

    async def wait_saved(self) -> None:
        """Wait until every change that was taken is safe."""
        ...


class NullJournal:
    """The journal of a sandbox that lives in memory only."""

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that are not safe yet."""
        return False

    def record(self, place: str, account: str, name: str, value: object) -> None:
        """Forget a change."""

    async def wait_saved(self) -> None:
        """Return."""
