"""Routes, bodies, idempotency, and answers to malformed HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from pinstripe.sandbox import ManualClock, Server, Settings
from pinstripe.sandbox._http import dispatch
from pinstripe.sandbox._http.app import MAX_BODY
from pinstripe.sandbox._state.table import Table
from tests.support.sandbox_api import QUOTES, SESSIONS, Api, Reply, raw, request

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 404),
        ("GET", "/v1/identity", 404),
        ("GET", f"{SESSIONS}/", 404),
        ("GET", f"{SESSIONS}/a/b", 404),
        ("GET", f"{SESSIONS}//cancel", 404),
        ("GET", "/v1/events/a%2Fb", 404),
        ("DELETE", SESSIONS, 405),
        ("PATCH", SESSIONS, 405),
        ("GET", f"{SESSIONS}/vs_1/cancel", 405),
        ("POST", QUOTES, 405),
    ],
)
async def test_unknown_urls_and_methods(api: Api, method: str, path: str, status: int) -> None:
    reply = await api(method, path)
    assert (reply.status, reply.error["type"]) == (status, "invalid_request_error")
    assert ("Allow" in reply.headers) == (status == 405)


async def test_every_request_has_an_id_of_its_own(api: Api) -> None:
    ids = {(await api("GET", path)).headers["Request-Id"] for path in (SESSIONS, "/x", QUOTES)}
    assert len(ids) == 3


async def test_parameters_of_a_post_may_be_in_the_query(api: Api) -> None:
    session = await api.ok("POST", f"{SESSIONS}?type=document", {"metadata[a]": "b"})
    assert session["metadata"] == {"a": "b"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"type": "document"}', {"Content_Type": "application/json"}),
        (b"type=document", {"Content_Type": "text/plain"}),
        (b"type=document", {"Content_Type": "multipart/form-data; boundary=x"}),
        (b"type=document", {"Content_Type": f"{FORM}; charset=latin-1"}),
        (
            gzip.compress(b"type=document", mtime=0),
            {"Content_Type": FORM, "Content_Encoding": "gzip"},
        ),
        (b"type=document&metadata[a]=\xff", {"Content_Type": FORM}),
        (b"type=document&metadata[a]=%FF", {"Content_Type": FORM}),
        (b"type=document&metadata[a=b", {"Content_Type": FORM}),
        (b"&".join(b"%d=" % number for number in range(100_000)), {"Content_Type": FORM}),
        (b"a" + b"[b]" * 10_000 + b"=c", {"Content_Type": FORM}),
    ],
)
async def test_bodies_that_are_refused(api: Api, body: bytes, headers: dict[str, str]) -> None:
    reply = await api("POST", SESSIONS, body, **headers)
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "content_type", [FORM, f"{FORM}; charset=utf-8", f'{FORM};charset="UTF-8"', FORM.upper()]
)
async def test_bodies_that_are_read(api: Api, content_type: str) -> None:
    session = await api.ok(
        "POST", SESSIONS, "type=document&metadata[a]=é".encode(), Content_Type=content_type
    )
    assert session["metadata"] == {"a": "é"}


async def test_a_body_without_a_type_is_a_form(server: Server) -> None:
    status, body = await raw(server, request("POST", SESSIONS, b"type=document"))
    assert (status, body["status"]) == (200, "requires_input")


async def test_a_body_over_the_limit_is_a_413(api: Api, server: Server) -> None:
    edge = b"type=document&metadata[a]=" + b"b" * (MAX_BODY - 26)
    assert (await api("POST", SESSIONS, edge, Content_Type=FORM)).status == 400
    declared = request("POST", SESSIONS, b"", "Content-Type: " + FORM).replace(
        b"Content-Length: 0", b"Content-Length: 99999999"
    )
    assert (await raw(server, declared))[0] == 413
    chunk = b"%x\r\n" % (MAX_BODY + 1) + b"x" * (MAX_BODY + 1) + b"\r\n0\r\n\r\n"
    chunked = request("POST", SESSIONS).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    status, body = await raw(server, chunked + chunk)
    assert (status, body["error"]["type"]) == (413, "invalid_request_error")


async def test_expect_continue_is_answered(server: Server) -> None:
    head, _, body = request("POST", SESSIONS, b"type=document", "Expect: 100-continue").partition(
        b"\r\n\r\n"
    )
    status, answer = await raw(server, head + b"\r\n\r\n", more=body)
    assert (status, answer["type"]) == (200, "document")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_malformed_http_gets_an_error_envelope(server: Server, data: bytes) -> None:
    status, body = await raw(server, data)
    assert status == 400
    assert body["error"]["message"] == "The request is not valid HTTP."


@pytest.mark.parametrize(
    "path", [b"/v1/\xff", b"/v1/events/\xff%ff", b"/v1/events?type=\xff", b"*"]
)
async def test_odd_targets_are_refused(server: Server, path: bytes) -> None:
    status, body = await raw(server, request("GET", "/TARGET").replace(b"/TARGET", path))
    assert 400 <= status < 500
    assert body["error"]["type"] == "invalid_request_error"


async def test_a_bug_is_a_500_without_details_and_is_logged(
    api: Api, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    del server.world.account().tables["event"]
    with caplog.at_level(logging.ERROR, "pinstripe.sandbox"):
        reply = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="bug")
    assert (reply.status, reply.error["type"]) == (500, "api_error")
    assert "KeyError" not in json.dumps(reply.body)
    assert "POST /v1/identity/verification_sessions" in caplog.text
    server.world.account().tables["event"] = Table()
    again = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="bug")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (500, "true")


async def test_a_bug_while_reading_is_a_500_too(
    api: Api, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    del server.world.account().keys.v1
    with caplog.at_level(logging.ERROR, "pinstripe.sandbox"):
        reply = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="bug")
    assert (reply.status, reply.error["type"]) == (500, "api_error")


async def test_a_client_that_hangs_up_in_a_body_is_no_failure(
    api: Api, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    started = request("POST", SESSIONS, b"", "Expect: 100-continue")
    writer.write(started.replace(b"Content-Length: 0", b"Content-Length: 100"))
    await reader.readuntil(b"\r\n\r\n")  # it waits for the body now
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await api.ok("GET", SESSIONS)
    await api.ok("GET", SESSIONS)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_the_access_log_leaves_out_queries(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pinstripe.sandbox.requests"):
        await api.ok("GET", f"{SESSIONS}?client_reference_id=jenny")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"GET {SESSIONS}: 200 in ")
    assert "jenny" not in line


async def test_the_same_key_gets_the_same_answer(api: Api) -> None:
    first = await api(
        "POST",
        SESSIONS,
        "type=document&metadata[a]=b&metadata[c]=d",
        Idempotency_Key="k",
        Content_Type=FORM,
    )
    again = await api(
        "POST",
        SESSIONS,
        "metadata[c]=d&metadata[a]=b&type=document",
        Idempotency_Key="k",
        Content_Type=FORM,
    )
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert again.headers["Request-Id"] != first.headers["Request-Id"]
    assert first.headers["Original-Request"] == first.headers["Request-Id"]
    assert "Idempotent-Replayed" not in first.headers
    assert len((await api.ok("GET", SESSIONS))["data"]) == 1


async def test_only_the_answers_of_posts_name_their_request_and_advise_on_retries(
    api: Api, server: Server
) -> None:
    def told(reply: Reply) -> tuple[str | None, bool]:
        advice = reply.headers.get("Stripe-Should-Retry")
        return advice, reply.headers.get("Original-Request") == reply.headers["Request-Id"]

    made = {"type": "document"}
    assert told(await api("POST", SESSIONS, made)) == ("false", False)
    assert told(await api("POST", SESSIONS, made, Idempotency_Key="a")) == ("false", True)
    missing = f"{SESSIONS}/vs_none/cancel"
    assert told(await api("POST", missing, Idempotency_Key="b")) == (None, True)
    assert told(await api("GET", SESSIONS, Idempotency_Key="c")) == (None, False)
    # A refusal of the parameters is not kept for the key, and so no request's original answer.
    refused = await api("POST", SESSIONS, {"type": "x"}, Idempotency_Key="d")
    assert (refused.status, told(refused)) == (400, (None, False))


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (SESSIONS, {"type": "id_number"}),
        (SESSIONS, {"type": "document", "metadata[a]": "b"}),
        ("/v1/crypto/onramp_sessions", {"type": "document"}),
    ],
)
async def test_the_same_key_with_another_request_is_refused(
    api: Api, path: str, data: dict[str, str]
) -> None:
    await api.ok("POST", SESSIONS, {"type": "document"}, Idempotency_Key="k")
    reply = await api("POST", path, data, Idempotency_Key="k")
    assert (reply.status, reply.error["type"]) == (400, "idempotency_error")


async def test_keys_are_kept_for_a_day_and_apart_by_account(api: Api, clock: ManualClock) -> None:
    async def made(**headers: str) -> str:
        body = await api.ok("POST", SESSIONS, {"type": "document"}, Idempotency_Key="k", **headers)
        return body["id"]

    first = await made()
    assert await made(Stripe_Account="acct_1") != first
    clock.advance(24 * 3600 - 1)
    assert await made() == first
    clock.advance(1)
    assert await made() != first


async def test_refusals_of_the_endpoint_are_stored_and_those_before_it_are_not(api: Api) -> None:
    path = f"{SESSIONS}/vs_none/cancel"
    assert (await api("POST", path, Idempotency_Key="a")).status == 404
    assert (await api("POST", path, Idempotency_Key="a")).headers["Idempotent-Replayed"] == "true"
    bad = [{"type": "x"}, {"type": "document", "expand[]": "nothing"}, {"nope": "1"}, b"%zz"]
    for data in bad:
        headers = {"Content_Type": FORM} if isinstance(data, bytes) else {}
        assert (await api("POST", SESSIONS, data, Idempotency_Key="b", **headers)).status == 400
    reply = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="b")
    assert reply.status == 200
    assert "Idempotent-Replayed" not in reply.headers
    unauthorized = await api("POST", SESSIONS, Idempotency_Key="c", Authorization="Bearer x")
    assert unauthorized.status == 401
    assert (await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="c")).status == 200


@pytest.mark.parametrize("key", ["", "k" * 256, "k\xe9"])
async def test_keys_that_are_refused(api: Api, key: str) -> None:
    reply = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key=key)
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")


async def test_a_key_has_no_effect_on_a_get(api: Api) -> None:
    for path in (SESSIONS, "/v1/events"):
        assert "Idempotent-Replayed" not in (await api("GET", path, Idempotency_Key="k")).headers


async def test_a_key_in_use_is_a_409_and_a_broken_request_gives_it_back(
    api: Api, server: Server
) -> None:
    head = request("POST", SESSIONS, b"", "Idempotency-Key: k").replace(
        b"Content-Length: 0", b"Content-Length: 13"
    )
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(head + b"type=")
    keys = server.world.account().keys.v1
    await _until(lambda: len(keys) == 1)
    reply = await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="k")
    assert (reply.status, reply.error["code"]) == (409, "idempotency_key_in_use")
    assert reply.error["type"] == "idempotency_error"
    writer.close()
    await writer.wait_closed()
    await _until(lambda: len(keys) == 0)
    assert (await api("POST", SESSIONS, {"type": "document"}, Idempotency_Key="k")).status == 200


async def _until(condition: Callable[[], bool]) -> None:
    async def poll() -> None:
        while not condition():  # noqa: ASYNC110 -- the server has no event for it
            await asyncio.sleep(0)

    await asyncio.wait_for(poll(), 10)


async def test_connections_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinstripe.sandbox._http.app.MAX_CONNECTIONS", 1)
    host, port = server.url.removeprefix("http://").split(":")
    _, kept = await asyncio.open_connection(host, int(port))
    reader, dropped = await asyncio.open_connection(host, int(port))
    dropped.write(request("GET", SESSIONS))
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    for writer in (kept, dropped):
        writer.close()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
async def test_a_connection_without_a_head_is_dropped(
    server: Server, api: Api, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr("pinstripe.sandbox._http.app.HEAD_SECONDS", 0.05)
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(begun)
    assert await reader.read() == b""
    writer.close()


async def test_a_connection_that_has_sent_a_head_is_kept(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.sandbox._http.app.HEAD_SECONDS", 0.05)
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request("POST", SESSIONS, b"").replace(b"Length: 0", b"Length: 13") + b"type=")
    # A second connection is opened later than the first one and dropped, so its time is over too.
    silent, other = await asyncio.open_connection(host, int(port))
    assert await silent.read() == b""
    writer.write(b"document")
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
    for each in (writer, other):
        each.close()


async def test_a_kept_connection_without_a_new_head_is_dropped(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.sandbox._http.app.KEEP_SECONDS", 0.05)
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request("GET", SESSIONS) + b"GET / HTTP/1.1\r\nHost: loc")
    assert (await reader.read()).count(b"HTTP/1.1 ") == 1
    writer.close()


def test_fingerprints_do_not_depend_on_order() -> None:
    assert dispatch.fingerprint({"a": "1", "b": {"c": "2", "d": "3"}}) == dispatch.fingerprint(
        {"b": {"d": "3", "c": "2"}, "a": "1"}
    )
    assert dispatch.fingerprint({"a": ["1", "2"]}) != dispatch.fingerprint({"a": ["2", "1"]})


async def test_same_seed_clock_and_requests_give_the_same_bytes() -> None:
    async def story() -> str:
        server = Server(Settings(seed=11, clock=ManualClock()))
        await server.start()
        seen: list[Any] = []
        async with aiohttp.ClientSession(server.url) as http:
            api = Api(http)
            session = await api.session_of()
            seen.append(server.identity.verify(session["id"]))
            for path in (f"{QUOTES}?source_amount=7", "/v1/events", SESSIONS, "/v1/nothing"):
                reply = await api("GET", path)
                seen.append((reply.body, reply.headers["Request-Id"]))
        text = json.dumps(seen).replace(server.url, "the server's address")
        await server.stop()
        return text

    assert await story() == await story()


def test_settings_draw_a_seed() -> None:
    assert Settings().seed != Settings().seed
    assert Settings(seed=3).seed == 3
