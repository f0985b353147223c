"""The account that a call acts for: a connected account, or a context, which is a path of accounts.

How the API reads both headers at once is not known, so one call never has both: what is nearer to
the call replaces what the client has.

https://docs.stripe.com/context
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Request

ACTS_FOR: Final = ("Stripe-Account", "Stripe-Context")
"""The headers that name it."""


def settle_account(request: Request, headers: dict[str, str], *, needs_context: bool) -> None:
    """Remove the account or the context of the client if the call has one of its own.

    Args:
        request: The request of the call, with its own headers.
        headers: All of its headers, which are changed.
        needs_context: Whether the API refuses a call that has no context.

    Raises:
        ConfigurationError: The call needs a context and has none.
    """
    own = request.headers.keys() & ACTS_FOR
    for name in ACTS_FOR if own else ():
        if name not in own:
            headers.pop(name, None)
    if needs_context and not request.anonymous and "Stripe-Context" not in headers:
        problem = "is needed with the key of an organization; name the account, as in 'acct_A'"
        raise ConfigurationError("context", problem)


def account_of(headers: Mapping[str, str]) -> str | None:
    """Return the account whose limits count for a request; None for that of the key.

    The API counts what runs on an account, and a call runs on the last account of its context.

    Args:
        headers: All headers of the request.
    """
    account = headers.get("Stripe-Account")
    if account is None and (context := headers.get("Stripe-Context")) is not None:
        return context.rpartition("/")[2]
    return account


def named_in(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the account and the context that headers name; None for one that they do not.

    Args:
        headers: The headers of a request.
    """
    return headers.get("Stripe-Account"), headers.get("Stripe-Context")
