"""Check the arguments of a call: ids, numbers, metadata and lists of text.

Each check names the argument in its error. Most return the value, so that they can stand where the
value is used. They return it as Python's own `str`, `int` or `Decimal`: an enumeration or another
subclass can have a text of its own, which is not its value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from inspect import signature
from numbers import Integral, Real
from operator import index
from typing import Any, Literal, cast

from pinstripe._core.errors import ConfigurationError

# An id is a path segment, so nothing that a path would read in another way may be in it.
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_MAX_HOST, _MAX_LABEL = 253, 63
MAX_DIGITS = 40
"""Digits before and after the point of a number, in arguments and answers.

The currencies with the most places (such as eth) have 18; 40 leaves room for newer ones. The bound
keeps a Decimal such as 1E+1000000 from being written out.
"""

_DECIMAL = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}(?:\.[0-9]{{1,{MAX_DIGITS}}})?")


def plain_text(value: Any) -> Any:
    """Return text as a plain `str`, such as the value of a `StrEnum`; anything else as it is.

    Args:
        value: What the caller passed.
    """
    return str.__str__(value) if isinstance(value, str) else value


def is_empty_text(value: Any) -> bool:
    """Return whether a value is an empty text, which clears a field."""
    return isinstance(value, str) and not value


def with_article(name: str) -> str:
    """Return the name of a class as a sentence says it: `an Event`, `a list`."""
    start = name.lower()
    # "a UUID" and "a Union", but "an UploadFile".
    is_vowel = start[0] in "aeiou" and not start.startswith(("uu", "uni"))
    return f"{'an' if is_vowel else 'a'} {name}"


def kind_of(value: object) -> str:
    """Return what a value is, as an error says it: its class, with its package if it has one."""
    if value is None:
        return "None"
    package = type(value).__module__.partition(".")[0]
    name = type(value).__name__
    return with_article(name if package in ("builtins", "__main__") else f"{package}.{name}")


def check_field_names(names: Iterable[str], known: Collection[str], owner: str) -> None:
    """Refuse fields that something does not have: a misspelled one would change nothing.

    Args:
        names: The names of the fields.
        known: The names of those that it has.
        owner: What it is.

    Raises:
        ConfigurationError: A name is not among those.
    """
    for name in names:
        if name not in known:
            from difflib import get_close_matches  # noqa: PLC0415 -- for an error alone

            close = get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigurationError(name, f"is not a field of {owner}{hint}")


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
    return str.__str__(value)


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
    return str.__str__(key)


def check_mapping(argument: str, value: Any) -> dict[Any, Any]:
    """Return a mapping as a dict, its keys and values as `plain_text` returns them.

    A key that is an enumeration is found under its text then.

    Args:
        argument: The name to give in the error.
        value: What the caller passed.

    Raises:
        ConfigurationError: It is not a mapping.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(argument, f"must be a mapping, not {kind_of(value)}")
    given = cast("Mapping[Any, Any]", value)
    # Most keys are plain text already, and most values None.
    return {
        key if type(key) is str else plain_text(key): None if inner is None else plain_text(inner)
        for key, inner in given.items()
    }


def check_flag(argument: str, value: Any) -> bool:
    """Return `value` if it is True or False.

    Args:
        argument: The name to give in the error.
        value: What the caller passed.

    Raises:
        ConfigurationError: It is something else, such as a text, which would count as True.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(argument, f"must be True or False, not {value!r}")
    return value


def plain_number(value: Any) -> str | None:
    """Return a whole number or Decimal in plain digits.

    None if it is something else, not finite, or has too many digits.

    Args:
        value: The number.
    """
    if isinstance(value, Decimal):
        exact = Decimal(value)
        exponent = exact.as_tuple().exponent
        fits = isinstance(exponent, int) and exponent >= -MAX_DIGITS
        return f"{exact:f}" if fits and exact.adjusted() < MAX_DIGITS else None
    if isinstance(value, bool) or not isinstance(value, Integral):
        return None
    whole = index(value)
    return f"{whole:d}" if abs(whole) < 10**MAX_DIGITS else None


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
    if isinstance(value, bool) or not isinstance(value, (str, Integral, Decimal)):
        wrong = kind_of(value)
        raise ConfigurationError(argument, f"must be a Decimal, an int or text, not {wrong}")
    text = plain_text(value) if isinstance(value, str) else plain_number(value) or ""
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
            removes its key, which does not count then.
        argument: The name to give in the error.

    Raises:
        ConfigurationError: It is over one of these limits, or not a mapping of text to text.
    """
    if value is None or is_empty_text(value):
        return
    if not isinstance(value, Mapping):
        raise ConfigurationError(argument, "must be a mapping of text to text")
    count = len(value) - sum(map(is_empty_text, value.values()))
    if count > 50:
        raise ConfigurationError(argument, f"has {count} keys; 50 are allowed")
    for given, text in value.items():
        key = check_key(argument, given)
        if len(key) > 40:
            raise ConfigurationError(argument, f"the key {key!r} is longer than 40 characters")
        if not isinstance(text, str):
            wrong = kind_of(text)
            raise ConfigurationError(f"{argument}[{key}]", f"must be text, not {wrong}")
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
        wrong = kind_of(value)
        raise ConfigurationError(argument, f"must be a list of text, not {wrong}")
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
    fits = isinstance(value, Integral) and not isinstance(value, bool)
    number = index(value) if fits else 0
    if not fits or number < minimum or (maximum is not None and number > maximum):
        bound = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise ConfigurationError(argument, f"must be a whole number {bound}, not {value!r}")
    return number


def is_host(host: str) -> bool:
    """Return whether a text can be the name or the IP address of a host; no name is looked up.

    https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4

    Args:
        host: Letters, digits, `-`, `_` and points, or an IPv6 address in brackets.
    """
    labels = host.removesuffix(".").split(".")
    # As browsers see it, a host whose last label is a number is an IPv4 address.
    is_v6 = host.startswith("[")
    if not is_v6 and not labels[-1].isdecimal():
        return len(host) <= _MAX_HOST and all(0 < len(label) <= _MAX_LABEL for label in labels)
    from ipaddress import IPv4Address, IPv6Address  # noqa: PLC0415 -- most addresses are names

    try:
        (IPv6Address if is_v6 else IPv4Address)(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, of Python or another library, and not a bool.

    Args:
        value: What the caller passed.
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def takes_one_argument(function: Callable[..., object]) -> bool:
    """Return whether a function can be called with one argument; True if it does not say.

    Args:
        function: The function.
    """
    inner: Any = function
    while isinstance(inner, partial):
        inner = inner.func
    # A wrapper of somebody else may add or drop arguments; those of this package do not.
    is_own = str(getattr(inner, "__module__", "")).startswith("pinstripe.")
    try:
        parameters = signature(function, follow_wrapped=is_own)
    except (TypeError, ValueError):
        return True
    try:
        parameters.bind(None)
    except TypeError:
        return False
    return True
