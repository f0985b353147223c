"""Webhook signatures: how Stripe signs a delivery, and whether a delivery can be trusted.

A delivery has the header `Stripe-Signature: t=<seconds>,v1=<64 hex digits>`, with a `v1` for each
active secret: the HMAC-SHA256 of `<seconds>.<body>` under the whole text of the secret.
https://docs.stripe.com/webhooks#verify-manually

A machine writes the header, so it is read strictly: one element that Stripe cannot have written
makes the whole header invalid; schemes other than `v1` are ignored. Sizes are checked before
anything is hashed, and the payload is bytes here, never text.

The settings of an endpoint are checked once, by `check_settings`, and not with each delivery.

The checks return their problems to `sign` and `verify`, which drop the payload and the secrets
before they raise: a traceback that shows local variables then shows neither.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, cast

from pinstripe._core.checks import is_number, kind_of
from pinstripe._core.errors import ConfigurationError, SignatureError, SignatureReason

DEFAULT_TOLERANCE: Final = 300.0
"""Seconds by which a signature may be older or newer than the clock, as in Stripe's libraries."""

DEFAULT_MAX_BYTES: Final = 256 * 1024
"""Bytes that a payload may have; the events of Stripe are far smaller."""

# Bounds on the work for a header that an attacker wrote. Stripe sends a time, and a signature for
# each of the few secrets that are active.
_MAX_HEADER: Final = 4096
_MAX_ELEMENTS: Final = 64
_MAX_SIGNATURES: Final = 16

# Digits of a time; the seconds of today have ten.
_MAX_DIGITS = 12
# Text consists of these characters alone if nothing is left after they are stripped off.
_DIGITS = "0123456789"
_HEX = "0123456789abcdef"
_PREFIX = "whsec_"
_MESSAGES: Final[dict[SignatureReason, str]] = {
    "header_missing": "the request has no Stripe-Signature header",
    "header_malformed": "the Stripe-Signature header is not one that Stripe writes",
    "header_too_large": f"the header is over {_MAX_HEADER} characters or {_MAX_ELEMENTS} elements",
    "body_too_large": "the body is longer than max_bytes",
    "body_compressed": "the body is compressed, and Stripe compresses none",
    "no_signature": "the Stripe-Signature header holds no v1 signature",
    "no_match": "no signature matches: the payload was changed, or signed with another secret",
    "too_old": "the signature is older than the tolerance",
    "too_new": "the signature is further ahead of the clock than the tolerance",
}


def check_settings(secrets: str | Sequence[str], tolerance: float, max_bytes: int) -> None:
    """Refuse settings that no delivery could be verified with.

    Args:
        secrets: The secret of the endpoint (`whsec_...`), or a list of all that may be in use.
        tolerance: Seconds by which a signature may be older or newer than the clock; above zero.
        max_bytes: Bytes that a body may have.

    Raises:
        ConfigurationError: One of them is wrong.
    """
    problem = _secrets_problem(secrets) or _settings_problem(tolerance, max_bytes)
    del secrets
    if problem is not None:
        raise problem


