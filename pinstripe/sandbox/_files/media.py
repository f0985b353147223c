"""File formats: recognize the format of some bytes, and make small images.

A format is recognized by the first bytes of the content. Plain text and ZIP archives have no such
mark for what they hold: there the file name decides. The images are valid, of a single shade of
grey, and carry a line of text, so that no two are the same.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from typing import Final

JPEG: Final = "jpg"
PNG: Final = "png"

TYPES: Final = {
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    JPEG: "image/jpeg",
    "json": "application/json",
    "pdf": "application/pdf",
    PNG: "image/png",
    "svg": "image/svg+xml",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
UNKNOWN_TYPE: Final = "application/octet-stream"

# The first bytes of each format, by its specification.
_STARTS: Final = (
    (b"%PDF-", "pdf"),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)
_ARCHIVES: Final = ("docx", "xlsx")
_SVG: Final = re.compile(rb"<svg[\s>]")
# An SVG can start with a declaration and comments, so its root element is looked for further in.
_HEAD: Final = 4096

# Frame headers of JPEG have the markers C0 to CF, except the tables C4, C8 and CC (ITU T.81, B.1).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def format_of(data: bytes, filename: str) -> str | None:
    """Return the format of a file as the API names it, such as `pdf`; None if it is unknown.

    Args:
        data: The content.
        filename: The name, which decides for text and archives.
    """
    for start, format in _STARTS:
        if data.startswith(start):
            return format
    named = filename.rpartition(".")[2].lower()
    if data.startswith(b"PK\x03\x04"):
        return named if named in _ARCHIVES else None
    if _SVG.search(data[:_HEAD]):
        return "svg"
    if named == "csv" and _is_text(data):
        return "csv"
    return "json" if named == "json" and _is_json(data) else None


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def pixels_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG or JPEG; None if they cannot be read."""
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        # The header chunk always comes first, and starts with the size.
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    if not data.startswith(b"\xff\xd8"):
        return None
    # A JPEG is a row of segments: FF, a marker, a length that counts itself, and the data. The
    # frame header has the size, so each segment before it is skipped by its length.
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], struct.unpack_from(">H", data, position + 2)[0]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        position += 2 + length
    return None


def png(shade: int, text: str) -> bytes:
    """Return a PNG of 8 by 8 pixels.

    Args:
        shade: Its grey, 0 to 255.
        text: A line of text that it carries, in Latin-1.
    """
    rows = (b"\0" + bytes([shade]) * 8) * 8
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)),
        (b"tEXt", b"Comment\0" + text.encode("latin-1")),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def jpeg(shade: int, text: str) -> bytes:
    """Return a JPEG of 8 by 8 pixels.

    Args:
        shade: Its grey, 160 to 191.
        text: A line of text that it carries, in Latin-1.
    """
    # The image is one block of 8 by 8 pixels of the same grey, so only its mean has to be encoded.
    # Each of the two Huffman tables has a single code, the bit 0: it means "a difference of seven
    # bits follows" (64 to 127) in the first table, and "end of the block" in the second. The data
    # is therefore 0, seven bits, 0, filled with ones to whole bytes.
    bits = f"0{2 * (shade - 128):07b}0".ljust(16, "1")
    # APP0 (JFIF), comment, quantization table, frame header, two Huffman tables, start of scan.
    segments = (
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        (0xFE, text.encode("latin-1")),
        (0xDB, b"\0" + b"\4" * 64),
        (0xC0, struct.pack(">BHHBBBB", 8, 8, 8, 1, 1, 0x11, 0)),
        (0xC4, b"\x00\1" + bytes(15) + b"\7"),
        (0xC4, b"\x10\1" + bytes(15) + b"\0"),
        (0xDA, b"\1\1\0\0\x3f\0"),
    )
    head = b"".join(
        struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body for mark, body in segments
    )
    return b"\xff\xd8" + head + int(bits, 2).to_bytes(2, "big") + b"\xff\xd9"
