"""The base classes of the generated facade: how its methods run on the event loop.

A blocking object holds the asynchronous object that does the work, and the bridge to the loop. A
call crosses the bridge once, a list once a page, and a fan-out once a batch. No thread ever steps
an async generator: a cancel scope that is open over a `yield` would be left in another task.
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
from pinstripe._core.tracebacks import hide_every_frame, hide_frames
from pinstripe._core.values import Unpicklable
from pinstripe._models.record import Identified
from pinstripe._resources.pager import Pager as AsyncPager
from pinstripe.bulk import Outcome, Outcomes, Progress
from pinstripe.sync._batches import BatchedFanOut, InputQueue, SizedInputQueue
from pinstripe.sync._pager import Pager

_P = ParamSpec("_P")
_I = TypeVar("_I")
_T = TypeVar("_T")
_L = TypeVar("_L", bound=Identified)


class Facade(Unpicklable):
    """The base of every blocking class.

    Its public methods, and the `__init__` of a client, hide the frames behind them from tracebacks,
    as those of the asynchronous classes do.

    Args:
        asynchronous: The object that does the work.
        bridge: Runs coroutine functions on the event loop.
    """

    __slots__ = ("_async", "_bridge")

    def __init_subclass__(cls) -> None:
        for name, value in tuple(vars(cls).items()):
            if isfunction(value) and name == "__init__":
                setattr(cls, name, hide_every_frame(value))
            elif isfunction(value) and not name.startswith("_"):
                setattr(cls, name, hide_frames(value))

    def __init__(self, asynchronous: Any, bridge: LoopBridge) -> None:
        self._async = asynchronous
        self._bridge = bridge

    def _run(
        self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        return self._bridge.run(function, *args, **kwargs)

    def _list(
        self, function: Callable[_P, AsyncPager[_L]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Pager[_L]:
        return Pager(function(*args, **kwargs), self._bridge)

    def _run_many(
        self,
        function: Callable[..., Outcomes[_I, _T]],
        inputs: Iterable[_I],
        /,
        *,
        on_progress: Callable[[Progress], object] | None,
        **settings: Any,
    ) -> Generator[Outcome[_I, _T], None, None]:
        # Only to have wrong arguments refused by the function that knows them; nothing has started.
        function(inputs, on_progress=on_progress, **settings)
        if not isinstance(inputs, Iterable):
            raise ConfigurationError("inputs", "must be a plain iterable, not an asynchronous one")
        # The fan-out on the loop reads a queue in place of the inputs, and its progress is kept
        # there until the caller's thread comes back.
        queue: InputQueue[_I]
        queue = SizedInputQueue(len(inputs)) if isinstance(inputs, Sized) else InputQueue()
        add_report = on_progress and queue.reports.append
        work = function(queue, on_progress=add_report, **settings)
        return BatchedFanOut(self._bridge, work, queue, iter(inputs), on_progress).outcomes()


class ClientBase(Facade):
    """The base of the blocking client."""

    __slots__ = ()

    def _open(self, function: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        super().__init__(function(*args, **kwargs), LoopBridge(type(self).__name__))

    def _sibling(self, function: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> Self:
        # Without `__init__`, which would make a client with connections of its own.
        sibling = object.__new__(type(self))
        Facade.__init__(sibling, function(*args, **kwargs), self._bridge)
        return sibling

    def __repr__(self) -> str:
        return repr(self._async).replace(type(self._async).__name__, type(self).__name__, 1)

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
        self._bridge.close(self._async.aclose)
