"""`fan_out` for methods of a blocking client."""

from __future__ import annotations

from collections.abc import (
    Awaitable,
    Callable,
    Generator,
    Iterable,
)
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

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
