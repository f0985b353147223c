"""Where the sandbox may send requests of its own: loopback, and hosts that its owner allowed.

The check has two halves. Before a request, it looks at the very `URL` that the request is sent
with, so that no second parser can read the address differently: `localhost` and literal loopback
addresses are local, any other name has to be allowed. Other ways to write an address, such as
`2130706433` or `0177.0.0.1`, are names like any other.

When the request connects, it looks at the address that the name was resolved to. `localhost` may
only be a loopback address. An allowed name may be any address of a machine, but no link-local one,
where clouds keep the credentials of a machine.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import aiohttp
from attrs import define
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
        return _address(host).is_loopback
    except ValueError:
        return False


def may_call(url: URL, allow_hosts: Collection[str]) -> bool:
    """Return whether the sandbox may send a request to an address, before its name is resolved.

    Args:
        url: The address.
        allow_hosts: Host names, in lower case, that are allowed besides loopback.
    """
    return is_loopback(url) or (url.host or "").lower() in allow_hosts


def may_connect(url: URL, address: str) -> bool:
    """Return whether a request that `may_call` permits may connect to an IP address.

    Args:
        url: The address of the request.
        address: The IP address that its host was resolved to.
    """
    found = _address(address)
    if is_loopback(url):
        return found.is_loopback
    return not (found.is_link_local or found.is_multicast or found.is_unspecified)


def _address(text: str) -> IPv4Address | IPv6Address:
    """Return an IP address; an IPv4 address inside an IPv6 one counts as what it stands for."""
    found = ip_address(text)
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


@define
class Way:
    """How one request connects: makes its sockets, and notes where they lead.

    Args:
        url: The address of the request.

    Attributes:
        address: The IP address that was last tried; "" before the first.
        refused: Whether an address was refused.
    """

    url: URL
    address: str = ""
    refused: bool = False

    def connector(self) -> aiohttp.TCPConnector:
        """Return a connector for this request alone.

        A connection that is kept alive can be dead when the next request uses it, and a POST must
        not be sent twice. Addresses are tried one after the other, so that the last one tried is
        the one that answered.
        """
        return aiohttp.TCPConnector(
            force_close=True, socket_factory=self._make, happy_eyeballs_delay=None
        )

    def _make(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        self.address = address[0]
        if not may_connect(self.url, self.address):
            self.refused = True
            raise PermissionError(f"{self.url.host} is at {self.address}")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made
