"""Cassettes: real answers, recorded once and replayed without a network.

What happens where is decided when the cassette is made, and by the file alone: a cassette that
replays has no transport below it, so nothing that it lacks can lead to a real call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias

import msgspec
from attrs import define, evolve, field
from typing_extensions import Self

from pinstripe._client import AsyncClient
from pinstripe._config.options import RetryPolicy
from pinstripe._core.checks import plain_text
from pinstripe._core.errors import ConfigurationError, ResponseError, TransportError
from pinstripe._disk.source import path_of
from pinstripe._http.messages import Request, Response, Sender, Sink
from pinstripe._http.transport import AiohttpTransport, Transport
from pinstripe.sync import Client
from pinstripe.testing._asked import Asked, asked_of
from pinstripe.testing._privacy import Redactor
from pinstripe.testing._replay import Player
from pinstripe.testing._tape import (
    Exchange,
    RecordedAnswer,
    answer_of_error,
    read_cassette,
    write_cassette,
)

Mode: TypeAlias = Literal["record", "replay", "auto"]
"""Whether a cassette records; see `Cassette`."""

REPLAY_KEY: Final = "sk_test_replayed"
"""The key of a client that is replayed, which is never sent."""

_HEADERS: Final = (
    *("Content-Type", "Request-Id", "Idempotent-Replayed", "Retry-After"),
    *("Stripe-Should-Retry", "Stripe-Rate-Limited-Reason"),
)
"""The headers that are recorded: those that mean something to the client."""

# As it is, whatever a test puts in its place: `stripe_no_network` lets recordings through.
_SEND: Final = AiohttpTransport.send


@define(repr=False)
class _Recording:
    """A request and how it ended; None if it has not yet, or was cancelled."""

    asked: Asked
    end: Response | TransportError | ResponseError | None = None
    content: bytes | None = None


class Cassette:
    """Records what a client sends and is answered, and replays it without a network.

        with Cassette("cassettes/create.json") as cassette:
            async with cassette.client() as stripe:
                await stripe.identity.verification_sessions.create(type="document")

    Make a client with `client()` or `sync_client()`, or pass the cassette as `transport=` to
    clients of your own; they can share it, in tasks and threads. To record, a client needs a key as
    always. To replay, those of `client()` need none and pause for nothing before a retry.

    The file is written at the end of the `with` block, in one step, and not if the block raises.
    It holds no key, no secret and no private value: a placeholder such as `[email 1]` stands for
    each, the same one wherever the value is. Files are left out as a whole. In a replay, what the
    test itself sends is put back into the answers, and the other placeholders become invented
    values of the same type.

    A replay gives each answer once, in the order of the file, to a request with the same method,
    path, parameters, account and context. Private values only have to differ where they did, and so
    do idempotency keys. A request that is not in the file fails with an `AssertionError`.

    Args:
        path: The file; its folder is made if there is none.
        mode: `"replay"`; `"record"`, which replaces the file; or `"auto"`, which replays if there
            is a file and else records.

    Attributes:
        path: The file.
        recording: Whether it records, and so may reach the network.

    Raises:
        ConfigurationError: An argument is wrong, or the file is missing, damaged or of a newer
            version.
    """

    def __init__(self, path: str | os.PathLike[str], mode: Mode = "auto") -> None:
        self.path = path_of("path", path)
        if plain_text(mode) not in ("record", "replay", "auto"):
            raise ConfigurationError("mode", f"must be record, replay or auto, not {mode!r}")
        if self.path.is_dir():
            raise ConfigurationError("path", f"is a folder, and must be a file: {self.path}")
        # A link that leads to nothing is no file that was left out: to replay it is an error.
        self.recording = mode == "record" or (mode == "auto" and not os.path.lexists(self.path))
        self._player = None if self.recording else Player(self.path, read_cassette(self.path))
        self._recordings: list[_Recording] = []
        self._lock = Lock()
        self._is_open = False

    def __enter__(self) -> Self:
        self._is_open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._is_open = False
            ended = [each for each in self._recordings if each.end is not None]
            self._recordings = []
        if kind is None and ended:
            write_cassette(self.path, _exchanges(ended))

    def client(self, **options: Any) -> AsyncClient:
        """Return a client of this cassette.

        Args:
            options: Options of `AsyncClient`, which replace the usual ones.
        """
        return AsyncClient(**self._options(options))

    def sync_client(self, **options: Any) -> Client:
        """Return a blocking client of this cassette.

        Args:
            options: Options of `Client`, which replace the usual ones.
        """
        return Client(**self._options(options))

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        replaying = {"api_key": REPLAY_KEY, "rate_limit": None, "retry": RetryPolicy(base=0)}
        return {"transport": self, **({} if self.recording else replaying), **options}

    def over(self, transport: Transport) -> Transport:
        """Return the transport of a client: this cassette, with another one below to record.

        Clients do this with the cassettes that they are given.

        Args:
            transport: Sends what is recorded; a cassette that replays does not use it.
        """
        return _Recorder(self._begin, transport) if self.recording else self

    async def send(self, request: Request) -> Response:
        """Answer a request from the file.

        Args:
            request: The request.

        Raises:
            AssertionError: It is not in the file, or each of its answers was given.
            ConfigurationError: The cassette records; `over` returns what does that.
        """
        if self._player is None:
            raise ConfigurationError("transport", "records only below a client; see Cassette.over")
        asked = await asked_of(request)
        with self._lock:
            answer = self._player.answer(asked)
        if isinstance(answer, Response):
            return answer
        raise answer

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    def _begin(self, asked: Asked) -> _Recording:
        """Keep a request that is about to be sent, and return where its end belongs."""
        with self._lock:
            if not self._is_open:
                problem = "records inside its with block only, at whose end the file is written"
                raise ConfigurationError("cassette", problem)
            recording = _Recording(asked)
            self._recordings.append(recording)
            return recording


class _Recorder:
    """The transport of a client whose calls are recorded."""

    def __init__(self, begin: Callable[[Asked], _Recording], below: Transport) -> None:
        self._begin = begin
        self._below = below
        self._send: Sender = below.send
        if isinstance(below, AiohttpTransport):
            self._send = partial(_SEND, below)

    async def send(self, request: Request) -> Response:
        recording = self._begin(await asked_of(request))
        copy = None if request.sink is None else _Copy(request.sink)
        try:
            response = await self._send(evolve(request, sink=copy))
        except (TransportError, ResponseError) as error:
            recording.end = error
            raise
        recording.content = None if copy is None else copy.content
        recording.end = response
        return response

    async def aclose(self) -> None:
        await self._below.aclose()


@define(repr=False)
class _Copy:
    """A sink that passes on what it takes, and remembers what that was."""

    _sink: Sink
    _pieces: list[bytes] | None = field(default=None, init=False)

    @property
    def max_bytes(self) -> int:
        return self._sink.max_bytes

    @property
    def content(self) -> bytes | None:
        """What it took; None if it was not used."""
        return None if self._pieces is None else b"".join(self._pieces)

    async def start(self) -> None:
        self._pieces = []
        await self._sink.start()

    async def write(self, piece: bytes) -> None:
        assert self._pieces is not None
        self._pieces.append(piece)
        await self._sink.write(piece)


def _exchanges(recordings: list[_Recording]) -> list[Exchange]:
    """Return what the file holds of recordings."""
    redactor = Redactor()

    def redacted() -> list[Exchange]:
        return [
            Exchange(each.asked.recorded(redactor), _answer(each, redactor)) for each in recordings
        ]

    redacted()  # see `Redactor`
    return redacted()


def _answer(recording: _Recording, redactor: Redactor) -> RecordedAnswer:
    end = recording.end
    assert end is not None
    if not isinstance(end, Response):
        return answer_of_error(end, redactor.message(end.message))
    headers = {n: redactor.prose(end.headers[n]) for n in _HEADERS if n in end.headers}
    return RecordedAnswer(status=end.status, headers=headers, **_body(recording, end, redactor))


def _body(recording: _Recording, end: Response, redactor: Redactor) -> dict[str, Any]:
    content = end.body if recording.content is None else recording.content
    if recording.content is None and "json" in end.headers.get("Content-Type", ""):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {"json": redactor.answer(msgspec.json.decode(content))}
    return {"content": redactor.text_for("content", content)} if content else {}
