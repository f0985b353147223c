"""Models with invented values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

import attrs
from msgspec import inspect

from pinstripe import _event_samples
from pinstripe._core.checks import check_field_names
from pinstripe._core.errors import ConfigurationError, DecodeError
from pinstripe._models.convert import from_dict, to_dict
from pinstripe._models.record import Record

_M = TypeVar("_M")

_NOW: Final = 1_790_510_400
"""The time of samples: seconds since the Unix epoch, in September 2026."""

_LEAST: Final[dict[type[Any], Any]] = {
    inspect.VarTupleType: [],
    inspect.ListType: [],
    inspect.DictType: {},
    inspect.DateTimeType: _NOW,
    inspect.BoolType: False,
    inspect.AnyType: False,  # the has_more of a page, which checks itself
    inspect.IntType: 1,
    inspect.FloatType: 1,
    inspect.NoneType: None,
}


def sample(model: type[_M], **fields: Any) -> _M:
    """Return a model with invented values, such as a test answers with.

        sample(VerificationSession, id="vs_1", status="verified")

    Args:
        model: A model of this package, or a `Page` of one.
        fields: The fields that matter to the test, as models, plain data or the values of a model.

    Raises:
        ConfigurationError: The model has no such field, or it does not take the value.
    """
    kind = _class_of(model)
    if not (isinstance(kind, type) and issubclass(kind, Record)):
        raise ConfigurationError("model", "must be a model of this package, or a Page of one")
    plain = _example(model, fields.get("status"))
    known = {attribute.name for attribute in attrs.fields(kind)}
    check_field_names(fields, known, kind.__name__)
    plain |= {name: _as_data(value) for name, value in fields.items()}
    try:
        return from_dict(model, plain)
    except DecodeError as error:
        argument = error.path.removeprefix("$.") or "model"
        raise ConfigurationError(argument, error.message) from None


def _as_data(value: Any) -> Any:
    """Return a value of a model as the API sends it."""
    if isinstance(value, Record):
        return to_dict(value)
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        inside = cast("Mapping[str, Any]", value)
        return {name: _as_data(item) for name, item in inside.items()}
    if isinstance(value, (list, tuple)):
        return [_as_data(item) for item in cast("Sequence[Any]", value)]
    return value


def _class_of(model: Any) -> Any:
    return getattr(model, "__origin__", model)


def _example(model: Any, status: str | None) -> dict[str, Any]:
    """Return plain data for a model: a sample of its events if there is one, else its shape."""
    shape: dict[str, Any] = _shape(inspect.type_info(model), "id")
    found: dict[str, Any] | None = None
    for type in sorted(_event_samples.SAMPLED):
        made = _event_samples.sample(type, _NOW, "Sample")
        if made is not None and made.object["object"] == shape.get("object"):
            found = found or made.object
            if made.object.get("status") == status:
                return made.object
    return found or shape


def _shape(node: Any, name: str) -> Any:
    """Return the least data that a type takes."""
    match node:
        case inspect.Metadata(type=inner):
            return _shape(inner, name)
        case inspect.StructType():
            required = [each for each in node.fields if each.required or each.name == "object"]
            return {each.encode_name: _shape(each.type, each.name) for each in required}
        case inspect.UnionType(types=options):
            kinds = {type(each): each for each in options}
            if inspect.FloatType in kinds and inspect.StrType in kinds:  # an amount
                return "1.00"
            # A word that the API documents goes before any text.
            return _shape(kinds.get(inspect.LiteralType, options[0]), name)
        case inspect.LiteralType(values=values):
            return values[0]
        case _:
            return _LEAST.get(cast("Any", type(node)), f"{name}_sample")
