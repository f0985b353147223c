"""How the clients of a test send: to this machine only, or through a cassette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from yarl import URL

from pinstripe._config.client import is_loopback
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Request, Response
from pinstripe._http.transport import AiohttpTransport
from pinstripe.testing._cassette import Cassette

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


def through_cassette(cassette: Cassette) -> _Send:
    """Return an `AiohttpTransport.send` that records to a cassette, or replays from it.

    Args:
        cassette: The cassette.
    """

    async def send_through(transport: AiohttpTransport, request: Request) -> Response:
        return await cassette.over(transport).send(request)

    return send_through
