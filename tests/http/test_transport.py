"""The transport and the client over real sockets, against a server that misbehaves by a script."""

from __future__ import annotations

import asyncio
import gc
import json
import select
import socket
import subprocess
import sys
import threading
import tracemalloc
from typing import Any
from urllib.parse import parse_qsl

import anyio
import attrs
import pytest
from anyio.from_thread import start_blocking_portal

import pinstripe
from pinstripe import (
    AsyncClient,
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    DecodeError,
    InvalidRequestError,
    Limits,
    PinstripeError,
    Request,
    RequestOptions,
    Response,
    ResponseError,
    ResponseTooLarge,
    RetryPolicy,
    ServerError,
    Timeout,
    TransportError,
)
from pinstripe._config.client import Config
from pinstripe._http import body
from pinstripe._http.transport import AiohttpTransport
from tests.support import faulty
from tests.support.clean import CANARY, KEY, PRIVATE, check_clean, nothing_left
from tests.support.faulty import Faulty, ok
from tests.support.waiting import settle

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(max_attempts=1)
AT_ONCE = RetryPolicy(base=0)

SESSION = json.dumps(
    {
        "id": "vs_1",
        "object": "identity.verification_session",
        "created": 1790510912,
        "client_secret": None,
        "last_error": None,
        "last_verification_report": None,
        "livemode": False,
        "metadata": {},
        "options": {"document": {}},
        "redaction": None,
        "status": "requires_input",
        "type": "document",
        "url": None,
    }
).encode()


def client_of(server: Faulty | Wire, **settings: Any) -> AsyncClient:
    usual: dict[str, Any] = {"base_url": server.url, "files_url": server.url, "retry": ONCE}
    return AsyncClient(KEY, **{**usual, **settings})


async def call(client: AsyncClient, method: str, **settings: Any) -> Response:
    params = {"client_reference_id": PRIVATE}
    return await client.request(method, "/v1/things", params, **settings)


async def failure(call: Any) -> Any:
    with pytest.raises(PinstripeError) as caught:
        await call
    check_clean(caught.value)
    return caught.value


# --- faults: those of the table are in test_faults ----------------------------------------------


async def test_a_delete_is_not_repeated_behind_our_back() -> None:
    retry = RetryPolicy(max_attempts=4, base=0)
    async with Faulty(faulty.reset_before) as server, client_of(server, retry=retry) as client:
        error = await failure(call(client, "DELETE"))
        assert type(error) is ConnectionLost
        assert error.attempts == len(server.requests) == 4
        assert error.idempotency_key is None


@pytest.mark.parametrize("on_accept", ["reset", "close"])
async def test_a_connection_ended_before_it_was_used(on_accept) -> None:
    async with Faulty(ok(), on_accept=on_accept) as server, client_of(server) as client:
        error = await failure(call(client, "GET"))
        assert isinstance(error, TransportError)
        assert (server.accepted, server.requests) == (1, [])


async def test_nobody_listens() -> None:
    async with Faulty(ok()) as server:
        url = server.url
    async with AsyncClient(KEY, base_url=url, retry=RetryPolicy(base=0)) as client:
        error = await failure(call(client, "POST"))
        assert type(error) is ConnectError
        assert (error.outcome, error.attempts) == ("not_sent", 3)
        port = url.rpartition(":")[2]
        assert error.message == f"cannot connect to 127.0.0.1:{port}: Connection refused"


async def test_a_server_without_tls() -> None:
    async with Faulty(ok(), on_accept="speak") as server:
        url = server.url.replace("http:", "https:")
        async with AsyncClient(KEY, base_url=url, retry=ONCE) as client:
            error = await failure(call(client, "POST"))
            assert (type(error), error.outcome) == (ConnectError, "not_sent")
        assert server.requests == []


async def test_a_connection_that_is_never_made() -> None:
    # A full backlog: the kernel answers no further handshake.
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with AsyncClient(KEY, base_url=url, retry=ONCE, timeout=20) as client:
            hasty = client.with_options(timeout=Timeout(20, connect=0.05))
            error = await failure(call(hasty, "GET"))
            assert (type(error), error.outcome) == (ConnectError, "not_sent")
            options = RequestOptions(timeout=Timeout(0.05))
            error = await failure(call(client, "POST", request_options=options))
            assert (type(error), error.outcome) == (DeadlineExceeded, "not_sent")
            assert error.message == "no answer within 0.05 s: there was still no connection"


