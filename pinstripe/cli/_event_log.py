"""The log of events, looked at again and again: each event once, oldest first."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from pinstripe._client import AsyncClient
from pinstripe._core.errors import RateLimitError, ServerError, TransportError
from pinstripe._resources.endpoint import response_of
from pinstripe.cli._words import say
from pinstripe.events import Event

Logged: TypeAlias = tuple[Event, dict[str, Any]]
"""An event: as a model, and as the API shows it."""

_TEMPORARY: Final = (TransportError, ServerError, RateLimitError)


def patterns_of(text: str) -> list[str]:
    """Return the types of events that `--events` names; none for all.

    Args:
        text: What was typed.
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def matches(type: str, patterns: Sequence[str]) -> bool:
    """Return whether a type of event is asked for.

    Args:
        type: The type.
        patterns: The types that are; empty for all.
    """
    return not patterns or any(fnmatchcase(type, each) for each in patterns)


class EventLog:
    """The log of events, from its end at the start of the command.

    Args:
        client: Of the account.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._last_id: str | None = None

    async def find_end(self, before: int = 0) -> None:
        """Note which event is the newest now, or one that some events come behind.

        Args:
            before: How many events of the past count as new.
        """
        page = await self._client.events.list(limit=before + 1)
        self._last_id = page.data[before].id if len(page.data) > before else None

    async def new_events(self) -> AsyncGenerator[Logged, None]:
        """Yield what has happened since, oldest first.

        The objects of a page come newest first. With a last event known, `ending_before` walks
        the pages from there to the newest one, and each page is turned around. If the log was
        empty so far, there is no such event: the walk begins at the newest page, and the pages
        are kept and turned around too.
        """
        pages: list[list[Logged]] = []
        pager = self._client.events.list(ending_before=self._last_id)
        async with aclosing(pager.pages()) as walk:
            async for page in walk:
                shown = json.loads(response_of(page).body)["data"]
                pages.append(list(zip(page.data, shown, strict=False))[::-1])
                if self._last_id is not None:
                    for logged in pages.pop():
                        self._last_id = logged[0].id
                        yield logged
        for logged in itertools.chain(*reversed(pages)):
            self._last_id = logged[0].id
            yield logged


async def until_readable(
    look: Callable[[], Awaitable[None]], interval: float, what: str = "the log"
) -> None:
    """Look at something, and repeat that until the API can be reached.

    Args:
        look: Looks once.
        interval: Seconds between two looks.
        what: What is looked at.
    """
    while True:
        try:
            await look()
        except _TEMPORARY as error:  # noqa: PERF203 -- each failure is waited out
            say(f"{what} cannot be read, for now: {error.message}")
            await asyncio.sleep(interval)
        else:
            return
