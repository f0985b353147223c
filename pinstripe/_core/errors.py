"""Every exception that Pinstripe raises, as plain data.

    PinstripeError
    ├── ConfigurationError (also ValueError)   an argument or setting is wrong; nothing was sent
    ├── TransportError                         no usable answer came
    │   ├── ConnectError                       no connection was made: safe to repeat
    │   │   └── CertificateError               the other side cannot prove who it is
    │   ├── BudgetUnavailable                  the shared budget could not be asked: not sent
    │   ├── ConnectionLost                     the connection was lost during the call
    │   └── DeadlineExceeded (also TimeoutError)
    ├── ResponseError                          an answer came and cannot be used; it is kept
    │   ├── DecodeError                        not JSON, or not of the expected shape
    │   │   └── UnfitError                     one object of a page; the others are kept
    │   ├── PaginationError                    a list that cannot end
    │   └── ResponseTooLarge
    ├── APIError                               the API refused the call, or failed
    │   ├── InvalidRequestError                400 and every 4xx without a class of its own
    │   ├── AuthenticationError                401
    │   ├── PermissionDeniedError              403
    │   ├── NotFoundError                      404
    │   ├── ConflictError                      409
    │   │   └── IdempotencyError               a key used for something else, or still in use
    │   ├── RateLimitError                     429
    │   └── ServerError                        5xx
    ├── IncompleteError                        some of several downloads failed
    ├── WaitError                              an object did not come to a status
    │   ├── GoalUnreachable                    it no longer can
    │   └── WaitTimedOut (also TimeoutError)
    └── SignatureError                         a webhook payload cannot be trusted

An error holds plain data only, so it can be pickled and sent to another process. The answer of the
server (`headers`, `body`, `items`) can be read, but it is neither printed nor pickled: it can
repeat personal data.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pinstripe._core.redaction import clean_request_id, clean_text

Outcome = Literal["not_sent", "rejected", "unknown"]
"""What is certain about a call that failed: whether the server has acted on it."""

_E = TypeVar("_E", bound="PinstripeError")


class PinstripeError(Exception):
    """The base of every error of Pinstripe.

    As text it also has the call, and the status and request id of the answer.

    Args:
        message: One line that says what went wrong.

    Attributes:
        message: That line, without secrets.
        outcome: `"not_sent"`: not one byte of a request can have left. `"rejected"`: the API
            refused every request that left, in its own words, and did nothing. `"unknown"`: it
            may have acted; repeat the call with `idempotency_key`.
        idempotency_key: The key that every attempt of the call carried; None for a call
            without one.
        attempts: How many requests were made for the call.
        request_id: The `Request-Id` of the last answer.
        call: The method and the path of the call, with placeholders for its ids; None if the
            error is not about one call.
    """

    outcome: Outcome = "not_sent"
    idempotency_key: str | None = None
    attempts: int = 0
    request_id: str | None = None
    call: str | None = None

    def __init__(self, message: str) -> None:
        self.message = clean_text(message)
        super().__init__(self.message)

    def __str__(self) -> str:
        if self.call is None:
            return self.message
        known = {"status": getattr(self, "status", None), "request": self.request_id}
        answer = ", ".join(f"{name} {value}" for name, value in known.items() if value)
        return f"{self.call}: {self.message}{answer and f' ({answer})'}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("headers", "body", "items")}


def _rebuild(kind: type[_E], message: str) -> _E:
    # Not `kind(message)`: the constructors of some kinds take other arguments, which are set later.
    error = kind.__new__(kind, message)
    # A TimeoutError is an OSError, which keeps its text only if it is initialised.
    PinstripeError.__init__(error, message)
    return error


class ConfigurationError(PinstripeError, ValueError):
    """An argument or a setting is wrong, and nothing was sent.

    Args:
        argument: The name of the argument, as a path such as `options[document]`.
        problem: What is wrong with it.

    Attributes:
        argument: The name of the argument.
    """

    argument: str

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument}: {problem}")
        self.argument = argument


class TransportError(PinstripeError):
    """The call has no usable answer.

    Attributes:
        permanent: Whether another attempt would end in the same way, so that none is made.
    """

    outcome: Outcome = "unknown"
    permanent: bool = False


class ConnectError(TransportError):
    """No connection was made, so the server has not seen the request.

    It is permanent if a proxy refused: with a redirect, or a status of 4xx other than 408 and 429.
    """

    outcome: Outcome = "not_sent"


class CertificateError(ConnectError):
    """The server's certificate is not trusted, or has another name; such a call is not retried."""

    permanent: bool = True


class BudgetUnavailable(TransportError):
    """The budget that processes share could not be asked for a turn, so nothing was sent."""

    outcome: Outcome = "not_sent"


class ConnectionLost(TransportError):
    """The connection was lost before the whole answer came, or the client was closed meanwhile.

    Attributes:
        stale: Whether the connection was kept from an earlier call and was lost before the first
            byte of the answer: the server has most likely closed it in the meantime. Such an
            attempt is repeated at once, without a pause and without cost to the retry budget.
    """

    stale: bool = False


class DeadlineExceeded(TransportError, TimeoutError):
    """The deadline of the call passed before the whole answer came."""


