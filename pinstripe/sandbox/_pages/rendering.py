"""Pages as answers: templates, the files beside them, and the headers that keep them apart.

No page loads anything from another host, and none has a script or a style of its own: both are
files under `/_sandbox/static/`. So the Content-Security-Policy can forbid everything else, and text
that somebody sent to the sandbox can never run, even if a template failed to escape it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Content, page_route
from pinstripe.sandbox._params.errors import Refusal

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE: Final = Path(__file__).parent
_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)
# `stripe.js` opens a page in a frame of the developer's own site, which runs on this machine.
# A policy cannot name an IPv6 address.
_LOOPBACK_SITES: Final = (
    "http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:*"
)


def headers_of(*, framed: bool = False) -> dict[str, str]:
    """Return the headers of a page.

    Args:
        framed: Whether a site on this machine may show it in a frame.
    """
    return {
        "Content-Security-Policy": _POLICY.format(
            ancestors=_LOOPBACK_SITES if framed else "'none'"
        ),
        # With `no-referrer`, a browser would say `Origin: null` when it sends a form of the page.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 -- for pages only

    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, *, status: int = 200, framed: bool = False, **values: Any) -> Content:
    """Return a page.

    Args:
        template: The name of a file in `templates`.
        status: The HTTP status.
        framed: Whether a site on this machine may show the page in a frame.
        values: What the template fills in; it is escaped.
    """
    text = _templates().get_template(template).render(values)
    return Content(text.encode(), "text/html; charset=utf-8", status, headers_of(framed=framed))


def _static(call: Call) -> Content:
    return _file(call.ids[0])


def _file(name: str) -> Content:
    # Only names that are there: nothing of a path is ever joined to a folder.
    found = {path.name: path for path in (_HERE / "static").iterdir()}.get(name)
    if found is None:
        raise Refusal("There is no such file.", status=404)
    headers = {"Cache-Control": "no-cache"}
    return Content(found.read_bytes(), _TYPES[found.suffix], headers=headers)


ROUTES: Final = (
    page_route("GET", "/_sandbox/static/{name}", _static),
    page_route("GET", "/_sandbox/stripe.js", lambda _: _file("stripe.js")),
)
