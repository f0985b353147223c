"""The amounts of answers: plain decimal numbers, and nothing else that `Decimal` reads.

`Decimal` also reads `NaN`, `1_000`, digits of other scripts and `1e300000000`, which is a gigabyte
when it is written out. So an amount is text of ASCII digits, of at most 40 before or after the
point, or a whole number. A JSON number with a fraction is refused: the API sends text, and a number
is no exact decimal.

In a model of this package, each field of type Decimal is an amount; a class of the caller may hold
any Decimal. An answer of quotes has more than fifty amounts, of which a program reads a few. So
msgspec stores their text, all are checked when the object is made, and each becomes a Decimal when
it is first read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final

from pinstripe._core.checks import MAX_DIGITS

_DIGITS: Final = rf"[0-9]{{1,{MAX_DIGITS}}}"
_SIMPLE: Final = rf"-?{_DIGITS}(?:\.{_DIGITS})?"
_TEXT: Final = rf"-?(?:{_DIGITS}(?:\.{_DIGITS}|\.)?|\.{_DIGITS})(?:[eE][+-]?[0-3]?[0-9])?"
_TOO_LONG: Final = 10**MAX_DIGITS

_STORED: Final[Mapping[str, Any]] = {
    "Decimal": Annotated[str | int | float, "amount"],
    "Decimal | None": Annotated[str | int | float | None, "amount"],
}
"""What msgspec reads in place of what a class says of a field. Without `float`, its lax mode would
read 1e-99 as the whole number 0."""

_MEANT: Final[Mapping[Any, Any]] = {
    _STORED["Decimal"]: Decimal,
    _STORED["Decimal | None"]: Decimal | None,
}


class NoAmountError(ValueError):
    """A field holds what no amount can be; the message shows no data."""

    def __init__(self, field: str) -> None:
        super().__init__("not a decimal number that an amount can be")
        self.field = field


def is_amount(hint: Any) -> bool:
    """Return whether an annotation in a finished class is that of an amount.

    Args:
        hint: The annotation.
    """
    return getattr(hint, "__metadata__", None) == ("amount",)


def meant_by(hint: Any) -> Any:
    """Return the type that a field has for everybody but msgspec.

    Args:
        hint: Its annotation in the finished class.
    """
    return _MEANT[hint] if is_amount(hint) else hint


def store_amounts_as_text(namespace: dict[str, Any]) -> Callable[[Any], None] | None:
    """Let msgspec store the amounts of a class as text, and check them.

    Args:
        namespace: The names in the body of the class. Its annotations are replaced, and it gets a
            `__post_init__`, which calls the one that it had.

    Returns:
        A function that makes the amounts Decimals for those who read them, in the finished class;
        None if it has no amounts.
    """
    hints: dict[str, Any] = namespace.get("__annotations__", {})
    stored = {name: _STORED[hint] for name, hint in hints.items() if hint in _STORED}
    if not stored or namespace["__module__"].partition(".")[0] != "pinstripe":
        return None
    # Each reads what an object has stored.
    readers: dict[str, Callable[[Any], Any]] = {}
    inner = namespace.get("__post_init__")

    def check(self: Any) -> None:
        texts = [text for read in readers.values() if type(text := read(self)) is str]
        # Nearly always all are simple. A line end in one of them would make a line too many.
        if len(texts) < len(readers) or not _simple_lines(len(texts)).fullmatch("\n".join(texts)):
            for name, read in readers.items():
                _check(name, read(self))
        if inner is not None:
            inner(self)

    def finish(cls: Any) -> None:
        for name in stored:
            slot = cls.__dict__[name]
            readers[name] = slot.__get__
            setattr(cls, name, _Amount(slot))

    namespace.update(__annotations__=hints | stored, __post_init__=check)
    return finish


@cache
def _simple_lines(count: int) -> re.Pattern[str]:
    return re.compile(rf"{_SIMPLE}(?:\n{_SIMPLE}){{{count - 1}}}")


def _check(name: str, value: Any) -> None:
    kind = type(value)
    if (
        kind is float
        or (kind is str and not re.fullmatch(_TEXT, value))
        or (kind is int and abs(value) >= _TOO_LONG)
    ):
        raise NoAmountError(name)


class _Amount:
    """Stands for an amount in a class: its Decimal replaces what is stored when it is first read.

    Args:
        slot: The place in an object.
    """

    __slots__ = ("_slot",)

    def __init__(self, slot: Any) -> None:
        self._slot = slot

    def __get__(self, record: Any, owner: Any = None) -> Any:
        if record is None:
            return self
        value = self._slot.__get__(record)
        if type(value) is str or type(value) is int:
            value = Decimal(value)
            self._slot.__set__(record, value)
        return value
