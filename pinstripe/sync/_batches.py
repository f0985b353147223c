"""Fan-outs without await: the caller reads inputs, the loop thread works on them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from itertools import islice
from typing import Generic, TypeVar

from attrs import define, field

from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._core.tracebacks import hide_frames
from pinstripe.bulk import Outcome, Outcomes, Progress

_I = TypeVar("_I")
_T = TypeVar("_T")


class Feed(AsyncIterator[_I]):
    """The inputs of a fan-out, as far as the caller has read them."""

    def __init__(self) -> None:
        self.reports: deque[Progress] = deque()
        self._items: deque[_I] = deque()
        self._ended = False
        self._news = asyncio.Event()

    def give(self, items: Iterable[_I], *, ended: bool) -> None:
        """Take more of them, and whether these were the last."""
        self._items.extend(items)
        self._ended = ended
        self._news.set()

    async def __anext__(self) -> _I:
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._items.popleft()


class SizedFeed(Feed[_I]):
    """Inputs whose number is known, so that progress can be told as a part of it."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total = total

    def __len__(self) -> int:
        return self._total


@define(eq=False, repr=False)
class Batches(Generic[_I, _T]):
    """A fan-out under way: the caller reads inputs, the loop works on them.

    Inputs are read in the caller's thread, between two batches, and as many at a time as were
    handed out since, so that they may come from a call of the same client.
    """

    crossing: LoopBridge
    work: Outcomes[_I, _T]
    feed: Feed[_I]
    inputs: Iterator[_I]
    on_progress: Callable[[Progress], object] | None
    _failure: Exception | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)

    def outcomes(self) -> Generator[Outcome[_I, _T], None, None]:
        """Yield every outcome, and leave nothing running."""
        room = self.work._window  # noqa: SLF001 -- own
        try:
            while batch := self._next_batch(room):
                self._report()
                yield from batch
                room = len(batch)
            self._report()
        finally:
            self.crossing.post(self.work.aclose)
        if self._failure is not None:
            raise self._failure

    @hide_frames
    def _next_batch(self, room: int) -> list[Outcome[_I, _T]]:
        return self.crossing.run(self._step, self._read(room))

    async def _step(self, items: list[_I]) -> list[Outcome[_I, _T]]:
        self.feed.give(items, ended=self._ended)
        return await self.work._next_batch()  # noqa: SLF001 -- own

    def _read(self, room: int) -> list[_I]:
        items: list[_I] = []
        try:
            items.extend(islice(self.inputs, room))
        except Exception as error:  # noqa: BLE001 -- raised after the outcomes of those before it
            self._failure = error
        except BaseException:
            del items  # which the traceback would show
            raise
        self._ended = self._failure is not None or len(items) < room
        return items

    def _report(self) -> None:
        while self.on_progress is not None and self.feed.reports:
            self.on_progress(self.feed.reports.popleft())
