"""What the arguments of a call must be: ids, amounts, metadata and lists of text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, cast

from pinstripe._core.errors import ConfigurationError

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_DECIMAL = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?")
_MAX_DIGITS = 40


def check_id(argument: str, value: Any) -> str:
    """Return `value` if it has the form of an id.

    Args:
        argument: The name to give in the error.
        value: What the caller passed.

    Raises:
        ConfigurationError: It has not.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ConfigurationError(argument, "must be an id: 1 to 255 letters, digits, '_' or '-'")
    return value


def check_key(argument: str, key: Any) -> str:
    """Return the key of a mapping if a bracketed name can hold it.

    Args:
        argument: The name to give in the error.
        key: What the caller passed.

    Raises:
        ConfigurationError: It cannot.
    """
    if not isinstance(key, str) or not key or "[" in key or "]" in key:
        raise ConfigurationError(argument, f"keys must be text without brackets, not {key!r}")
    return key


def plain_number(value: int | Decimal) -> str | None:
    """Return a number written out; None where it is not one, or is longer than any of the API.

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
        value: Decimal text, an int or a Decimal, above zero; never a float, which cannot hold
            most decimal amounts.

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
        value: Up to 50 keys of 40 characters, values of 500; an empty value removes its key.
        argument: The name to give in the error.

    Raises:
        ConfigurationError: It breaks one of these limits.
    """
    if not value:
        return
    if not isinstance(value, Mapping):
        raise ConfigurationError(argument, "must be a mapping of text to text")
    if len(value) > 50:
        raise ConfigurationError(argument, f"has {len(value)} keys; 50 are allowed")
    for key, text in value.items():
        _check_metadata_item(argument, key, text)


def _check_metadata_item(argument: str, key: Any, text: Any) -> None:
    check_key(argument, key)
    if len(key) > 40:
        raise ConfigurationError(argument, f"the key {key!r} is longer than 40 characters")
    if not isinstance(text, str):
        wrong = type(text).__name__
        raise ConfigurationError(f"{argument}[{key}]", f"must be text, not a {wrong}")
    if len(text) > 500:
        raise ConfigurationError(f"{argument}[{key}]", "is longer than 500 characters")


def check_texts(argument: str, value: Any) -> None:
    """Refuse anything but a list of texts with at least one in it.

    A form cannot carry an empty list, so the API would not see it, and a single text would be
    sent letter by letter.

    Args:
        argument: The name to give in the error.
        value: A list or tuple, or None where it is not sent.

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
        raise ConfigurationError(argument, "is empty; leave it out or name at least one")
    if not all(isinstance(text, str) and text for text in items):
        raise ConfigurationError(argument, "must hold nothing but text, none of it empty")


def check_whole_number(argument: str, value: int | None, maximum: int | None = None) -> int | None:
    """Return a whole number, or None, as it is.

    Args:
        argument: The name to give in the error.
        value: What was given.
        maximum: The most it may be.

    Raises:
        ConfigurationError: It is something else.
    """
    if value is None:
        return None
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not fits or (maximum is not None and value > maximum):
        bound = f"from 1 to {maximum}" if maximum else "of at least 1"
        raise ConfigurationError(argument, f"must be a whole number {bound}, not {value!r}")
    return value
