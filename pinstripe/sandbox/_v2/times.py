"""Times as `/v2` has them: RFC 3339 text in place of seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

from attrs import frozen

from pinstripe.sandbox._params.errors import invalid, shortened
from pinstripe.sandbox._params.forms import Tree
from pinstripe.sandbox._params.schema import STRING, Object, TimeRange

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def shown(seconds: float) -> str:
    """Return a time as an answer shows it: in UTC, with milliseconds.

    Args:
        seconds: Seconds since the epoch.
    """
    whole = _EPOCH + timedelta(milliseconds=math.floor(seconds * 1000))
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(text: str) -> Decimal | None:
    """Return the seconds since the epoch of an RFC 3339 text, or None if it is none.

    Args:
        text: The text.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
    east = 0
    if found[9]:
        east = (int(found[10]) * 60 + int(found[11])) * (60 if found[9] == "+" else -60)
    since = (moment - _EPOCH) // timedelta(seconds=1) - east
    return since + Decimal(f"0{found[7] or ''}")


@frozen
class Instant:
    """A time, as RFC 3339 text."""

    def read(self, raw: Tree, path: str) -> str:
        """Return the text."""
        text = STRING.read(raw, path)
        if seconds_of(text) is None:
            problem = "must be a time such as 2026-03-04T05:06:07.089Z"
            raise invalid(f"Invalid {shortened(path)}: {problem}", path)
        return text


CREATED: Final = Object(dict.fromkeys(("gt", "gte", "lt", "lte"), Instant()))


def range_of(bounds: Mapping[str, str]) -> TimeRange:
    """Return the whole seconds that a filter lets through.

    Args:
        bounds: Texts that `CREATED` has read.
    """
    at = {name: seconds_of(text) or Decimal() for name, text in bounds.items()}
    starts = [math.ceil(at["gte"])] if "gte" in at else []
    starts += [math.floor(at["gt"]) + 1] if "gt" in at else []
    ends = [math.ceil(at["lt"])] if "lt" in at else []
    ends += [math.floor(at["lte"]) + 1] if "lte" in at else []
    everything = TimeRange()
    return TimeRange(max([0, *starts]), min([everything.end, *ends]))
