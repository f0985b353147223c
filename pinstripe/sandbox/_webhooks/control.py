"""Control routes of webhooks: wait for deliveries, list them, and repeat them.

Parameters, by path below `/_sandbox/`:

- `POST webhooks/flush`: none; waits until no attempt is running, and answers with
  `{"pending": count}`, the deliveries of the account that have another attempt later
- `POST webhooks/resend`: `event` (required, an id); answers with the event
- `GET webhooks/deliveries`: `event`, `status`, `limit` and cursors; a list of deliveries. The
  `status` of one is `pending`, `sending`, `delivered`, `failed` or `dropped`. Each of its
  `attempts` has `at` (seconds), `status` (of the answer, null if there was none) and `error`
  (`connection`, `not_allowed`, `timeout` or null)
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import list_objects
from pinstripe.sandbox._http.routes import LIST_PARAMS, control_route
from pinstripe.sandbox._params.schema import STRING, Object, Word
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import EVENT
from pinstripe.sandbox._webhooks.delivery import DELIVERY, flush, schedule_deliveries

_RESEND: Final = Object({"event": STRING}, required=("event",))
_DELIVERIES: Final = Object(
    {
        **LIST_PARAMS,
        "event": STRING,
        "status": Word(("pending", "sending", "delivered", "failed", "dropped")),
    }
)


async def _flush(call: Call) -> Json:
    """Wait until no delivery is under way."""
    await flush(call.account.world)
    return {"pending": len(call.account.tables[DELIVERY].find_by("status", "pending"))}


def _resend(call: Call) -> Json:
    """Deliver an event again."""
    event = call.account.get(EVENT, call.params["event"], "event")
    schedule_deliveries(call.account, event)
    return call.show(call.account.get(EVENT, event["id"]))


def _deliveries(call: Call) -> Json:
    """List the deliveries, newest first."""
    return list_objects(call, DELIVERY, equals=("event", "status"))


ROUTES: Final = (
    control_route("POST", "webhooks/flush", _flush, Object({})),
    control_route("POST", "webhooks/resend", _resend, _RESEND),
    control_route("GET", "webhooks/deliveries", _deliveries, _DELIVERIES),
)
