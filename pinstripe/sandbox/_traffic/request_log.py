"""The log of requests to the API: the last thousand, with their parameters and what they got.

The server adds an entry for each request that is not for the sandbox itself. An entry keeps a
reference to the parameters that were read anyway, and everything else that it shows is made when
somebody looks. Large parameters are cut at once, so that the log never holds an uploaded file.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any, Final

import msgspec
from attrs import define

from pinstripe.sandbox._params.forms import Form, Tree, Upload

MAX_ENTRIES: Final = 1000
# Parameters beyond this size, in bytes, are kept cut: so many names, and so much of each text.
MAX_KEPT: Final = 4096
_NAMES_KEPT: Final = 50
_TEXT_KEPT: Final = 200
_CUT: Final = "…"
_NO_PARAMS: Final[Form] = {}


@define(eq=False)
class LoggedRequest:
    """One request.

    Attributes:
        id: The id of the request.
        method: The HTTP method.
        path: The path, without its query.
        at: When it came, by the clock of the sandbox.
        account: The connected account; None for the account of the API key.
        params: The parameters.
        status: The HTTP status of the answer; 0 if the connection was cut.
        body: The answer, if it is an error.
        seconds: How long the request took, in real time.
        replayed: Whether the answer was stored under its idempotency key.
        fault: Whether a fault was added for it.
        hidden: Whether it stays out of the log, as a request to the sandbox itself.
        number: The position in the log, counted from 1.
    """

    id: str
    method: str
    path: str = ""
    at: float = 0.0
    account: str | None = None
    params: Form = _NO_PARAMS  # never changed in place, so all entries can share it
    status: int = 0
    body: bytes = b""
    seconds: float = 0.0
    replayed: bool = False
    fault: bool = False
    hidden: bool = False
    number: int = 0

    def keep_params(self, form: Form, size: int) -> None:
        """Keep the parameters.

        Args:
            form: The decoded parameters.
            size: How many bytes they had, at most.
        """
        small = size <= MAX_KEPT
        self.params = form if small else {name: _cut(form[name]) for name in _first(form)}

    def as_json(self) -> dict[str, Any]:
        """Return what an answer shows of it."""
        error: Any = msgspec.json.decode(self.body)["error"] if self.body else None
        return {
            "id": self.id,
            "number": self.number,
            "account": self.account,
            "at": self.at,
            "error": error,
            "fault": self.fault,
            "method": self.method,
            "milliseconds": round(self.seconds * 1000, 1),
            "params": {name: _shown(value) for name, value in self.params.items()},
            "path": self.path,
            "replayed": self.replayed,
            "status": self.status or None,
        }


class RequestLog:
    """The last requests, up to `MAX_ENTRIES`."""

    def __init__(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=MAX_ENTRIES)
        self._last = 0

    def add(self, entry: LoggedRequest) -> None:
        """Append a request, and drop the oldest one if there are too many."""
        self._last += 1
        entry.number = self._last
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget all requests; numbers go on."""
        self._entries.clear()

    def find(self, *, limit: int, before: int | None = None, after: int = 0) -> list[LoggedRequest]:
        """Return requests, newest first.

        Args:
            limit: How many at most.
            before: Only requests with a smaller number; None for all.
            after: Only requests with a larger number.
        """
        found = (
            entry
            for entry in reversed(self._entries)
            if entry.number > after and (before is None or entry.number < before)
        )
        return list(islice(found, limit))


def _shown(value: Tree) -> Tree:
    if isinstance(value, dict):
        return {name: _shown(inner) for name, inner in value.items()}
    return _cut(value) if isinstance(value, Upload) else value


def _first(form: Form) -> list[str]:
    return list(islice(form, _NAMES_KEPT))


def _cut(value: Tree) -> str:
    if isinstance(value, Upload):
        return f"{value.filename[:_TEXT_KEPT]} ({len(value.data)} bytes)"
    if isinstance(value, str):
        return value if len(value) <= _TEXT_KEPT else value[:_TEXT_KEPT] + _CUT
    return _CUT
