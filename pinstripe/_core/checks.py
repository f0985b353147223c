"""Check the arguments of a call: ids, numbers, metadata and lists of text.

Each check names the argument in its error. Most return the value, so that they can stand where the
value is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, cast

from pinstripe._core.errors import ConfigurationError

# An id is a path segment, so nothing that a path would read in another way may be in it.
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
# Digits before and after the point of a number. No amount of the API has as many; the bound keeps
# a Decimal such as 1E+1000000 from being written out.
_MAX_DIGITS = 40
_DECIMAL = re.compile(rf"[0-9]{{1,{_MAX_DIGITS}}}(?:\.[0-9]{{1,{_MAX_DIGITS}}})?")


def check_id(argument: str, value: Any) -> str:
    """Return `value` if it has the form of an id.

    Args:
        argument: The name to give in the error.
        value: What the caller passed.

    Raises:
        ConfigurationError: It does not have that form.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ConfigurationError(argument, "must be an id: 1 to 255 letters, digits, '_' or '-'")
    return value


def check_key(argument: str, key: Any) -> str:
    """Return the key of a mapping if it can be part of a bracketed name, such as `metadata[key]`.

    Args:
        argument: The name to give in the error.
        key: What the caller passed.

    Raises:
        ConfigurationError: It is not text, is empty or has brackets.
    """
    if not isinstance(key, str) or not key or "[" in key or "]" in key:
        raise ConfigurationError(argument, f"keys must be text without brackets, not {key!r}")
    return key


def plain_number(value: int | Decimal) -> str | None:
    """Return a number in plain digits, or None if it is not finite or has too many digits.

    Args:
        value: The number.
    """
    if isinstance(value, int):
        return f"{value:d}" if abs(value) < 10**_MAX_DIGITS else None
    exponent = value.as_tuple().exponent
    fits = isinstance(exponent, int) and exponent >= -_MAX_DIGITS
    return f"{value:f}" if fits and value.adjusted() < _MAX_DIGITS else None


def check_decimal(argument: str, value: Decimal | int | str | None) -> str | None:
    """Return an amount as the plain decimal text that the API reads.

    Args:
        argument: The name to give in the error.
        value: Decimal text, an int or a Decimal, above zero; None if it is not sent. A float is
            refused, since it cannot hold most decimal amounts.

    Raises:
        ConfigurationError: It is something else.
    """
    if value is None:
        return None
    if isinstance(value, (bool, float)) or not isinstance(value, (str, int, Decimal)):
        wrong = type(value).__name__
        raise ConfigurationError(argument, f"must be a Decimal, an int or text, not a {wrong}")
    text = value if isinstance(value, str) else plain_number(value) or ""
    if not _DECIMAL.fullmatch(text) or not text.strip("0."):
        raise ConfigurationError(argument, "must be a decimal number above zero, such as '12.50'")
    return text


def check_metadata(
    value: Mapping[str, str] | Literal[""] | None, argument: str = "metadata"
) -> None:
    """Refuse metadata that the API would refuse.

    https://docs.stripe.com/api/metadata

    Args:
        value: Up to 50 keys of up to 40 characters, with values of up to 500. An empty value
            removes its key.
        argument: The name to give in the error.

    Raises:
        ConfigurationError: It is over one of these limits, or not a mapping of text to text.
    """
    if not value:
        return
    if not isinstance(value, Mapping):
        raise ConfigurationError(argument, "must be a mapping of text to text")
    if len(value) > 50:
        raise ConfigurationError(argument, f"has {len(value)} keys; 50 are allowed")
    for key, text in value.items():
        check_key(argument, key)
        if len(key) > 40:
            raise ConfigurationError(argument, f"the key {key!r} is longer than 40 characters")
        if not isinstance(text, str):
            wrong = type(text).__name__
            raise ConfigurationError(f"{argument}[{key}]", f"must be text, not a {wrong}")
        if len(text) > 500:
            raise ConfigurationError(f"{argument}[{key}]", "is longer than 500 characters")


def check_texts(argument: str, value: Any) -> None:
    """Refuse anything but a list of texts with at least one text in it.

    A form cannot hold an empty list, so the API would not see it. A text in place of the list would
    be sent letter by letter.

    Args:
        argument: The name to give in the error.
        value: A list or tuple; None if it is not sent.

    Raises:
        ConfigurationError: It is something else, or empty.
    """
    if value is None:
        return
    if not isinstance(value, (list, tuple)):
        wrong = type(value).__name__
        raise ConfigurationError(argument, f"must be a list of text, not a {wrong}")
    items = cast("Sequence[Any]", value)
    if not items:
        raise ConfigurationError(argument, "is empty; leave it out, or give at least one text")
    if not all(isinstance(text, str) and text for text in items):
        raise ConfigurationError(argument, "must hold only texts, and none of them empty")


def check_whole_number(
    argument: str, value: Any, *, minimum: int = 1, maximum: int | None = None
) -> int:
    """Return `value` if it is a whole number in a range.

    Args:
        argument: The name to give in the error.
        value: What the caller passed.
        minimum: The least that it may be.
        maximum: The most that it may be; None if there is no limit.

    Raises:
        ConfigurationError: It is not a whole number, or out of the range.
    """
    # Python takes True for 1, but nobody means a number by it.
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= minimum
    if not fits or (maximum is not None and value > maximum):
        bound = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise ConfigurationError(argument, f"must be a whole number {bound}, not {value!r}")
    return cast("int", value)


def is_number(value: Any) -> bool:
    """Return whether a value is an int or a float, and not a bool.

    Args:
        value: What the caller passed.
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool)
