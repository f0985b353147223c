"""What `--dry-run` prints: the request as the client would send it, without the key.

The client makes the request with all of its checks, and hands it to a transport that keeps it in
place of sending it. Private values are hidden unless `--reveal` is given.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from attrs import define

from pinstripe._config.client import DEFAULT_BASE_URL, DEFAULT_FILES_URL
from pinstripe._http.messages import Request, Response
from pinstripe.cli._account import base_url
from pinstripe.cli._calls.data import cell, json_line

_HIDDEN = "(hidden)"
_NEW_KEY = "(a new one for each call)"


class NotSentError(Exception):
    """A request was made and is not sent."""


@define
class Recorder:
    """A transport that keeps the first request, and sends nothing.

    Attributes:
        request: The request; None as long as there is none.
    """

    request: Request | None = None

    async def send(self, request: Request) -> Response:
        """Keep a request.

        Args:
            request: The request.

        Raises:
            NotSentError: Always.
        """
        self.request = request
        raise NotSentError

    async def aclose(self) -> None:
        """Do nothing: there are no connections."""


def described(request: Request, *, key: str | None, reveal: bool) -> dict[str, Any]:
    """Return a request as plain data.

    Args:
        request: The request.
        key: The idempotency key that was given.
        reveal: Whether private values are shown.
    """
    stripes = DEFAULT_BASE_URL if request.host == "api" else DEFAULT_FILES_URL
    headers = dict(request.headers)
    if "Idempotency-Key" in headers and key is None:
        headers["Idempotency-Key"] = _NEW_KEY
    hidden = {} if reveal else request.private_values
    form = request.query if request.body is None else request.body.decode()
    # The values of a request leave out those that are empty, which clear a field.
    values = request.parts or dict(parse_qsl(form, keep_blank_values=True))
    shown = {name: _HIDDEN if name in hidden else text for name, text in values.items()}
    body = {"file": f"({request.upload.length} bytes with their frame)"} if request.upload else {}
    return {
        "method": request.method,
        "url": f"{base_url().rstrip('/') or stripes}{request.path}",
        "headers": headers,
        "params": {**shown, **body},
    }


def printed(request: dict[str, Any], *, as_json: bool) -> str:
    """Return a request as text.

    Args:
        request: The request as plain data.
        as_json: Whether as JSON.
    """
    if as_json:
        return json_line(request)
    lines = [f"{request['method']} {request['url']}"]
    lines += [f"{name}: {cell(value)}" for name, value in request["headers"].items()]
    params = [f"{name}={cell(value)}" for name, value in request["params"].items()]
    return "\n".join([*lines, *([""] if params else []), *params]) + "\n"
