"""Which proxy a request goes through: the one of the client, or one of the environment."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from pinstripe._core.checks import is_host
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.values import Value

# Text, not a compiled pattern: few programs use a proxy, and compiling delays the import of all.
_PROXY = (
    r"(?:http://)?(?:(?P<user>[^\s:@/]+)(?::(?P<password>[^\s:@/]*))?@)?"
    r"(?P<address>(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)/?"
)


@frozen(eq=False, repr=False)
class Proxy(Value):
    """A proxy, and the credentials for it.

    Attributes:
        url: The address, without credentials.
        user: The user name; None if it needs none.
        password: The password.
    """

    url: str
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)


def parse_proxy(argument: str, value: Any) -> Proxy:
    """Return the proxy of an address.

    Args:
        argument: The name to give in the error, which never repeats the address.
        value: Such as `http://user:password@proxy.example:3128`.

    Raises:
        ConfigurationError: It is not the address of a proxy.
    """
    flags = re.IGNORECASE | re.ASCII
    found = re.fullmatch(_PROXY, value, flags) if isinstance(value, str) else None
    address = "" if found is None else re.sub(r":[0-9]*$", "", found["address"])
    if found is None or not is_host(address):
        problem = "must look like http://host:port or http://user:password@host:port"
        raise ConfigurationError(argument, problem)
    user = found["user"] and unquote(found["user"])
    return Proxy(f"http://{found['address']}", user, unquote(found["password"] or ""))


def proxy_for(url: str, setting: str | None) -> Proxy | None:
    """Return the proxy for requests to an address; None if there is none.

    The variables are those that curl reads for https: `https_proxy`, `all_proxy` and `no_proxy`,
    also in upper case. None of them applies to plain http: the proxy could read the key.

    https://everything.curl.dev/usingcurl/proxies/env.html

    Args:
        url: The address.
        setting: The `proxy` of the client: an address, `"environment"` or None.

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
    # Like curl: `example.com` and `.example.com` both mean the host and all of its subdomains.
    names = [name.strip().lower().lstrip(".") for name in exempt.split(",")]
    return any(name == "*" or f".{host}".endswith(f".{name}") for name in names if name)
