"""Cassettes: what is recorded of real calls, and how it is replayed."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

import pinstripe
from pinstripe import ConfigurationError, ConnectionLost, RequestOptions, RetryPolicy
from pinstripe.sandbox import Sandbox
from pinstripe.testing import Cassette, FakeAPI, refusal
from tests.support.faulty import Faulty, ok, reset_before

pytestmark = pytest.mark.anyio

SESSION = "/v1/identity/verification_sessions/{session}"
AT_ONCE = RetryPolicy(base=0)
PRODUCT = "climsku_frontier_offtake_portfolio_2027"
PDF = b"%PDF-1.4 of a person\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "one.json"


def recorded_by(sandbox: Sandbox) -> dict[str, Any]:
    """The options of a client that records against a sandbox."""
    return {
        "api_key": sandbox.restricted_key,
        "base_url": sandbox.url,
        "files_url": sandbox.url,
        "retry": AT_ONCE,
    }


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def exchanges(path: Path) -> list[Any]:
    held: list[Any] = json.loads(text_of(path))["exchanges"]
    return held


async def test_what_was_recorded_is_replayed_without_the_api(sandbox: Sandbox, path: Path) -> None:
    async def scenario(stripe: pinstripe.AsyncClient) -> tuple[Any, ...]:
        sessions = stripe.identity.verification_sessions
        made = [await sessions.create(type="document", metadata={"user": f"user-{n}"})
                for n in range(5)]  # fmt: skip
        canceled = await sessions.cancel(made[0].id)
        listed = [session async for session in sessions.list(limit=2)]
        with pytest.raises(pinstripe.InvalidRequestError) as caught:
            await sessions.cancel(made[0].id)
        facts = (caught.value.status, caught.value.message, caught.value.request_id)
        ids = [session.id for session in (*made, *listed)]
        names = [session.metadata for session in (*made, canceled, *listed)]
        return ids, names, canceled.status, facts

    with Cassette(path) as cassette:
        assert cassette.recording
        async with cassette.client(**recorded_by(sandbox)) as stripe:
            first = await scenario(stripe)
    sandbox.reset()
    with Cassette(path) as cassette:
        assert not cassette.recording
        async with cassette.client() as stripe:
            assert await scenario(stripe) == first


def test_the_blocking_client_is_recorded_and_replayed(sandbox: Sandbox, path: Path) -> None:
    def scenario(stripe: pinstripe.Client) -> list[str]:
        sessions = stripe.identity.verification_sessions
        sessions.create(type="document", return_url="https://shop.example/done")
        return [session.id for session in sessions.list()]

    with Cassette(path) as cassette, cassette.sync_client(**recorded_by(sandbox)) as stripe:
        first = scenario(stripe)
    with Cassette(path, mode="replay") as cassette, cassette.sync_client() as stripe:
        assert scenario(stripe) == first


async def test_the_key_of_a_call_may_differ_and_its_repetition_is_answered_again(
    sandbox: Sandbox, path: Path
) -> None:
    async def create(stripe: pinstripe.AsyncClient, key: str | None = None) -> str:
        options = RequestOptions(idempotency_key=key)
        sessions = stripe.identity.verification_sessions
        return (await sessions.create(type="document", request_options=options)).id

    with Cassette(path) as cassette:
        async with cassette.client(**recorded_by(sandbox)) as stripe:
            ids = [await create(stripe, "a"), await create(stripe), await create(stripe, "a")]
    assert ids[0] == ids[2] != ids[1]
    assert [each["request"]["key"] for each in exchanges(path)] == ["[key 1]", "[key 2]", "[key 1]"]
    async with Cassette(path).client() as stripe:
        replayed = [await create(stripe, "b"), await create(stripe), await create(stripe, "b")]
        assert replayed == ids
        sessions = stripe.identity.verification_sessions
        options = RequestOptions(idempotency_key="b")
        again = await sessions.create(type="document", request_options=options)
        assert again.id == ids[0]
        assert pinstripe.response_of(again).replayed
        with pytest.raises(AssertionError, match="its idempotency key is that of another call"):
            await create(stripe)


async def test_retries_and_lost_connections_are_replayed_as_they_were(path: Path) -> None:
    fake = FakeAPI()
    lost = ConnectionLost("the connection to jenny@example.com was lost")
    fake.on("GET", SESSION).answer(refusal(503), lost, refusal(404))
    with Cassette(path) as cassette:
        client = pinstripe.AsyncClient("sk_test_1", transport=cassette.over(fake), retry=AT_ONCE)
        async with client as stripe:
            with pytest.raises(pinstripe.NotFoundError):
                await stripe.identity.verification_sessions.retrieve("vs_1")
    assert [each["answer"].get("status") for each in exchanges(path)] == [503, None, 404]
    assert "jenny" not in text_of(path)
    async with Cassette(path).client(retry=AT_ONCE) as stripe:
        with pytest.raises(pinstripe.NotFoundError) as caught:
            await stripe.identity.verification_sessions.retrieve("vs_1")
    assert caught.value.attempts == 3


async def test_a_stale_connection_stays_one(path: Path) -> None:
    async with Faulty(reset_before, ok(b'{"object": "thing"}')) as server:
        once = RetryPolicy(max_attempts=2, base=0)
        with Cassette(path) as cassette:
            async with cassette.client(
                api_key="sk_test_1", base_url=server.url, retry=once
            ) as stripe:
                assert (await stripe.request("GET", "/v1/things")).attempts == 2
    (lost, _) = exchanges(path)
    assert lost["answer"]["error"] == "ConnectionLost"
    async with Cassette(path).client(retry=once) as stripe:
        assert (await stripe.request("GET", "/v1/things")).attempts == 2


@pytest.mark.parametrize(
    "error",
    [
        pinstripe.ConnectError("refused"),
        pinstripe.CertificateError("not trusted"),
        pinstripe.DeadlineExceeded("late"),
        pinstripe.TransportError("odd"),
        pinstripe.ResponseTooLarge("long"),
        pinstripe.DecodeError("no JSON"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_of_a_transport_is_raised_again(error: Any, path: Path) -> None:
    fake = FakeAPI()
    fake.on("GET", SESSION).answer(error)
    once = RetryPolicy(max_attempts=1)
    seen: list[Any] = []
    with Cassette(path) as cassette:
        clients = [
            pinstripe.AsyncClient("sk_test_1", transport=cassette.over(fake), retry=once),
            pinstripe.AsyncClient("sk_test_1", transport=Later(path), retry=once),
        ]
        async with clients[0] as stripe:
            with pytest.raises(type(error)) as caught:
                await stripe.identity.verification_sessions.retrieve("vs_1")
            seen.append(caught.value)
    async with clients[1] as stripe:
        with pytest.raises(pinstripe.PinstripeError) as caught:
            await stripe.identity.verification_sessions.retrieve("vs_1")
        seen.append(caught.value)
    first, second = seen
    assert isinstance(first, type(second))
    assert (first.message, first.outcome) == (second.message, second.outcome)


class Later:
    """A transport that opens its cassette with its first request."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, request: pinstripe.Request) -> pinstripe.Response:
        return await Cassette(self._path).send(request)

    async def aclose(self) -> None:
        pass


