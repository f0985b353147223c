"""The sandbox's own endpoints for webhooks: what was delivered, now and again.

Parameters, by path:

- `POST webhooks/flush`: none; answers when nothing is under way, with `{"pending": count}`, how
  many deliveries of the account wait for another attempt
- `POST webhooks/resend`: `event` (required, an id); answers with the event
- `GET webhooks/deliveries`: `event`, `status`, `limit` and cursors; a list of deliveries. The
  `status` of one is `pending`, `sending`, `delivered`, `failed` or `dropped`; each of its
  `attempts` has `at` (seconds), `status` (of the answer, null where none came) and `error`
  (`connection`, `not_allowed`, `timeout` or null)
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox.delivery import DELIVERY, flush, plan_deliveries
from pinstripe.sandbox.listing import list_objects
from pinstripe.sandbox.routes import LIST_PARAMS, Handler, Route
from pinstripe.sandbox.schema import STRING, Object, Word
from pinstripe.sandbox.store import Json
from pinstripe.sandbox.world import EVENT, Call

_RESEND: Final = Object({"event": STRING}, required=("event",))
_DELIVERIES: Final = Object(
    {
        **LIST_PARAMS,
        "event": STRING,
        "status": Word(("pending", "sending", "delivered", "failed", "dropped")),
    }
)


async def _flush(call: Call) -> Json:
    await flush(call.account.world)
    return {"pending": len(call.account.tables[DELIVERY].having("status", "pending"))}


def _resend(call: Call) -> Json:
    event = call.account.get(EVENT, call.params["event"], "event")
    plan_deliveries(call.account, event)
    return call.show(call.account.get(EVENT, event["id"]))


def _deliveries(call: Call) -> Json:
    return list_objects(call, DELIVERY, equals=("event", "status"))


def _route(method: str, path: str, handler: Handler, params: Object) -> Route:
    return Route(method, f"/_sandbox/webhooks/{path}", handler, params, control=True)


ROUTES: Final = (
    _route("POST", "flush", _flush, Object({})),
    _route("POST", "resend", _resend, _RESEND),
    _route("GET", "deliveries", _deliveries, _DELIVERIES),
)
