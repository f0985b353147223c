"""Version 2: what is sent as JSON, what is read, and what an event has fetched."""

from __future__ import annotations

import csv
import json
import pickle
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import pinstripe
from pinstripe import (
    APIError,
    AsyncClient,
    ConfigurationError,
    Created,
    NotFoundError,
    Request,
    RequestOptions,
    Response,
    from_dict,
    to_dict,
)
from pinstripe._models.native import is_native
from pinstripe.events import RelatedObject, ThinEvent
from pinstripe.export import to_file
from pinstripe.identity import VerificationSession
from pinstripe.sandbox import ManualClock, Sandbox
from pinstripe.v2 import DeletedEventDestination, EventDestination
from tests.support.decoding import read

pytestmark = pytest.mark.anyio

DESTINATION: dict[str, Any] = {
    "id": "ed_test_61X",
    "object": "v2.core.event_destination",
    "created": "2026-03-04T05:06:07.089Z",
    "description": "Orders for the ledger",
    "enabled_events": ["v1.climate.order.created"],
    "event_payload": "thin",
    "events_from": ["@self"],
    "livemode": False,
    "metadata": {"team": "PRIVATE"},
    "name": "ledger",
    "snapshot_api_version": None,
    "status": "disabled",
    "status_details": {"disabled": {"reason": "user"}},
    "type": "webhook_endpoint",
    "updated": "2026-03-04T05:06:07.089Z",
    "webhook_endpoint": {"signing_secret": "whsec_PRIVATE", "url": "https://PRIVATE@a.example"},
}
THIN = ThinEvent(
    id="evt_test_1",
    created=datetime(2026, 3, 4, tzinfo=timezone.utc),
    context="acct_P/acct_C",
    type="v1.identity.verification_session.verified",
    related_object=RelatedObject(
        id="vs_1", type="identity.verification_session", url="https://elsewhere.example"
    ),
)


class Wire:
    """A transport that keeps what is sent, and answers each request with the same body."""

    def __init__(self, answer: Any = DESTINATION, status: int = 200) -> None:
        self.answer = answer
        self.status = status
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        body = json.dumps(self.answer).encode()
        return Response(status=self.status, headers={"Request-Id": "req_1"}, body=body)

    async def aclose(self) -> None:
        pass

    def client(self, **settings: Any) -> AsyncClient:
        return AsyncClient("sk_test_1", transport=self, **settings)


def test_every_field_of_a_destination_is_read() -> None:
    found = read(DESTINATION, EventDestination)
    assert found.created == datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=timezone.utc)
    assert found.status_details is not None
    assert found.status_details.disabled is not None
    assert found.status_details.disabled.reason == "user"
    assert found.webhook_endpoint is not None
    assert found.webhook_endpoint.signing_secret == "whsec_PRIVATE"
    assert "PRIVATE" not in repr(found)
    assert pickle.loads(pickle.dumps(found)) == found
    assert from_dict(EventDestination, to_dict(found)) == found
    assert is_native(EventDestination)
    assert is_native(DeletedEventDestination)


async def test_a_destination_is_created_with_json() -> None:
    wire = Wire()
    made = await wire.client().v2.core.event_destinations.create(
        name="ledger",
        type="webhook_endpoint",
        event_payload="thin",
        enabled_events=["v1.climate.order.created"],
        webhook_endpoint={"url": "https://a.example"},
        metadata={},
        include=["webhook_endpoint.signing_secret"],
        request_options=RequestOptions(idempotency_key="key"),
    )
    assert pinstripe.response_of(made).status == 200
    (request,) = wire.requests
    assert (request.method, request.path) == ("POST", "/v2/core/event_destinations")
    assert request.headers["Content-Type"] == "application/json"
    assert request.idempotency_key == "key"
    assert json.loads(request.body or b"") == {
        "name": "ledger",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v1.climate.order.created"],
        "webhook_endpoint": {"url": "https://a.example"},
        "include": ["webhook_endpoint.signing_secret"],
    }


