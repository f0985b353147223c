"""The arguments of every public call: each value is sent as it is, or refused by its name."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import pytest

import pinstripe.crypto
from pinstripe import (
    AsyncClient,
    ConfigurationError,
    Created,
    Hooks,
    Limits,
    RateLimit,
    Request,
    RequestOptions,
    Response,
    RetryPolicy,
    Timeout,
)
from pinstripe._resources.resource import Resource
from pinstripe.bulk import fan_out
from pinstripe.events import RelatedObject, ThinEvent
from pinstripe.export import to_file
from pinstripe.files import FileLink
from pinstripe.identity import VerificationReport

pytestmark = pytest.mark.anyio

KEY = "sk_test_1"
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Kept:
    """A transport that keeps what it is to send; its answer fits no model."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(status=200, headers={}, body=b"{}")

    async def aclose(self) -> None:
        pass


# --- every argument of every call ---------------------------------------------------------------

EVENT = ThinEvent(
    id="evt_1",
    created=NOW,
    livemode=False,
    type="v1.file.created",
    related_object=RelatedObject(id="file_1", type="file", url="/v1/files/file_1"),
)
LINK = FileLink(
    id="link_1",
    created=NOW,
    expired=False,
    file="file_1",
    livemode=False,
    metadata={},
    url="https://files.stripe.com/links/x",
)
REPORT = VerificationReport(id="vr_1", created=NOW, livemode=False, type="document")

# What a call needs beside the argument that is wrong.
NEEDED: dict[str, dict[str, Any]] = {
    "VerificationSessions.create": {"type": "document"},
    "OnrampSessions.create": {"source_currency": "usd"},
    "Orders.create": {"product": "climsku_1", "amount": 5},
    "Events.fetch_related": {"event": EVENT},
    "Files.create": {"file": b"x", "filename": "x", "purpose": "dispute_evidence"},
    "Files.download": {"file": "file_1", "destination": "/nowhere/x"},
    "Files.download_images": {"report": REPORT, "folder": "/nowhere/x"},
    "FileLinks.create": {"file": "file_1"},
    "FileLinks.download": {"link": LINK, "destination": "/nowhere/x"},
    "ForwardingRequests.create": {
        "payment_method": "pm_1",
        "replacements": ["card_number"],
        "request": {"body": "x"},
        "url": "https://a.example",
    },
    "WebhookEndpoints.create": {"url": "https://a.example", "enabled_events": ["*"]},
    "EventDestinations.create": {
        "name": "ledger",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v1.file.created"],
    },
    "OnrampQuotes.retrieve_many": {"queries": []},
    "VerificationSessions.wait": {"until": "verified", "timeout": 9},
    "VerificationSessions.wait_for_redaction": {"until": "redacted", "timeout": 9},
    "OnrampSessions.wait": {"until": "rejected", "timeout": 9},
    "Orders.wait": {"until": "delivered", "timeout": 9},
    "AsyncClient.request": {"method": "GET", "path": "/v1/things"},
}


def resources_of(client: AsyncClient) -> Iterator[Resource]:
    for name, member in inspect.getmembers(AsyncClient):
        if name.startswith("_") or not hasattr(member, "func"):  # the namespaces are cached
            continue
        yield from resources_in(getattr(client, name))


def resources_in(namespace: Any) -> Iterator[Resource]:
    if isinstance(namespace, Resource):
        yield namespace
    for inner in getattr(namespace, "__dict__", {}).values():
        yield from resources_in(inner)


def calls_of(client: AsyncClient) -> dict[str, Any]:
    """Every call of a client, by the class and name of its method."""
    calls = {"AsyncClient.request": client.request, "AsyncClient.with_options": client.with_options}
    for resource in resources_of(client):
        for name, call in inspect.getmembers(resource, callable):
            if not name.startswith("_"):
                calls[f"{type(resource).__name__}.{name}"] = call
    return calls


