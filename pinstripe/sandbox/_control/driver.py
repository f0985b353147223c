"""The drivers: plain methods that move objects as end users, customers and time would.

A driver runs the routes of `/_sandbox/` in the thread of the server, from whichever thread it is
called, and returns what they answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from pinstripe.sandbox._state.table import Json


class Control(Protocol):
    """Runs one of the sandbox's own endpoints."""

    def control(
        self, path: str, params: Mapping[str, object], account: str | None, method: str = "POST"
    ) -> Json:
        """Run `POST /_sandbox/{path}` and return its answer; raises Refusal."""
        ...


class Driver:
    def __init__(self, control: Control, account: str | None = None) -> None:
        self._control = control
        self._account = account

    def _run(self, path: str, **params: object) -> Json:
        given = {name: value for name, value in params.items() if value is not None}
        return self._control.control(path, given, self._account)


def as_text(number: Decimal | int | str | None) -> str | int | None:
    return f"{number:f}" if isinstance(number, Decimal) else number
