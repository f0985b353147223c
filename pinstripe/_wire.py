"""What goes over the wire: requests, answers, form encoding and paths."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal, Protocol, cast
from urllib.parse import quote_plus

from attrs import field, frozen

from pinstripe._config import RequestOptions, Timeout
from pinstripe._errors import ConfigurationError

Method = Literal["GET", "POST", "DELETE"]
Host = Literal["api", "files"]

FORM = "application/x-www-form-urlencoded"

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_MAX_DEPTH = 8
_MAX_DIGITS = 40
_TAG = "[%s]"


class Upload(Protocol):
    """A body that is never whole in memory, and is written anew for each attempt."""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        ...

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body from its start; what this raises is raised by the call."""
        ...


class Sink(Protocol):
    """What takes the body of an answer, so that it is never whole in memory."""

    @property
    def max_bytes(self) -> int:
        """Bytes of the body at most, after decompression."""
        ...

    async def start(self) -> None:
        """Begin anew: what came of an earlier attempt is dropped."""
        ...

    async def write(self, piece: bytes) -> None:
        """Take the next piece; what this raises is raised by the call."""
        ...


@frozen(kw_only=True)
class Request:
    """One request, before a transport adds the address and the key.

    Attributes:
        method: The HTTP method.
        path: The path with its ids filled in, starting with `/`.
        template: The path with its placeholders, for logs: it names no object.
        query: The encoded query string, without the question mark.
        body: The encoded form of a POST.
        upload: A body to stream, in place of `body`.
        sink: What takes the body of an answer with status 200, which `Response.body` is then
            without; other answers are read as ever.
        anonymous: Whether it goes without the API key.
        host: Which of the two addresses of the API it goes to.
        headers: Headers beside those of every request.
        timeout: The timeouts of this call, where they are not the client's.
        asked: The id of the object asked for, which the answer has to have too.
    """

    method: Method
    path: str = field(repr=False)
    template: str
    query: str = field(default="", repr=False)
    body: bytes | None = field(default=None, repr=False)
    upload: Upload | None = field(default=None, repr=False)
    sink: Sink | None = field(default=None, repr=False)
    anonymous: bool = False
    host: Host = "api"
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    timeout: Timeout | None = None
    asked: str | None = field(default=None, repr=False)

    @property
    def idempotency_key(self) -> str | None:
        """The key that makes this request safe to repeat; None where it has none."""
        return self.headers.get("Idempotency-Key")


@frozen(kw_only=True)
class Response:
    """One answer, read to its end.

    Attributes:
        status: The HTTP status.
        headers: The headers, looked up without regard to case.
        body: The body as it came, after decompression.
        attempts: How many requests it took to get it.
        livemode: Whether the key that asked is a live one; None where it does not tell.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    attempts: int = 1
    livemode: bool | None = None

    @property
    def request_id(self) -> str | None:
        """The `Request-Id` that Stripe's support asks for."""
        return self.headers.get("Request-Id")

    @property
    def replayed(self) -> bool:
        """Whether this is the stored answer of an earlier request with the same key."""
        return self.headers.get("Idempotent-Replayed") == "true"


Sender = Callable[[Request], Awaitable[Response]]
"""The one verb of every floor of the corridor: send a request, get its answer."""


def new_idempotency_key() -> str:
    """Return a fresh idempotency key: a random UUID."""
    return str(uuid.uuid4())


def headers_for(method: Method, options: RequestOptions | None) -> dict[str, str]:
    """Return the headers that a call's method and options ask for.

    Args:
        method: A POST gets an idempotency key, made here where the caller gave none.
        options: The options of the call.

    Raises:
        ConfigurationError: An idempotency key on a method that ignores it.
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


_NO_OPTIONS = RequestOptions()


def fill_path(template: str, ids: Mapping[str, str]) -> str:
    """Return a path with its placeholders filled.

    Args:
        template: Such as `/v1/events/{id}`.
        ids: A value for each placeholder: 1 to 255 letters, digits, `_` or `-`, so that none
            can leave its segment.

    Raises:
        ConfigurationError: A value is not of that form.
    """
    return _PLACEHOLDER.sub(lambda m: check_id(m[1], ids[m[1]]), template)


def check_id(argument: str, value: Any) -> str:
    """Return `value` if it has the form of an id.

    Args:
        argument: The name to give in the error.
        value: What the caller passed.

    Raises:
        ConfigurationError: It has not.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ConfigurationError(argument, "must be an id: 1 to 255 letters, digits, '_' or '-'")
    return value


