"""Remembers answers by idempotency key, for 24 hours by the clock.

A key is claimed when the headers of its request have come, and settled when the answer is known:
stored, when the endpoint ran, or released, when the request was refused before that. Choices
where the published facts are silent: a key in use is an `idempotency_error` with status 409; a
key that is too long is an `invalid_request_error` without a code.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from pinstripe.sandbox._params.errors import IDEMPOTENCY, Refusal, invalid
from pinstripe.sandbox._traffic.answer import EncodedAnswer

MAX_KEY = 255
RETENTION_SECONDS = 24 * 60 * 60


@attrs.frozen
class KeyEntry:
    """What is remembered of a key.

    Args:
        endpoint: method and path.
        expires: seconds since the epoch.
        request_id: id of the request that claimed the key.
        fingerprint: digest of the parameters.
        answer: what was answered, None while the request runs.
    """

    endpoint: str
    expires: float
    request_id: str
    fingerprint: bytes = b""
    answer: EncodedAnswer | None = None


class IdempotencyKeys:
    """The idempotency keys of one account.

    Args:
        record: called with a key and its entry when an answer is stored, with None when it expires.
    """

    def __init__(self, record: Callable[[str, KeyEntry | None], object]) -> None:
        self._record = record
        self._entries: dict[str, KeyEntry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def acquire(self, key: str, endpoint: str, request_id: str, now: float) -> None:
        """Take a key for a request, unless its answer is already stored.

        Args:
            key: the idempotency key.
            endpoint: method and path.
            request_id: id of this request.
            now: seconds since the epoch.

        Raises:
            Refusal: for a key that is malformed or too long, in use, or used on another endpoint.
        """
        if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
            raise invalid(f"An idempotency key has 1 to {MAX_KEY} printable ASCII characters.")
        self._expire(now)
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = KeyEntry(endpoint, now + RETENTION_SECONDS, request_id)
        elif entry.answer is None:
            text = "Another request with this idempotency key is running."
            raise Refusal(text, status=409, type=IDEMPOTENCY, code="idempotency_key_in_use")
        elif entry.endpoint != endpoint:
            raise _reused("another endpoint")

    def replay(self, key: str, fingerprint: bytes) -> EncodedAnswer | None:
        """Return the stored answer for a claimed key, None where the endpoint has to run.

        Raises:
            Refusal: 400, when the parameters are not those of the first request.
        """
        entry = self._entries[key]
        if entry.answer is None:
            return None
        if entry.fingerprint != fingerprint:
            raise _reused("other parameters")
        headers = {"Idempotent-Replayed": "true", "Original-Request": entry.request_id}
        return attrs.evolve(entry.answer, headers={**entry.answer.headers, **headers})

    def store(self, key: str, fingerprint: bytes, answer: EncodedAnswer) -> None:
        """Keep the answer of the request that claimed a key."""
        entry = attrs.evolve(self._entries[key], fingerprint=fingerprint, answer=answer)
        self._entries[key] = entry
        self._record(key, entry)

    def restore(self, key: str, entry: KeyEntry) -> None:
        """Take back an entry that was recorded once."""
        self._entries[key] = entry

    def release(self, key: str) -> None:
        """Give a key back whose request left nothing to replay."""
        if self._entries[key].answer is None:
            del self._entries[key]

    def _expire(self, now: float) -> None:
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if entry.expires > now or entry.answer is None:
                break
            del self._entries[key]
            self._record(key, None)


def _reused(what: str) -> Refusal:
    text = f"This idempotency key was used before with {what}."
    return Refusal(text, type=IDEMPOTENCY)
