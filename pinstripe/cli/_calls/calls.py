"""The calls as the commands see them: rows of the table, with names for the columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from pinstripe.cli._calls.table import CALLS, GROUPS, WORDS

__all__ = ["BOUNDS", "EVENT_TYPES", "GROUPS", "Call", "Param", "call_of", "paths_below", "word"]

BOUNDS: Final = ("gt", "gte", "lt", "lte")
"""The bounds of a range of times."""

_ASKS: Final = ("redact", "delete", "cancel")
# Calls that cannot be undone, though their names do not say so, and why.
_ALSO_ASK: Final[Mapping[str, str]] = {"climate.orders.create": "it is paid at once"}


class Param(NamedTuple):
    """A parameter of a call.

    Attributes:
        path: Its name; the names on the path to it, joined by dots, if it is nested.
        kind: How it is typed: `text`, `decimal`, `integer`, `number`, `flag`, `time`, `range` of
            times, `list` of texts, `map` of texts, `file` to read, `path` to write, or `model`,
            which is given as an id.
        vocabulary: The name of the words that are known; of a model, the resource that has it.
        text: What it is.
        marks: `a` if it has a position and no name, `r` if the call needs it, `p` if it is private.
    """

    path: str
    kind: str
    vocabulary: str
    text: str
    marks: str

    @property
    def words(self) -> tuple[str, ...]:
        """The values that are known; the API can know more."""
        return WORDS.get(self.vocabulary, ())

    @property
    def has_position(self) -> bool:
        """Whether it is typed without a name."""
        return "a" in self.marks

    @property
    def shown(self) -> str:
        """How messages call it: by its place, or as an option."""
        return word(self.path).upper() if self.has_position else f"--{word(self.path)}"


class Call(NamedTuple):
    """A call of a client.

    Attributes:
        path: Its names from the client on, joined by dots.
        method: The HTTP method.
        gives: What it returns: a `list`, an `object`, `bytes`, or the `paths` of files.
        text: What it does, in paragraphs.
        params: Its parameters.
    """

    path: str
    method: str
    gives: str
    text: str
    params: tuple[Param, ...]

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.rpartition(".")[2]

    @property
    def consequence(self) -> str | None:
        """Why it asks first, whatever the key is; None if it does not."""
        return "this cannot be undone" if self.name in _ASKS else _ALSO_ASK.get(self.path)


def call_of(path: str) -> Call:
    """Return a call.

    Args:
        path: Its names from the client on, joined by dots.
    """
    method, gives, text, params = CALLS[path]
    return Call(path, method, gives, text, tuple(Param(*row) for row in params))


def paths_below(path: str) -> list[str]:
    """Return the paths of the namespaces, resources and calls right below one.

    Args:
        path: A path; empty for the client.
    """
    above = f"{path}." if path else ""
    known = (*GROUPS, *CALLS)
    return [one for one in known if one.startswith(above) and "." not in one[len(above) :]]


def word(name: str) -> str:
    """Return a name of Python as a word of the command line.

    Args:
        name: The name.
    """
    return name.replace("_", "-")


EVENT_TYPES: Final = next(
    param.words for param in call_of("events.list").params if param.path == "type"
)
"""The types of events whose objects have a model."""
