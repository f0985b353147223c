"""Forwarding as the API offers it: requests with card details filled in, sent on for real.

A request goes over HTTP to a destination on loopback, or one that the settings allow by name, and
what is stored of it is masked. Choices where the published facts are silent:

- errors: 400 where a parameter does not fit, 424 where no usable answer came from the destination:
  `forwarding_api_upstream_connection_error` where the connection failed or broke off before an
  answer, `forwarding_api_upstream_connection_timeout` where it took too long,
  `forwarding_api_upstream_error` where the answer is broken, or longer than 1 MiB;
- `http` is taken for destinations on loopback; redirects are answers like any other;
- `request_signature` adds `Stripe-Signature`, made as for webhooks with `SIGNING_SECRET`;
- headers that frame the request (`Host`, `Content-Length` and the like) are refused; a
  `Content-Type` of the caller's takes the place of the service's;
- an unknown payment method is a 400 `resource_missing`; after 30 days a request is a 404;
- the duration is told by the clock of the sandbox.

Each request has a connection of its own: one kept alive can be dead when the next request goes
out on it, and a POST must not be sent twice.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp
import attrs
from multidict import CIMultiDict
from yarl import URL

from pinstripe._signature import sign
from pinstripe.sandbox._forwarding.cards import (
    CARD_REPLACEMENTS,
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
from pinstripe.sandbox._http.outbound import is_loopback, may_call, read_url
from pinstripe.sandbox._http.routes import LIST_PARAMS, Route
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
from pinstripe.sandbox._state.world import Account

REQUEST: Final = "forwarding.request"
SIGNING_SECRET: Final = "whsec_pinstripe_sandbox_forwarding"  # noqa: S105 - there to be known
RETENTION_SECONDS: Final = 30 * 24 * 60 * 60
MAX_ANSWER: Final = 1024 * 1024
MAX_TEXT: Final = 1024 * 1024

Header = tuple[str, str]

KINDS: Final = (Kind(REQUEST, "fwdreq_"),)

_SIGNATURE: Final = "request_signature"
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
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


@attrs.frozen
class _Range:
    """The `created` filter of this list: a range, never an exact second."""

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


@attrs.frozen
class _Outgoing:
    """A request as it goes out, card details in it."""

    url: URL
    headers: Sequence[Header] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


@attrs.frozen
class _Incoming:
    """What came back."""

    status: int
    headers: Sequence[Header] = attrs.field(repr=False)
    body: str = attrs.field(repr=False)
    address: str = ""


async def create_request(call: Call) -> Json:
    """Forward a request and store what became of it, masked."""
    account, params = call.account, call.params
    card = _card(params["payment_method"])
    url = _destination(params["url"], account.settings.allow_hosts)
    replacements = _replacements(params["replacements"])
    draft, type_ = _body(params["request"].get("body", ""))
    body = fill(draft, card.values(replacements)).encode()
    headers = _headers(params["request"].get("headers", ()), type_)
    if _SIGNATURE in replacements:
        signature = sign(body, SIGNING_SECRET, account.timestamp())
        headers.append(("Stripe-Signature", signature))
    started = account.now()
    answer = await _forward(_Outgoing(url, headers, body), account.settings)
    context = {
        "destination_duration": round((account.now() - started) * 1000),
        "destination_ip_address": answer.address,
    }
    stored = fill(draft, card.masked().values(replacements))
    details = {"body": mask_credentials(stored), "headers": headers, "http_method": "POST"}
    return call.show(account.put(_object(call, card, context, details, answer)))


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


def _card(payment_method: str) -> Card:
    card = PAYMENT_METHODS.get(payment_method)
    if card is None:
        raise missing("payment_method", payment_method, "payment_method", status=400)
    return card


def _replacements(names: list[str]) -> frozenset[str]:
    for index, name in enumerate(names):
        if name not in (*CARD_REPLACEMENTS, _SIGNATURE):
            raise _unfit(f"replacements[{index}]", f"{shortened(name)} is not known")
    return frozenset(names)


def _body(text: str) -> tuple[str, str | None]:
    """Return the body and its media type; an empty one has none."""
    type_ = media_type(text) if text else None
    if text and type_ is None:
        raise _unfit("request[body]", "it has to be JSON or XML")
    return text, type_


def _headers(given: Sequence[Mapping[str, str]], type_: str | None) -> list[Header]:
    headers = [_header(header, index) for index, header in enumerate(given)]
    named = any(name.lower() == "content-type" for name, _ in headers)
    return headers if named or type_ is None else [("Content-Type", type_), *headers]


def _header(header: Mapping[str, str], index: int) -> Header:
    name, value, path = header["name"], header["value"], f"request[headers][{index}]"
    if not _NAME.fullmatch(name) or name.lower() in _FRAMING:
        raise _unfit(f"{path}[name]", "it is not a header that can be set")
    if not _VALUE.fullmatch(value):
        raise _unfit(f"{path}[value]", "it has characters that no header can have")
    return name, value


def _destination(text: str, allowed: Sequence[str]) -> URL:
    url = read_url(text)
    if url is None or url.user or url.password:
        raise _unfit("url", "it has to be https://host/path, without a user")
    if not may_call(url, allowed):
        raise _unfit("url", "a sandbox forwards to loopback, and to the hosts in allow_hosts")
    if url.scheme != "https" and not is_loopback(url):
        raise _unfit("url", "only on loopback may it be http")
    return url


def _unfit(path: str, problem: str) -> Refusal:
    text = f"Invalid {shortened(path)}: {problem}."
    return invalid(text, path, "forwarding_api_invalid_parameter")


def _upstream(what: str, problem: str) -> Refusal:
    text = f"The destination {problem}. Use a new idempotency key to try it again."
    return Refusal(text, status=424, code=f"forwarding_api_upstream_{what}")


async def _forward(outgoing: _Outgoing, settings: Settings) -> _Incoming:
    try:
        return await asyncio.wait_for(_exchange(outgoing), settings.forward_seconds)
    except asyncio.TimeoutError:
        raise _upstream("connection_timeout", "was too slow") from None
    except aiohttp.ClientConnectionError:
        raise _upstream("connection_error", "gave no answer") from None
    except aiohttp.ClientError:
        raise _upstream("error", "gave an answer that cannot be read") from None


async def _exchange(outgoing: _Outgoing) -> _Incoming:
    route = _Route()
    # One address after the other, so that the last one tried is the one that answered.
    connector = aiohttp.TCPConnector(
        force_close=True, socket_factory=route.socket, happy_eyeballs_delay=None
    )
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    )
    async with (
        session,
        session.post(
            outgoing.url,
            data=outgoing.body,
            headers=_sendable(outgoing.headers),
            allow_redirects=False,
        ) as response,
    ):
        body = await _read(response)
        names = [(_text(name), _text(value)) for name, value in response.raw_headers]
        return _Incoming(response.status, names, _text(body), route.address)


def _sendable(headers: Sequence[Header]) -> CIMultiDict[str]:
    # aiohttp lets a name in another spelling replace the earlier ones.
    spelled: dict[str, str] = {}
    return CIMultiDict((spelled.setdefault(name.lower(), name), text) for name, text in headers)


@attrs.define
class _Route:
    """Which address a connection goes to."""

    address: str = ""

    def socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        self.address = address[0]
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts = bytearray()
    async for part in response.content.iter_any():
        parts += part
        if len(parts) > MAX_ANSWER:
            raise aiohttp.ClientPayloadError("too long")
    return bytes(parts)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _oldest(account: Account) -> int:
    return max(0, account.timestamp() - RETENTION_SECONDS)


def _retrieve(call: Call) -> Json:
    value = call.account.get(REQUEST, call.ids[0], "id")
    if value["created"] < _oldest(call.account):
        raise missing(REQUEST, value["id"], "id")
    return call.show(value)


def _list(call: Call) -> Json:
    asked = call.params.get("created") or TimeRange()
    kept = TimeRange(max(asked.start, _oldest(call.account)), asked.end)
    return list_objects(call, REQUEST, created=kept)


_REQUESTS: Final = "/v1/forwarding/requests"

ROUTES: Final = (
    Route("POST", _REQUESTS, create_request, _CREATE, REQUEST),
    Route("GET", _REQUESTS, _list, _LIST, REQUEST, listed=True),
    Route("GET", _REQUESTS + "/{id}", _retrieve, kind=REQUEST),
)
