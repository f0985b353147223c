"""The adapters: each in its real framework, over HTTP, with deliveries of the sandbox."""

from __future__ import annotations

import gzip
import http.client
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest

from pinstripe import Client, ConfigurationError
from pinstripe._concurrency.loop_thread import leases
from pinstripe.adapters.asgi import WebhookApp
from pinstripe.adapters.wsgi import WebhookApp as WSGIWebhookApp
from pinstripe.events import Event, VerificationSessionVerified
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.sandbox import ManualClock, Sandbox
from pinstripe.webhooks import Router, Webhook, delivery_of
from tests.support.hosts import ADAPTERS, READING, Adapter

VERIFIED = "identity.verification_session.verified"
MAX_BYTES = 200_000
SECONDS = 30

stripe_event = StripeEvent()


@attrs.define(eq=False)
class Site:
    """An app that receives webhooks, and the account that sends them."""

    name: str
    adapter: Adapter
    url: str
    sandbox: Sandbox
    stripe: Client
    router: Router
    admitted: list[str] = attrs.field(factory=list)
    logged: list[str] = attrs.field(factory=list)
    failures: list[Exception] = attrs.field(factory=list)

    def listen(self) -> None:
        @self.router.on(VerificationSessionVerified)
        async def admit(event: VerificationSessionVerified) -> None:
            self.admitted.append(event.id)

        @self.router.on(Event)
        def log(event: Event) -> None:
            if self.failures:
                raise self.failures.pop()
            self.logged.append(event.id)

    def verify_somebody(self) -> str:
        """Return the id of the event of it, delivered once."""
        session = self.stripe.identity.verification_sessions.create(type="document")
        self.sandbox.identity.verify(session.id)
        [event] = self.stripe.events.list(type=VERIFIED, limit=1).first()
        self.sandbox.webhooks.wait(SECONDS)
        return event.id

    def attempts(self, event: str) -> list[list[int | None]]:
        """Return the statuses that each delivery of an event was answered with, oldest first."""
        found = self.sandbox.webhooks.deliveries(event=event)
        return [[one["status"] for one in delivery["attempts"]] for delivery in reversed(found)]

    def signed(self, body: bytes) -> dict[str, str]:
        return {"Stripe-Signature": self.router.webhook.sign(body)}

    def send(
        self, body: Any = None, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=SECONDS)
        try:
            with suppress(ConnectionError):  # it may end before all of the body is sent
                connection.request(method, "/webhook", body, headers or {})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, answer.read().decode(), headers
        finally:
            connection.close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(clock=ManualClock()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def stripe(sandbox: Sandbox) -> Iterator[Client]:
    with sandbox.sync_client() as stripe:
        yield stripe
    for holder in [*leases._holders, leases]:
        leases.release(holder)


@pytest.fixture(scope="module", params=ADAPTERS)
def site(request: pytest.FixtureRequest, sandbox: Sandbox, stripe: Client) -> Iterator[Site]:
    adapter = ADAPTERS[request.param]
    router = Router(Webhook(SECRET))
    with adapter.host(adapter.app(router)) as url:
        endpoint = stripe.webhook_endpoints.create(url=f"{url}/webhook", enabled_events=[VERIFIED])
        assert endpoint.secret is not None
        router.webhook = Webhook(endpoint.secret, max_bytes=MAX_BYTES)
        site = Site(request.param, adapter, url, sandbox, stripe, router)
        site.listen()
        yield site
        stripe.webhook_endpoints.delete(endpoint.id)


def test_a_delivery_is_handled_once(site: Site) -> None:
    event = site.verify_somebody()
    assert site.attempts(event) == [[200]]
    site.sandbox.webhooks.resend(event)
    site.sandbox.webhooks.wait(SECONDS)
    assert site.attempts(event) == [[200], [200]]
    assert site.admitted.count(event) == site.logged.count(event) == 1


def test_a_delivery_whose_handler_fails_is_sent_again(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.failures.append(ValueError("not today"))
    event = site.verify_somebody()
    assert site.attempts(event) == [[500]]
    assert event not in site.logged
    assert "not today" in caplog.text
    assert isinstance(site.sandbox.clock, ManualClock)
    site.sandbox.clock.advance(3600)
    site.sandbox.webhooks.wait(SECONDS)
    assert site.attempts(event) == [[500, 200]]
    assert site.logged.count(event) == 1
    caplog.clear()


def test_what_is_forged_or_no_event_is_refused(site: Site) -> None:
    before = len(site.logged)
    forged = stripe_event(VERIFIED, secret="whsec_of_somebody_else")
    assert site.send(forged.body, forged.headers)[0] == 400
    assert site.send(forged.body)[0] == 400
    status, text, headers = site.send(b"{}", site.signed(b"{}"))
    assert (status, headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert "$" in text
    assert "evt_" not in text
    assert site.send(b"", site.signed(b""))[0] == 400
    assert len(site.logged) == before


def test_a_body_of_just_the_bound_is_read_and_one_byte_more_is_refused(site: Site) -> None:
    event = stripe_event(VERIFIED, event={"id": f"evt_{len(site.logged)}{id(site)}"}).body
    whole = event + b" " * (MAX_BYTES - len(event))
    assert site.send(whole, site.signed(whole))[:2] == (200, "handled")
    assert site.send(whole, site.signed(whole))[:2] == (200, "duplicate")
    assert site.send(whole + b" ", site.signed(whole))[0] == 413


@pytest.mark.parametrize(
    ("header", "status", "reason"),
    [
        (f"Content-Length: {MAX_BYTES + 1}", 413, b"longer than max_bytes"),
        (f"Content-Length: {'9' * 12}", 413, b"longer than max_bytes"),
        ("Content-Length: 1000\r\ncontent-encoding: GZIP", 400, b"compressed"),
    ],
)
def test_a_body_is_refused_before_it_is_read(
    site: Site, header: str, status: int, reason: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    if not site.adapter.early:
        pytest.skip("Django reads the whole body before it looks for a view")
    place = urlsplit(site.url)
    with socket.create_connection((place.hostname, place.port), SECONDS) as connection:
        head = f"POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n\r\n"
        connection.sendall(head.encode())
        connection.settimeout(SECONDS)
        answer = connection.recv(10_000)
        while reason not in answer:
            answer += connection.recv(10_000) or pytest.fail(answer.decode())
        assert int(answer.split()[1]) == status
        if site.adapter.ends:
            assert connection.recv(10_000) == b""
    (record,) = [one for one in caplog.records if one.name == "pinstripe.webhooks"]
    assert record.levelno == logging.WARNING
    assert reason.decode() in record.message


def test_a_body_that_is_too_long_is_refused_before_it_ends(site: Site) -> None:
    if not (site.adapter.early and site.adapter.chunked):
        pytest.skip("Django reads the whole body, and other servers take none without a length")
    place = urlsplit(site.url)
    with socket.create_connection((place.hostname, place.port), SECONDS) as connection:
        head = "POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = f"{MAX_BYTES + 1:x}\r\n{' ' * (MAX_BYTES + 1)}\r\n"
        connection.sendall((head + chunk).encode())
        connection.settimeout(SECONDS)
        assert connection.recv(10_000).split()[1] == b"413"


def test_a_compressed_body_is_refused(site: Site) -> None:
    event = stripe_event(VERIFIED)
    body = gzip.compress(event.body)
    headers = {**site.signed(event.body), "Content-Encoding": "gzip"}
    assert site.send(body, headers)[0] == 400
    assert event.id not in site.logged
    assert site.send(event.body, {**headers, "Content-Encoding": "identity"})[0] == 200


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("chunked", [False, True])
def test_others_may_read_the_body_too(name: str, chunked: bool) -> None:
    adapter = ADAPTERS[name]
    if chunked and not adapter.chunked:
        pytest.skip("this server takes no body of unknown length")
    router, logged = Router(Webhook(SECRET)), list[str]()

    @router.on(Event)
    def log(event: Event) -> None:
        logged.append(event.id)
        assert delivery_of(event).headers["stripe-signature"] == delivered.signature
        assert delivery_of(event).body == delivered.body

    delivered = stripe_event(VERIFIED)
    body: Any = iter([delivered.body]) if chunked else delivered.body
    with adapter.host(adapter.app(router, read=True)) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)
        with closing(connection):
            connection.request("POST", "/webhook", body, delivered.headers)
            assert connection.getresponse().status == 200
    assert logged == [delivered.id]
    for holder in [*leases._holders, leases]:
        leases.release(holder)


def test_a_body_of_unknown_length_is_read(site: Site) -> None:
    if not site.adapter.chunked:
        pytest.skip("this server takes no body of unknown length")
    event = stripe_event(VERIFIED)
    pieces = [event.body[at : at + 100] for at in range(0, len(event.body), 100)]
    assert site.send(iter(pieces), site.signed(event.body))[:2] == (200, "handled")
    assert event.id in site.admitted
    assert site.send(iter([b" " * 60_000] * 4), site.signed(event.body))[0] == 413


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_another_method_is_not_allowed(site: Site, method: str) -> None:
    event = stripe_event(VERIFIED)
    status, _, headers = site.send(event.body, site.signed(event.body), method)
    assert (status, headers["allow"]) == (405, "POST")
    assert event.id not in site.logged


def test_a_transaction_of_django_is_over_when_an_event_is_remembered() -> None:
    """It is no use to remember an event whose work is still to be committed, and may fail to."""
    adapter = ADAPTERS["django-blocking-wsgi"]
    router, inside = Router(Webhook(SECRET)), list[bool]()

    @router.on(Event)
    def handle(event: Event) -> None:
        from django.db import connections

        inside.extend(connections[alias].in_atomic_block for alias in connections)

    event = stripe_event(VERIFIED)
    with adapter.host(adapter.app(router)) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)
        with closing(connection):
            connection.request("POST", "/webhook", event.body, event.headers)
            assert connection.getresponse().status == 200
    assert inside == [False, False]
    for holder in [*leases._holders, leases]:
        leases.release(holder)


@pytest.mark.parametrize(("limit", "ending"), [(None, None), (900, None), (899, "too_large")])
def test_a_framework_with_a_limit_of_its_own(limit: int | None, ending: str | None) -> None:
    receipt = Router(Webhook(SECRET)).refusal({"Content-Length": "900"}, limit)
    assert (None if receipt is None else receipt.ending) == ending


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"Content-Length": "300000"}, 413),
        ({"Content-Length": "9" * 5000}, 413),
        ({"Content-Length": "many"}, None),
        ({"Content-Length": "٩" * 9}, None),
        ({"Content-Encoding": " Identity "}, None),
        ({"Content-Encoding": "br"}, 400),
        ({"Content-Encoding": "identity, gzip"}, 400),
    ],
)
def test_what_the_headers_alone_refuse(headers: dict[str, str], status: int | None) -> None:
    receipt = Router(Webhook(SECRET)).refusal(headers)
    assert (None if receipt is None else receipt.status) == status


