"""TLS and proxies over real sockets, and the settings that are refused."""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import pickle
import ssl
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import (
    TLS,
    AsyncClient,
    CertificateError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    ResponseError,
    RetryPolicy,
    Timeout,
)
from pinstripe._config.proxy import Proxy, parse_proxy, proxy_for
from pinstripe._config.tls import ssl_context
from pinstripe._http.exchange import ready_context
from tests.http.test_transport import CANARY, KEY, ONCE, call, client_of, failure
from tests.support.clean import nothing_left
from tests.support.faulty import Faulty, hang, ok, redirect, then_end

pytestmark = pytest.mark.anyio

AUTHORITY = trustme.CA()
LOG = "SSLKEYLOGFILE"
LIVE = KEY.replace("test", "live")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates as files: of the authority, and of a client with and without its key."""
    folder = tmp_path_factory.mktemp("tls")
    AUTHORITY.cert_pem.write_to_path(str(folder / "ca.pem"))
    mine = AUTHORITY.issue_cert("client@example.com")
    mine.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    mine.private_key_pem.write_to_path(str(folder / "key.pem"))
    mine.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    (folder / "none.pem").write_text("nothing")
    return folder


def shown(
    name: str = "127.0.0.1", authority: trustme.CA = AUTHORITY, **arguments: Any
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **arguments).configure_cert(context)
    return context


# --- TLS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "context"])
async def test_a_given_authority_is_trusted(folder, kind) -> None:
    own: Any = TLS(ca_file=folder / "ca.pem")
    if kind == "context":
        own = ssl.create_default_context(cafile=folder / "ca.pem")
    async with Faulty(ok(), tls=shown()) as server, client_of(server, tls=own) as client:
        for method in ("GET", "POST", "GET"):
            assert (await call(client, method)).attempts == 1
        assert (server.accepted, server.handshakes, len(server.requests)) == (1, 1, 3)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("context", "tls"),
    [
        (shown("other.example"), "ca"),
        (shown(authority=trustme.CA()), "ca"),
        (shown(not_after=datetime(2020, 1, 1, tzinfo=timezone.utc)), "ca"),
        (shown(), None),
    ],
    ids=["wrong name", "unknown issuer", "expired", "not of this machine"],
)
async def test_a_bad_certificate_is_refused_once(folder, method, context, tls) -> None:
    own = TLS(ca_file=folder / "ca.pem") if tls else None
    async with (
        Faulty(ok(), tls=context) as server,
        client_of(server, tls=own, retry=RetryPolicy(base=0)) as client,
    ):
        error = await failure(call(client, method))
        assert type(error) is CertificateError
        assert error.message.startswith("the certificate of 127.0.0.1 is refused: ")
        assert (error.outcome, error.attempts) == ("not_sent", 1)
        assert (server.handshakes, server.requests) == (1, [])


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_no_redirect_leads_out_of_tls(folder, method) -> None:
    async with Faulty(ok()) as trap, Faulty(redirect(trap.url, 307), tls=shown()) as server:
        async with client_of(server, tls=TLS(ca_file=folder / "ca.pem")) as client:
            assert type(await failure(call(client, method))) is ResponseError
        assert (len(server.requests), trap.accepted) == (1, 0)


@pytest.fixture
def leaves_no_garbage() -> Iterator[None]:
    """Collect what a test leaves behind while its filter of warnings still holds."""
    yield
    gc.collect()


# Python 3.10 itself forgets to close its side of a TLS connection that ends with an error.
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
@pytest.mark.usefixtures("leaves_no_garbage")
@pytest.mark.parametrize("files", [("both.pem",), ("cert.pem", "key.pem")])
async def test_a_certificate_of_the_client(folder, files) -> None:
    context = shown()
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)
    names = dict(zip(("client_certificate", "client_key"), files, strict=False))
    known = TLS(ca_file=folder / "ca.pem", **{n: str(folder / f) for n, f in names.items()})
    async with Faulty(ok(), tls=context) as server:
        async with client_of(server, tls=known) as client:
            assert (await call(client, "GET")).status == 200
        async with client_of(server, tls=TLS(ca_file=folder / "ca.pem")) as client:
            error = await failure(call(client, "GET"))
            assert type(error) in (ConnectionLost, ConnectError)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"ca_file": "none.pem"}, "ca_file"),
        ({"client_certificate": "none.pem"}, "client_certificate"),
        ({"client_certificate": "cert.pem"}, "client_certificate"),
        ({"client_certificate": "cert.pem", "client_key": "cert.pem"}, "client_certificate"),
    ],
)
async def test_files_that_hold_something_else(folder, arguments, argument) -> None:
    own = TLS(**{name: folder / file for name, file in arguments.items()})
    async with Faulty(ok(), tls=shown()) as server, client_of(server, tls=own) as client:
        error = await failure(call(client, "GET"))
        assert (type(error), error.argument) == (ConfigurationError, argument)
        assert (error.outcome, error.attempts, server.accepted) == ("not_sent", 0, 0)


@pytest.mark.parametrize("name", ["ca_file", "client_certificate", "client_key"])
@pytest.mark.parametrize("value", ["/nowhere/x.pem", 3, b"x"])
def test_files_that_are_not_there(name, value) -> None:
    with pytest.raises(ConfigurationError, match="a file that can be read") as caught:
        TLS(**{name: value})
    assert caught.value.argument == name


def test_a_key_without_its_certificate(folder) -> None:
    with pytest.raises(ConfigurationError, match="client_certificate: is needed"):
        TLS(client_key=folder / "key.pem")


def test_a_key_with_a_passphrase_is_not_asked_for_on_the_terminal(folder, tmp_path) -> None:
    from cryptography.hazmat.primitives import serialization as s

    key = s.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    form = (s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"word"))
    (tmp_path / "locked.pem").write_bytes(key.private_bytes(*form))
    with pytest.raises(ConfigurationError, match="fit each other"):
        ssl_context(TLS(client_certificate=folder / "cert.pem", client_key=tmp_path / "locked.pem"))


def lax(*, check_hostname: bool = False, mode: ssl.VerifyMode = ssl.CERT_REQUIRED) -> Any:
    context = ssl.create_default_context()
    context.check_hostname = check_hostname
    context.verify_mode = mode
    return context


@pytest.mark.parametrize(
    ("tls", "problem"),
    [
        (lax(), "must verify"),
        (lax(mode=ssl.CERT_NONE), "must verify"),
        (lax(mode=ssl.CERT_OPTIONAL), "must verify"),
        (False, "must be a TLS or an ssl.SSLContext, not a bool"),
        ("/ca.pem", "not a str"),
    ],
)
def test_verification_cannot_be_turned_off(tls, problem) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        AsyncClient(KEY, tls=tls)
    assert caught.value.argument == "tls"


def test_the_secrets_of_connections_are_written_nowhere(tmp_path, monkeypatch) -> None:
    file = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(file))
    context = ssl_context(None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.keylog_filename is None
    assert not file.exists()


FIRST_CALL = """
import asyncio, os, sys, pinstripe
if sys.argv[2]:
    import aiohttp
    del os.environ[sys.argv[2]]
