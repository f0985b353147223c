"""The headers of a request: API key, version, account and idempotency key.

Choices of the sandbox, because the published facts are silent: any well-formed test key is
accepted, `sk_test_` as a plain and `rk_test_` as a restricted key; a publishable key gets a 401
`secret_key_required`; a malformed `Stripe-Account` or `Stripe-Context` is a 400 without a code, and
so is a `Stripe-Version` that does not exist; the last account of a `Stripe-Context` path counts.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final

from attrs import frozen
from multidict import istr

from pinstripe.sandbox._params.errors import Refusal, invalid
from pinstripe.sandbox._state.settings import ACCOUNT_ID
from pinstripe.sandbox._state.versions import API_VERSION, is_version

# Any test key will do; these are the ones that the sandbox names.
API_KEY: Final = "sk_test_pinstripe_sandbox"
RESTRICTED_KEY: Final = "rk_test_pinstripe_sandbox"

# Every request is looked at: names that are already folded save the folding of each look-up.
_AUTHORIZATION = istr("Authorization")
_STRIPE_VERSION = istr("Stripe-Version")
_STRIPE_ACCOUNT = istr("Stripe-Account")
_STRIPE_CONTEXT = istr("Stripe-Context")
_IDEMPOTENCY_KEY = istr("Idempotency-Key")

_KEY = re.compile(r"(sk|rk)_test_[A-Za-z0-9_]{1,240}")

# Flags after the version of a request: `2026-10-28.endive; some_beta=v1`.
_FLAGS = re.compile(r"(; ?[a-z0-9_]{1,64}=v[0-9]{1,9})*")
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")

LIVE_KEY = (
    "The sandbox never takes a live key. It cannot act on your live account, so a live key here is"
    " a mistake of configuration. Use a test key (sk_test_... or rk_test_...)."
)
MISSING_KEY = (
    "You did not provide an API key. Send it as 'Authorization: Bearer sk_test_...', or as the"
    " user name of basic authentication with an empty password."
)


@frozen
class Access:
    """What the headers of a request say.

    Attributes:
        restricted: Whether the API key is a restricted one.
        account: The connected account; None for the account of the API key.
        idempotency_key: The idempotency key of a POST, or of a DELETE of `/v2`; or None.
    """

    restricted: bool
    account: str | None
    idempotency_key: str | None


def read_access(
    headers: Mapping[str, str],
    method: str,
    known_accounts: Collection[str] = (),
    *,
    v2: bool = False,
) -> Access:
    """Check the headers of a request.

    Args:
        headers: The headers; their names are case-insensitive.
        method: The HTTP method; an idempotency key only has an effect on a POST, and on a DELETE
            of `/v2`.
        known_accounts: The connected accounts that exist; all exist if there are none here.
        v2: Whether the path is one of `/v2`, where a version is needed.

    Raises:
        Refusal: 403 for an account that does not exist, 401 for a key that is not accepted, 400
            for other headers.
    """
    restricted = check_key(headers.get(_AUTHORIZATION, ""))
    version = headers.get(_STRIPE_VERSION)
    if version is None and v2:
        raise invalid(f"Requests to /v2 need a Stripe-Version. The newest is {API_VERSION}.")
    if version is not None and not _is_version(version):
        shown = f": {version}" if _PRINTABLE.fullmatch(version) else ""
        raise invalid(f"Invalid Stripe API version{shown}. The newest is {API_VERSION}.")
    # `Stripe-Context` is a path of accounts, `Stripe-Account` a path of one.
    context = headers.get(_STRIPE_CONTEXT, headers.get(_STRIPE_ACCOUNT))
    account: str | None = None
    if context is not None:
        accounts = context.split("/")
        if not all(ACCOUNT_ID.fullmatch(each) for each in accounts):
            raise invalid("The account header must hold the id of an account (acct_...).")
        account = accounts[-1]
        if known_accounts and account not in known_accounts:
            raise _account_refused(_key_of(headers[_AUTHORIZATION]), account)
    takes_key = method == "POST" or (v2 and method == "DELETE")
    key = headers.get(_IDEMPOTENCY_KEY) if takes_key else None
    return Access(restricted, account, key)


def echoed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer that repeat headers of its request."""
    # Errors carry them too, so they are not checked yet: what is not well-formed is left out.
    version = headers.get(_STRIPE_VERSION)
    if version is None or not _is_version(version):
        version = API_VERSION
    out = {"Stripe-Version": version}
    for name in (_STRIPE_ACCOUNT, _IDEMPOTENCY_KEY):
        value = headers.get(name)
        if value is not None and _PRINTABLE.fullmatch(value):
            out[name] = value
    return out


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
        text = "This endpoint needs a secret key, but the request has a publishable key."
        raise _unauthorized(text, "secret_key_required")
    if not _KEY.fullmatch(key):
        text = "Invalid API key: the sandbox accepts sk_test_... and rk_test_... keys."
        raise _unauthorized(text)
    return key.startswith("rk_")


def _key_of(authorization: str) -> str:
    # Bearer authentication holds the key itself, basic authentication has it as the user name.
    scheme, _, key = authorization.strip().partition(" ")
    key = key.strip()
    if scheme.lower() == "bearer":
        return key
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(key, validate=True).decode("utf-8").partition(":")[0]
    except (binascii.Error, ValueError):
        raise _unauthorized("The basic authentication header is not valid base64.") from None


def _is_version(text: str) -> bool:
    version, flags, rest = text.partition(";")
    return is_version(version) and _FLAGS.fullmatch(flags + rest) is not None


def _account_refused(key: str, account: str) -> Refusal:
    # As in the API, the message does not tell whether the account exists.
    masked = f"{key[:8]}{'*' * 8}{key[-4:]}"
    text = f"The key {masked} has no access to the account {account}, or there is no such account."
    return Refusal(text, status=403, code="account_invalid")


def _unauthorized(message: str, code: str | None = None) -> Refusal:
    return Refusal(message, status=401, code=code)
