"""The log of effects: what requests really did, whatever answer their caller got.

An endpoint that runs and does not refuse adds one entry, if the method is not GET. A replayed
answer, a refused request and a fault without effect add none. So a test counts the entries of an
idempotency key to see that something happened exactly once.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import frozen

MAX_EFFECTS: Final = 10_000
"""Bounds the memory of a sandbox that runs for days."""


@frozen
class Effect:
    """What one request did.

    Attributes:
        request: The id of the request.
        idempotency_key: The key of the request.
        account: The connected account; None for the account of the API key.
        method: The HTTP method.
        path: The path.
        object: The type of the object in the answer.
        id: The id of that object.
        created: Seconds since the epoch.
    """

    request: str | None
    idempotency_key: str | None
    account: str | None
    method: str
    path: str
    object: str | None
    id: str | None
    created: float


class Effects:
    """The last 10,000 effects."""

    def __init__(self) -> None:
        self._entries: deque[Effect] = deque(maxlen=MAX_EFFECTS)

    def add(self, effect: Effect) -> None:
        """Append an effect."""
        self._entries.append(effect)

    def find(self, idempotency_key: str | None = None) -> list[Effect]:
        """Return effects, oldest first.

        Args:
            idempotency_key: The key of the requests; None for all effects.
        """
        return [
            effect
            for effect in self._entries
            if idempotency_key is None or effect.idempotency_key == idempotency_key
        ]