ARGUMENTS = [
    (name, argument)
    for name, call in calls_of(AsyncClient(KEY)).items()
    for argument in inspect.signature(call).parameters
]


def test_the_table_has_every_call() -> None:
    assert len({name for name, _ in ARGUMENTS}) == 60
    assert NEEDED.keys() <= {name for name, _ in ARGUMENTS}


class Touchy:
    """An object that can be neither compared nor taken for True, like the `NA` of pandas."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        raise TypeError

    def __bool__(self) -> bool:
        raise TypeError


async def result_of(call: Any, arguments: dict[str, Any]) -> None:
    result = call(**arguments)
    if inspect.isawaitable(result) and not isinstance(result, AsyncIterable):  # a Pager is both
        await result


# What is of no wrong type for one argument.
RIGHT: dict[tuple[str, str], tuple[type, ...]] = {
    ("AsyncClient.request", "params"): (dict,),
    ("AsyncClient.with_options", "timeout"): (float,),
    ("VerificationSessions.wait", "timeout"): (float,),
    ("VerificationSessions.wait_for_redaction", "timeout"): (float,),
    ("OnrampSessions.wait", "timeout"): (float,),
    ("Orders.wait", "timeout"): (float,),
    ("Files.create", "file"): (bytes,),
    ("OnrampQuotes.retrieve_many", "queries"): (list,),  # each query is checked when it is read
}


@pytest.mark.uncounted
@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
async def test_a_value_of_a_wrong_type_is_refused_by_its_name(name, argument) -> None:
    kept = Kept()
    call = calls_of(AsyncClient(KEY, transport=kept))[name]
    ids = {
        parameter.name: f"{parameter.name}_1"
        for parameter in inspect.signature(call).parameters.values()
        if parameter.default is parameter.empty
    }
    for wrong in (Touchy(), {"timeout": object()}, [object()], 1.5, b"\xff"):
        if isinstance(wrong, RIGHT.get((name, argument), ())):
            continue
        given = {**ids, **NEEDED.get(name, {}), argument: wrong}
        if argument == "metric_tons":
            del given["amount"]
        with pytest.raises(ConfigurationError) as caught:
            await result_of(call, given)
        assert caught.value.argument.partition("[")[0] == argument
        assert kept.requests == []


@pytest.mark.parametrize(
    ("make", "argument", "wrong"),
    [
        *(
            (partial(AsyncClient, KEY), argument, wrong)
            for argument in list(inspect.signature(AsyncClient).parameters)[1:]
            for wrong in (object(), [1], {"total": 3}, b"x")
        ),
        (AsyncClient, "api_key", object()),
        (partial(AsyncClient, KEY), "timeout", "3"),
        *((Timeout, name, object()) for name in ("total", "connect")),
        *((RetryPolicy, name, object()) for name in ("max_attempts", "base", "cap", "budget")),
        *((RateLimit, name, object()) for name in ("account", "endpoint", "files", "burst")),
        *((Limits, name, object()) for name in ("max_in_flight", "keepalive")),
        *((Hooks, name, object()) for name in ("on_request", "on_response", "on_retry", "on_wait")),
        *(
            (RequestOptions, name, object())
            for name in ("idempotency_key", "account", "context", "timeout", "api_version")
        ),
        *(
            (partial(fan_out, function=print, inputs=()), name, object())
            for name in ("function", "inputs", "concurrency", "ordered", "window", "on_progress")
        ),
    ],
)
def test_a_setting_of_a_wrong_type_is_refused_by_its_name(make, argument, wrong) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(**{argument: wrong})
    assert caught.value.argument == argument


@pytest.mark.parametrize("argument", inspect.signature(to_file).parameters)
async def test_an_argument_of_an_export_of_a_wrong_type_is_refused(argument, tmp_path) -> None:
    client = AsyncClient(KEY, transport=Kept())
    given: dict[str, Any] = {
        "pager": client.climate.products.list(),
        "output": tmp_path / "x.csv",
        argument: object(),
    }
    with pytest.raises(ConfigurationError) as caught:
        await to_file(**given)
    assert caught.value.argument == argument
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["gt", "gte", "lt", "lte"])
@pytest.mark.parametrize("wrong", ["2026-01-01", 1767225600, object()])
def test_a_bound_that_is_no_datetime_is_refused_by_its_path(name, wrong) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncClient(KEY).events.list(created=Created(**{name: wrong}))
    assert caught.value.argument == f"created[{name}]"


# --- enumerations -------------------------------------------------------------------------------


class Word(str, Enum):
    """An enumeration of text, whose own text differs from Python to Python."""

    KEY = "key"
    VALUE = "value"
    ID = "vs_1"
    TYPE = "document"
    POST = "POST"
    FILES = "files"
    PATH = "/v1/things/{thing}"
    THING = "thing"
    VERSION = "2026-10-28.endive"
    BASE = "base"
    USDC = "usdc"
    PERSON = "person"
    ACCOUNT = "account"
    STELLAR = "stellar"
    BODY = "body"
    AMOUNT = "12.50"
    CURSOR = "starting_after:vs_1"
    API_KEY = "sk_test_1"
    URL = "https://api.example/"


class Loud(str):
    """Text that says something else about itself."""

    __slots__ = ()

    def __str__(self) -> str:
        return "LOUD"

    def __format__(self, spec: str) -> str:
        return "LOUD"


class Size(IntEnum):
    FIVE = 5


def sent_by(request: Request) -> dict[str, str]:
    """Everything that a request carries, by name."""
    form = request.query if request.body is None else request.body.decode()
    assert all(type(text) is str for pair in request.values.items() for text in pair)
    assert all(type(text) is str for text in (request.path, *request.headers.values()))
    return dict(parse_qsl(form, keep_blank_values=True)) or dict(request.parts)


async def test_an_enumeration_is_sent_as_its_value() -> None:
    kept = Kept()
    client = AsyncClient(
        Word.API_KEY, base_url=Word.URL, api_version=Word.VERSION, account=Word.KEY, transport=kept
    )
    assert repr(client) == "AsyncClient('https://api.example')"
    options = RequestOptions(
        idempotency_key=Word.KEY, account=Loud("acct_1"), api_version=Word.VERSION
    )
    with pytest.raises(pinstripe.DecodeError):
        await client.identity.verification_sessions.create(
            type=Word.TYPE,
            metadata={Word.KEY: Word.VALUE, Loud("loud"): Loud("quiet")},
            related_person={Word.PERSON: "p", Word.ACCOUNT: "a"},  # type: ignore[misc,typeddict-item]
            expand=[Word.VALUE],
            request_options=options,
        )
    (request,) = kept.requests
    assert sent_by(request) == {
        "type": "document",
        "metadata[key]": "value",
        "metadata[loud]": "quiet",
        "related_person[person]": "p",
        "related_person[account]": "a",
        "expand[0]": "value",
    }
    assert request.headers["Idempotency-Key"] == "key"
    assert request.headers["Stripe-Account"] == "acct_1"
    assert request.headers["Stripe-Version"] == "2026-10-28.endive"


async def test_an_enumeration_is_an_id_a_cursor_and_a_filter() -> None:
    kept = Kept()
    sessions = AsyncClient(KEY, transport=kept).identity.verification_sessions
    with pytest.raises(pinstripe.DecodeError):
        await sessions.retrieve(Word.ID)
    for start in ({"cursor": Word.CURSOR}, {"starting_after": Word.ID}):
        with pytest.raises(pinstripe.DecodeError):
            await sessions.list(status=Word.VALUE, limit=Size.FIVE, **start)  # type: ignore[arg-type]
    retrieve, *lists = kept.requests
    assert retrieve.path == "/v1/identity/verification_sessions/vs_1"
    for request in lists:
        assert sent_by(request) == {"status": "value", "limit": "5", "starting_after": "vs_1"}


async def test_an_enumeration_is_a_network_a_currency_and_an_amount() -> None:
    kept = Kept()
    sessions = AsyncClient(KEY, transport=kept).crypto.onramp_sessions
    with pytest.raises(pinstripe.DecodeError):
        await sessions.create(
            source_amount=Word.AMOUNT,
            source_currency=Loud("usd"),
            destination_networks=[Word.BASE],
            wallet_addresses={Word.BASE: Word.VALUE},  # type: ignore[misc]
        )
    assert sent_by(kept.requests[0]) == {
        "source_amount": "12.50",
        "source_currency": "usd",
        "destination_networks[0]": "base",
        "wallet_addresses[base_network]": "value",
    }
    with pytest.raises(ConfigurationError, match="parts of a cent"):
        await sessions.create(source_amount=Loud("1.005"), source_currency=Loud("usd"))


async def test_an_enumeration_is_a_field_of_an_upload() -> None:
    kept = Kept()
    with pytest.raises(pinstripe.DecodeError):
        await AsyncClient(KEY, transport=kept).files.create(
            file=b"x",
            filename=Word.KEY,
            purpose=Word.VALUE,
            content_type=Loud("image/png"),
            file_link_data={"create": True, "metadata": {Word.KEY: Word.VALUE}},
        )
    (request,) = kept.requests
    assert request.upload is not None
    body = b"".join([piece async for piece in request.upload.pieces()])
    assert b'filename="key"\r\nContent-Type: image/png\r\n' in body
    assert b'name="purpose"\r\n\r\nvalue\r\n' in body
    assert b'name="file_link_data[metadata][key]"\r\n\r\nvalue\r\n' in body
    assert sent_by(request)["file_link_data[metadata][key]"] == "value"


async def test_an_enumeration_is_every_argument_of_request() -> None:
    kept = Kept()
    await AsyncClient(KEY, transport=kept).request(
        Word.POST,  # type: ignore[arg-type]
        Word.PATH,
        {Word.KEY: {Word.KEY: [Word.VALUE, Size.FIVE]}},
        ids={Word.THING: Word.ID},
        host=Word.FILES,  # type: ignore[arg-type]
    )
    (request,) = kept.requests
    assert (type(request.method), type(request.host), type(request.template)) == (str, str, str)
    assert (request.path, request.template) == ("/v1/things/vs_1", "/v1/things/{thing}")
    assert sent_by(request) == {"key[key][0]": "value", "key[key][1]": "5"}


def test_an_enumeration_finds_the_quotes_of_its_network() -> None:
    quotes = pinstripe.crypto.Quotes(
        id="q",
        destination_network_quotes={"base_network": ()},
        livemode=False,
        rate_fetched_at=NOW,
        source_amount=Decimal(1),
        source_currency="usd",
    )
    wallets = pinstripe.crypto.OnrampWalletAddresses(base_network="0x")
    assert quotes.for_network(Word.BASE) == ()
    assert wallets.for_network(Word.BASE) == "0x"


async def test_an_enumeration_that_is_no_text_and_no_number_is_refused_by_its_path() -> None:
    class Plain(Enum):
        A = "a"

    client = AsyncClient(KEY, transport=Kept())
    with pytest.raises(ConfigurationError) as caught:
        await client.request("POST", "/v1/things", {"a": {"b": [Plain.A]}})
    assert caught.value.argument == "a[b][0]"


# --- empty values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "argument"),
    [
        ({"options": {"document": {"allowed_types": []}}}, "options[document][allowed_types]"),
        ({"options": {"document": {}}}, "options[document]"),
        ({"options": {}}, "options"),
        ({"metadata": {}}, "metadata"),
        ({"provided_details": ()}, "provided_details"),
    ],
)
async def test_an_empty_value_is_refused_by_its_path(params, argument) -> None:
    kept = Kept()
    client = AsyncClient(KEY, transport=kept)
    for call in (
        client.identity.verification_sessions.update("vs_1", **params),
        client.request("POST", "/v1/things/{id}", params, ids={"id": "vs_1"}),
        client.request("POST", "/v1/things/vs_1", params),
    ):
        with pytest.raises(ConfigurationError) as caught:
            await call
        assert caught.value.argument == argument
    assert "pass '' " in str(caught.value)
    assert kept.requests == []


async def test_empty_metadata_of_something_new_means_none() -> None:
    kept = Kept()
    client = AsyncClient(KEY, transport=kept)
    link: Any = {"create": True, "metadata": {}}
    for call in (
        client.identity.verification_sessions.create(type="document", metadata={}),
        client.files.create(file=b"x", filename="x", purpose="x", file_link_data=link),
    ):
        with pytest.raises(pinstripe.DecodeError):
            await call
    await client.request("POST", "/v1/things", {"type": "x", "metadata": {}})
    for request in kept.requests:
        assert not [name for name in request.values if "metadata" in name]


# --- JSON for /v2 -------------------------------------------------------------------------------


async def test_a_post_to_v2_sends_json() -> None:
    kept = Kept()
    client = AsyncClient(KEY, transport=kept)
    await client.request(
        "POST",
        "/v2/core/event_destinations/{id}",
        {
            Word.KEY: Word.VALUE,
            "enabled_events": ["a", "b"],
            "metadata": {"old": None, "new": "é"},
            "none": None,
            "empty": [[], {}],
            "count": Size.FIVE,
            "flag": True,
            "price": Decimal("1E-2"),
            "at": NOW.replace(microsecond=5000),
        },
        ids={"id": "ed_1"},
        request_options=RequestOptions(idempotency_key="k"),
    )
    await client.request("POST", "/v2/core/event_destinations/{id}/ping", ids={"id": "ed_1"})
    request, ping = kept.requests
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Idempotency-Key"] == "k"
    assert request.headers["Stripe-Version"] == "2026-10-28.endive"
    assert request.query == ""
    assert request.body is not None
    assert json.loads(request.body) == {
        "key": "value",
        "enabled_events": ["a", "b"],
        "metadata": {"old": None, "new": "é"},
        "none": None,
        "empty": [[], {}],
        "count": 5,
        "flag": True,
        "price": "0.01",
        "at": "2026-01-01T00:00:00.005000Z",
    }
    assert request.values["metadata[new]"] == "é"  # what an error may not repeat
    assert (ping.body, ping.headers["Content-Type"]) == (b"{}", "application/json")
    assert ping.idempotency_key


async def test_other_methods_on_v2_have_a_query() -> None:
    kept = Kept()
    client = AsyncClient(KEY, transport=kept)
    params = {"types": ["a"], "created": {"gt": NOW}, "limit": 5}
    await client.request("GET", "/v2/core/events", params)
    options = RequestOptions(idempotency_key="k")
    await client.request(
        "DELETE", "/v2/core/event_destinations/{id}", ids={"id": "ed_1"}, request_options=options
    )
    listed, deleted = kept.requests
    assert listed.body is None
    assert "Content-Type" not in listed.headers
    assert dict(parse_qsl(listed.query)) == {
        "types[0]": "a",
        "created[gt]": "2026-01-01T00:00:00Z",
        "limit": "5",
    }
    assert deleted.idempotency_key == "k"


@pytest.mark.parametrize("wrong", [1.5, object(), "\ud800", {1: "x"}, datetime(2026, 1, 1), {3}])  # noqa: DTZ001
async def test_what_json_cannot_hold_exactly_is_refused_by_its_path(wrong) -> None:
    kept = Kept()
    with pytest.raises(ConfigurationError) as caught:
        await AsyncClient(KEY, transport=kept).request("POST", "/v2/x", {"a": {"b": [wrong]}})
    assert caught.value.argument == "a[b][0]"
    assert kept.requests == []
