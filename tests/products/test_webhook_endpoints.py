"""Webhook endpoints: requests are sent, answers are read, and the secret shows nowhere."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest

import pinstripe
from pinstripe import ConfigurationError, DecodeError, NotFoundError, RequestOptions, to_dict
from pinstripe._http.messages import Request, Response
from pinstripe._models.native import is_native
from pinstripe.sandbox import Sandbox
from pinstripe.webhook_endpoints import DeletedWebhookEndpoint, WebhookEndpoint, WebhookEndpoints
from tests.support.decoding import read

pytestmark = pytest.mark.anyio

CREATED: dict[str, Any] = {
    "id": "we_ZNp9lJ8vdcnlrRoX1wiGd4lW",
    "object": "webhook_endpoint",
    "api_version": "2026-10-28.endive",
    "application": None,
    "created": 1790510405,
    "description": "identity and climate",
    "enabled_events": [
        "identity.verification_session.verified",
        "identity.verification_session.redacted",
        "climate.order.canceled",
        "crypto.onramp_session.updated",
    ],
    "livemode": False,
    "metadata": {"team": "PRIVATE"},
    "secret": "whsec_PRIVATE",
    "status": "enabled",
    "url": "https://PRIVATE:PRIVATE@hooks.brightwater.example/stripe",
}
DISABLED: dict[str, Any] = {
    "id": "we_5HvfcdKen1xhf0jVTa0gsSMj",
    "object": "webhook_endpoint",
    "api_version": None,
    "application": "ca_AvZm3PlqhOIwfLQP2Tw5CnIkTXATdIeA",
    "created": 1790510405,
    "description": None,
    "enabled_events": ["*"],
    "livemode": False,
    "metadata": {},
    "status": "disabled",
    "url": "https://hooks.brightwater.example/stripe",
}
DELETED = {"id": "we_1", "object": "webhook_endpoint", "deleted": True}


class Wire:
    """Keeps the requests that are sent, and answers each with the same body."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.sent: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        return Response(status=200, headers={}, body=json.dumps(self.answer).encode())

    @property
    def request(self) -> Request:
        (request,) = self.sent
        return request

    def form(self) -> list[tuple[str, str]]:
        return parse_qsl((self.request.body or b"").decode(), keep_blank_values=True)


def test_every_field_is_read() -> None:
    endpoint = read(CREATED, WebhookEndpoint)
    assert endpoint.id == "we_ZNp9lJ8vdcnlrRoX1wiGd4lW"
    assert endpoint.created == datetime(2026, 9, 27, 12, 0, 5, tzinfo=timezone.utc)
    assert endpoint.enabled_events == tuple(CREATED["enabled_events"])
    assert endpoint.secret == "whsec_PRIVATE"
    assert endpoint.url == CREATED["url"]
    assert (endpoint.status, endpoint.livemode) == ("enabled", False)
    assert json.loads(json.dumps(to_dict(endpoint))) == CREATED
    disabled = read(DISABLED, WebhookEndpoint)
    assert disabled.secret is None
    assert disabled.api_version is None
    assert disabled.application == "ca_AvZm3PlqhOIwfLQP2Tw5CnIkTXATdIeA"
    assert disabled.status == "disabled"
    assert is_native(WebhookEndpoint)
    assert is_native(DeletedWebhookEndpoint)


def test_what_is_new_is_read_too() -> None:
    endpoint = read(
        {**CREATED, "status": "sleeping", "enabled_events": ["a.b"], "more": {"x": 1}},
        WebhookEndpoint,
    )
    assert endpoint.status == "sleeping"
    assert endpoint.enabled_events == ("a.b",)


