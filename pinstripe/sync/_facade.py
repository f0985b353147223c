"""What the generated facade stands on: calls, pages and batches that cross to the loop and back.

A call crosses once, a walk once a page, and a fan-out once a batch. Nothing here steps an async
generator from a thread: a cancel scope that is open over a `yield` would not survive it.
"""

from __future__ import annotations

from collections.abc import (
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Sized,
)
from inspect import isfunction
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import ParamSpec, Self

from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import hide_frames
from pinstripe._core.values import Unpicklable
from pinstripe._models.record import Listed
from pinstripe._resources import pager as _pager
from pinstripe.bulk import Outcome, Outcomes, Progress
from pinstripe.sync._batches import Batches, Feed, SizedFeed
from pinstripe.sync._pager import Pager

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
                setattr(cls, name, hide_frames(value))

    def __init__(self, twin: Any, crossing: LoopBridge) -> None:
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
        feed: Feed[_I] = SizedFeed(len(inputs)) if isinstance(inputs, Sized) else Feed()
        report = on_progress and feed.reports.append
        outcomes = function(feed, on_progress=report, **settings)
        return Batches(self._crossing, outcomes, feed, iter(inputs), on_progress).outcomes()


class ClientBase(Facade):
    """The base of the blocking client."""

    __slots__ = ()

    def _open(self, function: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        super().__init__(function(*args, **kwargs), LoopBridge(type(self).__name__))

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
        """Close the connections, which siblings from `with_options` use too.

        It does not wait for calls that other threads are in: within a second, each ends with
        `ConnectionLost`, whose `outcome` says whether the server may have acted.
        """
        self._crossing.close(self._twin.aclose)
