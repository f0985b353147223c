"""Fan-outs without await: the caller reads the inputs, the event loop makes the calls.

Going to the loop and back takes about 100 microseconds, so a fan-out does it once a batch and not
once an input. One turn has three steps:

1. read:   the caller's thread reads as many inputs as the window has free places
2. work:   the loop gets them, and returns all outcomes that are ready, one at least
3. yield:  the caller's thread reports progress and yields the outcomes; the window then has as
           many free places as there were outcomes

While the caller reads or works with an outcome, the calls of earlier inputs go on. The inputs may
come from calls of the same client, such as a list: the thread reads them between two turns.
"""

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


class InputQueue(AsyncIterator[_I]):
    """The inputs that the caller has read and no worker has taken yet.

    Attributes:
        reports: The progress that the caller was not informed of yet.
    """

    def __init__(self) -> None:
        self.reports: deque[Progress] = deque()
        self._items: deque[_I] = deque()
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, items: Iterable[_I], *, ended: bool) -> None:
        """Add inputs.

        Args:
            items: The inputs.
            ended: Whether these are the last.
        """
        self._items.extend(items)
        self._ended = ended
        self._changed.set()

    async def __anext__(self) -> _I:
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()


class SizedInputQueue(InputQueue[_I]):
    """Inputs whose number is known, so that progress has a total.

    Args:
        total: How many inputs there are.
    """

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total = total

    def __len__(self) -> int:
        return self._total


@define(eq=False, repr=False)
class BatchedFanOut(Generic[_I, _T]):
    """A fan-out that runs on the loop and is read by a thread, batch by batch.

    Attributes:
        bridge: Runs coroutine functions on the loop.
        work: The fan-out on the loop; its inputs are the queue.
        queue: The inputs on their way to the loop.
        inputs: The inputs as the caller gave them.
        on_progress: Called in the caller's thread, once for each finished call.
    """

    bridge: LoopBridge
    work: Outcomes[_I, _T]
    queue: InputQueue[_I]
    inputs: Iterator[_I]
    on_progress: Callable[[Progress], object] | None
    _input_error: Exception | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)

    def outcomes(self) -> Generator[Outcome[_I, _T], None, None]:
        """Yield every outcome, and leave nothing running."""
        free = self.work._window  # noqa: SLF001 -- of this package
        try:
            while batch := self._next_batch(free):
                self._report()
                yield from batch
                free = len(batch)
            self._report()
        finally:
            # Also when the caller leaves early, or a finalizer closes this generator: `post` does
            # not wait for the loop.
            self.bridge.post(self.work.aclose)
        # The outcomes of the inputs before the failure have been handed out by now.
        if self._input_error is not None:
            raise self._input_error

    @hide_frames
    def _next_batch(self, free: int) -> list[Outcome[_I, _T]]:
        # The inputs are in no local variable here: the frame would show them in a traceback.
        return self.bridge.run(self._exchange, self._read(free))

    def _read(self, free: int) -> list[_I]:
        """Read inputs in the caller's thread: `free` of them, fewer at the end."""
        items: list[_I] = []
        try:
            items.extend(islice(self.inputs, free))
        except Exception as error:  # noqa: BLE001 -- raised after the outcomes of those before it
            self._input_error = error
        except BaseException:
            del items  # which the traceback would show
            raise
        self._ended = self._input_error is not None or len(items) < free
        return items

    async def _exchange(self, items: list[_I]) -> list[Outcome[_I, _T]]:
        """Give inputs to the fan-out and take what is ready; runs on the loop."""
        self.queue.put(items, ended=self._ended)
        return await self.work._next_batch()  # noqa: SLF001 -- of this package

    def _report(self) -> None:
        while self.on_progress is not None and self.queue.reports:
            self.on_progress(self.queue.reports.popleft())
