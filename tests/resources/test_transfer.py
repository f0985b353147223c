"""Files on their way, over real sockets, to and from servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import errno
import gc
import gzip
import hashlib
import io
import mmap
import os
import pickle
import stat
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from anyio.to_thread import current_default_thread_limiter

from pinstripe import (
    AsyncClient,
    ConfigurationError,
    ConnectionLost,
    DeadlineExceeded,
    InvalidRequestError,
    Limits,
    NotFoundError,
    PinstripeError,
    Request,
    RequestOptions,
    Response,
    ResponseError,
    ResponseTooLarge,
    RetryPolicy,
    ServerError,
    Timeout,
)
from pinstripe._disk.destination import Destination
from pinstripe._disk.source import PIECE
from pinstripe.files import File, FileLink
from tests.support import faulty
from tests.support.faulty import Faulty, ok, raw

pytestmark = pytest.mark.anyio

KEY = "sk_test_CANARY4eC39HqLyjWDarjtT1zdp7dc"
AT_ONCE = RetryPolicy(base=0)
ONCE = RetryPolicy(max_attempts=1)
MIB = 2**20
OPEN = Path("/proc/self/fd")

FILE = (
    b'{"id": "file_1", "object": "file", "created": 1790510880, "purpose": "pci_document",'
    b' "size": 3, "url": "https://elsewhere.example/v1/files/file_1/contents"}'
)
REFUSED = b'{"error": {"type": "invalid_request_error", "message": "too big", "param": "file"}}'


def client_of(server: Any, **settings: Any) -> AsyncClient:
    usual = {"base_url": server.url, "files_url": server.url, "retry": AT_ONCE}
    return AsyncClient(KEY, **{**usual, **settings})


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def failure(awaitable: Any) -> Any:
    with pytest.raises((PinstripeError, OSError)) as caught:
        await awaitable
    return caught.value


# --- downloads ----------------------------------------------------------------------------------

BODY = os.urandom(3 * PIECE + 17)


def whole(body: bytes = BODY) -> faulty.Behaviour:
    return ok(body, Content_Type="image/png")


def chunked(body: bytes) -> faulty.Behaviour:
    pieces = [body[at : at + 70_000] for at in range(0, len(body), 70_000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")


def cut(body: bytes = BODY, *, with_reset: bool = False) -> faulty.Behaviour:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return faulty.then_end(head + body[: len(body) // 2], with_reset=with_reset)


@pytest.mark.parametrize("answer", [whole(), chunked(BODY), ok(BODY, Connection="close")])
async def test_what_is_downloaded_is_what_was_sent(tmp_path, answer) -> None:
    async with Faulty(answer) as server, client_of(server) as client:
        path = await client.files.download("file_1", tmp_path / "photo.png")
        assert path == tmp_path / "photo.png"
        assert path.read_bytes() == BODY
        assert left_in(tmp_path) == ["photo.png"]
        (seen,) = server.requests
        assert (seen.method, seen.target) == ("GET", "/v1/files/file_1/contents")
        assert seen.headers["authorization"] == f"Bearer {KEY}"
        assert seen.headers["accept"] == "*/*"
        assert seen.headers["accept-encoding"] == "identity"


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
async def test_a_download_is_for_its_owner_only(tmp_path) -> None:
    async with Faulty(whole(b"x")) as server, client_of(server) as client:
        path = await client.files.download("file_1", str(tmp_path / "secret"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_an_empty_file_and_one_with_a_long_name(tmp_path) -> None:
    name = "n" * 250
    async with Faulty(whole(b"")) as server, client_of(server) as client:
        assert (await client.files.download("file_1", tmp_path / name)).read_bytes() == b""
        assert left_in(tmp_path) == [name]


@pytest.mark.parametrize("with_reset", [False, True])
async def test_a_cut_download_begins_anew(tmp_path, with_reset) -> None:
    script = (cut(os.urandom(len(BODY) + 999), with_reset=with_reset), ok(b"{}", 500), whole())
    async with Faulty(*script) as server, client_of(server) as client:
        path = await client.files.download("file_1", tmp_path / "photo.png")
        assert path.read_bytes() == BODY
        assert len(server.requests) == 3
        assert left_in(tmp_path) == ["photo.png"]


async def test_nothing_is_left_of_a_download_that_is_always_cut(tmp_path) -> None:
    async with Faulty(cut()) as server, client_of(server) as client:
        error = await failure(client.files.download("file_1", tmp_path / "photo.png"))
        assert type(error) is ConnectionLost
        assert error.attempts == len(server.requests) == 3
        assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ok(b'{"error": {"type": "invalid_request_error"}}', 404), NotFoundError),
        (ok(b"oops", 500), ServerError),
        (faulty.redirect("https://elsewhere.example/"), ResponseError),
        (ok(b"part", 206), ResponseError),
        (raw(b"HTTP/1.1 204 No Content\r\nX-Y: z\r\n\r\n"), ResponseError),
        (faulty.then_end(b"HTTP/1.1 200 OK\r\nX-Y: z\r\n\r\nwho knows"), ConnectionLost),
        (ok(b"x", Content_Encoding="rot13"), ResponseError),
        (faulty.gzipped(BODY), ResponseError),
        (ok(gzip.compress(BODY)[:-9], Content_Encoding="gzip"), ResponseError),
    ],
)
async def test_any_other_answer_is_an_error_and_no_file(tmp_path, answer, kind) -> None:
    async with Faulty(answer) as server, client_of(server, retry=ONCE) as client:
        error = await failure(client.files.download("file_1", tmp_path / "photo.png"))
        assert type(error) is kind
        assert left_in(tmp_path) == []


async def test_error_answers_are_read_bounded(tmp_path) -> None:
    endless = faulty.endless_after(b"", status=500)
    async with Faulty(endless) as server, client_of(server) as client:
        error = await failure(client.files.download("file_1", tmp_path / "photo.png"))
        assert type(error) is ServerError
        assert error.status == 500


@pytest.mark.parametrize(
    ("answer", "max_bytes"),
    [
        (faulty.endless_body, 10**6),
        (faulty.endless_chunks, 10**6),
        (whole(), len(BODY) - 1),
        (chunked(BODY), len(BODY) - 1),
    ],
)
async def test_a_download_is_bounded(tmp_path, answer, max_bytes) -> None:
    async with Faulty(answer) as server, client_of(server) as client:
        call = client.files.download("file_1", tmp_path / "big", max_bytes=max_bytes)
        error = await failure(call)
        assert type(error) is ResponseTooLarge
        assert str(max_bytes) in str(error)
        assert error.attempts == len(server.requests) == 1
        assert left_in(tmp_path) == []


@pytest.mark.parametrize("answer", [whole(), chunked(BODY)])
async def test_a_download_of_exactly_the_bound(tmp_path, answer) -> None:
    async with Faulty(answer) as server, client_of(server) as client:
        path = await client.files.download("file_1", tmp_path / "big", max_bytes=len(BODY))
        assert path.read_bytes() == BODY


async def test_a_deadline_leaves_nothing_behind(tmp_path) -> None:
    async with Faulty(faulty.slow_body) as server, client_of(server) as client:
        options = RequestOptions(timeout=Timeout(0.2))
        call = client.files.download("file_1", tmp_path / "slow", request_options=options)
        assert type(await failure(call)) is DeadlineExceeded
        assert left_in(tmp_path) == []


async def begun(server: Faulty, folder: Path) -> None:
    """Wait until a download has a file under a temporary name."""
    await server.arrived.wait()
    while not left_in(folder):  # noqa: ASYNC110 -- a folder has no event to wait for
        await asyncio.sleep(0)


@pytest.mark.parametrize("by", ["task", "scope"])
async def test_a_cancelled_download_leaves_nothing_behind(tmp_path, by) -> None:
    async with Faulty(faulty.slow_body) as server, client_of(server) as client:
        call = client.files.download("file_1", tmp_path / "photo.png")
        if by == "task":
            task = asyncio.create_task(call)
            await begun(server, tmp_path)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: call)
                await begun(server, tmp_path)
                assert left_in(tmp_path)[0].startswith(".photo.png.")
                group.cancel_scope.cancel()
        assert left_in(tmp_path) == []


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_a_download_cancelled_at_any_time_leaves_all_or_nothing(tmp_path, turns) -> None:
    async with Faulty(whole()) as server, client_of(server) as client:
        await client.warm_up()
        task = asyncio.create_task(client.files.download("file_1", tmp_path / "photo.png"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await anyio.to_thread.run_sync(lambda: None)
        assert left_in(tmp_path) in ([], ["photo.png"])
        if left_in(tmp_path):
            assert (tmp_path / "photo.png").read_bytes() == BODY


async def test_who_is_cancelled_twice_leaves_nothing_behind_either(tmp_path) -> None:
    begun, limiter = asyncio.Event(), current_default_thread_limiter()

    async def write() -> None:
        async with Destination(tmp_path / "x", max_bytes=1, overwrite=False) as destination:
            await destination.start()
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await begun.wait()
    threads, limiter.total_tokens = limiter.total_tokens, 1
    async with limiter:  # no thread is free
        for _ in range(2):
            task.cancel()
            for _ in range(20):
                await asyncio.sleep(0)
    limiter.total_tokens = threads
    await asyncio.wait([task])
    assert task.cancelled()
    assert left_in(tmp_path) == []


async def test_what_is_there_is_not_replaced_unless_asked(tmp_path) -> None:
    path = tmp_path / "photo.png"
    path.write_text("mine")
    async with Faulty(whole()) as server, client_of(server) as client:
        error = await failure(client.files.download("file_1", path))
        assert type(error) is FileExistsError
        assert error.filename == str(path)
        assert (server.requests, path.read_text()) == ([], "mine")
        await client.files.download("file_1", path, overwrite=True)
        assert path.read_bytes() == BODY
        assert left_in(tmp_path) == ["photo.png"]


async def test_what_appears_meanwhile_is_not_replaced(tmp_path) -> None:
    path = tmp_path / "photo.png"

    async def late(exchange: faulty.Exchange) -> None:
        path.write_text("mine")
        await whole()(exchange)

    async with Faulty(late) as server, client_of(server) as client:
        error = await failure(client.files.download("file_1", path))
        assert type(error) is FileExistsError
        assert error.filename == str(path)
        assert path.read_text() == "mine"
        assert left_in(tmp_path) == ["photo.png"]


@pytest.mark.parametrize("taken", [False, True])
async def test_a_file_system_without_hard_links(tmp_path, monkeypatch, taken) -> None:
    path = tmp_path / "photo.png"

    def no_links(*args: Any) -> None:
        if taken:
            path.write_text("mine")
        raise PermissionError(1, "not here")

    monkeypatch.setattr(os, "link", no_links)
    async with Faulty(whole()) as server, client_of(server) as client:
        if taken:
            error = await failure(client.files.download("file_1", path))
            assert type(error) is FileExistsError
            assert path.read_text() == "mine"
        else:
            await client.files.download("file_1", path)
            assert path.read_bytes() == BODY
        assert left_in(tmp_path) == ["photo.png"]


async def test_places_that_cannot_be_written_to(tmp_path) -> None:
    async with Faulty(whole()) as server, client_of(server) as client:
        missing = tmp_path / "none" / "x"
        error = await failure(client.files.download("file_1", missing))
        assert type(error) is FileNotFoundError
        assert error.filename == str(missing.parent)
        error = await failure(client.files.download("file_1", tmp_path, overwrite=True))
        assert type(error) is IsADirectoryError
        for wrong in (None, 7, b"x"):
            call = client.files.download("file_1", wrong)  # type: ignore[arg-type]
            assert (await failure(call)).argument == "destination"
        for bound in (0, -1, 1.5, True, None):
            call = client.files.download("file_1", tmp_path / "x", max_bytes=bound)  # type: ignore[arg-type]
            assert (await failure(call)).argument == "max_bytes"
        assert server.requests == []


@contextlib.contextmanager
def no_file_longer_than(size: int) -> Any:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("body", [BODY, BODY[:30_000]], ids=["in a write", "at the end"])
async def test_a_disk_that_is_full(tmp_path, body) -> None:
    async with Faulty(whole(body)) as server, client_of(server) as client:
        await client.warm_up()
        with no_file_longer_than(20_000):
            error = await failure(client.files.download("file_1", tmp_path / "photo.png"))
        assert isinstance(error, OSError)
        assert not isinstance(error, PinstripeError)
        assert len(server.requests) == 1
        assert left_in(tmp_path) == []
        await client.files.download("file_1", tmp_path / "photo.png")


async def test_a_file_that_cannot_be_read_again_is_not_asked_for(tmp_path) -> None:
    file = File(id="file_1", created=faulty_now(), purpose="identity_document", size=1, url=None)
    async with Faulty(whole()) as server, client_of(server) as client:
        for call in (client.files.download(file, tmp_path / "x"), client.files.read(file)):
            error = await failure(call)
            assert error.argument == "file"
            assert "identity_document" in str(error)
        assert server.requests == []


def faulty_now() -> Any:
    from datetime import datetime, timezone

    return datetime.now(timezone.utc)


async def test_the_key_goes_to_no_address_that_an_answer_names(tmp_path) -> None:
    async with Faulty(ok(FILE), whole()) as server, client_of(server) as client:
        file = await client.files.retrieve("file_1")
        assert file.url is not None
        assert file.url.startswith("https://elsewhere.example")
        await client.files.download(file, tmp_path / "x")
        assert server.requests[1].target == "/v1/files/file_1/contents"
        for id in ("../v1/balance", "a/b", "", "file_1?x"):
            assert (await failure(client.files.read(id))).argument == "file"


async def test_small_files_are_read_into_memory() -> None:
    async with (
        Faulty(whole(b"small"), whole()) as server,
        client_of(server, limits=Limits(max_response_bytes=1000)) as client,
    ):
        assert await client.files.read("file_1") == b"small"
        assert type(await failure(client.files.read("file_1"))) is ResponseTooLarge


def link_to(url: str | None) -> FileLink:
    return FileLink(
        id="link_1", created=faulty_now(), expired=False, file="file_1", livemode=False,
        metadata={}, url=url,
    )  # fmt: skip


async def test_a_link_is_followed_without_the_key(tmp_path) -> None:
    link = link_to("https://elsewhere.example/links/t0-k_3n")
    options = RequestOptions(account="acct_1")
    async with Faulty(whole(), whole(), ok()) as server, client_of(server) as client:
        await client.request("GET", "/v1/things")
        first = server.requests.pop()
        assert "authorization" in first.headers
        server.script = [whole()]
        path = await client.file_links.download(link, tmp_path / "x", request_options=options)
        assert path.read_bytes() == BODY
        await client.file_links.download(link, tmp_path / "x", overwrite=True)
        for seen in server.requests:
            assert seen.target == "/links/t0-k_3n"
            assert "authorization" not in seen.headers
            assert KEY not in str(seen.headers)
        assert server.accepted == 1  # the connections are shared
        await client.request("GET", "/v1/things")
        assert "authorization" in server.requests[-1].headers


def test_links_are_followed_in_loop_after_loop(tmp_path) -> None:
    link = link_to("https://elsewhere.example/links/t")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Faulty(whole())) as server,
    ):
        client = client_of(server)

        async def use(name: str) -> bytes:
            return (await client.file_links.download(link, tmp_path / name)).read_bytes()

        assert [asyncio.run(use(name)) for name in "ab"] == [BODY] * 2
        asyncio.run(client.aclose())
        assert server.accepted == 2
    gc.collect()  # a session that was left open would warn now


@pytest.mark.parametrize(
    "url", [None, "", "/links/x", "https://a.example/v1/files", "https://a.example/links/a/../b"]
)
async def test_links_that_lead_nowhere(tmp_path, url) -> None:
    async with Faulty(whole()) as server, client_of(server) as client:
        error = await failure(client.file_links.download(link_to(url), tmp_path / "x"))
        assert error.argument == "link"
        assert server.requests == []


class Whole:
    """A transport that knows nothing of sinks."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def send(self, request: Request) -> Response:
        assert request.sink is not None
        assert "sink" not in repr(request)
        return Response(status=200, headers={}, body=self.body)

    async def aclose(self) -> None:
        pass


