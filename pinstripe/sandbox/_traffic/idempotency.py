"""Keeps answers by idempotency key, for 24 hours by the sandbox's clock, or for 30 days in `/v2`.

A key goes through three states:

1. *unknown*: no entry.
2. *in use*: an entry without an answer. `acquire` makes it when the headers of a request have
   arrived, before the body. Until the request ends, others with the same key get a 409.
3. *answered*: an entry with an answer. `store` puts the answer there once the endpoint ran, and
   `replay` returns it to every later request with the same endpoint and parameters.

`release` ends every request: a key that is still in use then is unknown again. That is so if the
request was refused before its endpoint ran, and so had no effect; in `/v2` it is so for every
failure: the same request with the same key is executed again.

The first answer and every replay name the first request in `Original-Request`. Only a replay has
`Idempotent-Replayed`.

Choices of the sandbox, because the published facts are silent: a key in use is an
`idempotency_error` with status 409; a key that is too long is an `invalid_request_error` without a
code; a success of `/v2` is replayed as it was, though the API makes it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import evolve, frozen

from pinstripe.sandbox._params.errors import IDEMPOTENCY, Refusal, invalid
from pinstripe.sandbox._traffic.answer import EncodedAnswer

# From https://docs.stripe.com/api/idempotent_requests
MAX_KEY = 255
RETENTION_SECONDS = 24 * 60 * 60
# From https://docs.stripe.com/api-v2-overview
V2_RETENTION_SECONDS = 30 * RETENTION_SECONDS


@frozen
class KeyEntry:
    """What is kept of a key.

    The field names are part of the store's file layout.

    Attributes:
        endpoint: Method and path.
        expires: Seconds since the epoch.
        request_id: The id of the request that used the key first.
        fingerprint: A digest of the parameters.
        answer: The answer; None while the request runs.
    """

    endpoint: str
    expires: float
    request_id: str
    fingerprint: bytes = b""
    answer: EncodedAnswer | None = None


class IdempotencyKeys:
    """The idempotency keys of one account, for `/v1` or for `/v2`.

    Args:
        record: Called with a key and its entry when an answer is stored, with None when it expires.
        v2: Whether they are those of requests to `/v2`.
    """

    def __init__(
        self, record: Callable[[str, KeyEntry | None], object], *, v2: bool = False
    ) -> None:
        self._record = record
        self._v2 = v2
        self._retention = V2_RETENTION_SECONDS if v2 else RETENTION_SECONDS
        # In the order of `acquire`, and so in the order of expiry.
        self._entries: dict[str, KeyEntry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def acquire(self, key: str, endpoint: str, request_id: str, now: float) -> None:
        """Mark a key as in use by a request, unless its answer is already stored.

        Args:
            key: The idempotency key.
            endpoint: Method and path.
            request_id: The id of this request.
            now: Seconds since the epoch.

        Raises:
            Refusal: For a key that is malformed or too long, in use, or used on another endpoint.
        """
        if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
            raise invalid(f"An idempotency key has 1 to {MAX_KEY} printable ASCII characters.")
        self._expire(now)
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = KeyEntry(endpoint, now + self._retention, request_id)
        elif entry.answer is None:
            text = "Another request with this idempotency key is running."
            raise Refusal(text, status=409, type=IDEMPOTENCY, code="idempotency_key_in_use")
        elif entry.endpoint != endpoint:
            raise self._reused("another endpoint")

    def replay(self, key: str, fingerprint: bytes) -> EncodedAnswer | None:
        """Return the stored answer of an acquired key, or None if the endpoint has to run.

        Raises:
            Refusal: 400, or 409 in `/v2`, if the parameters are not those of the first request.
        """
        entry = self._entries[key]
        if entry.answer is None:
            return None
        if entry.fingerprint != fingerprint:
            raise self._reused("other parameters")
        return _with_headers(
            entry.answer, {"Idempotent-Replayed": "true", "Original-Request": entry.request_id}
        )

    def store(self, key: str, fingerprint: bytes, answer: EncodedAnswer) -> EncodedAnswer:
        """Keep the answer of the request that acquired a key, and return it as it is sent."""
        if self._v2 and answer.status >= 400:
            return answer
        entry = evolve(self._entries[key], fingerprint=fingerprint, answer=answer)
        self._entries[key] = entry
        self._record(key, entry)
        return _with_headers(answer, {"Original-Request": entry.request_id})

    def restore(self, key: str, entry: KeyEntry) -> None:
        """Put back an entry from an earlier run of the sandbox."""
        self._entries[key] = entry

    def release(self, key: str) -> None:
        """Forget a key whose request ended without an answer to replay."""
        if self._entries[key].answer is None:
            del self._entries[key]

    def _reused(self, what: str) -> Refusal:
        text = f"This idempotency key was used before with {what}. Use a new key."
        return Refusal(text, status=409 if self._v2 else 400, type=IDEMPOTENCY)

    def _expire(self, now: float) -> None:
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            # A request that runs for more than a day keeps its key, and the ones behind it.
            if entry.expires > now or entry.answer is None:
                break
            del self._entries[key]
            self._record(key, None)


class AccountKeys:
    """The idempotency keys of one account: a key of `/v1` says nothing about `/v2`.

    Args:
        record: Called with a name and an entry when an answer is stored, with None when it expires.
    """

    def __init__(self, record: Callable[[str, KeyEntry | None], object]) -> None:
        self.v1 = IdempotencyKeys(record)
        # No key has a line break, so no name is that of a key of the other.
        self.v2 = IdempotencyKeys(lambda key, entry: record(f"v2\n{key}", entry), v2=True)

    def of(self, *, v2: bool) -> IdempotencyKeys:
        """Return the keys of `/v1`, or of `/v2`."""
        return self.v2 if v2 else self.v1

    def restore(self, name: str, entry: KeyEntry) -> None:
        """Put back an entry from an earlier run of the sandbox, by the name it was recorded by."""
        api, _, key = name.rpartition("\n")
        self.of(v2=api == "v2").restore(key, entry)


def _with_headers(answer: EncodedAnswer, headers: Mapping[str, str]) -> EncodedAnswer:
    return evolve(answer, headers={**answer.headers, **headers})
