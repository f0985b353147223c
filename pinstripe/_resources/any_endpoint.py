"""Calls of endpoints that have no method here: everything about them is checked first.

Answers are structured into the classes of users. Three choices:

- An answer is refused if it has another id than the one asked for. For an endpoint without a method
  only its path says which id that is: the one at the end of the path, if it ends with one. The
  answer to `/v1/customers/{customer}/tax_ids` is another object than the customer.
- The objects of a list need the attribute `id`, by which a walk goes on; so they are no TypedDicts.
- Nobody but the caller knows whether a list has a filter by `created`. A list is taken to have one
  if it is given, and `created=Created()` is one that lets every object through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast, get_args

from attrs import evolve, field, frozen

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_mapping, check_metadata, check_texts, plain_text
from pinstripe._core.errors import ConfigurationError, DecodeError
from pinstripe._http.encoding import PLACEHOLDER
from pinstripe._http.messages import Host, Method, Request, Response
from pinstripe._models.convert import check_target, decode
from pinstripe._models.kinds import has_field, name_of
from pinstripe._models.page import Page
from pinstripe._models.record import Identified, attach_response
from pinstripe._resources.endpoint import Endpoint, check_complete, check_object, error_of_call
from pinstripe._resources.params import without_empty_metadata
from pinstripe._resources.walk import Created, Paging, Walk, start_walk

# Text, not compiled patterns: few programs use them, and compiling delays the import of all.
_PATH: Final = r"/v[12](?:/(?:[A-Za-z0-9_-]+|\{[a-z_]+\}))+"
# Each segment after the version that is neither a word of the API nor a placeholder: an id.
_ID_SEGMENT: Final = r"(?<=.../)(?![a-z_]+(?:/|$)|\{)[^/]+"

# These are arguments of `list` of their own.
_OF_WALKS: Final = ("created", "limit", "starting_after", "ending_before")

_T = TypeVar("_T")

# Types of the methods of the client, which the blocking client has too.
Into = TypeVar("Into")
IntoListed = TypeVar("IntoListed", bound=Identified)


@frozen(eq=False, repr=False)
class AnyEndpoint(Endpoint[_T]):
    """An endpoint that has no method here.

    Attributes:
        ids: The id for each placeholder of the path.
        shown: The path with a placeholder also for each id that is written into it.
    """

    ids: Mapping[str, str] = field(kw_only=True)
    shown: str = field(kw_only=True)

    def request(
        self, params: Mapping[str, Any], ids: Mapping[str, str], options: RequestOptions | None
    ) -> Request:
        """See `Endpoint.request`; the ids are those of the endpoint."""
        request = super().request(params, {**self.ids, **ids}, options)
        last = PLACEHOLDER.fullmatch(self.template.rpartition("/")[2])
        return evolve(
            request,
            template=self.shown,
            expected_id=self.ids[last[1]] if last else None,
        )


def endpoint_of(
    method: Method, path: str, ids: Mapping[str, str] | None, host: Host, model: Any
) -> AnyEndpoint[Any]:
    """Return an endpoint.

    Args:
        method: As of `AsyncClient.request`.
        path: As of `AsyncClient.request`.
        ids: As of `AsyncClient.request`.
        host: As of `AsyncClient.request`.
        model: The type of its answer.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    if not isinstance(method, str) or method not in ("GET", "POST", "DELETE"):
        raise ConfigurationError("method", f"must be GET, POST or DELETE, not {method!r}")
    if not isinstance(host, str) or host not in ("api", "files"):
        raise ConfigurationError("host", f"must be api or files, not {host!r}")
    if not isinstance(path, str) or not re.fullmatch(_PATH, path):
        problem = "must look like /v1/name/{id}; pass parameters as params, and ids as ids"
        raise ConfigurationError("path", problem)
    path = plain_text(path)
    given = {} if ids is None else check_mapping("ids", ids)
    names = PLACEHOLDER.findall(path)
    if given.keys() != set(names):
        wanted = ", ".join(names) or "this path has none"
        raise ConfigurationError("ids", f"must be those of the placeholders in path: {wanted}")
    shown = re.sub(_ID_SEGMENT, "{id}", path)
    return AnyEndpoint(plain_text(method), path, model, plain_text(host), ids=given, shown=shown)


def request_for(
    endpoint: AnyEndpoint[Any],
    params: Mapping[str, Any] | None,
    options: RequestOptions | None,
) -> Request:
    """Return the request for an endpoint.

    Args:
        endpoint: The endpoint.
        params: As of `AsyncClient.request`.
        options: Options of the call.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    values: Mapping[str, Any] = {} if params is None else check_mapping("params", params)
    if not endpoint.v2:
        check_texts("expand", values.get("expand"))
        check_metadata(values.get("metadata"))
        # A path without an id makes a new object.
        values = values if "{" in endpoint.shown else without_empty_metadata(values)
    return endpoint.request(values, {}, options)


def answer_of(request: Request, response: Response, into: Any) -> Any:
    """Return the answer to a request, structured into a type of the user.

    Args:
        request: The request.
        response: A response with a status of success.
        into: The type.

    Raises:
        ResponseError: As of `parse_response`.
        DecodeError: As of `parse_response`.
    """
    check_complete(request, response)
    try:
        answer: object = decode(response.body, into)
        is_dict = isinstance(answer, dict)
        # The keys of a TypedDict are its fields.
        fields: object = SimpleNamespace(**cast("dict[str, Any]", answer)) if is_dict else answer
        check_object(fields, request, response)
    except DecodeError as error:
        problem = error_of_call(error, request, response)
    else:
        attach_response(response, answer)
        return answer
    raise problem


def list_of(path: str, ids: Mapping[str, str] | None, into: Any) -> AnyEndpoint[Page[Any]]:
    """Return the endpoint of a list.

    Args:
        path: As of `AsyncClient.list`.
        ids: As of `AsyncClient.list`.
        into: As of `AsyncClient.list`.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    check_target("into", into)
    if not has_field(into, "id", str):
        problem = f"{name_of(into)} needs the attribute `id` of type str, by which a walk goes on"
        raise ConfigurationError("into", problem)
    endpoint: AnyEndpoint[Page[Any]] = endpoint_of("GET", path, ids, "api", Page[into])
    if endpoint.v2:
        raise ConfigurationError("path", "must begin with /v1: the lists of /v2 have other pages")
    return endpoint


def walk_over(
    endpoint: Endpoint[Page[Any]],
    params: Mapping[str, Any] | None,
    created: Created | datetime | None,
    paging: Paging,
    options: RequestOptions | None,
) -> Walk[Any]:
    """Return the start of a walk over a list.

    Args:
        endpoint: The list.
        params: As of `AsyncClient.list`.
        created: As of `AsyncClient.list`.
        paging: Which part of the list to read.
        options: The options of each call.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    filters: Mapping[str, Any] = {} if params is None else check_mapping("params", params)
    for name in _OF_WALKS:
        if name in filters:
            raise ConfigurationError(f"params[{name}]", f"must be passed as {name}")
    given = {} if created is None else {"created": created}
    walk = start_walk(endpoint, {**filters, **given}, paging, options, _checked)
    (item,) = get_args(endpoint.model)
    return evolve(walk, is_dated=has_field(item, "created", datetime))


def _checked(params: Mapping[str, Any]) -> Mapping[str, Any]:
    check_texts("expand", params.get("expand"))
    return params
