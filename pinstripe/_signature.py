"""Webhook signatures: what Stripe puts on a delivery, and whether one can be trusted.

A delivery carries `Stripe-Signature: t=<seconds>,v1=<64 hex digits>`, with a `v1` for each secret
that is active: the HMAC-SHA256 of `<seconds>.<body>` under the whole text of the secret.
https://docs.stripe.com/webhooks#verify-manually

The header is written by a machine and read strictly: an element that Stripe cannot have written
refuses the whole of it; schemes other than `v1` are passed over. Sizes are checked before
anything is hashed, and the payload is bytes to this room, never text. Problems are returned up to
`sign` and `verify`, which drop the payload and the secrets before they raise: a traceback that
shows the locals of its frames shows neither.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Sequence
from typing import Any, Final, cast

from pinstripe._core.errors import ConfigurationError, SignatureError, SignatureReason

DEFAULT_TOLERANCE: Final = 300.0
"""Seconds by which a signature may be older, or newer, than the clock says."""

DEFAULT_MAX_BYTES: Final = 256 * 1024
"""Bytes that a payload may have."""

MAX_HEADER: Final = 4096
"""Characters that a header may have."""

MAX_ELEMENTS: Final = 64
"""Elements that a header may have."""

MAX_SIGNATURES: Final = 16
"""Signatures that are compared; those behind them are passed over."""

_MAX_DIGITS = 12
_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdef")
_PREFIX = "whsec_"
_MESSAGES: Final[dict[SignatureReason, str]] = {
    "header_missing": "the request has no Stripe-Signature header",
    "header_malformed": "the Stripe-Signature header is not one that Stripe writes",
    "header_too_large": f"the header is over {MAX_HEADER} characters or {MAX_ELEMENTS} elements",
    "body_too_large": "the body is longer than max_bytes",
    "body_compressed": "the body is compressed, and Stripe compresses none",
    "no_signature": "the Stripe-Signature header holds no v1 signature",
    "no_match": "no signature matches: the payload was changed, or the secret is another one",
    "too_old": "the signature is older than the tolerance",
    "too_new": "the signature is further ahead of the clock than the tolerance",
}


def check_settings(secrets: str | Sequence[str], tolerance: float, max_bytes: int) -> None:
    """Refuse settings that `verify` would refuse, before there is a delivery.

    Args:
        secrets: As for `verify`.
        tolerance: As for `verify`.
        max_bytes: As for `verify`.

    Raises:
        ConfigurationError: One of them is wrong.
    """
    problem = _secrets_problem(secrets) or _settings_problem(None, 0, tolerance, max_bytes)
    del secrets
    if problem is not None:
        raise problem


def sign(body: bytes, secrets: str | Sequence[str], timestamp: int) -> str:
    """Return the `Stripe-Signature` header of a delivery.

    Args:
        body: The body, as it is sent.
        secrets: The secret of the endpoint (`whsec_...`), or several while one replaces another.
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
        body: The body exactly as it came: bytes, neither decoded nor parsed; a byte order
            mark is part of it.
        signature: The value of `Stripe-Signature`, None where there is none.
        secrets: The secret of the endpoint (`whsec_...`), or all that may be in use.
        now: The time, in seconds since the Unix epoch.
        tolerance: Seconds by which the signature may be older, or newer, than `now`; above zero.
        ignore_age: True to accept a signature of any time, so that whoever recorded a delivery
            can repeat it for ever.
        max_bytes: Bytes that the body may have.

    Returns:
        The index of the secret that matched; the first, where several did.

    Raises:
        SignatureError: The delivery cannot be trusted; `reason` says which check refused it.
        ConfigurationError: An argument is wrong.
    """
    outcome: int | ConfigurationError | SignatureReason = (
        _body_problem(body)
        or _secrets_problem(secrets)
        or _settings_problem(signature, now, tolerance, max_bytes)
        or _too_large(body, signature, max_bytes)
        or _verdict(body, signature, secrets, now, math.inf if ignore_age else tolerance)
    )
    if isinstance(outcome, int):
        return outcome
    del body, signature, secrets
    if isinstance(outcome, ConfigurationError):
        raise outcome
    raise SignatureError(outcome, _MESSAGES[outcome])


def refusal_by_headers(
    length: str | None, encoding: str | None, max_bytes: int
) -> SignatureError | None:
    """Return why a body is refused before it is read; None if it is not.

    Args:
        length: The value of `Content-Length`, None where there is none.
        encoding: The value of `Content-Encoding`, None where there is none.
        max_bytes: Bytes that the body may have.
    """
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        return SignatureError("body_compressed", _MESSAGES["body_compressed"])
    # What is no number is for the server to refuse; a longer one than this cannot be a length.
    digits = (length or "").strip()
    if _DIGITS.issuperset(digits) and int(digits[:_MAX_DIGITS] or 0) > max_bytes:
        return SignatureError("body_too_large", _MESSAGES["body_too_large"])
    return None


def _verdict(
    body: bytes, signature: str | None, secrets: str | Sequence[str], now: float, tolerance: float
) -> int | SignatureReason:
    if not signature:
        return "header_missing"
    elements = _elements(signature)
    times = [value for scheme, value in elements or () if scheme == "t"]
    if elements is None or len(times) != 1:
        return "header_malformed"
    signatures = [value for scheme, value in elements if scheme == "v1"]
    if not signatures:
        return "no_signature"
    index = _matching(body, signatures[:MAX_SIGNATURES], _listed(secrets), times[0])
    if index is None:
        return "no_match"
    return _age_reason(now - int(times[0]), tolerance) or index


def _elements(header: str) -> list[tuple[str, str]] | None:
    """Return the schemes and values of a header, None where Stripe cannot have written it."""
    elements: list[tuple[str, str]] = []
    for element in header.split(","):
        scheme, _, value = element.partition("=")
        if not scheme or not value:
            return None
        if scheme == "t" and not (len(value) <= _MAX_DIGITS and _DIGITS.issuperset(value)):
            return None
        if scheme == "v1" and not (len(value) == 64 and _HEX.issuperset(value)):
            return None
        elements.append((scheme, value))
    return elements


def _matching(
    body: bytes, signatures: Sequence[str], secrets: Sequence[str], time: str
) -> int | None:
    for index, secret in enumerate(secrets):
        expected = _digest(body, secret, time)
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return index
    return None


def _digest(body: bytes, secret: str, time: str) -> str:
    mac = hmac.new(secret.encode(), f"{time}.".encode(), hashlib.sha256)
    mac.update(body)
    return mac.hexdigest()


def _age_reason(age: float, tolerance: float) -> SignatureReason | None:
    # Turned around, so that a clock which is not a number trusts nothing.
    if not age <= tolerance:
        return "too_old"
    return None if -age <= tolerance else "too_new"


def _too_large(body: bytes, signature: str | None, max_bytes: int) -> SignatureReason | None:
    if signature and (len(signature) > MAX_HEADER or signature.count(",") >= MAX_ELEMENTS):
        return "header_too_large"
    return "body_too_large" if len(body) > max_bytes else None


def _body_problem(body: Any) -> ConfigurationError | None:
    if isinstance(body, bytes):
        return None
    problem = (
        f"must be the raw bytes of the request's body, not a {type(body).__name__}: the"
        " signature covers each byte, and what was decoded or parsed cannot be put back as it was"
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
    """Say what is wrong with a secret, without repeating a letter of it."""
    if not isinstance(secret, str):
        return ConfigurationError(argument, f"must be text, not a {type(secret).__name__}")
    if not secret.startswith(_PREFIX) or secret == _PREFIX:
        problem = f"must be the secret of a webhook endpoint, which starts with {_PREFIX}"
        return ConfigurationError(argument, problem)
    if " " in secret or not secret.isprintable():
        return ConfigurationError(argument, "holds white space or what cannot be printed")
    return None


def _settings_problem(
    signature: Any, now: Any, tolerance: Any, max_bytes: Any
) -> ConfigurationError | None:
    if signature is not None and not isinstance(signature, str):
        wrong = type(signature).__name__
        return ConfigurationError("signature", f"must be the text of the header, not a {wrong}")
    if not _is_number(now):
        return ConfigurationError("now", "must be seconds since the Unix epoch")
    if not _is_number(tolerance) or not 0 < tolerance < math.inf:
        problem = "must be a number of seconds above zero; Stripe's own default is 300"
        return ConfigurationError("tolerance", problem)
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes < 1:
        return ConfigurationError("max_bytes", "must be a whole number of bytes above zero")
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_timestamp(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_MAX_DIGITS


def _listed(secrets: str | Sequence[str]) -> Sequence[str]:
    return (secrets,) if isinstance(secrets, str) else secrets