def encode_form(params: Mapping[str, Any]) -> str:
    """Return parameters as a form with bracketed names.

    None is left out, a datetime becomes whole seconds, a Decimal plain text. An attrs value
    stands for the mapping of its fields.

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
        yield from _pairs(_check_key("params", name), value, _MAX_DEPTH)


def _pairs(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if isinstance(value, str):
        yield name, value
        return
    if depth == 0:
        raise ConfigurationError(name, "is nested too deeply")
    for key, inner in _children(name, value):
        yield from _pairs(name + _TAG % key, inner, depth - 1)
    if not _is_nested(value):
        yield name, _scalar(name, value)


def _is_nested(value: Any) -> bool:
    return _has_fields(value) or isinstance(value, (Mapping, list, tuple))


def _has_fields(value: Any) -> bool:
    return hasattr(value, "__attrs_attrs__")


def _children(name: str, value: Any) -> Iterator[tuple[Any, Any]]:
    if _has_fields(value):
        for attribute in value.__attrs_attrs__:
            yield attribute.name, getattr(value, attribute.name)
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[Any, Any]", value).items():
            yield _check_key(name, key), inner
    elif isinstance(value, (list, tuple)):
        yield from enumerate(cast("Sequence[Any]", value))


def _check_key(name: str, key: Any) -> str:
    if not isinstance(key, str) or not key or "[" in key or "]" in key:
        raise ConfigurationError(name, f"keys must be text without square brackets, not {key!r}")
    return key


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)) and (text := _plain(value)) is not None:
        return text
    if isinstance(value, datetime):
        return str(timestamp(name, value))
    kinds = "text, a whole number or Decimal of up to 40 digits, a bool or an aware datetime"
    raise ConfigurationError(name, f"must be {kinds}, not a {type(value).__name__}")


def _plain(value: int | Decimal) -> str | None:
    """Write a number out; None where it is not one, or has more digits than any of the API."""
    if isinstance(value, int):
        return f"{value:d}" if abs(value) < 10**_MAX_DIGITS else None
    exponent = value.as_tuple().exponent
    fits = isinstance(exponent, int) and exponent >= -_MAX_DIGITS
    return f"{value:f}" if fits and value.adjusted() < _MAX_DIGITS else None


def timestamp(argument: str, value: datetime) -> int:
    """Return a datetime as whole seconds since the Unix epoch.

    Args:
        argument: The name to give in the error.
        value: An aware datetime without a fraction of a second.

    Raises:
        ConfigurationError: It is naive, or would lose its fraction.
    """
    if value.utcoffset() is None:
        raise ConfigurationError(argument, "must be an aware datetime; add tzinfo=timezone.utc")
    since = value - _EPOCH
    if since.microseconds:
        raise ConfigurationError(argument, "the API counts whole seconds; drop the microseconds")
    return since // timedelta(seconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _escape(argument: str, text: str) -> str:
    try:
        return quote_plus(text, safe="[]")
    except UnicodeEncodeError:
        raise ConfigurationError(argument, "holds a lone surrogate, which UTF-8 cannot") from None


def check_decimal(argument: str, value: Decimal | int | str | None) -> str | None:
    """Return an amount as the plain decimal text that the API reads.

    Args:
        argument: The name to give in the error.
        value: Decimal text, an int or a Decimal, above zero; never a float, which cannot hold
            most decimal amounts.

    Raises:
        ConfigurationError: It is something else.
    """
    if value is None:
        return None
    if isinstance(value, (bool, float)) or not isinstance(value, (str, int, Decimal)):
        wrong = type(value).__name__
        raise ConfigurationError(argument, f"must be a Decimal, an int or text, not a {wrong}")
    text = value if isinstance(value, str) else _plain(value) or ""
    if not _DECIMAL.fullmatch(text) or not text.strip("0."):
        raise ConfigurationError(argument, "must be a decimal number above zero, such as '12.50'")
    return text


_DECIMAL = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?")


def check_metadata(
    value: Mapping[str, str] | Literal[""] | None, argument: str = "metadata"
) -> None:
    """Refuse metadata that the API would refuse.

    https://docs.stripe.com/api/metadata

    Args:
        value: Up to 50 keys of 40 characters, values of 500; an empty value removes its key.
        argument: The name to give in the error.

    Raises:
        ConfigurationError: It breaks one of these limits.
    """
    if not value:
        return
    if not isinstance(value, Mapping):
        raise ConfigurationError(argument, "must be a mapping of text to text")
    if len(value) > 50:
        raise ConfigurationError(argument, f"has {len(value)} keys; 50 are allowed")
    for key, text in value.items():
        _check_metadata_item(argument, key, text)


def _check_metadata_item(argument: str, key: Any, text: Any) -> None:
    _check_key(argument, key)
    if len(key) > 40:
        raise ConfigurationError(argument, f"the key {key!r} is longer than 40 characters")
    if not isinstance(text, str):
        wrong = type(text).__name__
        raise ConfigurationError(f"{argument}[{key}]", f"must be text, not a {wrong}")
    if len(text) > 500:
        raise ConfigurationError(f"{argument}[{key}]", "is longer than 500 characters")


def check_texts(argument: str, value: Any) -> None:
    """Refuse anything but a list of texts with at least one in it.

    A form cannot carry an empty list, so the API would not see it, and a single text would be
    sent letter by letter.

    Args:
        argument: The name to give in the error.
        value: A list or tuple, or None where it is not sent.

    Raises:
        ConfigurationError: It is something else, or empty.
    """
    if value is None:
        return
    if not isinstance(value, (list, tuple)):
        wrong = type(value).__name__
        raise ConfigurationError(argument, f"must be a list of text, not a {wrong}")
    items = cast("Sequence[Any]", value)
    if not items:
        raise ConfigurationError(argument, "is empty; leave it out or name at least one")
    if not all(isinstance(text, str) and text for text in items):
        raise ConfigurationError(argument, "must hold nothing but text, none of it empty")
