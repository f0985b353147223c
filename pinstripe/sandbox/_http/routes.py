"""Routes: method, path, parameters and handler of an endpoint in one value, and their lookup.

The table of routes is a tree with a level for each path segment, built once. A placeholder matches
one segment, percent-decoded.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote

from attrs import evolve, field, frozen

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.slices import Steps
from pinstripe.sandbox._params.errors import Refusal, shortened
from pinstripe.sandbox._params.schema import CREATED, STRING, STRINGS, Integer, Object, Spec
from pinstripe.sandbox._state.table import Json


@frozen
class Content:
    """An answer that is not JSON, such as the content of a file.

    Attributes:
        data: The bytes.
        type: Their media type.
        status: The HTTP status.
        headers: Headers of the answer besides the usual ones.
    """

    data: bytes = field(repr=False)
    type: str = "application/octet-stream"
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict[str, str])


@frozen
class Stream:
    """An answer of a control route that goes on until its parts end.

    Attributes:
        parts: Makes the parts; closed if the client hangs up.
        type: Their media type.
    """

    parts: AsyncGenerator[bytes, None]
    type: str = "text/event-stream"


Reply: TypeAlias = "Json | Content | Stream"
Handler: TypeAlias = Callable[[Call], "Reply | Awaitable[Reply] | Steps"]

# https://docs.stripe.com/api/pagination
LIST_PARAMS: Mapping[str, Spec] = {
    "limit": Integer(1, 100, clamp=True),
    "starting_after": STRING,
    "ending_before": STRING,
    "created": CREATED,
}

NO_PARAMS: Final = Object({})


@frozen(eq=False)
class Route:
    """One endpoint.

    Attributes:
        method: GET, POST or DELETE.
        path: The path, such as `/v1/events/{id}`; the name in braces is the `param` of the error
            for a missing object.
        handler: Turns a call into the answer, a JSON object or `Content`; a coroutine function if
            it has to wait for something, a generator function if it takes long.
        params: The parameters, without `expand`.
        kind: The name of the kind of the answer, for `expand`; None if nothing can be expanded.
        listed: Whether the answer is a list of that kind.
        control: Whether the route belongs to the sandbox itself and not to the API.
        upload: The largest `multipart/form-data` body in bytes; 0 if the route takes none.
        open: Whether no API key is needed, as for what a browser opens. A GET of such a route may
            come from any site, so it must not change anything.
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
    def v2(self) -> bool:
        """Whether it is one of `/v2`, which takes JSON and has no `expand`."""
        return self.path.startswith("/v2/")

    @property
    def schema(self) -> Object:
        """The parameters, with `expand`."""
        if self.control or self.v2:
            return self.params
        return evolve(self.params, fields={**self.params.fields, "expand": STRINGS})


def control_route(method: str, path: str, handler: Handler, params: Object = NO_PARAMS) -> Route:
    """Return a route that controls the sandbox and is not part of the API."""
    return Route(method, f"/_sandbox/{path}", handler, params, control=True)


def page_route(method: str, path: str, handler: Handler, params: Object = NO_PARAMS) -> Route:
    """Return a route that a browser opens: it needs no key, and meets no limit and no fault.

    A GET may come from any site, so it must not change anything; a POST only from a page of the
    sandbox.
    """
    return Route(method, path, handler, params, control=True, open=True)


@frozen(eq=False)
class Match:
    """A route that was found for a request.

    Attributes:
        route: The route.
        schema: Its parameters, with `expand` if it takes that.
        ids: The values of its placeholders.
    """

    route: Route
    schema: Object
    ids: tuple[str, ...]


class RouteTable:
    """Finds the route for a method and a path.

    Args:
        routes: All endpoints.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for route in self.routes:
            node = self._root
            for part in route.path.split("/")[1:]:
                if part.startswith("{"):
                    node.wildcard = node.wildcard or _Node()
                    node = node.wildcard
                else:
                    node = node.children.setdefault(part, _Node())
            # The schema is built here, once, and not for each request.
            node.routes[route.method] = (route, route.schema)

    def match(self, method: str, path: str) -> Match:
        """Return the route of a request.

        Args:
            method: The HTTP method.
            path: The path as it was sent, with its percent escapes.

        Raises:
            Refusal: 404 for an unknown path, 405 for a method that the path does not take.
        """
        found = self.find(method, path)
        if isinstance(found, Refusal):
            raise found
        return found

    def find(self, method: str, path: str) -> Match | Refusal:
        """Return the route of a request, or the refusal if there is none.

        Args:
            method: The HTTP method.
            path: The path as it was sent, with its percent escapes.
        """
        node: _Node | None = self._root
        ids: list[str] = []
        for part in path.split("/")[1:]:
            if node is None:
                break
            # A literal segment goes before a placeholder, and nothing matches an empty one. The
            # escapes are decoded after the split: `a%2Fb` is one segment.
            child = node.children.get(part)
            if child is None and part:
                ids.append(unquote(part))
                child = node.wildcard
            node = child
        if node is None or not node.routes:
            text = f"Unrecognized request URL ({method}: {shortened(path)})."
            return Refusal(text, status=404)
        if method not in node.routes:
            allow = ", ".join(sorted(node.routes))
            text = f"This URL ({shortened(path)}) does not accept {method}; use {allow}."
            return Refusal(text, status=405, headers={"Allow": allow})
        route, schema = node.routes[method]
        return Match(route, schema, tuple(ids))


class _Node:
    """All routes that share the first segments of their paths."""

    __slots__ = ("children", "routes", "wildcard")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.wildcard: _Node | None = None
        self.routes: dict[str, tuple[Route, Object]] = {}
