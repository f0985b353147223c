"""`hide_frames`: what it drops from a traceback, and what it leaves as it is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import pinstripe
from pinstripe import Client, ConfigurationError, Created, PinstripeError
from pinstripe._core.tracebacks import KeptError, hide_frames
from pinstripe._resources.resource import Resource
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import RedisStore, Webhook


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


SECRET = "CANARYcanary"
PACKAGE = str(Path(pinstripe.__file__).parent)


def made_of_secrets() -> list[Callable[[], object]]:
    client = pinstripe.AsyncClient(f"sk_test_{SECRET}")
    return [
        lambda: pinstripe.AsyncClient(f"sk_test_{SECRET}", timeout=3),
        lambda: pinstripe.Client(f"sk_test_{SECRET}", proxy=f"http://u:{SECRET}@a"),
        lambda: client.with_options(timeout=3),
        lambda: Webhook(f"whsec_{SECRET}"),
        lambda: RedisStore(f"redis://u:{SECRET}@127.0.0.1"),
    ]


def what_frames_show(error: BaseException | None) -> str:
    """Return the local variables of all frames but those of this module, as debuggers show them."""
    shown = ""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename != __file__:
                shown += "".join(map(shown_as, frame.f_locals.values()))
        error = error.__context__
    return shown


def shown_as(value: object) -> str:
    if isinstance(value, (tuple, list, dict)):
        return "".join(map(shown_as, value.values() if isinstance(value, dict) else value))
    with contextlib.suppress(AttributeError):  # an object that is half made
        return repr(value)
    return ""


# Ctrl-C can come in the middle of a finalizer too, where Python reports it and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", range(5))
def test_ctrl_c_in_any_line_that_makes_a_client_shows_no_key(number) -> None:
    make = made_of_secrets()[number]
    make()  # so that what is imported late is there
    # In a thread: an interruption where an `except` begins leaves a context that never ends there.
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(count_lines, make).result() > 5


def count_lines(make: Callable[[], object]) -> int:
    """Interrupt a call before each of its lines, look at what is shown, and count them."""
    line = 1  # the first is that of the wrapper itself, which has not begun to hide anything yet
    while (error := interrupted(make, line)) is not None:
        assert SECRET not in what_frames_show(error)
        line += 1
    return line


def interrupted(make: Callable[[], object], line: int) -> KeyboardInterrupt | None:
    """Interrupt a call before a line of what it runs; return None if it has fewer lines."""
    left = line

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        # Those of other packages may hold locks, which they would never release.
        file = frame.f_code.co_filename
        if not file.startswith((PACKAGE, "<attrs")) or frame.f_code.co_name == "__del__":
            return None
        if event == "line":
            left -= 1
            if left == -1:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        make()
    except KeyboardInterrupt as error:
        return error
    finally:
        sys.settrace(before)
    return None


@pytest.mark.parametrize(
    "make",
    [
        lambda: pinstripe.AsyncClient(f"sk_test_{SECRET}", tiemout=3),  # type: ignore[call-arg]
        lambda: pinstripe.Client(f"sk_test_{SECRET}", tiemout=3),  # type: ignore[call-arg]
        lambda: pinstripe.AsyncClient(f"sk_test_{SECRET}", timeout=0),
        lambda: pinstripe.AsyncClient(f"sk_test_{SECRET}").with_options(timeout=0),
        lambda: Webhook(f"whsec_{SECRET}", tolerance=-1),
        lambda: RedisStore(f"http://u:{SECRET}@127.0.0.1"),
    ],
)
def test_a_wrong_argument_of_what_is_made_shows_no_key(make) -> None:
    with pytest.raises((TypeError, pinstripe.ConfigurationError)) as caught:
        make()
    assert SECRET not in what_frames_show(caught.value)


def lines_of(error: BaseException) -> list[str]:
    """The lines of code of a traceback that are this package's, as a user sees them."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.line or "" for frame in frames if "pinstripe" in Path(frame.filename).parts]


CALLS: dict[str, Callable[[Any], Any]] = {
    "a call": lambda stripe: stripe.identity.verification_sessions.create(type="PRIVATE"),
    "an argument": lambda stripe: stripe.identity.verification_sessions.list(limit=1000),
    "a walk": lambda stripe: list_all(stripe.identity.verification_sessions.list(status="no")),
    "a parallel walk": lambda stripe: list_all(
        stripe.identity.verification_sessions.list(
            status="no", created=Created(gte=datetime(2026, 1, 1, tzinfo=timezone.utc))
        ).parallel()
    ),
    "pages": lambda stripe: list_all(
        stripe.identity.verification_sessions.list(status="no").pages()
    ),
    "a first page": lambda stripe: first_of(
        stripe.identity.verification_sessions.list(status="no")
    ),
    "a client": lambda _: Client("no key"),
}


def list_all(items: Any) -> Any:
    if hasattr(items, "__aiter__"):
        return list_async(items)
    return list(items)


async def list_async(items: Any) -> list[Any]:
    return [item async for item in items]


def first_of(pager: Any) -> Any:
    return pager.first() if hasattr(pager, "first") else pager


async def awaited_result(function: Callable[[Any], Any], stripe: Any) -> None:
    result = function(stripe)
    if inspect.isawaitable(result):
        await result


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def failure_of(call: Callable[[Any], Any], sandbox: Sandbox, *, blocking: bool) -> PinstripeError:
    async def main() -> None:
        async with sandbox.client() as stripe:
            await awaited_result(call, stripe)

    try:
        if blocking:
            with sandbox.sync_client() as stripe:
                call(stripe)
        else:
            asyncio.run(main())
    except PinstripeError as error:
        return error
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_the_last_line_of_code_says_what_it_raises(name, blocking, sandbox) -> None:
    error = failure_of(CALLS[name], sandbox, blocking=blocking)
    lines = lines_of(error)
    assert lines[-1] == "raise error_of_this_call"
    assert not [line for line in lines if "#" in line]
    # Of a walk, the frames of its generators are there too; none holds a request.
    assert len(lines) <= 3


@pytest.mark.parametrize("blocking", [False, True])
def test_a_setting_keeps_whole_frames(blocking, sandbox, monkeypatch) -> None:
    for value, is_whole in (("1", True), ("true", True), ("0", False), ("", False)):
        monkeypatch.setenv("PINSTRIPE_DEBUG", value)
        error = failure_of(CALLS["a call"], sandbox, blocking=blocking)
        names = names_in(error)
        assert ("create" in names and "send" in names) is is_whole
        error = PinstripeError("it went wrong")
        with pytest.raises(PinstripeError) as caught:
            called(error, name="CANARY")
        assert ("called" in names_in(caught.value)) is is_whole