async def test_a_cancelled_call_leaves_no_connection() -> None:
    async with Faulty(faulty.hang) as server, client_of(server) as client:
        task = asyncio.create_task(call(client, "POST"))
        await server.arrived.wait()
        task.cancel()
        await server.gone.wait()
        assert task.cancelled()
        assert server.open_connections == 0


async def test_an_answer_that_cannot_be_used_is_kept() -> None:
    body = SESSION.replace(b"1790510912", b'"soon"')
    async with Faulty(ok(body, Request_Id="req_1")) as server, client_of(server) as client:
        error = await failure(client.identity.verification_sessions.create(type="document"))
        assert (type(error), error.path) == (DecodeError, "$.created")
        assert (error.body, error.status, error.request_id) == (body, 200, "req_1")


# --- heads --------------------------------------------------------------------------------------


class Wire:
    """A socket server that keeps the head of each request as it came, and answers with `{}`."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(faulty.raw_answer(b"{}"))
        except asyncio.IncompleteReadError:
            writer.close()

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def sent(self, *names: str) -> list[tuple[str, str]]:
        """Return the headers of the last request that have one of these names, in lower case."""
        lines = [line.partition(": ") for line in self.heads[-1].split("\r\n")[1:-2]]
        return sorted((n.lower(), value) for n, _, value in lines if n.lower() in names)


ACCEPTED = ("accept", "accept-encoding")
OF_JSON = [("accept", "application/json"), ("accept-encoding", "gzip, deflate")]
OF_BYTES = [("accept", "*/*"), ("accept-encoding", "identity")]


class Nowhere:
    """A sink; in a request it has aiohttp make the head."""

    max_bytes = 100

    async def start(self) -> None:
        pass

    async def write(self, piece: bytes) -> None:
        pass


async def test_a_file_that_is_read_is_asked_for_as_it_is() -> None:
    async with Wire() as wire, client_of(wire) as client:
        await client.files.read("file_1")
        assert wire.sent(*ACCEPTED) == OF_BYTES
        await client.request("GET", "/v1/x")
        assert wire.sent(*ACCEPTED) == OF_JSON


@pytest.mark.parametrize("sink", [None, Nowhere()])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_headers_of_a_request_replace_those_of_its_route(method: Any, sink: Any) -> None:
    async with Wire() as wire:
        config = Config(api_key=KEY, base_url=wire.url, files_url=wire.url)
        transport = AiohttpTransport(config)
        own = {"ACCEPT": "*/*", "accept-encoding": "identity", "User-agent": "x", "X-Own": "1"}
        for headers in (own, {"X-Own": "1"}):
            request = Request(method=method, path="/", template="/", headers=headers, sink=sink)
            await transport.send(request)
        await transport.aclose()
    names = [line.partition(":")[0].lower() for head in wire.heads for line in head.split("\r\n")]
    assert len(wire.heads) == 2
    for name in ("host", "user-agent", "accept", "accept-encoding", "authorization", "x-own"):
        assert names.count(name) == 2
    assert wire.sent(*ACCEPTED) == OF_JSON
    del wire.heads[1]
    assert wire.sent(*ACCEPTED, "user-agent") == [*OF_BYTES, ("user-agent", "x")]


# --- connections that are kept ------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("seen", [True, False])
async def test_bytes_that_nobody_asked_for_are_not_the_next_answer(method, seen) -> None:
    async with Faulty(ok(b'{"right": 1}')) as server, client_of(server) as client:
        for _ in range(20):
            assert (await call(client, method)).body == b'{"right": 1}'
            server.say(faulty.raw_answer(b'{"poison": 1}'))
            if seen:
                await settle()
        assert len(server.requests) == server.accepted == 20


async def test_two_answers_to_one_request() -> None:
    twice = faulty.raw_answer(b'{"right": 1}') + faulty.raw_answer(b'{"poison": 1}')
    async with Faulty(faulty.raw(twice)) as server, client_of(server) as client:
        for _ in range(20):
            assert (await call(client, "GET")).body == b'{"right": 1}'


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("with_reset", "seen"), [(False, True), (True, True), (False, False)])
async def test_a_connection_closed_while_idle_costs_no_attempt(method, with_reset, seen) -> None:
    async with Faulty(ok()) as server, client_of(server) as client:
        for number in range(1, 6):
            assert (await call(client, method)).attempts == 1
            assert server.accepted == number
            server.hang_up(with_reset=with_reset)
            if seen:
                await settle()
        assert len(server.requests) == 5


async def test_connections_are_kept_and_shared() -> None:
    async with Faulty(ok()) as server, client_of(server) as client:
        sibling = client.with_options(account="acct_1")
        for _ in range(5):
            await call(client, "GET")
            await call(sibling, "POST")
        assert (server.accepted, len(server.requests)) == (1, 10)


async def test_connections_are_kept_if_sockets_cannot_be_polled(monkeypatch) -> None:
    monkeypatch.delattr(select, "poll")
    async with Faulty(ok()) as server, client_of(server) as client:
        await call(client, "GET")
        await call(client, "GET")
        assert server.accepted == 1


async def test_an_idle_connection_is_not_kept_for_ever() -> None:
    async with (
        Faulty(ok()) as server,
        client_of(server, limits=Limits(keepalive=0.01)) as client,
    ):
        await call(client, "GET")
        await server.gone.wait()


async def test_the_slots_of_a_pool_are_shared_by_siblings() -> None:
    async with (
        Faulty(faulty.hang, ok()) as server,
        client_of(server, limits=Limits(max_in_flight=1)) as client,
    ):
        first = asyncio.create_task(call(client, "GET"))
        await server.arrived.wait()
        error = await failure(call(client.with_options(timeout=0.05), "POST"))
        assert (error.outcome, error.attempts, len(server.requests)) == ("not_sent", 0, 1)
        first.cancel()
        assert (await call(client.with_options(account="acct_1"), "GET")).status == 200


async def test_many_first_calls_at_once_share_one_session() -> None:
    async with Faulty(ok()) as server, client_of(server) as client:
        await asyncio.gather(*(call(client, "GET") for _ in range(10)))
        await asyncio.gather(*(call(client, "GET") for _ in range(10)))
        assert len(server.requests) == 20
        assert server.accepted <= 10


# --- redirects, cookies, proxies ----------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_no_redirect_is_followed(status, method) -> None:
    async with Faulty(ok()) as trap:
        places = [f"{trap.url}/v1/things", trap.url.replace("http:", ""), "/v1/things", "file:///x"]
        script = [faulty.redirect(place, status) for place in places]
        async with Faulty(*script) as server, client_of(server) as client:
            for place in places:
                error = await failure(call(client, method))
                assert type(error) is ResponseError
                assert place in str(error)
                assert (error.status, error.attempts, error.outcome) == (status, 1, "unknown")
            assert len(server.requests) == len(places)
        assert (trap.accepted, trap.requests) == (0, [])


async def test_cookies_are_not_kept() -> None:
    async with (
        Faulty(ok(Set_Cookie="session=1; Path=/")) as server,
        client_of(server, base_url=f"http://localhost:{server.port}") as client,
    ):
        await call(client, "GET")
        await call(client, "GET")
        assert "cookie" not in server.requests[1].headers


async def test_proxies_and_netrc_are_left_alone(monkeypatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with Faulty(ok()) as trap, Faulty(ok()) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, trap.url)
        async with client_of(server) as client:
            await call(client, "GET")
        assert trap.accepted == 0
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


# --- size ---------------------------------------------------------------------------------------

SMALL = Limits(max_response_bytes=256 * 1024)


@pytest.mark.parametrize("fault", [faulty.endless_body, faulty.endless_chunks])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_body_is_read_up_to_a_limit(fault, method) -> None:
    async with Faulty(fault) as server, client_of(server, limits=SMALL) as client:
        error = await failure(call(client, method))
        assert type(error) is ResponseTooLarge
        assert error.message == "the answer is longer than 262144 bytes"
        assert (error.status, error.outcome, error.attempts) == (200, "unknown", 1)
        assert 0 < len(error.body) <= 64 * 1024
        assert set(error.body) == {ord(" ")}
        await server.gone.wait()
        assert server.written < 32 * 2**20  # what fits into the buffers of two sockets


async def test_a_decompression_bomb_is_not_read_whole() -> None:
    async with (
        Faulty(faulty.gzip_bomb(256 * 2**20)) as server,
        client_of(server, limits=SMALL) as client,
    ):
        await client.warm_up()
        tracemalloc.start()
        try:
            error = await failure(call(client, "GET"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert type(error) is ResponseTooLarge
        assert peak < 16 * 2**20


@pytest.mark.parametrize("size", [0, 1, 1000])
@pytest.mark.parametrize("form", ["length", "chunks", "gzip"])
async def test_a_body_of_exactly_the_limit_is_read(size, form) -> None:
    body = b"x" * size
    answers = {
        "length": ok(body),
        "chunks": faulty.raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + (b"%x\r\n%b\r\n" % (size, body) if size else b"")
            + b"0\r\n\r\n"
        ),
        "gzip": faulty.gzipped(body),
    }
    async with Faulty(answers[form]) as server:
        async with client_of(server, limits=Limits(max_response_bytes=max(size, 1))) as client:
            assert (await call(client, "GET")).body == body
        if size > 1:
            async with client_of(server, limits=Limits(max_response_bytes=size - 1)) as client:
                assert type(await failure(call(client, "GET"))) is ResponseTooLarge


@pytest.mark.parametrize("status", [302, 400, 503])
async def test_only_the_start_of_a_failure_is_read(status) -> None:
    head = f"HTTP/1.1 {status} Word\r\nRequest-Id: req_1\r\nContent-Length: {2**60}\r\n\r\n"
    endless = faulty.endless(head.encode(), b" " * 65536)
    async with Faulty(endless) as server, client_of(server) as client:
        error = await failure(call(client, "POST"))
        expected = {302: ResponseError, 400: InvalidRequestError, 503: ServerError}
        assert type(error) is expected[status]
        assert (error.status, error.request_id, error.attempts) == (status, "req_1", 1)
        assert len(error.body) == 64 * 1024
        await server.gone.wait()
        assert server.written < 32 * 2**20


@pytest.mark.parametrize("status", [401, 503])
@pytest.mark.parametrize("hurry", ["deadline", "bound"])
async def test_the_body_of_a_failure_is_not_waited_for_long(monkeypatch, status, hurry) -> None:
    monkeypatch.setattr(body, "_FAILURE_SECONDS", 0.02 if hurry == "bound" else 30)
    head = f"HTTP/1.1 {status} Word\r\nRequest-Id: req_1\r\nContent-Length: 100\r\n\r\n{{"
    kind = {401: AuthenticationError, 503: ServerError}[status]
    timeout = 30 if hurry == "bound" else 0.2
    async with Faulty(faulty.raw(head.encode())) as server:
        async with client_of(server, timeout=timeout) as client:
            error = await failure(call(client, "POST"))
        assert (type(error), error.status, error.request_id) == (kind, status, "req_1")
        assert (error.outcome, error.attempts) == ("unknown", 1)
        assert len(server.requests) == 1


CUT = {
    "no length": b"HTTP/1.0 200 OK\r\n\r\nhalf of it",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf of it",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n",
    "gzip": faulty.cut_encoding(b"half of it", "gzip"),
    "deflate": faulty.cut_encoding(b"half of it", "deflate"),
    "gzip in chunks": faulty.cut_encoding(b"half of it", "gzip", chunked=True),
}


@pytest.mark.parametrize("data", CUT.values(), ids=CUT.keys())
@pytest.mark.parametrize("method", ["read", "GET", "POST"])
async def test_a_body_that_is_or_may_be_cut_is_never_a_value(data, method) -> None:
    script = [*[faulty.then_end(data)] * 3, ok(b"whole")]
    async with Faulty(*script) as server, client_of(server, retry=AT_ONCE) as client:

        async def get() -> bytes:
            if method == "read":
                return await client.files.read("file_1")
            return (await call(client, method)).body

        error = await failure(get())
        assert (type(error), error.outcome, error.attempts) == (ConnectionLost, "unknown", 3)
        assert await get() == b"whole"


@pytest.mark.parametrize("status", [202, 203, 205, 206])
async def test_content_is_whole_only_with_the_status_that_says_so(status) -> None:
    async with Faulty(ok(b"part", status)) as server, client_of(server) as client:
        error = await failure(client.files.read("file_1"))
        assert (type(error), error.status) == (ResponseError, status)
        assert str(error) == (
            f"GET /v1/files/{{file}}/contents: the server answered {status} in place of the whole"
            f" content (status {status})"
        )
        error = await failure(client.climate.orders.cancel("climorder_1"))
        assert (type(error), error.outcome) == (ResponseError, "unknown")
        assert error.idempotency_key == server.requests[-1].headers["idempotency-key"]
        assert (await call(client, "GET")).status == status


# --- the life of a client -----------------------------------------------------------------------


def test_one_client_serves_loop_after_loop() -> None:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Faulty(ok())) as server,
    ):
        client = client_of(server)

        async def use() -> int:
            await call(client, "GET")
            return (await call(client, "GET")).status

        assert [asyncio.run(use()) for _ in range(3)] == [200] * 3
        assert (server.accepted, len(server.requests)) == (3, 6)

        async def close() -> None:
            await call(client, "GET")
            await client.aclose()

        asyncio.run(close())
    gc.collect()  # a connection that was left open would warn now


def test_a_client_closed_in_another_loop_is_closed() -> None:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Faulty(ok())) as server,
    ):
        client = client_of(server)
        asyncio.run(call(client, "GET"))
        asyncio.run(client.aclose())
        with pytest.raises(ConfigurationError, match="client: is closed"):
            asyncio.run(call(client, "GET"))
    gc.collect()


async def test_a_client_that_is_dropped_closes_its_connections() -> None:
    async with Faulty(ok()) as server:
        client = client_of(server)
        await call(client, "GET")
        del client
        gc.collect()
        await server.gone.wait()
        assert server.open_connections == 0


async def test_a_closed_client_refuses_calls() -> None:
    async with Faulty(ok()) as server:
        async with client_of(server) as client:
            sibling = client.with_options(timeout=3)
            await call(client, "GET")
        await server.gone.wait()
        assert server.open_connections == 0
        for one in (client, sibling):
            error = await failure(call(one, "POST"))
            assert (type(error), error.argument) == (ConfigurationError, "client")
            assert (error.outcome, error.attempts) == ("not_sent", 0)
        await client.aclose()
        fresh = client_of(server)
        await fresh.aclose()
        assert (await failure(call(fresh, "GET"))).argument == "client"
        with pytest.raises(ConfigurationError, match="is closed"):
            await fresh.warm_up()
        assert len(server.requests) == 1


async def test_closing_during_a_call_says_that_its_outcome_is_unknown() -> None:
    async with Faulty(faulty.hang) as server:
        client = client_of(server, retry=AT_ONCE)
        task = asyncio.create_task(call(client, "POST"))
        await server.arrived.wait()
        await asyncio.gather(client.aclose(), client.aclose())
        error = await failure(task)
        assert (type(error), error.outcome, error.attempts) == (ConnectionLost, "unknown", 1)
        assert error.idempotency_key == server.requests[0].headers["idempotency-key"]


async def test_closing_ends_many_calls_and_waits_for_none() -> None:
    limits = Limits(max_in_flight=40)
    async with nothing_left(), Faulty(faulty.hang) as server:
        client = client_of(server, retry=RetryPolicy(base=30, cap=30), limits=limits)
        sibling = client.with_options(account="acct_1")
        tasks = [asyncio.create_task(call(one, "POST")) for one in [client, sibling] * 30]
        while len(server.requests) < 40:
            server.arrived.clear()
            await server.arrived.wait()
        await client.aclose()
        assert all(task.done() for task in tasks)
        errors = [await failure(task) for task in tasks]
        assert {type(error) for error in errors} == {ConnectionLost}
        sent = {request.headers["idempotency-key"] for request in server.requests}
        for error in errors:
            assert (error.outcome == "unknown") == (error.idempotency_key in sent)
            assert error.attempts == (error.idempotency_key in sent)
        assert len(sent) == 40


@pytest.mark.parametrize("stage", ["opening", "uploading"])
async def test_closing_ends_a_call_at_any_stage(stage) -> None:
    async with Faulty(faulty.hang) as server:
        client = client_of(server)
        if stage == "uploading":
            task = asyncio.create_task(
                client.files.create(file=b"x" * 2**20, filename="x", purpose="dispute_evidence")
            )
            await server.arrived.wait()
        else:
            task = asyncio.create_task(call(client, "POST"))
            await asyncio.sleep(0)
        await client.aclose()
        error = await failure(task)
        assert (type(error), error.attempts) == (ConnectionLost, 1)
        assert error.outcome == ("unknown" if stage == "uploading" else "not_sent")
        assert error.idempotency_key is not None


async def test_a_resolver_that_hangs_ends_with_the_deadline_and_holds_nothing_up(
    monkeypatch,
) -> None:
    release = threading.Event()

    def hang(*_: object, **__: object) -> Any:
        release.wait()
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    async with nothing_left():
        client = AsyncClient(KEY, base_url="https://api.example", retry=ONCE)
        await client.warm_up()
        for timeout, kind in (
            (Timeout(0.02), DeadlineExceeded),
            (Timeout(20, connect=0.02), ConnectError),
        ):
            error = await failure(call(client.with_options(timeout=timeout), "POST"))
            assert (type(error), error.outcome, error.attempts) == (kind, "not_sent", 1)
        waits = asyncio.create_task(call(client, "POST"))
        await settle()
        await client.aclose()
        assert type(await failure(waits)) is ConnectionLost
    # A thread that Python waits for at its end would hold the process up.
    (thread,) = [one for one in threading.enumerate() if one.name == "pinstripe-wait"]
    assert thread.daemon
    release.set()
    thread.join()


async def test_a_name_that_is_not_there_is_named() -> None:
    async with AsyncClient(KEY, base_url="https://api.invalid", retry=ONCE) as client:
        error = await failure(call(client, "POST"))
        assert (type(error), error.outcome) == (ConnectError, "not_sent")
        assert str(error).startswith("POST /v1/things: cannot connect to api.invalid:443: ")
        assert "ssl" not in str(error)


async def test_warming_up_opens_nothing_and_changes_nothing() -> None:
    async with Faulty(ok()) as server, client_of(server) as client:
        await client.warm_up()
        await client.warm_up()
        assert server.accepted == 0
        assert (await call(client, "GET")).status == 200


def test_aiohttp_is_imported_by_the_first_request_and_not_in_the_loop() -> None:
    script = """
