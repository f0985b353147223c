"""How a command fails: the exit status, and what is said, in words or as one JSON object."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import click

from pinstripe._core.errors import (
    APIError,
    ConfigurationError,
    IncompleteError,
    PinstripeError,
    ResponseError,
    TransportError,
)
from pinstripe.cli._status import NO_ANSWER, REFUSED, USAGE

_FACTS = (
    *("status", "type", "code", "param", "doc_url", "request_id", "retry_after"),
    *("call", "outcome", "attempts", "idempotency_key", "path", "cursor"),
)


class CallFailedError(click.ClickException):
    """A call failed.

    Args:
        message: What to say.
        status: The exit status.
        facts: What a program wants to know of it.
    """

    def __init__(self, message: str, status: int, facts: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.facts = facts

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """The exit status."""
        return self.status


def status_of(error: Exception) -> int:
    """Return the exit status for an error.

    Args:
        error: What ended the command.
    """
    if isinstance(error, (ConfigurationError, FileExistsError)):
        return USAGE
    return NO_ANSWER if isinstance(error, (TransportError, ResponseError)) else REFUSED


def failure_of(
    error: PinstripeError | OSError, message: str = "", advice: Mapping[str, str] | None = None
) -> CallFailedError:
    """Return what ends a command for an error.

    Args:
        error: The error.
        message: What to say, if it is not what the error says.
        advice: What to type next, by the name of the fact; the texts follow the message.
    """
    text = message or str(error)
    if isinstance(error, OSError) and not isinstance(error, PinstripeError) and error.filename:
        text = message or f"{error.filename}: {error.strerror}"
    facts: dict[str, Any] = {"error": type(error).__name__, "message": text}
    found = {name: getattr(error, name, None) for name in _FACTS}
    facts |= {name: value for name, value in found.items() if value is not None}
    if isinstance(error, IncompleteError):
        facts["errors"] = {id: str(one) for id, one in error.errors.items()}
    if isinstance(error, APIError) and error.doc_url:
        text = f"{text}\nSee {error.doc_url}"
    return CallFailedError(
        "\n".join([text, *(advice or {}).values()]), status_of(error), {**facts, **(advice or {})}
    )


def may_have_acted(error: PinstripeError) -> bool:
    """Return whether the API may have acted on a call that can be repeated with its key.

    Args:
        error: How the call ended.
    """
    return error.outcome == "unknown" and error.idempotency_key is not None


def finishing_advice(key: str, *, private: bool) -> str:
    """Return what to do about a call whose outcome is not known.

    Args:
        key: The idempotency key of the call.
        private: Whether the words of the command hold private values, which are not repeated.
    """
    option = f"--idempotency-key {shlex.quote(key)}"
    words = sys.argv[1:]
    has_key = any(one.partition("=")[0] == "--idempotency-key" for one in words)
    whole = shlex.join(["pinstripe", *words]) if not private else "the same command"
    command = whole if has_key else f"{whole} {option}"
    return (
        "It is not certain whether the API has acted. To finish the call, which has the "
        f"idempotency key {key}, run: {command}"
    )


def as_json(error: click.ClickException) -> str:
    """Return an error as one JSON object in a line.

    Args:
        error: The error that ends the command.
    """
    facts = error.facts if isinstance(error, CallFailedError) else {"error": "UsageError"}
    whole = {"message": error.format_message(), **facts, "exit_status": error.exit_code}
    return json.dumps({"error": whole}, default=str)
