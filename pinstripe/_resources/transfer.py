"""Calls that carry files: uploads streamed from the disk, downloads streamed to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from anyio.to_thread import run_sync
from attrs import evolve

from pinstripe._concurrency.loop_local import running_loop
from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import ResponseTooLarge
from pinstripe._disk.destination import Destination
from pinstripe._disk.source import FileContent, opened
from pinstripe._http.messages import Request, Sender
from pinstripe._models.record import Model, attach_response
from pinstripe._resources.endpoint import Endpoint, check_complete, error_of_call, parse_response
from pinstripe._resources.multipart import multipart, name_of, type_of
from pinstripe._resources.params import check_params

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
    """Send a file, and return the model that the API answers with.

    Args:
        send: Sends the request.
        endpoint: The endpoint that takes the file.
        file: The content.
        params: The parameters beside it.
        options: The options of the call.
        filename: The name to send it under; by default the name of the file.
        content_type: Its media type; by default guessed from the name.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        OSError: The file cannot be read.
    """
    # The parameters are checked before the file is opened. Their form is not sent: each becomes a
    # part of the multipart body.
    request = endpoint.request(check_params(params), {}, options)
    running_loop()  # refuses if none of asyncio runs, before the file is opened
    async with opened(file) as source:
        name = name_of(file, filename)
        # In a thread, since the first guess of a type reads the files of the system.
        media_type = await run_sync(type_of, name, content_type)
        body = multipart(params, source, name, media_type)
        headers = {**request.headers, "Content-Type": body.content_type}
        parts = {**body.parts, "filename": name}
        request = evolve(request, body=None, upload=body, parts=parts, headers=headers)
        # The file stays open over all attempts, and each of them reads it from its start.
        response = await send(request)
    answer = parse_response(request, response, endpoint.model)
    attach_response(response, answer)
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
        destination: The path of the file.
        overwrite: Whether it may replace another file.
        max_bytes: Bytes it may have.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        ResponseTooLarge: The content is longer than `max_bytes`.
        OSError: The file cannot be written.
    """
    running_loop()
    async with Destination(destination, max_bytes=max_bytes, overwrite=overwrite) as sink:
        response = await send(evolve(request, sink=sink))
        check_complete(request, response)
        # A transport of the user, such as one of a test, may ignore the sink and return the whole
        # body in the response.
        if not sink.started:
            if len(response.body) > max_bytes:
                error = ResponseTooLarge(f"the answer is longer than {max_bytes} bytes")
                raise error_of_call(error, request, response)
            await sink.start()
            await sink.write(response.body)
        return await sink.commit()