import asyncio, sys, threading, pinstripe
where = []
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "aiohttp":
            where.append(threading.current_thread() is threading.main_thread())
sys.meta_path.insert(0, Spy())
async def main():
    async with pinstripe.AsyncClient("sk_test_1", base_url="http://127.0.0.1:1") as client:
        assert "aiohttp" not in sys.modules
        await client.warm_up()
        assert "aiohttp" in sys.modules
asyncio.run(main())
assert where == [False], where
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=30)


# --- what is sent -------------------------------------------------------------------------------


async def test_what_every_request_carries() -> None:
    async with Faulty(ok()) as server, client_of(server, account="acct_1") as client:
        await call(client, "GET")
        headers = server.requests[0].headers
        assert headers["authorization"] == f"Bearer {KEY}"
        assert headers["stripe-version"] == "2026-10-28.endive"
        assert headers["stripe-account"] == "acct_1"
        assert headers["accept"] == "application/json"
        assert headers["accept-encoding"] == "gzip, deflate"
        assert headers["user-agent"].startswith(f"pinstripe/{pinstripe.__version__} Python/3")
        assert headers.keys() == {
            "host",
            "authorization",
            "stripe-version",
            "stripe-account",
            "accept",
            "accept-encoding",
            "user-agent",
        }


@pytest.mark.parametrize(
    "part",
    [
        {"path": "/v1/things HTTP/1.1\r\nX: y"},
        {"query": "a=b\nX: y"},
        {"headers": {"Stripe-Account": "acct_1\r\nX: y"}},
        {"headers": {"Stripe-Account": "acct_\u00e9"}},
    ],
)
async def test_what_could_end_a_line_of_the_head_is_not_sent(part) -> None:
    request = attrs.evolve(Request(method="GET", path="/v1/things", template="/v1/things"), **part)
    async with Faulty(ok()) as server, client_of(server) as client:
        with pytest.raises(ConfigurationError, match="cannot be sent"):
            await client._shared.transport.send(request)
        assert server.requests == []
        await call(client, "GET")


