"""Where the sandbox may send requests of its own: loopback, and hosts that its owner allowed.

The check looks at the very `URL` that the request is sent with, so that no second parser can read
the address differently. It never looks up a name: `localhost` and literal loopback addresses are
local, any other name has to be allowed.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from yarl import URL


def read_url(text: str) -> URL | None:
    """Return an absolute http or https address, or None if the text is not one."""
    try:
        url = URL(text)
        # yarl checks port and host only when they are read.
        usable = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        return None
    return url if usable and " " not in text and text.isprintable() else None


def is_loopback(url: URL) -> bool:
    """Return whether an address can only be this machine."""
    return is_loopback_host(url.host or "")


def is_loopback_host(host: str) -> bool:
    """Return whether a host can only be this machine.

    Args:
        host: A name or an IP address without brackets.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def may_call(url: URL, allow_hosts: Collection[str]) -> bool:
    """Return whether the sandbox may send a request to an address.

    Args:
        url: The address.
        allow_hosts: Host names, in lower case, that are allowed besides loopback.
    """
    return is_loopback(url) or (url.host or "").lower() in allow_hosts
