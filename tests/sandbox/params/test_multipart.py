"""Multipart bodies: those of browsers and clients are read, anything else is a 400."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.sandbox._params.forms import MAX_PAIRS, Upload
from pinstripe.sandbox._params.multipart import FILE, decode_multipart
from pinstripe.sandbox._params.schema import Object
from tests.support.sandbox_api import refusal_of

TYPE = "multipart/form-data; boundary=b1"


def part(disposition: str, data: bytes, *lines: str) -> bytes:
    head = "\r\n".join([f"Content-Disposition: form-data; {disposition}", *lines])
    return b"--b1\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b1--\r\n"


def test_files_and_fields_are_read() -> None:
    form = decode_multipart(
        b"preamble\r\n"
        + body(
            part('name="purpose"', b"selfie"),
            part('name="metadata[a]"', "é".encode()),
            part('name="expand[]"', b"links"),
            part('name="file"; filename="a b.png"', b"\x00\r\n--b", "Content-Type: image/png"),
        )
        + b"epilogue",
        TYPE,
        "metadata[b]=2",
    )
    assert form == {
        "purpose": "selfie",
        "metadata": {"a": "é", "b": "2"},
        "expand": ["links"],
        "file": Upload("a b.png", "image/png", b"\x00\r\n--b"),
    }
    assert "x00" not in repr(form["file"])


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('name="f"; filename="a"', "a"),
        ("name=f; filename=a", "a"),
        ('NAME="f"; FileName="a"', "a"),
        ('name="f"; filename=""', ""),
        ('name="f"; filename="a;b=c"', "a;b=c"),
        ('name="f"; filename="a\\"b\\\\c"', 'a"b\\c'),
        ('name="f"; filename="a%22b%0D%0A%41"', 'a"b\r\n%41'),
        ('name="f"; filename="é"', "é"),
        ('name="f"; filename="_"; filename*=UTF-8\'\'%C3%A9%20x', "é x"),
        ('name="f"; filename="a";', "a"),
    ],
)
def test_file_names(disposition: str, filename: str) -> None:
    form = decode_multipart(body(part(disposition, b"")), TYPE)
    assert form == {"f": Upload(filename, "application/octet-stream", b"")}


def test_a_body_without_parts_is_an_empty_form() -> None:
    assert decode_multipart(b"--b1--", TYPE, "a=b") == {"a": "b"}


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="b1"',
        "multipart/form-data;charset=utf-8 ; Boundary=b1",
    ],
)
def test_boundaries_are_found(content_type: str) -> None:
    assert decode_multipart(body(part('name="a"', b"1")), content_type) == {"a": "1"}


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (body(part('name="a"', b"1")), "multipart/form-data"),
        (body(part('name="a"', b"1")), "multipart/form-data; boundary="),
        (body(part('name="a"', b"1")), "multipart/form-data; boundary=" + "b" * 71),
        (body(part('name="a"', b"1")), "multipart/form-data; boundary"),
        (body(part('name="a"', b"1")), "multipart/form-data; boundary=b2"),
        (b"", TYPE),
        (b"--b1", TYPE),
        (b"--b1\r\n", TYPE),
        (b"--b1 x\r\n", TYPE),
        (b"--b1\r\n--b1--", TYPE),
        (b"--b1\r\n\r\n--b1--", TYPE),
        (b"--b1\r\nno colon\r\n\r\n1\r\n--b1--", TYPE),
        (part('name="a"', b"1"), TYPE),
        (body(part('filename="a"', b"1")), TYPE),
        (body(part('name="a', b"1")), TYPE),
        (body(part('name="a" filename="b"', b"1")), TYPE),
        (body(part('name="a"', b"\xff")), TYPE),
        (body(part('name="a"', b"\0")), TYPE),
        (body(part('name="a\0"', b"")), TYPE),
        (body(part('name="a["', b"1")), TYPE),
        (body(part('name="a"', b"1"), part('name="a[b]"', b"1")), TYPE),
        (body(part('name="a[]"; filename="b"', b"1")), TYPE),
        (body(part('name="a"; filename="b"', b""), part('name="a[b]"', b"1")), TYPE),
        (body(part('name="a"', b"MQ==", "Content-Transfer-Encoding: base64")), TYPE),
        (body(part("name=\"a\"; filename*=latin-1''%E9", b"")), TYPE),
        (body(part("name=\"a\"; filename*=UTF-8''%FF", b"")), TYPE),
        (body(part('name="a"', b"1", "X: " + "y" * 9000)), TYPE),
        (body(*[part(f'name="a{number}"', b"") for number in range(MAX_PAIRS + 1)]), TYPE),
    ],
)
def test_what_is_not_multipart_is_a_400(data: bytes, content_type: str) -> None:
    refusal = refusal_of(lambda: decode_multipart(data, content_type))
    assert refusal is not None
    assert (refusal.status, refusal.type) == (400, "invalid_request_error")


def test_as_many_parts_as_a_form_has_pairs() -> None:
    parts = [part(f'name="a{number}"', b"") for number in range(MAX_PAIRS)]
    assert len(decode_multipart(body(*parts), TYPE)) == MAX_PAIRS


@given(
    st.dictionaries(
        st.text("abcé", min_size=1, max_size=4),
        st.one_of(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
            st.binary(max_size=40),
        ),
        max_size=5,
    )
)
def test_what_was_written_is_read(values: dict[str, Any]) -> None:
    boundary = b"=_boundary_that_does_not_occur_0123456789"
    pieces = []
    for name, value in values.items():
        file = '; filename="x"' if isinstance(value, bytes) else ""
        head = f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        data = value if isinstance(value, bytes) else value.encode()
        pieces.append(b"--" + boundary + b"\r\n" + head + data + b"\r\n")
    sent = b"".join(pieces) + b"--" + boundary + b"--\r\n"
    form = decode_multipart(sent, f"multipart/form-data; boundary={boundary.decode()}")
    assert form == {
        name: Upload("x", "application/octet-stream", value) if isinstance(value, bytes) else value
        for name, value in values.items()
    }


FRAGMENTS = st.sampled_from(
    [
        b"--b1",
        b"--b1--",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; ",
        b'name="a"',
        b"; ",
        b'filename="b"',
        b"\0",
        b"\xff",
        b'"',
        b"x",
    ]
)


@given(st.lists(FRAGMENTS, max_size=30))
def test_garbage_is_read_or_refused(fragments: list[bytes]) -> None:
    refusal_of(lambda: decode_multipart(b"".join(fragments), TYPE))


@given(st.text(max_size=60))
def test_garbage_content_types_are_read_or_refused(content_type: str) -> None:
    refusal_of(lambda: decode_multipart(b"--b1--", "multipart/form-data;" + content_type))


def test_a_file_parameter_takes_files_only() -> None:
    schema = Object({"file": FILE})
    upload = Upload("a", "b", b"c")
    assert schema.read_form({"file": upload}) == {"file": upload}
    refusal = refusal_of(lambda: schema.read_form({"file": "text"}))
    assert refusal is not None
    assert refusal.param == "file"
