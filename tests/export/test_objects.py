"""Exports to object stores, against a real server that speaks S3."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow.fs
import pyarrow.parquet as pq
import pytest

from pinstripe import ConfigurationError, ConnectionLost, IncompleteError
from pinstripe.export import join, plan, to_file, write_part
from pinstripe.export._objects import ObjectFolder, UploadedFile, open_address, upload
from pinstripe.export._plan import latest_plan
from tests.support.dated import DatedShelf, dated_pager
from tests.support.exported import sixty
from tests.support.parts import UNTIL, Platform, platform_client
from tests.support.s3_server import BUCKET, s3_server

pytestmark = pytest.mark.anyio

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test-id", "AWS_SECRET_ACCESS_KEY": "test-key"}


@pytest.fixture(scope="module")
def flag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s3") / "refuse"


@pytest.fixture(scope="module")
def options(flag: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with s3_server(flag) as options:
            yield options


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, so that a test sees what is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def waiting(temporary: Path) -> list[str]:
    return sorted(path.name for path in temporary.rglob("*") if path.is_file())


def content(options: str, name: str) -> bytes:
    system, path = open_address("output", f"s3://{BUCKET}/{name}?{options}")
    with system.open_input_stream(path) as stream:
        return bytes(stream.read())


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
async def test_a_file_is_uploaded_when_it_is_whole(options, ending, tmp_path, temporary) -> None:
    address = f"s3://{BUCKET}/a folder".replace(" ", "-") + f"/one.{ending}?{options}"
    assert await to_file(dated_pager(sixty()), address) == 60
    assert await to_file(dated_pager(sixty()), tmp_path / f"one.{ending}") == 60
    uploaded = content(options, f"a-folder/one.{ending}")
    assert uploaded == (tmp_path / f"one.{ending}").read_bytes()
    assert not waiting(temporary)
    shelf = sixty()
    with pytest.raises(ConfigurationError, match="output: exists already"):
        await to_file(dated_pager(shelf), address)
    assert not shelf.asked
    assert not waiting(temporary)
    assert await to_file(dated_pager(DatedShelf(range(9))), address, overwrite=True) == 9
    if ending == "parquet":
        assert pq.read_table(BytesIO(content(options, "a-folder/one.parquet"))).num_rows == 9


async def test_an_export_is_resumed_where_its_rows_are(options, temporary) -> None:
    address = f"s3://{BUCKET}/resumed.jsonl?{options}"
    shelf = DatedShelf(range(3_000))
    shelf.fail_at = 25
    with pytest.raises(ConnectionLost):
        await to_file(dated_pager(shelf), address, windows=1)
    assert any(name.endswith(".part") for name in waiting(temporary))
    asked = len(shelf.asked)
    assert await to_file(dated_pager(shelf), address, windows=1, resume=True) == 3_000
    assert len(shelf.asked) - asked < 15
    assert len(content(options, "resumed.jsonl").splitlines()) == 3_000
    assert not waiting(temporary)
    (base,) = temporary.iterdir()
    assert not [*base.iterdir()]


async def test_another_object_that_took_the_name_stays(options) -> None:
    address = f"s3://{BUCKET}/taken.jsonl?{options}"
    shelf = sixty()

    def take() -> None:
        system, path = open_address("output", address)
        with system.open_output_stream(path) as stream:
            stream.write(b"theirs")

    shelf.on_answer = take
    with pytest.raises(FileExistsError):
        await to_file(dated_pager(shelf), address)
    assert content(options, "taken.jsonl") == b"theirs"
    shelf.on_answer = lambda: None
    assert await to_file(dated_pager(shelf), address, resume=True, overwrite=True) == 60


def test_a_reader_never_sees_half_an_upload(options, flag, tmp_path) -> None:
    system, path = open_address("output", f"s3://{BUCKET}/large?{options}")
    file = tmp_path / "large"
    file.write_bytes(b"1" * 24_000_000)
    flag.touch()
    try:
        with file.open("rb") as source, pytest.raises(OSError, match="AWS Error"):
            upload(system, source, path)
    finally:
        flag.unlink()
    assert system.get_file_info(path).type == pyarrow.fs.FileType.NotFound
    with file.open("rb") as source:
        upload(system, source, path)
    assert system.get_file_info(path).size == 24_000_000


def test_an_upload_of_which_the_store_has_less_is_an_error(tmp_path) -> None:
    class Losing(pyarrow.fs.LocalFileSystem):
        def open_output_stream(self, path, *_, **__):
            return super().open_output_stream(f"{path}.elsewhere")

    file = tmp_path / "file"
    file.write_bytes(b"rows")
    with file.open("rb") as source, pytest.raises(OSError, match="does not have all bytes"):
        upload(Losing(), source, str(tmp_path / "object"))


async def test_parts_in_an_object_store(options, tmp_path, temporary) -> None:
    address = f"s3://{BUCKET}/sessions?{options}"
    platform = Platform({f"acct_{n}": 150 for n in range(3)})
    async with platform_client(platform) as client:
        sessions = client.identity.verification_sessions.list()
        accounts = [f"acct_{n}" for n in range(3)]
        made = await plan(
            sessions, address, parts=2, accounts=accounts, until=UNTIL, format="jsonl"
        )
        assert latest_plan(address) == made
        first, *rest = [part async for part in made]
        for part in rest:
            await write_part(client, part)
        with pytest.raises(IncompleteError, match="1 parts of 6"):
            await join(made)
        receipt = await write_part(client, first)
        asked = len(platform.asked)
        assert await write_part(client, first) == receipt
        assert len(platform.asked) == asked
        assert (await join(made)).rows == 450
        again = await plan(
            sessions, address, parts=2, accounts=accounts, until=UNTIL, format="jsonl"
        )
        assert again.parts == 0
    assert not waiting(temporary)
    folder = ObjectFolder(address)
    assert set(folder.files("account=acct_0")) == {
        part.name.rpartition("/")[2] for part in (first, *rest) if part.account == "acct_0"
    }
    assert folder.size("nothing") is None
    folder.write("no-end", BytesIO(b"a\nb"))
    assert list(folder.lines("no-end")) == [b"a\n", b"b"]


async def test_a_key_that_the_store_refuses_or_that_is_missing(options, temporary) -> None:
    shelf = sixty()
    with pytest.raises(OSError, match="nobody"):
        await to_file(dated_pager(shelf), f"s3://nobody/x.jsonl?{options}")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("ftp://host/x.csv", "must be a path or an address that begins with file://, s3://"),
        ("s3:///x.csv", "must be a path or an address"),
        ("s3://b/x.csv#y", "must be a path or an address"),
        ("s3://id:secret@b/x.csv", "must hold no key or password"),
        ("s3://id@b/x.csv", "must hold no key or password"),
        ("abfs://c:secret@a.dfs.core.windows.net/x.csv", "must hold no key or password"),
        ("abfs://c@a.dfs.core.windows.net/x.csv?sig=secret", "has an option that is none of"),
        ("s3://b/a b.csv", "is no address that Arrow can read"),
        ("file://host/x.csv", "must be like file:///folder/name"),
        ("file://", "must be like file:///folder/name"),
        ("s3://b/x.xml", "must be one of jsonl, csv, parquet"),
    ],
)
async def test_addresses_that_are_refused(address, problem) -> None:
    shelf = sixty()
    with pytest.raises(ConfigurationError, match=problem) as raised:
        await to_file(dated_pager(shelf), address)
    assert "secret" not in str(raised.value)
    assert not shelf.asked


@pytest.mark.parametrize(
    "address",
    ["gs://bucket/x.csv", "abfs://container@account.dfs.core.windows.net/x.csv"],
)
def test_the_other_stores_are_opened(address) -> None:
    _, path = open_address("output", address)
    assert path in ("bucket/x.csv", "container/x.csv")


async def test_an_address_of_this_machine_is_its_path(tmp_path) -> None:
    assert await to_file(dated_pager(sixty()), f"file://{tmp_path}/one.jsonl") == 60
    assert await to_file(dated_pager(sixty()), f"file://localhost{tmp_path}/two.jsonl") == 60
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


async def test_without_pyarrow(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
    with pytest.raises(ConfigurationError, match=r'needs pyarrow: pip install "pinstripe\[parquet'):
        await to_file(dated_pager(sixty()), "s3://bucket/x.csv")


def test_a_folder_of_somebody_else_is_not_written_to(temporary) -> None:
    class System:
        type_name = "s3"

    base = temporary / f"pinstripe-{os.getuid()}"
    base.mkdir()
    base.chmod(0o777)
    with pytest.raises(OSError, match="must be a folder into which only you may look"):
        UploadedFile(System(), "b/x")
