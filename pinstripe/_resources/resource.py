"""The base of every resource class: calls that return one object, and lists."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction
from typing import Any, TypeVar

from pinstripe._config.options import RequestOptions
from pinstripe._core.forks import no_fork
from pinstripe._core.tracebacks import hide_frames
from pinstripe._http.messages import Response, Sender
from pinstripe._models.convert import decoder_of, unstructure
from pinstripe._models.page import Page
from pinstripe._models.record import Identified, Model, attach_response
from pinstripe._resources.endpoint import Endpoint, parse_response
from pinstripe._resources.pager import Pager
from pinstripe._resources.params import check_params
from pinstripe._resources.walk import Paging, start_walk

_M = TypeVar("_M", bound=Model)
_L = TypeVar("_L", bound=Identified)


class Resource:
    """The calls of one resource.

    Every call goes through `send`. The public methods of a subclass hide their frames: the
    traceback of an error does not show the arguments of the call.
    """

    __slots__ = ("_send",)

    def __init_subclass__(cls) -> None:
        for name, value in tuple(vars(cls).items()):
            if isfunction(value) and not name.startswith("_"):
                setattr(cls, name, hide_frames(value))

    def __init__(self, send: Sender) -> None:
        self._send = send

    async def _call(
        self,
        endpoint: Endpoint[_M],
        params: Mapping[str, Any],
        options: RequestOptions | None,
        **ids: str,
    ) -> _M:
        v2 = endpoint.v2
        checked = check_params(params, creates=not ids, v2=v2)
        if v2:
            # In JSON null clears a field, so an argument that is None must not be sent.
            checked = {name: value for name, value in checked.items() if value is not None}
        request = endpoint.request(checked, ids, options)
        response = await self._send(request)
        answer = parse_response(request, response, endpoint.model)
        attach_response(response, answer)
        return answer

    def _list(
        self,
        endpoint: Endpoint[Page[_L]],
        params: Mapping[str, Any],
        paging: Paging,
        options: RequestOptions | None,
    ) -> Pager[_L]:
        return Pager(self._send, start_walk(endpoint, params, paging, options))

    def _list_linked(
        self,
        endpoint: Endpoint[Page[_L]],
        params: Mapping[str, Any],
        paging: Paging,
        options: RequestOptions | None,
    ) -> Pager[_L]:
        with no_fork():
            from pinstripe._resources.linked_walk import (  # noqa: PLC0415 -- few need it
                start_linked_walk,
            )

        return Pager(self._send, start_linked_walk(endpoint, params, paging, options))


def prepare_decoders() -> None:
    """Make the converter, and the decoders of every resource imported so far.

    Each decoder takes milliseconds.
    """
    for resource in Resource.__subclasses__():
        for member in vars(resource).values():
            model: Any = getattr(member, "model", None)
            # The content of a file is no model.
            if isinstance(member, Endpoint) and model is not Response:
                decoder_of(model)
    unstructure(None)  # makes the converter
