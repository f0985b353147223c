"""What a client survives: stale connections, loops that end, forks and deadlines."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

import pinstripe
from pinstripe import (
    AsyncClient,
    ConfigurationError,
    ConnectionLost,
    DeadlineExceeded,
    DecodeError,
    InvalidRequestError,
    Limits,
    NotFoundError,
    Request,
    Response,
    ResponseError,
    RetryPolicy,
    Timeout,
)
from pinstripe._limits.limiter import EndpointQueue
from pinstripe._limits.loop_limiters import LoopLimiters
from pinstripe._limits.rates import Rates
from tests.http.test_transport import KEY, ONCE, SESSION, call, client_of, failure, settle
from tests.support import faulty
from tests.support.faulty import Faulty, ok

pytestmark = pytest.mark.anyio

FREE = RetryPolicy(max_attempts=3, budget=0)
"""Leaves no attempt but the one that costs nothing."""


# --- stale connections --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("end", [faulty.reset_before, faulty.eof_before])
async def test_a_kept_connection_that_dies_unheard_is_replaced_for_free(method, end) -> None:
    script = [ok(), end, ok(), end, ok()]
    async with Faulty(*script) as server, client_of(server, retry=FREE) as client:
        assert (await call(client, method)).attempts == 1
        for _ in range(2):
            assert (await call(client, method)).attempts == 2
        assert len(server.requests) == 5
        keys = [request.headers.get("idempotency-key") for request in server.requests]
        assert keys[1] == keys[2]
        assert keys[3] == keys[4]
        assert (keys[1] is None) == (method != "POST")
        assert (keys[1] == keys[3]) == (method != "POST")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_fresh_connection_that_dies_is_the_fault_of_the_server(method) -> None:
    async with Faulty(faulty.reset_before) as server, client_of(server) as client:
        error = await failure(call(client, method))
        assert (type(error), error.stale) == (ConnectionLost, False)
        assert error.attempts == len(server.requests) == 1


@pytest.mark.parametrize(
    "end",
    [
        faulty.reset_in_headers,
        faulty.eof_in_headers,
        faulty.truncated,
        faulty.garbage,
        faulty.bad_length,
    ],
)
async def test_a_kept_connection_that_was_heard_of_is_not_stale(end) -> None:
    async with Faulty(ok(), end, ok()) as server, client_of(server) as client:
        await call(client, "GET")
        error = await failure(call(client, "POST"))
        assert (type(error), error.stale) == (ConnectionLost, False)
        assert (error.attempts, len(server.requests)) == (1, 2)


@pytest.mark.parametrize(("retry", "attempts"), [(FREE, 2), (ONCE, 1)])
async def test_the_free_attempt_is_made_once_and_only_if_the_policy_has_one_left(
    retry, attempts
) -> None:
    script = [ok(), faulty.reset_before]
    async with Faulty(*script) as server, client_of(server, retry=retry) as client:
        await call(client, "GET")
        error = await failure(call(client, "POST"))
        assert error.attempts == attempts
        assert len(server.requests) == 1 + attempts


async def test_an_upload_is_written_again_on_a_new_connection(tmp_path) -> None:
    file = b'{"id": "file_1", "object": "file", "created": 1, "purpose": "x", "size": 3}'
    script = [ok(), faulty.reset_before, ok(file)]
    async with Faulty(*script) as server, client_of(server, retry=FREE) as client:
        await call(client, "GET")
        await client.files.create(file=b"abc" * 9, purpose="identity_document", filename="a.png")
        _, first, second = server.requests
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
        assert b"abcabc" in second.body


async def test_a_refusal_of_an_upload_is_not_waited_out() -> None:
    """The server answers and reads no further; the upload is larger than any buffer."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        writer.write(faulty.raw_answer(b'{"error": {"message": "too big"}}', 413))
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with AsyncClient(KEY, base_url=url, files_url=url, retry=ONCE) as client:
        upload = client.files.create(file=bytes(12 * 2**20), purpose="x", filename="a")
        error = await failure(upload)
        assert (type(error), error.status) == (InvalidRequestError, 413)
    over.set()
    server.close()


# --- loops and processes ------------------------------------------------------------------------


