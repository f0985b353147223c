"""Files: models, parameters that are sent, and whole files against the sandbox, up and down."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest

from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import (
    APIError,
    ConfigurationError,
    DecodeError,
    IncompleteError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
)
from pinstripe._http.messages import Request, Response
from pinstripe._models.convert import to_dict
from pinstripe._models.native import is_native
from pinstripe._models.page import Page
from pinstripe._resources.endpoint import response_of
from pinstripe._resources.walk import Created
from pinstripe.files import File, FileLink, FileLinks, Files
from pinstripe.identity import ReportDocument, ReportSelfie, VerificationReport
from pinstripe.sandbox import ManualClock, Sandbox
from tests.support.decoding import read

pytestmark = pytest.mark.anyio

NOW = 1_790_510_400
NOON = datetime.fromtimestamp(NOW, timezone.utc)
SECRET = "https://files.example/links/wHoEvErHoLdS"
PDF = b"%PDF-1.7 a receipt"

LINK: dict[str, Any] = {
    "id": "link_Mq2",
    "object": "file_link",
    "created": NOW,
    "expired": False,
    "expires_at": NOW + 30,
    "file": "file_Rt7",
    "livemode": False,
    "metadata": {"case": "private-9"},
    "url": SECRET,
}
FILE: dict[str, Any] = {
    "id": "file_Rt7",
    "object": "file",
    "created": NOW,
    "expires_at": None,
    "filename": "passport of Mirel.jpg",
    "links": {
        "object": "list",
        "data": [LINK],
        "has_more": False,
        "url": "/v1/file_links?file=file_Rt7",
    },
    "purpose": "identity_document_downloadable",
    "size": 318204,
    "title": "Mirel, front",
    "type": "jpg",
    "url": "https://files.example/v1/files/file_Rt7/contents",
}
BARE = {
    "id": "file_1",
    "object": "file",
    "created": NOW,
    "purpose": "some_new_purpose",
    "size": 0,
}


def noting(kind: Any, data: Any) -> tuple[Any, list[Request]]:
    """Return a resource over a sender that notes what it is asked and always answers `data`."""
    requests: list[Request] = []

    async def send(request: Request) -> Response:
        requests.append(request)
        return Response(status=200, headers={}, body=json.dumps(data).encode())

    return kind(send), requests


def sent(request: Request) -> dict[str, str]:
    form = request.body.decode() if request.body is not None else request.query
    return dict(parse_qsl(form, keep_blank_values=True))


# --- models -------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [File, FileLink, Page[File], Page[FileLink]])
def test_models_are_built_natively(model) -> None:
    assert is_native(model)


def test_models_are_read_whole() -> None:
    file = read(FILE, File)
    assert to_dict(file) == FILE
    assert read(to_dict(file), File) == file
    assert file.created == NOON
    assert isinstance(file.links.data[0], FileLink)
    assert file.links.data[0].expires_at == NOON + timedelta(seconds=30)
    link = read({**LINK, "file": FILE}, FileLink)
    assert link.file == file
    assert pickle.loads(pickle.dumps(link)) == link


def test_what_can_be_missing_is_none() -> None:
    file = read(BARE, File)
    assert file.purpose == "some_new_purpose"
    assert {file.expires_at, file.filename, file.links, file.title, file.type, file.url} == {None}
    link = read({**LINK, "expires_at": None, "url": None}, FileLink)
    assert (link.expires_at, link.url) == (None, None)


def test_what_opens_a_file_or_names_a_person_is_not_shown() -> None:
    file = read(FILE, File)
    shown = repr(file) + repr(file.links.data[0]) + repr(read({**LINK, "file": FILE}, FileLink))
    for secret in (SECRET, "Mirel", "private-9"):
        assert secret not in shown
    assert "file_Rt7" in shown


@pytest.mark.parametrize("missing", ["id", "created", "purpose", "size"])
def test_a_file_without_what_it_must_have_is_refused(missing) -> None:
    data = {name: value for name, value in BARE.items() if name != missing}
    with pytest.raises(DecodeError):
        read(data, File)


# --- parameters ---------------------------------------------------------------------------------


async def test_an_upload_goes_to_the_address_of_files() -> None:
    files, requests = noting(Files, FILE)
    options = RequestOptions(idempotency_key="k-1", account="acct_1")
    made = await files.create(
        file=b"x",
        filename="a.png",
        purpose="business_logo",
        file_link_data={"create": True, "expires_at": NOON, "metadata": {"a": "1"}},
        expand=["links"],
        request_options=options,
    )
    assert made == read(FILE, File)
    assert response_of(made).status == 200
    (request,) = requests
    assert (request.method, request.host, request.path) == ("POST", "files", "/v1/files")
    assert request.idempotency_key == "k-1"
    assert request.headers["Stripe-Account"] == "acct_1"
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert request.body is None
    assert request.upload is not None
    assert "private" not in repr(request)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"file_link_data": {}}, "file_link_data"),
        ({"file_link_data": "yes"}, "file_link_data"),
        ({"file_link_data": {"create": 1.5}}, "file_link_data[create]"),
        ({"file_link_data": {"create": True, "metadata": {"a": 1}}}, "file_link_data[metadata][a]"),
        (
            {"file_link_data": {"create": True, "expires_at": datetime(2026, 1, 1)}},  # noqa: DTZ001
            "file_link_data[expires_at]",
        ),
        ({"expand": []}, "expand"),
        ({"purpose": "\udc80"}, "purpose"),
        ({"filename": ""}, "filename"),
        ({"content_type": "a\r\nb"}, "content_type"),
        ({"file": 7}, "file"),
    ],
)
async def test_arguments_that_cannot_be_sent(arguments, name) -> None:
    files, requests = noting(Files, FILE)
    with pytest.raises(ConfigurationError) as caught:
        await files.create(
            **{"file": b"x", "filename": "a.png", "purpose": "business_logo", **arguments}
        )
    assert caught.value.argument == name
    assert requests == []


async def test_calls_on_files_are_sent_as_they_are_written() -> None:
    files, requests = noting(Files, {"object": "list", "data": [], "has_more": False})
    await files.list(created=Created(gte=NOON), purpose="selfie", expand=["data.links"], limit=3)
    (request,) = requests
    assert (request.method, request.host, request.path) == ("GET", "api", "/v1/files")
    assert sent(request) == {
        "created[gte]": str(NOW),
        "purpose": "selfie",
        "expand[0]": "data.links",
        "limit": "3",
    }
    files, requests = noting(Files, FILE)
    await files.retrieve("file_Rt7", expand=["links"])
    assert requests[0].path == "/v1/files/file_Rt7"
    assert sent(requests[0]) == {"expand[0]": "links"}


async def test_calls_on_links_are_sent_as_they_are_written() -> None:
    links, requests = noting(FileLinks, {**LINK, "id": "link_1"})
    later = NOON + timedelta(hours=1)
    await links.create(file="file_1", expires_at=later, metadata={"a": "b"}, expand=["file"])
    await links.retrieve("link_1", expand=["file"])
    await links.update("link_1", expires_at="now")
    await links.update("link_1", expires_at="", metadata="")
    await links.update("link_1", expires_at=later, metadata={"a": ""}, expand=["file"])
    end = str(NOW + 3600)
    assert [(request.method, request.path, sent(request)) for request in requests] == [
        (
            "POST",
            "/v1/file_links",
            {"file": "file_1", "expires_at": end, "metadata[a]": "b", "expand[0]": "file"},
        ),
        ("GET", "/v1/file_links/link_1", {"expand[0]": "file"}),
        ("POST", "/v1/file_links/link_1", {"expires_at": "now"}),
        ("POST", "/v1/file_links/link_1", {"expires_at": "", "metadata": ""}),
        (
            "POST",
            "/v1/file_links/link_1",
            {"expires_at": end, "metadata[a]": "", "expand[0]": "file"},
        ),
    ]
    links, requests = noting(FileLinks, {"object": "list", "data": [], "has_more": False})
    await links.list(created=NOON, expired=False, file="file_1", expand=["data.file"], limit=1)
    assert requests[0].path == "/v1/file_links"
    assert sent(requests[0]) == {
        "created": str(NOW),
        "expired": "false",
        "file": "file_1",
        "expand[0]": "data.file",
        "limit": "1",
    }


@pytest.mark.parametrize("wrong", ["never", "1790510400", 1.5, datetime(2026, 1, 1)])  # noqa: DTZ001
async def test_an_end_that_is_none_is_refused(wrong) -> None:
    links, requests = noting(FileLinks, LINK)
    with pytest.raises(ConfigurationError) as caught:
        await links.update("link_1", expires_at=wrong)
    assert caught.value.argument == "expires_at"
    assert requests == []


# --- against the sandbox ------------------------------------------------------------------------


async def test_a_file_from_upload_to_download(tmp_path) -> None:
    source = tmp_path / "receipt.pdf"
    source.write_bytes(PDF)
    async with Sandbox() as sandbox, sandbox.client() as stripe:
        made = await stripe.files.create(file=source, purpose="dispute_evidence")
        assert (made.filename, made.type, made.size) == ("receipt.pdf", "pdf", len(PDF))
        assert await stripe.files.retrieve(made.id) == made
        for file in (made, made.id):
            assert await stripe.files.read(file) == PDF
            path = await stripe.files.download(file, tmp_path / "copy", overwrite=True)
            assert path.read_bytes() == PDF
        other = await stripe.files.create(
            file=PDF, filename="b", purpose="pci_document", file_link_data={"create": True}
        )
        assert other.links is not None
        assert [file.id async for file in stripe.files.list()] == [other.id, made.id]
        assert [file.id async for file in stripe.files.list(purpose="dispute_evidence")] == [
            made.id
        ]


async def test_what_a_purpose_does_not_take_is_refused() -> None:
    async with Sandbox() as sandbox, sandbox.client() as stripe:
        for purpose in ("selfie", "anything", "business_logo"):
            with pytest.raises(InvalidRequestError) as caught:
                await stripe.files.create(file=PDF, filename="a.pdf", purpose=purpose)
            assert caught.value.param in ("purpose", "file")
        with pytest.raises(NotFoundError):
            await stripe.files.retrieve("file_none")
        with pytest.raises(NotFoundError):
            await stripe.files.read("file_none")


async def test_an_upload_with_the_key_of_another_is_that_other() -> None:
    options = RequestOptions(idempotency_key="k-1")
    async with Sandbox() as sandbox, sandbox.client() as stripe:
        first, second = [
            await stripe.files.create(
                file=PDF, filename="a.pdf", purpose="pci_document", request_options=options
            )
            for _ in range(2)
        ]
        assert first == second
        assert response_of(second).replayed


async def test_links_come_and_end(tmp_path) -> None:
    clock = ManualClock(NOW)
    async with Sandbox(clock=clock) as sandbox, sandbox.client() as stripe:
        file = await stripe.files.create(file=PDF, filename="a.pdf", purpose="pci_document")
        link = await stripe.file_links.create(file=file.id, metadata={"case": "1"})
        assert (link.file, link.expired, link.expires_at) == (file.id, False, None)
        path = await stripe.file_links.download(link, tmp_path / "copy")
        assert path.read_bytes() == PDF
        hour = NOON + timedelta(hours=1)
        changed = await stripe.file_links.update(link.id, expires_at=hour, metadata={"case": ""})
        assert (changed.expires_at, changed.metadata) == (hour, {})
        clock.advance(3600)
        ended = await stripe.file_links.retrieve(link.id, expand=["file"])
        assert isinstance(ended.file, File)
        assert (ended.expired, ended.url, ended.file.id) == (True, None, file.id)
        with pytest.raises(APIError) as caught:
            await stripe.file_links.download(link, tmp_path / "late")
        assert caught.value.status == 404
        with pytest.raises(ConfigurationError):
            await stripe.file_links.download(ended, tmp_path / "late")
        with pytest.raises(InvalidRequestError):
            await stripe.file_links.update(link.id, expires_at="")
        second = await stripe.file_links.create(file=file.id)
        assert (await stripe.file_links.update(second.id, expires_at="now")).expired
        third = await stripe.file_links.create(file=file.id)
        assert [one.id async for one in stripe.file_links.list(expired=False)] == [third.id]
        listed = [one.id async for one in stripe.file_links.list(file=file.id)]
        assert listed == [third.id, second.id, link.id]
        shown = (await stripe.files.retrieve(file.id)).links
        assert shown is not None
        assert [one.id for one in shown] == listed


# --- images of verification reports -------------------------------------------------------------


async def report_of(sandbox: Sandbox, stripe: Any, **options: Any) -> VerificationReport:
    sessions = stripe.identity.verification_sessions
    session = await sessions.create(
        type="document", options={"document": options} if options else None
    )
    sandbox.identity.verify(session.id)
    session = await sessions.retrieve(session.id)
    return await stripe.identity.verification_reports.retrieve(session.last_verification_report)


async def test_every_image_of_a_report_is_downloaded(tmp_path) -> None:
    folder = tmp_path / "images" / "of a report"
    async with Sandbox() as sandbox, sandbox.client(api_key=sandbox.restricted_key) as stripe:
        report = await report_of(sandbox, stripe, require_matching_selfie=True)
        paths = await stripe.files.download_images(report, folder)
        assert report.document is not None
        assert report.document.files is not None
        assert report.selfie is not None
        wanted = (*report.document.files, report.selfie.document, report.selfie.selfie)
        assert tuple(paths) == wanted
        assert [path.name for path in paths.values()] == [
            *(f"{id}.jpg" for id in wanted[:-1]),
            f"{wanted[-1]}.png",
        ]
        starts = {path.suffix: path.read_bytes()[:4] for path in paths.values()}
        assert starts == {".jpg": b"\xff\xd8\xff\xe0", ".png": b"\x89PNG"}
        assert sorted(folder.iterdir()) == sorted(paths.values())
        assert await stripe.files.download_images(report, folder, overwrite=True) == paths
        plain = await report_of(sandbox, stripe)
        assert len(await stripe.files.download_images(plain, str(folder))) == 2


async def test_images_that_fail_are_told_and_the_others_kept(tmp_path) -> None:
    async with Sandbox() as sandbox, sandbox.client(api_key=sandbox.restricted_key) as stripe:
        report = await report_of(sandbox, stripe)
        assert report.document is not None
        assert report.document.files is not None
        document = attrs.evolve(report.document, files=(*report.document.files, "file_gone"))
        with pytest.raises(IncompleteError) as caught:
            await stripe.files.download_images(attrs.evolve(report, document=document), tmp_path)
        error = caught.value
        assert str(error) == "1 of 3 images failed: file_gone (NotFoundError)"
        assert type(error.errors["file_gone"]) is NotFoundError
        assert tuple(error.paths) == report.document.files
        assert all(path.read_bytes() for path in error.paths.values())
        twin = pickle.loads(pickle.dumps(error))
        assert (str(twin), twin.paths, set(twin.errors)) == (
            str(error),
            error.paths,
            {"file_gone"},
        )


async def test_a_plain_key_may_not_read_images(tmp_path) -> None:
    async with Sandbox() as sandbox, sandbox.client() as stripe:
        report = await report_of(sandbox, stripe)
        with pytest.raises(IncompleteError) as caught:
            await stripe.files.download_images(report, tmp_path)
        assert {type(error) for error in caught.value.errors.values()} == {PermissionDeniedError}
        assert list(tmp_path.iterdir()) == []


async def test_images_are_gone_after_a_redaction(tmp_path) -> None:
    async with Sandbox() as sandbox, sandbox.client(api_key=sandbox.restricted_key) as stripe:
        report = await report_of(sandbox, stripe)
        assert report.verification_session is not None
        await stripe.identity.verification_sessions.redact(report.verification_session)
        sandbox.identity.finish_redaction(report.verification_session)
        with pytest.raises(IncompleteError) as caught:
            await stripe.files.download_images(report, tmp_path)
        assert {type(error) for error in caught.value.errors.values()} == {ConfigurationError}


async def test_a_report_without_images(tmp_path) -> None:
    files, requests = noting(Files, FILE)
    for document, selfie in (
        (None, None),
        (ReportDocument(status="unverified"), ReportSelfie(status="unverified")),
    ):
        report = VerificationReport(
            id="vr_1", created=NOON, livemode=False, type="id_number",
            document=document, selfie=selfie,
        )  # fmt: skip
        assert await files.download_images(report, tmp_path / "none") == {}
    assert requests == []


@pytest.mark.parametrize("ending", [None, "", "../x", "JPG", "a" * 9])
async def test_the_name_of_an_image_is_made_of_its_id(tmp_path, ending) -> None:
    async def send(request: Request) -> Response:
        body = json.dumps({**FILE, "id": "file_1", "type": ending}).encode()
        return Response(status=200, headers={}, body=body)

    document = ReportDocument(status="verified", files=("file_1", "file_1"))
    report = VerificationReport(
        id="vr_1", created=NOON, livemode=False, type="document", document=document
    )
    paths = await Files(send).download_images(report, tmp_path)
    assert paths == {"file_1": Path(tmp_path / "file_1")}


async def test_the_place_of_images_is_checked_first() -> None:
    files, requests = noting(Files, FILE)
    report = VerificationReport(id="vr_1", created=NOON, livemode=False, type="document")
    with pytest.raises(ConfigurationError) as caught:
        await files.download_images(report, None)
    assert caught.value.argument == "folder"
    assert requests == []
