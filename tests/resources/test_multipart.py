"""Multipart bodies: other parsers, one of them the sandbox's, read what was put in."""

from __future__ import annotations

import email
import email.policy
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe._core.errors import ConfigurationError
from pinstripe._disk.destination import Destination, make_folder
from pinstripe._disk.source import PIECE, Source, opened
from pinstripe._http.encoding import form_pairs
from pinstripe._resources.multipart import Multipart, multipart, name_of, type_of
from pinstripe.sandbox._params.forms import Upload, as_array
from pinstripe.sandbox._params.multipart import decode_multipart

pytestmark = pytest.mark.anyio


async def built(params: Any, content: Any, name: str, media_type: str = "image/png") -> Any:
    async with opened(content) as source:
        body = multipart(params, source, name, media_type)
        pieces = [piece async for piece in body.pieces()]
        again = [piece async for piece in body.pieces()]
    assert pieces == again
    assert all(len(piece) <= max(PIECE, len(pieces[0])) for piece in pieces)
    data = b"".join(pieces)
    assert len(data) == body.length
    assert repr(body) == f"Multipart(content_type={body.content_type!r})"
    return body, data


def parsed(body: Multipart, data: bytes) -> list[Any]:
    """The parts as Python's own parser of mail sees them."""
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + data, policy=email.policy.HTTP)
    assert message.is_multipart()
    assert not message.defects
    return list(message.iter_parts())


async def test_the_parts_in_full() -> None:
    params = {
        "purpose": "pci_document",
        "file_link_data": {"create": True, "expires_at": None, "metadata": {"a": "b"}},
        "expand": ["x", "y"],
    }
    body, data = await built(params, b"\x00\r\n--\xff", "a.png")
    boundary = body.content_type.partition("boundary=")[2]
    text = b"--%b\r\nContent-Disposition: form-data; name=" % boundary.encode()
    assert data == (
        text + b'"purpose"\r\n\r\npci_document\r\n'
        + text + b'"file_link_data[create]"\r\n\r\ntrue\r\n'
        + text + b'"file_link_data[metadata][a]"\r\n\r\nb\r\n'
        + text + b'"expand[0]"\r\n\r\nx\r\n'
        + text + b'"expand[1]"\r\n\r\ny\r\n'
        + text + b'"file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x00\r\n--\xff'
        + b"\r\n--%b--\r\n" % boundary.encode()
    )  # fmt: skip


async def test_another_parser_finds_the_parts() -> None:
    body, data = await built({"purpose": "a"}, b"\x89PNG\r\n\r\n", 'quo"te.png')
    purpose, file = parsed(body, data)
    assert purpose.get_param("name", header="content-disposition") == "purpose"
    assert purpose.get_payload(decode=True) == b"a"
    assert file.get_content_type() == "image/png"
    assert file.get_payload(decode=True) == b"\x89PNG\r\n\r\n"
    assert 'filename="quo%22te.png"' in file["content-disposition"]


async def test_a_parameter_that_utf_8_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        await built({"metadata": {"a": "\ud800"}}, b"", "a.png")
    assert caught.value.argument == "metadata[a]"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="[]%\\\0"),
    min_size=1,
    max_size=8,
)
PARAMS = st.dictionaries(
    NAMES.filter(lambda name: name != "file"),
    TEXT | st.dictionaries(NAMES, TEXT, min_size=1) | st.lists(TEXT, min_size=1, max_size=4),
    max_size=4,
)
FILE_NAMES = TEXT.filter(lambda name: bool(name) and not set(name) & set("\\%"))


@given(PARAMS, st.binary(max_size=200), FILE_NAMES)
async def test_the_sandbox_reads_what_was_sent(params, content, name) -> None:
    body, data = await built(params, content, name)
    form: Any = decode_multipart(data, body.content_type)
    assert form.pop("file") == Upload(name, "image/png", content)
    assert {
        key: as_array(v) if isinstance(params[key], list) else v for key, v in form.items()
    } == (params)