async def main():
    async with pinstripe.AsyncClient("sk_test_a", base_url=sys.argv[1]) as client:
        assert (await client.request("GET", "/v1/balance")).status == 200
        connections = await client._shared.transport.open()
    from pinstripe._http.exchange import ready_context
    print(connections._connector._ssl is ready_context())
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("variable", "imported", "reads_again"),
    [("NONE", False, False), ("NONE", True, True), (LOG, False, True), (LOG, True, True)],
)
async def test_certificates_are_read_again_only_if_it_matters(
    folder, tmp_path, variable, imported, reads_again
) -> None:
    """A first call takes the context that aiohttp has just made, unless that keeps a log."""
    file, ca = tmp_path / "keys.log", str(folder / "ca.pem")
    environ = {**os.environ, "SSL_CERT_FILE": ca, variable: str(file)}
    async with Faulty(ok(), tls=shown()) as server:
        arguments = [server.url, variable if imported else ""]
        command = [sys.executable, "-W", "error", "-c", FIRST_CALL, *arguments]
        done = await anyio.run_process(command, env=environ)
    assert done.stdout.decode().strip() == str(not reads_again)
    assert not file.exists() or b"SECRET" not in file.read_bytes()


def test_the_context_of_another_library_is_not_trusted_blindly(monkeypatch) -> None:
    made = ssl.create_default_context()
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", made)
    assert ready_context() is made
    made.check_hostname = False
    assert ready_context() is None


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Python was more lenient then")
def test_the_certificates_of_the_machine_are_verified_as_python_does() -> None:
    assert ssl_context(None).verify_flags == ssl.create_default_context().verify_flags


