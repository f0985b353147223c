"""Times as they are typed: dates and times of ISO 8601, in UTC if they name no offset."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from pinstripe.cli._words import shown

EXAMPLES: Final = "2026-01-31, 2026-01-31T08:00:00Z or 2026-01-31T08:00+02:00"
"""What messages and help show."""

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


if TYPE_CHECKING:
    TextType: TypeAlias = click.ParamType[Any, Any]
else:
    TextType = click.ParamType  # only newer versions of click know it as generic


class Time(TextType):
    """The type of an option that takes a time.

    Args:
        words: What it takes besides times; they are handed on as they are.
    """

    name = "time"

    def __init__(self, words: tuple[str, ...] = ()) -> None:
        self._words = words

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Return the time that a text says."""
        if not isinstance(value, str) or value in self._words:
            return value
        try:
            return read_time(value)
        except (ValueError, OverflowError):
            words = "".join(f", {word!r}" for word in self._words)
            self.fail(f"must be a date or a time{words}, such as {EXAMPLES}, not {shown(value)}")


def read_time(text: str) -> datetime:
    """Return the time that a text says, in UTC.

    Args:
        text: A date, or a date and a time.

    Raises:
        ValueError: It is neither.
        OverflowError: It is not in the years that Python counts.
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
    if text is None or text == "Z":
        return timedelta()
    digits = text.replace(":", "")
    hours, minutes = int(digits[1:3]), int(digits[3:] or "0")
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    east = timedelta(hours=hours, minutes=minutes)
    return -east if text.startswith("-") else east
