"""Control routes that show what happens in the sandbox: its accounts, its requests, its changes.

They act on the whole sandbox and need a test key like any request. Parameters, by path below
`/_sandbox/`:

- `GET accounts`: none; `{"accounts": [...]}`, each with its `id` (null for the account of the API
  key) and the number of its `objects` by kind
- `GET requests`: `limit` (default 50), `before` and `after` (numbers of requests); `{"requests":
  [...], "has_more": ...}`, newest first, of the last 1000 requests to the API
- `DELETE requests`: none; forgets all of them
- `GET stream`: none; server-sent events of the type `change`, each with `changed`, a list of
  `account` and `topic` (a kind of object, `clock`, `faults` or `requests`), and the time `now`.
  What changed within a tenth of a second comes in one event; an idle stream has a comment every
  fifteen seconds. It ends when the sandbox stops

Requests to `/_sandbox/` and to pages are not in the log: they are the sandbox's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Stream, control_route
from pinstripe.sandbox._params.schema import Integer, Object
from pinstripe.sandbox._state.clock import ManualClock
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import World
from pinstripe.sandbox._traffic.feed import CLOCK, REQUESTS, Change
from pinstripe.sandbox._traffic.request_log import MAX_ENTRIES

DEFAULT_LIMIT: Final = 50
# In seconds of real time: between two events, and between two signs of life.
PAUSE: Final = 0.1
HEARTBEAT: Final = 15.0

_NUMBER: Final = Integer(0, 10**15)
_REQUESTS: Final = Object({"limit": Integer(1, MAX_ENTRIES), "before": _NUMBER, "after": _NUMBER})


def _list_accounts(call: Call) -> Json:
    """List the accounts in use."""
    accounts = [
        {"id": account.id, "objects": {name: len(table) for name, table in account.tables.items()}}
        for account in call.account.world.accounts()
    ]
    return {"accounts": accounts}


def _list_requests(call: Call) -> Json:
    """List the latest requests to the API, newest first."""
    limit = call.params.get("limit", DEFAULT_LIMIT)
    found = call.account.world.requests.find(
        limit=limit + 1, before=call.params.get("before"), after=call.params.get("after", 0)
    )
    shown = [entry.as_json() for entry in found[:limit]]
    return {"requests": shown, "has_more": len(found) > limit}


def _clear_requests(call: Call) -> Json:
    """Forget the requests."""
    call.account.world.requests.clear()
    call.account.world.feed.publish(None, REQUESTS)
    return _list_requests(call)


def _stream(call: Call) -> Stream:
    """Follow what changes, as server-sent events."""
    return Stream(_follow(call.account.world))


async def _follow(world: World) -> AsyncGenerator[bytes, None]:
    clock, loop = world.settings.clock, asyncio.get_running_loop()
    with world.feed.follow() as follower:
        # The clock may be advanced in any thread.
        unwatch = (
            clock.watch(lambda: loop.call_soon_threadsafe(follower.note, (None, CLOCK)))
            if isinstance(clock, ManualClock)
            else lambda: None
        )
        try:
            yield _event(world, [])
            while not follower.closed:
                changes = await follower.changes(HEARTBEAT)
                if not follower.closed:
                    yield _event(world, changes) if changes else b": idle\n\n"
                    await asyncio.sleep(PAUSE)
        finally:
            unwatch()


def _event(world: World, changes: list[Change]) -> bytes:
    changed = [{"account": account, "topic": topic} for account, topic in changes]
    data = msgspec.json.encode({"changed": changed, "now": world.settings.clock()})
    return b"event: change\ndata: " + data + b"\n\n"


ROUTES: Final = (
    control_route("GET", "accounts", _list_accounts),
    control_route("GET", "requests", _list_requests, _REQUESTS),
    control_route("DELETE", "requests", _clear_requests),
    control_route("GET", "stream", _stream),
)
