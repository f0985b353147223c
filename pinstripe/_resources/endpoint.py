"""Endpoints: from the arguments of a call to its request, and from the answer to a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

from attrs import frozen

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_metadata, check_texts
from pinstripe._core.errors import ConfigurationError, DecodeError, ResponseError, with_response
from pinstripe._core.values import Value
from pinstripe._http.encoding import FORM, encode_form, fill_path, headers_for
from pinstripe._http.messages import Host, Method, Request, Response
from pinstripe._models.convert import decode
from pinstripe._models.page import Page
from pinstripe._models.record import Model

_T = TypeVar("_T")
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
    response: Response | None = getattr(value, "_response", None)
    if response is None:
        raise ConfigurationError("value", "was not itself returned by a call")
    return response


@frozen(eq=False, repr=False)
class Endpoint(Value, Generic[_T]):
    """One endpoint of the API.

    Attributes:
        method: The HTTP method.
        template: The path, with a placeholder for each id.
        model: The type of its answer.
        host: The address of the API that serves it.
    """

    method: Method
    template: str
    model: type[_T]
    host: Host = "api"

    def request(
        self,
        params: Mapping[str, Any],
        ids: Mapping[str, str],
        options: RequestOptions | None,
    ) -> Request:
        """Return the request of one call.

        Args:
            params: The parameters; those that are None are not sent.
            ids: A value for each placeholder of the path.
            options: The options of the call.

        Raises:
            ConfigurationError: A value has no exact form on the wire.
        """
        check_texts("expand", params.get("expand"))
        check_metadata(params.get("metadata"))
        form = encode_form(params)
        headers = headers_for(self.method, options)
        if self.method == "POST":
            headers["Content-Type"] = FORM
        return Request(
            method=self.method,
            path=fill_path(self.template, ids),
            template=self.template,
            query="" if self.method == "POST" else form,
            body=form.encode() if self.method == "POST" else None,
            host=self.host,
            headers=headers,
            timeout=options.timeout if options else None,
            expected_id=next(iter(ids.values()), None),
        )


def parse_response(request: Request, response: Response, kind: type[_T]) -> _T:
    """Return the model that a response holds.

    Args:
        request: The request; its idempotency key goes into an error.
        response: A response with a status of success.
        kind: The model that the endpoint promises.

    Raises:
        DecodeError: The response holds something else, an object with another id than the one
            asked for, or an object of test mode for a live key, or the reverse. The error keeps
            the response.
    """
    try:
        answer = decode(response.body, kind)
        _check_object(answer, request, response)
    except DecodeError as error:
        error.idempotency_key = request.idempotency_key
        raise error_with_response(error, response) from None
    return answer


def _check_object(answer: object, request: Request, response: Response) -> None:
    """Refuse an answer that does not belong to its request.

    A proxy or a cache in between can mix up answers. To act on the object of another customer, or
    on test data in live mode, would be worse than an error.
    """
    expected = request.expected_id
    if expected is not None and getattr(answer, "id", expected) != expected:
        raise _mismatch("$.id", "another object than the one asked for")
    mode = response.livemode
    if mode is None:  # the key does not say which mode it is for
        return
    if isinstance(answer, Page):
        modes = [getattr(item, "livemode", mode) for item in cast("Page[object]", answer).data]
        if (not mode) in modes:
            raise _mismatch(f"$.data[{modes.index(not mode)}].livemode", "of the other mode")
    elif getattr(answer, "livemode", mode) is not mode:
        raise _mismatch("$.livemode", "of the other mode")


def _mismatch(path: str, problem: str) -> DecodeError:
    error = DecodeError(f"the answer is {problem} at {path}")
    error.path = path
    return error


def error_with_response(error: _E, response: Response) -> _E:
    """Put the response that caused an error into it, and return the error.

    Args:
        error: A `ResponseError`.
        response: The response.
    """
    error.attempts = response.attempts
    return with_response(error, response.status, response.headers, response.body)
