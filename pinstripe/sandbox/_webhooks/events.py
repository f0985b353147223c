"""The log of events as the API offers it: retrieve and list, for 30 days by the clock.

Choices where the published facts are silent: `*` in `type` matches any characters, and has no
special meaning in `types`; an event counts as delivered if no delivery is pending.

A ping of an event destination is an event of `/v2` alone, and is not in this log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import exclusive, list_objects
from pinstripe.sandbox._http.retention import get_recent, recent_range
from pinstripe.sandbox._http.routes import LIST_PARAMS, Route
from pinstripe.sandbox._params.errors import missing
from pinstripe.sandbox._params.schema import BOOLEAN, STRING, Array, Object
from pinstripe.sandbox._state.kinds import Kind
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import EVENT
from pinstripe.sandbox._v2.thin import PING

KINDS: Final = (
    Kind(
        EVENT,
        "evt_",
        indexes={
            "type": lambda value: value["type"],
            "subject": lambda value: value["data"]["object"].get("id"),
        },
    ),
)

_LIST: Final = Object(
    {
        **LIST_PARAMS,
        "delivery_success": BOOLEAN,
        "type": STRING,
        "types": Array(STRING, max_items=20),
    }
)


def _retrieve(call: Call) -> Json:
    event = get_recent(call, EVENT)
    if event["type"] == PING:
        raise missing(EVENT, event["id"], "id")
    return call.show(event)


def _list(call: Call) -> Json:
    exclusive(call, "type", "types")
    # A type without a wildcard is looked up in the index, and everything else event by event.
    equals = () if "*" in call.params.get("type", "*") else ("type",)
    return list_objects(
        call, EVENT, equals=equals, created=recent_range(call), matches=_condition(call)
    )


def _condition(call: Call) -> Callable[[Json], bool] | None:
    checks: list[Callable[[Json], bool]] = []
    if call.account.tables[EVENT].find_by("type", PING):
        checks.append(lambda event: event["type"] != PING)
    if "type" in call.params:
        parts = call.params["type"].split("*")
        checks.append(lambda event: matches_pattern(parts, event["type"]))
    if "types" in call.params:
        types = frozenset(call.params["types"])
        checks.append(lambda event: event["type"] in types)
    if "delivery_success" in call.params:
        delivered = call.params["delivery_success"]
        checks.append(lambda event: (event["pending_webhooks"] == 0) == delivered)
    return (lambda event: all(check(event) for check in checks)) if checks else None


def matches_pattern(parts: list[str], text: str) -> bool:
    """Report whether a text matches a pattern with wildcards.

    A regular expression could take exponential time for a hostile pattern. This takes one pass:
    the text starts with the first part, ends with the last part, and has the others in between, in
    order. Taking each at its first possible place leaves the most room for the rest.

    Args:
        parts: The pattern, split at its wildcards.
        text: The text.
    """
    first, *rest = parts
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last):
        return False
    position = len(first)
    for part in middle:
        position = text.find(part, position, len(text) - len(last))
        if position < 0:
            return False
        position += len(part)
    return text.endswith(last)


ROUTES: Final = (
    Route("GET", "/v1/events", _list, _LIST, EVENT, listed=True),
    Route("GET", "/v1/events/{id}", _retrieve, kind=EVENT),
)