def test_without_an_event_loop_the_error_says_so() -> None:
    with pytest.raises(ConfigurationError, match="an event loop of asyncio, and none is running"):
        LoopLimiters(1, Rates())()


async def test_slots_are_those_of_the_loop() -> None:
    limiters = LoopLimiters(2, Rates())
    assert limiters() is limiters()
    assert [limiters().try_acquire(EndpointQueue(), 0.0) for _ in range(3)] == [True, True, False]
    with start_blocking_portal() as portal:
        assert portal.call(limiters) is not limiters()


def test_slots_taken_in_a_loop_that_ended_are_free_in_the_next() -> None:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Faulty(faulty.hang, ok())) as server,
    ):
        client = client_of(server, limits=Limits(max_in_flight=1))

        async def begin() -> asyncio.Task[Response]:
            task = asyncio.create_task(call(client, "POST"))
            while not server.requests:
                await settle()
            return task

        loop = asyncio.new_event_loop()
        task = loop.run_until_complete(begin())
        assert asyncio.run(call(client, "GET")).status == 200
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        assert asyncio.run(call(client, "GET")).status == 200
        asyncio.run(client.aclose())
    gc.collect()


async def test_what_is_called_after_the_end_of_its_loop_says_so() -> None:
    async with Faulty(ok()) as server:
        client = client_of(server)
        await call(client, "GET")
        await client._shared.transport._keepers.get().aclose()  # what the end of a loop does
        error = await failure(call(client, "POST"))
        assert (type(error), error.outcome, error.attempts) == (ConfigurationError, "not_sent", 0)
        assert "after the end of its event loop" in str(error)
        await client.aclose()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this machine")
