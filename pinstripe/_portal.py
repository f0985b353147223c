"""What the generated facade stands on: calls, pages and batches that cross to the loop and back.

A call crosses once, a walk once a page, and a fan-out once a batch. Nothing here steps an async
generator from a thread: a cancel scope that is open over a `yield` would not survive it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
    Sized,
)
from functools import partial
from inspect import iscoroutinefunction, isfunction
from itertools import islice
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from attrs import define, field
from typing_extensions import ParamSpec, Self

from pinstripe import _pager, bulk
from pinstripe._crossing import Crossing
from pinstripe._discreet import Unpicklable, discreet
from pinstripe._endpoint import Page
from pinstripe._errors import ConfigurationError
from pinstripe._model import Listed
from pinstripe.bulk import Outcome, Outcomes, Progress

_P = ParamSpec("_P")
_I = TypeVar("_I")
_T = TypeVar("_T")
_L = TypeVar("_L", bound=Listed)


class Facade(Unpicklable):
    """The base of every blocking class: its asynchronous twin, and the way to it.

    Each call is a discreet door, as that of the twin is.
    """

    __slots__ = ("_crossing", "_twin")

    def __init_subclass__(cls) -> None:
        for name, value in tuple(vars(cls).items()):
            if isfunction(value) and (name == "__init__" or not name.startswith("_")):
                setattr(cls, name, discreet(value))

    def __init__(self, twin: Any, crossing: Crossing) -> None:
        self._twin = twin
        self._crossing = crossing

    def _run(
        self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        return self._crossing.run(function, *args, **kwargs)

    def _list(
        self, function: Callable[_P, _pager.Pager[_L]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Pager[_L]:
        return Pager(function(*args, **kwargs), self._crossing)

    def _each(
        self,
        function: Callable[..., Outcomes[_I, _T]],
        inputs: Iterable[_I],
        /,
        *,
        on_progress: Callable[[Progress], object] | None,
        **settings: Any,
    ) -> Generator[Outcome[_I, _T], None, None]:
        function(inputs, on_progress=on_progress, **settings)  # refuses what is wrong
        if not isinstance(inputs, Iterable):
            raise ConfigurationError("inputs", "must be a plain iterable, not an asynchronous one")
        feed: _Feed[_I] = _SizedFeed(len(inputs)) if isinstance(inputs, Sized) else _Feed()
        report = on_progress and feed.reports.append
        outcomes = function(feed, on_progress=report, **settings)
        return _Batches(self._crossing, outcomes, feed, iter(inputs), on_progress).outcomes()


class Pager(Generic[_L]):
    """A list of the API: iterate it for every object, or take its first page.

        for session in stripe.identity.verification_sessions.list(): ...
        page = stripe.identity.verification_sessions.list(limit=10).first()

    Each iteration is a walk of its own from the same start. The next page is on its way while
    you work on this one; a loop that is left early cancels it.
    """

    __slots__ = ("_crossing", "_twin")

    def __init__(self, twin: _pager.Pager[_L], crossing: Crossing) -> None:
        self._twin = twin
        self._crossing = crossing

    @property
    def cursor(self) -> str | None:
        """Where the latest walk stands: after the last object or page that it handed out.

        A short text that `list(..., cursor=...)` goes on from, in another process too; None
        where nothing was handed out and the walk has no start.
        """
        return self._twin.cursor

    def __iter__(self) -> Generator[_L, None, None]:  # noqa: PYI058 -- `close` stops the walk
        """Yield every object: newest first, or, with `ending_before`, oldest first."""
        return self._each(self._twin.walker())

    def parallel(self, windows: int = _pager.WINDOWS) -> Generator[_L, None, None]:
        """Yield every object, newest first, asking for many windows of `created` at once.

        They are the objects of a serial walk in the same order, even if some are made meanwhile.
        `cursor` stands after the last one handed out, and either kind of walk goes on from it.
        Up to `windows` requests ask for what is older than the oldest object and find nothing,
        unless `created` has a lower bound.

        Args:
            windows: How many requests may be under way at once, up to 256; four times as many
                pages are held in memory.

        Raises:
            ConfigurationError: The list has no filter by `created`, or the walk goes backwards; or
                it was begun in another event loop or before a fork, and goes on only there.
            PaginationError: The list cannot end, or its objects do not come newest first.
        """
        return self._each(self._twin.parallel_walker(windows))

    def pages(self) -> Generator[Page[_L], None, None]:
        """Yield page after page, each as the API gave it: newest object first."""
        walker = self._twin.walker()
        for page, items in self._steps(walker):
            walker.last = items[-1].id if items else walker.last
            yield page

    @discreet
    def first(self) -> Page[_L]:
        """Return the first page, and ask for no other; `cursor` stands after it."""
        return self._crossing.run(_first, self._twin)

    def _each(self, walker: _pager.Steps[_L]) -> Generator[_L, None, None]:
        for _, items in self._steps(walker):
            for item in items:
                walker.last = item.id
                yield item

    def _steps(
        self, walker: _pager.Steps[_L]
    ) -> Generator[tuple[Page[_L], Sequence[_L]], None, None]:
        try:
            while (step := self._next_page(walker)) is not None:
                yield step
        finally:
            if walker.is_ahead:
                self._crossing.post(walker.aclose)

    @discreet
    def _next_page(self, walker: _pager.Steps[_L]) -> tuple[Page[_L], Sequence[_L]] | None:
        return self._crossing.run(walker.next_page)


async def _first(pager: _pager.Pager[_L]) -> Page[_L]:
    return await pager


class _Feed(AsyncIterator[_I]):
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


class _SizedFeed(_Feed[_I]):
    """Inputs whose number is known, so that progress can be told as a part of it."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total = total

    def __len__(self) -> int:
        return self._total


