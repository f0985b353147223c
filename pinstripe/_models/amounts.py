"""The amounts of answers: plain decimal numbers, and nothing else that `Decimal` reads.

`Decimal` also reads `NaN`, `1_000`, digits of other scripts and `1e300000000`, which is a gigabyte
when it is written out. msgspec fills the fields of type Decimal itself, and keeps no text. So one
search of the body asks whether anything could be wrong with any amount. Nearly always nothing can.
Otherwise the body is read again, as a class that has the amounts alone, as text of a certain form.

In a model of this package, each Decimal is an amount; a class of the caller may hold any Decimal.
An amount is text of ASCII digits, of at most 40 before or after the point, or a whole number.
A JSON number with a fraction is refused: the API sends text, and a number is no exact decimal.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Union

import msgspec
from msgspec import inspect

from pinstripe._core.checks import MAX_DIGITS

_DIGITS: Final = rf"[0-9]{{1,{MAX_DIGITS}}}"
_TEXT: Final = rf"\A-?(?:{_DIGITS}(?:\.{_DIGITS}|\.)?|\.{_DIGITS})(?:[eE][+-]?[0-3]?[0-9])?\Z"
_AMOUNT: Final = Annotated[str, msgspec.Meta(pattern=_TEXT)] | int

# The end of the name of an amount with anything but an amount behind it. All names of amounts have
# an m, and few others do, so that the search has little to look at.
_NAMES: Final = r"m(?:ount|onetary|etric_tons(?:_available)?)"
_PLAIN: Final = rf': ?(?:"-?[0-9.]{{1,{MAX_DIGITS}}}"|null|[0-9]+[\s,}}])'
_SUSPICIOUS: Final = re.compile(rf'{_NAMES}"(?!{_PLAIN})'.encode())

# What else a union with amounts in it can have.
_OTHERS: Final[dict[type[Any], Any]] = {inspect.NoneType: None, inspect.StrType: str}


def amounts_of(model: Any) -> Any:
    """Return the type that has the amounts of a model alone; None if the model has none.

    Args:
        model: A class that msgspec can build.
    """
    return _amounts_in(inspect.type_info(model), ())


def are_plain(body: bytes) -> bool:
    """Return whether all amounts of an answer are certainly plain; False if it is to be read again.

    Args:
        body: The answer.
    """
    # With an escape in it, a name could be written in another way.
    return b"\\" not in body and _SUSPICIOUS.search(body) is None


def _amounts_in(node: Any, parents: tuple[Any, ...]) -> Any:
    """Return the type of the amounts in a type; a class inside of itself adds none."""
    found: Any = None
    match node:
        case inspect.DecimalType() if parents:
            is_ours = parents[-1].__module__.partition(".")[0] == "pinstripe"
            return _AMOUNT if is_ours else None
        case inspect.Metadata(type=inner):
            return _amounts_in(inner, parents)
        case inspect.StructType() | inspect.DataclassType() if node.cls not in parents:
            inside = (*parents, node.cls)
            kinds = [(field.encode_name, _amounts_in(field.type, inside)) for field in node.fields]
            fields = [(name, kind, None) for name, kind in kinds if kind is not None]
            found = msgspec.defstruct("Amounts", fields) if fields else None
        case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner):
            found = _amounts_in(inner, parents)
            return found and list[found]
        case inspect.DictType(value_type=inner):
            found = _amounts_in(inner, parents)
            return found and dict[str, found]
        case inspect.UnionType(types=options):
            parts = [(type(option), _amounts_in(option, parents)) for option in options]
            if any(part is not None for _, part in parts):
                # The union of types that are known only now.
                found = Union[tuple(_OTHERS[o] if part is None else part for o, part in parts)]  # noqa: UP007
        case _:
            pass
    return found
