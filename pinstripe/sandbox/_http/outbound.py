"""Where the sandbox may send requests of its own: loopback, and what its owner allowed by name.

An address is judged by the very value that the request is sent with, so that nothing reads it in
two ways. Names are not looked up for that: `localhost` and literal loopback addresses are local,
any other name has to be allowed.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from yarl import URL


def read_url(text: str) -> URL | None:
    """Return an absolute http or https address, None where the text is not one."""
    try:
        url = URL(text)
        # Port and host are only read when they are asked for.
        usable = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        return None
    return url if usable and " " not in text and text.isprintable() else None


def is_loopback(url: URL) -> bool:
    """Say whether an address can only be this machine."""
    host = url.host or ""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def may_call(url: URL, allow_hosts: Collection[str]) -> bool:
    """Say whether the sandbox may send a request to an address.

    Args:
        url: the address.
        allow_hosts: names, in lower case, that are allowed beside loopback.
    """
    return is_loopback(url) or (url.host or "").lower() in allow_hosts
