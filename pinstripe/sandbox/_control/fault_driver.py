"""The driver for faults: has requests fail, and tells what requests really did."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pinstripe.sandbox._control.driver import Control
from pinstripe.sandbox._state.table import Json


class FaultDriver:
    """Has requests fail on demand."""

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
        """Let requests fail from now on; each of them meets one fault, the oldest that matches.

        Without `effect` the endpoint does not run, and another attempt with the same idempotency
        key does what was asked. With it the endpoint runs and its answer is lost: after a 500
        another attempt gets the 500 again, after another 5xx or a cut it gets the good answer.

        Args:
            latency: seconds of real time before anything happens; alone, it only makes slow.
            status: 429, or a status from 500 to 599, in place of the answer.
            cut: cut the connection in place of an answer.
            effect: let the endpoint run all the same.
            method: only requests of this HTTP method.
            path: only requests with this path, where `*` stands for any text.
            count: how many requests; None for all until `clear`.
            probability: share of the matching requests, repeatable by the sandbox's seed.

        Raises:
            Refusal: for arguments that do not go together.
        """
        params: dict[str, object] = {
            "latency": None if latency is None else _plain(latency),
            "status": status,
            "cut": cut,
            "effect": effect,
            "method": method,
            "path": path,
            "count": count,
            "probability": _plain(probability),
        }
        given = {name: value for name, value in params.items() if value is not None}
        self._server.control("faults", given, None)

    def list(self) -> Sequence[Json]:
        """Return the faults that were added, with the `hits` of each."""
        found: Sequence[Json] = self._server.control("faults", {}, None, "GET")["faults"]
        return found

    def clear(self) -> None:
        """Let requests do well again."""
        self._server.control("faults", {}, None, "DELETE")


def effects(server: Control, idempotency_key: str | None = None) -> list[Json]:
    """Return what requests really did, oldest first.

    Args:
        server: the server that was asked.
        idempotency_key: the key that the requests carried, None for all.
    """
    params = {} if idempotency_key is None else {"idempotency_key": idempotency_key}
    found: list[Json] = server.control("effects", params, None, "GET")["effects"]
    return found


def _plain(number: float) -> str:
    return format(Decimal(str(number)), "f")
