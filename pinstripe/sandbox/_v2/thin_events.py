"""The log of thin events as the API offers it: retrieve and list, for 30 days by the clock."""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.retention import is_recent, recent_range
from pinstripe.sandbox._http.routes import Route
from pinstripe.sandbox._params.schema import STRING, Array, Object, Params
from pinstripe.sandbox._state.table import Json, Query
from pinstripe.sandbox._state.world import EVENT
from pinstripe.sandbox._v2.pages import PAGE_PARAMS, show_page
from pinstripe.sandbox._v2.refusals import not_found
from pinstripe.sandbox._v2.thin import THIN, TYPES, stored_id, thin_event
from pinstripe.sandbox._v2.times import CREATED, range_of

_LIST: Final = Object(
    {
        **PAGE_PARAMS,
        "created": CREATED,
        "object_id": STRING,
        "types": Array(STRING, max_items=20),
    }
)


def _retrieve(call: Call) -> Json:
    id = stored_id(call.ids[0])
    event = None if id is None else call.account.tables[EVENT].get(id)
    if event is None or event["type"] not in TYPES or not is_recent(call, event):
        raise not_found(THIN, call.ids[0])
    return thin_event(event)


def _list(call: Call) -> Json:
    def query_of(params: Params) -> Query:
        wanted = TYPES.values() if "types" not in params else frozenset(params["types"])
        about = {"subject": params["object_id"]} if "object_id" in params else {}
        return Query(
            created=recent_range(call, range_of(params.get("created", {}))),
            equals=about,
            matches=lambda event: TYPES.get(event["type"]) in wanted,
        )

    return show_page(call, _LIST, EVENT, query_of, lambda event, _: thin_event(event))


ROUTES: Final = (
    Route("GET", "/v2/core/events", _list, _LIST),
    Route("GET", "/v2/core/events/{id}", _retrieve),
)