def test_the_fields_are_those_of_a_form() -> None:
    params = {"a": {"b": ["c", {"d": 1}]}}
    assert list(form_pairs(params)) == [("a[b][0]", "c"), ("a[b][1][d]", "1")]


async def test_boundaries_are_not_repeated() -> None:
    bodies = [(await built({}, b"x", "x"))[0].content_type for _ in range(50)]
    assert len(set(bodies)) == 50


# --- names and types ----------------------------------------------------------------------------


class Named(io.BytesIO):
    def __init__(self, name: Any) -> None:
        super().__init__(b"x")
        self.name = name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("folder/a.pdf", "a.pdf"),
        (Path("folder") / "ä b.pdf", "ä b.pdf"),
        (Named("/home/me/c.png"), "c.png"),
        (Named(Path("d.png")), "d.png"),
    ],
)
def test_a_file_is_sent_under_its_own_name(file, name) -> None:
    assert name_of(file, None) == name
    assert name_of(file, "other") == "other"


@pytest.mark.parametrize(
    ("file", "filename"),
    [
        (b"x", None),
        (io.BytesIO(), None),
        (Named(7), None),
        (Named(None), None),
        ("/", None),
        (b"x", ""),
        (b"x", 7),
        (b"x", "\udc80.pdf"),
        ("\udc80.pdf", None),
    ],
)
def test_names_that_are_missing_or_cannot_be_sent(file, filename) -> None:
    with pytest.raises(ConfigurationError) as caught:
        name_of(file, filename)
    assert caught.value.argument == "filename"


def test_types_are_guessed_from_the_name() -> None:
    assert type_of("a.PDF", None) == "application/pdf"
    assert type_of("a.b.png", None) == "image/png"
    assert type_of("nothing", None) == "application/octet-stream"
    assert type_of("a.pdf", "text/csv") == "text/csv"
    assert type_of("a", "text/csv; charset=utf-8") == "text/csv; charset=utf-8"


@pytest.mark.parametrize("wrong", ["", "png", "a/b\r\nX: y", "a/b ", "a/ä", 7, "a/b;"])
def test_types_that_cannot_be_sent(wrong) -> None:
    with pytest.raises(ConfigurationError) as caught:
        type_of("a", wrong)
    assert caught.value.argument == "content_type"


# --- files of this machine ----------------------------------------------------------------------


async def test_a_step_that_comes_after_a_destination_was_closed_does_nothing(tmp_path) -> None:
    async with Destination(tmp_path / "x", max_bytes=10**9, overwrite=False) as sink:
        await sink.start()
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    await sink.start()
    await sink.write(bytes(PIECE))
    await sink.commit()
    assert list(tmp_path.iterdir()) == []


async def test_a_step_that_comes_after_a_source_was_closed_reads_nothing(tmp_path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    source = Source(path)
    source.open()
    assert (source.size, await source.read(1), await source.read(3)) == (3, b"bc", b"")
    source.close()
    source.open()
    with pytest.raises(ConfigurationError):
        await source.read(0)


async def test_a_second_start_drops_the_bytes_of_the_first(tmp_path) -> None:
    async with Destination(tmp_path / "x", max_bytes=10**9, overwrite=False) as sink:
        for content in (b"first" * PIECE, b"second"):
            await sink.start()
            await sink.write(content)
            assert len(list(tmp_path.iterdir())) == 1
        assert (await sink.commit()).read_bytes() == b"second"


async def test_folders_are_made(tmp_path) -> None:
    folder = tmp_path / "a" / "b"
    assert await make_folder(str(folder)) == folder
    assert await make_folder(folder) == folder
    assert folder.is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        await make_folder(tmp_path / "file")
    with pytest.raises(ConfigurationError) as caught:
        await make_folder(7)  # type: ignore[arg-type]
    assert caught.value.argument == "folder"