async def test_files_go_up_and_come_back_and_are_not_in_the_cassette(
    sandbox: Sandbox, path: Path, tmp_path: Path
) -> None:
    async def scenario(stripe: pinstripe.AsyncClient, name: str) -> tuple[bytes, bytes, int]:
        made = await stripe.files.create(
            file=PDF * 9, purpose="dispute_evidence", filename="jenny.pdf"
        )
        target = await stripe.files.download(made.id, tmp_path / name)
        where = "/v1/files/{file}/contents"
        answer = await stripe.request("GET", where, ids={"file": made.id}, host="files")
        return target.read_bytes(), answer.body, made.size

    with Cassette(path) as cassette:
        async with cassette.client(**recorded_by(sandbox)) as stripe:
            first = await scenario(stripe, "first")
    assert first == (PDF * 9, PDF * 9, 189)
    text = text_of(path)
    assert "PDF-1.4" not in text
    assert "jenny" not in text
    assert '"content": "[content 1: 189 bytes]"' in text
    async with Cassette(path).client() as stripe:
        assert await scenario(stripe, "second") == first


async def test_a_file_that_the_test_did_not_send_has_invented_content_of_its_size(
    sandbox: Sandbox, path: Path, tmp_path: Path
) -> None:
    async with sandbox.client() as stripe:
        made = await stripe.files.create(file=PDF, purpose="dispute_evidence", filename="a.pdf")
    with Cassette(path) as cassette:
        async with cassette.client(**recorded_by(sandbox)) as stripe:
            await stripe.files.download(made.id, tmp_path / "first")
    async with Cassette(path).client() as stripe:
        content = (await stripe.files.download(made.id, tmp_path / "second")).read_bytes()
    assert len(content) == len(PDF)
    assert content != PDF


