"""Typed parameter specs: what an endpoint accepts, and the checker that turns a form into values.

A spec reads one node of the decoded form and gives a plain typed value or raises a `Refusal` that
names the parameter by its bracket path. Choices where the published facts are silent: an unknown
word for a closed vocabulary is a 400 without a code, as is a bad boolean, array or object; strings
longer than their bound are refused; `metadata=` clears the whole map everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol, TypeAlias

import attrs

from pinstripe.sandbox._params.errors import Refusal, invalid, shortened
from pinstripe.sandbox._params.forms import Form, Tree, as_array

Params: TypeAlias = "dict[str, Any]"

MAX_STRING = 5000
MAX_TIMESTAMP = 253_402_300_799

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,30})?")


class Spec(Protocol):
    """Reads one node of a form."""

    def read(self, raw: Tree, path: str) -> Any:
        """Return the typed value of raw, found at the bracket path."""
        ...


@attrs.frozen
class String:
    """Text of bounded length; empty text is refused unless it clears or is allowed.

    Args:
        max_length: most characters accepted.
        clearable: whether "" is accepted (and read as "").
        check: a function that takes the text and says what is wrong with it, or None.
        code: error code given with what check finds.
    """

    max_length: int = MAX_STRING
    clearable: bool = False
    check: Callable[[str], str | None] | None = None
    code: str | None = None

    def read(self, raw: Tree, path: str) -> str:
        """Return the text."""
        text = _text(raw, path, "string")
        if not text:
            if self.clearable:
                return text
            raise _empty(path)
        if len(text) > self.max_length:
            raise invalid(f"{shortened(path)} must be at most {self.max_length} characters.", path)
        problem = self.check and self.check(text)
        if problem:
            raise invalid(f"Invalid {shortened(path)}: {problem}", path, self.code)
        return text


@attrs.frozen
class Word:
    """One word of a vocabulary.

    Args:
        words: the known words, in the order in which a message lists them.
        open: whether other words are accepted too.
    """

    words: tuple[str, ...]
    open: bool = False

    def read(self, raw: Tree, path: str) -> str:
        """Return the word."""
        text = String().read(raw, path)
        if not self.open and text not in self.words:
            listed = ", ".join(self.words[:-1]) + " or " + self.words[-1]
            raise invalid(f"Invalid {shortened(path)}: must be one of {listed}", path)
        return text


@attrs.frozen
class Integer:
    """A whole number in a range.

    Args:
        low: the least value.
        high: the greatest value.
    """

    low: int
    high: int

    def read(self, raw: Tree, path: str) -> int:
        """Return the number."""
        text = _text(raw, path, "integer")
        if not _INTEGER.fullmatch(text):
            raise invalid(f"Invalid integer: {shortened(text)}", path, "parameter_invalid_integer")
        if not self.low <= int(text) <= self.high:
            problem = f"must be between {self.low} and {self.high}"
            raise invalid(
                f"Invalid {shortened(path)}: {problem}", path, "parameter_invalid_integer"
            )
        return int(text)


TIMESTAMP: Final = Integer(0, MAX_TIMESTAMP)


@attrs.frozen
class PositiveDecimal:
    """A decimal number above zero, in plain notation and at most 15 digits before the point.

    Args:
        code: error code for a number that is not acceptable.
    """

    code: str | None = None

    def read(self, raw: Tree, path: str) -> Decimal:
        """Return the exact number."""
        text = _text(raw, path, "decimal")
        if not _DECIMAL.fullmatch(text):
            raise invalid(f"Invalid decimal: {shortened(text)}", path, self.code)
        if Decimal(text) <= 0:
            raise invalid(f"Invalid {shortened(path)}: must be positive", path, self.code)
        return Decimal(text)


@attrs.frozen
class Boolean:
    """The word `true` or `false`."""

    def read(self, raw: Tree, path: str) -> bool:
        """Return the truth value."""
        text = _text(raw, path, "boolean")
        if text not in ("true", "false"):
            raise invalid(f"Invalid boolean: {shortened(text)}", path)
        return text == "true"


@attrs.frozen
class Array:
    """A list of one kind of value, written `a[0]=x` or `a[]=x`.

    Args:
        item: spec of the elements.
        max_items: most elements accepted.
    """

    item: Spec
    max_items: int = 100

    def read(self, raw: Tree, path: str) -> list[Any]:
        """Return the elements in order."""
        if raw == "":
            raise _empty(path)
        items = as_array(raw)
        if items is None:
            raise invalid(f"Invalid array: {shortened(path)}", path)
        if len(items) > self.max_items:
            raise invalid(f"{shortened(path)} takes at most {self.max_items} elements.", path)
        return [self.item.read(item, f"{path}[{index}]") for index, item in enumerate(items)]


@attrs.frozen
class Object:
    """A set of named parameters.

    Args:
        fields: spec of each parameter.
        required: names that have to be there.
        clearable: whether "" is accepted (and read as None).
    """

    fields: Mapping[str, Spec]
    required: tuple[str, ...] = ()
    clearable: bool = False

    def read(self, raw: Tree, path: str) -> Params | None:
        """Return the parameters that are there, or None where the object is cleared."""
        if raw == "" and self.clearable:
            return None
        if not isinstance(raw, dict):
            raise _empty(path) if raw == "" else invalid(f"Invalid object: {shortened(path)}", path)
        return self.read_form(raw, path)

    def read_form(self, form: Form, path: str = "") -> Params:
        """Return the parameters of a form, the whole form where path is "".

        Raises:
            Refusal: for unknown, missing and unacceptable parameters.
        """
        for name in form:
            if name not in self.fields:
                raise _unknown(_join(path, name))
        for name in self.required:
            if name not in form:
                raise _missing(_join(path, name))
        return {name: self.fields[name].read(raw, _join(path, name)) for name, raw in form.items()}


@attrs.frozen
class Nullable:
    """A value that "" makes null.

    Args:
        spec: reads any other value.
    """

    spec: Spec

    def read(self, raw: Tree, path: str) -> Any:
        """Return the value, None for ""."""
        return None if raw == "" else self.spec.read(raw, path)


@attrs.frozen
class Metadata:
    """A map of text to text: at most 50 keys of 40 characters, values of 500."""

    max_keys: int = 50
    max_key: int = 40
    max_value: int = 500

    def read(self, raw: Tree, path: str) -> dict[str, str] | None:
        """Return the keys to set ("" removes one), or None where the whole map is cleared."""
        if raw == "":
            return None
        if not isinstance(raw, dict):
            raise invalid(f"Invalid object: {shortened(path)}", path)
        if len(raw) > self.max_keys:
            raise self._too_many(path)
        return {key: self._value(key, value, path) for key, value in raw.items()}

    def merge(self, old: Mapping[str, str], patch: Mapping[str, str] | None) -> dict[str, str]:
        """Return the map after a change.

        Args:
            old: the map as it is.
            patch: what `read` gave.

        Raises:
            Refusal: when the result has more than 50 keys.
        """
        if patch is None:
            return {}
        merged = {key: value for key, value in {**old, **patch}.items() if value}
        if len(merged) > self.max_keys:
            raise self._too_many("metadata")
        return merged

    def _value(self, key: str, value: Tree, path: str) -> str:
        where = _join(path, key)
        if not key or len(key) > self.max_key or "[" in key or "]" in key:
            problem = f"keys have 1 to {self.max_key} characters without square brackets"
            raise invalid(f"Invalid metadata key: {problem}", where)
        text = _text(value, where, "string")
        if len(text) > self.max_value:
            raise invalid(f"Metadata values have at most {self.max_value} characters.", where)
        return text

    def _too_many(self, path: str) -> Refusal:
        return invalid(f"Metadata has at most {self.max_keys} keys.", path)


METADATA: Final = Metadata()


@attrs.frozen
class TimeRange:
    """A range of whole seconds.

    Args:
        start: first second inside.
        end: first second after it.
    """

    start: int = 0
    end: int = MAX_TIMESTAMP + 1


@attrs.frozen
class CreatedFilter:
    """The `created` filter: an exact second, or any of gt, gte, lt and lte."""

    def read(self, raw: Tree, path: str) -> TimeRange:
        """Return the range that both forms come down to."""
        if isinstance(raw, str):
            second = TIMESTAMP.read(raw, path)
            return TimeRange(second, second + 1)
        bounds = _BOUNDS.read(raw, path) or {}
        starts = [bounds.get("gte", 0), bounds.get("gt", -1) + 1]
        ends = [bounds.get("lt", MAX_TIMESTAMP + 1), bounds.get("lte", MAX_TIMESTAMP) + 1]
        return TimeRange(max(starts), min(ends))


_BOUNDS: Final = Object(dict.fromkeys(("gt", "gte", "lt", "lte"), TIMESTAMP))

STRING: Final = String()
BOOLEAN: Final = Boolean()
CREATED: Final = CreatedFilter()
STRINGS: Final = Array(STRING)


def _text(raw: Tree, path: str, kind: str) -> str:
    if not isinstance(raw, str):
        raise invalid(f"Invalid {kind}: {shortened(path)}", path)
    return raw


def _join(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _empty(path: str) -> Refusal:
    text = f"You passed an empty string for '{shortened(path)}'. Leave the parameter out instead."
    return invalid(text, path, "parameter_invalid_empty")


def _unknown(path: str) -> Refusal:
    return invalid(f"Received unknown parameter: {shortened(path)}", path, "parameter_unknown")


def _missing(path: str) -> Refusal:
    return invalid(f"Missing required param: {shortened(path)}.", path, "parameter_missing")
