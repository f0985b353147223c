"""Control routes of webhooks: wait for deliveries, list them, and repeat them.

Parameters, by path below `/_sandbox/`:

- `POST webhooks/flush`: none; waits until no attempt is running, and answers with
  `{"pending": count}`, the deliveries of the account that have another attempt later
- `POST webhooks/resend`: `event` (required, an id), `webhook_endpoint` (an id; without it the event
  goes to every endpoint that wants it); answers with the event
- `GET webhooks/deliveries`: `event`, `status`, `limit` and cursors; a list of deliveries. The
  `status` of one is `pending`, `sending`, `delivered`, `failed` or `dropped`. Each of its
  `attempts` has `at` (seconds), `status` (of the answer, null if there was none) and `error`
  (`connection`, `not_allowed`, `timeout` or null)
- `GET webhooks/deliveries/{delivery}`: none; the delivery, whose attempts also have the `request`
  (`url`, `headers` and `body`) and the `answer` (`status`, `headers` and the start of its `body`),
  each null if there was none
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import list_objects
from pinstripe.sandbox._http.routes import LIST_PARAMS, control_route
from pinstripe.sandbox._params.schema import STRING, Object, Word
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import EVENT
from pinstripe.sandbox._webhooks.delivery import (
    DELIVERY,
    exchanges_of,
    flush,
    schedule_deliveries,
)

_RESEND: Final = Object({"event": STRING, "webhook_endpoint": STRING}, required=("event",))
# What a list shows of an attempt.
_SHORT: Final = ("at", "error", "status")
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
    schedule_deliveries(call.account, event, call.params.get("webhook_endpoint"))
    return call.show(call.account.get(EVENT, event["id"]))


def _deliveries(call: Call) -> Json:
    """List the deliveries, newest first."""
    found = list_objects(call, DELIVERY, equals=("event", "status"))
    for delivery in found["data"]:
        delivery["attempts"] = [
            {name: attempt[name] for name in _SHORT} for attempt in delivery["attempts"]
        ]
    return found


def _delivery(call: Call) -> Json:
    """Show a delivery, and what each attempt sent and got."""
    delivery = call.account.get(DELIVERY, call.ids[0], "delivery")
    return {**delivery, "attempts": exchanges_of(call.account, delivery)}


ROUTES: Final = (
    control_route("POST", "webhooks/flush", _flush, Object({})),
    control_route("POST", "webhooks/resend", _resend, _RESEND),
    control_route("GET", "webhooks/deliveries", _deliveries, _DELIVERIES),
    control_route("GET", "webhooks/deliveries/{delivery}", _delivery),
)
