"""Typed parameter specs: what an endpoint accepts, and how a form becomes typed values.

A spec reads one node of the decoded form. It returns a plain typed value, or raises a `Refusal`
that names the parameter by its bracket path. Specs are nested as the parameters are.

Choices of the sandbox, because the published facts are silent: an unknown word of a closed
vocabulary is a 400 without a code, and so is a bad boolean, array or object; strings longer than
their bound are refused; `metadata=` clears the whole map everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol, TypeAlias

from attrs import frozen

from pinstripe.sandbox._params.errors import Refusal, invalid, shortened
from pinstripe.sandbox._params.forms import Form, Tree, as_array

Params: TypeAlias = "dict[str, Any]"

# The `maxLength` of most texts in Stripe's OpenAPI description; the sandbox uses it for all.
MAX_STRING = 5000

# The last second of the year 9999, and so the last one that `datetime` knows.
MAX_TIMESTAMP = 253_402_300_799

# At most 18 digits: such a number fits into 64 bits.
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,30})?")


class Spec(Protocol):
    """Reads one node of a form."""

    def read(self, raw: Tree, path: str) -> Any:
        """Return the typed value of raw, found at the bracket path."""
        ...


@frozen
class String:
    """Text of bounded length; "" is refused unless the text is clearable.

    Attributes:
        max_length: The largest number of characters.
        clearable: Whether "" is accepted (and read as "").
        check: A function that takes the text and returns what is wrong with it, or None.
        code: The error code for what `check` finds.
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


@frozen
class Word:
    """One word of a vocabulary.

    Attributes:
        words: The known words, in the order in which a message lists them.
        open: Whether other words are accepted too.
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


@frozen
class Integer:
    """A whole number in a range.

    Attributes:
        low: The smallest value.
        high: The largest value.
        clamp: Whether a number out of range is read as the nearest one in it, and not refused.
    """

    low: int
    high: int
    clamp: bool = False

    def read(self, raw: Tree, path: str) -> int:
        """Return the number."""
        text = _text(raw, path, "integer")
        if not _INTEGER.fullmatch(text):
            raise invalid(f"Invalid integer: {shortened(text)}", path, "parameter_invalid_integer")
        if self.clamp:
            return max(self.low, min(int(text), self.high))
        if not self.low <= int(text) <= self.high:
            problem = f"must be between {self.low} and {self.high}"
            raise invalid(
                f"Invalid {shortened(path)}: {problem}", path, "parameter_invalid_integer"
            )
        return int(text)


TIMESTAMP: Final = Integer(0, MAX_TIMESTAMP)


@frozen
class PositiveDecimal:
    """A decimal number above zero, in plain notation, with at most 15 digits before the point.

    Attributes:
        code: The error code for a number that is refused.
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


@frozen
class Boolean:
    """The word `true` or `false`."""

    def read(self, raw: Tree, path: str) -> bool:
        """Return the truth value."""
        text = _text(raw, path, "boolean")
        if text not in ("true", "false"):
            raise invalid(f"Invalid boolean: {shortened(text)}", path)
        return text == "true"


@frozen
class Array:
    """A list of one kind of value, written `a[0]=x` or `a[]=x`.

    Attributes:
        item: The spec of each element.
        max_items: The largest number of elements.
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


@frozen
class Object:
    """A set of named parameters.

    Attributes:
        fields: The spec of each parameter.
        required: The names of required parameters.
        clearable: Whether "" is accepted (and read as None).
    """

    fields: Mapping[str, Spec]
    required: tuple[str, ...] = ()
    clearable: bool = False

    def read(self, raw: Tree, path: str) -> Params | None:
        """Return the parameters that were sent, or None if the object is cleared."""
        if raw == "" and self.clearable:
            return None
        if not isinstance(raw, dict):
            raise _empty(path) if raw == "" else invalid(f"Invalid object: {shortened(path)}", path)
        return self.read_form(raw, path)

    def read_form(self, form: Form, path: str = "") -> Params:
        """Return the typed parameters of a form.

        Args:
            form: The decoded form, or the object at `path`.
            path: The bracket path of the object; "" for the whole form.

        Raises:
            Refusal: For unknown, missing and unacceptable parameters.
        """
        # Unknown names come first: a misspelled name is often the cause of a missing one.
        for name in form:
            if name not in self.fields:
                where = _join(path, name)
                text = f"Received unknown parameter: {shortened(where)}"
                raise invalid(text, where, "parameter_unknown")
        for name in self.required:
            if name not in form:
                where = _join(path, name)
                text = f"Missing required param: {shortened(where)}."
                raise invalid(text, where, "parameter_missing")
        return {name: self.fields[name].read(raw, _join(path, name)) for name, raw in form.items()}


@frozen
class Nullable:
    """A value that "" makes null.

    Attributes:
        spec: The spec of any other value.
    """

    spec: Spec

    def read(self, raw: Tree, path: str) -> Any:
        """Return the value, or None for ""."""
        return None if raw == "" else self.spec.read(raw, path)


@frozen
class Metadata:
    """A map of text to text: at most 50 keys of 40 characters, values of 500 characters.

    Bounds: https://docs.stripe.com/api/metadata
    """

    max_keys: int = 50
    max_key: int = 40
    max_value: int = 500

    def read(self, raw: Tree, path: str) -> dict[str, str] | None:
        """Return the keys to set ("" removes a key), or None if the whole map is cleared."""
        if raw == "":
            return None
        if not isinstance(raw, dict):
            raise invalid(f"Invalid object: {shortened(path)}", path)
        if sum(value != "" for value in raw.values()) > self.max_keys:
            raise self._too_many(path)
        values: dict[str, str] = {}
        for key, value in raw.items():
            where = _join(path, key)
            # Square brackets in a key could not be sent back as a parameter name.
            if not key or len(key) > self.max_key or "[" in key or "]" in key:
                problem = f"keys have 1 to {self.max_key} characters without square brackets"
                raise invalid(f"Invalid metadata key: {problem}", where)
            values[key] = _text(value, where, "string")
            if len(values[key]) > self.max_value:
                problem = f"Metadata values have at most {self.max_value} characters."
                raise invalid(problem, where)
        return values

    def merge(self, old: Mapping[str, str], patch: Mapping[str, str] | None) -> dict[str, str]:
        """Return the map after a change.

        Args:
            old: The stored map.
            patch: The result of `read`: keys to set, or None to clear the map.

        Raises:
            Refusal: If the result has more than 50 keys.
        """
        if patch is None:
            return {}
        merged = {key: value for key, value in {**old, **patch}.items() if value}
        if len(merged) > self.max_keys:
            raise self._too_many("metadata")
        return merged

    def _too_many(self, path: str) -> Refusal:
        return invalid(f"Metadata has at most {self.max_keys} keys.", path)


METADATA: Final = Metadata()


@frozen
class TimeRange:
    """A range of whole seconds.

    Attributes:
        start: The first second in the range.
        end: The first second after it.
    """

    start: int = 0
    end: int = MAX_TIMESTAMP + 1


@frozen
class CreatedFilter:
    """The `created` filter: an exact second, or any of gt, gte, lt and lte."""

    def read(self, raw: Tree, path: str) -> TimeRange:
        """Return the range of seconds that either form selects."""
        if isinstance(raw, str):
            second = TIMESTAMP.read(raw, path)
            return TimeRange(second, second + 1)
        bounds = _BOUNDS.read(raw, path) or {}
        # Bounds that contradict each other give an empty range, which selects nothing.
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
