"""Who may speak to the sandbox: Host check, API keys, version and account headers.

Choices where the published facts are silent: any well-formed test key is accepted, `sk_test_` as
a plain and `rk_test_` as a restricted key; a publishable key gets a 401 `secret_key_required`; a
malformed `Stripe-Version`, `Stripe-Account` or `Stripe-Context` is a 400; of a `Stripe-Context`
path the last account counts. A Host that is not a loopback name is a 403, so that a page in a
browser cannot reach the sandbox through a name of its own (DNS rebinding).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address

import attrs

from pinstripe.sandbox._params.errors import Refusal, invalid
from pinstripe.sandbox._state.world import API_VERSION

_KEY = re.compile(r"(sk|rk)_test_[A-Za-z0-9_]{1,240}")
_VERSION = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"(\.[a-z]{1,32})?(; ?[a-z0-9_]{1,64}=v[0-9]{1,9})*"
)
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,64}")
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Pinstripe sandbox"'}

LIVE_KEY = (
    "The sandbox never takes a live key: nothing here can act on your live account, so a live key"
    " in this place is a mistake of configuration. Use a test key (sk_test_... or rk_test_...)."
)
MISSING_KEY = (
    "You did not provide an API key. Send it as 'Authorization: Bearer sk_test_...', or as the"
    " user name of basic authentication with an empty password."
)


@attrs.frozen
class Access:
    """What the headers of a request say.

    Args:
        restricted: whether the key is a restricted one.
        account: the connected account meant, None for the account of the key.
        idempotency_key: the key of a POST, None where none was sent.
    """

    restricted: bool
    account: str | None
    idempotency_key: str | None


def read_access(headers: Mapping[str, str], method: str) -> Access:
    """Check the headers of a request.

    Args:
        headers: case-insensitive.
        method: the HTTP method; an idempotency key has no effect on other methods than POST.

    Raises:
        Refusal: 403 for a foreign Host, 401 for a key that is not taken, 400 for other headers.
    """
    check_host(headers.get("Host", ""))
    restricted = check_key(headers.get("Authorization", ""))
    version = headers.get("Stripe-Version")
    if version is not None and not _VERSION.fullmatch(version):
        raise invalid("Invalid Stripe API version.")
    key = headers.get("Idempotency-Key") if method == "POST" else None
    return Access(restricted, _account(headers), key)


def echoed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer that repeat those of its request."""
    version = headers.get("Stripe-Version", "")
    out = {"Stripe-Version": version if _VERSION.fullmatch(version) else API_VERSION}
    for name in ("Stripe-Account", "Idempotency-Key"):
        value = headers.get(name)
        if value is not None and _PRINTABLE.fullmatch(value):
            out[name] = value
    return out


@lru_cache(maxsize=64)
def check_host(host: str) -> None:
    """Refuse a Host header that is not a name of this machine's loopback.

    Raises:
        Refusal: 403.
    """
    name = host.rpartition(":")[0] if re.fullmatch(r".*:[0-9]{1,5}", host) else host
    if name.lower() == "localhost":
        return
    try:
        loopback = ip_address(name.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise Refusal("The sandbox only answers to loopback names such as localhost.", status=403)


@lru_cache(maxsize=64)
def check_key(authorization: str) -> bool:
    """Check the Authorization header.

    Returns:
        Whether the key is a restricted one.

    Raises:
        Refusal: 401.
    """
    key = _key_of(authorization)
    if not key:
        raise _unauthorized(MISSING_KEY)
    if "_live_" in key:
        raise _unauthorized(LIVE_KEY)
    if key.startswith("pk_"):
        text = "This endpoint needs a secret key; a publishable key was sent."
        raise _unauthorized(text, "secret_key_required")
    if not _KEY.fullmatch(key):
        raise _unauthorized("Invalid API key: the sandbox takes sk_test_... and rk_test_... keys.")
    return key.startswith("rk_")


def _key_of(authorization: str) -> str:
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return ""
    try:
        pair = base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise _unauthorized("The basic authentication header is not valid base64.") from None
    return pair.partition(":")[0]


def _account(headers: Mapping[str, str]) -> str | None:
    context = headers.get("Stripe-Context")
    path = context if context is not None else headers.get("Stripe-Account")
    if path is None:
        return None
    accounts = path.split("/")
    if not all(_ACCOUNT.fullmatch(account) for account in accounts):
        raise invalid("The account header must hold the id of an account (acct_...).")
    return accounts[-1]


def _unauthorized(message: str, code: str | None = None) -> Refusal:
    return Refusal(message, status=401, code=code, headers=_CHALLENGE)
