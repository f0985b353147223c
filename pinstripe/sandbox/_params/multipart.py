"""Reads `multipart/form-data` bodies: the parts of an upload, under the bracket names of a form.

A part with a file name becomes an `Upload`, any other part is text and reads like a field of an
ordinary form. Choices where the published facts are silent: a preamble and what follows the last
boundary are ignored; a part may say that it is 7bit, 8bit or binary, other transfer encodings are
refused; text has to be UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

import attrs

from pinstripe.sandbox._params.errors import Refusal, invalid, shortened
from pinstripe.sandbox._params.forms import (
    MAX_PAIRS,
    Form,
    Tree,
    Upload,
    checked_text,
    decode,
    insert,
)

MEDIA_TYPE: Final = "multipart/form-data"

MAX_PART_HEAD: Final = 8192

_DEFAULT_TYPE = "application/octet-stream"
_PLAIN_ENCODINGS = ("7bit", "8bit", "binary")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*')
_ESCAPED = re.compile(r'\\(["\\])|%(22|0[AaDd])')


@attrs.frozen
class Binary:
    """A file: a part of a multipart body that has a file name."""

    def read(self, raw: Tree, path: str) -> Upload:
        """Return the file."""
        if not isinstance(raw, Upload):
            problem = "must be a file, in a part of a multipart/form-data body with a file name"
            raise invalid(f"Invalid {shortened(path)}: {problem}", path)
        return raw


FILE: Final = Binary()


def decode_multipart(body: bytes, content_type: str, query: str = "") -> Form:
    """Decode one body.

    Args:
        body: the whole body.
        content_type: the Content-Type header, which names the boundary.
        query: a form that is read first.

    Returns:
        The parameters, with an `Upload` for each file.

    Raises:
        Refusal: 400, for a body that is not multipart, and for what a form is refused for.
    """
    form = decode(query)
    for name, value in _fields(body, _boundary(content_type)):
        insert(form, name, value)
    return form


def _fields(body: bytes, boundary: bytes) -> Iterator[tuple[str, str | Upload]]:
    for head, data in _parts(body, b"--" + boundary):
        headers = _headers(head)
        kind, parameters = _parameters(headers.get("content-disposition", ""))
        if kind != "form-data" or "name" not in parameters:
            raise _malformed("a part has no name")
        if headers.get("content-transfer-encoding", "binary").lower() not in _PLAIN_ENCODINGS:
            raise invalid("Parts must be sent as they are, not base64 or quoted-printable.")
        yield checked_text(parameters["name"].encode()), _value(headers, parameters, data)


def _value(headers: dict[str, str], parameters: dict[str, str], data: bytes) -> str | Upload:
    filename = parameters.get("filename*", parameters.get("filename"))
    if filename is None:
        return checked_text(data)
    return Upload(filename, headers.get("content-type", _DEFAULT_TYPE), data)


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if position == 1:
        raise _malformed("its boundary does not occur")
    for _ in range(MAX_PAIRS + 1):
        position += len(delimiter)
        if body.startswith(b"--", position):
            return
        start = _end_of_line(body, position)
        end = body.find(b"\r\n" + delimiter, start - 2)
        if end < 0:
            raise _malformed("it ends within a part")
        yield _split(body, start, end)
        position = end + 2
    raise invalid(f"The request has more than {MAX_PAIRS} parameters.")


def _end_of_line(body: bytes, position: int) -> int:
    end = body.find(b"\r\n", position)
    if end < 0 or body[position:end].strip(b" \t"):
        raise _malformed("a boundary does not end its line")
    return end + 2


def _split(body: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    blank = body.find(b"\r\n\r\n", start - 2, min(end, start + MAX_PART_HEAD) + 4)
    if blank < 0 or blank + 4 > end + 2:
        raise _malformed("a part has no head")
    return body[start:blank], body[blank + 4 : end]


def _headers(head: bytes) -> dict[str, str]:
    lines = checked_text(head).split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _boundary(content_type: str) -> bytes:
    _, parameters = _parameters(content_type)
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise _malformed("it names no boundary")
    return boundary.encode()


def _parameters(header: str) -> tuple[str, dict[str, str]]:
    value, separator, rest = header.partition(";")
    rest = (separator + rest).rstrip("; \t")
    found: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None:
            raise _malformed("a header of it cannot be read")
        position = match.end()
        name = match[1].lower()
        text = match[3] if match[2] is None else _ESCAPED.sub(_unescaped, match[2])
        found[name] = _extended(text) if name.endswith("*") else text
    return value.strip().lower(), found


def _unescaped(match: re.Match[str]) -> str:
    return match[1] or chr(int(match[2], 16))


def _extended(text: str) -> str:
    charset, _, rest = text.partition("'")
    _, _, escaped = rest.partition("'")
    if charset.lower() != "utf-8":
        raise _malformed("a file name is not UTF-8")
    return checked_text(unquote_to_bytes(escaped))


def _malformed(problem: str) -> Refusal:
    return invalid(f"The body is not valid multipart/form-data: {problem}.")
