"""Watches an object: looks at it again and again, and prints what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from operator import attrgetter
from time import strftime
from typing import Any, Final

from attrs import define
from rich.console import Console
from rich.text import Text

from pinstripe._client import AsyncClient
from pinstripe.cli._calls.data import cell, flat, plain
from pinstripe.cli._calls.execute import Job, asked_for, execute
from pinstripe.cli._calls.output import Printer
from pinstripe.cli._event_log import until_readable

_FIRST: Final = ("id", "status")


def watch_object(
    path: str, id: str, ends: Sequence[str], interval: float, *, as_json: bool, reveal: bool
) -> int:
    """Print an object and its changes until it ends, and return the exit status.

    Args:
        path: The path of its resource.
        id: Its id.
        ends: The statuses with which it ends.
        interval: Seconds between two looks.
        as_json: Whether it is printed as JSON after each change.
        reveal: Whether private fields are printed too.
    """
    asked = asked_for({"as_json": as_json, "reveal": reveal})
    job = _Watch(asked=asked, title=f"watch {id}", path=path, id=id, ends=ends, interval=interval)
    return execute(job)


@define(kw_only=True)
class _Watch(Job):
    path: str
    id: str
    ends: Sequence[str]
    interval: float
    before: dict[str, Any] | None = None

    async def make(self, client: AsyncClient) -> None:
        retrieve, status = attrgetter(f"{self.path}.retrieve")(client), ""

        async def look() -> None:
            nonlocal status
            item = await retrieve(self.id)
            self._print_changes(item)
            status = item.status

        while True:
            await until_readable(look, self.interval, self.id)
            if status in self.ends:
                return
            await asyncio.sleep(self.interval)

    def _print_changes(self, item: Any) -> None:
        """Print what is other than it was: at first the status, then each field that changed."""
        now = dict(flat(plain(item, reveal=self.asked.shape.reveal)))
        before, self.before = self.before, now
        if before == now:
            return
        if self.asked.shape.as_json:
            Printer(self.asked.shape).print_object(item)
            return
        names = _FIRST if before is None else dict.fromkeys([*now, *before])
        changed = [name for name in names if before is None or before.get(name) != now.get(name)]
        line = Text(f"{strftime('%H:%M:%S')}")
        for name in sorted(changed, key=lambda name: name != "status"):
            line.append(f"  {name} " if name != "status" else "  ")
            value = cell(now.get(name)) or "none"
            line.append(value, style="bold" if name == "status" else "")
        Console(highlight=False).print(line, soft_wrap=True)
