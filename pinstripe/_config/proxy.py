"""Which proxy a request goes through."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from pinstripe._core.errors import ConfigurationError
from pinstripe._core.values import Value

_PROXY = (  # not compiled before it is used
    r"(?:http://)?(?:(?P<user>[^\s:@/]+)(?::(?P<password>[^\s:@/]*))?@)?"
    r"(?P<address>(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)/?"
)


@frozen(eq=False, repr=False)
class Proxy(Value):
    """A proxy, with the name and password it wants to see.

    Attributes:
        url: Its address, without them.
        user: The name.
        password: The password.
    """

    url: str
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)


def parse_proxy(argument: str, value: Any) -> Proxy:
    """Return the proxy that an address names.

    Args:
        argument: The name to give in the error, which never repeats the address.
        value: Such as `http://user:password@proxy.example:3128`.

    Raises:
        ConfigurationError: It names none.
    """
    flags = re.IGNORECASE | re.ASCII
    found = re.fullmatch(_PROXY, value, flags) if isinstance(value, str) else None
    if found is None:
        problem = "must look like http://host:port or http://user:password@host:port"
        raise ConfigurationError(argument, problem)
    user = found["user"] and unquote(found["user"])
    return Proxy(f"http://{found['address']}", user, unquote(found["password"] or ""))


def proxy_for(url: str, setting: str | None) -> Proxy | None:
    """Return the proxy on the way to an address; None where there is none.

    The variables are those that curl reads for https: `https_proxy`, `all_proxy` and `no_proxy`,
    also in upper case. To plain http none of them applies: the proxy could read the key.

    Args:
        url: The address.
        setting: What the client was given: an address, `"environment"` or None.

    Raises:
        ConfigurationError: The value is not the address of a proxy.
    """
    if setting != "environment":
        return None if setting is None else parse_proxy("proxy", setting)
    parts = urlsplit(url)
    if parts.scheme.lower() != "https" or _is_exempt(parts.hostname or "", _variable("no_proxy")):
        return None
    address = _variable("https_proxy") or _variable("all_proxy")
    return parse_proxy("https_proxy", address) if address else None


def _variable(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""


def _is_exempt(host: str, exempt: str) -> bool:
    names = [name.strip().lower().lstrip(".") for name in exempt.split(",")]
    return any(name == "*" or f".{host}".endswith(f".{name}") for name in names if name)
