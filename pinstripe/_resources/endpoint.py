"""Endpoints: from the arguments of a call to its request, and from the answer to a model."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Generic, TypeVar, cast

from attrs import Factory, field, frozen

from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import ConfigurationError, DecodeError, ResponseError, with_response
from pinstripe._core.values import Value
from pinstripe._http.encoding import FORM, encode_form, encode_json, fill_path, headers_for
from pinstripe._http.messages import Host, Method, Request, Response
from pinstripe._models.convert import decode
from pinstripe._models.page import Page
from pinstripe._models.record import Model
from pinstripe._resources.private_params import private_paths

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_E = TypeVar("_E", bound=ResponseError)


def response_of(value: Model) -> Response:
    """Return the response that a model or page was read from.

    Its `body` also has the fields that are newer than the model. An item of a page has the
    response of the whole page.

    Args:
        value: A model that a call returned, a page, or an item of one.

    Raises:
        ConfigurationError: The value was made by hand, or is a part of a model that a call
            returned.
    """
    response: object = getattr(value, "_response", None)
    if not isinstance(response, Response):
        raise ConfigurationError("value", "was not itself returned by a call")
    return response


def _is_v2(endpoint: Endpoint[Any]) -> bool:
    return endpoint.template.startswith("/v2/")


@frozen(eq=False, repr=False)
class Endpoint(Value, Generic[_T_co]):
    """One endpoint of the API.

    Attributes:
        method: The HTTP method.
        template: The path, with a placeholder for each id.
        model: The type of its answer.
        host: The address of the API that serves it.
        answers_other: Whether it answers with another object than the one in its path.
        v2: Whether its path is one of `/v2`.
    """

    method: Method
    template: str
    model: type[_T_co]
    host: Host = "api"
    answers_other: bool = False
    v2: bool = field(init=False, default=Factory(_is_v2, takes_self=True))
    _resource: Hashable = field(default=None, init=False)

    def __set_name__(self, resource: type[Any], name: str) -> None:
        # An endpoint is a constant of its resource, whose methods have the types of the parameters.
        object.__setattr__(self, "_resource", resource)

    def private_paths(self) -> AbstractSet[str] | None:
        """Return the paths of the private parameters of its resource; None if it has none."""
        return None if self._resource is None else private_paths(self._resource)

    def request(
        self,
        params: Mapping[str, Any],
        ids: Mapping[str, str],
        options: RequestOptions | None,
    ) -> Request:
        """Return the request of one call: with a form, or with JSON if its path is one of `/v2`.

        Args:
            params: The parameters; those that are None are not sent in a form.
            ids: A value for each placeholder of the path.
            options: The options of the call.

        Raises:
            ConfigurationError: A value has no exact form on the wire.
        """
        v2 = self.v2
        headers = headers_for(self.method, options, v2=v2)
        query, body, parts = "", None, dict[str, str]()
        if self.method != "POST":
            query = encode_form(params, v2=v2)
        elif v2:
            body, parts = encode_json(params)
            headers["Content-Type"] = "application/json"
        else:
            body = encode_form(params).encode()
            headers["Content-Type"] = FORM
        return Request(
            method=self.method,
            path=fill_path(self.template, ids),
            template=self.template,
            query=query,
            body=body,
            parts=parts,
            host=self.host,
            headers=headers,
            timeout=options.timeout if options else None,
            expected_id=None if self.answers_other else next(iter(ids.values()), None),
            private_paths=self.private_paths,
        )


def parse_response(request: Request, response: Response, kind: type[_T]) -> _T:
    """Return the model that a response holds.

    Args:
        request: The request; its idempotency key goes into an error.
        response: A response with a status of success.
        kind: The model that the endpoint promises.

    Raises:
        ResponseError: Its status says that it does not hold the whole object.
        DecodeError: The response holds something else, an object with another id than the one
            asked for, or an object of test mode for a live key, or the reverse. The error keeps
            the response.
    """
    check_complete(request, response)
    try:
        answer = decode(response.body, kind)
        check_object(answer, request, response)
    except DecodeError as error:
        raise error_of_call(error, request, response) from None
    return answer


def check_complete(request: Request, response: Response) -> None:
    """Refuse an answer that does not hold the whole of what was asked for.

    Args:
        request: What was asked.
        response: An answer with a status of success.

    Raises:
        ResponseError: Its status is neither 200 nor 201. By the others, nothing was done yet, or
            the content is left out, partial, or changed by a proxy.
    """
    if response.status not in (200, 201):
        problem = f"the server answered {response.status} in place of the whole content"
        raise error_of_call(ResponseError(problem), request, response)


def check_object(answer: object, request: Request, response: Response) -> None:
    """Refuse an answer that does not belong to its request.

    A proxy or a cache in between can mix up answers. To act on the object of another customer, or
    on test data in live mode, would be worse than an error.

    Args:
        answer: The model or page.
        request: The request.
        response: The response that the answer was read from.

    Raises:
        DecodeError: It has another id than the one asked for, or is of the other mode.
    """
    expected = request.expected_id
    if expected is not None and getattr(answer, "id", expected) != expected:
        raise _mismatch("$.id", "another object than the one asked for")
    mode = response.livemode
    if mode is None:  # the key does not say which mode it is for
        return
    if isinstance(answer, Page):
        items = cast("Page[Any]", answer).data
        try:
            modes = [item.livemode for item in items]
        except AttributeError:  # some class has no mode
            modes = [getattr(item, "livemode", mode) for item in items]
        if (not mode) in modes:
            raise _mismatch(f"$.data[{modes.index(not mode)}].livemode", "of the other mode")
    elif getattr(answer, "livemode", mode) is (not mode):
        raise _mismatch("$.livemode", "of the other mode")


def _mismatch(path: str, problem: str) -> DecodeError:
    error = DecodeError(f"the answer is {problem} at {path}")
    error.path = path
    return error


def error_of_call(error: _E, request: Request, response: Response) -> _E:
    """Put the call and the answer that caused an error into it, and return the error.

    Args:
        error: A `ResponseError`.
        request: The request of the call.
        response: The answer.
    """
    error.idempotency_key, error.call = request.idempotency_key, request.call
    return error_with_response(error, response)


def error_with_response(error: _E, response: Response) -> _E:
    """Put the response that caused an error into it, and return the error.

    Args:
        error: A `ResponseError`.
        response: The response.
    """
    error.attempts = response.attempts
    return with_response(error, response.status, response.headers, response.body)
