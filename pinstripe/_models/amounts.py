"""The amounts of answers: plain decimal numbers, and nothing else that `Decimal` reads.

`Decimal` also reads `NaN`, `1_000`, digits of other scripts and `1e300000000`, which is a gigabyte
when it is written out. So an amount is text of ASCII digits, of at most 40 before or after the
point, or a whole number. A JSON number with a fraction is refused: the API sends text, and a number
is no exact decimal.

In a model of this package, each field of type Decimal is an amount; a class of the caller may hold
any Decimal. An answer of quotes has more than fifty amounts, of which a program reads a few. So
msgspec stores their text, `amount_checks` looks at all of them at once when an answer was read, and
each becomes a Decimal when it is first read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

from pinstripe._core.checks import MAX_DIGITS

_DIGITS: Final = rf"[0-9]{{1,{MAX_DIGITS}}}"
_TEXT: Final = rf"-?(?:{_DIGITS}(?:\.{_DIGITS}|\.)?|\.{_DIGITS})(?:[eE][+-]?[0-3]?[0-9])?"

STORED: Final = "_stored_"
"""How the name begins under which a class has the text of an amount."""

NO_AMOUNT: Final = "not a decimal number that an amount can be"

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


def store_amounts_as_text(namespace: dict[str, Any]) -> tuple[str, ...]:
    """Let msgspec store the amounts of a class as text, and return their names.

    Args:
        namespace: The names in the body of the class, whose annotations are replaced.
    """
    hints: dict[str, Any] = namespace.get("__annotations__", {})
    stored = {name: _STORED[hint] for name, hint in hints.items() if hint in _STORED}
    if not stored or namespace["__module__"].partition(".")[0] != "pinstripe":
        return ()
    namespace["__annotations__"] = hints | stored
    return tuple(stored)


def read_amounts_as_decimals(cls: Any, names: tuple[str, ...]) -> None:
    """Let those who read the amounts of a finished class find Decimals.

    Args:
        cls: The class.
        names: The names of its amounts; under `STORED` and the name is what is stored.
    """
    for name in names:
        slot = cls.__dict__[name]
        setattr(cls, STORED + name, slot)
        setattr(cls, name, _Amount(slot))


def may_be_amount(value: Any) -> bool:
    """Return whether a stored value is an amount, or None.

    Args:
        value: Text or a number, as JSON has it.
    """
    if isinstance(value, str):
        return re.fullmatch(_TEXT, value) is not None
    return not isinstance(value, float) and (value is None or abs(value) < 10**MAX_DIGITS)


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
