"""The base of every resource class: one call, or one list."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction
from typing import Any, TypeVar

from pinstripe._config import RequestOptions
from pinstripe._convert import decoder_of
from pinstripe._discreet import discreet
from pinstripe._endpoint import Endpoint, Page, read
from pinstripe._model import Listed, Model, bind
from pinstripe._pager import Pager
from pinstripe._walk import Paging, start
from pinstripe._wire import Response, Sender

_M = TypeVar("_M", bound=Model)
_L = TypeVar("_L", bound=Listed)


class Resource:
    """The calls of one resource; everything goes through `send`, and each is a discreet door."""

    __slots__ = ("_send",)

    def __init_subclass__(cls) -> None:
        for name, value in tuple(vars(cls).items()):
            if isfunction(value) and not name.startswith("_"):
                setattr(cls, name, discreet(value))

    def __init__(self, send: Sender) -> None:
        self._send = send

    async def _call(
        self,
        endpoint: Endpoint[_M],
        params: Mapping[str, Any],
        options: RequestOptions | None,
        **ids: str,
    ) -> _M:
        request = endpoint.request(params, ids, options)
        response = await self._send(request)
        answer = read(request, response, endpoint.model)
        bind(answer, response)
        return answer

    def _list(
        self,
        endpoint: Endpoint[Page[_L]],
        params: Mapping[str, Any],
        paging: Paging,
        options: RequestOptions | None,
    ) -> Pager[_L]:
        return Pager(self._send, start(endpoint, params, paging, options))


def prepare_decoders() -> None:
    """Make what reads the answers of every resource imported so far: milliseconds for each."""
    for resource in Resource.__subclasses__():
        for member in vars(resource).values():
            model: Any = getattr(member, "model", None)
            if isinstance(member, Endpoint) and model is not Response:
                decoder_of(model)