async def test_another_upload_is_no_match(sandbox: Sandbox, path: Path) -> None:
    async def upload(stripe: pinstripe.AsyncClient, *files: bytes) -> None:
        for file in files:
            await stripe.files.create(file=file, purpose="dispute_evidence", filename="a.pdf")

    with Cassette(path) as cassette:
        async with cassette.client(**recorded_by(sandbox)) as stripe:
            await upload(stripe, PDF, PDF)
    async with Cassette(path).client() as stripe:
        with pytest.raises(AssertionError, match="the content of its file is another one"):
            await upload(stripe, PDF + b"1", PDF + b"2")


async def test_concurrent_calls_share_a_cassette(sandbox: Sandbox, path: Path) -> None:
    async def scenario(stripe: pinstripe.AsyncClient) -> set[tuple[str, str]]:
        sessions = stripe.identity.verification_sessions
        made = await asyncio.gather(
            *(sessions.create(type="document", metadata={"user": f"user-{n}"}) for n in range(20))
        )
        read = await asyncio.gather(*(sessions.retrieve(session.id) for session in reversed(made)))
        return {(session.id, session.metadata["user"]) for session in (*made, *read)}

    with Cassette(path) as cassette:
        async with cassette.client(**recorded_by(sandbox)) as stripe:
            first = await scenario(stripe)
    assert len(first) == 20
    async with Cassette(path).client() as stripe:
        replayed = await scenario(stripe)
    # The order may be another one, so ids and users may pair up in another way; each pair is whole.
    assert {id for id, _ in replayed} == {id for id, _ in first}
    assert len(replayed) == 20


