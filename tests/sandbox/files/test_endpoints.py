"""Files and links over HTTP: which are accepted, who may read them, and when they expire."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.sandbox import ManualClock, Server, ServerThread, Settings
from pinstripe.sandbox._files import media, purposes
from pinstripe.sandbox._params.forms import Upload
from pinstripe.sandbox._server import API_KEY, RESTRICTED_KEY
from tests.sandbox.conftest import NOW
from tests.support.sandbox_api import REPORTS, SESSIONS, Api, refusal_of

pytestmark = pytest.mark.anyio

FILES = "/v1/files"
LINKS = "/v1/file_links"
DAY = 86_400

CONTENTS: dict[str, tuple[str, bytes]] = {
    "pdf": ("a.pdf", b"%PDF-1.7 x"),
    "png": ("a.png", media.png(9, "x")),
    "jpg": ("a.jpeg", media.jpeg(170, "x")),
    "gif": ("a.gif", b"GIF89a\1\0\1\0"),
    "svg": ("a.svg", b"<?xml version='1.0'?>\n<svg xmlns='x'/>"),
    "csv": ("a.csv", "a,b\nä,1\n".encode()),
    "json": ("a.json", b'{"a": [1]}'),
    "xlsx": ("a.xlsx", b"PK\x03\x04..."),
    "docx": ("A.DOCX", b"PK\x03\x04..."),
}


def form(ending: str = "pdf", purpose: str = "pci_document", **fields: str) -> aiohttp.FormData:
    name, data = CONTENTS[ending]
    made = aiohttp.FormData({"purpose": purpose, **fields})
    made.add_field("file", data, filename=name, content_type="application/octet-stream")
    return made


async def upload(api: Api, ending: str = "pdf", purpose: str = "pci_document", **more: str) -> Any:
    return await api.ok("POST", FILES, form(ending, purpose, **more))


async def fetch(api: Api, path: str, key: str | None = None) -> tuple[int, str, bytes]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with api.session.get(path, headers=headers) as response:
        assert response.headers["Request-Id"].startswith("req_")
        return response.status, response.content_type, await response.read()


def token_path(link: Any) -> str:
    return "/links/" + link["url"].rpartition("/")[2]


# --- files --------------------------------------------------------------------------------------


async def test_a_file_has_every_field_of_the_api(api: Api, server: Server) -> None:
    file = await upload(api, purpose="dispute_evidence")
    assert file == {
        "id": file["id"],
        "object": "file",
        "created": int(NOW),
        "expires_at": int(NOW) + 270 * DAY,
        "filename": "a.pdf",
        "links": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"{LINKS}?file={file['id']}",
        },
        "purpose": "dispute_evidence",
        "size": 10,
        "title": None,
        "type": "pdf",
        "url": f"{server.url}/v1/files/{file['id']}/contents",
    }
    assert file["id"].startswith("file_")
    assert await api.ok("GET", f"{FILES}/{file['id']}") == file
    assert await api.ok("GET", f"{FILES}/{file['id']}?expand[]=links") == file
    path = f"{FILES}/{file['id']}/contents"
    assert await fetch(api, path, API_KEY) == (200, "application/pdf", b"%PDF-1.7 x")
    assert (await api.ok("GET", "/v1/events"))["data"] == []


@pytest.mark.uncounted
@pytest.mark.parametrize("purpose", purposes.UPLOADABLE)
@pytest.mark.parametrize("ending", CONTENTS)
async def test_a_purpose_takes_its_types(api: Api, purpose: str, ending: str) -> None:
    rules = purposes.PURPOSES[purpose]
    reply = await api("POST", FILES, form(ending, purpose))
    if rules.types and ending not in rules.types:
        assert (reply.status, reply.error["param"]) == (400, "file")
        return
    assert (reply.status, reply.body["type"]) == (200, ending)
    path = f"{FILES}/{reply.body['id']}/contents"
    if rules.readable:
        assert await fetch(api, path, API_KEY) == (200, media.TYPES[ending], CONTENTS[ending][1])
    else:
        assert reply.body["url"] is None
        assert (await api("GET", path)).status == 400


@pytest.mark.parametrize(
    ("purpose", "seconds"),
    [
        ("customer_signature", 7 * DAY),
        ("issuing_regulatory_reporting", 730 * DAY),
        ("terminal_reader_splashscreen", 365 * DAY),
        ("pci_document", None),
    ],
)
async def test_content_is_gone_when_its_time_is_over(
    api: Api, clock: ManualClock, purpose: str, seconds: int | None
) -> None:
    ending = {"issuing_regulatory_reporting": "json", "pci_document": "pdf"}.get(purpose, "png")
    file = await upload(api, ending, purpose, **{"file_link_data[create]": "true"})
    path = f"{FILES}/{file['id']}/contents"
    assert file["expires_at"] == (seconds and int(NOW) + seconds)
    clock.advance((seconds or 10**9) - 1)
    assert (await fetch(api, path, API_KEY))[0] == 200
    if seconds:
        clock.advance(1)
        reply = await api("GET", path)
        assert (reply.status, reply.error["code"]) == (404, "resource_missing")
        gone = await api.ok("GET", f"{FILES}/{file['id']}")
        assert gone["url"] is None
        assert gone["links"]["data"][0]["expired"]
        assert (await api("POST", LINKS, {"file": file["id"]})).error["param"] == "file"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "selfie"}, "purpose"),
        ({"purpose": "finance_report_run"}, "purpose"),
        ({"purpose": "anything"}, "purpose"),
        ({"purpose": ""}, "purpose"),
        ({"more": "x"}, "more"),
        ({"file_link_data[expires_at]": "1"}, "file_link_data[create]"),
        ({"file_link_data[create]": "yes"}, "file_link_data[create]"),
        (
            {"file_link_data[create]": "true", "file_link_data[expires_at]": str(int(NOW))},
            "file_link_data[expires_at]",
        ),
        ({"purpose": "identity_document", "file_link_data[create]": "true"}, "file_link_data"),
    ],
)
async def test_uploads_that_are_refused(api: Api, fields: dict[str, str], param: str) -> None:
    reply = await api("POST", FILES, form(**{"purpose": "pci_document", **fields}))
    assert (reply.status, reply.error["param"]) == (400, param)
    assert (await api.ok("GET", FILES))["data"] == []


async def test_a_file_is_a_part_with_a_name(api: Api) -> None:
    assert (await api("POST", FILES, {"purpose": "pci_document"})).error["param"] == "file"
    reply = await api("POST", FILES, {"purpose": "pci_document", "file": "%PDF-"})
    assert reply.error["param"] == "file"
    placed = aiohttp.FormData({"purpose": "pci_document"}, quote_fields=False)
    placed.add_field("file", b"%PDF-", filename="C:\\me\\of/a.pdf")
    assert (await api.ok("POST", FILES, placed))["filename"] == "a.pdf"
    empty = aiohttp.FormData({"purpose": "pci_document"})
    empty.add_field("file", b"", filename="a.pdf")
    assert (await api("POST", FILES, empty)).error["param"] == "file"


@pytest.mark.parametrize("purpose", ["business_icon", "dispute_evidence", "terminal_android_apk"])
async def test_a_purpose_bounds_the_size(api: Api, purpose: str) -> None:
    bound = purposes.PURPOSES[purpose].max_bytes
    for size, status in ((bound, 200), (bound + 1, 400), (bound + 10**5, None)):
        made = aiohttp.FormData({"purpose": purpose})
        content = io.BytesIO(media.png(1, "x").ljust(size, b"\0"))
        made.add_field("file", content, filename="a.png")
        reply = await api("POST", FILES, made)
        assert reply.status == (status or (413 if bound == purposes.MAX_BYTES else 400))


def png_of(width: int, height: int) -> bytes:
    data = media.png(0, "")
    return data[:16] + struct.pack(">II", width, height) + data[24:]


def jpeg_of(width: int, height: int) -> bytes:
    data = media.jpeg(170, "")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.parametrize("image", [png_of, jpeg_of])
def test_an_identity_document_has_at_most_8000_pixels_a_side(image: Any) -> None:
    for size, fits in (((8000, 8000), True), ((8001, 1), False), ((1, 8001), False)):
        upload = Upload("a", "image/png", image(*size))
        assert media.pixels_of(upload.data) == size
        refusal = refusal_of(lambda: purposes.check_upload("identity_document", upload))  # noqa: B023
        assert (refusal is None) == fits


async def test_lists_are_filtered(api: Api, clock: ManualClock) -> None:
    first = await upload(api)
    clock.advance(10)
    second = await upload(api, "png", "business_logo")

    async def listed(query: str = "") -> list[str]:
        return [file["id"] for file in (await api.ok("GET", f"{FILES}?{query}"))["data"]]

    assert await listed() == [second["id"], first["id"]]
    assert await listed("purpose=business_logo") == [second["id"]]
    assert await listed("purpose=selfie") == []
    assert await listed(f"created[lt]={int(NOW) + 10}") == [first["id"]]
    assert await listed(f"starting_after={second['id']}") == [first["id"]]
    assert (await api("GET", f"{FILES}?purpose=anything")).status == 400


async def test_files_of_accounts_are_apart(api: Api) -> None:
    theirs = await api.ok("POST", FILES, form(), Stripe_Account="acct_1")
    path = f"{FILES}/{theirs['id']}"
    assert (await api("GET", path)).status == 404
    assert (await api("GET", f"{path}/contents")).status == 404
    assert await api.ok("GET", path, Stripe_Account="acct_1") == theirs
    link = await api.ok("POST", LINKS, {"file": theirs["id"]}, Stripe_Account="acct_1")
    assert (await fetch(api, token_path(link)))[0] == 200
    async with api.session.get(f"{path}/contents") as response:
        assert response.status == 401


# --- links --------------------------------------------------------------------------------------


async def test_a_link_has_every_field_of_the_api(api: Api, server: Server) -> None:
    file = await upload(api)
    end = int(NOW) + 60
    params = {"file": file["id"], "expires_at": str(end), "metadata[a]": "b"}
    link = await api.ok("POST", LINKS, params)
    assert link == {
        "id": link["id"],
        "object": "file_link",
        "created": int(NOW),
        "expired": False,
        "expires_at": end,
        "file": file["id"],
        "livemode": False,
        "metadata": {"a": "b"},
        "url": link["url"],
    }
    assert link["id"].startswith("link_")
    assert link["url"].startswith(f"{server.url}/links/")
    assert await api.ok("GET", f"{LINKS}/{link['id']}") == link
    expanded = await api.ok("GET", f"{LINKS}/{link['id']}?expand[]=file")
    assert expanded["file"] == await api.ok("GET", f"{FILES}/{file['id']}")
    assert expanded["file"]["links"] == {
        "object": "list",
        "data": [link],
        "has_more": False,
        "url": f"/v1/file_links?file={file['id']}",
    }


async def test_a_link_needs_no_key_and_ends(api: Api, clock: ManualClock) -> None:
    file = await upload(api)
    link = await api.ok("POST", LINKS, {"file": file["id"], "expires_at": str(int(NOW) + 60)})
    assert await fetch(api, token_path(link)) == (200, "application/pdf", b"%PDF-1.7 x")
    clock.advance(59)
    assert (await fetch(api, token_path(link)))[0] == 200
    clock.advance(1)
    status, content_type, _ = await fetch(api, token_path(link))
    assert (status, content_type) == (404, "application/json")
    ended = await api.ok("GET", f"{LINKS}/{link['id']}")
    assert ended == {**link, "expired": True, "url": None}
    assert (await api.ok("GET", f"{FILES}/{file['id']}"))["links"]["data"] == [ended]
    assert (await fetch(api, "/links/nothing"))[0] == 404
    assert (await fetch(api, "/links/nothing?x=1"))[0] == 400


async def test_a_link_can_end_later_sooner_or_never(api: Api, clock: ManualClock) -> None:
    link = await api.ok(
        "POST", LINKS, {"file": (await upload(api))["id"], "expires_at": str(int(NOW) + 60)}
    )
    path = f"{LINKS}/{link['id']}"
    await api.ok("POST", path, {"expires_at": str(int(NOW) + 120), "metadata[a]": "1"})
    clock.advance(60)
    assert not (await api.ok("GET", path))["expired"]
    never = await api.ok("POST", path, {"expires_at": ""})
    assert (never["expires_at"], never["metadata"]) == (None, {"a": "1"})
    clock.advance(10**6)
    assert not (await api.ok("GET", path))["expired"]
    assert (await api.ok("POST", path, {"metadata": ""}))["metadata"] == {}
    ended = await api.ok("POST", path, {"expires_at": "now"})
    assert (ended["expired"], ended["expires_at"], ended["url"]) == (True, int(clock.now), None)
    for params in ({"expires_at": ""}, {"metadata[a]": "1"}, {"expires_at": "now"}):
        reply = await api("POST", path, params)
        assert (reply.status, "code" in reply.error) == (400, False)


@pytest.mark.parametrize("end", ["1", str(int(NOW)), "soon", "-1", "1.5", "", "now"])
async def test_a_link_ends_in_the_future(api: Api, end: str) -> None:
    file = await upload(api)
    reply = await api("POST", LINKS, {"file": file["id"], "expires_at": end})
    assert (reply.status, reply.error["param"]) == (400, "expires_at")
    link = await api.ok("POST", LINKS, {"file": file["id"]})
    if end not in ("", "now"):
        reply = await api("POST", f"{LINKS}/{link['id']}", {"expires_at": end})
        assert (reply.status, reply.error["param"]) == (400, "expires_at")


async def test_links_are_refused(api: Api) -> None:
    reply = await api("POST", LINKS, {"file": "file_none"})
    assert (reply.status, reply.error["code"]) == (400, "resource_missing")
    file = await upload(api, "png", "identity_document")
    assert (await api("POST", LINKS, {"file": file["id"]})).error["param"] == "file"
    assert (await api("POST", LINKS)).error["code"] == "parameter_missing"
    for method in ("GET", "POST"):
        assert (await api(method, f"{LINKS}/link_none")).status == 404


async def test_a_file_shows_its_ten_newest_links(api: Api) -> None:
    file = await upload(
        api, **{"file_link_data[create]": "true", "file_link_data[metadata][a]": "b"}
    )
    assert file["links"]["data"][0]["metadata"] == {"a": "b"}
    ids = [(await api.ok("POST", LINKS, {"file": file["id"]}))["id"] for _ in range(10)]
    shown = (await api.ok("GET", f"{FILES}/{file['id']}"))["links"]
    assert [link["id"] for link in shown["data"]] == ids[::-1]
    assert shown["has_more"]
    listed = await api.ok("GET", f"{shown['url']}&limit=100")
    assert len(listed["data"]) == 11


async def test_links_are_listed(api: Api) -> None:
    one, two = await upload(api), await upload(api)
    first = await api.ok("POST", LINKS, {"file": one["id"]})
    second = await api.ok("POST", LINKS, {"file": two["id"]})
    await api.ok("POST", f"{LINKS}/{first['id']}", {"expires_at": "now"})

    async def listed(query: str) -> list[str]:
        return [link["id"] for link in (await api.ok("GET", f"{LINKS}?{query}"))["data"]]

    assert await listed("") == [second["id"], first["id"]]
    assert await listed("expired=true") == [first["id"]]
    assert await listed("expired=false") == [second["id"]]
    assert await listed(f"file={one['id']}") == [first["id"]]
    assert await listed(f"file={one['id']}&expired=false") == []
    assert await listed(f"created[gt]={int(NOW)}") == []


async def test_an_upload_can_be_repeated(api: Api) -> None:
    first = await api("POST", FILES, form(), Idempotency_Key="k")
    second = await api("POST", FILES, form(), Idempotency_Key="k")
    assert second.body == first.body
    assert second.headers["Idempotent-Replayed"] == "true"
    other = await api("POST", FILES, form("pdf", "dispute_evidence"), Idempotency_Key="k")
    assert other.error["type"] == "idempotency_error"


# --- images of identity checks ------------------------------------------------------------------


async def checked(api: Api, server: Server, **options: str) -> Any:
    """Return the report of a session that passed."""
    session = await api.session_of(**options)
    shown = server.identity.verify(session["id"])
    return await api.ok("GET", f"{REPORTS}/{shown['last_verification_report']}")


SELFIE = {"options[document][require_matching_selfie]": "true"}


async def test_a_check_leaves_its_images(api: Api, restricted: Api, server: Server) -> None:
    report = await checked(api, server, **SELFIE)
    selfie = report["selfie"]
    ids = [*report["document"]["files"], selfie["document"], selfie["selfie"]]
    listed = (await api.ok("GET", FILES))["data"]
    assert [file["id"] for file in reversed(listed)] == ids
    assert [file["filename"] for file in reversed(listed)] == [
        "id_front.jpg",
        "id_back.jpg",
        "id_photo.jpg",
        "selfie.png",
    ]
    kinds = ["identity_document_downloadable"] * 3 + ["selfie"]
    assert [file["purpose"] for file in reversed(listed)] == kinds
    events = (await api.ok("GET", "/v1/events?type=file.created"))["data"]
    assert [event["data"]["object"] for event in events] == listed
    assert events[0]["request"] == {"id": None, "idempotency_key": None}
    contents = set()
    for file in listed:
        path = f"{FILES}/{file['id']}/contents"
        assert (await api("GET", path)).status == 403
        status, content_type, data = await fetch(api, path, RESTRICTED_KEY)
        assert (status, content_type) == (200, media.TYPES[file["type"]])
        assert len(data) == file["size"]
        assert media.format_of(data, "") == file["type"]
        assert media.pixels_of(data) == (8, 8)
        contents.add(data)
    assert len(contents) == 4


async def test_a_failed_check_leaves_images_too(api: Api, server: Server) -> None:
    session = await api.session_of(**SELFIE)
    server.identity.fail(session["id"], "selfie_face_mismatch")
    assert len((await api.ok("GET", FILES))["data"]) == 4
    other = await api.session_of()
    server.identity.fail(other["id"], "abandoned")
    await api.session_of(type="id_number")
    assert len((await api.ok("GET", FILES))["data"]) == 4


async def test_links_to_images_are_short(
    api: Api, restricted: Api, server: Server, clock: ManualClock
) -> None:
    (front, _) = (await checked(api, server))["document"]["files"]
    end = {"file": front, "expires_at": str(int(NOW) + 30)}
    assert (await api("POST", LINKS, end)).status == 403
    for wrong in ({"file": front}, {**end, "expires_at": str(int(NOW) + 31)}):
        reply = await restricted("POST", LINKS, wrong)
        assert (reply.status, reply.error["param"]) == (400, "expires_at")
    link = await restricted.ok("POST", LINKS, end)
    for wrong in ("", str(int(NOW) + 31)):
        reply = await restricted("POST", f"{LINKS}/{link['id']}", {"expires_at": wrong})
        assert (reply.status, reply.error["param"]) == (400, "expires_at")
    assert (await fetch(api, token_path(link)))[:2] == (200, "image/jpeg")
    clock.advance(30)
    assert (await fetch(api, token_path(link)))[0] == 404


async def test_a_redaction_takes_the_images_away(api: Api, restricted: Api, server: Server) -> None:
    report = await checked(api, server, **SELFIE)
    front = report["document"]["files"][0]
    end = {"file": front, "expires_at": str(int(NOW) + 30)}
    link = await restricted.ok("POST", LINKS, end)
    await api.ok("POST", f"{SESSIONS}/{report['verification_session']}/redact")
    assert (await fetch(api, token_path(link)))[0] == 200
    server.identity.finish_redaction(report["verification_session"])
    assert (await fetch(api, token_path(link)))[0] == 404
    for file in (await api.ok("GET", FILES))["data"]:
        assert file["url"] is None
        status, _, _ = await fetch(api, f"{FILES}/{file['id']}/contents", RESTRICTED_KEY)
        assert status == 404
    assert (await api.ok("GET", f"{LINKS}/{link['id']}"))["expired"]
    assert (await restricted("POST", LINKS, end)).error["param"] == "file"


async def test_the_history_of_seeding_has_no_images(api: Api, server: Server) -> None:
    server.identity.seed(4, status="verified")
    assert (await api.ok("GET", FILES))["data"] == []
    (session, *_) = (await api.ok("GET", SESSIONS))["data"]
    await api.ok("POST", f"{SESSIONS}/{session['id']}/redact")
    server.identity.finish_redaction(session["id"])


# --- formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "ending"),
    [
        *((name, data, ending) for ending, (name, data) in CONTENTS.items()),
        ("a.pdf", b"text", None),
        ("a.csv", b"\xff\xfe", None),
        ("a.csv", b"a\0", None),
        ("a.json", b"{", None),
        ("a.json", b"[" * 100_000, None),
        ("a.zip", b"PK\x03\x04", None),
        ("a.txt", b"plain", None),
        ("pdf", b"", None),
        ("a.png", b"%PDF-", "pdf"),
    ],
)
def test_formats_are_recognized_by_the_content(name: str, data: bytes, ending: str | None) -> None:
    assert media.format_of(data, name) == ending


@given(st.integers(0, 255))
def test_a_png_is_one(shade: int) -> None:
    data = media.png(shade, "who made it")
    position, chunks = 8, []
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        name, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        (check,) = struct.unpack_from(">I", data, position + 8 + length)
        assert check == zlib.crc32(name + body)
        chunks.append((name, body))
        position += 12 + length
    assert [name for name, _ in chunks] == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]
    assert zlib.decompress(chunks[2][1]) == (b"\0" + bytes([shade] * 8)) * 8


@given(st.integers(160, 191))
def test_a_jpeg_has_the_segments_of_one(shade: int) -> None:
    data = media.jpeg(shade, "who made it")
    position, marks = 2, []
    while data[position + 1] != 0xDA:
        assert data[position] == 0xFF
        marks.append(data[position + 1])
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    assert marks == [0xE0, 0xFE, 0xDB, 0xC0, 0xC4, 0xC4]
    assert (data[:2], data[-2:]) == (b"\xff\xd8", b"\xff\xd9")
    scan = int.from_bytes(data[-4:-2], "big")
    assert 128 + (scan >> 8 & 0x7F) / 2 == shade
    assert 0xFF not in data[-4:-2]


@given(st.binary(max_size=60))
def test_no_bytes_upset_the_reader_of_pictures(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\xd8\xff\xc0", b"\x89PNG\r\n\x1a\n"):
        size = media.pixels_of(start + data)
        assert size is None or len(size) == 2
        media.format_of(start + data, "a.json")


# --- the official SDK ---------------------------------------------------------------------------


def test_the_official_sdk_uploads_and_lists(tmp_path: Any) -> None:
    stripe = pytest.importorskip("stripe")
    requests = pytest.importorskip("requests")
    path = tmp_path / "receipt.pdf"
    path.write_bytes(b"%PDF-1.7 from the SDK")
    thread = ServerThread(server := Server(Settings(seed=3, clock=ManualClock(NOW))))
    thread.start()
    session = requests.Session()
    session.trust_env = False
    http = stripe.RequestsClient(session=session)
    addresses = {"api": server.url, "files": server.url}
    try:
        sdk = stripe.StripeClient(API_KEY, base_addresses=addresses, http_client=http)
        with path.open("rb") as stream:
            data = {"create": True, "metadata": {"a": "b"}}
            file = sdk.v1.files.create(
                {"file": stream, "purpose": "dispute_evidence", "file_link_data": data}
            )
        assert (file.filename, file.type, file.size) == ("receipt.pdf", "pdf", 21)
        assert file.links.data[0].metadata["a"] == "b"
        assert sdk.v1.files.retrieve(file.id).url == file.url
        assert [one.id for one in sdk.v1.files.list({"purpose": "dispute_evidence"})] == [file.id]
        assert session.get(file.links.data[0].url).content == b"%PDF-1.7 from the SDK"
        made = sdk.v1.file_links.create(
            {"file": file.id, "expires_at": int(NOW) + 9, "expand": ["file"]}
        )
        assert made.file.id == file.id
        assert sdk.v1.file_links.retrieve(made.id).expires_at == int(NOW) + 9
        assert sdk.v1.file_links.update(made.id, {"expires_at": "now"}).expired
        assert [link.id for link in sdk.v1.file_links.list({"expired": True})] == [made.id]
        assert len(list(sdk.v1.file_links.list({"file": file.id}).auto_paging_iter())) == 2
        with pytest.raises(stripe.InvalidRequestError) as caught:
            sdk.v1.files.create({"file": io.BytesIO(b"x"), "purpose": "selfie"})
        assert caught.value.param == "purpose"
    finally:
        http.close()
        thread.stop()