async def test_a_body_in_more_pieces_than_are_taken_ahead_is_whole() -> None:
    body = bytes(range(256)) * 4096
    async with Faulty(ok(body)) as server, client_of(server) as client:
        for _ in range(3):
            assert (await call(client, "GET")).body == body
        assert server.accepted == 1


async def test_namespaces_are_made_once_for_each_client() -> None:
    async with AsyncClient(KEY) as client:
        sibling = client.with_options(account="acct_2")
        assert client.crypto is client.crypto
        assert sibling.crypto is not client.crypto


async def test_a_sibling_changes_headers_and_leaves_its_origin_alone() -> None:
    async with Faulty(ok()) as server, client_of(server) as client:
        sibling = client.with_options(account="acct_2", api_version="2025-01-27", retry=AT_ONCE)
        third = sibling.with_options(account="acct_3")
        for one in (client, sibling, third):
            await call(one, "GET")
        headers = [request.headers for request in server.requests]
        assert [h.get("stripe-account") for h in headers] == [None, "acct_2", "acct_3"]
        versions = ["2026-10-28.endive", "2025-01-27", "2025-01-27"]
        assert [h["stripe-version"] for h in headers] == versions
        assert type(sibling) is AsyncClient
        for bad in ({"account": "a b"}, {"timeout": 0}, {"retry": 3}, {"api_version": "x"}):
            with pytest.raises(ConfigurationError):
                client.with_options(**bad)