def test_threads_share_a_cassette(sandbox: Sandbox, path: Path) -> None:
    def scenario(cassette: Cassette, **options: Any) -> set[str]:
        ids: set[str] = set()

        def work(number: int) -> None:
            with cassette.sync_client(**options) as stripe:
                sessions = stripe.identity.verification_sessions
                made = sessions.create(type="document", metadata={"user": f"user-{number}"})
                ids.add(sessions.retrieve(made.id).id)

        threads = [threading.Thread(target=work, args=[n]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ids

    with Cassette(path) as cassette:
        first = scenario(cassette, **recorded_by(sandbox))
    assert len(first) == 4
    assert scenario(Cassette(path)) == first


@pytest.mark.parametrize("name", ["account", "context"])
async def test_parameters_match_in_any_order_and_the_account_matters(path: Path, name: Any) -> None:
    fake = FakeAPI()
    fake.on("GET", "/v1/things").answer({"object": "thing"})
    with Cassette(path) as cassette:
        transport = cassette.over(fake)
        async with pinstripe.AsyncClient("sk_test_1", transport=transport) as stripe:
            on_behalf = stripe.with_options(**{name: "acct_1"})
            await on_behalf.request("GET", "/v1/things", {"a": "x", "b": ["y", "z"], "c": ""})
    async with Cassette(path).client() as stripe:
        with pytest.raises(AssertionError, match=f"{name} is None, not 'acct_1'"):
            await stripe.request("GET", "/v1/things", {"a": "x", "b": ["y", "z"], "c": ""})
        on_behalf = stripe.with_options(**{name: "acct_1"})
        await on_behalf.request("GET", "/v1/things", {"c": "", "b": ["y", "z"], "a": "x"})


async def test_the_json_of_v2_is_compared_by_value(path: Path) -> None:
    fake = FakeAPI()
    fake.on("POST", "/v2/core/things").answer({"object": "v2.core.thing"})
    params = {"on": True, "off": None, "many": 3, "name": "Jenny", "deep": {"phone": 5551234567}}
    with Cassette(path) as cassette:
        transport = cassette.over(fake)
        async with pinstripe.AsyncClient("sk_test_1", transport=transport) as stripe:
            await stripe.request("POST", "/v2/core/things", params)
    (held,) = exchanges(path)
    assert held["request"]["params"] == {
        "on": True,
        "off": None,
        "many": "[many 1: integer]",
        "name": "[name 1]",
        "deep": {"phone": "[phone 1: integer]"},
    }
    async with Cassette(path).client() as stripe:
        with pytest.raises(AssertionError, match="deep is 'x', not"):
            await stripe.request("POST", "/v2/core/things", {**params, "deep": "x"})
        changed = {"on": {"a": "b"}, "many": 3, "name": "Jenny", "deep": {}, "new": None}
        told = r"on is nested, not True; .*off is missing; new was not recorded"
        with pytest.raises(AssertionError, match=told):
            await stripe.request("POST", "/v2/core/things", changed)
        await stripe.request("POST", "/v2/core/things", params)


async def test_a_failure_is_not_answered_again(path: Path) -> None:
    fake = FakeAPI()
    fake.on("POST", "/v1/things").answer(refusal(500))
    options = RequestOptions(idempotency_key="a")
    once = RetryPolicy(max_attempts=1)
    with Cassette(path) as cassette:
        transport = cassette.over(fake)
        async with pinstripe.AsyncClient("sk_test_1", transport=transport, retry=once) as stripe:
            with pytest.raises(pinstripe.ServerError):
                await stripe.request("POST", "/v1/things", request_options=options)
    async with Cassette(path).client(retry=once) as stripe:
        with pytest.raises(pinstripe.ServerError):
            await stripe.request("POST", "/v1/things", request_options=options)
        with pytest.raises(AssertionError, match="each answer was given"):
            await stripe.request("POST", "/v1/things", request_options=options)


async def test_private_names_are_told_apart(path: Path) -> None:
    async def create(stripe: pinstripe.AsyncClient, *names: str) -> Any:
        sent = {"metadata": {name: f"value of {name}" for name in names}}
        return (await stripe.request("POST", "/v1/things", sent)).json()

    fake = FakeAPI()
    fake.on("POST", "/v1/things").answer(lambda call: {"object": "thing", **call.params})
    names = ("jenny@example.com", "tom@example.com")
    with Cassette(path) as cassette:
        transport = cassette.over(fake)
        async with pinstripe.AsyncClient("sk_test_1", transport=transport) as stripe:
            for name in (names[0], *names):
                await create(stripe, name)
    assert "example.com" not in text_of(path)
    async with Cassette(path).client() as stripe:
        again = await create(stripe, "ann@example.com")
        assert again["metadata"] == {"ann@example.com": "value of ann@example.com"}
        await create(stripe, "ann@example.com")
        with pytest.raises(AssertionError, match="private_name"):
            await create(stripe, "ann@example.com")


# --- what does not match --------------------------------------------------------------------------


async def test_a_call_that_is_missing_names_the_nearest_one_and_no_private_value(
    sandbox: Sandbox, path: Path
) -> None:
    with Cassette(path) as cassette:
        async with cassette.client(**recorded_by(sandbox)) as stripe:
            sessions = stripe.identity.verification_sessions
            await sessions.create(
                type="document",
                options={"document": {"allowed_types": ["passport"]}},
                metadata={"user": "jenny-1", "jenny@example.com": "jenny-2"},
                provided_details={"email": "jenny@example.com"},
            )
            await sessions.list(limit=7)
    details = {"email": "tom@example.com"}
    metadata = {"user": "tom-1", "tom@example.com": "tom-2", "an": "tom-3", "a@b": "tom-4"}
    async with Cassette(path).client() as stripe:
        sessions = stripe.identity.verification_sessions
        with pytest.raises(AssertionError) as caught:
            await sessions.create(type="id_number", metadata=metadata, provided_details=details)
        told = str(caught.value)
        assert "POST /v1/identity/verification_sessions is not in" in told
        assert "type is 'id_number', not 'document'" in told
        assert "options is missing" in told
        assert "metadata[an] was not recorded; metadata[private_name] was not recorded" in told
        assert "tom" not in told
        with pytest.raises(AssertionError, match=r"limit is '8', not '7'"):
            await sessions.list(limit=8)
        with pytest.raises(AssertionError, match=r"GET /v1/events is not in .* which has GET /v1"):
            await stripe.events.list()
        await sessions.list(limit=7)
        with pytest.raises(AssertionError, match="1 times, and each answer was given"):
            await sessions.list(limit=7)


async def test_a_private_value_is_not_shown_where_it_differs(path: Path) -> None:
    fake = FakeAPI()
    fake.on("POST", "/v1/things").answer({"object": "thing"})
    sent = {"name": "Jenny", "nick": "Jenny Jen", "items": ["a"], "metadata": {"a": "b"}}
    with Cassette(path) as cassette:
        transport = cassette.over(fake)
        async with pinstripe.AsyncClient("sk_test_1", transport=transport) as stripe:
            for _ in range(2):
                await stripe.request("POST", "/v1/things", sent)
    async with Cassette(path).client() as stripe:
        await stripe.request("POST", "/v1/things", sent)
        other = {"name": "Thomas", "nick": "Jenny Jen", "items": ["a", "b"], "metadata": {"c": "d"}}
        with pytest.raises(AssertionError) as caught:
            await stripe.request("POST", "/v1/things", other)
    told = str(caught.value)
    assert "name is another private value, not '[name 1]'" in told
    assert "items has 2 items, not 1" in told
    assert "metadata[c] was not recorded" in told
    assert "Thomas" not in told


async def test_more_than_a_few_differences_are_counted(path: Path) -> None:
    fake = FakeAPI()
    fake.on("GET", "/v1/things").answer({"object": "thing"})
    with Cassette(path) as cassette:
        transport = cassette.over(fake)
        async with pinstripe.AsyncClient("sk_test_1", transport=transport) as stripe:
            await stripe.request("GET", "/v1/things", dict.fromkeys("abcdefg", "x"))
    async with Cassette(path).client() as stripe:
        with pytest.raises(AssertionError, match=r"a is 'y', not 'x'.*, and 2 more"):
            await stripe.request("GET", "/v1/things", dict.fromkeys("abcdefg", "y"))


async def test_an_id_that_differs_is_named(sandbox: Sandbox, path: Path) -> None:
    with Cassette(path) as cassette:
        async with cassette.client(**recorded_by(sandbox)) as stripe:
            with pytest.raises(pinstripe.NotFoundError):
                await stripe.identity.verification_sessions.retrieve("vs_1")
            with pytest.raises(pinstripe.NotFoundError):
                await stripe.identity.verification_sessions.retrieve("Jenny-1")
    assert "Jenny" not in text_of(path)
    async with Cassette(path).client() as stripe:
        for id in ("vs_1", "Jenny-1"):
            with pytest.raises(pinstripe.NotFoundError):
                await stripe.identity.verification_sessions.retrieve(id)
        with pytest.raises(AssertionError, match=r"ids\[0\] is 'vs_2', not 'vs_1'"):
            await stripe.identity.verification_sessions.retrieve("vs_2")
        with pytest.raises(AssertionError, match=r"ids\[0\] is another private value"):
            await stripe.identity.verification_sessions.retrieve("Tom-1")


# --- the file and its modes -----------------------------------------------------------------------

WITH_ANSWER = (
    '{"cassette": 1, "about": "", "exchanges": [{"request": {"call": "GET /v1/a"}, "answer": %s}]}'
)
WRONG_ANSWERS = ("{}", '{"status": 99}', '{"error": "E"}', '{"status": 200, "error": "E"}')


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is damaged"),
        ('{"cassette": 1, "about": "", "exchanges": [{"req', "is damaged"),
        ('{"exchanges": []}', "is damaged"),
        ('{"cassette": 2, "tapes": []}', "is a cassette of version 2, and this release reads 1"),
        ('{"cassette": 1, "about": "", "exchanges": [], "more": 1}', "is damaged"),
        *((WITH_ANSWER % answer, "is damaged") for answer in WRONG_ANSWERS),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "replay"])
