"""A sandbox with a file: everything that was answered survives the end of the process."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import shutil
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from attrs import frozen

from pinstripe.sandbox import ManualClock, Sandbox, Server, Settings
from pinstripe.sandbox.__main__ import main
from pinstripe.sandbox._state.disk import StoreFile
from pinstripe.sandbox._state.table import Query
from tests.support.sandbox_api import PNG, SESSIONS, Api, calls_during_seeding, one_of_each

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.db"


@contextlib.asynccontextmanager
async def running(file: Path, clock: ManualClock | None = None) -> AsyncIterator[tuple[Any, Api]]:
    server = Server(Settings(seed=7, clock=clock or ManualClock(), store=file))
    await server.start()
    try:
        async with aiohttp.ClientSession(server.url) as http:
            yield server, Api(http)
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def process(file: Path) -> AsyncIterator[tuple[Any, Api]]:
    """A sandbox in a process of its own, which the test ends."""
    command = ("-m", "pinstripe.sandbox", "--port", "0", "--seed", "5", "--store", str(file))
    child = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        line = (await child.stdout.readline()).decode()
        url = dict(pair.split("=", 1) for pair in line.split())["url"]
        async with aiohttp.ClientSession(url) as http:
            yield child, Api(http)
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


def everything(server: Server) -> Any:
    """Every object of every account, in the order of lists."""
    return {
        account.id: {
            name: found.objects
            for name, table in account.tables.items()
            if (found := table.find(Query(limit=10**9))) and found.objects
        }
        for account in server.world.accounts()
    }


async def walk(api: Api, path: str) -> list[Any]:
    found: list[Any] = []
    more = ""
    while True:
        page = await api.ok("GET", f"{path}?limit=100{more}")
        found += page["data"]
        if not page["has_more"]:
            return found
        more = f"&starting_after={found[-1]['id']}"


async def test_kill_9_loses_nothing_that_was_answered(file: Path) -> None:
    answered: dict[str, Any] = {}
    sent: list[str] = []
    for round in range(3):
        async with process(file) as (child, api):
            await check(api, answered, sent)
            kill = Kill(child, answered, len(answered) + random.randint(20, 150))
            await asyncio.gather(
                *[stream(api, f"{round}-{worker}", sent, kill) for worker in range(8)]
            )
            assert await child.wait() == -signal.SIGKILL
    assert len(answered) > 60
    async with process(file) as (_, api):
        await check(api, answered, sent)


@frozen
class Kill:
    """Kills a process after a number of answers."""

    child: Any
    answered: dict[str, Any]
    count: int

    def note(self, key: str, answer: Any) -> None:
        self.answered[key] = answer
        if len(self.answered) == self.count:
            self.child.send_signal(signal.SIGKILL)


async def stream(api: Api, worker: str, sent: list[str], kill: Kill) -> None:
    with contextlib.suppress(aiohttp.ClientError):
        for number in count():
            key = f"{worker}-{number}"
            sent.append(key)
            kill.note(key, await create(api, key))


async def create(api: Api, key: str) -> Any:
    reply = await api(
        "POST", SESSIONS, {"type": "document", "metadata[key]": key}, Idempotency_Key=key
    )
    assert reply.status == 200
    return reply.body


async def check(api: Api, answered: dict[str, Any], sent: list[str]) -> None:
    """What was answered is there; every object has its event and its stored answer."""
    stored = {session["metadata"]["key"]: session for session in await walk(api, SESSIONS)}
    events = [event["data"]["object"] for event in await walk(api, "/v1/events")]
    assert sorted(event["metadata"]["key"] for event in events) == sorted(stored)
    assert answered.keys() <= stored.keys() <= set(sent)
    for key in stored:
        again = await create(api, key)
        assert again == answered.get(key, again)
        assert again["id"] == stored[key]["id"]
    assert len(await walk(api, SESSIONS)) == len(stored)
    order = list(stored)
    created = [stored[key]["created"] for key in order]
    assert created == sorted(created, reverse=True)
    assert len({session["id"] for session in stored.values()}) == len(stored)


async def test_a_world_is_restored_whole(file: Path) -> None:
    async with running(file) as (server, api):
        server.identity.seed(40, interval=0)
        await one_of_each(api)
        for account in ("acct_1", "acct_2"):
            headers = {"Stripe_Account": account}
            session = await api.ok("POST", SESSIONS, {"type": "document"}, **headers)
            await api.ok("POST", f"{SESSIONS}/{session['id']}/cancel", **headers)
        before = everything(server)
    assert sorted(before, key=str) == [None, "acct_1", "acct_2"]
    assert len(before[None]) >= 10
    for _ in range(2):
        async with running(file) as (server, _):
            assert everything(server) == before


async def test_links_to_files_hold(file: Path) -> None:
    async with running(file) as (_, api):
        await one_of_each(api)
        (link,) = (await api.ok("GET", "/v1/file_links"))["data"]
    async with running(file), aiohttp.ClientSession() as http, http.get(link["url"]) as response:
        assert (response.status, await response.read()) == (200, PNG)


async def test_another_port_is_used_if_the_old_one_is_taken(file: Path) -> None:
    async with running(file) as (server, _):
        before = server.url
    blocking = Server(port=int(before.rpartition(":")[2]))
    await blocking.start()
    async with running(file) as (server, api):
        assert server.url != before
        assert (await api("GET", SESSIONS)).status == 200
    await blocking.stop()


def test_a_change_that_cannot_be_written_takes_none_with_it(file: Path) -> None:
    rows = StoreFile(file)
    rows.open()
    rows.write({("content", "", "a"): b"1"})
    with pytest.raises(UnicodeError):
        rows.write({("content", "", "a"): b"2", ("content", "", "\ud800"): b"3"})
    rows.write({("content", "", "b"): b"4"})
    assert list(rows.rows()) == [("content", "", "a", b"1"), ("content", "", "b", b"4")]
    rows.close()


async def test_what_cannot_be_written_is_a_500_and_never_waits(file: Path) -> None:
    async with running(file) as (server, api):
        account = server.world.account()
        account.put_content("odd", cast("bytes", object()))
        for _ in range(2):
            assert (await api("GET", SESSIONS)).status == 500
        account.remove_content("odd")
        assert (await api("GET", SESSIONS)).status == 200


async def test_ids_are_never_drawn_twice(file: Path) -> None:
    ids: list[str] = []
    for _ in range(3):
        async with running(file) as (_, api):
            reply = await api("POST", SESSIONS, {"type": "document"})
            ids += [reply.body["id"], reply.headers["Request-Id"]]
    assert len(set(ids)) == 6


async def test_jobs_and_the_clock_resume(file: Path) -> None:
    clock = ManualClock(2_000_000_000.0)
    async with running(file, clock) as (_, api):
        session = await api.session_of()
        await api.ok("POST", f"{SESSIONS}/{session['id']}/redact")
        clock.advance(0.5)
    async with running(file, ManualClock(5.0)) as (server, api):
        assert server.world.settings.clock() == 2_000_000_000.5
        path = f"{SESSIONS}/{session['id']}"
        assert (await api.ok("GET", path))["redaction"] == {"status": "processing"}
        await api.ok("POST", "/_sandbox/clock", {"advance": "0.5"})
        assert (await api.ok("GET", path))["redaction"] == {"status": "redacted"}
    async with running(file, ManualClock(5.0)) as (server, api):
        assert server.world.settings.clock() == 2_000_000_001.0
        assert (await api.ok("GET", path))["redaction"] == {"status": "redacted"}
        assert server.world.account().next_due() is None


async def test_a_clock_moved_in_another_thread_is_kept_too(file: Path) -> None:
    clock = ManualClock(1_000.0)
    async with running(file, clock):
        await asyncio.get_running_loop().run_in_executor(None, clock.advance, 7.0)
    async with running(file, ManualClock(1_000.0)) as (server, _):
        assert server.world.settings.clock() == 1_007.0


async def test_stored_answers_survive_the_process_and_expire(file: Path) -> None:
    clock = ManualClock(1_000.0)
    async with running(file, clock) as (_, api):
        first = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="k")
        wrong = await api("POST", SESSIONS + "/vs_1/cancel", Idempotency_Key="w")
    async with running(file, clock) as (_, api):
        again = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="k")
        assert again.body == first.body
        assert again.headers["Original-Request"] == first.headers["Request-Id"]
        other = await api("POST", SESSIONS, {"type": "id_number"}, Idempotency_Key="k")
        assert other.error["type"] == "idempotency_error"
        same = await api("POST", SESSIONS + "/vs_1/cancel", Idempotency_Key="w")
        assert (same.status, same.headers["Idempotent-Replayed"]) == (wrong.status, "true")
        clock.advance(24 * 3600)
        await api.ok("POST", SESSIONS, {"type": "document"}, Idempotency_Key="n")
    async with running(file, clock) as (server, _):
        assert len(server.world.account().keys.v1) == 1


async def test_content_comes_and_goes_with_its_object(file: Path) -> None:
    async with running(file) as (server, api):
        session = server.world.account().get(
            "identity.verification_session", (await api.session_of())["id"]
        )
        for id in (session["id"], "file_b", "file_c"):
            server.world.account().put_content(id, b"\0" + id.encode())
    async with running(file) as (server, _):
        account = server.world.account()
        assert account.content("file_b") == b"\0file_b"
        account.remove_content("file_b")
        account.remove(session)
        account.put_content("file_c", b"new")
    async with running(file) as (server, _):
        account = server.world.account()
        assert account.content("file_b") is account.content(session["id"]) is None
        assert account.content("file_c") == b"new"
        assert len(account.tables["identity.verification_session"]) == 0
        assert len(account.tables["event"]) == 1


async def test_a_server_that_starts_again_has_what_it_had(file: Path) -> None:
    server = Server(Settings(seed=1, clock=ManualClock(), store=file))
    await server.start()
    server.identity.seed(3)
    await server.stop()
    before = everything(server)
    await server.start()
    assert everything(server) == before
    server.identity.seed(2)
    await server.stop()
    async with running(file) as (again, _):
        assert everything(again) == everything(server)


def test_the_thread_of_a_sandbox_keeps_too(file: Path) -> None:
    for _ in range(3):
        with Sandbox(store=str(file)) as sandbox:
            assert sandbox.identity.seed(1) == 1
    with contextlib.closing(sqlite3.connect(file)) as rows:
        (stored,) = rows.execute("SELECT count(*) FROM rows WHERE place LIKE '%session'").fetchone()
    assert stored == 3


async def test_the_file_is_for_its_owner_only(file: Path) -> None:
    async with running(file) as (_, api):
        await api.session_of()
        for path in file.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_files_that_others_could_read_become_private(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "copy.db"
    copy.parent.mkdir()
    async with running(file) as (_, api):
        made = await api.session_of()
        for ending in ("", "-wal"):  # as after `kill -9`
            shutil.copy(f"{file}{ending}", f"{copy}{ending}")
    for path in (copy, Path(f"{copy}-wal"), Path(f"{copy}-shm")):
        path.touch()
        path.chmod(0o644)
    async with running(copy) as (_, api):
        await api.session_of()
        assert (await api.ok("GET", f"{SESSIONS}/{made['id']}"))["id"] == made["id"]
        for path in copy.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_permissions_of_a_file_that_is_no_store_stay(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as rows:
        rows.execute("CREATE TABLE other (a)")
    other.chmod(0o644)
    with pytest.raises(ValueError, match="not a file"), Sandbox(store=other):
        pass
    assert stat.S_IMODE(other.stat().st_mode) == 0o644


@pytest.mark.uncounted
async def test_seeding_a_file_lets_other_calls_have_their_turn(file: Path) -> None:
    async with running(file) as (_, api):
        assert await calls_during_seeding(api) > 4


def test_two_sandboxes_do_not_share_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Sandbox(store=file):
        with pytest.raises(OSError, match="locked"), Sandbox(store=file):
            pass
        assert main(["--port", "0", "--store", str(file)]) == 2
    assert "locked" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["text", "sqlite", "newer"])
def test_other_files_are_refused_and_left_alone(file: Path, kind: str) -> None:
    if kind == "text":
        file.write_bytes(b"my diary " * 1000)
    else:
        with contextlib.closing(sqlite3.connect(file)) as other:
            other.execute("CREATE TABLE mine (id)")
            if kind == "newer":
                other.execute(f"PRAGMA application_id = {0x50494E53}")
                other.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"store .*sandbox\.db is not a file of"):
        asyncio.run(Server(Settings(store=file)).start())
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("path", ["missing/sandbox.db", "."])
async def test_a_file_that_cannot_be_made(tmp_path: Path, path: str) -> None:
    with pytest.raises(OSError, match=r"missing|store"):
        await Server(Settings(store=tmp_path / path)).start()


@pytest.fixture
def full_disk() -> Iterator[Any]:
    """A context in which no file of this process grows."""

    @contextlib.contextmanager
    def full(size: int) -> Iterator[None]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    return full


def size_of(file: Path) -> int:
    """Return the size of the write-ahead log."""
    return file.with_name(file.name + "-wal").stat().st_size


async def test_a_full_disk_is_a_500_until_there_is_room(
    file: Path, full_disk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(file) as (_, api):
        await api.session_of()
        with full_disk(size_of(file)):
            replies = await asyncio.gather(
                *[api("POST", SESSIONS, {"type": "document"}, Idempotency_Key=k) for k in "ab"]
            )
            reply = await api("GET", SESSIONS)
        assert {reply.status, *(reply.status for reply in replies)} == {500}
        assert "cannot write to its file" in caplog.text
        again = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="a")
        assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    async with running(file) as (_, api):
        assert again.body["id"] in [session["id"] for session in await walk(api, SESSIONS)]
        assert len(await walk(api, SESSIONS)) == 3
