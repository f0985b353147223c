"""Every exception that Pinstripe raises, as plain data.

    PinstripeError
    ├── ConfigurationError (also ValueError)   an argument or setting is wrong; nothing was sent
    ├── TransportError                         no usable answer
    │   ├── ConnectError                       no connection was made: safe to repeat
    │   │   └── CertificateError               the other side cannot prove who it is
    │   ├── ConnectionLost                     the connection died under way
    │   └── DeadlineExceeded (also TimeoutError)
    ├── ResponseError                          an answer came that cannot be used; it is kept whole
    │   ├── DecodeError                        not the JSON, or not the shape, that was promised
    │   ├── PaginationError                    a list that cannot end
    │   └── ResponseTooLarge
    ├── APIError                               the API said no
    │   ├── InvalidRequestError                400 and every 4xx without a class of its own
    │   ├── AuthenticationError                401
    │   ├── PermissionDeniedError              403
    │   ├── NotFoundError                      404
    │   ├── ConflictError                      409
    │   │   └── IdempotencyError               a key used for something else, or still in use
    │   ├── RateLimitError                     429
    │   └── ServerError                        5xx
    ├── IncompleteError                        some of several downloads failed
    └── SignatureError                         a webhook payload cannot be trusted

An error holds no live object, so that it can be pickled and sent to another process. What the
server answered (`headers`, `body`) is there to be read, but neither printed nor pickled: it can
repeat personal data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

from pinstripe._core.redaction import clean_request_id, clean_text, redact_fact

Outcome = Literal["not_sent", "rejected", "unknown"]
"""What is certain about the server having acted on a call that failed."""

_E = TypeVar("_E", bound="PinstripeError")


class PinstripeError(Exception):
    """The base of every error of Pinstripe.

    Attributes:
        message: One line that says what went wrong.
        outcome: `"not_sent"`: the server has not acted. `"rejected"`: it answered, and did
            nothing. `"unknown"`: it may have acted; repeat the call with `idempotency_key`.
        idempotency_key: The key that every attempt of the call carried; None for a call
            without one.
        attempts: How many requests were sent for the call.
        request_id: The `Request-Id` of the last answer.
    """

    outcome: Outcome = "not_sent"
    idempotency_key: str | None = None
    attempts: int = 0
    request_id: str | None = None

    def __init__(self, message: str) -> None:
        self.message = clean_text(message)
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("headers", "body")}


def _rebuild(kind: type[_E], message: str) -> _E:
    error = kind.__new__(kind, message)
    PinstripeError.__init__(error, message)  # an OSError keeps its text only when initialised
    return error


class ConfigurationError(PinstripeError, ValueError):
    """An argument or a setting is wrong, and nothing was sent.

    Attributes:
        argument: The name of the argument, as a path such as `options[document]`.
    """

    argument: str

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument}: {problem}")
        self.argument = argument


class TransportError(PinstripeError):
    """The call has no usable answer."""

    outcome: Outcome = "unknown"


class ConnectError(TransportError):
    """No connection was made, so the server has not seen the request."""

    outcome: Outcome = "not_sent"


class CertificateError(ConnectError):
    """The server's certificate is not one to trust, or not one for its name; never retried."""


class ConnectionLost(TransportError):
    """The connection died before the answer was whole.

    Attributes:
        stale: Whether it was kept from an earlier call and died before any byte of the answer,
            as one does that the server has closed meanwhile. Such an attempt is made again once
            at no cost.
    """

    stale: bool = False


class DeadlineExceeded(TransportError, TimeoutError):
    """The deadline of the call passed before an answer was whole."""


class _Answered(PinstripeError):
    """An error that keeps the answer it was made of."""

    status: int = 0
    headers: Mapping[str, str] = {}
    body: bytes = b""


class ResponseError(_Answered):
    """An answer came, and it cannot be used.

    Attributes:
        status: The HTTP status of the answer.
        headers: The headers of the answer.
        body: The body of the answer, as far as it was read.
    """

    outcome: Outcome = "unknown"


class DecodeError(ResponseError):
    """The body is not the JSON, or not the shape, that the API promises.

    Attributes:
        path: Where in the body, such as `$.data[3].created`; no value is shown.
    """

    path: str = "$"


class PaginationError(ResponseError):
    """A list that cannot end: a cursor came again, or an empty page says there is more.

    Attributes:
        cursor: Where to go on from: everything before it was handed out.
        items_read: How many items the walk had handed out.
    """

    cursor: str | None = None
    items_read: int = 0


class ResponseTooLarge(ResponseError):
    """The body is longer than the limit; `body` holds what was read of it."""


