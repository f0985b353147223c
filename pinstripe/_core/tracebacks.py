"""Keep the arguments of a call, and the API key, out of tracebacks.

A traceback keeps the frames that an error came through, and many tools show the local variables of
each frame: the arguments of a call, which can hold somebody's name, and the key. An error of
Pinstripe says all that there is to say. So `hide_frames` wraps every public function, and the
wrapper drops the frames behind it from the traceback. It does the same with an `OSError`, and with
a cancellation, which comes out of frames that hold the key.

An error that code of the user raises during a call is not a fault of the call: a signal handler
can interrupt the wait, and a function that reports progress can fail. Such an error keeps the
frames of the user and loses the frames of this package; `UserCodeError` carries it to the wrapper.
Any other exception is a fault of the program and keeps every frame.

To debug this package, set the environment variable `PINSTRIPE_DEBUG=1`: every error then keeps all
of its frames, with everything that is in them. It is read when an error is raised.

The line that raises the error in the wrapper is the last one of the code in the traceback of every
user. So it says what it raises, and nothing else.
"""
# ruff: noqa: B904 -- a wrapper raises the error that it caught; a remark there would be shown

from __future__ import annotations

import os
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
_E = TypeVar("_E", bound=BaseException)

_PACKAGE = "pinstripe."

FRAMELESS = (PinstripeError, OSError, CancelledError)
"""The exceptions that say all there is to say without the frames that they came through."""


class KeptError:
    """An error that is caught in one place and raised in another one, once.

    A traceback holds its frames. If one of these frames holds the error in a local variable, the
    two hold each other, and all that the frames hold stays in memory until the garbage collector
    finds them. So the error is kept in here, which lets go of it when it raises it.

    Args:
        error: The error.
    """

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error: BaseException | None = error

    def raise_again(self) -> NoReturn:
        """Raise the error; if it has a context, it keeps that context.

        Python would replace the context by the exception that the caller is handling, which may
        have nothing to do with this error.
        """
        error, self._error = self._error, None
        assert error is not None
        context = error.__context__
        try:
            raise error
        finally:
            if context is not None:
                error.__context__ = context
            # This frame is in the traceback too.
            del error


class UserCodeError(BaseException):
    """Carries an error of the user's code through a call, to the wrapper that raises it.

    Attributes:
        error: The error, with the frames that it has outside of this package.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        if isinstance(error.__context__, UserCodeError):
            error.__context__ = error.__context__.error
        # The first frames are those of this package; the user's code begins where they end.
        outside = error.__traceback__
        while outside is not None and is_own(outside.tb_frame):
            outside = outside.tb_next
        self.error: BaseException = without_frames(error, outside)


def without_frames(error: _E, kept: TracebackType | None = None) -> _E:
    """Return an error without its frames; with all of them while this package is debugged.

    Args:
        error: The error.
        kept: The frames that it keeps.
    """
    is_debugged = os.environ.get("PINSTRIPE_DEBUG", "0") not in ("", "0")
    return error if is_debugged else error.with_traceback(kept)


def is_own(frame: FrameType) -> bool:
    """Return whether a frame is one of this package."""
    return str(frame.f_globals.get("__name__")).startswith(_PACKAGE)


def hide_frames(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return `function` in a wrapper: the tracebacks of its errors do not show its arguments.

    Args:
        function: A plain function or a coroutine function.
    """
    if iscoroutinefunction(function):
        return cast("Callable[_P, _R]", _hide_frames_of_coroutine(function))

    @wraps(function)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        # The wrapper's own frame stays in the traceback, so it must not hold the arguments either.
        try:
            return function(*args, **kwargs)
        except FRAMELESS as error:
            del args, kwargs
            error_of_this_call = without_frames(_without_hidden_context(error))
            raise error_of_this_call
        except UserCodeError as carrier:
            del args, kwargs
            kept = KeptError(carrier.error)
        # Here and not above, where the carrier would become the context of the error.
        return kept.raise_again()

    return wrapper


def hide_every_frame(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return `function` in a wrapper for what is given a key, or reads one.

    No exception shows a frame behind the wrapper, whatever it is: Ctrl-C can come in any line.

    Args:
        function: A plain function.
    """

    @wraps(function)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 -- the same error is raised
            del args, kwargs
            _drop_own_frames(error.__context__)
            error_of_this_call = _without_hidden_context(error).with_traceback(None)
            raise error_of_this_call

    return wrapper


def _without_hidden_context(error: _E) -> _E:
    """Return an error without the context that it does not show: that can hold an argument.

    A pickle leaves it out too, but not where Dask is imported, which pickles all of an exception.
    """
    if error.__suppress_context__:
        error.__context__ = None
    return error


def _drop_own_frames(context: BaseException | None) -> None:
    """Drop the frames of exceptions that this package was handling when another one was raised."""
    while context is not None:
        if context.__traceback__ is not None and is_own(context.__traceback__.tb_frame):
            context.__traceback__ = None
        context = context.__context__


def _hide_frames_of_coroutine(
    function: Callable[_P, Awaitable[Any]],
) -> Callable[_P, Awaitable[Any]]:
    @wraps(function)
    async def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> Any:
        call = function(*args, **kwargs)
        del args, kwargs
        try:
            return await call
        except FRAMELESS as error:
            error_of_this_call = without_frames(_without_hidden_context(error))
            raise error_of_this_call
        except UserCodeError as carrier:
            kept = KeptError(carrier.error)
        return kept.raise_again()

    return wrapper


def call_user_code(function: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call a function of the user, whose errors keep their own frames.

    Args:
        function: The function.
        args: Its arguments.
        kwargs: Its arguments by name.

    Raises:
        UserCodeError: The function raised an exception; the wrapper of the call raises that one.
    """
    try:
        return function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 -- the wrapper raises it
        raise UserCodeError(error) from None
