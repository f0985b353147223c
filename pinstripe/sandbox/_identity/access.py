"""How a person opens a session: its client secret and its address, which end and work once.

Each retrieve of a session that waits for input gives a new secret and a new address, and nobody
knows how many are under way. So none is stored: a session has one key, and a secret or address
carries its time and a MAC of it under the key. A step of the session draws a new key, so that
whatever was made before works no longer.

Choice where the published facts are silent: a new secret or address does not end the earlier ones,
since a shop may retrieve the session while its user is on the page.
"""

from __future__ import annotations

import hashlib
from typing import Final

from pinstripe.sandbox._state.kinds import Field
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account

PAGE: Final = "/_sandbox/verify/"
FIELDS: Final = {"access_key": Field(private=True), "return_url": Field(private=True)}

_SECRET: Final = "_secret_test_"  # noqa: S105 -- what stands between an id and its secret
_URL: Final = "test_"
# How long they work, in seconds: a secret 24 hours, an address 48 hours.
_LIFETIMES: Final = {_SECRET: 24 * 60 * 60, _URL: 48 * 60 * 60}
# Ten hexadecimal digits hold every time that the clock can show.
_TIME: Final = 10
_NONCE: Final = 8
_MAC: Final = 16
_PREFIX: Final = "vs_"


def new_access(account: Account, id: str) -> Json:
    """Return a new key, client secret and address of a session; earlier ones end.

    Args:
        account: The account that stores the session.
        id: The id of the session.
    """
    return renew_access(account, {"id": id, "access_key": account.random_text(16)})


def renew_access(account: Account, value: Json) -> Json:
    """Return another client secret and address of a session, beside the earlier ones.

    Args:
        account: The account that stores the session.
        value: The session.
    """
    id, key = value["id"], value["access_key"]
    made = f"{account.timestamp():0{_TIME}x}{account.random_text(_NONCE)}"
    secret, url = made + _mac(key, _SECRET, made), made + _mac(key, _URL, made)
    return {
        "access_key": key,
        "client_secret": f"{id}{_SECRET}{secret}",
        "url": f"{account.world.base_url}{PAGE}{_URL}{id.removeprefix(_PREFIX)}{url}",
    }


def no_access() -> Json:
    """Return the fields of a session that nobody can open."""
    return {"access_key": None, "client_secret": None, "url": None}


def is_secret(token: str) -> bool:
    """Return whether a token is a client secret, and not the end of an address."""
    return _SECRET in token


def session_id(token: str) -> str:
    """Return the id of the session that a token belongs to.

    Args:
        token: A client secret, or the last segment of an address.
    """
    if is_secret(token):
        return token.partition(_SECRET)[0]
    return _PREFIX + token.removeprefix(_URL)[: -len(_rest_of(token))]


def opens(account: Account, value: Json, token: str) -> bool:
    """Return whether a token still opens its session.

    Args:
        account: The account that stores the session.
        value: The session.
        token: A client secret, or the last segment of an address.
    """
    use, rest = _SECRET if is_secret(token) else _URL, _rest_of(token)
    key, made = value["access_key"], rest[: _TIME + _NONCE]
    if key is None or rest != made + _mac(key, use, made):
        return False
    return account.now() < int(made[:_TIME], 16) + _LIFETIMES[use]


def _mac(key: str, use: str, made: str) -> str:
    digest = hashlib.blake2b((use + made).encode(), key=key.encode(), digest_size=_MAC // 2)
    return digest.hexdigest()


def _rest_of(token: str) -> str:
    return token[-(_TIME + _NONCE + _MAC) :]
