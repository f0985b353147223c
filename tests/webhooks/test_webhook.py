"""Deliveries become events: whatever comes is an event, or one of two errors without a secret."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinstripe import (
    ConfigurationError,
    DecodeError,
    PinstripeError,
    SignatureError,
    response_of,
)
from pinstripe._event_samples import SAMPLED
from pinstripe.events import (
    Event,
    OnrampSessionUpdated,
    ThinEvent,
    TypedEvent,
    VerificationSessionVerified,
)
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.webhooks import Webhook, delivery_of, parse_event

NOW = 1_790_510_400
CANARY = "canary-7f2a"

stripe_event = StripeEvent()
webhook = Webhook(SECRET, clock=lambda: NOW)

THIN = {
    "id": "evt_thin",
    "object": "v2.core.event",
    "type": "v1.climate.order.created",
    "created": "2026-09-27T12:08:01.250Z",
    "livemode": False,
    "context": CANARY,
    "related_object": {"id": "climorder_1", "type": "climate.order", "url": "/v1/climate/orders/1"},
}


def event_with(**changes: Any) -> dict[str, Any]:
    event = stripe_event("identity.verification_session.verified", timestamp=NOW)
    return {**event.event, **changes}


def parse(body: bytes) -> Any:
    return webhook.parse(body, webhook.sign(body))


def refusal_of(*arguments: Any, by: Any = webhook) -> PinstripeError:
    """The error of a delivery, of which no channel shows what was in it."""
    with pytest.raises(PinstripeError) as caught:
        by.parse(*arguments)
    error = caught.value
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    inside = [line for frame in report.stack[1:] for line in (frame.locals or {}).values()]
    shown = f"{error!r} {error} {error.__dict__} {inside} {pickle.dumps(error)!r}"
    assert CANARY not in shown
    assert SECRET not in shown
    assert error.__context__ is None
    return error


@pytest.mark.parametrize("type", sorted(SAMPLED))
def test_every_type_is_parsed_to_its_class(type: str) -> None:
    delivered = stripe_event(type, timestamp=NOW)
    event = webhook.parse(delivered.body, delivered.signature)
    assert isinstance(event, TypedEvent)
    assert (event.id, event.type) == (delivered.id, type)
    assert event.data.object.id == delivered.data["object"]["id"]


def test_both_spellings_previous_attributes_and_unknown_types() -> None:
    updated = stripe_event("crypto.onramp_session.updated").event
    for type in ("crypto.onramp_session.updated", "crypto.onramp_session_updated"):
        event = parse(json.dumps({**updated, "type": type}).encode())
        assert isinstance(event, OnrampSessionUpdated)
        assert event.data.previous_attributes == {"status": "fulfillment_processing"}
    charge = {"id": "ch_1", "object": "charge", "amount": 5}
    unknown = stripe_event("charge.succeeded", object=charge, timestamp=NOW)
    event = webhook.parse(unknown.body, unknown.signature)
    assert type_of(event) is Event
    assert event.data.object == unknown.data["object"]


def type_of(event: Any) -> type[Any]:
    return type(event)


def test_a_thin_event_is_parsed_too() -> None:
    event = parse(json.dumps(THIN).encode())
    assert isinstance(event, ThinEvent)
    assert event.related_object is not None
    assert event.related_object.id == "climorder_1"


@pytest.mark.parametrize("body", ["{}", {"id": "evt_1"}, None, bytearray(b"{}"), memoryview(b"{}")])
def test_only_the_raw_bytes_will_do(body: Any) -> None:
    with pytest.raises(ConfigurationError, match="raw bytes of the request's body"):
        webhook.parse(body, "t=1,v1=" + "0" * 64)


def test_a_header_is_text() -> None:
    with pytest.raises(ConfigurationError, match="signature: must be the text"):
        webhook.parse(b"{}", b"t=1")  # type: ignore[arg-type]


NO_EVENTS = {
    "null": b"null",
    "list": b"[]",
    "number": b"1e999",
    "text": json.dumps(CANARY).encode(),
    "nothing": b"",
    "not JSON": CANARY.encode(),
    "cut": json.dumps(event_with(account=CANARY)).encode()[:-1],
    "deep": b"[" * 100_000,
    "deep inside": json.dumps(event_with(x=0)).encode()[:-2] + b"[" * 100_000,
    "not UTF-8": b'{"object": "event", "id": "\xff' + CANARY.encode() + b'"}',
    "UTF-16": json.dumps(event_with()).encode("utf-16"),
    "BOM": b"\xef\xbb\xbf" + json.dumps(event_with()).encode(),
    "object missing": json.dumps({**event_with(), "object": None}).encode(),
    "another object": json.dumps({**event_with(account=CANARY), "object": CANARY}).encode(),
    "no data": json.dumps({**event_with(account=CANARY), "data": None}).encode(),
    "bad time": json.dumps(event_with(created=CANARY)).encode(),
    "far time": json.dumps(event_with(created=1e300)).encode(),
    "thin without a type": json.dumps({**THIN, "type": None}).encode(),
}


@pytest.mark.parametrize("body", NO_EVENTS.values(), ids=NO_EVENTS)
def test_what_was_signed_and_is_no_event(body: bytes) -> None:
    assert isinstance(refusal_of(body, webhook.sign(body)), DecodeError)


def test_an_event_says_that_it_is_one() -> None:
    event = event_with()
    del event["object"]
    body = json.dumps(event).encode()
    assert "$.object" in str(refusal_of(body, webhook.sign(body)))


def test_what_cannot_be_trusted() -> None:
    body = json.dumps(event_with(account=CANARY)).encode()
    good = webhook.sign(body)
    other = Webhook("whsec_other", clock=lambda: NOW)
    late = Webhook(SECRET, clock=lambda: NOW + 301, max_bytes=len(body))
    early = Webhook(SECRET, clock=lambda: NOW - 301)
    cases = [
        (webhook, body, None, "header_missing"),
        (webhook, body, "", "header_missing"),
        (webhook, body, good + ",nonsense", "header_malformed"),
        (webhook, body, good + "," * 64, "header_too_large"),
        (webhook, body, good.replace("v1", "v0"), "no_signature"),
        (webhook, body + b" ", good, "no_match"),
        (other, body, good, "no_match"),
        (late, body, good, "too_old"),
        (late, body + b" ", good, "body_too_large"),
        (early, body, good, "too_new"),
    ]
    for by, payload, header, reason in cases:
        error = refusal_of(payload, header, by=by)
        assert isinstance(error, SignatureError)
        assert error.reason == reason


def test_several_secrets_while_one_replaces_another() -> None:
    both = Webhook([SECRET, "whsec_new"], clock=lambda: NOW)
    body = json.dumps(event_with()).encode()
    new = Webhook("whsec_new", clock=lambda: NOW)
    assert both.parse(body, webhook.sign(body)) == both.parse(body, new.sign(body))
    assert both.verify(body, webhook.sign(body)) == 0
    assert both.verify(body, new.sign(body)) == 1
    assert both.sign(body).count("v1=") == 2


def test_secrets_that_change_later_change_nothing() -> None:
    secrets = [SECRET]
    by = Webhook(secrets, clock=lambda: NOW)
    secrets.clear()
    body = json.dumps(event_with()).encode()
    assert isinstance(by.parse(body, webhook.sign(body)), VerificationSessionVerified)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"secrets": "sk_test_" + CANARY}, "secrets"),
        ({"secrets": []}, "secrets"),
        ({"secrets": [SECRET, "whsec_ " + CANARY]}, "secrets[1]"),
        ({"secrets": None}, "secrets"),
        ({"secrets": SECRET, "tolerance": 0}, "tolerance"),
        ({"secrets": SECRET, "max_bytes": 0}, "max_bytes"),
        ({"secrets": SECRET, "max_bytes": 1e6}, "max_bytes"),
        ({"secrets": SECRET, "clock": 5}, "clock"),
    ],
)
def test_settings_that_are_wrong(arguments: Any, name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Webhook(**arguments)
    assert caught.value.argument == name
    assert CANARY not in str(caught.value)


def test_secrets_stay_inside() -> None:
    assert SECRET not in repr(webhook)
    with pytest.raises(TypeError, match="secrets"):
        pickle.dumps(webhook)


def test_a_delivery_of_now_without_a_clock() -> None:
    delivered = stripe_event("file.created")
    assert Webhook(SECRET).parse(delivered.body, delivered.signature).id == delivered.id


# What was delivered


@pytest.mark.parametrize("thin", [True, False])
def test_what_was_delivered_stays_reachable(thin: bool) -> None:
    event = {**(THIN if thin else event_with()), "brand_new": "private-9"}
    body = json.dumps(event).encode()
    headers = {"Stripe-Signature": webhook.sign(body), "User-Agent": "Stripe/1.0"}
    parsed = webhook.parse(body, headers["Stripe-Signature"], headers=headers)
    delivery = delivery_of(parsed)
    assert delivery.body == body
    assert delivery.headers["user-agent"] == "Stripe/1.0"
    assert "private-9" not in repr(delivery) + repr(parsed)
    with pytest.raises(TypeError):
        pickle.dumps(delivery)
    alone = delivery_of(webhook.parse(body, headers["Stripe-Signature"]))
    assert dict(alone.headers) == {"Stripe-Signature": headers["Stripe-Signature"]}
    # Neither a copy nor a pickle of the event takes it along.
    for copied in (copy.deepcopy(parsed), pickle.loads(pickle.dumps(parsed))):
        assert copied == parsed
        with pytest.raises(ConfigurationError, match="was not itself delivered"):
            delivery_of(copied)
    with pytest.raises(ConfigurationError, match="was not itself returned by a call"):
        response_of(parsed)


# Payloads without a signature

BRIDGE = {"version": "0", "id": "x", "detail-type": "file.created", "source": "aws.partner/x"}
GRID = {"specversion": "1.0", "type": "file.created", "source": "/providers/stripe/x"}


@pytest.mark.parametrize("encode", [dict, json.dumps, lambda event: json.dumps(event).encode()])
@pytest.mark.parametrize("thin", [True, False])
def test_an_event_without_a_signature(encode: Any, thin: bool) -> None:
    event = THIN if thin else event_with()
    for payload in (
        event,
        {**event, "detail": {"object": "event"}, "specversion": "x"},
        {**BRIDGE, "detail": event},
        {**GRID, "data": event},
        {"id": "x", "eventType": "file.created", "dataVersion": "1", "data": event},
    ):
        parsed = parse_event(encode(payload))
        assert parsed == parse(json.dumps(event).encode())
        assert type(parsed) is (ThinEvent if thin else VerificationSessionVerified)
        delivery = delivery_of(parsed)
        assert json.loads(delivery.body) == payload
        assert not delivery.headers


@pytest.mark.parametrize(
    "payload",
    [
        *NO_EVENTS.values(),
        {},
        {**BRIDGE, "detail": None},
        {**BRIDGE, "detail": {**BRIDGE, "detail": event_with()}},
        json.dumps([event_with(account=CANARY)]),
        {**GRID, "data": {"object": CANARY}},
    ],
)
def test_a_payload_that_is_no_event(payload: Any) -> None:
    error = refusal_of(payload, by=Unsigned())
    assert isinstance(error, DecodeError)


@pytest.mark.parametrize(
    "payload",
    [None, [CANARY], 5, {CANARY: {CANARY: object()}}, bytearray(b"{}"), CANARY + "\ud800"],
)
def test_a_payload_that_is_no_json(payload: Any) -> None:
    assert isinstance(refusal_of(payload, by=Unsigned()), ConfigurationError)


class Unsigned:
    """Parses without a signature, as a webhook parses with one."""

    parse = staticmethod(parse_event)


# Whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
HEADERS = st.one_of(
    st.none(),
    st.text(),
    st.text(alphabet="tv01=, abcdef\x00é", max_size=200),
    st.lists(st.sampled_from(["t=1790510400", "v1=" + "a" * 64, "v0=1", "=", ","])).map(",".join),
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()), HEADERS)
@example(b"\xff", "t=1790510400,v1=" + "a" * 64)
def test_any_body_under_any_header_is_refused(body: bytes, header: str | None) -> None:
    with pytest.raises(SignatureError):
        webhook.parse(body, header)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_that_was_signed_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        parse(body)


@given(
    st.sampled_from(sorted(SAMPLED)),
    st.dictionaries(st.sampled_from([*event_with(), "context", "related_object"]), JSON),
    st.dictionaries(st.sampled_from(["status", "created", "object", "metadata", "id"]), JSON),
    st.booleans(),
)
def test_any_field_may_be_anything(type: str, changes: Any, inner: Any, thin: bool) -> None:
    event = stripe_event(type, timestamp=NOW).event
    event["data"]["object"] |= inner
    body = json.dumps({**(THIN if thin else event), **changes}).encode()
    try:
        parsed = parse(body)
    except DecodeError:
        return
    assert isinstance(parsed, (Event, ThinEvent))
    assert isinstance(parsed.id, str)
    assert isinstance(parsed.type, str)
    assert parsed.created.utcoffset() is not None
