"""Calls that carry files: uploads streamed from the disk, downloads streamed to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from anyio.to_thread import run_sync
from attrs import evolve

from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import ResponseTooLarge
from pinstripe._disk.destination import Destination
from pinstripe._disk.source import FileContent, opened
from pinstripe._http.encoding import form_pairs
from pinstripe._http.messages import Request, Response, Sender
from pinstripe._models.record import Model, attach_response
from pinstripe._resources.endpoint import Endpoint, check_complete, error_of_call, parse_response
from pinstripe._resources.multipart import multipart, name_of, type_of

_M = TypeVar("_M", bound=Model)


async def upload(
    send: Sender,
    endpoint: Endpoint[_M],
    file: FileContent,
    params: Mapping[str, Any],
    options: RequestOptions | None,
    *,
    filename: str | None,
    content_type: str | None,
) -> _M:
    """Send a file, and return what the API says of it.

    Args:
        send: Sends the request.
        endpoint: Where to.
        file: The content.
        params: The parameters beside it.
        options: The options of the call.
        filename: The name to send it under; that of the file by default.
        content_type: Its media type; guessed from the name by default.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        OSError: The file cannot be read.
    """
    request = endpoint.request(params, {}, options)
    async with opened(file) as source:
        name = name_of(file, filename)
        media_type = await run_sync(type_of, name, content_type)
        body = multipart(params, source, name, media_type)
        headers = {**request.headers, "Content-Type": body.content_type}
        parts = {**dict(form_pairs(params)), "filename": name}
        request = evolve(request, body=None, upload=body, parts=parts, headers=headers)
        response = await send(request)
    answer = parse_response(request, response, endpoint.model)
    attach_response(answer, response)
    return answer


async def download(
    send: Sender,
    request: Request,
    destination: str | os.PathLike[str],
    *,
    overwrite: bool,
    max_bytes: int,
) -> Path:
    """Write the content that a request answers with to a file, and return its path.

    Args:
        send: Sends the request.
        request: Asks for the content.
        destination: Where the file goes.
        overwrite: Whether it may replace another one.
        max_bytes: Bytes it may have.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        ResponseTooLarge: There is more than that.
        OSError: The file cannot be written.
    """
    async with Destination(destination, max_bytes=max_bytes, overwrite=overwrite) as sink:
        response = await send(evolve(request, sink=sink))
        check_complete(request, response)
        if not sink.started:
            await _pour(request, response, sink)
        return await sink.commit()


async def _pour(request: Request, response: Response, sink: Destination) -> None:
    """Write what a transport that leaves sinks alone has read whole."""
    if len(response.body) > sink.max_bytes:
        error = ResponseTooLarge(f"the answer is longer than {sink.max_bytes} bytes")
        raise error_of_call(error, request, response)
    await sink.start()
    await sink.write(response.body)
