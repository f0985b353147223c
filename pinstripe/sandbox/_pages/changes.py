"""What an event changed: its `previous_attributes`, or how its object differs from the one before.

The API sends `previous_attributes` with updates only. For every other event the console compares
the object in it with the one in the event before it about the same object.
"""

from __future__ import annotations

from pinstripe.sandbox._state.table import Json, Query, replaced
from pinstripe.sandbox._state.world import EVENT, Account


def changes_of(account: Account, event: Json) -> Json | None:
    """Return the values before an event of what it changed; None for the first about its object."""
    data = event["data"]
    if "previous_attributes" in data:
        previous: Json = data["previous_attributes"]
        return previous
    query = Query(1, starting_after=event["id"], equals={"subject": data["object"].get("id")})
    found = account.tables[EVENT].find(query)
    if found is None or not found.objects:
        return None
    return replaced(found.objects[0]["data"]["object"], data["object"])
