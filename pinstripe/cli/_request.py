"""Calls any endpoint, and prints its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from attrs import define

from pinstripe._client import AsyncClient
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import hide_frames
from pinstripe._http.messages import Host, Method
from pinstripe._models.sketch import check_class_name, sketch
from pinstripe.cli._calls.execute import Job, asked_for, execute
from pinstripe.cli._calls.output import Printer, write
from pinstripe.cli._calls.values import Params, read_body, set_values

_OPTIONS = {
    "method": "METHOD",
    "path": "PATH",
    "ids": "--id",
    "params": "--set or --body",
    "name": "--sketch",
}


def run_request(values: Mapping[str, Any]) -> int:
    """Call an endpoint, and return the exit status.

    Args:
        values: What click has read.

    Raises:
        UsageError: The parameters cannot be read; nothing was sent.
        BadInput: Something else is wrong; nothing was sent.
        CallFailedError: The call failed.
    """
    method, path = values["method"], values["path"]
    params = read_body(values["body"]) if values["body"] else {}
    set_values(params, values["sets"])
    job = _RequestJob(
        asked=asked_for(values),
        method=method,
        title=f"{method} {path}",
        private=bool(params),
        path=path,
        ids=dict(values["ids"]),
        host=values["host"],
        params=params,
        sketch=values["sketch"],
    )
    return execute(job)


@define(kw_only=True)
class _RequestJob(Job):
    path: str
    ids: Mapping[str, str]
    host: Host
    params: Params
    sketch: str | None

    @hide_frames
    async def make(self, client: AsyncClient) -> None:
        if self.sketch is not None:
            check_class_name(self.sketch)
        response = await client.request(
            cast("Method", self.method),
            self.path,
            self.params or None,
            ids=self.ids or None,
            host=self.host,
            request_options=self.asked.options,
        )
        if self.sketch is None:
            Printer(self.asked.shape).print_object(response.json())
        else:
            write(sketch(self.sketch, response.json()))

    def explain(self, error: ConfigurationError) -> str:
        problem = error.message.partition(": ")[2]
        return f"{_OPTIONS.get(error.argument, f'--set {error.argument}')}: {problem}"
