"""Encodes the arguments of a call: headers, paths, forms, and the JSON of `/v2`.

A value that has no exact form on the wire is refused, and the error names its parameter. That holds
for an empty list or mapping in a form too: nothing of it would be sent. A fraction of a second has
no form in `/v1`; in a bound of a filter (`created[gte]`) it is rounded so that the bound lets the
same objects through, since the API counts whole seconds.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, cast
from urllib.parse import quote_plus

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_id, check_key, kind_of, plain_number
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Method

FORM = "application/x-www-form-urlencoded"
"""The content type of the form that `encode_form` returns."""

Rounding: TypeAlias = Literal["up", "down"]

ROUNDING: Final[Mapping[str, Rounding]] = {"gt": "down", "gte": "up", "lt": "up", "lte": "down"}
"""How a bound of a filter is rounded to whole seconds."""

PLACEHOLDER = re.compile(r"\{(\w+)\}")
"""The name of an id in the template of a path."""


# What escaping leaves as it is: most names and values, so most calls need no `quote_plus`.
_UNESCAPED = re.compile(r"[A-Za-z0-9_.~\[\]-]*")

_MAX_DEPTH = 8
"""Our bound, so that a mapping that contains itself is refused; the API nests less deeply."""

_NO_OPTIONS = RequestOptions()

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- in UTC, as is what is compared with it

_NO_TIME = "must be a point in time of the years 1 to 9999"

_METADATA = ("metadata", "metadata]")


def new_idempotency_key() -> str:
    """Return a new idempotency key: a random UUID, as Stripe suggests."""
    return str(uuid.uuid4())


def headers_for(
    method: Method, options: RequestOptions | None, *, v2: bool = False
) -> dict[str, str]:
    """Return the headers that the method and the options of a call require.

    Args:
        method: A POST gets an idempotency key, a new one if the options have none.
        options: The options of the call.
        v2: Whether the path is one of `/v2`, where a DELETE has a key too.

    Raises:
        ConfigurationError: The options have an idempotency key, and the method ignores it.
    """
    if options is None:
        options = _NO_OPTIONS
    elif not isinstance(options, RequestOptions):
        problem = f"must be a RequestOptions, not {kind_of(options)}"
        raise ConfigurationError("request_options", problem)
    headers: dict[str, str] = {}
    if method == "POST" or (v2 and method == "DELETE"):
        headers["Idempotency-Key"] = options.idempotency_key or new_idempotency_key()
    elif options.idempotency_key is not None:
        raise ConfigurationError("idempotency_key", f"has no effect on {method}; leave it out")
    if options.account is not None:
        headers["Stripe-Account"] = options.account
    if options.context is not None:
        headers["Stripe-Context"] = options.context
    if options.api_version is not None:
        headers["Stripe-Version"] = options.api_version
    return headers


def fill_path(template: str, ids: Mapping[str, str]) -> str:
    """Return a path with its placeholders replaced by ids.

    Args:
        template: Such as `/v1/events/{id}`.
        ids: A value for each placeholder: 1 to 255 letters, digits, `_` or `-`, so that it
            cannot add a segment.

    Raises:
        ConfigurationError: A value is not of that form.
    """
    if "{" not in template:
        return template
    return PLACEHOLDER.sub(lambda m: check_id(m[1], ids[m[1]]), template)


def encode_form(params: Mapping[str, Any], *, v2: bool = False) -> str:
    """Return parameters as a form with bracketed names.

    None is left out, a datetime becomes whole seconds, a Decimal plain text, an enumeration of
    text or numbers its value. An attrs value is encoded as the mapping of its fields.

    https://docs.stripe.com/api/requests

    Args:
        params: Nested mappings, sequences and plain values.
        v2: Whether a datetime becomes RFC 3339 text, as paths of `/v2` take it.

    Raises:
        ConfigurationError: A value has no exact form on the wire; the error names its path.
    """
    pairs = form_pairs(params, v2=v2)
    return "&".join(f"{_escape(name, name)}={_escape(name, value)}" for name, value in pairs)


def form_pairs(params: Mapping[str, Any], *, v2: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the bracketed name and the text of each value in `params`.

    Args:
        params: As for `encode_form`.
        v2: As for `encode_form`.

    Raises:
        ConfigurationError: As for `encode_form`.
    """
    for given, value in params.items():
        if value is None:
            continue
        name = check_key("params", given)
        # Most values are text, so they come first, here and below.
        if type(value) is str:
            yield name, value
        else:
            yield from _pairs(name, value, _MAX_DEPTH, v2=v2)


def _pairs(name: str, value: Any, depth: int, *, v2: bool) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    # A nested value yields the pairs of its members, `name[key]` each; any other yields one pair.
    members = _members(name, value, depth)
    if members is None:
        yield name, _scalar(name, value, v2=v2)
        return
    is_empty = True
    for key, inner in members:
        is_empty = False
        if type(inner) is str:
            yield f"{name}[{key}]", inner
        else:
            yield from _pairs(f"{name}[{key}]", inner, depth - 1, v2=v2)
    if is_empty:
        clear = "for a key to remove it" if name.endswith(_METADATA) else "to clear the field"
        problem = f"is empty, and a form cannot hold that; leave it out, or pass '' {clear}"
        raise ConfigurationError(name, problem)


