"""Forwarding: answers of destinations are read as they are; requests are sent as they are given."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import (
    ConfigurationError,
    Created,
    DecodeError,
    Page,
    RequestOptions,
    response_of,
    to_dict,
)
from pinstripe._http.messages import Request, Response
from pinstripe._models.native import is_native
from pinstripe.forwarding import (
    Forwarding,
    ForwardingHeader,
    ForwardingRequest,
    ForwardingResponseDetails,
)
from tests.support.decoding import read

pytestmark = pytest.mark.anyio

URL = "https://vault.processor.example/v2/charges"
BODY = '{"card":{"number":"424242******4242","cvc":"***","name":"Noor van Dam"}}'
KEY = "Bearer pRoCeSsOr"

REQUEST: dict[str, Any] = {
    "id": "fwdreq_h27IVM",
    "object": "forwarding.request",
    "created": 1790510430,
    "livemode": False,
    "metadata": {"batch": "private-41"},
    "payment_method": "pm_1",
    "replacements": ["card_number", "card_expiry", "brand_new"],
    "request_context": {
        "destination_duration": 412,
        "destination_ip_address": "203.0.113.24",
    },
    "request_details": {
        "body": BODY,
        "headers": [
            {"name": "Content-Type", "value": "application/json"},
            {"name": "Accept", "value": "application/json"},
            {"name": "Authorization", "value": KEY},
            {"name": "Accept", "value": "text/plain"},
        ],
        "http_method": "POST",
    },
    "response_details": {
        "body": '{"token":"tk_77a"}',
        "headers": [{"name": "X-Token", "value": "tk_77b"}],
        "status": 200,
    },
    "url": URL,
}
SPARSE: dict[str, Any] = {
    "id": "fwdreq_x",
    "object": "forwarding.request",
    "created": 1790510430,
    "livemode": False,
    "payment_method": "pm_1",
    "replacements": [],
}
NULLS: dict[str, Any] = {
    **SPARSE,
    **dict.fromkeys(("metadata", "request_context", "request_details", "response_details", "url")),
}


# The models


@pytest.mark.parametrize("data", [REQUEST, SPARSE, NULLS])
def test_a_request_survives_a_round_trip(data: Any) -> None:
    request = read(data, ForwardingRequest)
    assert read(to_dict(request), ForwardingRequest) == request
    assert pickle.loads(pickle.dumps(request)) == request


def test_a_request_is_read_whole() -> None:
    request = read(REQUEST, ForwardingRequest)
    assert request.created == datetime(2026, 9, 27, 12, 0, 30, tzinfo=timezone.utc)
    assert request.request_context.destination_duration == 412
    headers = request.request_details.headers
    assert [h.name for h in headers] == ["Content-Type", "Accept", "Authorization", "Accept"]
    assert headers[3] == ForwardingHeader(name="Accept", value="text/plain")
    assert request.replacements == ("card_number", "card_expiry", "brand_new")
    assert to_dict(request) == REQUEST


@pytest.mark.parametrize("model", [ForwardingRequest, Page[ForwardingRequest]])
def test_models_are_built_natively(model: Any) -> None:
    assert is_native(model)


@pytest.mark.parametrize(
    ("status", "ok"),
    [(199, False), (200, True), (204, True), (299, True), (302, False), (503, False)],
)
def test_whether_the_destination_is_fine(status: int, ok: bool) -> None:
    details = ForwardingResponseDetails(body="", headers=(), status=status)
    assert details.ok is ok
    answered = {**REQUEST, "response_details": {**REQUEST["response_details"], "status": status}}
    assert read(answered, ForwardingRequest).destination_ok is ok


def test_a_request_without_an_answer_is_not_fine() -> None:
    assert read(SPARSE, ForwardingRequest).destination_ok is False


def test_repr_shows_neither_bodies_nor_header_values() -> None:
    request = read(REQUEST, ForwardingRequest)
    parts = (request, request.request_details, request.response_details)
    shown = "".join(map(repr, (*parts, request.request_details.headers)))
    for private in ("424242", "Noor", "pRoCeSsOr", "tk_77", "private-41"):
        assert private not in shown
    assert "fwdreq_h27IVM" in shown
    assert "Authorization" in shown


@pytest.mark.parametrize("name", ["id", "payment_method", "replacements", "created"])
def test_a_request_without_what_it_must_have_is_refused(name: str) -> None:
    data = {key: value for key, value in REQUEST.items() if key != name}
    with pytest.raises(DecodeError) as caught:
        read(data, ForwardingRequest)
    assert "Noor" not in str(caught.value)


# What is sent


def forwarding_answering(data: Any) -> tuple[Forwarding, list[Request]]:
    """Return the resources over a sender that records requests and always answers `data`."""
    requests: list[Request] = []

    async def send(request: Request) -> Response:
        requests.append(request)
        return Response(status=200, headers={}, body=json.dumps(data).encode())

    return Forwarding(send), requests


def sent(request: Request) -> list[tuple[str, str]]:
    form = request.body.decode() if request.body is not None else request.query
    return parse_qsl(form, keep_blank_values=True)


LEAST: dict[str, Any] = {
    "payment_method": "pm_1",
    "replacements": ["card_number"],
    "request": {"body": "{}"},
    "url": URL,
}


async def test_create_sends_every_parameter_and_keeps_the_order_of_the_headers() -> None:
    forwarding, requests = forwarding_answering(REQUEST)
    request = await forwarding.requests.create(
        payment_method="pm_1",
        replacements=("card_number", "card_cvc"),
        request={
            "body": '{"number":""}',
            "headers": [
                {"name": "X-B", "value": "é, 2"},
                {"name": "Accept", "value": "a"},
                {"name": "X-B", "value": ""},
            ],
        },
        url=URL,
        metadata={"batch": "41"},
        expand=["x"],
        request_options=RequestOptions(idempotency_key="order-1", timeout=65),
    )
    assert (requests[0].method, requests[0].path) == ("POST", "/v1/forwarding/requests")
    assert requests[0].idempotency_key == "order-1"
    assert requests[0].timeout is not None
    assert requests[0].timeout.total == 65
    assert sent(requests[0]) == [
        ("payment_method", "pm_1"),
        ("replacements[0]", "card_number"),
        ("replacements[1]", "card_cvc"),
        ("request[body]", '{"number":""}'),
        ("request[headers][0][name]", "X-B"),
        ("request[headers][0][value]", "é, 2"),
        ("request[headers][1][name]", "Accept"),
        ("request[headers][1][value]", "a"),
        ("request[headers][2][name]", "X-B"),
        ("request[headers][2][value]", ""),
        ("url", URL),
        ("metadata[batch]", "41"),
        ("expand[0]", "x"),
    ]
    assert response_of(request).body


async def test_create_sends_a_new_key_each_time() -> None:
    forwarding, requests = forwarding_answering(REQUEST)
    for _ in range(2):
        await forwarding.requests.create(**LEAST)
    assert requests[0].idempotency_key
    assert requests[0].idempotency_key != requests[1].idempotency_key


SECRET = "s3cret\r\nX-Evil: 1"


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"payment_method": ""}, "payment_method"),
        ({"payment_method": None}, "payment_method"),
        ({"url": ""}, "url"),
        ({"url": 7}, "url"),
        ({"replacements": []}, "replacements"),
        ({"replacements": None}, "replacements"),
        ({"replacements": "card_number"}, "replacements"),
        ({"replacements": [""]}, "replacements"),
        ({"request": None}, "request"),
        ({"request": "{}"}, "request"),
        ({"request": {}}, "request"),
        ({"request": {"headers": []}}, "request"),
        ({"request": {"bdy": "{}"}}, "request"),
        ({"request": {"body": {"a": 1}}}, "request[body]"),
        ({"request": {"headers": {"Accept": "x"}}}, "request[headers]"),
        ({"request": {"headers": "Accept: x"}}, "request[headers]"),
        ({"request": {"headers": [("Accept", "x")]}}, "request[headers][0]"),
        ({"request": {"headers": [{"name": "Accept"}]}}, "request[headers][0]"),
        ({"request": {"headers": [{"name": "A b", "value": "x"}]}}, "request[headers][0][name]"),
        ({"request": {"headers": [{"name": "", "value": "x"}]}}, "request[headers][0][name]"),
        ({"request": {"headers": [{"name": "A", "value": SECRET}]}}, "request[headers][0][value]"),
        ({"request": {"headers": [{"name": "A", "value": 1}]}}, "request[headers][0][value]"),
        ({"metadata": {"a": 1}}, "metadata[a]"),
    ],
)
async def test_create_refuses_what_cannot_be_meant(changes: Any, argument: str) -> None:
    forwarding, requests = forwarding_answering(REQUEST)
    with pytest.raises(ConfigurationError) as caught:
        await forwarding.requests.create(**{**LEAST, **changes})
    assert caught.value.argument == argument
    assert "s3cret" not in str(caught.value)
    assert not requests


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.text(st.sampled_from("AbcXyz-_09"), min_size=1, max_size=6)


@given(TEXTS, st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=5))
async def test_headers_keep_order_repeats_and_text(body: str, pairs: Any) -> None:
    forwarding, requests = forwarding_answering(REQUEST)
    headers = [{"name": name, "value": value} for name, value in pairs]
    request: Any = {"body": body, "headers": headers}
    broken = [v for _, v in pairs if any((c < " " and c != "\t") or c == "\x7f" for c in v)]
    if broken:
        with pytest.raises(ConfigurationError):
            await forwarding.requests.create(**{**LEAST, "request": request})
        return
    await forwarding.requests.create(**{**LEAST, "request": request})
    form = sent(requests[0])
    assert [value for name, value in form if name == "request[body]"] == [body]
    parts = [value for name, value in form if name.startswith("request[headers]")]
    assert list(zip(parts[::2], parts[1::2], strict=True)) == pairs


async def test_retrieve_and_list_ask_for_what_they_should() -> None:
    forwarding, requests = forwarding_answering({**REQUEST, "id": "fwdreq_1"})
    await forwarding.requests.retrieve("fwdreq_1", expand=["x"])
    assert requests[0].path == "/v1/forwarding/requests/fwdreq_1"
    assert sent(requests[0]) == [("expand[0]", "x")]
    page = {"object": "list", "data": [REQUEST], "has_more": False}
    forwarding, requests = forwarding_answering(page)
    since = datetime(2026, 9, 27, 12, tzinfo=timezone.utc)
    listed = await forwarding.requests.list(created=Created(gte=since), limit=5)
    assert dict(sent(requests[0])) == {"created[gte]": "1790510400", "limit": "5"}
    assert response_of(listed.data[0]).body


@pytest.mark.parametrize("created", [datetime(2026, 9, 27, tzinfo=timezone.utc), 1790510400])
def test_a_list_takes_no_single_second(created: Any) -> None:
    forwarding, _ = forwarding_answering(None)
    with pytest.raises(ConfigurationError) as caught:
        forwarding.requests.list(created=created)
    assert caught.value.argument == "created"
