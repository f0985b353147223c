"""What keeps the arguments of a call, and the key, to themselves.

A traceback keeps the frames that an error came through, and many tools show the locals of each:
what the call was given, down to somebody's name. An error of ours says all that there is to say,
so the public doors drop the frames behind them from its traceback. So they do with what the
operating system says of a file, and with a cancellation, which comes out of frames that hold the
key. What a signal handler raises while a call waits, or a function of the user that is told of
progress, is no fault of the call: of its frames those of the user stay. Any other exception is a
fault of the program and keeps every frame.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from types import FrameType, TracebackType
from typing import Any, NoReturn, TypeVar, cast

from typing_extensions import ParamSpec

from pinstripe._core.errors import PinstripeError

_P = ParamSpec("_P")
_R = TypeVar("_R")

_PACKAGE = "pinstripe."

FRAMELESS = (PinstripeError, OSError, CancelledError)
"""What says all there is to say without the frames that it came through."""


class UserCodeError(BaseException):
    """Carries to the door what came from outside, such as a signal handler, during a call.

    Attributes:
        error: What the door raises, with the frames that it has outside of this package.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        if isinstance(error.__context__, UserCodeError):
            error.__context__ = error.__context__.error
        self.error: BaseException = error.with_traceback(_behind(error.__traceback__))


def _behind(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback from where it leaves this package."""
    while traceback is not None and is_own(traceback.tb_frame):
        traceback = traceback.tb_next
    return traceback


def is_own(frame: FrameType) -> bool:
    """Return whether a frame is one of this package."""
    return str(frame.f_globals.get("__name__")).startswith(_PACKAGE)


def hide_frames(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return `function` as a door: the tracebacks of its errors do not show its arguments.

    Args:
        function: A plain function or a coroutine function.
    """
    if iscoroutinefunction(function):
        return cast("Callable[_P, _R]", _coroutine_door(function))

    @wraps(function)
    def door(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except FRAMELESS as error:
            del args, kwargs
            raise error.with_traceback(None)  # noqa: B904 -- the same error goes on
        except UserCodeError as interruption:
            del args, kwargs
            _raise(interruption.error)

    return door


def _coroutine_door(function: Callable[_P, Awaitable[Any]]) -> Callable[_P, Awaitable[Any]]:
    @wraps(function)
    async def door(*args: _P.args, **kwargs: _P.kwargs) -> Any:
        call = function(*args, **kwargs)
        del args, kwargs
        try:
            return await call
        except FRAMELESS as error:
            raise error.with_traceback(None)  # noqa: B904 -- the same error goes on
        except UserCodeError as interruption:
            _raise(interruption.error)

    return door


def _raise(error: BaseException) -> NoReturn:
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context  # not what the caller happens to handle
        del error  # it holds this frame


def call_user_code(function: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call a function of the user behind a door, which then leaves what it raises its frames.

    Args:
        function: The function.
        args: Its arguments.
        kwargs: Its arguments by name.

    Raises:
        UserCodeError: It raised something.
    """
    try:
        return function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 -- the door raises it
        raise UserCodeError(error) from None
