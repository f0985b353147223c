"""The index of control routes: a page for a person, JSON for a program.

Both come from the table that routes requests. What a route does is the first line of its handler's
docstring, and what it takes is its schema, so the index cannot say anything else than the routes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Final

from pinstripe.sandbox._control.reset import HEALTH
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Content, Route, page_route
from pinstripe.sandbox._pages.rendering import render
from pinstripe.sandbox._params.described import describe
from pinstripe.sandbox._state.table import Json

_INDEX: Final = "/_sandbox/"


def index_route(routes: Iterable[Route]) -> Route:
    """Return the route of the index.

    Args:
        routes: All other routes.
    """

    def index(call: Call) -> Json | Content:
        """List the control routes with their parameters."""
        if not call.html:
            return {"object": "list", "data": entries}
        return render("index.html", entries=entries)

    route = page_route("GET", _INDEX, index)
    keyed = [each for each in routes if each.control and not each.open]
    entries = [_entry(each) for each in sorted([route, HEALTH, *keyed], key=_order)]
    return route


def _order(route: Route) -> tuple[str, str]:
    return route.path, route.method


def _entry(route: Route) -> dict[str, Any]:
    return {
        "method": route.method,
        "path": route.path,
        "about": (inspect.getdoc(route.handler) or "").partition("\n")[0],
        "key": not route.open,
        "parameters": describe(route.params),
    }
