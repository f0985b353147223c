"""Generated garbage sent to every route: an error envelope, or a page if it is one, never a 5xx."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from pinstripe.sandbox import Server
from pinstripe.sandbox._http.app import MAX_BODY
from pinstripe.sandbox._http.routes import Route
from pinstripe.sandbox._server import ROUTES
from pinstripe.sandbox._state.table import Query
from tests.support.sandbox_api import Api, one_of_each, raw, request

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"
# A stream has no end that could be read.
ENDING = [route for route in ROUTES if route.path != "/_sandbox/stream"]
KNOWN = sorted({name for route in ROUTES for name in route.schema.fields})
WORDS = st.sampled_from(
    [
        "document",
        "id_number",
        "usd",
        "eth",
        "base",
        "usdc",
        "true",
        "1",
        "0",
        "-1",
        "0.01",
        "verified",
        "verified_outputs",
        "data.last_verification_report",
        "abandoned",
        "",
        "99999999999999999999",
        "requires_payment",
        "fulfillment_complete",
        "https://a.example",
        "999999999999999.99",
    ]
)
TEXTS = st.one_of(WORDS, st.text(max_size=8))
PARTS = st.one_of(
    st.sampled_from(["document", "email", "base_network", "0", "1", "", "gte", "dob", "year", "a"]),
    st.text(max_size=4),
)
NAMES = st.builds(
    lambda root, parts: root + "".join(f"[{part}]" for part in parts),
    st.one_of(st.sampled_from(KNOWN), st.text(max_size=6)),
    st.lists(PARTS, max_size=3),
)
FORMS = st.one_of(
    st.lists(st.tuples(NAMES, TEXTS), max_size=6).map(
        lambda pairs: urlencode(pairs, errors="surrogatepass").encode()
    ),
    st.binary(max_size=40),
    st.text("ab[]=&%+0\xff", max_size=30).map(lambda text: text.encode("latin-1")),
)
PIECES = st.sampled_from(
    [
        b"--b",
        b"--b--",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; name=",
        b'"file"; filename="a.png"',
        b'"purpose"',
        b"Content-Type: image/png",
        b"\xff",
        b"dispute_evidence",
    ]
)
BODIES = st.one_of(
    FORMS,
    st.lists(PIECES, max_size=12).map(b"".join),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
        lambda inner: st.one_of(
            st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(KNOWN), inner, max_size=2)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
)
CONTENT_TYPES = st.sampled_from(
    [
        *[FORM] * 3,
        *["multipart/form-data; boundary=b"] * 2,
        "application/json",
        "multipart/form-data",
        "text/plain",
        "",
        ";;=",
        f"{FORM}; charset=utf-16",
    ]
)
IDS = st.one_of(st.none(), st.text(min_size=1, max_size=8))
VALUES = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=12
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Idempotency-Key",
            "Stripe-Version",
            "Stripe-Account",
            "Stripe-Context",
            "Content-Encoding",
            "X-Other",
        ]
    ),
    st.one_of(VALUES, st.sampled_from(["acct_1", "2026-10-28.endive", "key"])),
    max_size=2,
)


@pytest.fixture
async def ids(api: Api, server: Server) -> dict[str, str]:
    """An id of a stored object of each kind."""
    await one_of_each(api)
    tables = server.world.account().tables
    found = {name: table.find(Query(limit=1)) for name, table in tables.items()}
    return {name: page.objects[0]["id"] for name, page in found.items() if page and page.objects}


def placed(route: Route, ids: dict[str, str], id: str | None) -> str:
    """Return the path of a route with an id: the given one, or one of the kind of the route."""
    meant = id or ids.get(route.kind or "", "x")
    quoted = quote(meant.encode("utf-8", "surrogatepass"), safe="")
    return "/".join(quoted if part.startswith("{") else part for part in route.path.split("/"))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    route=st.sampled_from(ENDING),
    id=IDS,
    body=BODIES,
    content_type=CONTENT_TYPES,
    headers=HEADERS,
    in_query=st.booleans(),
)
async def test_garbage(
    api: Api,
    server: Server,
    ids: dict[str, str],
    *,
    route: Route,
    id: str | None,
    body: bytes,
    content_type: str,
    headers: dict[str, str],
    in_query: bool,
) -> None:
    query = "?" + quote(body, safe="%=&[]+") if in_query or route.method != "POST" else ""
    sent = {name.replace("-", "_"): value for name, value in headers.items()}
    url = URL(server.url + placed(route, ids, id) + query, encoded=True)
    data = body if route.method == "POST" and not in_query else None
    reply = await api(route.method, url, data, Content_Type=content_type, **sent)
    server.world.faults.clear()
    server.world.rate_limiter.set(None)
    assert reply.status == 200 or 400 <= reply.status < 500, (reply.status, reply.body)
    assert reply.headers["Request-Id"].startswith("req_")
    if isinstance(reply.body, str):
        assert route.open
    elif reply.status != 200:
        assert reply.error["type"] in ("invalid_request_error", "idempotency_error")
        assert reply.error["message"]


HUNDRED_THOUSAND = b"&".join(b"%d=" % number for number in range(100_000))
PARTS = b"".join(
    b'--b\r\nContent-Disposition: form-data; name="%d"\r\n\r\n\r\n' % n for n in range(20_000)
)
REFUSED: dict[str, tuple[str, bytes]] = {
    "a hundred thousand keys": (FORM, HUNDRED_THOUSAND),
    "a hundred thousand keys of one object": (
        FORM,
        HUNDRED_THOUSAND.replace(b"=", b"[a]=")[: 10**6],
    ),
    "absurd nesting": (FORM, b"a" + b"[b]" * 100_000 + b"=c"),
    "open brackets": (FORM, b"[" * 100_000),
    "bytes that are not UTF-8": (FORM, b"metadata[a]=\xff"),
    "escapes that are not UTF-8": (FORM, b"metadata[a]=%ff"),
    "broken escapes": (FORM, b"metadata[a]=%zz"),
    "NUL": (FORM, b"metadata[a]=%00"),
    "too much": (FORM, b"a=" + b"b" * MAX_BODY),
    "another charset": (FORM + "; charset=latin-1", b"metadata[a]=b"),
    "no form": ("text/plain", b"metadata[a]=b"),
    "XML": ("application/xml", b"<a/>"),
    "nested JSON": ("application/json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "broken JSON": ("application/json", b'{"a"'),
    "a JSON list": ("application/json", b"[1]"),
    "a hundred thousand JSON keys": (
        "application/json",
        json.dumps({str(number): 1 for number in range(60_000)}).encode(),
    ),
    "multipart without a boundary": ("multipart/form-data", b"--b--"),
    "multipart that ends early": ("multipart/form-data; boundary=b", b"--b\r\n"),
    "multipart of many parts": ("multipart/form-data; boundary=b", PARTS + b"--b--"),
    "multipart with a strange boundary": ("multipart/form-data; boundary=\xff", b"--\xff--"),
}


@pytest.mark.uncounted
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_every_route_refuses(
    api: Api, ids: dict[str, str], caplog: pytest.LogCaptureFixture, route: Route
) -> None:
    path = placed(route, ids, None)
    for name, (content_type, body) in REFUSED.items():
        if route.method == "POST":
            reply = await api("POST", path, body, Content_Type=content_type)
        else:
            query = quote(body[:4000], safe="%=&[]+")
            if content_type != FORM:
                continue
            reply = await api(route.method, URL(f"{path}?{query}", encoded=True))
        assert 400 <= reply.status < 500, (name, reply.body)
        assert reply.error["type"] == "invalid_request_error"
    assert caplog.text == ""


# What the parser of HTTP refuses never comes to a route: one of each method shows that.
ONE_A_METHOD = list({route.method: route for route in ENDING if not route.open}.values())
UNREADABLE = [
    "Content-Length: -1",
    "Content-Length: 1\r\nContent-Length: 2",
    "Transfer-Encoding: chunked, what",
    "A" * 9000 + ": b",
    "A: " + "b" * 9000,
    "\r\n".join(f"A{number}: b" for number in range(40_000)),
    "A\0: b",
    "no colon",
]
WRONG = [
    "Authorization: Bearer \xff",
    "Authorization: Basic ====",
    "Host: evil.example",
    "Stripe-Version: ?",
    "Stripe-Account: ../acct_1",
    "Stripe-Context: acct_1//acct_2",
]


@pytest.mark.uncounted
@pytest.mark.parametrize(
    ("route", "header"),
    [
        *[(route, header) for header in UNREADABLE for route in ONE_A_METHOD],
        *[
            (route, header)
            for header in WRONG
            for route in ROUTES
            if not route.open or header.startswith("Host")
        ],
    ],
    ids=lambda it: it[:20] if isinstance(it, str) else f"{it.method} {it.path}",
)
async def test_every_route_refuses_bad_headers(server: Server, route: Route, header: str) -> None:
    name = header.partition(":")[0].encode("latin-1")
    lines = request(route.method, placed(route, {}, None)).split(b"\r\n")
    kept = [line for line in lines if not line.startswith(name + b":")]
    kept.insert(1, header.encode("latin-1"))
    status, body = await raw(server, b"\r\n".join(kept))
    assert 400 <= status < 500
    assert body["error"]["type"] == "invalid_request_error"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEADS", "TRACE"]),
    st.text(min_size=1, max_size=30),
)
async def test_garbage_paths(api: Api, server: Server, method: str, path: str) -> None:
    url = URL(server.url + "/" + quote(path.encode("utf-8", "surrogatepass")), encoded=True)
    reply = await api(method, url)
    assert 400 <= reply.status < 500
    assert reply.error["type"] == "invalid_request_error"
