"""Which types the decoder in C builds, and how: msgspec, which decodes bytes straight into them.

msgspec knows plain values (text, numbers, datetime, Decimal, Literal, enumerations), containers and
unions of them, models, and the attrs classes, dataclasses and TypedDicts of users. It fills a class
field by field, without its `__init__`. So a class is left to cattrs if its `__init__` does more
than to store each value under the name of its field, or if a hook is registered for a type in it.

msgspec runs in its lax mode, since only that mode reads timestamps from numbers. It also reads
`"12"` as the integer 12 and `"false"` as False: no digit is lost by that, and a value that fits
neither way is still an error. Only the `has_more` of a page is strict, since a walk ends by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache, partial
from typing import Any, cast, get_args, get_origin

import attrs
import msgspec
from typing_extensions import is_typeddict

from pinstripe._models.amount_checks import check_of
from pinstripe._models.kinds import hints_of, types_in
from pinstripe._models.misfits import MISFITS, MisfitError, describe
from pinstripe._models.record import Record

_NODES = (msgspec.inspect.Type, msgspec.inspect.Field)
_CLASSES = (msgspec.inspect.DataclassType, msgspec.inspect.TypedDictType)


class NativeTypes:
    """The types that one converter leaves to the decoder in C, with what is in them.

    Args:
        on_change: Is called after a hook was registered.
    """

    def __init__(self, on_change: Callable[[], object] = lambda: None) -> None:
        self._on_change = on_change
        # Each tests whether a hook is for a type.
        self._hooks: list[Callable[[Any], object]] = []

    def add_hook(self, is_for: Callable[[Any], object]) -> None:
        """Take note of a hook that a user has registered.

        Args:
            is_for: Returns whether the hook is for a type; what it raises means that it is not.
        """
        self._hooks.append(is_for)
        self._on_change()

    def add_hooks_of(self, other: NativeTypes) -> None:
        """Take note of the hooks of another converter.

        Args:
            other: Its native types.
        """
        self._hooks += other._hooks

    def __contains__(self, kind: Any) -> bool:
        return (is_own(kind) or is_native(kind)) and not self._is_reached_by_hooks(kind)

    def has_hook(self, kind: Any) -> bool:
        """Return whether a hook of a user is for this very type."""
        return any(_is_for(test, kind) for test in self._hooks)

    def _is_reached_by_hooks(self, kind: Any) -> bool:
        if not self._hooks:
            return False
        kinds = list(types_in(kind))
        # Bytes that are decoded later, with hooks.
        return msgspec.Raw not in kinds and any(map(self.has_hook, kinds))


def _is_for(test: Callable[[Any], object], kind: Any) -> bool:
    try:
        return bool(test(kind))
    except Exception:  # noqa: BLE001 -- as in cattrs: a predicate may take any type to be a class
        return False


def is_own(kind: Any) -> bool:
    """Return whether a type is a model, or a page of models: msgspec can build every one."""
    parts = (get_origin(kind) or kind, *get_args(kind))
    return all(isinstance(part, type) and issubclass(part, (Record, msgspec.Raw)) for part in parts)


@cache
def is_native(kind: Any) -> bool:
    """Return whether msgspec can build a type, and everything in it, as its classes mean it.

    Args:
        kind: Any type.
    """
    try:
        root = msgspec.inspect.type_info(kind)
    except Exception:  # noqa: BLE001 -- such as a NameError of an annotation; cattrs will say it
        return False
    # msgspec describes a type as a tree of nodes, with cycles where classes hold each other. A type
    # that it does not know is a CustomType.
    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, msgspec.inspect.CustomType):
            return False
        if isinstance(node, _CLASSES) and not _is_plain(node.cls):
            return False
        if isinstance(node, tuple):
            waiting.extend(cast("tuple[Any, ...]", node))
        elif isinstance(node, _NODES) and id(node) not in seen:
            seen.add(id(node))
            waiting.extend(getattr(node, name) for name in node.__struct_fields__)
    return True


def _is_plain(kind: Any) -> bool:
    """Return whether a class is filled by storing each value under the name of its field."""
    kind = get_origin(kind) or kind
    if is_typeddict(kind):
        made = True
    elif is_dataclass(kind):
        made = all(field.init for field in kind.__dataclass_fields__.values())
    else:
        made = all(field.init and field.converter is None for field in attrs.fields(kind))
    code = getattr(getattr(kind, "__init__", None), "__code__", None)
    # The code of a generated `__init__` is in no file.
    generated = code is None or code.co_filename.startswith("<")
    return made and generated and not any(map(_is_overridden, hints_of(kind).values()))


def _is_overridden(hint: Any) -> bool:
    """Return whether the type of a field has a remark for cattrs, such as another name."""
    remarks = getattr(hint, "__metadata__", ())
    return any(type(remark).__module__.startswith("cattrs") for remark in remarks)


def reader_of(kind: Any) -> Callable[[bytes], Any]:
    """Return the function that reads JSON as a native type.

    Args:
        kind: The type.
    """
    decode = msgspec.json.Decoder(kind, strict=False).decode
    read = _checked(kind, decode)
    return read if is_own(kind) else partial(_guarded, read)


def structurer_of(kind: Any) -> Callable[[Any], Any]:
    """Return the function that structures plain data into a native type.

    Args:
        kind: The type.
    """
    convert = _checked(kind, lambda value: msgspec.convert(value, kind, strict=False))
    return convert if is_own(kind) else partial(_guarded, convert)


def _checked(kind: Any, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `read` with a check of the amounts that it reads."""
    check = check_of(kind)
    if check is None:
        return read

    def read_and_check(data: Any) -> Any:
        value = read(data)
        check(value)
        return value

    return read_and_check


def _guarded(read: Callable[[Any], Any], data: Any) -> Any:
    """Call `read`; what code of a class of the user raises is a misfit, whatever it is."""
    try:
        return read(data)
    except MISFITS:
        raise
    except Exception as error:  # noqa: BLE001 -- a validator or a `__post_init__` raises anything
        misfit = MisfitError(*describe(error))
    # Not in the `except` block, where the error with the data would become the context of this one.
    raise misfit
