"""Endpoints and what they answer with: models and pages that know the answer they came from."""

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
    """Return the answer that a model or page was read from.

    Fields that are newer than the model are in its `body`. An item of a page knows the answer
    that held the page.

    Args:
        value: A model that a call returned, a page, or an item of one.

    Raises:
        ConfigurationError: It was made by hand, or is a part of a model that a call returned.
    """
    response: object = getattr(value, "_response", None)
    if not isinstance(response, Response):
        raise ConfigurationError("value", "was not itself returned by a call")
    return response


@frozen(eq=False, repr=False)
class Endpoint(Value, Generic[_T]):
    """One endpoint of the API.

    Attributes:
        method: The HTTP method.
        template: The path, with a placeholder for each id.
        model: What it answers with.
        host: Which address of the API serves it.
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
            params: The parameters; None is not sent.
            ids: A value for each placeholder of the path.
            options: The options of the call.

        Raises:
            ConfigurationError: A value cannot be sent as it is.
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
    """Return the model that an answer holds.

    Args:
        request: What was asked; its idempotency key goes into an error.
        response: An answer with a status of success.
        kind: The model that the endpoint promises.

    Raises:
        DecodeError: It holds something else, another object than the one asked for, or one of
            the mode that the key is not of; the answer is kept.
    """
    try:
        answer = decode(response.body, kind)
        _check_object(answer, request, response)
    except DecodeError as error:
        error.idempotency_key = request.idempotency_key
        raise error_with_response(error, response) from None
    return answer


def _check_object(answer: object, request: Request, response: Response) -> None:
    """Refuse an answer that does not belong to its request."""
    if (
        request.expected_id is not None
        and getattr(answer, "id", request.expected_id) != request.expected_id
    ):
        raise _foreign("$.id", "another object than the one asked for")
    mode = response.livemode
    if mode is None:
        return
    if isinstance(answer, Page):
        modes = [getattr(item, "livemode", mode) for item in cast("Page[object]", answer).data]
        if (not mode) in modes:
            raise _foreign(f"$.data[{modes.index(not mode)}].livemode", "of the other mode")
    elif getattr(answer, "livemode", mode) is (not mode):
        raise _foreign("$.livemode", "of the other mode")


def _foreign(path: str, problem: str) -> DecodeError:
    error = DecodeError(f"the answer is {problem} at {path}")
    error.path = path
    return error


def error_with_response(error: _E, response: Response) -> _E:
    """Put the answer that caused an error into it, and return the error.

    Args:
        error: A `ResponseError`.
        response: The answer.
    """
    error.attempts = response.attempts
    return with_response(error, response.status, response.headers, response.body)