def _members(name: str, value: Any, depth: int) -> Iterable[tuple[Any, Any]] | None:
    """Return the members of a nested value with their keys; None if it is not nested."""
    if isinstance(value, str):
        return None
    if depth == 0:
        raise ConfigurationError(name, f"is nested more than {_MAX_DEPTH} levels deep")
    if hasattr(value, "__attrs_attrs__"):
        return ((field.name, getattr(value, field.name)) for field in value.__attrs_attrs__)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        return ((check_key(name, key), inner) for key, inner in mapping.items())
    return enumerate(cast("Sequence[Any]", value)) if isinstance(value, (list, tuple)) else None


def _scalar(name: str, value: Any, *, v2: bool) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if v2:
            return _rfc3339(name, value)
        rounding = ROUNDING.get(name.rpartition("[")[2].removesuffix("]"))
        return str(timestamp(name, value, rounding))
    if (text := plain_number(value)) is not None:
        return text
    # A float is not among them: most decimal amounts have no exact float.
    kinds = "text, a whole number or Decimal of up to 40 digits, a bool or an aware datetime"
    raise ConfigurationError(name, f"must be {kinds}, not {kind_of(value)}")


def encode_json(params: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Return parameters as the JSON body of a path of `/v2`, and its texts by bracketed names.

    They are nested as they are given; None is null, which clears a field. A datetime becomes
    RFC 3339 text, a Decimal plain text.

    https://docs.stripe.com/api-v2-overview

    Args:
        params: Nested mappings, sequences and plain values.

    Raises:
        ConfigurationError: A value has no exact form in JSON; the error names its path.
    """
    texts: dict[str, str] = {}
    plain = {
        key: _plain(key, value, _MAX_DEPTH, texts)
        for key, value in ((check_key("params", name), value) for name, value in params.items())
    }
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode(), texts


def _plain(name: str, value: Any, depth: int, texts: dict[str, str]) -> Any:
    """Return a value as plain data for JSON, and add its texts to `texts`."""
    if value is None or isinstance(value, bool):
        return value
    members = _members(name, value, depth)
    if members is not None:
        inner = {key: _plain(f"{name}[{key}]", member, depth - 1, texts) for key, member in members}
        return list(inner.values()) if isinstance(value, (list, tuple)) else inner
    text = _scalar(name, value, v2=True)
    _escape(name, name + text)  # refuses what UTF-8 cannot encode
    texts[name] = text
    is_number = not isinstance(value, (str, datetime, Decimal))
    return int(text) if is_number else text


def timestamp(argument: str, value: datetime, rounding: Rounding | None = None) -> int:
    """Return a datetime as whole seconds since the Unix epoch.

    Args:
        argument: The name to give in the error.
        value: An aware datetime.
        rounding: What to do with a fraction of a second; None to refuse it, since it would be
            lost.

    Raises:
        ConfigurationError: It is naive, or has a fraction and no rounding.
    """
    since = _since_epoch(argument, value)
    fraction = since.microseconds or _nanoseconds(value)
    if fraction and rounding is None:
        raise ConfigurationError(argument, "the API counts whole seconds; drop the microseconds")
    return since // timedelta(seconds=1) + (1 if fraction and rounding == "up" else 0)


def _rfc3339(argument: str, value: datetime) -> str:
    since = _since_epoch(argument, value)
    if _nanoseconds(value):
        raise ConfigurationError(argument, "has nanoseconds; round it to microseconds")
    try:
        return f"{(_EPOCH + since).isoformat()}Z"
    except OverflowError:
        raise ConfigurationError(argument, _NO_TIME) from None


def _since_epoch(argument: str, value: datetime) -> timedelta:
    """Return the time since the Unix epoch, in microseconds.

    Only the fields of the datetime are read: a subclass can have an arithmetic of its own, or be
    one of its special values, which have no fields.
    """
    try:
        date = value.year, value.month, value.day
        local = datetime(*date, value.hour, value.minute, value.second, value.microsecond)  # noqa: DTZ001 -- the offset follows
        offset = value.utcoffset()
        if offset is not None:
            offset = timedelta(offset.days, offset.seconds, offset.microseconds)
    except Exception:  # noqa: BLE001 -- the class of the caller may raise anything
        raise ConfigurationError(argument, _NO_TIME) from None
    if offset is None:
        raise ConfigurationError(argument, "must be an aware datetime; add tzinfo=timezone.utc")
    return local - _EPOCH - offset


def _nanoseconds(value: datetime) -> int:
    """Return the nanoseconds that the timestamps of pandas have below their microseconds."""
    return getattr(value, "nanosecond", 0)


def _escape(argument: str, text: str) -> str:
    if _UNESCAPED.fullmatch(text):
        return text
    try:
        return quote_plus(text, safe="[]")
    except UnicodeEncodeError:
        problem = "holds a lone surrogate, which UTF-8 cannot encode; remove it"
        raise ConfigurationError(argument, problem) from None
