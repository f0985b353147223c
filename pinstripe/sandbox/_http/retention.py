"""Objects that the API shows for 30 days, by the clock: events and forwarded requests.

An older object stays stored, but it cannot be retrieved and is left out of lists.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._params.errors import missing
from pinstripe.sandbox._params.schema import TimeRange
from pinstripe.sandbox._state.table import Json

# For events this is published (docs.stripe.com/api/events). For forwarded requests the sandbox
# chooses the same.
RETENTION_SECONDS: Final = 30 * 24 * 60 * 60


def get_recent(call: Call, kind: str) -> Json:
    """Return the object that a path names.

    Raises:
        Refusal: 404 if there is none, or if it is too old.
    """
    value = call.account.get(kind, call.ids[0], "id")
    if not is_recent(call, value):
        raise missing(kind, value["id"], "id")
    return value


def is_recent(call: Call, value: Json) -> bool:
    """Return whether an object is not too old to be shown."""
    return bool(value["created"] >= _oldest(call))


def recent_range(call: Call, asked: TimeRange | None = None) -> TimeRange:
    """Return the `created` filter of a list, without the time that is too old.

    Args:
        call: The call.
        asked: The filter; by default that of the parameters.
    """
    wanted: TimeRange = asked or call.params.get("created") or TimeRange()
    return TimeRange(max(wanted.start, _oldest(call)), wanted.end)


def _oldest(call: Call) -> int:
    return max(0, call.account.timestamp() - RETENTION_SECONDS)