async def test_the_escape_hatch() -> None:
    params = {"a": {"b": [1, True]}, "c": "é &"}
    pairs = [("a[b][0]", "1"), ("a[b][1]", "true"), ("c", "é &")]
    async with Faulty(ok(b'{"x": 1}', Request_Id="req_1")) as server, client_of(server) as client:
        response = await client.request("GET", "/v1/balance", params)
        assert (response.status, response.body, response.attempts) == (200, b'{"x": 1}', 1)
        assert response.request_id == "req_1"
        assert response.headers["REQUEST-ID"] == "req_1"
        await client.request("POST", "/v1/a_b/c-d", params)
        await client.request("DELETE", "/v2/things/x", params)
        await client.request("GET", "/v1/balance")
        options = RequestOptions(idempotency_key="mine", account="acct_9", timeout=5)
        await client.request("POST", "/v1/balance", request_options=options)
        get, post, delete, bare, optioned = server.requests
        assert (get.method, get.path, parse_qsl(get.query)) == ("GET", "/v1/balance", pairs)
        assert (get.body, "content-type" in get.headers) == (b"", False)
        assert (post.target, parse_qsl(post.body.decode())) == ("/v1/a_b/c-d", pairs)
        assert post.headers["content-type"] == "application/x-www-form-urlencoded"
        assert (delete.method, delete.path, parse_qsl(delete.query)) == (
            "DELETE",
            "/v2/things/x",
            pairs,
        )
        assert bare.target == "/v1/balance"
        assert optioned.headers["idempotency-key"] == "mine"
        assert optioned.headers["stripe-account"] == "acct_9"
        assert optioned.body == b""


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (("PUT", "/v1/x"), "method"),
        (("get", "/v1/x"), "method"),
        ((None, "/v1/x"), "method"),
        (("GET", "/v1/x?y=1"), "path"),
        (("GET", "/v1"), "path"),
        (("GET", "/v1/"), "path"),
        (("GET", "/v3/x"), "path"),
        (("GET", "v1/x"), "path"),
        (("GET", "/v1/../x"), "path"),
        (("GET", "/v1/x/"), "path"),
        (("GET", "/v1//x"), "path"),
        (("GET", "/v1/x\r\nHost: evil.example"), "path"),
        (("GET", "/v1/{x"), "path"),
        (("GET", "/v1/{X}"), "path"),
        (("GET", "/v1/{x}y"), "path"),
        (("GET", "https://evil.example/v1/x"), "path"),
        (("GET", "//evil.example/v1/x"), "path"),
        (("GET", 5), "path"),
        (("GET", "/v1/x", [("a", "b")]), "params"),
        (("GET", "/v1/x", {1: "b"}), "params"),
        (("GET", "/v1/x", {"a": 1.5}), "a"),
        (("GET", "/v1/x", {"expand": "a"}), "expand"),
        (("POST", "/v1/x", {"metadata": "a"}), "metadata"),
    ],
)
async def test_what_the_escape_hatch_refuses(arguments, argument) -> None:
    async with Faulty(ok()) as server, client_of(server) as client:
        with pytest.raises(ConfigurationError) as caught:
            await client.request(*arguments)
        assert caught.value.argument == argument
        with pytest.raises(ConfigurationError, match="host: must be api or files"):
            await client.request("GET", "/v1/x", host="evil.example")
        options = RequestOptions(idempotency_key="k")
        with pytest.raises(ConfigurationError, match="idempotency_key"):
            await client.request("GET", "/v1/x", request_options=options)
        assert server.accepted == 0


