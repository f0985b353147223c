"""Reads `multipart/form-data` bodies: the parts of an upload, under the bracket names of a form.

A part with a file name becomes an `Upload`. Any other part is text and is read like a field of an
ordinary form. The format: https://www.rfc-editor.org/rfc/rfc7578

Choices of the sandbox, because the published facts are silent: text before the first boundary and
after the last one is ignored; a part may declare the transfer encoding 7bit, 8bit or binary, and
any other one is refused; text has to be UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from attrs import frozen

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

# Own choice: bytes in which the head of a part must end.
MAX_PART_HEAD: Final = 8192

_DEFAULT_TYPE = "application/octet-stream"
_PLAIN_ENCODINGS = ("7bit", "8bit", "binary")

# RFC 2046, section 5.1.1: 1 to 70 characters, and the last one is no space.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*')

# In a quoted value, senders escape either with a backslash, or as browsers do, with %22, %0D
# and %0A only.
_ESCAPED = re.compile(r'\\(["\\])|%(22|0[AaDd])')


@frozen
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
        body: The whole body.
        content_type: The Content-Type header, which names the boundary.
        query: A form that is read first.

    Returns:
        The parameters, with an `Upload` for each file.

    Raises:
        Refusal: 400, if the body is not multipart, or for the reasons for which a form is refused.
    """
    form = decode(query)
    _, parameters = _parameters(content_type)
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise _malformed("its Content-Type names no valid boundary")
    for head, data in _parts(body, b"--" + boundary.encode()):
        name, value = _field(head, data)
        insert(form, name, value)
    return form


def _field(head: bytes, data: bytes) -> tuple[str, str | Upload]:
    lines = (line.partition(":") for line in checked_text(head).split("\r\n"))
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    kind, parameters = _parameters(headers.get("content-disposition", ""))
    if kind != "form-data" or "name" not in parameters:
        raise _malformed("a part has no name")
    if headers.get("content-transfer-encoding", "binary").lower() not in _PLAIN_ENCODINGS:
        raise invalid("Send each part as it is, without base64 or quoted-printable.")
    name = checked_text(parameters["name"].encode())
    # `filename*` (RFC 5987) can hold any character, and goes before the plain one.
    filename = parameters.get("filename*", parameters.get("filename"))
    if filename is None:
        return name, checked_text(data)
    return name, Upload(filename, headers.get("content-type", _DEFAULT_TYPE), data)


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the head and the data of each part."""
    # A part starts after a line that is the delimiter, and ends before CRLF and the delimiter.
    # The delimiter followed by "--" ends the body. `position` is at a delimiter in each round.
    position = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if position == 1:
        raise _malformed("its boundary does not occur")
    for _ in range(MAX_PAIRS + 1):
        position += len(delimiter)
        if body.startswith(b"--", position):
            return
        line_end = body.find(b"\r\n", position)
        if line_end < 0 or body[position:line_end].strip(b" \t"):
            raise _malformed("a boundary does not end its line")
        start = line_end + 2
        # The CRLF of the boundary line may also be the one before the next delimiter: then the
        # part is empty.
        end = body.find(b"\r\n" + delimiter, start - 2)
        if end < 0:
            raise _malformed("it ends within a part")
        yield _split(body, start, end)
        position = end + 2
    raise invalid(f"The request has more than {MAX_PAIRS} parameters.")


def _split(body: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    # An empty line ends the head. It may overlap the CRLF at either side: of the boundary line
    # before it (no headers), or of the delimiter after it (no data).
    blank = body.find(b"\r\n\r\n", start - 2, min(end, start + MAX_PART_HEAD) + 4)
    if blank < 0 or blank + 4 > end + 2:
        raise _malformed("a part has no head")
    return body[start:blank], body[blank + 4 : end]


def _parameters(header: str) -> tuple[str, dict[str, str]]:
    """Return the value of a header, in lower case, and its parameters by name."""
    value, separator, rest = header.partition(";")
    rest = (separator + rest).rstrip("; \t")
    found: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None:
            raise _malformed("one of its headers cannot be read")
        position = match.end()
        name = match[1].lower()
        text = match[3] if match[2] is None else _ESCAPED.sub(_unescaped, match[2])
        found[name] = _extended(text) if name.endswith("*") else text
    return value.strip().lower(), found


def _unescaped(match: re.Match[str]) -> str:
    return match[1] or chr(int(match[2], 16))


def _extended(text: str) -> str:
    # RFC 5987: charset'language'percent-escaped
    charset, _, rest = text.partition("'")
    _, _, escaped = rest.partition("'")
    if charset.lower() != "utf-8":
        raise _malformed("a file name is not UTF-8")
    return checked_text(unquote_to_bytes(escaped))


def _malformed(problem: str) -> Refusal:
    return invalid(f"The body is not valid multipart/form-data: {problem}.")
