"""Generated garbage thrown at every route: the answer is always an envelope, never a 5xx."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from pinstripe.sandbox import Server
from pinstripe.sandbox.server import ROUTES

from .api import ONRAMP, SESSIONS, Api

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"
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
CONTENT_TYPES = st.sampled_from([FORM, FORM, FORM, "application/json", "text/plain", "", ";;="])
IDS = st.one_of(st.sampled_from(["session", "onramp", "event"]), st.text(min_size=1, max_size=8))
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
            "Expect",
            "X-Other",
        ]
    ),
    st.one_of(VALUES, st.sampled_from(["acct_1", "2026-10-28.endive", "key"])),
    max_size=2,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    route=st.sampled_from(ROUTES),
    id=IDS,
    form=FORMS,
    content_type=CONTENT_TYPES,
    headers=HEADERS,
    in_query=st.booleans(),
)
async def test_garbage(
    api: Api,
    server: Server,
    *,
    route: Any,
    id: str,
    form: bytes,
    content_type: str,
    headers: dict[str, str],
    in_query: bool,
) -> None:
    headers.pop("Expect", None)
    ids = {
        "session": (await api.session_of())["id"],
        "onramp": (await api.ok("POST", ONRAMP))["id"],
        "event": (await api.ok("GET", "/v1/events?limit=1"))["data"][0]["id"],
    }
    placed = "/".join(
        quote(ids.get(id, id).encode("utf-8", "surrogatepass"), safe="")
        if part.startswith("{")
        else part
        for part in route.path.split("/")
    )
    query = "?" + quote(form, safe="%=&[]+") if in_query or route.method != "POST" else ""
    body = form if route.method == "POST" and not in_query else None
    sent = {name.replace("-", "_"): value for name, value in headers.items()}
    url = URL(server.url + placed + query, encoded=True)
    reply = await api(route.method, url, body, Content_Type=content_type, **sent)
    assert reply.status == 200 or 400 <= reply.status < 500, (reply.status, reply.body)
    assert reply.headers["Request-Id"].startswith("req_")
    if reply.status != 200:
        assert reply.error["type"] in ("invalid_request_error", "idempotency_error")
        assert reply.error["message"]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEADS", "TRACE"]), st.text(max_size=30))
async def test_garbage_paths(api: Api, server: Server, method: str, path: str) -> None:
    url = URL(server.url + "/" + quote(path.encode("utf-8", "surrogatepass")), encoded=True)
    reply = await api(method, url)
    assert 400 <= reply.status < 500
    assert reply.error["type"] == "invalid_request_error"


async def test_a_hundred_thousand_keys_are_refused_quickly(api: Api) -> None:
    body = b"&".join(b"metadata[%d]=x" % number for number in range(50_000))
    assert (await api("POST", SESSIONS, body, Content_Type=FORM)).status in (400, 413)
