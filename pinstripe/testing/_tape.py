"""The file of a cassette: JSON, indented, with one exchange after the other as they were sent.

It has no private value, so it is made to be read, reviewed and committed. A change by hand is fine
as long as the file keeps its form: what it holds is what a replay answers with.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec

from pinstripe._core.errors import (
    CertificateError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    Outcome,
    ResponseError,
    ResponseTooLarge,
    TransportError,
)
from pinstripe._disk.destination import replace_file

VERSION: Final = 1
"""The version of the format; a change that an older release would misread raises it."""

_ABOUT: Final = "Requests and answers for tests. What was private is a placeholder: [email 1]."

_KINDS: Final = (
    *(CertificateError, ConnectError, ConnectionLost, DeadlineExceeded, TransportError),
    *(ResponseTooLarge, ResponseError),
)
ERRORS: Final[dict[str, type[TransportError | ResponseError]]] = {
    each.__name__: each for each in _KINDS
}
"""The errors that a transport raises in place of an answer, by their names; bases come last."""


class RecordedRequest(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A request, as it is in the file.

    Attributes:
        call: The method, and the path with its placeholders.
        host: The address of the API.
        ids: The ids in the path, in order.
        account: The connected account.
        context: The path of accounts.
        key: The placeholder of the idempotency key.
        params: The parameters, nested.
        content: The placeholder of the content of the uploaded file.
    """

    call: str
    host: str = "api"
    ids: list[str] = []
    account: str | None = None
    context: str | None = None
    key: str | None = None
    params: dict[str, Any] = {}
    content: str | None = None


class RecordedAnswer(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """How a request ended: with an answer, or with an error of the transport.

    Attributes:
        status: The HTTP status; None if no answer came.
        error: The error that came in place of an answer.
        message: Its message.
        outcome: What is certain after it.
        permanent: Whether another attempt would end in the same way.
        stale: Whether the connection was one that the server had closed before.
        headers: The headers that mean something to the client.
        json: The body, if it is JSON.
        content: The placeholder of the body, if it is not JSON.
    """

    status: int | None = None
    error: str | None = None
    message: str | None = None
    outcome: Outcome = "unknown"
    permanent: bool = False
    stale: bool = False
    headers: dict[str, str] = {}
    json: Any = msgspec.UNSET
    content: str | None = None

    def __post_init__(self) -> None:
        if (self.status is None) == (self.error is None):
            raise ValueError("an answer has either a status or an error")
        if self.status is not None and not 100 <= self.status <= 599:
            raise ValueError("no status is like this")
        if self.error is not None and self.error not in ERRORS:
            raise ValueError("no error has this name")


class Exchange(msgspec.Struct, forbid_unknown_fields=True):
    """A request and its answer."""

    request: RecordedRequest
    answer: RecordedAnswer


class _Head(msgspec.Struct):
    cassette: int


class _File(msgspec.Struct, forbid_unknown_fields=True):
    cassette: int
    about: str
    exchanges: list[Exchange]


def read_cassette(path: Path) -> list[Exchange]:
    """Return what a cassette holds.

    Args:
        path: The file.

    Raises:
        ConfigurationError: It cannot be read, is damaged, or is of a newer version.
    """
    try:
        data = path.read_bytes()
        version = msgspec.json.decode(data, type=_Head).cassette
        if version != VERSION:
            problem = f"is a cassette of version {version}, and this release reads {VERSION}"
            raise ConfigurationError("path", f"{problem}; update pinstripe: {path}")
        return msgspec.json.decode(data, type=_File).exchanges
    except OSError as error:
        problem = f"cannot be read: {error.strerror}: {path}"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        problem = f"is damaged, or no cassette: {error}: {path}"
    raise ConfigurationError("path", problem)


def write_cassette(path: Path, exchanges: list[Exchange]) -> None:
    """Write a cassette; its name never belongs to half of it.

    Args:
        path: The file, which is replaced; its folder is made if there is none.
        exchanges: What it holds.

    Raises:
        OSError: It cannot be written.
    """
    data = msgspec.json.encode(_File(VERSION, _ABOUT, exchanges))
    path.parent.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(data, indent=2) + b"\n"
    replace_file(Path(os.path.realpath(path)), lambda file: file.write(text))


def error_of(answer: RecordedAnswer) -> TransportError | ResponseError:
    """Return a new error, as the transport raised it.

    Args:
        answer: One that has an error.
    """
    assert answer.error is not None
    error = ERRORS[answer.error](answer.message or "")
    error.outcome = answer.outcome
    if isinstance(error, TransportError):
        error.permanent = answer.permanent
    if isinstance(error, ConnectionLost):
        error.stale = answer.stale
    return error


def answer_of_error(error: TransportError | ResponseError, message: str) -> RecordedAnswer:
    """Return what the file holds of an error.

    Args:
        error: The error of a transport.
        message: Its message without private values.
    """
    return RecordedAnswer(
        error=next(name for name, kind in ERRORS.items() if isinstance(error, kind)),
        message=message,
        outcome=error.outcome,
        permanent=getattr(error, "permanent", False),
        stale=getattr(error, "stale", False),
    )
