"""The log of events of an account, read from old to new.

The API lists events newest first. A walk with `ending_before` goes from old to new, page by page
and with one page in memory, but it needs an event to start behind. That is the newest event before
`since`. If the log has none, it begins after `since`: then a binary search over its seconds finds
the oldest event, in about twenty requests for one event each.

https://docs.stripe.com/webhooks/process-undelivered-events
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from datetime import datetime, timezone
from typing import Any

import msgspec
from attrs import frozen

from pinstripe._core.errors import DecodeError
from pinstripe._models.convert import decode
from pinstripe._models.page import Page
from pinstripe._resources.endpoint import response_of
from pinstripe._resources.walk import Created
from pinstripe.events import Event, Events
from pinstripe.webhooks._webhook import Received, parse_event


@frozen
class Logged:
    """An entry of the log.

    Attributes:
        id: The id of the event; None if it cannot be read.
        event: The event; None if it cannot be read.
        path: Where the entry does not fit, if the event cannot be read.
    """

    id: str | None
    event: Received | None
    path: str = ""


@frozen(eq=False)
class EventLog:
    """A part of the log.

    Attributes:
        events: Reads it.
        since: The second that it begins with, since the Unix epoch.
        until: The second that it ends before; None for the end of the log.
        after: The id of the event that it begins after, in place of `since`.
        filters: The arguments of `Events.list` that say which events are in it.
    """

    events: Events
    since: int
    until: int | None
    after: str | None
    filters: Mapping[str, Any]

    async def entries(self) -> AsyncGenerator[Logged, None]:
        """Yield the entries, oldest first."""
        after = self.after
        if after is None and (earlier := await self._newest(Created(lt=_time(self.since)))):
            after = earlier.id
        if after is None:
            oldest = await self._oldest()
            if oldest is None:
                return
            # Alone, since the body of a delivery has one event, and that of a page has many.
            event = await self.events.retrieve(oldest.id)
            yield _read(response_of(event).body)
            after = oldest.id
        created = None if self.until is None else Created(lt=_time(self.until))
        pager = self.events.list(created=created, ending_before=after, **self.filters)
        # What does not fit is read again below, and yielded in its place.
        async with aclosing(pager.skip_unfit(lambda _: None).pages()) as pages:
            async for page in pages:
                for body in reversed(decode(response_of(page).body, Page[msgspec.Raw]).data):
                    yield _read(bytes(body))

    async def _oldest(self) -> Event | None:
        """Return the oldest event of a log that has none before `since`; None if it is empty."""
        until = None if self.until is None else Created(lt=_time(self.until))
        oldest = await self._newest(until)
        if oldest is None:
            return None
        # The oldest event is of one of the seconds from `low` to that of `oldest`.
        low = self.since
        while low < (high := int(oldest.created.timestamp())):
            middle = (low + high) // 2
            found = await self._newest(Created(lte=_time(middle)))
            if found is None:
                low = middle + 1
            else:
                oldest = found
        async for event in self.events.list(created=oldest.created, **self.filters):
            oldest = event
        return oldest

    async def _newest(self, created: Created | None) -> Event | None:
        """Return the newest event of a range; None if it has none."""
        page = await self.events.list(created=created, limit=1, **self.filters)
        return page.data[0] if page.data else None


def _time(second: int) -> datetime:
    return datetime.fromtimestamp(second, timezone.utc)


class _Named(msgspec.Struct):
    id: str | None = None


def _read(body: bytes) -> Logged:
    """Return an entry as its event would be delivered."""
    try:
        event = parse_event(body)
    except DecodeError as error:
        id = None
        with suppress(msgspec.ValidationError):
            id = msgspec.json.decode(body, type=_Named).id
        return Logged(id, None, error.path)
    return Logged(event.id, event)