def test_a_fork_gets_connections_and_slots_of_its_own() -> None:
    script = """
import asyncio, os, sys, warnings
import pinstripe
from pinstripe._limits.limiter import EndpointQueue
from pinstripe._limits.loop_limiters import LoopLimiters
from pinstripe._limits.loop_limiters import LoopLimiters
warnings.simplefilter("ignore", DeprecationWarning)  # threads wait for the next import
url = sys.argv[1]
client = pinstripe.AsyncClient("sk_test_1", base_url=url, limits=pinstripe.Limits(max_in_flight=1))
loop = asyncio.new_event_loop()

async def answer(name):
    response = await client.request("GET", f"/v1/{name}", request_options=
        pinstripe.RequestOptions(timeout=10))
    assert response.body.decode() == f"/v1/{name}", response.body

async def parent_first():
    await answer("first")
    assert client._shared.limiters().try_acquire(EndpointQueue(), 0.0)  # a call in flight

loop.run_until_complete(parent_first())
child = os.fork()

async def go_on(name):
    for _ in range(20):
        await answer(name)

if not child:
    asyncio.run(go_on("child"))
    os._exit(0)

async def parent_again():
    client._shared.limiters().release_slot()
    await go_on("parent")
    await client.aclose()

loop.run_until_complete(parent_again())
loop.close()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

    async def name_of_the_path(exchange: faulty.Exchange) -> None:
        await exchange.send(faulty.raw_answer(exchange.request.path.encode()))

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Faulty(name_of_the_path)) as server,
    ):
        subprocess.run([sys.executable, "-c", script, server.url], check=True, timeout=60)
        assert len(server.requests) == 41
        owner: dict[int, set[str]] = {}
        for request in server.requests[1:]:
            owner.setdefault(request.connection, set()).add(request.path)
        assert all(len(paths) == 1 for paths in owner.values())


# --- deadlines and cancellation -----------------------------------------------------------------


async def test_a_name_that_is_looked_up_for_ever(monkeypatch) -> None:
    release, before = threading.Event(), asyncio.all_tasks()

    def look_up(*args: Any, **kwargs: Any) -> Any:
        release.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async with Faulty(ok()) as server:
        url = f"http://localhost:{server.port}"
        async with AsyncClient(KEY, base_url=url, retry=ONCE, timeout=0.05) as client:
            await client.warm_up()
            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            # The lookup is still under way; if the call had waited for it, the error would be its.
            error = await failure(call(client, "GET"))
            assert type(error) is DeadlineExceeded
            release.set()
        assert server.accepted == 0
    await settle()
    assert asyncio.all_tasks() == before


async def test_the_first_call_does_not_wait_for_a_slow_import(monkeypatch) -> None:
    release = threading.Event()
    async with Faulty(ok()) as server, client_of(server, timeout=0.05) as client:
        transport: Any = client._shared.transport
        prepare = transport._prepare
        monkeypatch.setattr(transport, "_prepare", lambda: (release.wait(30), prepare())[1])
        errors = await asyncio.gather(*(failure(call(client, "POST")) for _ in range(3)))
        assert {(type(e), e.outcome) for e in errors} == {(DeadlineExceeded, "not_sent")}
        release.set()
        assert (await call(client.with_options(timeout=20), "GET")).status == 200


async def test_the_deadline_cuts_a_pause() -> None:
    async with (
        Faulty(ok(status=503, Retry_After="1")) as server,
        client_of(server, retry=RetryPolicy(), timeout=1.2) as client,
    ):
        sooner = client.with_options(timeout=0.2)
        error = await failure(call(sooner, "GET"))  # a pause that does not fit is not begun
        assert (type(error), error.attempts, error.retry_after) == (
            pinstripe.ServerError,
            1,
            1.0,
        )


async def test_cancelling_calls_at_any_step_leaves_nothing() -> None:
    async with (
        Faulty(ok(), faulty.slow_body, faulty.hang) as server,
        client_of(server, limits=Limits(max_in_flight=3)) as client,
    ):
        before = asyncio.all_tasks()
        await call(client, "GET")
        tasks = [asyncio.create_task(call(client, "POST")) for _ in range(9)]
        while len(server.requests) < 4:
            await settle()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {asyncio.CancelledError}
        with anyio.fail_after(10):
            while server.open_connections:
                await settle()
        assert client._shared.limiters()._in_flight == 0
        assert {task for task in asyncio.all_tasks() if "faulty" not in repr(task)} == before


async def test_a_cancelled_upload_ends_though_nobody_reads_it() -> None:
    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        begun.set()
        await over.wait()
        writer.close()

    begun, over = asyncio.Event(), asyncio.Event()
    server = await asyncio.start_server(answer_early, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with AsyncClient(KEY, base_url=url, files_url=url, retry=ONCE) as client:
        upload = client.files.create(file=bytes(12 * 2**20), purpose="x", filename="a")
        task = asyncio.create_task(upload)
        await begun.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        assert done == {task}
        assert task.cancelled()
    over.set()
    server.close()


# --- whose answer it is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (SESSION.replace(b"vs_1", b"vs_2"), "$.id"),
        (SESSION.replace(b'"livemode": false', b'"livemode": true'), "$.livemode"),
    ],
)
@pytest.mark.parametrize("method", ["retrieve", "update", "cancel"])
async def test_an_answer_about_another_object_is_refused(method, body, path) -> None:
    async with Faulty(ok(body)) as server, client_of(server) as client:
        arguments = {"metadata": {"a": "b"}} if method == "update" else {}
        sessions = client.identity.verification_sessions
        error = await failure(getattr(sessions, method)("vs_1", **arguments))
        assert (type(error), error.path, error.outcome) == (DecodeError, path, "unknown")
        assert (error.body, error.attempts) == (body, 1)
        assert (error.idempotency_key is None) == (method == "retrieve")
        assert "vs_2" not in str(error)


async def test_an_object_of_the_other_mode_in_a_page_is_refused() -> None:
    live = SESSION.replace(b'"livemode": false', b'"livemode": true')
    page = b'{"object": "list", "data": [%b, %b], "has_more": false}' % (SESSION, live)
    async with Faulty(ok(page)) as server, client_of(server) as client:
        error = await failure(as_call(client.identity.verification_sessions.list()))
        assert (type(error), error.path) == (DecodeError, "$.data[1].livemode")


async def as_call(awaitable: Any) -> Any:
    return await awaitable


@pytest.mark.parametrize(
    ("key", "refused"),
    [("sk_test_1", "true"), ("rk_live_1", "false"), ("sk_org_1", None)],
)
async def test_the_mode_of_the_key_is_that_of_its_objects(key, refused) -> None:
    async with Faulty(ok(SESSION), ok(SESSION.replace(b"false", b"true"))) as server:
        urls: Any = {"base_url": server.url, "files_url": server.url}
        context = "acct_1" if key.startswith("sk_org_") else None
        async with AsyncClient(key, **urls, context=context, allow_insecure_http=True) as client:
            for mode in ("false", "true"):
                session = client.identity.verification_sessions.retrieve("vs_1")
                if mode == refused:
                    assert (await failure(session)).path == "$.livemode"
                else:
                    assert (await session).livemode is (mode == "true")


async def test_the_answer_with_another_key_is_refused_and_the_right_echo_is_not() -> None:
    async def echo(exchange: faulty.Exchange) -> None:
        key = exchange.request.headers.get("idempotency-key", "")
        answer = faulty.raw_answer(SESSION, Idempotency_Key=key[: exchange.server.keep])
        await exchange.send(answer)

    async with Faulty(echo) as server, client_of(server) as client:
        server.keep = None
        session = await client.identity.verification_sessions.create(type="document")
        assert session.id == "vs_1"
        server.keep = 5
        create = client.identity.verification_sessions.create(type="document")
        error = await failure(create)
        assert (type(error), error.outcome, error.attempts) == (ResponseError, "unknown", 1)
        assert error.idempotency_key == server.requests[1].headers["idempotency-key"]


# --- outcomes, against what the sandbox did -----------------------------------------------------

STRIKES: dict[str, dict[str, Any]] = {
    "answer lost": {"cut": True, "effect": True},
    "never arrived": {"cut": True},
    "500 after it": {"status": 500, "effect": True},
    "500 before it": {"status": 500},
    "503": {"status": 503},
    "429": {"status": 429},
}


@pytest.mark.parametrize("strike", STRIKES.values(), ids=STRIKES.keys())
@pytest.mark.parametrize("attempts", [1, 2])
async def test_the_outcome_is_what_the_sandbox_did(strike, attempts) -> None:
    from pinstripe.sandbox import Sandbox

    async with (
        Sandbox() as sandbox,
        sandbox.client(retry=RetryPolicy(max_attempts=attempts, base=0)) as client,
    ):
        sandbox.faults.add(method="POST", **strike, count=attempts)
        create = client.identity.verification_sessions.create
        error = await failure(create(type="document"))
        assert error.attempts == attempts
        acted = len(sandbox.effects())
        assert acted <= 1
        if error.outcome in ("not_sent", "rejected"):
            assert acted == 0
        else:
            assert error.outcome == "unknown"
            assert "status" not in strike or strike["status"] >= 500
        same = pinstripe.RequestOptions(idempotency_key=error.idempotency_key)
        if strike.get("status") != 500:  # the API keeps a 500 and gives it again
            await create(type="document", request_options=same)
            assert len(sandbox.effects()) == 1


async def test_a_deletion_whose_answer_was_lost() -> None:
    from pinstripe.sandbox import Sandbox

    async with Sandbox() as sandbox, sandbox.client(retry=RetryPolicy(base=0)) as client:
        endpoint = await client.webhook_endpoints.create(
            url="http://127.0.0.1:1/", enabled_events=["*"]
        )
        sandbox.faults.add(method="DELETE", cut=True, effect=True, count=1)
        error = await failure(client.webhook_endpoints.delete(endpoint.id))
        assert (type(error), error.attempts, error.outcome) == (NotFoundError, 2, "unknown")


async def test_a_transport_may_report_stale_connections() -> None:
    class Tired:
        def __init__(self) -> None:
            self.requests: list[Request] = []

        async def send(self, request: Request) -> Response:
            self.requests.append(request)
            if len(self.requests) == 1:
                error = ConnectionLost("closed")
                error.stale = True
                raise error
            return Response(status=200, headers={}, body=b"{}")

        async def aclose(self) -> None:
            """Nothing is open."""

    transport = Tired()
    async with AsyncClient(KEY, transport=transport, retry=FREE, timeout=Timeout(3)) as client:
        assert (await call(client, "POST")).attempts == 2
    assert transport.requests[0] == transport.requests[1]
