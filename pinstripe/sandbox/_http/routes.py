"""Routes: method, path, parameters and handler of an endpoint in one value, and their lookup.

The table is a tree by path segment, built once. Placeholders match one segment, percent-decoded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote

import attrs

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._params.errors import Refusal, shortened
from pinstripe.sandbox._params.schema import CREATED, STRING, STRINGS, Integer, Object, Spec
from pinstripe.sandbox._state.table import Json


@attrs.frozen
class Content:
    """An answer that is not JSON, such as the content of a file.

    Args:
        data: the bytes.
        type: their media type.
        status: HTTP status.
        headers: headers that the answer carries besides the usual ones.
    """

    data: bytes = attrs.field(repr=False)
    type: str = "application/octet-stream"
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])


Reply: TypeAlias = "Json | Content"
Handler: TypeAlias = Callable[[Call], "Reply | Awaitable[Reply]"]

LIST_PARAMS: Mapping[str, Spec] = {
    "limit": Integer(1, 100),
    "starting_after": STRING,
    "ending_before": STRING,
    "created": CREATED,
}


NO_PARAMS: Final = Object({})


@attrs.frozen(eq=False)
class Route:
    """One endpoint.

    Args:
        method: GET, POST or DELETE.
        path: such as `/v1/events/{id}`; the name in braces is the `param` of a missing object.
        handler: turns a call into the answer, a JSON object or `Content`; a coroutine function
            where it has to wait for something.
        params: the parameters, without `expand`.
        kind: name of the kind of the answer, for `expand`; None where nothing can be expanded.
        listed: whether the answer is a list of that kind.
        control: whether the route is the sandbox's own, not one of the API.
        upload: most bytes of a `multipart/form-data` body, 0 where none is taken.
        open: whether no key is needed; the path has to start with a segment of its own.
    """

    method: str
    path: str
    handler: Handler
    params: Object = NO_PARAMS
    kind: str | None = None
    listed: bool = False
    control: bool = False
    upload: int = 0
    open: bool = False

    @property
    def schema(self) -> Object:
        """The parameters, with `expand`."""
        if self.control:
            return self.params
        return attrs.evolve(self.params, fields={**self.params.fields, "expand": STRINGS})


def control_route(method: str, path: str, handler: Handler, params: Object = NO_PARAMS) -> Route:
    """Return a route of the sandbox's own, which steers it and is no part of the API."""
    return Route(method, f"/_sandbox/{path}", handler, params, control=True)


@attrs.frozen(eq=False)
class Match:
    """A route that was found, its parameters' schema, and what stood in its placeholders."""

    route: Route
    schema: Object
    ids: tuple[str, ...]


class RouteTable:
    """Finds the route for a method and a path.

    Args:
        routes: all endpoints.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for route in self.routes:
            self._root.add(route.path.split("/")[1:], route)
        self._open = tuple(route.path.partition("{")[0] for route in self.routes if route.open)

    def needs_key(self, path: str) -> bool:
        """Say whether a request for a path needs a key, also where nothing is found there."""
        return not path.startswith(self._open)

    def match(self, method: str, path: str) -> Match:
        """Return the route of a request.

        Args:
            method: the HTTP method.
            path: the path as it was sent, percent escapes included.

        Raises:
            Refusal: 404 for a path that is not known, 405 for a method that it does not take.
        """
        node, ids = self._root.find(path.split("/")[1:])
        if node is None or not node.routes:
            text = f"Unrecognized request URL ({method}: {shortened(path)})."
            raise Refusal(text, status=404)
        if method not in node.routes:
            allow = ", ".join(sorted(node.routes))
            text = f"{method} is not a method of this URL ({shortened(path)}); it takes {allow}."
            raise Refusal(text, status=405, headers={"Allow": allow})
        route, schema = node.routes[method]
        return Match(route, schema, tuple(ids))


class _Node:
    __slots__ = ("children", "routes", "wildcard")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.wildcard: _Node | None = None
        self.routes: dict[str, tuple[Route, Object]] = {}

    def add(self, parts: list[str], route: Route) -> None:
        node = self
        for part in parts:
            if part.startswith("{"):
                node.wildcard = node.wildcard or _Node()
                node = node.wildcard
            else:
                node = node.children.setdefault(part, _Node())
        node.routes[route.method] = (route, route.schema)

    def find(self, parts: list[str]) -> tuple[_Node | None, list[str]]:
        node: _Node | None = self
        ids: list[str] = []
        for part in parts:
            if node is None:
                break
            child = node.children.get(part)
            if child is None and part:
                ids.append(unquote(part))
                child = node.wildcard
            node = child
        return node, ids