async def test_only_what_is_in_metadata_can_be_null() -> None:
    wire = Wire()
    destinations = wire.client().v2.core.event_destinations
    await destinations.update("ed_test_61X", description="", metadata={"team": None, "new": "x"})
    body = json.loads(wire.requests[0].body or b"")
    assert body == {"description": "", "metadata": {"team": None, "new": "x"}}
    wrong: Any
    for wrong in ("", {"a": 5}, {"a" * 41: None, "b" * 41: "x"}):
        with pytest.raises(ConfigurationError) as caught:
            await destinations.update("ed_test_61X", metadata=wrong)
        assert caught.value.argument.startswith("metadata")
    with pytest.raises(ConfigurationError) as caught:
        await destinations.update("ed_test_61X", webhook_endpoint="")  # type: ignore[arg-type]
    assert caught.value.argument == "webhook_endpoint"
    assert len(wire.requests) == 1


async def test_a_deletion_has_a_key_and_no_body() -> None:
    wire = Wire({"id": "ed_test_61X"})
    found = await wire.client().v2.core.event_destinations.delete("ed_test_61X")
    assert (found.id, found.object) == ("ed_test_61X", None)
    (request,) = wire.requests
    assert (request.method, request.body) == ("DELETE", None)
    assert request.idempotency_key


async def test_the_error_of_version_2_is_read_whole_and_repeats_nothing_private() -> None:
    facts = {
        "type": "quota_exceeded",
        "code": "too_many",
        "message": "no more than https://PRIVATE.example",
        "user_message": "You have too many at https://PRIVATE.example.",
        "request_log_url": "https://dashboard.stripe.com/logs/req_1",
    }
    wire = Wire({"error": facts}, 400)
    with pytest.raises(APIError) as caught:
        await wire.client().v2.core.event_destinations.create(
            name="x",
            type="webhook_endpoint",
            event_payload="thin",
            enabled_events=["v1.file.created"],
            webhook_endpoint={"url": "https://PRIVATE.example"},
        )
    error = caught.value
    assert (error.type, error.code, error.outcome) == ("quota_exceeded", "too_many", "rejected")
    assert error.user_message == "You have too many at [webhook_endpoint[url]]."
    assert error.request_log_url == facts["request_log_url"]
    assert "PRIVATE" not in str(error)
    assert pickle.loads(pickle.dumps(error)).user_message == error.user_message


