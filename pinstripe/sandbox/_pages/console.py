"""The console at `/`: everything that is in the sandbox and happens there, for a person.

The page is a shell; scripts under `/_sandbox/static/` fill it in by control routes, and do what a
person asks for by the requests of `actions`. Parameters, by path below `/_sandbox/`:

- `GET console`: none; what the scripts have to know: kinds of objects, private fields, refusals
- `GET objects/{kind}`: `limit` and cursors, `created`, and `filter`, an object of wanted values by
  field; a list of objects of a kind, with the `filters` that it takes and the values that each
  field has, if these are few and not private; for events with their `changes`
- `GET objects/{kind}/{id}`: none; one `object`, the `actions` that its state allows, and the
  `changes` that an event made (null for other kinds)

Objects are shown as they are stored, with every field: the fields that an answer of the API has
only for `expand` or for a restricted key, and secrets. The console looks by these routes and never
by those of the API. So to look changes nothing: it meets no fault and uses up no limit, and a
verification session keeps its client secret.
"""

from __future__ import annotations

from typing import Final

from yarl import URL

from pinstripe.sandbox._climate import stock
from pinstripe.sandbox._climate.catalogue import PRODUCT, SUPPLIER
from pinstripe.sandbox._http.auth import API_KEY
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import exclusive, find_objects
from pinstripe.sandbox._http.routes import LIST_PARAMS, Content, control_route, page_route
from pinstripe.sandbox._pages.actions import actions_of
from pinstripe.sandbox._pages.changes import changes_of
from pinstripe.sandbox._pages.privacy import private_fields, private_params
from pinstripe.sandbox._pages.refusals import refusals
from pinstripe.sandbox._pages.rendering import render
from pinstripe.sandbox._params.errors import Refusal, invalid, shortened
from pinstripe.sandbox._params.schema import METADATA, Object
from pinstripe.sandbox._state.clock import ManualClock
from pinstripe.sandbox._state.kinds import Kind
from pinstripe.sandbox._state.table import Json, Table
from pinstripe.sandbox._state.versions import API_VERSION
from pinstripe.sandbox._state.world import EVENT

# A field with more values than this is searched by a text and not by a choice.
MAX_CHOICES: Final = 20

_LIST: Final = Object({**LIST_PARAMS, "filter": METADATA})
# The key of a link that needs no other key.
_NOT_SEARCHED: Final = frozenset({"token"})
_WORDS: Final = {"true": True, "false": False}


def _open_console(call: Call) -> Content:
    address = URL(call.account.world.base_url)
    return render("console.html", address=str(address.origin()), url=address, key=API_KEY)


def _describe(call: Call) -> Json:
    """Describe the kinds of objects and what the console can do."""
    account = call.account
    return {
        "api_version": API_VERSION,
        "kinds": [
            {"name": kind.name, "prefix": kind.prefix} for kind in account.registry.kinds.values()
        ],
        "manual_clock": isinstance(account.settings.clock, ManualClock),
        "private": private_fields(),
        "private_params": sorted(private_params()),
        "refusals": refusals(),
    }


def _list_objects(call: Call) -> Json:
    """List the objects of a kind, newest first."""
    kind = _kind(call)
    table = call.account.tables[kind.name]
    exclusive(call, "starting_after", "ending_before")
    found = find_objects(call, kind.name, _wanted(kind, call.params.get("filter") or {}))
    events = found.objects if kind.name == EVENT else []
    return {
        "object": "list",
        "changes": [changes_of(call.account, event) for event in events],
        "data": found.objects,
        "filters": {name: _choices(table, name) for name in _searched(kind)},
        "has_more": found.has_more,
        "total": len(table),
        "url": call.path,
    }


def _show_object(call: Call) -> Json:
    """Show an object, the steps that fit it, and what changed it."""
    kind = _kind(call).name
    value = call.account.get(kind, call.ids[1])
    changes = changes_of(call.account, value) if kind == EVENT else None
    return {"object": value, "actions": actions_of(value), "changes": changes}


def _kind(call: Call) -> Kind:
    kind = call.account.registry.kinds.get(call.ids[0])
    if kind is None:
        raise Refusal(f"No such kind: '{shortened(call.ids[0])}'", status=404, param="kind")
    if kind.name in (PRODUCT, SUPPLIER):
        stock.fill(call.account)
    return kind


def _searched(kind: Kind) -> list[str]:
    return [name for name in kind.indexes if name not in _NOT_SEARCHED]


def _wanted(kind: Kind, texts: dict[str, str]) -> dict[str, object]:
    for name in texts:
        if name not in _searched(kind):
            path = f"filter[{name}]"
            text = f"Received unknown parameter: {shortened(path)}"
            raise invalid(text, path, "parameter_unknown")
    # `expired` of a link is the one field with a truth value.
    return {
        name: _WORDS.get(text, text) if name == "expired" else text for name, text in texts.items()
    }


def _choices(table: Table, name: str) -> list[str]:
    if name in private_params():
        return []
    values = table.values_of(name, MAX_CHOICES + 1)
    if len(values) > MAX_CHOICES:
        return []
    return sorted(
        str(value).lower() if isinstance(value, bool) else str(value)
        for value in values
        if value is not None
    )


ROUTES: Final = (
    page_route("GET", "/", _open_console),
    control_route("GET", "console", _describe),
    control_route("GET", "objects/{kind}", _list_objects, _LIST),
    control_route("GET", "objects/{kind}/{id}", _show_object),
)
