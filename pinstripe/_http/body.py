"""Reads the body of an answer: how much of it, depends on the status.

- The body of a success has to be whole. It has to say where it ends, by its length or by chunks,
  and to come to that end; and if it is compressed, its compression has to come to an end too.
  Anything else is a lost answer, which may be asked for again.
- The body of a failure only explains the status, which says the most. So its start is read, for a
  second at most, and whatever is wrong with it makes no difference: it counts as far as it came.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from pinstripe._concurrency.deadlines import deadline_in
from pinstripe._core.errors import (
    ConnectionLost,
    ResponseError,
    ResponseTooLarge,
    with_response,
)
from pinstripe._http.messages import Sink
from pinstripe._http.routes import RawResponse

_MAX_KEPT_IN_ERROR = 64 * 1024
"""Bytes that an error keeps of a body that is too long, or of the body of a failure."""

_FAILURE_SECONDS = 1.0
"""How long the body of a failure is waited for; the API sends it together with the head."""

_READ_AHEAD = 256 * 1024
"""Bytes of a body that are certain to arrive before anybody reads it: half of what aiohttp buffers
before it pauses the connection."""

_STEP = 256 * 1024
"""The most bytes that are decompressed in one step."""

_IDENTITY = ("identity",)
_DECODED = ("identity", "gzip", "deflate")
"""The encodings that are asked for if the body is read into memory."""


class SinkError(Exception):
    """Carries an error of a sink past the errors of the network, which can have the same class."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def read_whole(answer: RawResponse, limit: int) -> bytes:
    """Return the body of a success.

    Args:
        answer: The answer.
        limit: The most bytes, after decompression.

    Raises:
        ConnectionLost: The body is cut short or damaged, or it could be cut short unnoticed.
        ResponseError: It is longer than the limit, or has an encoding that was not asked for.
    """
    encoding, length = _encoding_of(answer, _DECODED), answer.length
    if length is None:
        _check_end(answer)
    elif length <= limit and encoding == "identity":
        # The length is known: this task is woken once for the body, not for each piece.
        content = answer.content
        if length > _READ_AHEAD:  # the rest of a longer body only comes while it is read
            return await content.read()
        if not content.is_eof() and content.exception() is None:
            await content.wait_eof()
        return content.read_nowait()
    decoder, body = _Decoder(encoding), bytearray()
    await _read_up_to(limit, answer, decoder, body)
    if len(body) > limit:
        raise _too_large(answer, limit, bytes(body[:_MAX_KEPT_IN_ERROR]))
    if not decoder.is_whole:
        raise ConnectionLost("the compressed body of the answer is cut short")
    return bytes(body)


async def read_start(answer: RawResponse, limit: int) -> bytes:
    """Return the start of the body of a failure, as far as it can be read.

    Args:
        answer: The answer.
        limit: The most bytes, after decompression.
    """
    limit = min(limit, _MAX_KEPT_IN_ERROR)
    body = bytearray()
    with suppress(Exception):  # the status decides, whatever is wrong with the body
        decoder = _Decoder(_encoding_of(answer, _DECODED))
        async with deadline_in(_FAILURE_SECONDS):
            await _read_up_to(limit, answer, decoder, body)
    return bytes(body[:limit])


async def read_into(sink: Sink, answer: RawResponse) -> None:
    """Read the body of a success into a sink, piece by piece.

    Args:
        sink: What takes it.
        answer: The answer.

    Raises:
        ConnectionLost: As for `read_whole`.
        ResponseError: It is longer than the limit of the sink, or it is compressed.
        SinkError: The sink raised an error.
    """
    _encoding_of(answer, _IDENTITY)
    _check_end(answer)
    length = answer.length
    if length is not None and length > sink.max_bytes:
        raise _too_large(answer, sink.max_bytes, b"")
    await _use_sink(sink.start())
    received = 0
    async for piece in answer.content.iter_any():
        received += len(piece)
        if received > sink.max_bytes:
            raise _too_large(answer, sink.max_bytes, b"")
        await _use_sink(sink.write(piece))


async def _use_sink(step: Awaitable[None]) -> None:
    try:
        await step
    except Exception as error:  # noqa: BLE001 -- the call raises it
        raise SinkError(error) from None


async def _read_up_to(limit: int, answer: RawResponse, decoder: _Decoder, body: bytearray) -> None:
    """Add an answer to `body` until that is longer than the limit."""
    async for piece in answer.content.iter_any():
        for decoded in decoder.pieces(piece):
            body += decoded
            if len(body) > limit:
                return


class _Decoder:
    """Undoes the encoding of a body.

    aiohttp could do this, but takes a compressed body for whole if its end is missing.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._stream: Any = None

    @property
    def is_whole(self) -> bool:
        """Whether no more has to follow; a body of no bytes at all is whole."""
        return self._stream is None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes of the body stand for.

        Raises:
            ConnectionLost: They are damaged.
        """
        if self._encoding == "identity":
            yield data
            return
        try:
            yield from self._decompressed(data)
            return
        except zlib.error:
            pass
        # Raised here, so that the error has no context.
        raise ConnectionLost("the compressed body of the answer is damaged")

    def _decompressed(self, data: bytes) -> Iterator[bytes]:
        more = bool(data)
        while more:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._window(data))
            piece = self._stream.decompress(data, _STEP)
            yield piece
            if self._stream.eof:
                # A gzip body can have several members, one behind the other.
                data, self._stream = self._stream.unused_data, None
                more = bool(data)
            else:
                # After a full step, more may wait to be written than is left to be read.
                data = self._stream.unconsumed_tail
                more = bool(data) or len(piece) == _STEP

    def _window(self, data: bytes) -> int:
        """Return the format, in zlib's numbers, of what begins with these bytes."""
        if self._encoding == "gzip":
            return 16 + zlib.MAX_WBITS
        # Some servers send "deflate" without the header of zlib, which ends in 8.
        return zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS


def _encoding_of(answer: RawResponse, expected: Sequence[str]) -> str:
    if "Content-Encoding" not in answer.headers:
        return "identity"
    encoding = ", ".join(answer.headers.getall("Content-Encoding")).lower()
    if encoding in expected:
        return encoding
    error = ResponseError(f"the answer is encoded as {encoding}, which was not asked for")
    raise with_response(error, answer.status, answer.headers, b"")


def _check_end(answer: RawResponse) -> None:
    if not answer.has_end:
        raise ConnectionLost("the answer does not say where it ends, so it may be cut short")


def _too_large(answer: RawResponse, limit: int, start: bytes) -> ResponseTooLarge:
    error = ResponseTooLarge(f"the answer is longer than {limit} bytes")
    return with_response(error, answer.status, answer.headers, start)
