"""Keeps pages of other sites out: they run in the developer's browser, which reaches this machine.

A page of another site can send requests to any address, also to one on this machine. The sandbox
refuses them before anything else happens, for all routes alike, by what browsers say themselves:

- the `Host` header has to be a name of this sandbox. A page cannot use a name of its own that
  resolves to 127.0.0.1 (DNS rebinding);
- an `Origin` header has to be the sandbox itself. Browsers send one with everything but plain GETs,
  and no page can change it;
- `Sec-Fetch-Site`, where a browser sends it, may not name another site. The exception is a *visit*:
  a GET of a route that is open to browsers, such as a hosted page, `stripe.js` or a file link. A
  visit changes nothing, and the page that causes it cannot read the answer.

No answer asks for credentials (`WWW-Authenticate`): a browser would then send those of an address
like `http://sk_test_x@localhost:12111/`. Programs send the key without being asked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final

from multidict import istr

from pinstripe.sandbox._http.outbound import is_loopback_host
from pinstripe.sandbox._params.errors import Refusal

# Every request is looked at: names that are already folded save the folding of each look-up.
HOST: Final = istr("Host")
_ORIGIN: Final = istr("Origin")
_SITE: Final = istr("Sec-Fetch-Site")
_ELSEWHERE: Final = ("cross-site", "same-site")
_OTHER_SITE: Final = (
    "This request comes from a page of another site ({site}). The sandbox only takes requests from"
    " programs and from its own pages; call it from your server."
)


@lru_cache(maxsize=64)
def check_host(host: str, names: Collection[str] = ()) -> None:
    """Refuse a Host header that is not a name of this sandbox.

    Args:
        host: The header.
        names: The names besides loopback, in lower case; hashable.

    Raises:
        Refusal: 403.
    """
    name = host.rpartition(":")[0] if re.fullmatch(r".*:[0-9]{1,5}", host) else host
    name = name.strip("[]").lower()
    if not is_loopback_host(name) and name not in names:
        text = (
            "The sandbox only answers to loopback names such as localhost, and to the names that"
            " it was started with (--reachable-as)."
        )
        raise Refusal(text, status=403)


def check_site(headers: Mapping[str, str], *, visit: bool) -> None:
    """Refuse a request that a page of another site causes.

    Args:
        headers: The headers of a request whose Host was checked; names are case-insensitive.
        visit: Whether the request is a GET of a route that is open to browsers.

    Raises:
        Refusal: 403.
    """
    origin = headers.get(_ORIGIN)
    if origin is not None and origin.lower() != f"http://{headers.get(HOST, '').lower()}":
        raise Refusal(_OTHER_SITE.format(site="Origin"), status=403)
    if not visit and headers.get(_SITE) in _ELSEWHERE:
        raise Refusal(_OTHER_SITE.format(site="Sec-Fetch-Site"), status=403)
