"""What goes over the wire: requests, answers, form encoding and paths."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Literal, Protocol
from urllib.parse import parse_qsl

from attrs import field, frozen

from pinstripe._config.options import Timeout
from pinstripe._core.values import Unpicklable, Value

Method = Literal["GET", "POST", "DELETE"]
Host = Literal["api", "files"]


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
        """Bytes of the body at most."""
        ...

    async def start(self) -> None:
        """Begin anew: what came of an earlier attempt is dropped."""
        ...

    async def write(self, piece: bytes) -> None:
        """Take the next piece; what this raises is raised by the call."""
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
        parts: The texts that an upload holds beside the file, by name.
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
    parts: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    sink: Sink | None = field(default=None, repr=False)
    anonymous: bool = False
    host: Host = "api"
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    timeout: Timeout | None = None
    expected_id: str | None = field(default=None, repr=False)

    def with_defaults(self, headers: Mapping[str, str], timeout: Timeout) -> "Request":
        """Return it with what a client adds to it; `evolve` would take three times as long.

        Args:
            headers: The headers in place of its own.
            timeout: The timeouts, likewise.
        """
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
        """The key that makes this request safe to repeat; None where it has none."""
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


# The module that users import them from; see the end of `_config.options`.
Request.__module__ = Response.__module__ = "pinstripe"

Sender = Callable[[Request], Awaitable[Response]]
"""The one verb of every floor of the corridor: send a request, get its answer."""
