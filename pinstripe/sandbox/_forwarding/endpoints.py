"""Forwarding as the API offers it: requests that are sent for real, with card details filled in.

A forwarded request exists in two forms. The outgoing one has the card details in its blanks and is
never stored. The stored one is the same draft, filled with the masked card; the answer of the
destination is masked too before it is stored. The destination is a server on loopback, or a host
that the settings allow by name; `outbound` has the rules.

Choices where the published facts are silent:

- errors: 400 if a parameter is not valid, 424 if the destination gives no usable answer:
  `forwarding_api_upstream_connection_error` if the connection fails or breaks before an answer,
  `forwarding_api_upstream_connection_timeout` if it takes too long,
  `forwarding_api_upstream_error` if the answer is broken, or longer than 1 MiB;
- `http` is accepted for destinations on loopback; redirects are answers like any other;
- `request_signature` adds `Stripe-Signature`, made as for webhooks, in real time, with
  `SIGNING_SECRET`;
- headers that frame the request (`Host`, `Content-Length` and others) are refused; a
  `Content-Type` of the caller replaces the one of the service;
- an unknown payment method is a 400 `resource_missing`; after 30 days a request is a 404;
- the duration is measured by the clock of the sandbox.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import aiohttp
from attrs import field, frozen
from multidict import CIMultiDict
from yarl import URL

from pinstripe._signature import sign
from pinstripe.sandbox._forwarding.cards import (
    CARD_REPLACEMENTS,
    JSON,
    MASK,
    PAYMENT_METHODS,
    Card,
    fill,
    is_credential,
    mask,
    mask_credentials,
    media_type,
)
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import list_objects
from pinstripe.sandbox._http.outbound import Way, is_loopback, may_call, read_url
from pinstripe.sandbox._http.retention import get_recent, recent_range
from pinstripe.sandbox._http.routes import LIST_PARAMS, Route, control_route
from pinstripe.sandbox._params.errors import Refusal, invalid, missing, shortened
from pinstripe.sandbox._params.forms import Tree
from pinstripe.sandbox._params.schema import (
    CREATED,
    METADATA,
    STRING,
    Array,
    Object,
    String,
    TimeRange,
)
from pinstripe.sandbox._state.kinds import Kind
from pinstripe.sandbox._state.settings import Settings
from pinstripe.sandbox._state.table import Json

REQUEST: Final = "forwarding.request"
# Everybody knows this secret: tests verify with it.
SIGNING_SECRET: Final = "whsec_pinstripe_sandbox_forwarding"  # noqa: S105 -- no secret
# Bounds of this sandbox, in bytes: nothing here needs more.
MAX_ANSWER: Final = 1024 * 1024
MAX_TEXT: Final = 1024 * 1024

Header: TypeAlias = tuple[str, str]

KINDS: Final = (Kind(REQUEST, "fwdreq_"),)

_SIGNATURE: Final = "request_signature"
# Headers that belong to the connection or the framing of a message (RFC 9110, RFC 9112).
_FRAMING: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# The form of a header's name and value: RFC 9110, sections 5.1 and 5.5.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


@frozen
class _Range:
    """A parameter: the `created` filter of this list, which takes a range and no exact second."""

    def read(self, raw: Tree, path: str) -> TimeRange:
        if isinstance(raw, str):
            raise invalid(f"Invalid object: {shortened(path)}", path)
        return CREATED.read(raw, path)


_HEADER: Final = Object({"name": STRING, "value": String(clearable=True)}, ("name", "value"))
_CREATE: Final = Object(
    {
        "payment_method": STRING,
        "replacements": Array(STRING),
        "request": Object(
            {"body": String(MAX_TEXT, clearable=True), "headers": Array(_HEADER)},
        ),
        "url": STRING,
        "metadata": METADATA,
    },
    required=("payment_method", "replacements", "request", "url"),
)
_LIST: Final = Object({**LIST_PARAMS, "created": _Range()})


@frozen
class _Outgoing:
    """A request as it is sent, with card details in it."""

    url: URL
    headers: Sequence[Header] = field(repr=False)
    body: bytes = field(repr=False)


@frozen
class _Incoming:
    """The answer of a destination, and the address that it came from."""

    status: int
    headers: Sequence[Header] = field(repr=False)
    body: str = field(repr=False)
    address: str = ""


@frozen
class _Draft:
    """A request before it is sent: what goes out, and what will be stored of it."""

    outgoing: _Outgoing
    card: Card
    details: Json


async def create_request(call: Call) -> Json:
    """Forward a request and store it with its answer, masked."""
    draft, started = _draft(call), call.account.now()
    answer = await _forward(draft.outgoing, call.account.settings)
    return _store(call, draft, answer, round((call.account.now() - started) * 1000))


def invent_request(call: Call) -> Json:
    """Store a request as if its destination had answered; nothing is sent."""
    headers = [("Content-Type", JSON)]
    return _store(call, _draft(call), _Incoming(200, headers, "{}", "127.0.0.1"), 25)


def _draft(call: Call) -> _Draft:
    account, params = call.account, call.params
    card = PAYMENT_METHODS.get(params["payment_method"])
    if card is None:
        raise missing("payment_method", params["payment_method"], "payment_method", status=400)
    url = _destination(params["url"], account.settings.allow_hosts)
    replacements = frozenset[str](params["replacements"])
    for index, name in enumerate(params["replacements"]):
        if name not in (*CARD_REPLACEMENTS, _SIGNATURE):
            raise _not_valid(f"replacements[{index}]", f"{shortened(name)} is not a replacement")
    draft: str = params["request"].get("body", "")
    type_ = media_type(draft) if draft else None
    if draft and type_ is None:
        raise _not_valid("request[body]", "it must be JSON or XML")
    headers = _headers(params["request"].get("headers", ()), type_)

    # The signature covers the body with the card details, as it is sent.
    body = fill(draft, card.values(replacements)).encode()
    if _SIGNATURE in replacements:
        signature = sign(body, SIGNING_SECRET, int(time.time()))
        headers.append(("Stripe-Signature", signature))

    # The stored body is filled again from the draft, with the masked card.
    stored = fill(draft, card.masked().values(replacements))
    details = {"body": mask_credentials(stored), "headers": headers, "http_method": "POST"}
    return _Draft(_Outgoing(url, headers, body), card, details)


def _store(call: Call, draft: _Draft, answer: _Incoming, milliseconds: int) -> Json:
    context = {
        "destination_duration": milliseconds,
        "destination_ip_address": answer.address,
    }
    value = _object(call, draft.card, context, draft.details, answer)
    return call.show(call.account.put(value))


def _object(call: Call, card: Card, context: Json, details: Json, answer: _Incoming) -> Json:
    params, account = call.params, call.account
    return {
        "id": account.new_id(REQUEST),
        "object": REQUEST,
        "created": account.timestamp(),
        "livemode": False,
        "metadata": METADATA.merge({}, params.get("metadata", {})),
        "payment_method": params["payment_method"],
        "replacements": params["replacements"],
        "request_context": context,
        "request_details": _masked(details, card),
        "response_details": _masked(
            {"body": answer.body, "headers": answer.headers, "status": answer.status}, card
        ),
        "url": params["url"],
    }


def _masked(details: Json, card: Card) -> Json:
    headers = [
        {"name": name, "value": MASK if is_credential(name) else mask(value, card)}
        for name, value in details["headers"]
    ]
    return {**details, "body": mask(details["body"], card), "headers": headers}


def _headers(given: Sequence[Mapping[str, str]], type_: str | None) -> list[Header]:
    headers: list[Header] = []
    for index, header in enumerate(given):
        name, value, path = header["name"], header["value"], f"request[headers][{index}]"
        if not _NAME.fullmatch(name) or name.lower() in _FRAMING:
            raise _not_valid(f"{path}[name]", "this header cannot be set")
        if not _VALUE.fullmatch(value):
            raise _not_valid(f"{path}[value]", "it has characters that a header cannot have")
        headers.append((name, value))
    named = any(name.lower() == "content-type" for name, _ in headers)
    return headers if named or type_ is None else [("Content-Type", type_), *headers]


def _destination(text: str, allowed: Sequence[str]) -> URL:
    url = read_url(text)
    if url is None or url.user or url.password:
        raise _not_valid("url", "it must have the form https://host/path, without a user")
    if not may_call(url, allowed):
        raise _not_valid("url", "a sandbox forwards only to loopback and to hosts in allow_hosts")
    if url.scheme != "https" and not is_loopback(url):
        raise _not_valid("url", "http is accepted on loopback only")
    return url


def _not_valid(path: str, problem: str) -> Refusal:
    text = f"Invalid {shortened(path)}: {problem}."
    return invalid(text, path, "forwarding_api_invalid_parameter")


async def _forward(outgoing: _Outgoing, settings: Settings) -> _Incoming:
    way = Way(outgoing.url)
    try:
        return await asyncio.wait_for(_exchange(outgoing, way), settings.forward_seconds)
    except asyncio.TimeoutError:
        raise _upstream("connection_timeout", "did not answer in time") from None
    except aiohttp.ClientConnectionError:
        if way.refused:
            problem = f"{outgoing.url.host} is at {way.address}, where a sandbox forwards nothing"
            raise _not_valid("url", problem) from None
        raise _upstream("connection_error", "could not be reached, or gave no answer") from None
    except aiohttp.ClientError:
        raise _upstream("error", "gave an answer that cannot be read") from None


def _upstream(what: str, problem: str) -> Refusal:
    text = f"The destination {problem}. To try again, use a new idempotency key."
    return Refusal(text, status=424, code=f"forwarding_api_upstream_{what}")


async def _exchange(outgoing: _Outgoing, way: Way) -> _Incoming:
    session = aiohttp.ClientSession(
        connector=way.connector(),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    )
    # aiohttp sends the headers of a name together, in one spelling: a second spelling of the name
    # would replace the earlier values.
    spelled: dict[str, str] = {}
    headers = CIMultiDict(
        (spelled.setdefault(name.lower(), name), value) for name, value in outgoing.headers
    )
    async with (
        session,
        session.post(
            outgoing.url, data=outgoing.body, headers=headers, allow_redirects=False
        ) as response,
    ):
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > MAX_ANSWER:
                raise aiohttp.ClientPayloadError("too long")
        answered = [(_text(name), _text(value)) for name, value in response.raw_headers]
        return _Incoming(response.status, answered, _text(body), way.address)


def _text(data: bytes | bytearray) -> str:
    return data.decode("utf-8", "replace")


def _retrieve(call: Call) -> Json:
    return call.show(get_recent(call, REQUEST))


def _list(call: Call) -> Json:
    return list_objects(call, REQUEST, created=recent_range(call))


_REQUESTS: Final = "/v1/forwarding/requests"

ROUTES: Final = (
    control_route("POST", "forwarding/requests", invent_request, _CREATE),
    Route("POST", _REQUESTS, create_request, _CREATE, REQUEST),
    Route("GET", _REQUESTS, _list, _LIST, REQUEST, listed=True),
    Route("GET", _REQUESTS + "/{id}", _retrieve, kind=REQUEST),
)
