"""What the drivers share: they call control routes from Python.

A driver can be called from any thread. The route runs in the thread of the server, and the driver
returns its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from pinstripe.sandbox._state.table import Json


class Control(Protocol):
    """Runs control routes."""

    def control(
        self, path: str, params: Mapping[str, object], account: str | None, method: str = "POST"
    ) -> Json:
        """Run the control route `/_sandbox/{path}` and return its answer; raises Refusal."""
        ...


class Driver:
    """Calls the control routes of a product.

    Args:
        control: Runs the routes.
        account: The connected account to act on; None for the account of the key.
    """

    def __init__(self, control: Control, account: str | None = None) -> None:
        self._control = control
        self._account = account

    def _run(self, path: str, **params: object) -> Json:
        return self._control.control(path, without_none(params), self._account)


def without_none(params: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters whose value is not None."""
    return {name: value for name, value in params.items() if value is not None}


def as_text(number: Decimal | float | str | None) -> str | int | None:
    """Return a number as a parameter takes it: plain notation, without an exponent."""
    if isinstance(number, float):
        # The text of a float is the shortest decimal that reads back as the same float.
        number = Decimal(str(number))
    return f"{number:f}" if isinstance(number, Decimal) else number
