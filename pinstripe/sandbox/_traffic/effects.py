"""The ledger of effects: what requests really did, told apart from what they were answered.

An entry stands for an endpoint that ran and was not refused, for another method than GET. A
replayed answer, a refused request and a fault without effect leave none: a test counts the
entries of a key to see that something happened exactly once.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

MAX_EFFECTS: Final = 10_000


@attrs.frozen
class Effect:
    """What one request did.

    Args:
        request: id of the request.
        idempotency_key: the key that it carried.
        account: the connected account, None for the account of the key.
        method: the HTTP method.
        path: the path.
        object: type of the object that was answered.
        id: id of that object.
        created: seconds since the epoch.
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
            idempotency_key: the key that requests carried, None for all effects.
        """
        return [
            effect
            for effect in self._entries
            if idempotency_key is None or effect.idempotency_key == idempotency_key
        ]
