"""How many requests a second may be sent."""

from __future__ import annotations

from math import inf

from attrs import frozen

from pinstripe._core.values import Value


@frozen(kw_only=True, eq=False, repr=False)
class Rates(Value):
    """Requests a second at most; infinity where there is no limit.

    Attributes:
        account: All requests for an account.
        endpoint: Those to one endpoint.
        files: Reads of files, and writes.
        burst: So many seconds' worth of requests may go at once.
    """

    account: float = inf
    endpoint: float = inf
    files: float = inf
    burst: float = 0.5