@pytest.mark.parametrize(
    ("path", "ids", "message"),
    [
        ("/v1/a/{a}", None, r"ids: must be those of the placeholders in path: a"),
        ("/v1/a/{a}/b/{b}", {"a": "x"}, r"ids: must be .* in path: a, b"),
        ("/v1/a/{a}", {"a": "x", "b": "y"}, r"ids: must be .* in path: a"),
        ("/v1/a/{a}", {1: "x"}, r"ids: must be .* in path: a"),
        ("/v1/a", {"a": "x"}, r"ids: must be .* in path: this path has none"),
        ("/v1/a/{a}", [("a", "x")], r"ids: must be a mapping"),
        ("/v1/a/{a}", "a", r"ids: must be a mapping"),
        ("/v1/a/{a}", {"a": "x/y"}, r"a: must be an id"),
        ("/v1/a/{a}", {"a": 5}, r"a: must be an id"),
    ],
)
async def test_ids_fit_the_placeholders(path, ids, message) -> None:
    async with Faulty(ok()) as server, client_of(server) as client:
        with pytest.raises(ConfigurationError, match=f"^{message}"):
            await client.request("GET", path, ids=ids)
        assert server.accepted == 0


async def test_files_have_an_address_of_their_own() -> None:
    async with Faulty(ok(b"api")) as server, Faulty(ok(b"files")) as files:
        async with client_of(server, files_url=files.url) as client:
            assert (await client.request("GET", "/v1/files")).body == b"api"
            assert (await client.request("GET", "/v1/files", host="files")).body == b"files"
        assert (len(server.requests), len(files.requests)) == (1, 1)


