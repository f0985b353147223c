"""Drives a flow that is written once, with `await`, over the asynchronous or the blocking client.

    async def flow(stripe, sandbox): ...

    drive_async(flow, sandbox, key)      # on an event loop, over AsyncClient
    drive_blocking(flow, sandbox, key)   # no event loop anywhere in this thread, over Client

Blocking, each method of the client is called in this thread and its value wrapped so that it can
be awaited or iterated with `async for`; the coroutine of the flow never suspends, so that plain
`send(None)` runs it to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any

from pinstripe.sandbox import Sandbox
from pinstripe.sync import Client, Pager

Flow = Callable[[Any, Sandbox], Coroutine[Any, Any, None]]


def drive_async(flow: Flow, sandbox: Sandbox, key: str) -> None:
    async def run() -> None:
        async with sandbox.client(api_key=key) as stripe:
            await flow(stripe, sandbox)

    asyncio.run(run())


def drive_blocking(flow: Flow, sandbox: Sandbox, key: str) -> None:
    with sandbox.sync_client(api_key=key) as stripe:
        run_now(flow(Awaited(stripe), sandbox))


def run_now(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise AssertionError("a blocking flow waited for something")


class Awaited:
    """A blocking object whose methods can be awaited."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return Awaited(found)

        def call(*args: Any, **kwargs: Any) -> Any:
            value = found(*args, **kwargs)
            if isinstance(value, Client):
                return Awaited(value)
            if isinstance(value, Pager):
                return AwaitedPager(value)
            return stream(value) if isinstance(value, Generator) else done(value)

        return call


class AwaitedPager:
    """A blocking pager that can be awaited and iterated as an asynchronous one."""

    def __init__(self, pager: Pager[Any]) -> None:
        self._pager = pager

    @property
    def cursor(self) -> str | None:
        return self._pager.cursor

    def __aiter__(self) -> AsyncIterator[Any]:
        return stream(iter(self._pager))

    def pages(self) -> AsyncIterator[Any]:
        return stream(self._pager.pages())

    def __await__(self) -> Generator[Any, None, Any]:
        return done(self._pager.first()).__await__()


async def stream(items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


def done(value: Any) -> Awaitable[Any]:
    async def give() -> Any:
        return value

    return give()
