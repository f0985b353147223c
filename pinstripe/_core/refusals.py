"""From an answer with a failing status to the error that it stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from pinstripe._core.errors import (
    APIError,
    AuthenticationError,
    ConflictError,
    IdempotencyError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    with_response,
)
from pinstripe._core.redaction import clean_request_id, clean_text, redact_fact

# https://docs.stripe.com/api/errors and https://docs.stripe.com/api/v2/errors
_FACTS = ("message", "type", "code", "param", "doc_url", "user_message", "request_log_url")
_BY_STATUS: Mapping[int, type[APIError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
}


# Codes of refusals after which another request may still be running, or the destination of a
# forwarded request may have acted.
_MAY_HAVE_ACTED = (
    "idempotency_key_in_use",
    "forwarding_api_retryable_upstream_error",
    "forwarding_api_upstream_connection_error",
    "forwarding_api_upstream_connection_timeout",
    "forwarding_api_upstream_error",
)


def error_for(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    retry_after: float | None = None,
    sent: Mapping[str, str] = MappingProxyType({}),
) -> APIError:
    """Return the error for an answer with a failing status.

    Args:
        status: The HTTP status, 300 or above.
        headers: The headers of the answer, looked up without regard to case.
        body: The body; a proxy may have written it, so it can be anything.
        retry_after: Seconds that the server asked to wait.
        sent: The private values of the request, by name; the error does not repeat them.
    """
    facts = _facts(body, sent)
    code = facts.get("code")
    if facts.get("type") == "idempotency_error" or code == "idempotency_key_in_use":
        kind: type[APIError] = IdempotencyError
    elif status >= 500:
        kind = ServerError
    else:
        kind = _BY_STATUS.get(status, InvalidRequestError)

    message = facts.get("message") or f"the server answered {status}"
    if retry_after:
        message = f"the server asks to wait {round(retry_after, 3):.15g} s: {message}"
    error = kind(message)
    error.type, error.code = facts.get("type"), code
    error.param, error.doc_url = facts.get("param"), facts.get("doc_url")
    error.user_message = facts.get("user_message")
    error.request_log_url = facts.get("request_log_url")
    error.retry_after = retry_after
    with_response(error, status, headers, body)
    if _is_refusal(status, error.request_id, facts):
        error.outcome = "rejected"
    return error


def is_refusal(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether an answer is certainly the API's own refusal, so that nothing was done.

    A proxy answers with the same statuses, also after the API has acted. So the answer needs what
    the API puts into each of its own: an error with a type, and a request id.

    Args:
        status: The HTTP status.
        headers: The headers of the answer, looked up without regard to case.
        body: The body, as far as it was read.
    """
    request_id = clean_request_id(headers.get("Request-Id"))
    return 400 <= status < 500 and _is_refusal(status, request_id, _facts(body, {}))


def _is_refusal(status: int, request_id: str | None, facts: Mapping[str, str]) -> bool:
    own = request_id is not None and "type" in facts
    return own and 400 <= status < 500 and facts.get("code") not in _MAY_HAVE_ACTED


def _facts(body: bytes, sent: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of the error object in a body; nothing if the body has another form."""
    try:
        envelope: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    error: Any = (
        cast("dict[str, Any]", envelope).get("error") if isinstance(envelope, dict) else None
    )
    # Some gateways answer `{"error": "..."}`.
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return {}
    facts = cast("dict[str, Any]", error)
    texts = {name: facts[name] for name in _FACTS if isinstance(facts.get(name), str)}
    return {name: clean_text(redact_fact(name, text, sent)) for name, text in texts.items()}