async def test_a_list_from_end_to_end() -> None:
    second = SESSION.replace(b"vs_1", b"vs_2")
    pages = [
        b'{"object": "list", "data": [%b], "has_more": true, "url": "//evil.example"}' % SESSION,
        b'{"object": "list", "data": [%b], "has_more": false, "url": "/v1/x"}' % second,
    ]
    async with Faulty(*map(ok, pages)) as server, client_of(server) as client:
        sessions = client.identity.verification_sessions.list(status="verified", limit=1)
        read = [session async for session in sessions]
        assert [session.id for session in read] == ["vs_1", "vs_2"]
        assert [pinstripe.response_of(session).body for session in read] == pages
        assert [request.target for request in server.requests] == [
            "/v1/identity/verification_sessions?status=verified&limit=1",
            "/v1/identity/verification_sessions?status=verified&limit=1&starting_after=vs_1",
        ]


# --- a transport of one's own -------------------------------------------------------------------


class Canned:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.requests: list[Request] = []
        self.closed = False

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(status=200, headers={}, body=self.body)

    async def aclose(self) -> None:
        self.closed = True


async def test_a_transport_of_the_callers_own() -> None:
    transport: pinstripe.Transport = Canned(SESSION)
    async with AsyncClient(KEY, transport=transport, timeout=7) as client:
        await client.warm_up()
        session = await client.identity.verification_sessions.retrieve("vs_1")
        assert session.id == "vs_1"
        await client.with_options(timeout=Timeout(3, connect=1)).request("GET", "/v1/x")
    assert isinstance(transport, Canned)
    assert transport.closed
    first, second = transport.requests
    assert (first.path, first.template) == (
        "/v1/identity/verification_sessions/vs_1",
        "/v1/identity/verification_sessions/{session}",
    )
    assert first.timeout == Timeout(7)
    assert second.timeout == Timeout(3, connect=1)
    assert CANARY not in repr(attrs.asdict(first))


async def test_a_callers_own_deadline_cancels_the_request() -> None:
    async with Faulty(faulty.hang) as server, client_of(server) as client:
        with anyio.move_on_after(0.05) as scope:
            await call(client, "GET")
        assert scope.cancelled_caught
        await server.gone.wait()
