"""Placeholders, such as `[email 1]`: a cassette has them in place of private values.

A placeholder has the name of a field and a number. The name is that of the field where the value
was seen first. Each value with that name has its own number. So a value has the same placeholder
everywhere, and the placeholder tells nothing about it. If the value is not plain text, the
placeholder also names its kind, as in `[year 1: integer]`. A replay then invents a value of it.

Short numbers, such as the day of a date, are the same value only under the same name: that a month
and a day are both 3 means nothing, and the next run of the test may have another date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from datetime import date, timedelta
from itertools import count
from typing import Any, Final

from attrs import frozen

_PLACEHOLDER: Final = re.compile(r"\[(\w+) ([1-9][0-9]{0,5})(?:: ([a-z0-9 ]+))?\]", re.ASCII)
_SHORT: Final = re.compile(r"[0-9]{1,5}|.{0,2}", re.ASCII | re.DOTALL)
_FIRST_DAY: Final = date(1901, 1, 1)
_DAYS: Final = 365 * 99
_FILLER: Final = b"This content was private. "


@frozen
class Placeholder:
    """What a placeholder in a cassette says.

    Attributes:
        name: The name of the field.
        number: Which of the values of that name.
        kind: What the value is; None for plain text.
    """

    name: str
    number: int
    kind: str | None = None

    @property
    def label(self) -> str:
        """The name and the number, which identify the value; the kind does not."""
        return f"{self.name} {self.number}"

    def __str__(self) -> str:
        return f"[{self.label}: {self.kind}]" if self.kind else f"[{self.label}]"

    @property
    def invented(self) -> Any:
        """A value of the same kind, another one for each placeholder."""
        if self.kind is None:
            return str(self)
        if self.kind.endswith(" bytes"):
            size = int(self.kind.partition(" ")[0])
            return (_FILLER * (size // len(_FILLER) + 1))[:size]
        invent = _INVENTED.get(self.kind)
        return invent(self.name, self.number) if invent else str(self)

    def typed(self, value: Any) -> Any:
        """Return the value that a request sent for it, as an answer holds it.

        Args:
            value: The value: text, if it came in a form.
        """
        try:
            return int(value) if self.kind == "integer" else value
        except ValueError:
            return self.invented


def placeholder_in(value: Any) -> Placeholder | None:
    """Return the placeholder that a value of a cassette is; None if it is none.

    Args:
        value: A value of a request or an answer.
    """
    found = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return found and _placeholder(found)


def replace_placeholders(text: str, replacement: Callable[[Placeholder], str]) -> str:
    """Return a text with something in place of each placeholder in it.

    Args:
        text: A text of a cassette.
        replacement: Returns the text to put in place of a placeholder.
    """
    return _PLACEHOLDER.sub(lambda found: replacement(_placeholder(found)), text)


def _placeholder(found: re.Match[str]) -> Placeholder:
    return Placeholder(found[1], int(found[2]), found[3])


def _whole_number(name: str, number: int) -> int:
    # The parts of a date make a date that exists.
    bounds = {"day": 28, "month": 12}
    return 1900 + number if name == "year" else (number - 1) % bounds.get(name, 10**6) + 1


def _day(_: str, number: int) -> str:
    return (_FIRST_DAY + timedelta(days=(number - 1) % _DAYS)).isoformat()


_INVENTED: Final[Mapping[str, Callable[[str, int], Any]]] = {
    "boolean": lambda _, __: False,
    "integer": _whole_number,
    "number": lambda _, number: number + 0.5,
    "decimal": lambda _, number: f"{number}.00",
    "date": _day,
    "time": lambda name, number: f"{_day(name, number)}T00:00:00Z",
    "url": lambda name, number: f"https://private.invalid/{name}/{number}",
    "secret": lambda _, number: f"whsec_private{number}",
    "address": lambda name, number: f"{name}-{number}@private.invalid",
}
"""What each kind of value is replaced with in a replay."""

_TEXTS: Final = {
    "decimal": re.compile(r"-?[0-9]+\.[0-9]+"),
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "time": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+)"),
    "url": re.compile(r"https?://\S+"),
    "secret": re.compile(r"whsec_\w+"),
    "address": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
}
"""How texts look that a program may parse; addresses are of email, secrets of webhooks."""


def _kind_of(value: Any) -> str | None:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "integer" if isinstance(value, int) else "number"
    return next((kind for kind, look in _TEXTS.items() if look.fullmatch(value)), None)


def as_text(value: Any) -> str:
    """Return a plain value as a form holds it.

    Args:
        value: Text, a number or a bool.
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def _comparable(value: Any) -> Any:
    return value if isinstance(value, bytes) else as_text(value)


def identity(name: str, value: Any) -> Hashable:
    """Return what tells a private value, or the content of a file, from others.

    Args:
        name: The name of the field or of the placeholder.
        value: The value.
    """
    if isinstance(value, bytes):
        return value
    text = as_text(value)
    return (name, text) if _SHORT.fullmatch(text) else text


class Placeholders:
    """Hands out placeholders.

    Attributes:
        texts: The private texts so far, by the labels of their placeholders.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._labels: dict[Hashable, tuple[str, int]] = {}
        self._numbers: dict[str, count[int]] = {}

    def knows(self, name: str, value: Any) -> bool:
        """Return whether a value has been private before.

        Args:
            name: The name of its field.
            value: The value.
        """
        return identity(_named(name), value) in self._labels

    def text_for(self, name: str, value: Any) -> str:
        """Return the placeholder of a private value, as text.

        Args:
            name: The name of its field.
            value: The value.
        """
        name = _named(name)
        is_same = identity(name, value)
        if is_same not in self._labels:
            number = next(self._numbers.setdefault(name, count(1)))
            self._labels[is_same] = name, number
            if not isinstance(value, bytes):
                self.texts[f"{name} {number}"] = as_text(value)
        return str(Placeholder(*self._labels[is_same], _kind_of(value)))


def _named(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)[:40] or "value"


class Values:
    """What the requests of a replay sent in place of the placeholders of a cassette."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._labels: dict[Hashable, str] = {}

    def copy(self) -> Values:
        """Return values that can be added to while the others stay as they are."""
        made = Values()
        made._values, made._labels = self._values.copy(), self._labels.copy()
        return made

    def accepts(self, placeholder: Placeholder, value: Any) -> bool:
        """Return whether a placeholder can stand for a value, and note that it does.

        Args:
            placeholder: A placeholder of a recorded request.
            value: What the request of the replay has in its place.
        """
        invented = placeholder_in(value)
        if invented is not None:  # what an answer of this replay had is sent again
            return invented.label == placeholder.label
        if _comparable(value) == _comparable(placeholder.invented):
            return True
        is_same = identity(placeholder.name, value)
        label = self._labels.setdefault(is_same, placeholder.label)
        known = self._values.setdefault(label, value)
        return label == placeholder.label and identity(placeholder.name, known) == is_same

    def value_of(self, placeholder: Placeholder) -> Any:
        """Return the value to put in place of a placeholder, in an answer of a replay.

        Args:
            placeholder: A placeholder of a recorded answer.
        """
        sent = self.sent_for(placeholder)
        return placeholder.invented if sent is None else placeholder.typed(sent)

    def sent_for(self, placeholder: Placeholder) -> Any:
        """Return what a request sent for a placeholder; None if none has.

        Args:
            placeholder: A placeholder.
        """
        return self._values.get(placeholder.label)
