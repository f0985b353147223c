"""The one converter: JSON bytes to models, and models to plain data.

msgspec builds every class whose fields it knows (datetime, Decimal, Literal, other models), and
decodes the bytes of an answer straight into the class. cattrs builds the classes that have a field
which msgspec does not know, and makes plain data of all models. A hook gives each class that cattrs
comes across back to msgspec if it can. cattrs takes long to import, so that happens when it has
something to do. msgspec can build every class derived from `Record`; the tests hold that for each.

msgspec runs in its lax mode, since only that mode reads timestamps from numbers. It also reads
`"12"` as the integer 12 and `"false"` as False: no digit is lost by that, and a value that fits
neither way is still an error. Only the `has_more` of a page is strict, since a walk ends by it.

msgspec skips fields that a model does not have, and then looks at no byte of their text. So the
whole body is checked to be UTF-8 first; that is a scan in C, and nearly every body is plain ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_origin

import attrs
import msgspec

from pinstripe._core.checks import with_article
from pinstripe._core.errors import ConfigurationError, DecodeError
from pinstripe._core.forks import no_fork
from pinstripe._models.amounts import amounts_of, are_plain
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
_EXPECTED = r"Expected `[^`]*`(?:, got `[^`]*`)?|Object missing required field `\w+`"


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
    with no_fork():
        from cattrs import Converter  # noqa: PLC0415 -- slow, so only when needed

    def native_hook(model: Any) -> Callable[[Any, Any], Any]:
        return lambda value, _: _convert(value, model)

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
    # A model that was made by hand can hold "1E+999999999", which is a gigabyte of zeros.
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
        read = msgspec.json.Decoder(model, strict=False).decode
        amounts = _amounts_of(model)
        return read if amounts is None else _checking(read, msgspec.json.Decoder(amounts).decode)
    return lambda body: _built(msgspec.json.decode(body), model)


def _is_record(model: Any) -> bool:
    kind = getattr(model, "__origin__", model)
    return isinstance(kind, type) and issubclass(kind, Record)


def _checking(
    read: Callable[[bytes], Any], read_amounts: Callable[[bytes], Any]
) -> Callable[[bytes], Any]:
    """Return `read` with a check of the amounts that it reads."""

    def decode_with_amounts(body: bytes) -> Any:
        value = read(body)
        if not are_plain(body):
            _check_amounts(read_amounts, body)
        return value

    return decode_with_amounts


def _convert(value: Any, model: Any) -> Any:
    """Return the object that msgspec builds from plain data."""
    made = msgspec.convert(value, model, strict=False)
    amounts = _amounts_of(model)
    if amounts is not None:
        _check_amounts(lambda data: msgspec.convert(data, amounts), value)
    return made


_amounts_of = cache(amounts_of)


def _check_amounts(read: Callable[[Any], Any], data: Any) -> None:
    try:
        read(data)
    except msgspec.ValidationError as error:
        misfit = _MisfitError(_describe(error)[0], "not a decimal number that an amount can be")
    else:
        return
    # As in `_built`.
    raise misfit


def _built(value: Any, model: Any) -> Any:
    """Return the object that cattrs builds from plain data."""
    with no_fork():
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
        if not body.isascii():
            body.decode()
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
        structured: _T = _convert(value, model) if _is_record(model) else _built(value, model)
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


def from_dict(model: type[_T], data: Mapping[str, Any]) -> _T:
    """Return the model that `to_dict` made plain data of, or that the API's own JSON holds.

        session = pinstripe.from_dict(VerificationSession, json.loads(row["session"]))

    The type of a page is `Page[VerificationSession]`. An attrs class of your own is built too.

    Args:
        model: The class to build.
        data: Plain data, as `to_dict` or `json.loads` gives it; fields that the model does not
            have are left out.

    Raises:
        ConfigurationError: `model` is no model and no attrs class.
        DecodeError: The data does not fit the model. The error names the place, and no value.
    """
    if not attrs.has(getattr(model, "__origin__", model)):
        raise ConfigurationError("model", "must be a model or another attrs class")
    return structure(data, model)


def _decode_error(error: BaseException, model: Any) -> DecodeError:
    path, problem = _describe(error)
    name = getattr(model, "__name__", str(model))
    result = DecodeError(f"not {with_article(name)}: {problem} at {path}")
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