def sign(body: bytes, secrets: str | Sequence[str], timestamp: int) -> str:
    """Return the `Stripe-Signature` header of a delivery.

    Args:
        body: The body, as it is sent.
        secrets: The secret of the endpoint (`whsec_...`), or both while one replaces another.
        timestamp: When the delivery is made, in seconds since the Unix epoch.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    problem = _body_problem(body) or _secrets_problem(secrets)
    if problem is None and not _is_timestamp(timestamp):
        problem = ConfigurationError("timestamp", "must be whole seconds since the Unix epoch")
    if problem is not None:
        del body, secrets
        raise problem
    signatures = [f"v1={_digest(body, key, str(timestamp))}" for key in _listed(secrets)]
    return ",".join([f"t={timestamp}", *signatures])


def verify(
    body: bytes,
    signature: str | None,
    secrets: str | Sequence[str],
    *,
    now: float,
    tolerance: float = DEFAULT_TOLERANCE,
    ignore_age: bool = False,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> int:
    """Return which secret signed a delivery, or refuse it.

    Args:
        body: The body exactly as it came: bytes, neither decoded nor parsed, with its byte
            order mark if it has one.
        signature: The value of `Stripe-Signature`; None if the request has no such header.
        secrets: The secret of the endpoint, or all that may be in use; `check_settings` checks it,
            and the other settings, before the first delivery.
        now: The time, in seconds since the Unix epoch.
        tolerance: Seconds by which the signature may be older or newer than `now`.
        ignore_age: True to accept a signature of any time. Anybody who recorded a delivery can
            then repeat it for ever.
        max_bytes: Bytes that the body may have.

    Returns:
        The index of the secret that matched; the first one if several did.

    Raises:
        SignatureError: The delivery cannot be trusted; `reason` says which check refused it.
        ConfigurationError: An argument is wrong.
    """
    result: int | ConfigurationError | SignatureReason = (
        _delivery_problem(body, signature, now)
        or _too_large(body, signature, max_bytes)
        or _verdict(body, signature, secrets, now, math.inf if ignore_age else tolerance)
    )
    if isinstance(result, int):
        return result
    del body, signature, secrets
    if isinstance(result, ConfigurationError):
        raise result
    raise SignatureError(result, _MESSAGES[result])


def refusal_by_headers(
    length: str | None, encoding: str | None, max_bytes: int
) -> SignatureError | None:
    """Return why a body is refused before it is read; None if it is not.

    Args:
        length: The value of `Content-Length`; None if the request has no such header.
        encoding: The value of `Content-Encoding`; None if the request has no such header.
        max_bytes: Bytes that the body may have.
    """
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        return SignatureError("body_compressed", _MESSAGES["body_compressed"])
    # A text that is no number is for the server to refuse. A longer number cannot be a length.
    digits = (length or "").strip()
    if not digits.strip(_DIGITS) and int(digits[:_MAX_DIGITS] or 0) > max_bytes:
        return SignatureError("body_too_large", _MESSAGES["body_too_large"])
    return None


def _too_large(body: bytes, signature: str | None, max_bytes: int) -> SignatureReason | None:
    if signature and (len(signature) > _MAX_HEADER or signature.count(",") >= _MAX_ELEMENTS):
        return "header_too_large"
    return "body_too_large" if len(body) > max_bytes else None


def _verdict(
    body: bytes, signature: str | None, secrets: str | Sequence[str], now: float, tolerance: float
) -> int | SignatureReason:
    """Return the index of the secret that signed, or the reason to refuse the delivery."""
    if not signature:
        return "header_missing"
    read = _read(signature)
    if read is None:
        return "header_malformed"
    time, signatures = read
    if not signatures:
        return "no_signature"

    index = None
    for place, secret in enumerate(_listed(secrets)):
        expected = _digest(body, secret, time)
        # In a time that does not depend on how much of a signature is right.
        if any(map(partial(hmac.compare_digest, expected), signatures)):
            index = place
            break
    if index is None:
        return "no_match"

    # The age is judged last: nothing in an unsigned header can be believed. The comparisons are
    # written so that a clock that is not a number trusts nothing.
    age = now - int(time)
    if not age <= tolerance:
        return "too_old"
    return index if -age <= tolerance else "too_new"


def _read(signature: str) -> tuple[str, list[str]] | None:
    """Return the time and the signatures of a header; None if Stripe cannot have written it."""
    times: list[str] = []
    signatures: list[str] = []
    for element in signature.split(","):
        scheme, _, value = element.partition("=")
        if not scheme or not value:
            return None
        if scheme == "t":
            # ASCII digits only: `int` and `str.isdigit` would take those of other scripts too.
            if len(value) > _MAX_DIGITS or value.strip(_DIGITS):
                return None
            times.append(value)
        elif scheme == "v1":
            if len(value) != 64 or value.strip(_HEX):
                return None
            signatures.append(value)
    return (times[0], signatures[:_MAX_SIGNATURES]) if len(times) == 1 else None


def _digest(body: bytes, secret: str, time: str) -> str:
    return hmac.digest(secret.encode(), f"{time}.".encode() + body, "sha256").hex()


def _delivery_problem(body: Any, signature: Any, now: Any) -> ConfigurationError | None:
    if not isinstance(body, bytes):
        return _body_problem(body)
    if signature is not None and not isinstance(signature, str):
        wrong = kind_of(signature)
        return ConfigurationError("signature", f"must be the text of the signature, not {wrong}")
    if not is_number(now):
        return ConfigurationError("now", "must be seconds since the Unix epoch")
    return None


def _body_problem(body: Any) -> ConfigurationError | None:
    if isinstance(body, bytes):
        return None
    problem = (
        f"must be the raw bytes of the request's body, not {kind_of(body)}: the"
        " signature covers each byte, which a decoded or parsed body does not give back"
    )
    return ConfigurationError("body", problem)


def _secrets_problem(secrets: Any) -> ConfigurationError | None:
    if isinstance(secrets, str):
        return _secret_problem("secrets", secrets)
    if not isinstance(secrets, (list, tuple)) or not secrets:
        return ConfigurationError(
            "secrets", "must be the secret of the endpoint, or a list of them"
        )
    listed = enumerate(cast("Sequence[Any]", secrets))
    problems = (_secret_problem(f"secrets[{index}]", secret) for index, secret in listed)
    return next((problem for problem in problems if problem is not None), None)


def _secret_problem(argument: str, secret: Any) -> ConfigurationError | None:
    """Return what is wrong with a secret, without repeating any part of it."""
    if not isinstance(secret, str):
        return ConfigurationError(argument, f"must be text, not {kind_of(secret)}")
    if not secret.startswith(_PREFIX) or secret == _PREFIX:
        problem = f"must be the secret of a webhook endpoint, which starts with {_PREFIX}"
        return ConfigurationError(argument, problem)
    if " " in secret or not secret.isprintable():
        return ConfigurationError(argument, "must not hold white space or unprintable characters")
    return None


def _settings_problem(tolerance: Any, max_bytes: Any) -> ConfigurationError | None:
    if not is_number(tolerance) or not 0 < tolerance < math.inf:
        problem = "must be a number of seconds above zero; Stripe's own default is 300"
        return ConfigurationError("tolerance", problem)
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes < 1:
        return ConfigurationError("max_bytes", "must be a whole number of bytes above zero")
    return None


def _is_timestamp(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_MAX_DIGITS


def _listed(secrets: str | Sequence[str]) -> Sequence[str]:
    return (secrets,) if isinstance(secrets, str) else secrets
