"""What a row of the table of errors is: an error, and requests that produce it.

A row has the requests to send, one after the other; the last one is refused. `{id}` stands for the
id in the answer before it, or for that of the first object if the answer is a list. An error that
the state of the sandbox cannot cause, such as an expired key, comes from a fault: its first request
adds one, for a single request.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from pinstripe.sandbox._params.errors import INVALID_REQUEST


@frozen
class Step:
    """One request.

    Attributes:
        method: The HTTP method.
        path: The path.
        params: The parameters, named as in a form.
        headers: Headers besides the key; an empty `Authorization` sends none.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(factory=dict[str, str])
    headers: Mapping[str, str] = field(factory=dict[str, str])


@frozen
class Refusable:
    """An error, and how to get it.

    Attributes:
        area: The part of the API.
        code: The error code; None for an error without one.
        status: The HTTP status of the last answer; 200 for a code of `last_error`.
        type: The error type.
        when: What causes it.
        steps: The requests.
    """

    area: str
    code: str | None
    status: int
    type: str
    when: str
    steps: tuple[Step, ...]

    @property
    def by_fault(self) -> bool:
        """Whether a fault produces it."""
        return self.steps[0].path == "/_sandbox/faults"


def row(
    area: str,
    code: str | None,
    when: str,
    *steps: Step,
    status: int = 400,
    type: str = INVALID_REQUEST,
) -> Refusable:
    """Return a row whose last request is refused by the sandbox as it is.

    Args:
        area: The part of the API.
        code: The error code.
        when: What causes the error.
        steps: The requests.
        status: The HTTP status of the last answer.
        type: The error type.
    """
    return Refusable(area, code, status, type, when, steps)


def fault(
    area: str,
    code: str | None,
    when: str,
    *,
    path: str,
    status: int = 400,
    type: str = INVALID_REQUEST,
) -> Refusable:
    """Return a row whose error comes from a fault.

    Args:
        area: The part of the API.
        code: The error code; None for an error without one.
        when: What causes the error in the API.
        path: The path whose next request gets the fault; it takes GET.
        status: The HTTP status.
        type: The error type.
    """
    given = {"status": str(status), "code": code or "", "type": type, "path": path, "count": "1"}
    params = {name: text for name, text in given.items() if text}
    steps = (Step("POST", "/_sandbox/faults", params), Step("GET", path))
    return Refusable(area, code, status, type, when, steps)
