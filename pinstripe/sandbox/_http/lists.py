"""Answers list endpoints: cursors, filters and the list envelope.

Choices of the sandbox, because the published facts are silent: a cursor that no stored object has
is a 400 `resource_missing` that names the parameter. Both cursors at once are a 400 without a code
and a parameter, and a `limit` out of range counts as the nearest one: this was seen at the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._params.errors import invalid, missing
from pinstripe.sandbox._params.schema import TimeRange
from pinstripe.sandbox._state.table import Json, Query, TablePage

# https://docs.stripe.com/api/pagination
DEFAULT_LIMIT = 10


def list_objects(
    call: Call,
    kind: str,
    *,
    equals: tuple[str, ...] = (),
    created: TimeRange | None = None,
    matches: Callable[[Json], bool] | None = None,
) -> Json:
    """Return the list envelope that a call asks for.

    Args:
        call: The call; its limit, starting_after, ending_before, created and the filters are read.
        kind: The name of the kind of the elements.
        equals: The filter parameters, each with the name of an index of the kind.
        created: A range of seconds in place of the one in the parameters.
        matches: Another condition on an element.

    Raises:
        Refusal: 400, for a cursor that is not stored or for two cursors.
    """
    params = call.params
    if "starting_after" in params and "ending_before" in params:
        raise invalid("You may only specify one of starting_after and ending_before.")
    wanted = {name: params[name] for name in equals if name in params}
    found = find_objects(call, kind, wanted, created=created, matches=matches)
    data = [call.show(value) for value in found.objects]
    return {"object": "list", "data": data, "has_more": found.has_more, "url": call.path}


def find_objects(
    call: Call,
    kind: str,
    equals: Mapping[str, object],
    *,
    created: TimeRange | None = None,
    matches: Callable[[Json], bool] | None = None,
) -> TablePage:
    """Return the stored objects of the page that a call asks for.

    Args:
        call: The call; its limit, starting_after, ending_before and created are read.
        kind: The name of the kind of the objects.
        equals: The wanted values, by the names of indexes of the kind.
        created: As for `list_objects`.
        matches: As for `list_objects`.

    Raises:
        Refusal: 400, for a cursor that is not stored.
    """
    params = call.params
    query = Query(
        limit=params.get("limit", DEFAULT_LIMIT),
        starting_after=params.get("starting_after"),
        ending_before=params.get("ending_before"),
        created=created or params.get("created") or TimeRange(),
        equals=equals,
        matches=matches,
    )
    found = call.account.tables[kind].find(query)
    if found is None:
        cursor = "ending_before" if query.ending_before else "starting_after"
        raise missing(kind, params[cursor], cursor, status=400)
    return found


def exclusive(call: Call, first: str, second: str, code: str = "parameters_exclusive") -> None:
    """Refuse a call that has two parameters which exclude each other.

    Raises:
        Refusal: 400, if the call has both.
    """
    if first in call.params and second in call.params:
        raise invalid(f"You may only specify one of {first} and {second}.", first, code)
