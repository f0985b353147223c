"""Requests for endpoints that have no method here: everything about them is checked first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_mapping, check_metadata, check_texts, plain_text
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.encoding import PLACEHOLDER
from pinstripe._http.messages import Host, Method, Request, Response
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.params import without_empty_metadata

# Text, not compiled patterns: few programs use them, and compiling delays the import of all.
_PATH: Final = r"/v[12](?:/(?:[A-Za-z0-9_-]+|\{[a-z_]+\}))+"
# Each segment after the version that is neither a word of the API nor a placeholder: an id.
_ID_SEGMENT: Final = r"(?<=.../)(?![a-z_]+(?:/|$)|\{)[^/]+"


def request_for(
    method: Method,
    path: str,
    params: Mapping[str, Any] | None,
    *,
    ids: Mapping[str, str] | None,
    host: Host,
    request_options: RequestOptions | None,
) -> Request:
    """Return the request for an endpoint.

    Args:
        method: As of `AsyncClient.request`.
        path: As of `AsyncClient.request`.
        params: As of `AsyncClient.request`.
        ids: As of `AsyncClient.request`.
        host: As of `AsyncClient.request`.
        request_options: As of `AsyncClient.request`.

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
    template = re.sub(_ID_SEGMENT, "{id}", path)
    values: Mapping[str, Any] = {} if params is None else check_mapping("params", params)
    if not path.startswith("/v2/"):
        check_texts("expand", values.get("expand"))
        check_metadata(values.get("metadata"))
        # A path without an id makes a new object.
        values = values if "{" in template else without_empty_metadata(values)
    endpoint = Endpoint(plain_text(method), path, Response, plain_text(host))
    request = endpoint.request(values, given, request_options)
    return evolve(request, template=template)
