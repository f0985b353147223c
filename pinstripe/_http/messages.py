"""What goes over the wire: a request before it has an address and a key, and its answer."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Literal, Protocol, TypeAlias
from urllib.parse import parse_qsl

from attrs import field, frozen

from pinstripe._config.options import Timeout
from pinstripe._core.values import Unpicklable, Value

Method: TypeAlias = Literal["GET", "POST", "DELETE"]
Host: TypeAlias = Literal["api", "files"]


class Upload(Protocol):
    """A body that is never whole in memory, and that each attempt writes from its start."""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        ...

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body from its start; the call raises what this raises."""
        ...


class Sink(Protocol):
    """What takes the body of an answer piece by piece, so that it is never whole in memory."""

    @property
    def max_bytes(self) -> int:
        """The most bytes of the body."""
        ...

    async def start(self) -> None:
        """Start from the beginning: discard what came of an earlier attempt."""
        ...

    async def write(self, piece: bytes) -> None:
        """Take the next piece; the call raises what this raises."""
        ...


@frozen(kw_only=True, eq=False, repr=False)
class Request(Value, Unpicklable):
    """One request, before a transport adds the address and the key.

    Attributes:
        method: The HTTP method.
        path: The path with its ids filled in, starting with `/`.
        template: The path with its placeholders, for logs: it names no object.
        query: The encoded query string, without the question mark.
        body: The encoded form of a POST.
        upload: A body to stream, in place of `body`.
        parts: The text parts of an upload, by name.
        sink: What takes the body of an answer with status 200, so that `Response.body` is empty;
            other answers are read into memory.
        anonymous: Whether it is sent without the API key.
        host: Which of the two addresses of the API it is sent to.
        headers: Headers of this request, beside those of every request.
        timeout: The timeout of this call; None if it is the client's.
        expected_id: The id of the requested object; the answer must have the same one.
    """

    method: Method
    path: str = field(repr=False)
    template: str
    query: str = field(default="", repr=False)
    body: bytes | None = field(default=None, repr=False)
    upload: Upload | None = field(default=None, repr=False)
    parts: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    sink: Sink | None = field(default=None, repr=False)
    anonymous: bool = False
    host: Host = "api"
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    timeout: Timeout | None = None
    expected_id: str | None = field(default=None, repr=False)

    def with_defaults(self, headers: Mapping[str, str], timeout: Timeout) -> "Request":
        """Return a copy with all headers and the timeout of the call.

        Args:
            headers: The headers that replace its own.
            timeout: The timeout that replaces its own.
        """
        # Written out, since every call does this and `evolve` takes three times as long.
        return Request(
            method=self.method,
            path=self.path,
            template=self.template,
            query=self.query,
            body=self.body,
            upload=self.upload,
            parts=self.parts,
            sink=self.sink,
            anonymous=self.anonymous,
            host=self.host,
            headers=headers,
            timeout=timeout,
            expected_id=self.expected_id,
        )

    @property
    def idempotency_key(self) -> str | None:
        """The key that makes this request safe to repeat; None if it has none."""
        return self.headers.get("Idempotency-Key")

    @property
    def values(self) -> dict[str, str]:
        """The values that it carries, by the names of their parameters."""
        form = self.query if self.body is None else self.body.decode()
        return {**dict(parse_qsl(form)), **self.parts}


@frozen(kw_only=True, eq=False, repr=False)
class Response(Value, Unpicklable):
    """One answer, read to its end.

    Attributes:
        status: The HTTP status.
        headers: The headers; a name is found in upper and lower case.
        body: The body after decompression.
        attempts: How many requests the call took.
        livemode: Whether the call was made with a live key; None if the key does not say.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    attempts: int = 1
    livemode: bool | None = None

    @property
    def request_id(self) -> str | None:
        """The `Request-Id`, which Stripe's support asks for."""
        return self.headers.get("Request-Id")

    @property
    def replayed(self) -> bool:
        """Whether this is the stored answer of an earlier request with the same key."""
        return self.headers.get("Idempotent-Replayed") == "true"


# The module that users import them from; see the end of `_config.options`.
Request.__module__ = Response.__module__ = "pinstripe"

Sender: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Sends a request and returns its answer; transport, pipeline and coalescer all have this form."""
