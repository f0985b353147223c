"""Events: objects by their kind, filters, walks over the log of a sandbox."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any, get_args, get_type_hints
from urllib.parse import parse_qsl

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import ConfigurationError, Created, DecodeError, NotFoundError, Page, to_dict
from pinstripe._http.messages import Request, Response
from pinstripe._models.convert import structure
from pinstripe._models.native import is_native
from pinstripe.climate import Order, Product
from pinstripe.crypto import OnrampSession
from pinstripe.events import (
    Event,
    EventData,
    EventRequest,
    Events,
    EventType,
    FileCreated,
    ThinEvent,
    ThinEventReason,
    TypedEvent,
    VerificationSessionRequiresInput,
    event_class,
)
from pinstripe.files import File
from pinstripe.identity import VerificationSession
from pinstripe.pytest_plugin import StripeEvent
from pinstripe.sandbox import ManualClock, Sandbox
from tests.support.decoding import read

pytestmark = pytest.mark.anyio

SECRET = "vs_5_secret_W0nTtElL"

SESSION: dict[str, Any] = {
    "id": "vs_5",
    "object": "identity.verification_session",
    "client_reference_id": "loan-7720",
    "client_secret": SECRET,
    "created": 1790510460,
    "livemode": False,
    "metadata": {"user": "private-42"},
    "options": {"document": {"allowed_types": ["passport"]}},
    "status": "requires_input",
    "type": "document",
}
ONRAMP: dict[str, Any] = {
    "id": "cos_5",
    "object": "crypto.onramp_session",
    "client_secret": "cos_5_secret_x",
    "created": 1790506400,
    "livemode": True,
    "status": "fulfillment_complete",
    "transaction_details": {"destination_amount": "73.250000", "destination_currency": "usdc"},
}


ORDER: dict[str, Any] = {
    "id": "climorder_5",
    "object": "climate.order",
    **dict.fromkeys(("amount_fees", "amount_subtotal", "amount_total"), 2700),
    "created": 1790510400,
    "currency": "usd",
    "delivery_details": [],
    "expected_delivery_year": 2029,
    "livemode": False,
    "metadata": {},
    "metric_tons": "1.5",
    "product": "climsku_1",
    "status": "confirmed",
}
PRODUCT: dict[str, Any] = {
    "id": "climsku_1",
    "object": "climate.product",
    "created": 1781510400,
    "current_prices_per_metric_ton": {},
    "delivery_year": None,
    "livemode": False,
    "metric_tons_available": "12840.75",
    "name": "Weathering",
    "suppliers": [],
}
FILE: dict[str, Any] = {
    "id": "file_5",
    "object": "file",
    "created": 1790510880,
    "purpose": "selfie",
    "size": 318204,
}


def event_of(subject: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1790510881,
        "data": {"object": subject},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": None},
        "type": "identity.verification_session.requires_input",
        **changes,
    }


def types_of(event: Any) -> tuple[str, ...]:
    return get_args(get_type_hints(event)["type"])


# The models


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (SESSION, VerificationSession),
        (ONRAMP, OnrampSession),
        (ORDER, Order),
        (PRODUCT, Product),
        (FILE, File),
    ],
)
def test_the_object_is_the_model_of_its_kind(subject: Any, kind: Any) -> None:
    event = read(event_of(subject), Event)
    assert event.data.object == read(subject, kind)
    assert structure(event_of(subject), Event) == event
    page = {"object": "list", "data": [event_of(subject)] * 2, "has_more": False}
    assert read(page, Page[Event]).data == (event, event)


def test_an_event_is_read_whole() -> None:
    event = read(event_of(SESSION, account="acct_1", context="acct_0/acct_1"), Event)
    assert event.created == datetime(2026, 9, 27, 12, 8, 1, tzinfo=timezone.utc)
    assert event.request == EventRequest(id="req_1")
    assert (event.account, event.context) == ("acct_1", "acct_0/acct_1")
    assert event.data.previous_attributes is None


def test_an_event_may_lack_what_is_optional() -> None:
    event = read(event_of(SESSION, api_version=None, request=None, type="brand.new"), Event)
    assert (event.account, event.api_version, event.context, event.request) == (None,) * 4
    assert event.type == "brand.new"


def test_an_event_of_an_old_version_of_the_api_is_read() -> None:
    # https://docs.stripe.com/upgrades: the request was text before 2017-05-25.
    event = read(event_of(SESSION, request="req_1", api_version="2016-07-06", brand_new=[1]), Event)
    assert event.request == EventRequest(id="req_1")
    assert type(event) is VerificationSessionRequiresInput
    assert read(event_of(SESSION, request="null"), Event).request == EventRequest(id="null")
    for copied in (
        copy.deepcopy(event),
        pickle.loads(pickle.dumps(event)),
        read(to_dict(event), Event),
    ):
        assert copied == event


@pytest.mark.parametrize("name", ["pending_webhooks", "livemode", "request", "object"])
def test_an_event_may_lack_a_field_of_its_envelope(name: str) -> None:
    data = event_of(SESSION)
    del data[name]
    page = read({"object": "list", "data": [data], "has_more": False}, Page[Event])
    (event,) = page
    assert type(event) is VerificationSessionRequiresInput
    assert getattr(event, name) == ("event" if name == "object" else None)
    assert read(to_dict(event), Event) == event


async def test_an_event_without_a_mode_is_not_of_the_other_mode() -> None:
    data = event_of(SESSION)
    del data["livemode"]
    page = {"object": "list", "data": [data], "has_more": False}

    async def send(request: Request) -> Response:
        body = json.dumps(data if request.path.endswith("evt_1") else page).encode()
        return Response(status=200, headers={}, body=body, livemode=True)

    event = await Events(send).retrieve("evt_1")
    assert event.livemode is None
    assert [event async for event in Events(send).list()] == [event]


@pytest.mark.parametrize("name", ["file.created", "brand.new"])
def test_the_class_of_a_type(name: str) -> None:
    assert event_class(name) is (FileCreated if name == "file.created" else Event)


@pytest.mark.parametrize(
    "subject",
    [
        {"id": "cus_1", "object": "customer", "balance": 0},
        {"id": "x"},
        {"object": ["customer"]},
        {"object": None},
        {},
        None,
        "text",
        7,
    ],
)
def test_an_object_of_an_unknown_kind_stays_plain_data(subject: Any) -> None:
    event = read(event_of(subject), Event)
    assert event.data.object == subject
    assert type(event.data.object) is type(subject)


def test_an_object_of_another_version_stays_plain_data_and_ends_no_walk() -> None:
    old = {"id": "vs_1", "object": "identity.verification_session", "created": "yesterday"}
    page = {"object": "list", "data": [event_of(old), event_of(SESSION)], "has_more": False}
    first, second = read(page, Page[Event])
    assert first.data.object == old
    assert second.data.object.status == "requires_input"


def test_previous_attributes_are_plain_data() -> None:
    data = {"object": ONRAMP, "previous_attributes": {"status": "requires_payment", "a": {"b": 1}}}
    event = read(event_of(None, data=data, type="crypto.onramp_session.updated"), Event)
    assert event.data.previous_attributes == data["previous_attributes"]


@pytest.mark.parametrize("subject", [SESSION, ONRAMP, {"object": "customer", "n": [1, None]}])
def test_an_event_survives_what_is_done_to_it(subject: Any) -> None:
    event = read(event_of(subject), Event)
    assert pickle.loads(pickle.dumps(event)) == event
    assert copy.deepcopy(event) == event
    assert read(to_dict(event), Event) == event
    assert attrs.evolve(event, id="evt_2").data is event.data
    assert EventData(object=event.data.object) == event.data


def test_an_event_is_built_natively() -> None:
    assert is_native(Event)
    assert is_native(Page[Event])


def test_repr_shows_nothing_of_the_object() -> None:
    data = {"object": SESSION, "previous_attributes": {"metadata": {"user": "private-41"}}}
    shown = repr(read(event_of(None, data=data), Event))
    for private in (SECRET, "loan-7720", "private-4"):
        assert private not in shown
    assert "evt_1" in shown


@pytest.mark.parametrize("wrong", [{"created": "x"}, {"data": {}}, {"data": None}, {"id": 7}])
def test_a_wrong_event_is_refused(wrong: Any) -> None:
    with pytest.raises(DecodeError) as caught:
        read(event_of(SESSION, **wrong), Event)
    assert SECRET not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "object", "status", "created"]), inner)
    ),
    max_leaves=6,
)


@given(JSON, st.dictionaries(st.sampled_from([*SESSION]), JSON))
def test_any_object_can_be_read(anything: Any, changes: Any) -> None:
    assert read(event_of(anything), Event).data.object == anything
    changed = {**SESSION, **changes}
    subject = read(event_of(changed), Event).data.object
    assert isinstance(subject, VerificationSession) or subject == changed


# The classes of the types

NAMES = {name: event for event in get_args(TypedEvent) for name in types_of(event)}


def test_every_type_that_is_known_has_a_class_and_no_other_has() -> None:
    known, _ = get_args(EventType)
    assert set(NAMES) == set(get_args(known))
    assert len(NAMES) == len(get_args(TypedEvent)) + 1  # the onramp's has two spellings


@pytest.mark.parametrize("name", sorted(NAMES))
def test_an_event_is_of_the_class_of_its_type(name: str) -> None:
    sampled = StripeEvent()(name.replace("session_updated", "session.updated"))
    data = {**sampled.event, "type": name}
    event = read(data, Event)
    assert type(event) is NAMES[name]
    assert event.type == name
    assert read(data, NAMES[name]) == event
    assert structure(data, Event) == event
    assert read({"object": "list", "data": [data], "has_more": False}, Page[Event]).data == (event,)
    for copied in (copy.deepcopy(event), pickle.loads(pickle.dumps(event)), attrs.evolve(event)):
        assert copied == event
        assert type(copied) is NAMES[name]
    assert read(to_dict(event), Event) == event
    assert repr(event).startswith(f"{NAMES[name].__name__}(id='evt_")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "identity.verification_session.new"},
        {"type": "climate.order.created"},
        {"data": {"object": {**SESSION, "created": "yesterday"}}},
        {"data": {"object": None}},
    ],
)
def test_an_event_that_breaks_the_promise_of_a_class_is_a_plain_one(changes: Any) -> None:
    assert type(read(event_of(SESSION), Event)) is VerificationSessionRequiresInput
    assert type(read(event_of(SESSION, **changes), Event)) is Event


THIN: dict[str, Any] = {
    "id": "evt_thin",
    "object": "v2.core.event",
    "type": "v1.identity.verification_session.verified",
    "created": "2026-09-27T12:08:01.250Z",
    "livemode": False,
    "related_object": {
        "id": "vs_5",
        "type": "identity.verification_session",
        "url": "https://elsewhere.example/v1/identity/verification_sessions/vs_6",
    },
}


def test_a_thin_event_is_read_whole() -> None:
    event = read(THIN, ThinEvent)
    assert event.created == datetime(2026, 9, 27, 12, 8, 1, 250_000, tzinfo=timezone.utc)
    assert (event.related_object.id, event.context) == ("vs_5", None)
    assert read({**THIN, "related_object": None}, ThinEvent).related_object is None
    with pytest.raises(DecodeError):
        read({**THIN, "created": "2026-09-27T12:08:01"}, ThinEvent)


async def test_the_object_of_a_thin_event_is_asked_for_by_its_id() -> None:
    events, requests = events_answering(SESSION)
    found = await events.fetch_related(read(THIN, ThinEvent), expand=["verified_outputs"])
    assert found == read(SESSION, VerificationSession)
    assert requests[0].path == "/v1/identity/verification_sessions/vs_5"
    assert query(requests[0]) == {"expand[0]": "verified_outputs"}


def test_a_thin_event_keeps_why_and_what_changed() -> None:
    reason = {"type": "request", "request": {"id": "req_1", "idempotency_key": "key"}}
    values = {"status": {"before": "processing", "after": "private-42"}}
    event = read(
        {**THIN, "reason": reason, "context": "acct_1", "changes": values, "data": {"a": [1]}},
        ThinEvent,
    )
    caused = EventRequest(id="req_1", idempotency_key="key")
    assert event.reason == ThinEventReason(type="request", request=caused)
    assert (event.context, event.changes, event.data) == ("acct_1", values, {"a": [1]})
    assert "private-42" not in repr(event)
    assert read(to_dict(event), ThinEvent) == event


def test_a_thin_event_may_lack_what_is_optional() -> None:
    data = {name: THIN[name] for name in ("id", "object", "type", "created")}
    event = read({**data, "reason": {"type": "new"}, "brand_new": 1}, ThinEvent)
    assert event.reason == ThinEventReason(type="new")
    assert (event.livemode, event.context, event.related_object) == (None,) * 3
    settings = {"type": "balance_settings", "url": "/v1/balance_settings"}
    assert read({**THIN, "related_object": settings}, ThinEvent).related_object.id is None


RELATED = {**THIN["related_object"], "type": "customer"}


@pytest.mark.parametrize(
    "related",
    [None, RELATED, {**RELATED, "type": "file", "id": "../x"}, {"type": "file", "url": "/v1/x"}],
)
async def test_a_thin_event_without_an_object_to_ask_for(related: Any) -> None:
    events, requests = events_answering(None)
    with pytest.raises(ConfigurationError):
        await events.fetch_related(read({**THIN, "related_object": related}, ThinEvent))
    assert not requests


# What is sent


def events_answering(data: Any) -> tuple[Events, list[Request]]:
    """Return the resources over a sender that records requests and always answers `data`."""
    requests: list[Request] = []

    async def send(request: Request) -> Response:
        requests.append(request)
        return Response(status=200, headers={}, body=json.dumps(data).encode())

    return Events(send), requests


def query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.query, keep_blank_values=True))


async def test_retrieve_asks_for_one_event() -> None:
    events, requests = events_answering(event_of(SESSION))
    await events.retrieve("evt_1", expand=["x"])
    assert (requests[0].method, requests[0].path) == ("GET", "/v1/events/evt_1")
    assert query(requests[0]) == {"expand[0]": "x"}


async def test_list_sends_every_filter() -> None:
    events, requests = events_answering({"object": "list", "data": [], "has_more": False})
    since = datetime(2026, 9, 27, 12, tzinfo=timezone.utc)
    await events.list(
        created=Created(gte=since),
        delivery_success=False,
        type="climate.*",
        limit=5,
        ending_before="evt_1",
        expand=["data.x"],
    )
    assert query(requests[0]) == {
        "created[gte]": "1790510400",
        "delivery_success": "false",
        "type": "climate.*",
        "limit": "5",
        "ending_before": "evt_1",
        "expand[0]": "data.x",
    }
    await events.list(created=since, types=["file.created", "a.b"])
    assert query(requests[1]) == {
        "created": "1790510400",
        "types[0]": "file.created",
        "types[1]": "a.b",
        "limit": "100",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {"types": []},
        {"types": "file.created"},
        {"types": [7]},
        {"types": ["a"] * 21},
        {"types": ["file.created"], "type": "file.created"},
    ],
)
def test_types_that_the_api_would_refuse(arguments: Any) -> None:
    events, _ = events_answering(None)
    with pytest.raises(ConfigurationError) as caught:
        events.list(**arguments)
    assert caught.value.argument == "types"


# Against the sandbox


async def test_the_log_of_a_sandbox() -> None:
    async with Sandbox(seed=1) as sandbox, sandbox.client() as stripe:
        session = await stripe.identity.verification_sessions.create(type="document")
        sandbox.identity.verify(session.id)
        onramp = await stripe.crypto.onramp_sessions.create()
        sandbox.crypto.advance(onramp.id, "rejected")
        log = [event async for event in stripe.events.list(limit=2)]
        made = [event for event in log if event.type == "file.created"]
        assert all(isinstance(event.data.object, File) for event in made)
        events = [event for event in log if event not in made]
        assert [event.type.rpartition(".")[2] for event in events] == [
            "updated",
            "verified",
            "processing",
            "created",
        ]
        newest, verified, _, created = events
        assert isinstance(newest.data.object, OnrampSession)
        assert newest.data.object.status == "rejected"
        assert newest.data.previous_attributes == {"status": "initialized"}
        assert isinstance(verified.data.object, VerificationSession)
        assert verified.data.object.status == "verified"
        assert created.request is not None
        assert created.request.idempotency_key
        assert await stripe.events.retrieve(verified.id) == verified
        with pytest.raises(NotFoundError):
            await stripe.events.retrieve("evt_none")


async def test_filters_and_both_directions() -> None:
    clock = ManualClock()
    async with Sandbox(seed=1, clock=clock) as sandbox, sandbox.client() as stripe:
        for _ in range(3):
            session = await stripe.identity.verification_sessions.create(type="document")
            clock.advance(10)
            await stripe.identity.verification_sessions.cancel(session.id)
            clock.advance(10)
        name = "identity.verification_session."
        canceled = [event async for event in stripe.events.list(type=name + "canceled")]
        assert len(canceled) == 3
        wild = [event async for event in stripe.events.list(type="identity.*.canceled")]
        assert wild == canceled
        types = [name + "created", name + "redacted"]
        oldest, *_ = [event async for event in stripe.events.list(types=types)][::-1]
        since = [e async for e in stripe.events.list(ending_before=oldest.id, limit=2)]
        assert [e.created for e in since] == sorted(e.created for e in since)
        assert len(since) == 5
        window = Created(gt=oldest.created, lte=oldest.created + timedelta(seconds=30))
        assert len([e async for e in stripe.events.list(created=window)]) == 3
        assert [e async for e in stripe.events.list(delivery_success=False)] == []
        clock.advance(40 * 86400)
        assert not (await stripe.events.list()).data
