"""`hide_frames`: what it drops from a traceback, and what it leaves as it is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import traceback
import weakref
from typing import Any

import pytest

from pinstripe import ConfigurationError, PinstripeError
from pinstripe._core.tracebacks import KeptError, hide_frames
from pinstripe._resources.resource import Resource


@hide_frames
def called(error: BaseException | None, *, name: str = "") -> str:
    """A plain function."""
    if error is not None:
        raise error
    return name


@hide_frames
async def awaited(error: BaseException | None, *, name: str = "") -> str:
    """A coroutine function."""
    await asyncio.sleep(0)
    if error is not None:
        raise error
    return name


def both(error: BaseException | None) -> Any:
    async def main() -> str:
        # Caught inside: an event loop of Python 3.10 makes a cancellation of its own at its end.
        try:
            return await awaited(error, name="CANARY")
        except BaseException as caught:  # noqa: BLE001 -- raised again outside
            kept.append(caught)
        return ""

    def run() -> str:
        result = asyncio.run(main())
        if kept:
            raise kept.pop()
        return result

    kept: list[BaseException] = []
    return lambda: called(error, name="CANARY"), run


def names_in(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


@pytest.mark.parametrize("kind", [PinstripeError, OSError, asyncio.CancelledError])
def test_an_error_that_says_all_comes_without_the_frames_behind_the_wrapper(kind) -> None:
    for call in both(kind("it went wrong")):
        with pytest.raises(kind) as caught:
            call()
        names = names_in(caught.value)
        assert names[-1] == "wrapper"
        assert not {"called", "awaited"} & set(names)
        last = list(traceback.walk_tb(caught.value.__traceback__))[-1][0]
        assert "CANARY" not in repr(last.f_locals)


@pytest.mark.parametrize("place", [0, 1])
def test_a_fault_of_the_program_keeps_its_frames(place) -> None:
    with pytest.raises(KeyError) as caught:
        both(KeyError("bug"))[place]()
    assert names_in(caught.value)[-1] == ("called", "awaited")[place]


@pytest.mark.parametrize("place", [0, 1])
def test_what_the_caller_was_handling_stays_the_context(place) -> None:
    call, first = both(PinstripeError("second"))[place], LookupError("first")

    def handle() -> None:
        try:
            raise first
        except LookupError:
            call()

    with pytest.raises(PinstripeError) as caught:
        handle()
    assert caught.value.__context__ is first
    assert first.__context__ is None


def test_a_wrapper_looks_like_its_function() -> None:
    assert [call() for call in both(None)] == ["CANARY", "CANARY"]
    assert inspect.iscoroutinefunction(awaited)
    assert not inspect.iscoroutinefunction(called)
    assert [*inspect.signature(awaited).parameters] == ["error", "name"]
    assert called.__doc__ == "A plain function."


def test_every_public_method_of_a_resource_is_wrapped() -> None:
    class Things(Resource):
        async def create(self, name: str) -> None:
            raise ConfigurationError("name", "is wrong")

        async def _inner(self) -> None:
            raise ConfigurationError("name", "is wrong")

    nothing: Any = None
    things = Things(nothing)
    for method, last in ((things.create("CANARY"), "wrapper"), (things._inner(), "_inner")):
        with pytest.raises(ConfigurationError) as caught:
            asyncio.run(method)
        assert names_in(caught.value)[-1] == last


class Held:
    """Something that the frame of a caller holds."""


def test_a_kept_error_leaves_no_reference_cycle() -> None:
    def raise_it() -> None:
        held.append(weakref.ref(local := Held()))
        assert local is not None
        kept = KeptError(KeyError("a"))
        kept.raise_again()

    held: list[weakref.ref[Held]] = []
    gc.disable()
    try:
        with contextlib.suppress(KeyError):
            raise_it()
        assert held[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("own", [None, ZeroDivisionError()])
def test_a_kept_error_keeps_its_context_and_else_has_that_of_the_caller(own) -> None:
    error, handled = KeyError("a"), LookupError("b")
    error.__context__ = own
    try:
        raise handled
    except LookupError:
        with pytest.raises(KeyError) as caught:
            KeptError(error).raise_again()
    assert caught.value is error
    assert error.__context__ is (own or handled)
