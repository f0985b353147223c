"""Multipart bodies: one file and the parameters beside it, as `multipart/form-data`.

https://docs.stripe.com/api/files/create

The parameters have the same bracketed names as in a form. The boundary is random, so nobody can
prepare a file that contains it.
"""

from __future__ import annotations

import mimetypes
import os
import re
import secrets
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from attrs import field, frozen

from pinstripe._core.errors import ConfigurationError
from pinstripe._disk.source import FileContent, Source, path_of
from pinstripe._http.encoding import form_pairs

_UNKNOWN_TYPE: Final = "application/octet-stream"

# A type, a subtype and parameters, each of the characters that registered types use.
# https://www.rfc-editor.org/rfc/rfc6838#section-4.2
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?[\w.+-]+=[\w.+-]+)*", re.ASCII)

# A quoted name in a header of a part is escaped as browsers do it.
# https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
_ESCAPES: Final = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}


@frozen(kw_only=True)
class Multipart:
    """A body with a file in it, which the transport streams.

    The body is never whole in memory: it is a head, the pieces of the file, and a tail. Its length
    is known before it is sent, from the size that the file had when it was opened. Each attempt
    reads the pieces again from the start of the file.

    Attributes:
        content_type: The header that names the boundary.
        source: The content of the file.
        head: The bytes before the file: the parameters, and the headers of the file.
        tail: The bytes after it.
        parts: The texts of the parameters, by their bracketed names.
    """

    content_type: str
    source: Source = field(repr=False)
    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)
    parts: Mapping[str, str] = field(repr=False)

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.head) + self.source.size + len(self.tail)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body from its start."""
        yield self.head
        offset = 0
        while piece := await self.source.read(offset):
            offset += len(piece)
            yield piece
        yield self.tail


def multipart(
    params: Mapping[str, Any], source: Source, filename: str, content_type: str
) -> Multipart:
    """Return the body of an upload.

    Args:
        params: The parameters beside the file, nested as the API nests them.
        source: The content of the file.
        filename: The name of the file.
        content_type: Its media type.

    Raises:
        ConfigurationError: A parameter has no exact form on the wire.
    """
    boundary = secrets.token_hex(24)
    parts = tuple(form_pairs(params))
    file = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{_quoted(filename)}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return Multipart(
        content_type=f"multipart/form-data; boundary={boundary}",
        source=source,
        head=b"".join(_part(boundary, name, value) for name, value in parts) + file.encode(),
        tail=f"\r\n--{boundary}--\r\n".encode(),
        parts=dict(parts),
    )


def _part(boundary: str, name: str, value: str) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    try:
        return f"--{boundary}\r\n{disposition}\r\n\r\n{value}\r\n".encode()
    except UnicodeEncodeError:
        raise ConfigurationError(name, "holds a lone surrogate, which UTF-8 cannot") from None


def _quoted(text: str) -> str:
    return text.translate(_ESCAPES)


def name_of(file: FileContent, filename: str | None) -> str:
    """Return the name that a file is sent under.

    Args:
        file: The content that is sent.
        filename: The name that the caller gave, if any.

    Raises:
        ConfigurationError: The name is missing, or cannot be sent.
    """
    found: Any = filename
    if filename is None:
        # A file object has the name that it was opened with, which can be a number: a descriptor.
        given: Any = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", None)
        found = path_of("file", given).name if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(found, str) or not found:
        problem = "is needed if file is neither a path nor a file object with a name"
        raise ConfigurationError("filename", problem)
    try:
        found.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("filename", "cannot be written in UTF-8; pass another") from None
    return str.__str__(found)


def type_of(filename: str, content_type: str | None) -> str:
    """Return the media type that a file is sent as.

    Args:
        filename: The name of the file; its ending is looked up if there is no type.
        content_type: The type that the caller gave, if any.

    Raises:
        ConfigurationError: The type does not have the form of a media type.
    """
    if content_type is None:
        return mimetypes.guess_type(filename)[0] or _UNKNOWN_TYPE
    if not isinstance(content_type, str) or not _TYPE.fullmatch(content_type):
        raise ConfigurationError("content_type", "must be a media type, such as 'image/png'")
    return str.__str__(content_type)
