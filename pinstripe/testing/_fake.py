"""A transport that answers from what a test expects."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

import anyio
import msgspec
from attrs import define, field, frozen
from multidict import CIMultiDict

from pinstripe._client import AsyncClient
from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._http.acting import named_in
from pinstripe._http.encoding import PLACEHOLDER
from pinstripe._http.messages import Method, Request, Response
from pinstripe._models.convert import to_dict
from pinstripe._models.record import Record
from pinstripe.sync import Client
from pinstripe.testing._requests import ids_of, params_of, path_pattern, upload_of

_KEY: Final = "sk_test_fake"


@frozen
class Call:
    """A request that reached a `FakeAPI`.

    Attributes:
        method: The HTTP method.
        path: The path that the test expected it at, with its placeholders.
        ids: The ids in the path, by the names of the placeholders.
        params: The parameters, nested as the API nests them; each value is text, as it was sent.
        idempotency_key: The key of a POST.
        account: The connected account that it acts for.
        context: The path of accounts that it acts for.
        file: The uploaded content, with the lines of its form around it; None if there is none.
    """

    method: str
    path: str
    ids: Mapping[str, str] = field(repr=False)
    params: Mapping[str, Any] = field(repr=False)
    idempotency_key: str | None = field(default=None, repr=False)
    account: str | None = None
    context: str | None = None
    file: bytes | None = field(default=None, repr=False)


@frozen
class _Delayed:
    seconds: float
    answer: Answer


Answer: TypeAlias = (
    "Record | Mapping[str, Any] | Response | PinstripeError | _Delayed | Callable[[Call], Answer]"
)
"""What a call is answered with.