def test_a_damaged_or_newer_cassette_is_refused(
    content: str, problem: str, mode: Any, tmp_path: Path
) -> None:
    path = tmp_path / "one.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=problem) as caught:
        Cassette(path, mode=mode)
    assert caught.value.argument == "path"
    assert path.read_text(encoding="utf-8") == content


def test_a_wrong_argument_is_refused_by_its_name(tmp_path: Path) -> None:
    for argument, make in {
        "mode": lambda: Cassette(tmp_path / "a.json", mode="once"),  # type: ignore[arg-type]
        "path": lambda: Cassette(7),  # type: ignore[arg-type]
    }.items():
        with pytest.raises(ConfigurationError) as caught:
            make()
        assert caught.value.argument == argument
    with pytest.raises(ConfigurationError, match="path: is a folder"):
        Cassette(tmp_path)
    with pytest.raises(ConfigurationError, match="path: cannot be read: No such file"):
        Cassette(tmp_path / "none.json", mode="replay")
    (tmp_path / "link.json").symlink_to(tmp_path / "none.json")
    with pytest.raises(ConfigurationError, match="path: cannot be read"):
        Cassette(tmp_path / "link.json")


async def test_a_replay_opens_no_connection(path: Path) -> None:
    async with Faulty(ok(b'{"object": "thing"}')) as server:
        options: dict[str, Any] = {"api_key": "sk_test_1", "base_url": server.url}
        with Cassette(path) as cassette:
            async with cassette.client(**options) as stripe:
                await stripe.request("GET", "/v1/things")
        assert server.accepted == 1
        cassette = Cassette(path)
        for client in (cassette.client(**options), cassette.client(**options)):
            async with client as stripe:
                await stripe.warm_up()
                with pytest.raises(AssertionError):
                    await stripe.request("GET", "/v1/others")
        assert server.accepted == 1


