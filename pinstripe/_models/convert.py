"""The one converter: JSON bytes to models, and models to plain data.

msgspec builds every class whose fields it knows (datetime, Decimal, Literal, other models), and
decodes the bytes of an answer straight into the class. cattrs builds the classes that have a field
which msgspec does not know, and makes plain data of all models. A hook gives each class that cattrs
comes across back to msgspec if it can. cattrs takes long to import, so that happens when it has
something to do. msgspec can build every class derived from `Record`; the tests hold that for each.

msgspec runs in its lax mode, since only that mode reads timestamps from numbers. It also reads
`"12"` as the integer 12 and `"false"` as False: no digit is lost by that, and a value that fits
neither way is still an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_origin

import attrs
import msgspec

from pinstripe._core.errors import DecodeError
from pinstripe._models.record import Record

if TYPE_CHECKING:
    from cattrs import BaseValidationError, Converter

_T = TypeVar("_T")

# What msgspec and cattrs raise for data that does not fit. TypeError: the hook of a class was given
# something that is not a mapping.
_MISFITS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)

_NODES = (msgspec.inspect.Type, msgspec.inspect.Field)

# Parts of msgspec's messages that quote no value. They are compiled when an answer does not fit.
_PATH = r"`(\$[^`]*)`$"
_EXPECTED = r"Expected `[^`]*`, got `[^`]*`|Object missing required field `\w+`"


@cache
def is_native(model: Any) -> bool:
    """Return whether msgspec can build `model`, and everything in it, by itself.

    Args:
        model: An attrs class, or a generic one with its arguments.
    """
    if not attrs.has(getattr(model, "__origin__", model)):
        return False
    # msgspec describes a type as a tree of nodes, with cycles where classes hold each other. A type
    # that it does not know is a CustomType.
    seen: set[int] = set()
    waiting: list[Any] = [msgspec.inspect.type_info(model)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, msgspec.inspect.CustomType):
            return False
        if isinstance(node, tuple):
            waiting.extend(cast("tuple[Any, ...]", node))
        elif isinstance(node, _NODES) and id(node) not in seen:
            seen.add(id(node))
            waiting.extend(getattr(node, name) for name in node.__struct_fields__)
    return True


@cache
def converter() -> Converter:
    """Return the converter; a module may register a hook for a model of its own."""
    from cattrs import Converter  # noqa: PLC0415 -- slow, so only when needed

    def native_hook(model: Any) -> Callable[[Any, Any], Any]:
        return lambda value, _: msgspec.convert(value, model, strict=False)

    def is_open(kind: Any) -> bool:
        # A field of a generic class, such as `Private[_T]`: cattrs resolves a bare variable only.
        return get_origin(kind) is Annotated and isinstance(kind.__origin__, TypeVar)

    made = Converter()
    made.register_structure_hook_factory(is_native, native_hook)
    made.register_unstructure_hook(datetime, _seconds)
    made.register_unstructure_hook(Decimal, _digits)
    made.register_unstructure_hook_func(is_open, made.unstructure)
    return made


def _digits(value: Decimal) -> str:
    # "1E+999999999" is a few bytes of an answer and a gigabyte of zeros: it stays as it came.
    return f"{value:f}" if -1000 < value.adjusted() < 1000 else str(value)


def _seconds(value: datetime) -> float:
    seconds = value.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


@cache
def decoder_of(model: Any) -> Callable[[bytes], Any]:
    """Return the function that reads a JSON body as a model; it is made once for each model.

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
    """Return the object that cattrs builds from plain data."""
    from cattrs import BaseValidationError  # noqa: PLC0415 -- slow, so only when needed

    try:
        return converter().structure(value, model)
    except BaseValidationError as error:
        misfit = _MisfitError(*_describe_group(error))
    # Not in the `except` block, where the error with the data would become the context of this one.
    raise misfit


class _MisfitError(TypeError):
    """Data does not fit a class that cattrs builds; it names the place, and shows no data."""

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
        DecodeError: The body is not JSON, or not of that shape. It names the place, and shows no
            value.
    """
    target: Any = model
    try:
        value: _T = decoder_of(target)(body)
    except _MISFITS as error:
        problem = _decode_error(error, model)
    else:
        return value
    # A traceback that shows local variables must not show it.
    del body
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
    except _MISFITS as error:
        problem = _decode_error(error, model)
    else:
        return structured
    # As in `decode`.
    del value
    raise problem


def to_dict(model: Any) -> dict[str, Any]:
    """Return everything in a model as plain data, including personal data and secrets.

    Timestamps are seconds and decimals are text, as in the API's own JSON, so the result can be
    stored as JSON and read back.

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
    """Return where data did not fit and why, without the values that the message may quote."""
    if isinstance(error, _MisfitError):
        return error.path, error.problem
    text = str(error)
    found, expected = re.search(_PATH, text), re.search(_EXPECTED, text)
    # A ValidationError is a DecodeError too, but of data that is JSON.
    is_json = isinstance(error, msgspec.ValidationError)
    malformed = isinstance(error, (msgspec.DecodeError, UnicodeDecodeError)) and not is_json
    kind = "malformed JSON" if malformed else "wrong value"
    return found[1] if found else "$", expected[0] if expected else kind


def _describe_group(error: BaseValidationError) -> tuple[str, str]:
    from cattrs import transform_error  # noqa: PLC0415 -- slow, so only when needed

    # cattrs finds every misfit, msgspec the first one; one is enough.
    first = transform_error(error, format_exception=lambda inner, _: _describe(inner)[1])
    problem, _, path = first[0].rpartition(" @ ")
    return path, problem
