"""Where data did not fit a type, and why; in words that quote no value of the data."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from cattrs import BaseValidationError

MISFITS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)
"""What msgspec raises for data that does not fit, and what it raises from a `__post_init__`."""

# Parts of msgspec's messages that quote no value. They are compiled when an answer does not fit.
_PATH = r"`(\$[^`]*)`$"
_EXPECTED = r"Expected `[^`]*`(?:, got `[^`]*`)?|Object missing required field `\w+`"

FIELD = r"[a-z][a-z0-9_]{0,63}"
"""The name of a field as the API writes it; any other key can be a value of somebody's."""


class MisfitError(TypeError):
    """Data does not fit a type; it names the place, and shows no data."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{problem} at {path}")
        self.path = path
        self.problem = problem


def describe(error: BaseException) -> tuple[str, str]:
    """Return where data did not fit and why, without the values that the message may quote.

    Args:
        error: What msgspec, cattrs, or a hook or a class of the user has raised.
    """
    if isinstance(error, MisfitError):
        return error.path, error.problem
    # Only if cattrs is imported can an error be one of its own.
    if "cattrs" in sys.modules:
        from cattrs import BaseValidationError  # noqa: PLC0415 -- slow, so only when needed

        if isinstance(error, BaseValidationError):
            return _describe_group(error)
    text = str(error)
    found, expected = re.search(_PATH, text), re.search(_EXPECTED, text)
    return found[1] if found else "$", expected[0] if expected else _kind_of(error)


def _kind_of(error: BaseException) -> str:
    # A ValidationError is a DecodeError too, but of data that is JSON.
    is_json = isinstance(error, msgspec.ValidationError)
    if isinstance(error, (msgspec.DecodeError, UnicodeDecodeError)) and not is_json:
        return "malformed JSON"
    if isinstance(error, KeyError):
        return "missing or unknown value"
    extra: Any = getattr(error, "extra_fields", None)
    if extra is not None:
        names = sorted(name for name in extra if re.fullmatch(FIELD, name))
        return f"forbidden extra fields {', '.join(names)}".rstrip()
    return "wrong value"


def _describe_group(error: BaseValidationError) -> tuple[str, str]:
    """Return the place and the problem of the first misfit; cattrs finds every one."""
    inner: Any = error
    path = "$"
    while hasattr(inner, "group_exceptions"):
        noted, others = inner.group_exceptions()
        if not noted:
            inner = others[0]
            continue
        inner, note = noted[0]
        # The key of a mapping can be a value of somebody's, so it is left out, as msgspec does.
        if hasattr(note, "name"):
            path += f".{note.name}"
        else:
            path += f"[{note.index}]" if isinstance(note.index, int) else "[...]"
    inside, problem = describe(inner)
    return path + inside.removeprefix("$"), problem
