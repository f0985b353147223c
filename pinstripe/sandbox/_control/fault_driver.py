"""The driver of faults: makes requests fail, and lists what requests changed."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

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
        code: str | None = None,
        type: str | None = None,
        message: str | None = None,
        param: str | None = None,
        cut: bool = False,
        effect: bool = False,
        method: str | None = None,
        path: str | None = None,
        count: int | None = None,
        probability: float = 1.0,
    ) -> str:
        """Make matching requests fail from now on.

        A request meets at most one fault: the oldest that matches. Without `effect` the endpoint
        does not run, and a retry with the same idempotency key runs it. With `effect` the endpoint
        runs and only its answer is lost: after a 500 a retry gets the 500 again, after any other
        5xx or a cut connection it gets the good answer.

        Args:
            latency: Seconds of real time before anything happens; alone, it only delays.
            status: A status from 400 to 599, instead of the answer.
            code: The error code of the answer with that status, such as `lock_timeout`.
            type: Its error type; None for the usual one of the status.
            message: Its message; None for one that names the sandbox.
            param: The parameter that it names.
            cut: Cut the connection instead of answering.
            effect: Run the endpoint all the same; with `cut`, or a status of 500 or more.
            method: Only requests with this HTTP method.
            path: Only requests with this path, where `*` matches any text.
            count: How many requests fail; None for all until `clear`.
            probability: The share of matching requests that fail, repeatable by the seed.

        Returns:
            The id of the fault, for `remove`.

        Raises:
            Refusal: If a value is not valid, or the values do not go together.
        """
        params = {
            "latency": as_text(latency),
            "status": status,
            "code": code,
            "type": type,
            "message": message,
            "param": param,
            "cut": cut,
            "effect": effect,
            "method": method,
            "path": path,
            "count": count,
            "probability": as_text(probability),
        }
        fault = self._server.control("faults", without_none(params), None)
        return str(fault["id"])

    def list(self) -> Sequence[Json]:
        """Return the faults that were added, each with its number of `hits`."""
        found: Sequence[Json] = self._server.control("faults", {}, None, "GET")["faults"]
        return found

    def remove(self, fault: str) -> None:
        """Remove one fault.

        Args:
            fault: Its id.

        Raises:
            Refusal: 404, if there is none with this id.
        """
        self._server.control(f"faults/{quote(fault, safe='')}", {}, None, "DELETE")

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
