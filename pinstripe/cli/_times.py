"""Times as they are typed: dates and times of day in ISO 8601, in UTC if they name no offset."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import click

from pinstripe.cli._words import shown

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


TIME_EXAMPLES = "2026-01-31, 2026-01-31T08:00:00Z or 2026-01-31T08:00+02:00"
"""What the help of an option shows."""


def in_utc(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Read the time of an option; the callback of its parameter.

    Args:
        text: What was typed; None if the option was not given.

    Raises:
        click.BadParameter: It is no time.
    """
    try:
        return None if text is None else read_time(text)
    except (ValueError, OverflowError):
        problem = f"must be a date or a time, such as {TIME_EXAMPLES}, not {shown(text)}"
        raise click.BadParameter(problem) from None


def read_time(text: str) -> datetime:
    """Return a time in UTC.

    Args:
        text: A date, or a date and a time of day, with its offset if it is not in UTC.

    Raises:
        ValueError: It is neither.
        OverflowError: It is out of the range of times.
    """
    # `fromisoformat` reads more or less of ISO 8601, depending on the version of Python.
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    date, time, offset = found.groups()
    moment = datetime.fromisoformat(f"{date}T{_six_places(time or '00:00')}")
    return (moment - _offset(offset)).replace(tzinfo=timezone.utc)


def _six_places(time: str) -> str:
    whole, point, fraction = time.partition(".")
    return f"{whole}{point}{fraction:0<6}" if point else whole


def _offset(text: str | None) -> timedelta:
    if text in (None, "Z"):
        return timedelta()
    digits = text.replace(":", "")
    hours, minutes = int(digits[1:3]), int(digits[3:] or "0")
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    east = timedelta(hours=hours, minutes=minutes)
    return -east if text.startswith("-") else east