# --- plain http ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, LIVE])
@pytest.mark.parametrize("url", ["http://api.example", "http://10.0.0.1:8080"])
def test_plain_http_is_used_only_if_allowed(key, url) -> None:
    for name in ("base_url", "files_url"):
        with pytest.raises(ConfigurationError, match="allow_insecure_http") as caught:
            AsyncClient(key, **{name: url})
        assert caught.value.argument == name
    AsyncClient(key, base_url=url, files_url=url, allow_insecure_http=True)
    with pytest.raises(ConfigurationError, match="must be an address"):
        AsyncClient(key, base_url="ftp://x", allow_insecure_http=True)
    with pytest.raises(ConfigurationError, match="allow_insecure_http: must be a bool"):
        AsyncClient(key, allow_insecure_http="yes")


async def test_a_live_key_over_plain_http_must_be_allowed() -> None:
    async with Faulty(ok()) as server:
        arguments: dict[str, Any] = {"base_url": server.url, "files_url": server.url}
        with pytest.raises(ConfigurationError, match="test keys"):
            AsyncClient(LIVE, **arguments)
        async with AsyncClient(LIVE, **arguments, allow_insecure_http=True) as client:
            await call(client, "GET")
        assert server.requests[0].headers["authorization"] == f"Bearer {LIVE}"


# --- proxies ------------------------------------------------------------------------------------


