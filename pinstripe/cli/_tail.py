"""Follows the log of events, and prints it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from attrs import define
from rich.console import Console
from rich.text import Text

from pinstripe._client import AsyncClient
from pinstripe.cli._calls.data import cell, field_at, plain
from pinstripe.cli._calls.execute import Job, asked_for, execute
from pinstripe.cli._calls.output import Printer
from pinstripe.cli._event_log import EventLog, matches, patterns_of, until_readable
from pinstripe.events import Event

_COLOURS: Final = {"identity": "cyan", "climate": "green", "crypto": "magenta", "file": "blue"}


def follow(events: str, last: int, interval: float, *, as_json: bool, reveal: bool) -> int:
    """Print the log until Ctrl-C, and return the exit status.

    Args:
        events: As of the command.
        last: How many events of the past to begin with.
        interval: Seconds between two looks at the log.
        as_json: Whether each event is a line of JSON.
        reveal: Whether private fields are printed too.
    """
    asked = asked_for({"as_json": as_json, "reveal": reveal})
    patterns = patterns_of(events)
    job = _Tail(asked=asked, title="tail", patterns=patterns, last=last, interval=interval)
    return execute(job)


@define(kw_only=True)
class _Tail(Job):
    patterns: Sequence[str]
    last: int
    interval: float

    async def make(self, client: AsyncClient) -> None:
        log, console = EventLog(client), Console(highlight=False)

        async def show() -> None:
            async with aclosing(log.new_events()) as events:
                async for event, _ in events:
                    self._print(event, console)

        async def find() -> None:
            await log.find_end(self.last)

        await until_readable(find, self.interval)
        while True:
            await until_readable(show, self.interval)
            await asyncio.sleep(self.interval)

    def _print(self, event: Event, console: Console) -> None:
        if not matches(event.type, self.patterns):
            return
        if self.asked.shape.as_json:
            Printer(self.asked.shape).print_object(event)
            return
        about = plain(event.data.object, reveal=False)
        style = _COLOURS.get(event.type.partition(".")[0], "")
        facts = (event.id, field_at(about, "id"), field_at(about, "status"))
        line = Text(f"{plain(event.created, reveal=False)}  ")
        line.append(cell(event.type), style=style)
        line.append("".join(f"  {cell(fact)}" for fact in facts if fact is not None))
        console.print(line, soft_wrap=True)
