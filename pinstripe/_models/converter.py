"""The public converter: a cattrs `Converter` that leaves to msgspec whatever msgspec can build.

Its own hook, for each type that `NativeTypes` has, is the decoder in C. So a class that cattrs has
to build gets the rest from there: times from seconds, decimals from text, models. A hook of a user
comes before: it is obeyed wherever its type occurs. A model of this package with that type in it is
then built by cattrs, and everything else in it by msgspec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import datetime
from decimal import Decimal
from types import NoneType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import attrs
from cattrs import Converter, StructureHandlerNotFoundError
from cattrs.disambiguators import create_default_dis_func
from typing_extensions import Self

from pinstripe._models.amounts import NO_AMOUNT, is_amount, may_be_amount, meant_by
from pinstripe._models.kinds import UNIONS, hints_of, parts_of
from pinstripe._models.misfits import MisfitError
from pinstripe._models.native import NativeTypes, is_own, structurer_of

_Hook = Callable[[Any, Any], Any]


class ModelConverter(Converter):
    """A cattrs converter; see the module.

    Args:
        args: As of `cattrs.Converter`.
        natives: The types that it leaves to msgspec.
        kwargs: As of `cattrs.Converter`.
    """

    def __init__(self, *args: Any, natives: NativeTypes | None = None, **kwargs: Any) -> None:
        self._natives = NativeTypes() if natives is None else natives
        # What is registered in here is no hook of a user.
        self._is_ready = False
        super().__init__(*args, **kwargs)
        for kind in (str, int, float, bool):
            self.register_structure_hook(kind, _plain_hook(kind))
        own: list[tuple[Callable[[Any], bool], Callable[[Any], _Hook]]] = [
            (self._is_union_of_classes, self._union_hook),
            (self._is_mixed, self._mixed_hook),
            (is_own, self.gen_structure_attrs_fromdict),
            (self._natives.__contains__, _native_hook),
            (is_amount, self._amount_hook),
        ]
        for is_for, factory in own:
            self.register_structure_hook_factory(is_for, factory)
        self.register_unstructure_hook(datetime, _seconds)
        self.register_unstructure_hook(Decimal, _digits)
        self.register_unstructure_hook_func(_is_open, self.unstructure)
        # A copy makes these itself.
        self._struct_copy_skip = self._structure_func.get_num_fns()
        self._unstruct_copy_skip = self._unstructure_func.get_num_fns()
        self._is_ready = True
        # Settings that msgspec does not have, for classes with fields.
        if self.forbid_extra_keys or self.type_overrides or self._prefer_attrib_converters:
            self._take_note(hints_of)

    def copy(self, *args: Any, **kwargs: Any) -> Self:
        """Return a converter with the same hooks; see `cattrs.Converter.copy`."""
        made = super().copy(*args, **kwargs)
        made._natives.add_hooks_of(self._natives)  # noqa: SLF001 -- of the same class
        return made

    def register_structure_hook(self, cl: Any, func: Any = None) -> Any:
        """See `cattrs.Converter.register_structure_hook`."""
        result = super().register_structure_hook(cl, func)
        # As a decorator, it calls itself with the type.
        if func is not None:
            self._take_note(_test_for(cl))
        return result

    def register_structure_hook_func(self, check_func: Any, func: Any) -> None:
        """See `cattrs.Converter.register_structure_hook_func`."""
        super().register_structure_hook_func(check_func, func)
        self._take_note(check_func)

    def register_structure_hook_factory(self, predicate: Any, factory: Any = None) -> Any:
        """See `cattrs.Converter.register_structure_hook_factory`."""
        result = super().register_structure_hook_factory(predicate, factory)
        self._take_note(predicate)
        return result

    def _take_note(self, is_for: Callable[[Any], object]) -> None:
        if self._is_ready:
            self._natives.add_hook(is_for)

    def find_gap(self, kind: Any) -> Any:
        """Return a type within another one that nothing can structure; None if there is none.

        Args:
            kind: The type.

        Raises:
            Exception: cattrs refuses the type for another reason.
        """
        seen: list[Any] = []
        waiting = [kind]
        while waiting:
            one = waiting.pop()
            if one in seen or one in self._natives:
                continue
            seen.append(one)
            try:
                self.get_structure_hook(one)
            except StructureHandlerNotFoundError as error:
                return error.type_
            if not self._natives.has_hook(one):
                waiting += _parts_to_structure(one)
        return None

    def _is_union_of_classes(self, kind: Any) -> bool:
        if get_origin(kind) not in UNIONS or self._natives.has_hook(kind):
            return False
        classes = _without_none(kind)
        return len(classes) > 1 and all(map(_is_class, classes))

    def _union_hook(self, kind: Any) -> _Hook:
        """Return the hook of a union of classes; cattrs tells them by their fields, once known."""
        classes = _without_none(kind)
        for part in classes:
            _resolve_types(get_origin(part) or part)
        choose: Callable[[Any], Any] = create_default_dis_func(self, *classes)
        has_none = len(classes) < len(get_args(kind))

        def structure(value: Any, _: Any) -> Any:
            is_none = has_none and value is None
            return None if is_none else self.structure(value, choose(value))

        return structure

    def _is_mixed(self, kind: Any) -> bool:
        """Return whether a type is a union of objects and other values, such as `str | Card`."""
        if get_origin(kind) not in UNIONS or self._natives.has_hook(kind):
            return False
        parts = _without_none(kind)
        return 0 < sum(map(_is_object, parts)) < len(parts)

    def _mixed_hook(self, kind: Any) -> _Hook:
        parts = get_args(kind)
        # The unions of types that are known only now.
        objects: Any = Union[tuple(part for part in parts if _is_object(part))]  # noqa: UP007
        others: Any = Union[tuple(part for part in parts if not _is_object(part))]  # noqa: UP007

        def structure(value: Any, _: Any) -> Any:
            return self.structure(value, objects if isinstance(value, Mapping) else others)

        return structure

    def _amount_hook(self, kind: Any) -> _Hook:
        """Return the hook of an amount: that of a user for Decimal, if there is one."""
        if self._natives.has_hook(Decimal):
            hook: _Hook = self.get_structure_hook(meant_by(kind))
            return hook
        read = structurer_of(kind)

        def structure(value: Any, _: Any) -> Any:
            stored = read(value)
            if not may_be_amount(stored):
                raise MisfitError("$", NO_AMOUNT)
            return stored

        return structure


def _test_for(kind: Any) -> Callable[[Any], object]:
    """Return what tests whether a hook that is registered for a type is for another one."""
    is_class = isinstance(kind, type) and get_origin(kind) is None
    return lambda other: other == kind or (is_class and issubclass(other, kind))


def _parts_to_structure(kind: Any) -> list[Any]:
    """Return the types that a hook of cattrs comes to within a type."""
    if not attrs.has(kind):
        return parts_of(kind)
    hints = hints_of(kind)
    # cattrs leaves a field without a hook to the converter that the field has.
    inner = [hints[field.name] for field in attrs.fields(kind) if field.converter is None]
    return [*inner, *get_args(kind)]


def _is_class(kind: Any) -> bool:
    """Return whether cattrs can tell a class from others by its fields."""
    return attrs.has(kind) or is_dataclass(get_origin(kind) or kind)


def _resolve_types(kind: Any) -> None:
    """Put the types of the fields of a class in place of the texts of its annotations."""
    if attrs.has(kind):
        attrs.resolve_types(kind)
        return
    for field in dataclass_fields(kind):
        field.type = hints_of(kind)[field.name]


def _without_none(union: Any) -> list[Any]:
    return [part for part in get_args(union) if part is not NoneType]


def _is_object(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    is_mapping = isinstance(origin, type) and issubclass(origin, Mapping)
    return is_mapping or bool(hints_of(kind))


def _plain_hook(kind: Any) -> _Hook:
    """Return the hook of a plain type; the one of cattrs makes the text "None" of None."""
    read = structurer_of(kind)
    return lambda value, asked: read(value) if asked is kind else asked(read(value))


def _native_hook(kind: Any) -> _Hook:
    read = structurer_of(kind)
    return lambda value, _: read(value)


def _is_open(kind: Any) -> bool:
    # A field of a generic class, such as `Private[_T]`: cattrs resolves a bare variable only.
    return get_origin(kind) is Annotated and isinstance(kind.__origin__, TypeVar)


def _digits(value: Decimal) -> str:
    # A model that was made by hand can hold "1E+999999999", which is a gigabyte of zeros.
    return f"{value:f}" if -1000 < value.adjusted() < 1000 else str(value)


def _seconds(value: datetime) -> float:
    seconds = value.timestamp()
    return int(seconds) if seconds.is_integer() else seconds