def test_what_opens_something_is_in_no_repr() -> None:
    endpoint = read(CREATED, WebhookEndpoint)
    for text in (repr(endpoint), str(endpoint), f"{endpoint}", f"{[endpoint]!r}"):
        assert "PRIVATE" not in text
        assert endpoint.id in text
        assert "climate.order.canceled" in text
    assert pickle.loads(pickle.dumps(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("name", "value"),
    [("url", None), ("enabled_events", "*"), ("enabled_events", None), ("created", "soon")],
)
def test_a_field_of_another_shape_is_an_error_that_shows_no_value(name, value) -> None:
    with pytest.raises(DecodeError) as caught:
        read({**CREATED, name: value}, WebhookEndpoint)
    assert caught.value.path == f"$.{name}"
    assert "PRIVATE" not in str(caught.value)


async def test_create_puts_every_parameter_on_the_wire() -> None:
    wire = Wire(CREATED)
    endpoint = await WebhookEndpoints(wire).create(
        url="https://hooks.example/a?b=c&d",
        enabled_events=["*", "identity.verification_session.redacted"],
        api_version="2026-10-28.endive",
        connect=True,
        description="é",
        metadata={"a": "1"},
        expand=["x"],
        request_options=RequestOptions(idempotency_key="key"),
    )
    assert endpoint.secret == "whsec_PRIVATE"
    assert pinstripe.response_of(endpoint).status == 200
    assert (wire.request.method, wire.request.path) == ("POST", "/v1/webhook_endpoints")
    assert wire.request.idempotency_key == "key"
    assert wire.form() == [
        ("url", "https://hooks.example/a?b=c&d"),
        ("enabled_events[0]", "*"),
        ("enabled_events[1]", "identity.verification_session.redacted"),
        ("api_version", "2026-10-28.endive"),
        ("connect", "true"),
        ("description", "é"),
        ("metadata[a]", "1"),
        ("expand[0]", "x"),
    ]


async def test_update_sends_what_is_given_and_clears_by_empty_text() -> None:
    wire = Wire({**DISABLED, "id": "we_1"})
    await WebhookEndpoints(wire).update(
        "we_1", disabled=False, enabled_events=("a.b",), description="", metadata="", url="u"
    )
    assert wire.request.path == "/v1/webhook_endpoints/we_1"
    assert wire.request.template == "/v1/webhook_endpoints/{webhook_endpoint}"
    assert wire.form() == [
        ("url", "u"),
        ("enabled_events[0]", "a.b"),
        ("disabled", "false"),
        ("description", ""),
        ("metadata", ""),
    ]
    wire.sent.clear()
    await WebhookEndpoints(wire).update("we_1", metadata={"a": ""})
    assert wire.form() == [("metadata[a]", "")]


async def test_retrieve_list_and_delete() -> None:
    wire = Wire({**DISABLED, "id": "we_1"})
    await WebhookEndpoints(wire).retrieve("we_1", expand=["a"])
    assert (wire.request.method, wire.request.query) == ("GET", "expand[0]=a")
    wire = Wire({"object": "list", "data": [CREATED, DISABLED], "has_more": False})
    page = await WebhookEndpoints(wire).list(limit=2, ending_before="we_9", expand=["data.a"])
    assert page.data == (read(CREATED, WebhookEndpoint), read(DISABLED, WebhookEndpoint))
    assert wire.request.path == "/v1/webhook_endpoints"
    assert dict(parse_qsl(wire.request.query)) == {
        "limit": "2",
        "ending_before": "we_9",
        "expand[0]": "data.a",
    }
    wire = Wire(DELETED)
    gone = await WebhookEndpoints(wire).delete("we_1")
    assert gone == DeletedWebhookEndpoint(id="we_1", deleted=True)
    assert (wire.request.method, wire.request.path) == ("DELETE", "/v1/webhook_endpoints/we_1")
    assert (wire.request.body, wire.request.query) == (None, "")


@pytest.mark.parametrize("wrong", ["*", [], (), {"*"}, [""], [1]])
async def test_enabled_events_is_a_list_with_something_in_it(wrong: Any) -> None:
    wire = Wire(CREATED)
    calls = (
        lambda: WebhookEndpoints(wire).create(url="https://a.example", enabled_events=wrong),
        lambda: WebhookEndpoints(wire).update("we_1", enabled_events=wrong),
    )
    for call in calls:
        with pytest.raises(ConfigurationError) as caught:
            await call()
        assert caught.value.argument == "enabled_events"
    assert wire.sent == []


@pytest.mark.parametrize("id", ["", ".", "..", "we_1/x", "we 1", "we_1?", "é"])
async def test_hostile_ids_are_sent_nowhere(id: str) -> None:
    wire = Wire(CREATED)
    resource = WebhookEndpoints(wire)
    for call in (resource.retrieve, resource.update, resource.delete):
        with pytest.raises(ConfigurationError, match="webhook_endpoint"):
            await call(id)
    assert wire.sent == []


async def test_an_idempotency_key_on_a_delete_is_refused() -> None:
    options = RequestOptions(idempotency_key="key")
    with pytest.raises(ConfigurationError, match="idempotency_key"):
        await WebhookEndpoints(Wire(DELETED)).delete("we_1", request_options=options)


async def test_an_endpoint_lives_in_the_sandbox() -> None:
    async with Sandbox() as sandbox, sandbox.client() as stripe:
        resource = stripe.webhook_endpoints
        made = await resource.create(
            url="https://hooks.example/stripe",
            enabled_events=["climate.order.canceled", "crypto.onramp_session.updated"],
            description="first",
            metadata={"a": "1", "b": "2"},
        )
        assert made.secret is not None
        assert made.secret.startswith("whsec_")
        assert made.secret not in repr(made)
        shown = await resource.retrieve(made.id)
        assert shown.secret is None
        assert to_dict(shown) == {**to_dict(made), "secret": None}
        changed = await resource.update(
            made.id, disabled=True, enabled_events=["*"], description="", metadata={"a": ""}
        )
        assert (changed.status, changed.enabled_events) == ("disabled", ("*",))
        assert (changed.description, changed.metadata) == (None, {"b": "2"})
        assert (await resource.update(made.id, disabled=False, metadata="")).metadata == {}
        second = await resource.create(url="https://b.example", enabled_events=["*"])
        assert [endpoint.id async for endpoint in resource.list()] == [second.id, made.id]
        assert [each.id async for each in resource.list(limit=1)] == [second.id, made.id]
        gone = await resource.delete(made.id)
        assert (gone.id, gone.deleted) == (made.id, True)
        with pytest.raises(NotFoundError) as caught:
            await resource.retrieve(made.id)
        assert caught.value.code == "resource_missing"