class Tunnel:
    """A proxy: it answers CONNECT, and passes on what comes then."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.heads: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Tunnel:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            writer.write(b"HTTP/1.1 %d Word\r\n\r\n" % self.status)
            if self.status == 200:
                host, _, port = head.split(" ")[1].rpartition(":")
                far, out = await asyncio.open_connection(host, int(port))
                await asyncio.gather(pipe(reader, out), pipe(far, writer))
        finally:
            writer.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()


@pytest.mark.parametrize("how", ["argument", "environment"])
async def test_requests_go_through_a_proxy(folder, monkeypatch, how) -> None:
    async with Faulty(ok(b"right"), tls=shown("localhost")) as server, Tunnel() as tunnel:
        address = f"http://me:{CANARY}%20%40@127.0.0.1:{tunnel.port}"
        monkeypatch.setenv("HTTPS_PROXY", address)
        own = TLS(ca_file=folder / "ca.pem")
        url = f"https://localhost:{server.port}"
        settings = {"base_url": url, "files_url": url, "tls": own}
        proxy = address if how == "argument" else "environment"
        async with client_of(server, **settings, proxy=proxy) as client:
            assert CANARY not in repr(client) + repr(client._config)
            assert (await call(client, "GET")).body == b"right"
            assert (await call(client, "POST")).body == b"right"
        (head,) = tunnel.heads
        assert head.startswith(f"CONNECT localhost:{server.port} HTTP/1.1\r\n")
        word = base64.b64encode(f"me:{CANARY} @".encode()).decode()
        assert f"Proxy-Authorization: Basic {word}\r\n" in head
        assert KEY not in head
        assert all("proxy-authorization" not in seen.headers for seen in server.requests)
        async with client_of(server, **settings) as client:
            await call(client, "GET")
        assert len(tunnel.heads) == 1  # nothing of the environment is obeyed unasked


async def test_plain_http_through_a_proxy_if_it_is_allowed() -> None:
    async with Faulty(ok()) as proxy:
        far = {"base_url": "http://api.example", "files_url": "http://api.example"}
        address = f"http://me:word@127.0.0.1:{proxy.port}"
        async with client_of(proxy, **far, proxy=address, allow_insecure_http=True) as client:
            await call(client, "POST")
        (seen,) = proxy.requests
        assert seen.target == "http://api.example/v1/things"
        assert seen.headers["authorization"] == f"Bearer {KEY}"
        assert seen.headers["proxy-authorization"] == "Basic bWU6d29yZA=="


def answered(status: int) -> bytes:
    return b"HTTP/1.1 %d Word\r\nLocation: https://elsewhere.example/\r\n\r\n" % status


REFUSALS = [*[(answered(status), 1) for status in (302, 400, 401, 403, 404, 407, 451)]]
FAILURES = [
    *[(answered(status), 3) for status in (408, 429, 500, 502, 503, 504)],
    (b"", 3),
    (b"HTTP/1.1 2", 3),
    (b"SSH-2.0 not HTTP at all\r\n\r\n", 3),
    (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20, 3),
    (b"HTTP/1.1 200 Connected\r\n\r\nnot TLS at all, but quite long", 3),
]


@pytest.mark.parametrize(("said", "attempts"), REFUSALS + FAILURES)
@pytest.mark.parametrize("with_reset", [False, True])
async def test_whatever_a_proxy_answers_nothing_was_sent(
    folder, said, attempts, with_reset
) -> None:
    own, retry = TLS(ca_file=folder / "ca.pem"), RetryPolicy(base=0)
    proxying = then_end(said, with_reset=with_reset and attempts > 1)
    async with Faulty(ok(), tls=shown()) as server, Faulty(proxying) as tunnel:
        proxy = f"http://me:{CANARY}@127.0.0.1:{tunnel.port}"
        async with client_of(server, tls=own, proxy=proxy, retry=retry) as client:
            error = await failure(call(client, "POST"))
        assert (type(error), error.outcome) == (ConnectError, "not_sent")
        assert (error.attempts, error.permanent) == (attempts, attempts == 1)
        assert (len(tunnel.requests), server.accepted) == (attempts, 0)
        assert error.idempotency_key is not None


async def test_a_proxy_that_refuses_is_named_with_its_status(folder) -> None:
    async with Faulty(ok(), tls=shown()) as server, Tunnel(407) as tunnel:
        proxy = f"http://me:{CANARY}@127.0.0.1:{tunnel.port}"
        async with client_of(server, tls=TLS(ca_file=folder / "ca.pem"), proxy=proxy) as client:
            error = await failure(call(client, "POST"))
        assert str(error) == "POST /v1/things: the proxy answered 407"


@pytest.mark.parametrize("end", ["connect", "deadline"])
@pytest.mark.parametrize("silent", ["proxy", "tls"])
async def test_the_time_to_connect_covers_the_proxy_and_tls(folder, end, silent) -> None:
    timeout = Timeout(20, connect=0.05) if end == "connect" else Timeout(0.05)
    kind = ConnectError if end == "connect" else DeadlineExceeded
    own = TLS(ca_file=folder / "ca.pem")
    silence = Faulty(hang) if silent == "proxy" else Faulty(on_accept="hang")
    async with nothing_left(), silence as server:
        proxy = f"http://127.0.0.1:{server.port}" if silent == "proxy" else None
        url = f"https://127.0.0.1:{server.port}"
        settings: dict[str, Any] = {"base_url": url, "tls": own, "proxy": proxy}
        async with AsyncClient(KEY, **settings, retry=ONCE, timeout=timeout) as client:
            await client.warm_up()
            error = await failure(call(client, "POST"))
        assert (type(error), error.outcome, error.attempts) == (kind, "not_sent", 1)
        if kind is DeadlineExceeded:
            assert error.message == "no answer within 0.05 s: there was still no connection"


async def test_a_proxy_that_is_not_there() -> None:
    async with Tunnel() as tunnel:
        proxy = f"http://me:{CANARY}@127.0.0.1:{tunnel.port}"
    async with AsyncClient(KEY, proxy=proxy, retry=ONCE) as client:
        error = await failure(call(client, "GET"))
        assert (type(error), error.outcome) == (ConnectError, "not_sent")


@pytest.mark.parametrize(
    "value",
    [
        "https://proxy.example:3128",
        "socks5://proxy.example",
        "ftp://proxy.example",
        f"http://me:{CANARY}@",
        f"http://me:{CANARY}@proxy.example/path",
        f"http://me:{CANARY}@proxy example",
        f"http://me:{CANARY}@proxy.example\r\nX: y",
        f"http://me:{CANARY}@@proxy.example",
        "",
        "ENVIRONMENT:",
        True,
    ],
)
def test_invalid_addresses_of_a_proxy(value, monkeypatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncClient(KEY, proxy=value)
    error = caught.value
    assert error.argument == "proxy"
    assert CANARY not in repr(error) + str(error.args) + pickle.dumps(error).decode("latin-1")
    if isinstance(value, str) and value:
        monkeypatch.setenv("https_proxy", value)
        with pytest.raises(ConfigurationError, match="https_proxy: must look like"):
            AsyncClient(KEY, proxy="environment")


def test_a_proxy_does_not_get_to_read_a_key() -> None:
    arguments: dict[str, Any] = {"base_url": "http://127.0.0.1:1", "proxy": "http://p.example"}
    with pytest.raises(ConfigurationError, match="could read the key") as caught:
        AsyncClient(KEY, **arguments)
    assert caught.value.argument == "proxy"
    AsyncClient(KEY, **arguments, allow_insecure_http=True)


def test_the_parts_of_a_proxy() -> None:
    assert parse_proxy("proxy", "http://P.example:3128/") == Proxy("http://P.example:3128")
    assert parse_proxy("proxy", "p.example") == Proxy("http://p.example")
    assert parse_proxy("proxy", "http://[::1]:8") == Proxy("http://[::1]:8")
    assert parse_proxy("proxy", "http://a%40b:c%3Ad@p") == Proxy("http://p", "a@b", "c:d")
    assert parse_proxy("proxy", "http://a@p") == Proxy("http://p", "a", "")
    assert repr(Proxy("http://p", "a", CANARY)) == "Proxy(url='http://p')"


@given(st.text())
def test_any_text_is_a_proxy_or_an_error_of_ours(text) -> None:
    try:
        assert parse_proxy("proxy", text).url.startswith("http://")
    except ConfigurationError as error:
        assert error.argument == "proxy"


@pytest.mark.parametrize(
    ("variables", "url", "found"),
    [
        ({}, "https://api.stripe.com", None),
        ({"https_proxy": "a:1"}, "https://api.stripe.com", "http://a:1"),
        ({"HTTPS_PROXY": "a:1"}, "https://api.stripe.com", "http://a:1"),
        ({"https_proxy": "a:1", "HTTPS_PROXY": "b:1"}, "https://api.stripe.com", "http://a:1"),
        ({"all_proxy": "a:1"}, "https://api.stripe.com", "http://a:1"),
        ({"https_proxy": "", "ALL_PROXY": "a:1"}, "https://api.stripe.com", "http://a:1"),
        ({"http_proxy": "a:1", "HTTP_PROXY": "a:1"}, "https://api.stripe.com", None),
        ({"https_proxy": "a:1", "all_proxy": "a:1"}, "http://localhost:5", None),
        ({"https_proxy": "a:1", "no_proxy": "*"}, "https://api.stripe.com", None),
        ({"https_proxy": "a:1", "no_proxy": "x, STRIPE.com"}, "https://API.stripe.com", None),
        ({"https_proxy": "a:1", "no_proxy": ".stripe.com"}, "https://api.stripe.com", None),
        ({"https_proxy": "a:1", "NO_PROXY": "api.stripe.com"}, "https://api.stripe.com:8", None),
        ({"https_proxy": "a:1", "no_proxy": "ripe.com,,"}, "https://api.stripe.com", "http://a:1"),
    ],
)
def test_what_the_environment_says(monkeypatch, variables, url, found) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(url, "environment")
    assert (proxy and proxy.url) == found
    assert proxy_for(url, None) is None
