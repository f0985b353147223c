"""Control routes of the sandbox as a whole: whether it runs, and a fresh start.

Choices: `reset` without a `Stripe-Account` header forgets every account, the faults and the
effects, and sets the rate limits as they were at the start; with the header, or with the `scope`
`account`, it forgets the account of the request only, so that tests that run at the same time, each
in an account of its own, do not disturb each other. The clock stays as it is, since it never goes
back, and ids never repeat.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import control_route, page_route
from pinstripe.sandbox._http.slices import SLICE_SECONDS
from pinstripe.sandbox._params.schema import Object, Word
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.versions import API_VERSION

_RESET: Final = Object({"scope": Word(("all", "account"))})


def _health(call: Call) -> Json:
    """Say that the sandbox runs."""
    return {"status": "ok", "api_version": API_VERSION, "now": call.account.now()}


def _reset(call: Call) -> Json:
    """Forget everything, or the account of the request."""
    account = call.account
    scope = call.params.get("scope", "all" if account.id is None else "account")
    _release(account.world.reset(*([account] if scope == "account" else [])))
    return {"scope": scope}


def _release(steps: Iterator[None]) -> None:
    """Give the memory of what is gone back, in slices, while others have their turn."""
    end = time.perf_counter() + SLICE_SECONDS
    for _ in steps:
        if time.perf_counter() >= end:
            asyncio.get_running_loop().call_soon(_release, steps)
            return


HEALTH: Final = page_route("GET", "/_sandbox/health", _health)
ROUTES: Final = (
    HEALTH,
    control_route("POST", "reset", _reset, _RESET),
)
