"""Every way in which a value or an error comes into sight where nobody asked for its data."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import pprint
import reprlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from rich.pretty import pretty_repr

TESTS = str(Path(__file__).parents[1])

Shown = Iterator[tuple[str, str]]


@define
class Walk:
    """Looks for marked values, and counts the places it looked at."""

    places: int = 0
    hits: list[str] = field(factory=list)

    def look(self, where: str, marks: Iterable[str], shown: Shown) -> None:
        """Note each place that shows one of the marks."""
        marks = tuple(marks)
        assert marks
        for channel, text in shown:
            self.places += 1
            self.hits += [f"{where}: {channel} shows {mark}" for mark in marks if mark in text]


def tell(capsys: pytest.CaptureFixture[str], line: str) -> None:
    """Print a line even where the output of tests is kept back."""
    with capsys.disabled():
        sys.stdout.write(f"\nleak walk: {line} ")


class Lines(logging.Handler):
    """A handler that keeps what it is given, as a log file would show it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def logged(value: object) -> str:
    handler, logger = Lines(), logging.getLogger("leaks")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    logger.debug("%s %r", value, value)
    logger.debug(value)
    if isinstance(value, BaseException):
        logger.debug("it failed", exc_info=value)
    logger.removeHandler(handler)
    return "\n".join(handler.lines)


def held_by_frames(value: object) -> str:
    """What a traceback with locals shows of a value that some frame has at hand."""

    def fail() -> None:
        held, several = value, [value]
        raise LookupError(len([held, several]))

    try:
        fail()
    except LookupError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(shown.format())
    raise AssertionError


async def _awaited(value: object) -> object:
    return value


def in_a_task(value: object) -> str:
    """What asyncio says of a task and a future that end in a value."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        future.set_result(value)
        task = loop.create_task(_awaited(value))
        await task
        return f"{future!r} {task!r}"

    return asyncio.run(main(), debug=True)


def of_value(value: Any) -> Shown:
    """Yield what shows of a value where nobody asked for its data, by channel."""
    yield "repr", repr(value)
    yield "str", str(value)
    yield "format", format(value)
    yield "f-string", f"{value} {value!r} {value!s} {value!a}"
    yield "%", "%s %r %a" % (value, value, value)  # noqa: UP031 -- one of the ways
    yield "containers", repr([value, (value,), {"k": value}])
    yield "pprint", pprint.pformat({"k": [value]})
    yield "reprlib", reprlib.Repr().repr(value)
    yield "rich", pretty_repr({"k": [value]})
    yield "JSON with a default", json.dumps({"k": value}, default=str)
    yield "vars", repr(getattr(value, "__dict__", {}))
    yield "an exception about it", f"{ValueError(value)!r} {ValueError(value)} {KeyError(value)}"
    yield "log", logged(value)
    yield "locals", held_by_frames(value)
    yield "asyncio", in_a_task(value)


def of_refusal(call: Callable[[], object]) -> Shown:
    """Yield what an operation says that a value does not have."""
    try:
        result = call()
    except TypeError as error:
        yield "refusal", f"{error} {error!r}"
    else:
        yield "result", result.decode("latin-1") if isinstance(result, bytes) else repr(result)


def _without_tests(shown: traceback.TracebackException | None) -> None:
    """Drop the frames of the tests, which hold the marked values by right."""
    if shown is not None:
        ours = [frame for frame in shown.stack if not frame.filename.startswith(TESTS)]
        shown.stack = traceback.StackSummary.from_list(ours)
        _without_tests(shown.__cause__)
        _without_tests(shown.__context__)


def traceback_of(error: BaseException, *, capture_locals: bool) -> str:
    """The traceback of an error as far as its frames are not those of the tests."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=capture_locals)
    _without_tests(shown)
    return "".join(shown.format())


def of_error(error: BaseException) -> Shown:
    """Yield what shows of an error, by channel."""
    for name, twin in (("", error), ("a copy's ", copy.deepcopy(error))):
        yield f"{name}str", str(twin)
        yield f"{name}repr", repr(twin)
        yield f"{name}args", repr(twin.args)
        yield f"{name}notes", repr(getattr(twin, "__notes__", ()))
        yield f"{name}log", logged(twin.with_traceback(None) if name else str(twin))
    yield "vars", repr({k: v for k, v in vars(error).items() if k not in ("headers", "body")})
    yield "rich", pretty_repr(error)
    yield "traceback", traceback_of(error, capture_locals=False)
    yield "locals", traceback_of(error, capture_locals=True)
    yield "pickle", pickle.dumps(error).decode("latin-1")
    yield "oldest pickle", pickle.dumps(error, protocol=2).decode("latin-1")