@pytest.mark.parametrize(
    ("types", "problem"), [(["a"] * 21, "21 types"), ([], "is empty"), ("a", "must be a list")]
)
def test_types_are_checked_before_anything_is_sent(types: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        Wire().client().v2.core.events.list(types=types)
    assert caught.value.argument == "types"


# --- what an event is about ---------------------------------------------------------------------

SESSION = {
    "id": "vs_1",
    "object": "identity.verification_session",
    "created": 1790510460,
    "livemode": False,
    "metadata": {},
    "status": "verified",
    "type": "document",
}


async def test_the_object_is_fetched_for_the_context_of_the_event() -> None:
    wire = Wire(SESSION)
    found = await wire.client(account="acct_client").events.fetch_related(THIN)
    assert isinstance(found, VerificationSession)
    (request,) = wire.requests
    assert request.path == "/v1/identity/verification_sessions/vs_1"
    assert request.headers["Stripe-Context"] == "acct_P/acct_C"
    assert request.headers["Stripe-Request-Trigger"] == "event=evt_test_1"
    assert "Stripe-Account" not in request.headers


@pytest.mark.parametrize(
    ("options", "account", "context"),
    [
        (RequestOptions(account="acct_A"), "acct_A", None),
        (RequestOptions(context="acct_B"), None, "acct_B"),
        (RequestOptions(timeout=3), None, "acct_P/acct_C"),
    ],
)
async def test_options_that_say_for_whom_go_before_the_event(options, account, context) -> None:
    wire = Wire(SESSION)
    await wire.client().events.fetch_related(THIN, request_options=options)
    headers = wire.requests[0].headers
    assert (headers.get("Stripe-Account"), headers.get("Stripe-Context")) == (account, context)
    assert headers["Stripe-Request-Trigger"] == "event=evt_test_1"


async def test_an_event_without_context_is_fetched_for_the_account_of_the_client() -> None:
    wire = Wire(SESSION)
    event = from_dict(ThinEvent, {**to_dict(THIN), "context": None})
    await wire.client(context="acct_mine").events.fetch_related(event)
    assert wire.requests[0].headers["Stripe-Context"] == "acct_mine"


@pytest.mark.parametrize("changes", [{"context": "elsewhere"}, {"id": "evt_1\r\nX: y"}])
async def test_an_event_that_cannot_be_sent_on_is_refused(changes: Any) -> None:
    wire = Wire(SESSION)
    event = from_dict(ThinEvent, {**to_dict(THIN), **changes})
    with pytest.raises(ConfigurationError) as caught:
        await wire.client().events.fetch_related(event)
    assert caught.value.argument == "event"
    assert wire.requests == []


async def test_a_destination_is_fetched_too_but_never_expanded() -> None:
    wire = Wire()
    related = {"id": "ed_test_61X", "type": "v2.core.event_destination", "url": "/v2/x"}
    event = from_dict(ThinEvent, {**to_dict(THIN), "related_object": related})
    found = await wire.client().events.fetch_related(event)
    assert isinstance(found, EventDestination)
    assert wire.requests[0].path == "/v2/core/event_destinations/ed_test_61X"
    with pytest.raises(ConfigurationError) as caught:
        await wire.client().events.fetch_related(event, expand=["a"])
    assert caught.value.argument == "expand"


# --- in a sandbox -------------------------------------------------------------------------------


async def test_the_log_is_walked_filtered_and_exported(tmp_path: Path) -> None:
    clock = ManualClock(1790510400)
    async with Sandbox(seed=1, clock=clock) as sandbox, sandbox.client() as stripe:
        made = []
        for _ in range(5):
            clock.advance(60)
            made.append(await stripe.identity.verification_sessions.create(type="document"))
        events = stripe.v2.core.events
        found = [event async for event in events.list(limit=2)]
        assert [event.related_object and event.related_object.id for event in found] == [
            session.id for session in reversed(made)
        ]
        assert (await events.retrieve(found[0].id)).snapshot_event is not None
        since = made[2].created + timedelta(milliseconds=1)
        assert len(await events.list(created=Created(gte=since))) == 2
        assert len(await events.list(object_id=made[0].id)) == 1
        assert len(await events.list(types=["v1.file.created"])) == 0
        path = tmp_path / "events.csv"
        assert await to_file(events.list(limit=2), path) == 5
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        assert [row["related_object.id"] for row in rows] == [one.id for one in reversed(made)]
        assert rows[0]["created"] == "2026-09-27T12:05:00Z"
        assert "changes" not in rows[0]
        with pytest.raises(NotFoundError) as caught:
            await events.retrieve("evt_test_none")
        assert (caught.value.code, caught.value.type) == ("not_found", "invalid_request_error")


def test_the_blocking_client_has_it_all() -> None:
    with Sandbox(seed=1) as sandbox, sandbox.sync_client() as stripe:
        destinations = stripe.v2.core.event_destinations
        made = destinations.create(
            name="ledger",
            type="webhook_endpoint",
            event_payload="thin",
            enabled_events=["v1.file.created"],
            webhook_endpoint={"url": "http://localhost/x"},
        )
        assert [one.id for one in destinations.list(limit=1)] == [made.id]
        event = destinations.ping(made.id)
        assert stripe.v2.core.events.list().first().data == (event,)
        related = stripe.events.fetch_related(event)
        assert isinstance(related, EventDestination)
        assert destinations.delete(made.id).id == made.id