# What a server never does, or not when it is asked to


async def asgi_messages(
    scope: dict[str, Any], *received: dict[str, Any], router: Router | None = None
) -> list[Any]:
    given, sent = iter(received), []

    async def receive() -> Any:
        return next(given)

    async def send(message: Any) -> None:
        sent.append(message)

    whole = {"type": "http", "method": "POST", "headers": [], **scope}
    await WebhookApp(router or Router(Webhook(SECRET)))(whole, receive, send)
    return sent


@pytest.mark.anyio
async def test_an_asgi_request_that_was_left_is_not_answered() -> None:
    piece = {"type": "http.request", "body": b"{", "more_body": True}
    assert await asgi_messages({}, piece, {"type": "http.disconnect"}) == []


@pytest.mark.anyio
async def test_an_asgi_request_has_headers_of_any_case_and_no_second_signature() -> None:
    event = stripe_event("file.created")
    signature = (b"Stripe-Signature", event.signature.encode())
    body = {"type": "http.request", "body": event.body}
    start, _ = await asgi_messages({"headers": [signature]}, body)
    assert start["status"] == 200
    start, _ = await asgi_messages({"headers": [signature, signature]}, body)
    assert start["status"] == 400


@pytest.mark.anyio
async def test_asgi_that_is_not_http_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="scope"):
        await asgi_messages({"type": "websocket"})


@pytest.mark.parametrize("length", [None, "", "-1", "many"])
def test_a_wsgi_request_without_a_length_has_no_body(length: str | None) -> None:
    class Endless:
        def read(self, size: int) -> bytes:
            return b" " * size

    environ = {"REQUEST_METHOD": "POST", "wsgi.input": Endless()}
    environ |= {} if length is None else {"CONTENT_LENGTH": length}
    statuses: list[str] = []
    app = WSGIWebhookApp(Router(Webhook(SECRET)))
    app(environ, lambda status, _: statuses.append(status))
    assert statuses == ["400 Bad Request"]


def test_an_adapter_imports_its_own_framework_only() -> None:
    script = """
import sys, importlib, pinstripe.webhooks
frameworks = {"aiohttp", "django", "flask", "starlette", "fastapi", "uvicorn"}
expected = set()
for name, own in [("asgi", ""), ("wsgi", ""), ("flask", "flask"), ("django", "django"),
                  ("aiohttp", "aiohttp")]:
    importlib.import_module(f"pinstripe.adapters.{name}")
    expected |= {own} - {""}
    assert frameworks & set(sys.modules) == expected, name
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
