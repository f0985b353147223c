"""Bounded concurrent fan-out over any coroutine function.

A few long-lived workers pull inputs, run the function and leave outcomes for the consumer. They
are plain asyncio tasks, not children of an anyio task group: a group must not be open while a
generator yields, and it goes on cancelling its children at every turn of the loop, even while the
function cleans up in a `finally: await ...`. Here each worker is cancelled once and waited for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sized,
)
from inspect import isasyncgen, iscoroutinefunction
from typing import Any, Generic, TypeVar, cast

from attrs import define, field, frozen

from pinstripe._concurrency.loop_local import LoopAffinity
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._concurrency.tasks import shielded
from pinstripe._core.checks import check_whole_number
from pinstripe._core.errors import ConfigurationError

__all__ = ["Outcome", "Outcomes", "Progress", "fan_out"]

I = TypeVar("I")  # noqa: E741 -- input
T = TypeVar("T")


@frozen
class Outcome(Generic[I, T]):
    """What became of one input; neither the input nor the value shows in its repr.

    Attributes:
        index: The position of the input, from 0.
        input: The input itself.
        value: What the function returned; None where it failed.
        error: What the function raised; None where it succeeded.
    """

    index: int
    input: I = field(repr=False)
    value: T | None = field(default=None, repr=False)
    error: Exception | None = field(default=None, repr=lambda error: error and type(error).__name__)

    @property
    def ok(self) -> bool:
        """Whether the function succeeded."""
        return self.error is None

    def unwrap(self) -> T:
        """Return the value.

        Raises:
            Exception: What the function raised.
        """
        if self.error is not None:
            raise self.error
        return cast("T", self.value)


@frozen
class Progress:
    """How far a fan-out has come.

    Attributes:
        done: Inputs that the function has finished with, even if not handed out yet.
        failed: Those of them that failed.
        total: How many inputs there are; None where they have no length.
    """

    done: int
    failed: int
    total: int | None


def fan_out(
    function: Callable[[I], Awaitable[T]],
    inputs: Iterable[I] | AsyncIterable[I],
    *,
    concurrency: int = 32,
    ordered: bool = True,
    window: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> Outcomes[I, T]:
    """Run `function` over `inputs`, many at once, and hand out what becomes of each.

    After a `break` the event loop stops what still runs, within a few of its turns; iterate
    under `contextlib.aclosing` to have it stopped when the block is left. The timeout of a
    client's call begins when the rate limit is about to let it through, however many wait.

    Args:
        function: Called with one input. Each of the `concurrency` workers makes its calls one
            after the other, all in one `contextvars` context.
        inputs: Read only as far as the window reaches; an async generator is closed at the end.
        concurrency: How many calls may be under way at once.
        ordered: True for outcomes in the order of the inputs, False as they come.
        window: How many inputs may be started and not handed out yet, which bounds the memory:
            at least the concurrency, and four times that by default.
        on_progress: A plain function, called in the event loop after each call of `function`.

    Returns:
        Iterate it for one outcome an input. An exception of `function` becomes the error of
        that outcome and does not affect the others.

    Raises:
        ConfigurationError: An argument is wrong; raised at once, before anything runs. Or it was
            begun in another event loop or before a fork, and goes on only there.
        Exception: What `inputs` raised, after the outcomes of all that was read before; or what
            `on_progress` raised, at once, dropping the outcomes that were not handed out yet.
        BaseException: What `function` raised that is not an `Exception`, such as a cancellation.
    """
    return Outcomes(_FanOut(function, inputs, concurrency, ordered, window, on_progress))


class Outcomes(AsyncIterator[Outcome[I, T]]):
    """What `fan_out` hands out: iterate it once, or take what is ready batch by batch."""

    def __init__(self, work: _FanOut[I, T]) -> None:
        self._work = work
        self._stream = work.outcomes()

    def __aiter__(self) -> AsyncIterator[Outcome[I, T]]:
        """Return the one iteration; after a loop is left early, the event loop closes it."""
        return self._stream

    async def __anext__(self) -> Outcome[I, T]:
        """Wait for the next outcome."""
        return await anext(self._stream)

    @property
    def window(self) -> int:
        """How many inputs may be started and not handed out yet."""
        return self._work.window or 4 * self._work.concurrency

    async def next_batch(self) -> list[Outcome[I, T]]:
        """Wait for an outcome and return all that are ready; none at the end."""
        return await self._work.next_batch()

    async def aclose(self) -> None:
        """Cancel what still runs; nothing is left running."""
        await self._stream.aclose()
        await self._work.aclose()


@define(eq=False, repr=False, slots=False)
class _FanOut(Generic[I, T]):
    """A fan-out under way; it starts when it is first asked, and must be closed."""

    function: Callable[[I], Awaitable[T]]
    inputs: Iterable[I] | AsyncIterable[I]
    concurrency: int
    ordered: bool
    window: int | None
    on_progress: Callable[[Progress], object] | None

    def __attrs_post_init__(self) -> None:
        self._check()
        self._total = len(self.inputs) if isinstance(self.inputs, Sized) else None
        self._source, self._reading = _read(self.inputs), asyncio.Lock()
        self._places = asyncio.Semaphore(self.window or 4 * self.concurrency)
        self._workers: list[asyncio.Task[None]] = []
        self._early: dict[int, Outcome[I, T]] = {}
        self._ready: deque[Outcome[I, T]] = deque()
        self._news = asyncio.Event()
        self._pulled = self._done = self._failed = self._turn = 0
        self._home = LoopAffinity(
            "fan_out", "begin a new one here, with the inputs that are to be done here"
        )
        self._ended = self._stopped = False
        self._failure: BaseException | None = None

    def _check(self) -> None:
        given, report = cast("Any", self.inputs), self.on_progress
        _require(callable(self.function), "function", "must be a coroutine function")
        iterable = isinstance(given, (Iterable, AsyncIterable))
        listed = iterable and not isinstance(given, (str, bytes))
        _require(listed, "inputs", "must be an iterable, and not a string")
        check_whole_number("concurrency", self.concurrency)
        if self.window is not None:
            check_whole_number("window", self.window, minimum=self.concurrency)
        plain = report is None or (callable(report) and not iscoroutinefunction(report))
        _require(plain, "on_progress", "must be a plain function")

    async def outcomes(self) -> AsyncGenerator[Outcome[I, T], None]:
        """Yield every outcome, and leave nothing running."""
        try:
            while await self._wait():
                # One at a time: an outcome leaves the window when it is handed out.
                while self._ready:
                    yield self._take()
        finally:
            await self.aclose()

    async def next_batch(self) -> list[Outcome[I, T]]:
        """Wait for an outcome and return all that are ready; none at the end."""
        await self._wait()
        return [self._take() for _ in range(len(self._ready))]

    async def aclose(self) -> None:
        """Cancel what still runs, and wait for its end, even if this task is cancelled too."""
        if self._home.is_elsewhere():
            return
        self._stop(None)
        for worker in self._workers:
            worker.cancel()
        # A cancelled gather passes the cancellation on to the workers and still waits for them.
        # The shield keeps an anyio scope around the consumer from cancelling at every turn.
        with shielded():
            try:
                await asyncio.gather(*self._workers, return_exceptions=True)
            finally:
                await self._source.aclose()

    async def _wait(self) -> bool:
        self._home.bind()
        if not self._workers and not self._stopped:
            self._start()
        while not (self._ready or self._stopped or (self._ended and self._done == self._pulled)):
            self._news.clear()
            await self._news.wait()
        if self._failure is not None and not self._ready:
            raise self._failure
        return bool(self._ready)

    def _start(self) -> None:
        needed = self.concurrency if self._total is None else max(self._total, 1)
        for _ in range(min(self.concurrency, needed)):
            self._workers.append(asyncio.create_task(self._work()))

    def _take(self) -> Outcome[I, T]:
        self._places.release()
        return self._ready.popleft()

    async def _work(self) -> None:
        deadline_starts_at_turn.set(True)
        try:
            while not self._ended:
                await self._places.acquire()
                async with self._reading:
                    found = await self._pull()
                if found and not self._stopped:
                    self._finish(await self._outcome(*found))
        except BaseException as error:  # noqa: BLE001 -- the consumer raises it
            self._stop(error)

    async def _pull(self) -> tuple[int, I] | None:
        if self._ended:
            return None
        try:
            item = await anext(self._source)
        except Exception as error:  # noqa: BLE001 -- the consumer raises it, later
            self._end(None if isinstance(error, StopAsyncIteration) else error)
            return None
        self._pulled += 1
        return self._pulled - 1, item

    async def _outcome(self, index: int, item: I) -> Outcome[I, T]:
        try:
            return Outcome(index, item, await self.function(item))
        except Exception as error:  # noqa: BLE001 -- it is the outcome
            # Without this frame, whose locals would show the input.
            behind = error.__traceback__ and error.__traceback__.tb_next
            return Outcome(index, item, error=error.with_traceback(behind))

    def _finish(self, outcome: Outcome[I, T]) -> None:
        if self._stopped:
            return
        self._done += 1
        self._failed += not outcome.ok
        if self.on_progress is not None:
            self.on_progress(Progress(self._done, self._failed, self._total))
        self._early[outcome.index if self.ordered else self._turn] = outcome
        while self._turn in self._early:
            self._ready.append(self._early.pop(self._turn))
            self._turn += 1
            self._news.set()

    def _end(self, failure: BaseException | None) -> None:
        if not self._stopped:
            self._ended, self._failure = True, failure
            self._news.set()

    def _stop(self, failure: BaseException | None) -> None:
        self._end(failure)
        self._stopped = True
        self._ready.clear()


def _require(holds: object, argument: str, problem: str) -> None:
    if not holds:
        raise ConfigurationError(argument, problem)


async def _read(inputs: Iterable[I] | AsyncIterable[I]) -> AsyncGenerator[I, None]:
    if not isinstance(inputs, AsyncIterable):
        for item in inputs:
            yield item
        return
    source: Any = aiter(inputs)
    try:
        async for item in source:
            yield item
    finally:
        if isasyncgen(source):
            await source.aclose()
