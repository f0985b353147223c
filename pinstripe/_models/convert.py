"""The one converter: JSON bytes to models, models to plain data.

cattrs decides how each class is built, msgspec builds what it can: a hook factory hands every
class whose fields msgspec knows (datetime, Decimal, Literal, nested models) to its C decoder, and
the bytes of an answer are decoded straight into the class. A class with a field that only cattrs
can build keeps cattrs' generated hook. cattrs is imported when it has something to do: a model
derived from `Record` is one that msgspec builds whole, which the tests hold for each.

msgspec runs in its lax mode, since only that mode reads timestamps from numbers. It also reads
`"12"` as the integer 12 and `"false"` as False: no digit is lost by it, and a value that fits
neither way is still an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_origin

import attrs
import msgspec

from pinstripe._core.errors import DecodeError
from pinstripe._models.record import Record

if TYPE_CHECKING:
    from cattrs import BaseValidationError, Converter

_T = TypeVar("_T")

# Not compiled before an answer does not fit.
_AT = r"`(\$[^`]*)`$"
# TypeError: cattrs' hook of a class, given something that is no mapping.
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)
_EXPECTED = r"Expected `[^`]*`, got `[^`]*`|Object missing required field `\w+`"


def _type_nodes(node: Any) -> Iterator[Any]:
    """Yield every type inside an inspected type, each class once."""
    seen: set[int] = set()
    waiting: list[Any] = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting += node
        elif (
            isinstance(node, (msgspec.inspect.Type, msgspec.inspect.Field)) and id(node) not in seen
        ):
            seen.add(id(node))
            yield node
            waiting.extend(getattr(node, name) for name in node.__struct_fields__)


@cache
def is_native(model: Any) -> bool:
    """Return whether msgspec can build `model`, and all that it holds, by itself.

    Args:
        model: An attrs class, or a generic one with its arguments.
    """
    if not attrs.has(getattr(model, "__origin__", model)):
        return False
    nodes = _type_nodes(msgspec.inspect.type_info(model))
    return not any(isinstance(node, msgspec.inspect.CustomType) for node in nodes)


@cache
def converter() -> Converter:
    """Return the converter; a room registers a hook where its model needs one."""
    from cattrs import Converter  # noqa: PLC0415 -- slow, so only when needed

    made = Converter()
    made.register_structure_hook_factory(is_native, _native_hook)
    made.register_unstructure_hook(datetime, _seconds)
    made.register_unstructure_hook(Decimal, _digits)
    made.register_unstructure_hook_func(_is_open, made.unstructure)
    return made


def _native_hook(model: Any) -> Callable[[Any, Any], Any]:
    return lambda value, _: msgspec.convert(value, model, strict=False)


def _is_open(kind: Any) -> bool:
    # A field of a generic class, such as `Private[_T]`: cattrs resolves a bare variable only.
    return get_origin(kind) is Annotated and isinstance(kind.__origin__, TypeVar)


def _digits(value: Decimal) -> str:
    # A few bytes of an answer can stand for a gigabyte of zeros; those stay as they came.
    return f"{value:f}" if -1000 < value.adjusted() < 1000 else str(value)


def _seconds(value: datetime) -> float:
    seconds = value.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


@cache
def decoder_of(model: Any) -> Callable[[bytes], Any]:
    """Return what reads a JSON body as a model, made at the first call for each.

    Args:
        model: The class to build.
    """
    if _is_record(model) or is_native(model):
        return msgspec.json.Decoder(model, strict=False).decode
    return lambda body: _built(msgspec.json.decode(body), model)


def _is_record(model: Any) -> bool:
    kind = getattr(model, "__origin__", model)
    return isinstance(kind, type) and issubclass(kind, Record)


def _built(value: Any, model: Any) -> Any:
    """Return what cattrs makes of plain data."""
    from cattrs import BaseValidationError  # noqa: PLC0415 -- slow, so only when needed

    try:
        return converter().structure(value, model)
    except BaseValidationError as error:
        misfit = _Misfit(*_describe_group(error))
    raise misfit


class _Misfit(TypeError):
    """Where data does not fit a class that cattrs builds, and why, without the data."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{problem} at {path}")
        self.path = path
        self.problem = problem


def decode(body: bytes, model: type[_T]) -> _T:
    """Return the model that a JSON body holds.

    Args:
        body: JSON in UTF-8.
        model: The attrs class to build.

    Raises:
        DecodeError: The body is not JSON, or not of that shape; it says where, and no value.
    """
    target: Any = model
    try:
        value: _T = decoder_of(target)(body)
    except _FAULTS as error:
        problem = _decode_error(error, model)
    else:
        return value
    del body  # a traceback that shows locals shows nothing of it
    raise problem


def structure(value: Any, model: type[_T]) -> _T:
    """Return the model that plain data holds.

    Args:
        value: Mappings, lists and plain values, as `json.loads` gives them.
        model: The attrs class to build.

    Raises:
        DecodeError: The data is not of that shape.
    """
    try:
        structured: _T = (
            msgspec.convert(value, model, strict=False)
            if _is_record(model)
            else _built(value, model)
        )
    except _FAULTS as error:
        problem = _decode_error(error, model)
    else:
        return structured
    del value  # as above
    raise problem


def to_dict(model: Any) -> dict[str, Any]:
    """Return everything in a model as plain data, personal data and secrets included.

    Timestamps are seconds and decimals are text, as in the API's own JSON, so that the result
    can be stored as JSON and read back.

    Args:
        model: A model or a page.
    """
    data: dict[str, Any] = converter().unstructure(model)
    return data


def _decode_error(error: BaseException, model: Any) -> DecodeError:
    path, problem = _describe(error)
    name = getattr(model, "__name__", str(model))
    result = DecodeError(f"not a {name}: {problem} at {path}")
    result.path = path
    return result


def _describe(error: BaseException) -> tuple[str, str]:
    """Return where a decoder failed and why, without the values that its message may quote."""
    if isinstance(error, _Misfit):
        return error.path, error.problem
    text = str(error)
    found, expected = re.search(_AT, text), re.search(_EXPECTED, text)
    malformed = isinstance(error, (msgspec.DecodeError, UnicodeDecodeError))
    kind = (
        "malformed JSON"
        if type(error) is not msgspec.ValidationError and malformed
        else "wrong value"
    )
    return found[1] if found else "$", expected[0] if expected else kind


def _describe_group(error: BaseValidationError) -> tuple[str, str]:
    from cattrs import transform_error  # noqa: PLC0415 -- slow, so only when needed

    first = transform_error(error, format_exception=lambda inner, _: _describe(inner)[1])
    problem, _, path = first[0].rpartition(" @ ")
    return path, problem