class _ErrorWithResponse(PinstripeError):
    """An error that keeps the answer that caused it."""

    status: int = 0
    headers: Mapping[str, str] = {}
    body: bytes = b""


class ResponseError(_ErrorWithResponse):
    """An answer came, and it cannot be used.

    Attributes:
        status: The HTTP status of the answer.
        headers: The headers of the answer.
        body: The body of the answer, as far as it was read.
    """

    outcome: Outcome = "unknown"


class DecodeError(ResponseError):
    """The body is not JSON, or not of the shape that the API documents.

    Attributes:
        path: The place in the body, such as `$.data[3].created`; no value is shown.
    """

    path: str = "$"


class UnfitError(DecodeError):
    """An object of a page does not fit its class, and the others are kept.

    A walk first hands out the objects before it. To go on without it, resume from `cursor`, or
    walk with `Pager.skip_unfit`.

    Attributes:
        id: The id of the object; None if it has none that can be read.
        index: Its place in the page, from 0.
        items: The objects of the page that fit, before it and behind it.
        cursor: The cursor that resumes right behind the object; None if it has no id.
    """

    id: str | None = None
    index: int = 0
    items: Sequence[Any] = ()
    cursor: str | None = None


class PaginationError(ResponseError):
    """A list cannot be read to its end.

    A cursor came twice, an empty page says that there is more, or the object is gone behind which
    a walk over a list of `/v2` was to resume.

    Attributes:
        cursor: The cursor to resume from: everything before it was returned.
        items_read: How many items the walk had returned.
    """

    cursor: str | None = None
    items_read: int = 0


class ResponseTooLarge(ResponseError):
    """The body is longer than the limit; `body` holds the part that was read."""


class APIError(_ErrorWithResponse):
    """The API refused the call, or failed to execute it.

    https://docs.stripe.com/api/errors

    Attributes:
        status: The HTTP status.
        type: The kind of error in the API's own words, such as `invalid_request_error`.
        code: A short code that programs act on, such as `resource_missing`.
        param: The parameter at fault, as a bracket path.
        doc_url: A page about the code.
        user_message: A text that can be shown to a customer; calls of `/v2` can have one.
        request_log_url: The page of the request in the Dashboard.
        retry_after: Seconds that the server asked to wait before another attempt.
        headers: The headers of the answer.
        body: The body of the answer.
    """

    outcome: Outcome = "unknown"
    type: str | None = None
    code: str | None = None
    param: str | None = None
    doc_url: str | None = None
    user_message: str | None = None
    request_log_url: str | None = None
    retry_after: float | None = None


class InvalidRequestError(APIError):
    """The request is wrong (400, and every 4xx without a class of its own)."""


class AuthenticationError(APIError):
    """The API key is missing, wrong or expired (401)."""


class PermissionDeniedError(APIError):
    """The API key may not do this (403)."""


class NotFoundError(APIError):
    """The object does not exist for this key and account (404)."""


class ConflictError(APIError):
    """The request conflicts with another one (409)."""


class IdempotencyError(ConflictError):
    """The idempotency key was used for another request, or its request is still running."""


class RateLimitError(APIError):
    """Too many requests, or the object is locked (429)."""


class ServerError(APIError):
    """The API failed (5xx), and may have acted before."""


class IncompleteError(PinstripeError):
    """Some of several downloads, or of the parts of an export, failed; the others are kept.

    Attributes:
        paths: The path of each file that was downloaded, by the file's id; empty for an export.
        errors: The error of each file that was not downloaded, by its id; or of each part that is
            missing, by its name.
    """

    paths: Mapping[str, Path] = {}
    errors: Mapping[str, Exception] = {}


class WaitError(PinstripeError):
    """An object did not come to the status that was waited for.

    Attributes:
        last: The object as it was last seen; None if it was never seen.
    """

    outcome: Outcome = "unknown"
    last: Any = None


class GoalUnreachable(WaitError):
    """The object has a status from which it cannot come to the one that was waited for."""


class WaitTimedOut(WaitError, TimeoutError):
    """The time of a wait was over; if polls failed at the end, the last error is the cause."""


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

    Args:
        reason: Which check refused it.
        message: One line that says why.

    Attributes:
        reason: Which check refused it.
    """

    reason: SignatureReason

    def __init__(self, reason: SignatureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


# Tracebacks and reprs show a class by the name that users import it by: `pinstripe.APIError`. The
# annotations above are not strings, since `typing.get_type_hints` would look their names up there.
for _name, _value in tuple(globals().items()):
    if isinstance(_value, type) and issubclass(_value, PinstripeError) and _name[0] != "_":
        _value.__module__ = "pinstripe"


def with_response(error: _E, status: int, headers: Mapping[str, str], body: bytes) -> _E:
    """Store an answer in the error that it caused, and return the error.

    Args:
        error: A `ResponseError` or `APIError`.
        status: The HTTP status.
        headers: The headers of the answer.
        body: The body, as far as it was read.
    """
    assert isinstance(error, _ErrorWithResponse)
    error.status, error.headers, error.body = status, headers, body
    error.request_id = clean_request_id(headers.get("Request-Id"))
    return error