@define(eq=False, repr=False)
class _Batches(Generic[_I, _T]):
    """A fan-out under way: the caller reads inputs, the loop works on them.

    Inputs are read in the caller's thread, between two batches, and as many at a time as were
    handed out since, so that they may come from a call of the same client.
    """

    crossing: Crossing
    work: Outcomes[_I, _T]
    feed: _Feed[_I]
    inputs: Iterator[_I]
    on_progress: Callable[[Progress], object] | None
    _failure: Exception | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)

    def outcomes(self) -> Generator[Outcome[_I, _T], None, None]:
        """Yield every outcome, and leave nothing running."""
        room = self.work.window
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

    @discreet
    def _next_batch(self, room: int) -> list[Outcome[_I, _T]]:
        return self.crossing.run(self._step, self._read(room))

    async def _step(self, items: list[_I]) -> list[Outcome[_I, _T]]:
        self.feed.give(items, ended=self._ended)
        return await self.work.next_batch()

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


class ClientBase(Facade):
    """The base of the blocking client."""

    __slots__ = ()

    def _open(self, function: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        super().__init__(function(*args, **kwargs), Crossing(type(self).__name__))

    def _sibling(self, function: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> Self:
        sibling = object.__new__(type(self))
        Facade.__init__(sibling, function(*args, **kwargs), self._crossing)
        return sibling

    def __repr__(self) -> str:
        return repr(self._twin).replace(type(self._twin).__name__, type(self).__name__, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, which siblings from `with_options` use too."""
        self._crossing.close(self._twin.aclose)


def fan_out(
    function: Callable[[_I], _T],
    inputs: Iterable[_I],
    *,
    concurrency: int = 32,
    ordered: bool = True,
    window: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> Generator[Outcome[_I, _T], None, None]:
    """Call a method of a client for each of `inputs`, many at once.

        retrieve = stripe.identity.verification_sessions.retrieve
        for outcome in fan_out(retrieve, ids): ...

    The calls run side by side on the event loop; no thread is started for them. For functions
    of your own use `concurrent.futures`.

    Args:
        function: A method of a `Client` that takes the input, or `functools.partial` of one.
        inputs: Read in this thread, only as far as the window reaches.
        concurrency: How many calls may be under way at once.
        ordered: True for outcomes in the order of the inputs, False as they come.
        window: How many inputs may be started and not handed out yet, which bounds the memory:
            at least the concurrency, and four times that by default.
        on_progress: Called in this thread, between two outcomes, once a call.

    Returns:
        Iterate it for one outcome an input. An exception of a call is the error of its outcome.

    Raises:
        ConfigurationError: An argument is wrong; raised at once, before anything runs. Or it was
            begun before a fork, and goes on only there.
        Exception: What `inputs` raised, after the outcomes of all that was read before; or what
            `on_progress` raised.
    """
    facade, twin = _twin_of(function)
    settings: dict[str, Any] = {"concurrency": concurrency, "ordered": ordered, "window": window}
    run = partial(bulk.fan_out, cast("Callable[[_I], Awaitable[_T]]", twin))
    return facade._each(run, inputs, on_progress=on_progress, **settings)  # noqa: SLF001 -- own


def _twin_of(function: Any) -> tuple[Facade, Callable[..., Awaitable[Any]]]:
    """Return the facade that a blocking method belongs to, and the coroutine function it runs."""
    method = function.func if isinstance(function, partial) else function
    facade = getattr(method, "__self__", None)
    if isinstance(facade, Facade):
        twin = getattr(facade._twin, method.__name__, None)  # noqa: SLF001 -- own
        if iscoroutinefunction(twin):
            if isinstance(function, partial):
                return facade, partial(twin, *function.args, **function.keywords)
            return facade, twin
    problem = "must be a method of a Client that takes one input and returns its answer"
    raise ConfigurationError("function", problem)
