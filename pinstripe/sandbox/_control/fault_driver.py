"""The driver of faults: makes requests fail, and lists what requests changed."""

from __future__ import annotations

from collections.abc import Sequence

from pinstripe.sandbox._control.driver import Control, as_text, without_none
from pinstripe.sandbox._state.table import Json


class FaultDriver:
    """Makes requests fail on demand.

    Args:
        server: Runs the control routes.
    """

    def __init__(self, server: Control) -> None:
        self._server = server

    def add(
        self,
        *,
        latency: float | None = None,
        status: int | None = None,
        cut: bool = False,
        effect: bool = False,
        method: str | None = None,
        path: str | None = None,
        count: int | None = None,
        probability: float = 1.0,
    ) -> None:
        """Make matching requests fail from now on.

        A request meets at most one fault: the oldest that matches. Without `effect` the endpoint
        does not run, and a retry with the same idempotency key runs it. With `effect` the endpoint
        runs and only its answer is lost: after a 500 a retry gets the 500 again, after any other
        5xx or a cut connection it gets the good answer.

        Args:
            latency: Seconds of real time before anything happens; alone, it only delays.
            status: 429, or a status from 500 to 599, instead of the answer.
            cut: Cut the connection instead of answering.
            effect: Run the endpoint all the same.
            method: Only requests with this HTTP method.
            path: Only requests with this path, where `*` matches any text.
            count: How many requests fail; None for all until `clear`.
            probability: The share of matching requests that fail, repeatable by the seed.

        Raises:
            Refusal: If a value is not valid, or the values do not go together.
        """
        params = {
            "latency": as_text(latency),
            "status": status,
            "cut": cut,
            "effect": effect,
            "method": method,
            "path": path,
            "count": count,
            "probability": as_text(probability),
        }
        self._server.control("faults", without_none(params), None)

    def list(self) -> Sequence[Json]:
        """Return the faults that were added, each with its number of `hits`."""
        found: Sequence[Json] = self._server.control("faults", {}, None, "GET")["faults"]
        return found

    def clear(self) -> None:
        """Remove all faults, so that requests succeed again."""
        self._server.control("faults", {}, None, "DELETE")


def effects(server: Control, idempotency_key: str | None = None) -> list[Json]:
    """Return what requests really changed, oldest first.

    Args:
        server: Runs the control routes.
        idempotency_key: Only the effects of requests with this key; None for all.
    """
    params = without_none({"idempotency_key": idempotency_key})
    found: list[Json] = server.control("effects", params, None, "GET")["effects"]
    return found
