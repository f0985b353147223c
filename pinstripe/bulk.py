"""Bounded concurrent fan-out over any coroutine function.

`fan_out` works for calls of a client and for every other coroutine function. It keeps as many calls
under way as you allow, reads the inputs only as fast as you take the outcomes, and gives you one
`Outcome` for each input, so that one failure does not stop the others:

```python
import asyncio
import pinstripe
from pinstripe.bulk import fan_out


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:
        products = [product.id async for product in stripe.climate.products.list()]
        async for outcome in fan_out(stripe.climate.products.retrieve, products, concurrency=8):
            print(outcome.input, outcome.error or outcome.unwrap().metric_tons_available)


asyncio.run(main())
```
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
from contextlib import suppress
from inspect import isasyncgen, iscoroutinefunction
from typing import Any, Generic, TypeVar, cast

from attrs import define, field, frozen

from pinstripe._concurrency.deadlines import deadline_in
from pinstripe._concurrency.loop_local import LoopAffinity
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._concurrency.tasks import shielded
from pinstripe._core.checks import check_flag, check_whole_number, takes_one_argument
from pinstripe._core.errors import ConfigurationError

__all__ = ["Outcome", "Outcomes", "Progress", "fan_out"]

# A fan-out is a fixed number of workers between two bounded places:
#
#     inputs -> (read lock) -> workers -> out of order -> ready -> consumer
#
# - A worker takes one slot of the window, reads one input under the read lock, calls the function
#   and records the outcome. The consumer frees the slot when it takes the outcome. So the window
#   bounds all that is started and not handed out yet, and a slow consumer stops the reading.
# - If the outcomes are ordered, one that comes early waits in `_early` for the inputs before it.
#   Its slot stays taken, so a slow first call holds the window, and the memory stays bounded.
#
# It is in one of four states:
#
# - new: no worker exists; the first wait for an outcome starts them.
# - running: workers read inputs and call the function.
# - ended: there are no more inputs (or reading them failed); calls under way still finish, and
#   their outcomes are handed out before the error of the inputs is raised.
# - stopped: it was closed, or something failed that is no outcome (a cancellation, an error of
#   `on_progress`); outcomes that are ready are dropped, and later ones are ignored.
#
# The workers are plain asyncio tasks, not children of an anyio task group. A group must not be
# open while a generator yields. It would also cancel its children again at every turn of the loop,
# even while the function cleans up in a `finally: await ...`. Here each worker is cancelled once
# and waited for.

_WINDOW_PER_CALL = 4
"""Inputs in the window by default, for each call that may be under way."""

_BATCH_SECONDS = 0.01
"""How long a batch waits for more outcomes: 32 answers of a server close by take half of it."""

_ONE_INPUT = (
    "must take the input as its one positional argument and return an awaitable; wrap a function "
    "with other parameters in a coroutine function of one"
)

_I = TypeVar("_I")
_T = TypeVar("_T")


@frozen
class Outcome(Generic[_I, _T]):
    """The result or the error of one input; its repr shows neither the input nor the value.

    Attributes:
        index: The position of the input, from 0.
        input: The input itself.
        value: What the function returned; None if it failed.
        error: What the function raised; None if it succeeded.
    """

    index: int
    input: _I = field(repr=False)
    value: _T | None = field(default=None, repr=False)
    error: Exception | None = field(default=None, repr=lambda error: error and type(error).__name__)

    @property
    def ok(self) -> bool:
        """Whether the function succeeded."""
        return self.error is None

    def unwrap(self) -> _T:
        """Return the value.

        Raises:
            Exception: The error of the function, if it failed.
        """
        if self.error is not None:
            raise self.error
        return cast("_T", self.value)


@frozen
class Progress:
    """How far a fan-out has come.

    Attributes:
        done: How many calls have ended, including those whose outcome is not handed out yet.
        failed: How many of them failed.
        total: How many inputs there are; None if they have no length.
    """

    done: int
    failed: int
    total: int | None


def fan_out(
    function: Callable[[_I], Awaitable[_T]],
    inputs: Iterable[_I] | AsyncIterable[_I],
    *,
    concurrency: int = 32,
    ordered: bool = True,
    window: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> Outcomes[_I, _T]:
    """Call `function` for each of `inputs`, many at once, and hand out the outcome of each.

    After a `break` the event loop stops the calls under way, within a few of its turns; iterate
    under `contextlib.aclosing` to stop them when the block ends. The timeout of a client's call
    starts when the rate limit is about to let it through, no matter how many calls wait.

    Args:
        function: Called with one input, as its only argument. Each of the `concurrency` workers
            makes its calls one after the other, all in one `contextvars` context.
        inputs: Read only as far as the window allows; an async generator is closed at the end.
        concurrency: How many calls may be under way at once.
        ordered: True for outcomes in the order of the inputs, False for the order in which the
            calls end.
        window: How many inputs may be started and not handed out yet, which bounds the memory:
            at least the concurrency, and four times the concurrency by default.
        on_progress: A plain function, called in the event loop after each call of `function`.

    Returns:
        An async iterator of one outcome for each input. An exception of `function` becomes the
        error of that outcome and does not affect the others.

    Raises:
        ConfigurationError: An argument is wrong; raised at once, before any call, unless only a
            call of `function` can show it. Or the fan-out was started in another event loop or
            before a fork, and can continue only there.
        Exception: What `inputs` raised, after the outcomes of all inputs before it; or what
            `on_progress` raised, at once, without the outcomes that were not handed out yet.
        BaseException: What `function` raised that is not an `Exception`, such as a cancellation.
    """
    return Outcomes(_FanOut(function, inputs, concurrency, ordered, window, on_progress))


class Outcomes(AsyncIterator[Outcome[_I, _T]]):
    """The outcomes of a `fan_out`: iterate it once, under `contextlib.aclosing` to leave early."""

    def __init__(self, work: _FanOut[_I, _T]) -> None:
        self._work = work
        self._stream = work.outcomes()

    def __aiter__(self) -> AsyncIterator[Outcome[_I, _T]]:
        """Return the only iteration; if a loop is left early, the event loop closes it."""
        return self._stream

    async def __anext__(self) -> Outcome[_I, _T]:
        """Wait for the next outcome."""
        return await anext(self._stream)

    async def aclose(self) -> None:
        """Cancel the calls under way and wait for their end; nothing keeps running."""
        await self._stream.aclose()
        await self._work.aclose()

    # The blocking client takes outcomes in batches, so that it waits for the event loop once a
    # batch instead of once an outcome. It also reads the inputs, a window of them at first.

    @property
    def _window(self) -> int:
        return self._work.size

    async def _next_batch(self) -> list[Outcome[_I, _T]]:
        return await self._work.next_batch()


@define(eq=False, repr=False, slots=False)
class _FanOut(Generic[_I, _T]):
    """A fan-out under way; it starts when somebody waits for an outcome, and must be closed."""

    function: Callable[[_I], Awaitable[_T]]
    inputs: Iterable[_I] | AsyncIterable[_I]
    concurrency: int
    ordered: bool
    window: int | None
    on_progress: Callable[[Progress], object] | None

    def __attrs_post_init__(self) -> None:
        self._check()
        self._total = len(self.inputs) if isinstance(self.inputs, Sized) else None
        self._source, self._read_lock = _read(self.inputs), asyncio.Lock()
        self.size = self.window or _WINDOW_PER_CALL * self.concurrency
        self._slots = asyncio.Semaphore(self.size)
        self._workers: list[asyncio.Task[None]] = []
        # Outcomes on their way to the consumer, and the place in line of the next one.
        self._early: dict[int, Outcome[_I, _T]] = {}
        self._ready: deque[Outcome[_I, _T]] = deque()
        self._next_place = 0
        self._changed = asyncio.Event()
        self._read_count = self._done = self._failed = 0
        # The state: new, running, ended or stopped, and the error that ended it.
        self._ended = self._stopped = False
        self._failure: BaseException | None = None
        self._affinity = LoopAffinity(
            "fan_out", "start a new one here, with the inputs to work on here"
        )

    def _check(self) -> None:
        given, report = cast("Any", self.inputs), self.on_progress
        _require(callable(self.function), "function", "must be a coroutine function")
        _require(takes_one_argument(self.function), "function", _ONE_INPUT)
        iterable = isinstance(given, (Iterable, AsyncIterable))
        listed = iterable and not isinstance(given, (str, bytes))
        _require(listed, "inputs", "must be an iterable, and not a string")
        self.concurrency = check_whole_number("concurrency", self.concurrency)
        check_flag("ordered", self.ordered)
        if self.window is not None:
            self.window = check_whole_number("window", self.window, minimum=self.concurrency)
        plain = report is None or (callable(report) and not iscoroutinefunction(report))
        _require(plain, "on_progress", "must be a plain function")

    async def outcomes(self) -> AsyncGenerator[Outcome[_I, _T], None]:
        """Yield every outcome; nothing keeps running afterwards."""
        self._affinity.bind()  # before there is anything to clean up
        try:
            while await self._wait():
                # One at a time: an outcome leaves the window when it is handed out.
                while self._ready:
                    yield self._take()
        finally:
            await self.aclose()

    async def next_batch(self) -> list[Outcome[_I, _T]]:
        """Wait for an outcome, and a moment for more, and return all that are ready.

        There are none at the end. A batch takes at most a third of what the window holds beside
        the calls under way, so that those go on while the consumer works with it.
        """
        await self._wait()
        with suppress(asyncio.TimeoutError):
            async with deadline_in(_BATCH_SECONDS):
                await self._wait((self.size - self.concurrency) // 3)
        return [self._take() for _ in range(len(self._ready))]

    async def aclose(self) -> None:
        """Cancel the workers and wait for their end, even if this task is cancelled too."""
        if self._affinity.is_elsewhere():
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

    async def _wait(self, least: int = 1) -> bool:
        """Wait until outcomes are ready, and return whether there are any; none at the end.

        Args:
            least: How many to wait for, unless the end comes first.
        """
        self._affinity.bind()
        if not self._workers and not self._stopped:
            # No more workers than inputs, if there is a length. At least one: a length of zero can
            # be wrong, and only a worker finds out.
            needed = self.concurrency if self._total is None else max(self._total, 1)
            for _ in range(min(self.concurrency, needed)):
                self._workers.append(asyncio.create_task(self._work()))
        while not (
            len(self._ready) >= least
            or self._stopped
            or (self._ended and self._done == self._read_count)
        ):
            self._changed.clear()
            await self._changed.wait()
        if self._failure is not None and not self._ready:
            raise self._failure
        return bool(self._ready)

    def _take(self) -> Outcome[_I, _T]:
        self._slots.release()
        return self._ready.popleft()

    async def _work(self) -> None:
        """Call the function for one input after the other, until there are no more."""
        deadline_starts_at_turn.set(True)
        try:
            while not self._ended:
                await self._slots.acquire()
                async with self._read_lock:
                    found = await self._read_input()
                if found and not self._stopped:
                    self._record(await self._call(*found))
        except BaseException as error:  # noqa: BLE001 -- the consumer raises it
            self._stop(error)

    async def _read_input(self) -> tuple[int, _I] | None:
        if self._ended:  # by another worker, while this one waited for the lock
            return None
        try:
            item = await anext(self._source)
        except Exception as error:  # noqa: BLE001 -- the consumer raises it, later
            self._end(None if isinstance(error, StopAsyncIteration) else error)
            return None
        self._read_count += 1
        return self._read_count - 1, item

    async def _call(self, index: int, item: _I) -> Outcome[_I, _T]:
        try:
            return Outcome(index, item, await self.function(item))
        except Exception as error:  # noqa: BLE001 -- it is the outcome
            # Without this frame, whose locals would show the input.
            behind = error.__traceback__ and error.__traceback__.tb_next
            # The call itself was wrong, or returned nothing to await: no frame of the function ran.
            if behind is None and isinstance(error, TypeError):
                self._stop(ConfigurationError("function", _ONE_INPUT))
            return Outcome(index, item, error=error.with_traceback(behind))

    def _record(self, outcome: Outcome[_I, _T]) -> None:
        if self._stopped:
            return
        self._done += 1
        self._failed += not outcome.ok
        if self.on_progress is not None:
            self.on_progress(Progress(self._done, self._failed, self._total))
        # An outcome is ready when all places before its own are. If the order is that in which
        # the calls end, its place is the next one.
        self._early[outcome.index if self.ordered else self._next_place] = outcome
        while self._next_place in self._early:
            self._ready.append(self._early.pop(self._next_place))
            self._next_place += 1
            self._changed.set()

    def _end(self, failure: BaseException | None) -> None:
        if not self._stopped:  # otherwise the first failure would be lost
            self._ended, self._failure = True, failure
            self._changed.set()

    def _stop(self, failure: BaseException | None) -> None:
        self._end(failure)
        self._stopped = True
        self._ready.clear()


def _require(holds: object, argument: str, problem: str) -> None:
    if not holds:
        raise ConfigurationError(argument, problem)


async def _read(inputs: Iterable[_I] | AsyncIterable[_I]) -> AsyncGenerator[_I, None]:
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