class APIError(_Answered):
    """The API refused the call, or failed to carry it out.

    https://docs.stripe.com/api/errors

    Attributes:
        status: The HTTP status.
        type: The kind of error in the API's own words, such as `invalid_request_error`.
        code: A short code for programs to act on, such as `resource_missing`.
        param: The parameter at fault, as a bracket path.
        doc_url: A page about the code.
        retry_after: Seconds the server asked to wait before another attempt.
        headers: The headers of the answer.
        body: The body of the answer.
    """

    outcome: Outcome = "rejected"
    type: str | None = None
    code: str | None = None
    param: str | None = None
    doc_url: str | None = None
    retry_after: float | None = None


class InvalidRequestError(APIError):
    """The request cannot be carried out as it is (400, and every 4xx without its own class)."""


class AuthenticationError(APIError):
    """The API key is missing, wrong or expired (401)."""


class PermissionDeniedError(APIError):
    """The API key may not do this (403)."""


class NotFoundError(APIError):
    """There is no such object for this key and account (404)."""


class ConflictError(APIError):
    """The request conflicts with another one (409)."""


class IdempotencyError(ConflictError):
    """The idempotency key was used for another request, or that request still runs."""


class RateLimitError(APIError):
    """Too many requests, or the object is locked (429)."""


class ServerError(APIError):
    """The API failed (5xx); whether it acted is unknown."""

    outcome: Outcome = "unknown"


class IncompleteError(PinstripeError):
    """Some of several downloads failed; the others are kept.

    Attributes:
        paths: Where each file is that was downloaded, by its id.
        errors: Why each of the others was not, by its id.
    """

    paths: Mapping[str, Path] = {}
    errors: Mapping[str, Exception] = {}


SignatureReason = Literal[
    "header_missing",
    "header_malformed",
    "header_too_large",
    "body_too_large",
    "body_compressed",
    "no_signature",
    "no_match",
    "too_old",
    "too_new",
]
"""Why a webhook payload was refused."""


class SignatureError(PinstripeError):
    """A webhook payload cannot be trusted.

    Attributes:
        reason: Which of the checks refused it.
    """

    reason: SignatureReason

    def __init__(self, reason: SignatureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


_BY_STATUS: Mapping[int, type[APIError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
}


_MAY_HAVE_ACTED = (
    "idempotency_key_in_use",
    "forwarding_api_retryable_upstream_error",
    "forwarding_api_upstream_connection_error",
    "forwarding_api_upstream_connection_timeout",
    "forwarding_api_upstream_error",
)
"""Codes of refusals behind which another request still runs, or a destination may have acted."""


def error_for(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    retry_after: float | None = None,
    sent: Mapping[str, str] = MappingProxyType({}),
) -> APIError:
    """Return the error that an answer with a failing status stands for.

    Args:
        status: The HTTP status, 300 or above.
        headers: The headers of the answer, looked up without regard to case.
        body: The body, which may be anything a proxy can think of.
        retry_after: Seconds the server asked to wait.
        sent: What the request carried, by name, which the error must not repeat.
    """
    facts = _facts(body, sent)
    message = facts.get("message") or f"the server answered {status}"
    if retry_after is not None:
        message = f"the server asks to wait {math.ceil(retry_after)} s: {message}"
    error = _class_for(status, facts)(message)
    error.type, error.code = facts.get("type"), facts.get("code")
    error.param, error.doc_url = facts.get("param"), facts.get("doc_url")
    error.retry_after = retry_after
    if error.code in _MAY_HAVE_ACTED:
        error.outcome = "unknown"
    return with_response(error, status, headers, body)


def with_response(error: _E, status: int, headers: Mapping[str, str], body: bytes) -> _E:
    """Put the answer into the error that it caused, and return the error.

    Args:
        error: A `ResponseError` or `APIError`.
        status: The HTTP status.
        headers: The headers of the answer.
        body: The body, as far as it was read.
    """
    assert isinstance(error, _Answered)
    error.status, error.headers, error.body = status, headers, body
    error.request_id = clean_request_id(headers.get("Request-Id"))
    return error


def _class_for(status: int, facts: Mapping[str, str]) -> type[APIError]:
    if facts.get("type") == "idempotency_error" or facts.get("code") == "idempotency_key_in_use":
        return IdempotencyError
    if status >= 500:
        return ServerError
    return _BY_STATUS.get(status, InvalidRequestError)


def _facts(body: bytes, sent: Mapping[str, str]) -> dict[str, str]:
    """Read the error envelope; anything else gives no facts, never an exception."""
    try:
        envelope: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    error: Any = (
        cast("dict[str, Any]", envelope).get("error") if isinstance(envelope, dict) else None
    )
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return {}
    facts = {k: v for k, v in cast("dict[str, Any]", error).items() if isinstance(v, str)}
    return {name: clean_text(redact_fact(name, text, sent)) for name, text in facts.items()}