async def test_a_transport_may_read_an_answer_whole(tmp_path) -> None:
    async with AsyncClient(KEY, transport=Whole(BODY)) as client:
        path = await client.files.download("file_1", tmp_path / "x")
        assert path.read_bytes() == BODY
        error = await failure(client.files.download("file_1", tmp_path / "y", max_bytes=10))
        assert type(error) is ResponseTooLarge
        assert left_in(tmp_path) == ["x"]


# --- uploads ------------------------------------------------------------------------------------


class Intake:
    """A server that takes uploads as its script says, and keeps no more than a digest of each.

    Args:
        script: For each request how many bytes of its body to read (None for all), what to say
            then, and whether to end the connection after it.
    """

    def __init__(self, *script: tuple[int | None, bytes, bool]) -> None:
        self.script = list(script)
        self.heads: list[str] = []
        self.bodies: list[str] = []
        self.sizes: list[int] = []
        self.start = b""
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()

    async def __aenter__(self) -> Intake:
        self._tasks: set[Any] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def header(self, name: str, at: int = -1) -> str:
        lines = self.heads[at].lower().split("\r\n")
        (found,) = [line for line in lines if line.startswith(name + ":")]
        return found.partition(":")[2].strip()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        try:
            while await self._take(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
        wanted, answer, end = self.script[min(len(self.heads), len(self.script)) - 1]
        length = int(self.header("content-length"))
        digest, left = hashlib.sha256(), length if wanted is None else wanted
        while left:
            piece = await reader.read(min(left, 65536))
            if not piece:
                return False
            self.start = (self.start + piece)[:2000] if len(self.start) < 2000 else self.start
            digest.update(piece)
            left -= len(piece)
        self.bodies.append(digest.hexdigest())
        self.sizes.append(length)
        self.arrived.set()
        if answer == b"":
            if end:
                faulty.reset(writer)
            else:
                await self.release.wait()
            return False
        writer.write(answer)
        await writer.drain()
        if wanted is not None and not end:
            await self.release.wait()  # what is left of the body stays unread
        return not end


TAKEN = (None, faulty.raw_answer(FILE), False)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.pdf"
    path.write_bytes(os.urandom(2 * MIB))
    return path


async def test_an_upload_that_is_cut_is_sent_anew_with_the_same_key(big) -> None:
    script = ((300_000, b"", True), (0, b"", True), TAKEN)
    async with Intake(*script) as server, client_of(server) as client:
        file = await client.files.create(file=big, purpose="pci_document")
        assert file.id == "file_1"
        assert len(server.heads) == 3
        for name in ("idempotency-key", "content-type", "content-length"):
            assert len({server.header(name, at) for at in range(3)}) == 1
        assert server.header("content-type").startswith("multipart/form-data; boundary=")
        assert "transfer-encoding" not in server.heads[0].lower()


async def test_every_attempt_sends_the_same_bytes(big) -> None:
    script = ((None, b"", True), (None, faulty.raw_answer(b"{}", 500), False), TAKEN)
    with big.open("rb") as stream:
        stream.seek(1000)
        for content in (big, str(big), big.read_bytes()[:-1], stream, io.BytesIO(b"x" * MIB)):
            async with Intake(*script) as server, client_of(server) as client:
                await client.files.create(file=content, filename="a.pdf", purpose="pci_document")
                assert len(server.bodies) == 3
                assert len(set(server.bodies)) == 1
        assert not stream.closed


async def test_a_file_object_is_sent_from_where_it_stands() -> None:
    stream = io.BytesIO(b"before" + b"sent")
    stream.seek(6)
    async with Faulty(ok(FILE)) as server, client_of(server) as client:
        await client.files.create(file=stream, filename="a.txt", purpose="pci_document")
        assert b"\r\n\r\nsent\r\n--" in server.requests[0].body


class Bare:
    """A file object with the methods that a SpooledTemporaryFile has on Python 3.10."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> None:
        self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


class Word(str, enum.Enum):
    PATH = "enumerated.txt"


async def test_every_kind_of_content_is_sent(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / Word.PATH.value).write_bytes(b"sent")
    changeable = bytearray(b"sent")
    with tempfile.SpooledTemporaryFile() as spooled, mmap.mmap(-1, 4) as mapped:
        spooled.write(b"sent")
        spooled.seek(0)
        mapped[:] = b"sent"
        view = memoryview(b"-s-e-n-t")[1::2]
        contents: list[Any] = [changeable, view, Bare(b"sent"), spooled, mapped, Word.PATH]
        for content in contents:
            async with Faulty(ok(b"{}", 500), ok(FILE)) as server, client_of(server) as client:
                await client.files.create(file=content, filename="a.txt", purpose="pci_document")
                assert b"\r\n\r\nsent\r\n--" in server.requests[-1].body
    changeable += b"more"  # the upload holds on to nothing of it


@pytest.mark.parametrize("end", [False, True])
async def test_a_refusal_before_the_end_of_the_body(tmp_path, end) -> None:
    path = tmp_path / "huge.pdf"
    with path.open("wb") as stream:
        stream.truncate(64 * MIB)
    refuse = (70_000, faulty.raw_answer(REFUSED, 400), end)
    async with Intake(refuse, TAKEN) as server, client_of(server, retry=ONCE) as client:
        error = await failure(client.files.create(file=path, purpose="pci_document"))
        if not end:  # else the reset of the connection can be faster than the answer
            assert type(error) is InvalidRequestError
            assert error.param == "file"
        assert isinstance(error, (InvalidRequestError, ConnectionLost))
        assert (await client.files.create(file=b"x", filename="x", purpose="a")).id == "file_1"


@pytest.mark.skipif(not OPEN.is_dir(), reason="no list of open files")
async def test_an_upload_that_is_given_up_closes_its_file(big) -> None:
    async with Intake((100_000, b"", False)) as server, client_of(server) as client:
        task = asyncio.create_task(client.files.create(file=big, purpose="pci_document"))
        await server.arrived.wait()
        assert big in open_files()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert big not in open_files()
        options = RequestOptions(timeout=Timeout(0.1))
        call = client.files.create(file=big, purpose="pci_document", request_options=options)
        assert type(await failure(call)) is DeadlineExceeded
        assert big not in open_files()


def open_files() -> list[Path]:
    found = []
    for entry in OPEN.iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.append(entry.readlink())
    return found


class Odd(io.BytesIO):
    """A file object whose content is not what it was, from some read on."""

    def __init__(self, size: int, act: Callable[[], Any], after: int = 1) -> None:
        super().__init__(b"x" * size)
        self.act = act
        self.left = after

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        return super().read(size) if self.left >= 0 else self.act()


def _fail() -> bytes:
    raise OSError(5, "the disk is broken")


async def test_a_file_that_changes_while_it_is_sent(tmp_path) -> None:
    for act in (lambda: b"", lambda: "text", lambda: None):
        async with Intake(TAKEN) as server, client_of(server) as client:
            odd = Odd(4 * PIECE, act)
            error = await failure(client.files.create(file=odd, filename="a", purpose="b"))
            assert type(error) is ConfigurationError
            assert error.argument == "file"
            assert (error.outcome, error.attempts, server.bodies) == ("not_sent", 0, [])
            assert (await client.files.create(file=b"x", filename="x", purpose="a")).id == "file_1"


async def test_a_disk_that_breaks_while_it_is_read() -> None:
    async with Intake(TAKEN) as server, client_of(server) as client:
        odd = Odd(4 * PIECE, _fail)
        error = await failure(client.files.create(file=odd, filename="a", purpose="b"))
        assert type(error) is OSError
        assert error.errno == 5
        assert len(server.heads) == 1  # it is no fault of the network, so there is no retry


async def test_a_disk_that_takes_too_long_is_no_deadline() -> None:
    def wait() -> bytes:
        raise OSError(errno.ETIMEDOUT, "the disk is far away")

    async with Intake(TAKEN) as server, client_of(server) as client:
        odd = Odd(4 * PIECE, wait)
        error = await failure(client.files.create(file=odd, filename="a", purpose="b"))
    assert type(error) is TimeoutError
    assert error.errno == errno.ETIMEDOUT


async def test_a_file_that_grows_is_sent_as_far_as_it_was(big) -> None:
    size = big.stat().st_size
    async with Intake((1000, b"", False)) as server, client_of(server) as client:
        server.script.append(TAKEN)
        task = asyncio.create_task(client.files.create(file=big, purpose="pci_document"))
        await server.arrived.wait()
        with big.open("ab") as more:
            more.write(b"more" * 1000)
        server.release.set()  # the connection ends, and a second attempt finds more in the file
        await task
        assert len(server.heads) == 2
        assert size < server.sizes[0] == server.sizes[1] < size + 1000


async def test_what_cannot_be_sent(tmp_path) -> None:
    closed = io.BytesIO(b"x")
    closed.close()
    (tmp_path / "text").write_text("x")
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes")
    os.mkfifo(tmp_path / "pipe")
    reading, writing = os.pipe()
    released = memoryview(b"x")
    released.release()

    class Uploaded(Bare):
        async def read(self, size: int = -1) -> bytes:  # type: ignore[override]
            return b""

    refused: list[tuple[Any, str]] = [
        (io.StringIO("x"), "binary"),
        (tempfile.SpooledTemporaryFile(mode="w+"), "binary"),  # noqa: SIM115 -- closed below
        (tempfile.NamedTemporaryFile("w+"), "binary"),  # noqa: SIM115 -- closed below
        ((tmp_path / "written").open("wb"), "reading"),
        (released, "released"),
        (Uploaded(b"x"), "UploadFile"),
        ("a\0b", "character"),
        ("a\ud800", "character"),
        ((tmp_path / "text").open(), "binary"),
        (closed, "closed"),
        (7, "int"),
        (None, "not None"),
        (tmp_path / "pipe", "regular"),
        (os.fdopen(reading, "rb"), "seek"),
    ]
    async with Faulty(ok(FILE)) as server, client_of(server) as client:
        for content, word in refused:
            call = client.files.create(file=content, filename="a.pdf", purpose="b")  # type: ignore[arg-type]
            error = await failure(call)
            assert type(error) is ConfigurationError
            assert error.argument == "file"
            assert word in str(error)
            getattr(content, "close", lambda: None)()
        os.close(writing)
        error = await failure(client.files.create(file=tmp_path / "none", purpose="b"))
        assert type(error) is FileNotFoundError
        error = await failure(client.files.create(file=tmp_path, purpose="b"))
        assert type(error) is IsADirectoryError
        assert server.requests == []


class Slow(io.BytesIO):
    """A file object whose reads wait until the event loop has done something else."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reading = threading.Event()
        self.go_on = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.reading.set()
        assert self.go_on.wait(30)
        return super().read(size)


async def test_a_slow_disk_does_not_block_the_loop() -> None:
    slow = Slow(b"x" * PIECE)
    async with Intake(TAKEN) as server, client_of(server) as client:
        task = asyncio.create_task(client.files.create(file=slow, filename="a", purpose="b"))
        while not slow.reading.is_set():  # noqa: ASYNC110 -- it is set in a thread
            await asyncio.sleep(0)
        assert (await client.files.create(file=b"x", filename="a", purpose="b")).id == "file_1"
        slow.go_on.set()
        assert (await task).id == "file_1"


# --- memory -------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def peak_below(limit: int) -> AsyncIterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit


async def test_a_large_upload_takes_little_memory(tmp_path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as stream:
        stream.truncate(100 * MIB)
    async with Intake(TAKEN) as server, client_of(server, timeout=60) as client:
        await client.warm_up()
        async with peak_below(8 * MIB):
            await client.files.create(file=path, purpose="pci_document")
        assert 100 * MIB < server.sizes[0] < 100 * MIB + 2000


async def test_a_large_download_takes_little_memory(tmp_path) -> None:
    size = 100 * MIB

    async def large(exchange: faulty.Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        piece = b"\xab" * 65536
        for _ in range(size // len(piece)):
            await exchange.send(piece)

    async with Faulty(large) as server, client_of(server, timeout=60) as client:
        await client.warm_up()
        async with peak_below(8 * MIB):
            path = await client.files.download("file_1", tmp_path / "large.bin")
        assert path.stat().st_size == size
        with path.open("rb") as stream:
            assert stream.read(1) == b"\xab"


async def test_errors_of_transfers_are_plain_data(tmp_path) -> None:
    async with Faulty(ok(REFUSED, 400)) as server, client_of(server) as client:
        error = await failure(client.files.create(file=b"x", filename="a", purpose="b"))
        twin = pickle.loads(pickle.dumps(error))
        assert (twin.param, twin.idempotency_key) == ("file", error.idempotency_key)
        assert error.idempotency_key
