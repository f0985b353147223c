"""What a request says, as tests see it: its ids, its parameters and the file that it uploads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import msgspec

from pinstripe._http.encoding import PLACEHOLDER
from pinstripe._http.messages import Request


def path_pattern(template: str) -> re.Pattern[str]:
    """Return the pattern of the paths of a template; each placeholder is a group, in order.

    Args:
        template: A path with placeholders such as `{session}`.
    """
    # Every second part is the name of a placeholder.
    parts = PLACEHOLDER.split(template)
    texts = ["([^/]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts)]
    return re.compile("".join(texts))


def ids_of(request: Request, pattern: re.Pattern[str]) -> list[str] | None:
    """Return the ids in the path of a request, in order; None if it has another path.

    Args:
        request: The request.
        pattern: The pattern of the path.
    """
    found = pattern.fullmatch(request.path)
    return found and [unquote(id) for id in found.groups()]


def params_of(request: Request) -> dict[str, Any]:
    """Return the parameters of a request, nested as the API nests them.

    Args:
        request: The request; each value of a form or of a query is text, as it is sent.
    """
    if request.headers.get("Content-Type") == "application/json" and request.body:
        params: dict[str, Any] = msgspec.json.decode(request.body)
        return params
    if request.upload is not None:
        return _nested(request.parts.items())
    pairs = request.query if request.body is None else request.body.decode()
    return _nested(parse_qsl(pairs, keep_blank_values=True))


def _nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return parameters nested: `a[b][0]=x` is `{"a": {"b": ["x"]}}`."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        first, *rest = re.split(r"[\[\]]+", name.rstrip("]"))
        place = root
        for part, following in zip([first, *rest], [*rest, None], strict=True):
            if following is None:
                place[part] = value
            else:
                place = place.setdefault(part, {})
    return {name: _with_lists(value) for name, value in root.items()}


def _with_lists(value: Any) -> Any:
    """Return a mapping whose keys are 0, 1, 2... as a list, inside of it too."""
    if not isinstance(value, dict):
        return value
    inside = cast("dict[str, Any]", value)
    items = {name: _with_lists(item) for name, item in inside.items()}
    return list(items.values()) if list(items) == [str(n) for n in range(len(items))] else items


async def upload_of(request: Request) -> bytes | None:
    """Return the whole body of an upload; None if the request uploads nothing.

    Args:
        request: The request.
    """
    if request.upload is None:
        return None
    return b"".join([piece async for piece in request.upload.pieces()])
