"""How many requests a second may be sent: three rates and a burst."""

from __future__ import annotations

from math import inf

from attrs import frozen

from pinstripe._core.values import Value
from pinstripe._limits.budget import SharedBudget


@frozen(kw_only=True, eq=False, repr=False)
class Rates(Value):
    """The most requests a second; infinity stands for no limit.

    Attributes:
        account: All requests for one account.
        endpoint: The requests to one endpoint.
        files: The reads of files, and as many writes.
        burst: Seconds; after a pause, the requests of so many seconds may be sent at once.
        shared: The budget that several processes share; None for limits of each event loop.
    """

    account: float = inf
    endpoint: float = inf
    files: float = inf
    burst: float = 0.5
    shared: SharedBudget | None = None
