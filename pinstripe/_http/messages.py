"""What goes over the wire: a request before it has an address and a key, and its answer."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Literal, NoReturn, Protocol, TypeAlias
from urllib.parse import parse_qsl

from attrs import field, frozen

from pinstripe._config.options import Timeout
from pinstripe._core.errors import DecodeError, with_response
from pinstripe._core.redaction import private_values
from pinstripe._core.values import Unpicklable, Value

Method: TypeAlias = Literal["GET", "POST", "DELETE"]
Host: TypeAlias = Literal["api", "files"]
Stage: TypeAlias = Literal["turn", "connection", "answer", "body"]


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


class CallProgress:
    """How far a call has come, as its transport reports.

    If the call runs out of time, this says what it was waiting for, and whether the server can
    have seen it.

    Attributes:
        stage: What the call waits for: its turn; a connection; the answer, from the moment on at
            which a byte of the request can have left; or the body of the answer.
        failure: The answer, without its body, while the body of a failure is read: its status is
            known, even if the body never comes.
    """

    stage: Stage = "turn"
    failure: "Response | None" = None


def _no_types() -> None:
    """Return None: the parameters of the request have no types."""


@frozen(kw_only=True, eq=False, repr=False, slots=False)  # without, attrs makes one faster
class Request(Value, Unpicklable):
    """One request, before a transport adds the address and the key.

    Attributes:
        method: The HTTP method.
        path: The path with its ids filled in, starting with `/`.
        template: The path with its placeholders, for logs: it names no object.
        query: The encoded query string, without the question mark.
        body: The encoded form of a POST.
        upload: A body to stream, in place of `body`.
        parts: The texts of an upload or of a JSON body, by name.
        sink: What takes the body of an answer with status 200, so that `Response.body` is empty;
            other answers are read into memory.
        anonymous: Whether it is sent without the API key.
        host: Which of the two addresses of the API it is sent to.
        headers: Headers of this request, beside those of every request.
        timeout: The timeout of this call; None if it is the client's.
        expected_id: The id of the requested object; the answer must have the same one.
        progress: Where the transport reports how far the attempt has come. A transport that does
            not counts as one that may have sent something as soon as it is called.
        private_paths: Returns the paths of its private parameters; None if they have no types.
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
    progress: CallProgress = field(factory=CallProgress, repr=False, eq=False)
    private_paths: Callable[[], AbstractSet[str] | None] = field(default=_no_types, repr=False)

    def with_defaults(
        self, headers: Mapping[str, str], timeout: Timeout, progress: CallProgress
    ) -> "Request":
        """Return a copy with all headers and the timeout of the call.

        Args:
            headers: The headers that replace its own.
            timeout: The timeout that replaces its own.
            progress: The progress that replaces its own.
        """
        # Every call does this, and `evolve` takes three times as long.
        copied = object.__new__(Request)
        copied.__dict__.update(self.__dict__, headers=headers, timeout=timeout, progress=progress)
        return copied

    @property
    def call(self) -> str:
        """The method and the path with its placeholders, as errors name the call."""
        return f"{self.method} {self.template}"

    @property
    def target(self) -> str:
        """The path with the query string."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def idempotency_key(self) -> str | None:
        """The key that makes this request safe to repeat; None if it has none."""
        return self.headers.get("Idempotency-Key")

    @property
    def values(self) -> dict[str, str]:
        """The values that it carries, by the names of their parameters."""
        if self.parts:
            return dict(self.parts)
        return dict(parse_qsl(self.query if self.body is None else self.body.decode()))

    @property
    def private_values(self) -> dict[str, str]:
        """Those of the values that no error may repeat."""
        return private_values(self.values, self.private_paths())


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

    def json(self) -> Any:
        """Return the body as plain data: every field of the answer, as the API sent it.

        Raises:
            DecodeError: The body is not JSON in UTF-8.
        """
        try:
            # Not from the bytes, which `loads` would also read as UTF-16. NaN is no JSON.
            return json.loads(self.body.decode(), parse_constant=_refuse)
        except (ValueError, RecursionError):
            error = DecodeError("the body is not JSON")
        error.attempts = self.attempts
        # Raised out here, the error has no context: that one would hold the body.
        raise with_response(error, self.status, self.headers, self.body)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


# The module that users import them from; see the end of `_config.options`.
Request.__module__ = Response.__module__ = "pinstripe"

Sender: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Sends a request and returns its answer; transport, pipeline and coalescer all have this form."""
