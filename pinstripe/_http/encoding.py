"""Encodes the arguments of a call: headers, paths and forms.

A value that has no exact form on the wire is refused, and the error names its parameter.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, cast
from urllib.parse import quote_plus

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_id, check_key, plain_number
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Method

FORM = "application/x-www-form-urlencoded"
"""The content type of the form that `encode_form` returns."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

_MAX_DEPTH = 8
"""Our bound, so that a mapping that contains itself is refused; the API nests less deeply."""

_NO_OPTIONS = RequestOptions()

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def new_idempotency_key() -> str:
    """Return a new idempotency key: a random UUID, as Stripe suggests."""
    return str(uuid.uuid4())


def headers_for(method: Method, options: RequestOptions | None) -> dict[str, str]:
    """Return the headers that the method and the options of a call require.

    Args:
        method: A POST gets an idempotency key, a new one if the options have none.
        options: The options of the call.

    Raises:
        ConfigurationError: The options have an idempotency key, and the method ignores it.
    """
    options = options or _NO_OPTIONS
    headers: dict[str, str] = {}
    if method == "POST":
        headers["Idempotency-Key"] = options.idempotency_key or new_idempotency_key()
    elif options.idempotency_key is not None:
        raise ConfigurationError("idempotency_key", f"has no effect on a {method}; leave it out")
    if options.account is not None:
        headers["Stripe-Account"] = options.account
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
    return _PLACEHOLDER.sub(lambda m: check_id(m[1], ids[m[1]]), template)


def encode_form(params: Mapping[str, Any]) -> str:
    """Return parameters as a form with bracketed names.

    None is left out, a datetime becomes whole seconds, a Decimal plain text. An attrs value is
    encoded as the mapping of its fields.

    https://docs.stripe.com/api/requests

    Args:
        params: Nested mappings, sequences and plain values.

    Raises:
        ConfigurationError: A value has no exact form on the wire; the error names its path.
    """
    pairs = form_pairs(params)
    return "&".join(f"{_escape(name, name)}={_escape(name, value)}" for name, value in pairs)


def form_pairs(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the bracketed name and the text of each value in `params`.

    Args:
        params: As for `encode_form`.

    Raises:
        ConfigurationError: As for `encode_form`.
    """
    for name, value in params.items():
        if value is not None:
            yield from _pairs(check_key("params", name), value, _MAX_DEPTH)


def _pairs(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    # Most values are text, so this comes first.
    if isinstance(value, str):
        yield name, value
        return
    if depth == 0:
        raise ConfigurationError(name, f"is nested more than {_MAX_DEPTH} levels deep")
    # A nested value yields the pairs of its members, `name[key]` each; any other yields one pair.
    members: Iterable[tuple[Any, Any]]
    if hasattr(value, "__attrs_attrs__"):
        members = ((field.name, getattr(value, field.name)) for field in value.__attrs_attrs__)
    elif isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        members = ((check_key(name, key), inner) for key, inner in mapping.items())
    elif isinstance(value, (list, tuple)):
        members = enumerate(cast("Sequence[Any]", value))
    else:
        yield name, _scalar(name, value)
        return
    for key, inner in members:
        yield from _pairs(f"{name}[{key}]", inner, depth - 1)


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)) and (text := plain_number(value)) is not None:
        return text
    if isinstance(value, datetime):
        return str(timestamp(name, value))
    # A float is not among them: most decimal amounts have no exact float.
    kinds = "text, a whole number or Decimal of up to 40 digits, a bool or an aware datetime"
    raise ConfigurationError(name, f"must be {kinds}, not a {type(value).__name__}")


def timestamp(argument: str, value: datetime) -> int:
    """Return a datetime as whole seconds since the Unix epoch.

    Args:
        argument: The name to give in the error.
        value: An aware datetime without a fraction of a second.

    Raises:
        ConfigurationError: It is naive, or has a fraction, which would be lost.
    """
    if value.utcoffset() is None:
        raise ConfigurationError(argument, "must be an aware datetime; add tzinfo=timezone.utc")
    since = value - _EPOCH
    if since.microseconds:
        raise ConfigurationError(argument, "the API counts whole seconds; drop the microseconds")
    return since // timedelta(seconds=1)


def _escape(argument: str, text: str) -> str:
    try:
        return quote_plus(text, safe="[]")
    except UnicodeEncodeError:
        problem = "holds a lone surrogate, which UTF-8 cannot encode; remove it"
        raise ConfigurationError(argument, problem) from None
