"""JSON bytes to models and the classes of users, and all of them to plain data.

There is one converter, `pinstripe.converter`. Whatever msgspec can build is decoded straight from
the bytes, and cattrs builds the rest; see `native` and `converter`. cattrs takes long to import, so
that happens when it has something to do. msgspec can build every class derived from `Record`; the
tests hold that for each.

Which of the two builds a type is decided once, and kept. A hook that is registered later makes all
of that be decided again, so a decoder costs nothing that a hook would need.

msgspec skips fields that a model does not have, and then looks at no byte of their text. So the
whole body is checked to be UTF-8 first; that is a scan in C, and nearly every body is plain ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

import attrs
import msgspec

from pinstripe._core.checks import with_article
from pinstripe._core.errors import ConfigurationError, DecodeError
from pinstripe._core.forks import no_fork
from pinstripe._models.kinds import name_of
from pinstripe._models.misfits import MISFITS, MisfitError, describe
from pinstripe._models.native import NativeTypes, reader_of, structurer_of

if TYPE_CHECKING:
    from cattrs import Converter

    converter: Converter
    """The converter of all answers; see the guide "Any other endpoint"."""

else:

    def __getattr__(name: str) -> Any:
        """Make the converter when it is first asked for: the import of cattrs takes long."""
        if name != "converter":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _converter()


_T = TypeVar("_T")


def _decide_again() -> None:
    for decided in (decoder_of, _reader_of_plain, _check_target):
        decided.cache_clear()


_NO_TYPE = "must be a class, such as an attrs class, or a type made of such classes"

_natives = NativeTypes(_decide_again)


@cache
def _converter() -> Any:
    with no_fork():
        from pinstripe._models.converter import ModelConverter  # noqa: PLC0415 -- slow: see above

    return ModelConverter(natives=_natives)


@cache
def decoder_of(model: Any) -> Callable[[bytes], Any]:
    """Return the function that reads a JSON body as a type; it is made once for each type.

    Args:
        model: The type to build.
    """
    if model in _natives:
        return reader_of(model)
    return lambda body: _built(model, msgspec.json.decode(body))


@cache
def _reader_of_plain(model: Any) -> Callable[[Any], Any]:
    """Return the function that structures plain data into a type."""
    return structurer_of(model) if model in _natives else partial(_built, model)


def _built(model: Any, value: Any) -> Any:
    """Return the object that cattrs builds from plain data."""
    structure = _converter().structure
    try:
        return structure(value, model)
    except Exception as error:  # noqa: BLE001 -- a hook of a user raises anything
        misfit = MisfitError(*describe(error))
    # Not in the `except` block, where the error with the data would become the context of this one.
    raise misfit


def check_target(argument: str, kind: Any) -> None:
    """Refuse a type that no answer can be structured into.

    Args:
        argument: The name to give in the error.
        kind: What the caller passed.

    Raises:
        ConfigurationError: It is no type, or cattrs has no hook for it, or for one within it.
    """
    try:
        problem = _check_target(kind)
    except TypeError:  # it is not hashable
        problem = _NO_TYPE
    if problem is not None:
        raise ConfigurationError(argument, problem)


@cache
def _check_target(kind: Any) -> str | None:
    """Return why no answer can be structured into a type; None if it can."""
    if kind in _natives:
        decoder_of(kind)
        return None
    try:
        gap = _converter().find_gap(kind)
    except Exception as error:  # noqa: BLE001 -- such as a NameError, or a union without a tag
        return f"cannot be structured: {error}"
    if gap is None:
        return None
    if not isinstance(gap, type) and get_origin(gap) is None:
        return _NO_TYPE
    remedy = "register a hook for it with pinstripe.converter.register_structure_hook"
    return f"cannot be structured without a hook for {name_of(gap)}; {remedy}"


def read(body: bytes, model: type[_T]) -> _T:
    """Do the same as `decode`, and raise what was raised.

    Args:
        body: JSON in UTF-8.
        model: The type to build.

    Raises:
        Exception: One of `MISFITS`, which can show a value.
    """
    target: Any = model
    if not body.isascii():
        body.decode()
    value: _T = decoder_of(target)(body)
    return value


def decode(body: bytes, model: type[_T]) -> _T:
    """Return the model that a JSON body holds.

    Args:
        body: JSON in UTF-8.
        model: The type to build.

    Raises:
        DecodeError: The body is not JSON, or not of that shape. It names the place, and shows no
            value.
    """
    try:
        value = read(body, model)
    except MISFITS as error:
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
        model: The type to build.

    Raises:
        DecodeError: The data is not of that shape.
    """
    target: Any = model
    try:
        structured: _T = _reader_of_plain(target)(value)
    except MISFITS as error:
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
    data: dict[str, Any] = unstructure(model)
    return data


def unstructure(value: Any) -> Any:
    """Return a value as plain data, as the converter does.

    Args:
        value: Anything.
    """
    return _converter().unstructure(value)


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
    path, problem = describe(error)
    result = DecodeError(f"not {with_article(name_of(model))}: {problem} at {path}")
    result.path = path
    return result
