"""`fan_out` for the methods of a blocking client."""

from __future__ import annotations

from collections.abc import (
    Callable,
    Generator,
    Iterable,
)
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from pinstripe import bulk
from pinstripe._core.errors import ConfigurationError
from pinstripe.bulk import Outcome, Progress
from pinstripe.sync._facade import Facade

_I = TypeVar("_I")
_T = TypeVar("_T")


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

    The calls run at the same time on the event loop; no thread is started for them. For functions
    of your own use `concurrent.futures`.

    Args:
        function: A method of a `Client` that takes the input, or `functools.partial` of one.
        inputs: The inputs; read in this thread, and only as far as the window reaches.
        concurrency: How many calls may be under way at once.
        ordered: True for outcomes in the order of the inputs, False for the order in which the
            calls end.
        window: How many inputs may be started and not handed out yet, which bounds the memory. At
            least the concurrency; four times the concurrency by default.
        on_progress: Called in this thread, between two outcomes, once a call.

    Returns:
        Iterate it for one outcome an input. If a call raises, its outcome has the error.

    Raises:
        ConfigurationError: An argument is wrong, which is raised at once, before anything runs. Or
            the fan-out was begun before a fork, and this is the other process.
        Exception: The inputs raised it; it comes after the outcomes of all inputs before it. Or
            `on_progress` raised it.
    """
    # A bound method of a blocking object has the name of the coroutine function that it runs, so
    # the fan-out can call that one directly, on the loop.
    given: Any = function
    method = given.func if isinstance(given, partial) else given
    facade = getattr(method, "__self__", None)
    on_loop: Any = None
    if isinstance(facade, Facade):
        on_loop = getattr(facade._async, method.__name__, None)  # noqa: SLF001 -- of this wing
    if not (isinstance(facade, Facade) and iscoroutinefunction(on_loop)):
        problem = "must be a method of a Client that takes one input and returns its answer"
        raise ConfigurationError("function", problem)
    if isinstance(given, partial):
        on_loop = partial(on_loop, *given.args, **given.keywords)
    settings: dict[str, Any] = {"concurrency": concurrency, "ordered": ordered, "window": window}
    run = partial(bulk.fan_out, on_loop)
    return facade._run_many(run, inputs, on_progress=on_progress, **settings)  # noqa: SLF001 -- of this wing
