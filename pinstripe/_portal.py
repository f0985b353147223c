"""The base of the blocking facade: a client of its own portal, and what crosses it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal
from typing_extensions import Self

from pinstripe import bulk
from pinstripe._client import AsyncClient
from pinstripe._endpoint import Page
from pinstripe._model import Listed
from pinstripe._pager import Pager as AsyncPager
from pinstripe.bulk import Outcome, Outcomes, Progress

P = ParamSpec("P")
I = TypeVar("I")  # noqa: E741 -- input
T = TypeVar("T")
L = TypeVar("L", bound=Listed)


class Crossing:
    """The way from the caller's thread to the loop and back."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def run(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run a function in the loop, and wait for what it returns.

        Args:
            function: What to run.
        """
        if self._portal is None:
            self._portal = self._stack.enter_context(start_blocking_portal())
        return self._portal.call(function)

    def close(self) -> None:
        """End the loop."""
        self._portal = None
        self._stack.close()


class Facade:
    """The base of every generated class."""

    _twin: Any

    def __init__(self, twin: Any, crossing: Crossing) -> None:
        self._twin = twin
        self._crossing = crossing

    def _run(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._crossing.run(lambda: function(*args, **kwargs))

    def _list(
        self, function: Callable[P, AsyncPager[L]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Pager[L]:
        return Pager(function(*args, **kwargs), self._crossing)

    def _each(
        self, function: Callable[P, Outcomes[I, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[Outcome[I, T], None, None]:
        yield from _all(self._crossing, function(*args, **kwargs))


def _all(crossing: Crossing, items: AsyncIterable[T]) -> list[T]:
    async def gather() -> list[T]:
        return [item async for item in items]

    return crossing.run(gather)


class Pager(Generic[L]):
    """A list of the API: iterate it for every object, or ask it for its first page."""

    def __init__(self, twin: AsyncPager[L], crossing: Crossing) -> None:
        self._twin = twin
        self._crossing = crossing

    @property
    def cursor(self) -> str | None:
        """Where the latest walk stands."""
        return self._twin.cursor

    def __iter__(self) -> Iterator[L]:
        yield from _all(self._crossing, self._twin)

    def pages(self) -> Generator[Page[L], None, None]:
        """Yield page after page."""
        yield from _all(self._crossing, self._twin.pages())

    def first(self) -> Page[L]:
        """Return the first page, and ask for no other."""

        async def fetch() -> Page[L]:
            return await self._twin

        return self._crossing.run(fetch)


class ClientBase(Facade):
    """The base of the blocking client."""

    def _open(
        self, function: Callable[P, AsyncClient], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        Facade.__init__(self, function(*args, **kwargs), Crossing())

    def _sibling(
        self, function: Callable[P, AsyncClient], /, *args: P.args, **kwargs: P.kwargs
    ) -> Self:
        sibling = object.__new__(type(self))
        Facade.__init__(sibling, function(*args, **kwargs), self._crossing)
        return sibling

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
        """Close the connections."""
        self._run(self._twin.aclose)
        self._crossing.close()


def fan_out(
    function: Callable[[I], T],
    inputs: Iterable[I],
    *,
    concurrency: int = 32,
    ordered: bool = True,
    window: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> Generator[Outcome[I, T], None, None]:
    """Run a method of a client over `inputs`, many at once.

    Args:
        function: A method of a client.
        inputs: Read as the work goes on.
        concurrency: How many calls may be under way at once.
        ordered: True for outcomes in the order of the inputs, False as they come.
        window: How many inputs may be started and not handed out yet.
        on_progress: A plain function, called after each call.

    Yields:
        One outcome an input.
    """
    facade: Facade = function.__self__  # type: ignore[attr-defined]
    twin = getattr(facade._twin, function.__name__)  # noqa: SLF001 -- its own base
    outcomes = bulk.fan_out(
        twin,
        inputs,
        concurrency=concurrency,
        ordered=ordered,
        window=window,
        on_progress=on_progress,
    )
    yield from _all(facade._crossing, outcomes)  # noqa: SLF001 -- its own base