A model or plain data is a 200; a list of them is a page with `{"data": [...], "has_more": False}`.
A `Response` is itself, see `refusal`. An error, such as `pinstripe.ConnectionLost("lost")`, is
raised as the transport would raise it. A function gets the call and returns any of these.
"""


def refusal(
    status: int,
    *,
    type: str = "invalid_request_error",
    code: str | None = None,
    message: str = "The request was refused.",
    param: str | None = None,
) -> Response:
    """Return an answer in which the API refuses a call.

    https://docs.stripe.com/api/errors

    Args:
        status: The HTTP status, from 400 to 599.
        type: The type of the error.
        code: Its code.
        message: Its message.
        param: The parameter at fault.

    Raises:
        ConfigurationError: The status is no failure.
    """
    if not 400 <= status <= 599:
        raise ConfigurationError("status", f"must be from 400 to 599, not {status!r}")
    facts = {"type": type, "code": code, "message": message, "param": param}
    error = {name: value for name, value in facts.items() if value is not None}
    return _response({"error": error}, status)


def delayed(seconds: float, answer: Answer) -> Answer:
    """Return an answer that comes later, such as after the deadline of the call.

    Args:
        seconds: How long it takes.
        answer: The answer.
    """
    return _Delayed(seconds, answer)


@define(eq=False)
class Expectation:
    """What a `FakeAPI` does with the calls of one endpoint; made by `FakeAPI.on`.

    Attributes:
        method: The HTTP method.
        path: The path, with its placeholders.
        calls: The calls that came, oldest first.
    """

    method: str
    path: str
    calls: list[Call] = field(factory=list[Call], init=False)
    _answers: tuple[Answer, ...] = field(default=(), init=False, repr=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._pattern = path_pattern(self.path)

    def answer(self, *answers: Answer) -> Expectation:
        """Set the answers: each call gets the next, and the last one is given again and again.

        Args:
            answers: At least one; see `Answer`.

        Returns:
            The expectation itself.

        Raises:
            ConfigurationError: There is none, or one of them is no answer.
        """
        if not answers:
            raise ConfigurationError("answers", "is empty; give at least one")
        for answer in answers:
            if not isinstance(answer, _ANSWERS) and not callable(answer):
                kinds = "a model, plain data, a Response, an error or a function"
                raise ConfigurationError("answers", f"must be {kinds}, not {kind_of(answer)}")
        self._answers = answers
        return self

    def match(self, request: Request) -> Mapping[str, str] | None:
        """Return the ids in the path of a request; None if it is not of this endpoint.

        Args:
            request: The request.
        """
        ids = ids_of(request, self._pattern) if request.method == self.method else None
        names = PLACEHOLDER.findall(self.path)
        return None if ids is None else dict(zip(names, ids, strict=True))

    def next_answer(self, call: Call) -> Answer:
        """Keep a call, and return the answer that it gets.

        Args:
            call: The call.

        Raises:
            AssertionError: No answer was set.
        """
        if not self._answers:
            raise AssertionError(f"{self.method} {self.path} is expected, but has no answer")
        self.calls.append(call)
        return self._answers[min(len(self.calls), len(self._answers)) - 1]


_ANSWERS: Final = (Record, Mapping, Response, PinstripeError, _Delayed)


class FakeAPI:
    """A transport that answers from what a test expects, and remembers the calls.

    Make a client with `client()` or `sync_client()`, or pass it as `transport=` to a client of your
    own.

    Attributes:
        calls: The calls that came, oldest first.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._expected: list[Expectation] = []

    def on(self, method: Method, path: str) -> Expectation:
        """Expect calls of an endpoint; an endpoint that is given again replaces the earlier one.

        Args:
            method: `"GET"`, `"POST"` or `"DELETE"`.
            path: The path, with a placeholder such as `{session}` for each id.

        Raises:
            ConfigurationError: The method or the path has another form.
        """
        if method not in ("GET", "POST", "DELETE"):
            raise ConfigurationError("method", f"must be GET, POST or DELETE, not {method!r}")
        if not path.startswith("/"):
            raise ConfigurationError("path", f"must start with /, not {path!r}")
        names = PLACEHOLDER.findall(path)
        if len(set(names)) < len(names) or not all(map(str.isidentifier, names)):
            problem = (
                f"must have placeholders of different names, such as {{session}}, not {path!r}"
            )
            raise ConfigurationError("path", problem)
        expected = Expectation(method, path)
        self._expected.insert(0, expected)
        return expected

    def client(self, **options: Any) -> AsyncClient:
        """Return a client that talks to this fake; it needs no key and keeps no rate limit.

        Args:
            options: Options of `AsyncClient`, which replace the usual ones.
        """
        return AsyncClient(**self._options(options))

    def sync_client(self, **options: Any) -> Client:
        """Return a blocking client that talks to this fake.

        Args:
            options: Options of `Client`, which replace the usual ones.
        """
        return Client(**self._options(options))

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"api_key": _KEY, "transport": self, "rate_limit": None, **options}

    async def send(self, request: Request) -> Response:
        """Answer a request of a client.

        Args:
            request: The request.

        Raises:
            AssertionError: No test expects it.
            PinstripeError: The answer is this error.
        """
        for expected in self._expected:
            ids = expected.match(request)
            if ids is not None:
                call = await _call_of(request, expected, ids)
                self.calls.append(call)
                return await _given(expected.next_answer(call), call)
        known = ", ".join(f"{each.method} {each.path}" for each in reversed(self._expected))
        # The template has no ids, which can be private.
        asked = f"{request.method} {request.template}"
        raise AssertionError(f"{asked} was not expected; expected: {known or 'nothing'}")

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


async def _call_of(request: Request, expected: Expectation, ids: Mapping[str, str]) -> Call:
    """Return a request as tests see it."""
    return Call(
        request.method,
        expected.path,
        ids,
        params_of(request),
        request.idempotency_key,
        *named_in(request.headers),
        await upload_of(request),
    )


async def _given(answer: Answer, call: Call) -> Response:
    """Turn an answer into what a transport returns or raises."""
    while True:
        if isinstance(answer, _Delayed):
            await anyio.sleep(answer.seconds)
            answer = answer.answer
        elif isinstance(answer, PinstripeError):
            # A copy: the client puts the facts of the call into what it raises.
            raise copy.copy(answer)
        elif isinstance(answer, Response):
            return answer
        elif isinstance(answer, Record):
            return _response(to_dict(answer))
        elif isinstance(answer, Mapping):
            return _response(cast("Mapping[str, Any]", answer))
        else:
            answer = answer(call)


def _response(data: Mapping[str, Any], status: int = 200) -> Response:
    headers = {"Content-Type": "application/json", "Request-Id": "req_fake"}
    body = msgspec.json.encode(data, enc_hook=_plain)
    return Response(status=status, headers=CIMultiDict(headers), body=body)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return to_dict(value)
    raise TypeError(f"cannot be sent as JSON: {kind_of(value)}")
