"""Clients that send nothing to another machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from yarl import URL

from pinstripe._config.client import is_loopback
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Request, Response
from pinstripe._http.transport import AiohttpTransport

_Send: TypeAlias = Callable[[AiohttpTransport, Request], Awaitable[Response]]


def within_this_machine(send: _Send) -> _Send:
    """Return `AiohttpTransport.send` with a check of the host.

    Args:
        send: The method as it is.
    """

    async def send_within(transport: AiohttpTransport, request: Request) -> Response:
        config = transport._config  # noqa: SLF001 -- of the very method that this stands for
        name = "base_url" if request.host == "api" else "files_url"
        host = URL(getattr(config, name)).host or ""
        if not is_loopback(host):
            problem = f"is {host}, and no test with stripe_no_network may reach another machine"
            raise ConfigurationError(name, problem)
        return await send(transport, request)

    return send_within