async def test_a_failed_run_leaves_no_file_and_keeps_the_old_one(
    sandbox: Sandbox, path: Path
) -> None:
    async def record(mode: Any, problem: Exception | None) -> None:
        with Cassette(path, mode) as cassette:
            async with cassette.client(**recorded_by(sandbox)) as stripe:
                await stripe.events.list()
                if problem is not None:
                    raise problem

    with pytest.raises(ValueError, match="of the test"):
        await record("auto", ValueError("of the test"))
    assert not path.parent.exists()
    await record("auto", None)
    before = text_of(path)
    with pytest.raises(ValueError, match="of the test"):
        await record("record", ValueError("of the test"))
    assert text_of(path) == before
    await record("record", None)
    assert text_of(path) != before  # its answers have other request ids
    assert [each.name for each in path.parent.iterdir()] == ["one.json"]


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "one.json"
    cassette = Cassette(path)
    with cassette.sync_client(**recorded_by(sandbox)) as stripe:
        cassette.__enter__()
        assert list(stripe.events.list()) == []
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        cassette.__exit__(None, None, None)
    assert [each.name for each in tmp_path.iterdir()] == ["one.json"]


def test_nothing_is_written_if_nothing_was_recorded(path: Path) -> None:
    with Cassette(path):
        pass
    assert not path.exists()


async def test_recording_happens_below_a_client_and_inside_of_with_only(
    sandbox: Sandbox, path: Path
) -> None:
    cassette = Cassette(path)
    async with cassette.client(**recorded_by(sandbox)) as stripe:
        with pytest.raises(ConfigurationError, match="cassette: records inside its with block"):
            await stripe.events.list()
        with cassette:
            await stripe.events.list()
        with pytest.raises(ConfigurationError, match="cassette: records inside its with block"):
            await stripe.events.list()
    with pytest.raises(ConfigurationError, match="transport: records only below a client"):
        await cassette.send(pinstripe.Request(method="GET", path="/v1/a", template="/v1/a"))
    assert len(exchanges(path)) == 1


async def test_a_call_that_was_cut_short_is_not_recorded(path: Path) -> None:
    fake = FakeAPI()
    fake.on("GET", "/v1/things").answer({"object": "thing"})
    arrived = asyncio.Event()

    class Waiting:
        async def send(self, request: pinstripe.Request) -> pinstripe.Response:
            if request.path == "/v1/things":
                return await fake.send(request)
            arrived.set()
            return await asyncio.Future()

        async def aclose(self) -> None:
            pass

    with Cassette(path) as cassette:
        transport = cassette.over(Waiting())
        async with pinstripe.AsyncClient("sk_test_1", transport=transport) as stripe:
            call = asyncio.ensure_future(stripe.request("GET", "/v1/others"))
            await arrived.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await stripe.request("GET", "/v1/things")
    assert [each["request"]["call"] for each in exchanges(path)] == ["GET /v1/things"]


async def test_a_cassette_is_the_transport_of_any_client(sandbox: Sandbox, path: Path) -> None:
    options = {**recorded_by(sandbox), "api_key": sandbox.api_key}
    with Cassette(path) as cassette:
        async with pinstripe.AsyncClient(transport=cassette, **options) as stripe:
            made = await stripe.climate.orders.create(product=PRODUCT, metric_tons="0.5")
    async with pinstripe.AsyncClient("sk_test_1", transport=Cassette(path)) as stripe:
        again = await stripe.climate.orders.create(product=PRODUCT, metric_tons="0.5")
    assert again.id == made.id
    assert again.metric_tons == made.metric_tons
