"""Uploads: one file and the parameters beside it, as a `multipart/form-data` body.

https://docs.stripe.com/api/files/create

The parameters have the same bracket names as in a form. The boundary is random, so that no file
can be made to hold it.
"""

from __future__ import annotations

import mimetypes
import os
import re
import secrets
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, cast

from attrs import field, frozen

from pinstripe._core.errors import ConfigurationError
from pinstripe._disk.source import FileContent, Source
from pinstripe._http.encoding import form_pairs

UNKNOWN_TYPE = "application/octet-stream"

_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?[\w.+-]+=[\w.+-]+)*", re.ASCII)
_ESCAPES = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}


@frozen(kw_only=True)
class Multipart:
    """A body with a file in it; one of the uploads that a transport streams.

    Attributes:
        content_type: The header that names the boundary.
        source: The content of the file.
        head: What comes before it.
        tail: What comes after it.
    """

    content_type: str
    source: Source = field(repr=False)
    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)

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
        filename: Its name.
        content_type: Its media type.

    Raises:
        ConfigurationError: A parameter cannot be sent as it is.
    """
    boundary = secrets.token_hex(24)
    head = [_part(boundary, name, value) for name, value in form_pairs(params)]
    file = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{_quoted(filename)}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return Multipart(
        content_type=f"multipart/form-data; boundary={boundary}",
        source=source,
        head=b"".join(head) + file.encode(),
        tail=f"\r\n--{boundary}--\r\n".encode(),
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
        file: What is sent.
        filename: The name that the caller gave, if any.

    Raises:
        ConfigurationError: It is missing or cannot be sent.
    """
    found: Any = filename
    if filename is None:
        given: Any = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", None)
        known = isinstance(given, (str, os.PathLike))
        found = Path(cast("str | os.PathLike[str]", given)).name if known else None
    if not isinstance(found, str) or not found:
        raise ConfigurationError(
            "filename", "is needed where file is neither a path nor has a name"
        )
    try:
        found.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("filename", "cannot be written in UTF-8; pass another") from None
    return found


def type_of(filename: str, content_type: str | None) -> str:
    """Return the media type that a file is sent as.

    Args:
        filename: Its name, whose ending is looked up where there is no type.
        content_type: The type that the caller gave, if any.

    Raises:
        ConfigurationError: It has not the form of a media type.
    """
    if content_type is None:
        return mimetypes.guess_type(filename)[0] or UNKNOWN_TYPE
    if not isinstance(content_type, str) or not _TYPE.fullmatch(content_type):
        raise ConfigurationError("content_type", "must be a media type, such as 'image/png'")
    return content_type
