"""A platform for exports in parts: lists of many accounts, answered by a transport in memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

import pinstripe
from pinstripe import Request, Response
from pinstripe.export._part import time_of

NEWEST = 1_780_000_000
UNTIL = time_of(NEWEST + 1)


class Platform:
    """Verification sessions of some accounts, as a transport; None is the account of the key.

    Args:
        accounts: The age of each session, in seconds; or how many there are, one a second.
        status: The status of each answer.
    """

    def __init__(
        self, accounts: Mapping[str | None, int | Sequence[int]], *, status: int = 200
    ) -> None:
        self._ages = {
            account: list(range(ages)) if isinstance(ages, int) else sorted(ages)
            for account, ages in accounts.items()
        }
        self.counts = {account: len(ages) for account, ages in self._ages.items()}
        self.status = status
        self.asked: list[tuple[str | None, dict[str, str]]] = []
        self.broken: set[str | None] = set()
        self.fail_after: int | None = None
        self.unfit: set[int] = set()

    async def send(self, request: Request, **_: Any) -> Response:
        account = request.headers.get("Stripe-Account")
        query = dict(parse_qsl(request.query))
        self.asked.append((account, query))
        late = self.fail_after is not None and len(self.asked) > self.fail_after
        if late or account in self.broken:
            return Response(status=500, headers={}, body=b"{}")
        body = self.page(account, query) if self.status == 200 else b"{}"
        return Response(status=self.status, headers={}, body=body)

    async def aclose(self) -> None:
        """There is nothing to close."""

    def page(self, account: str | None, query: Mapping[str, str]) -> bytes:
        ages = self._ages[account]
        begin, end = 0, len(ages)
        for name, second in query.items():
            if name in ("created[lte]", "created[lt]"):
                newest = int(second) - (name == "created[lt]")
                begin = max(begin, bisect_left(ages, NEWEST - newest))
            if name == "created[gte]":
                end = bisect_left(ages, NEWEST - int(second) + 1)
        if "starting_after" in query:
            begin = int(query["starting_after"].rpartition("_")[2]) + 1
        last = min(end, begin + int(query["limit"]))
        data = [
            {
                "id": f"vs_{account or 'own'}_{n}",
                "object": "identity.verification_session",
                "created": NEWEST - ages[n],
                "livemode": "perhaps" if n in self.unfit else False,
                "status": "verified",
                "type": "document",
                "metadata": {},
            }
            for n in range(begin, last)
        ]
        return msgspec.json.encode({"object": "list", "data": data, "has_more": last < end})


def platform_client(platform: Platform) -> pinstripe.AsyncClient:
    fast = pinstripe.RetryPolicy(max_attempts=1)
    return pinstripe.AsyncClient("sk_test_x", transport=platform, retry=fast, rate_limit=None)
